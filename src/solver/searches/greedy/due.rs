//! Lists for copies that are due: earliest due date first (Jackson 1955), least slack first, and the order that the
//! goal asks for, with those that came out late moved to the front (squeaky wheel optimization: Joslin and Clements
//! 1999). Each copy takes the place that suits the goal best of those that are in time, else the earliest.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::model::{Algorithm, Goal, Millis};
use crate::solver::bounds;
use crate::solver::decoder::preference::{Preference, Tariff};
use crate::solver::instance::{Instance, TaskView};
use crate::solver::schedule::{Recipe, Schedule};
use crate::solver::search::Search;

use super::{Order, list};

/// Rounds of moving late copies, from each list.
const ROUNDS: usize = 40;
/// The part of the budget that all lists may take.
const PART: f64 = 0.15;

/// In time first, then as good as lists are.
pub(super) fn run(search: &mut Search) {
    let lists = lists(search.instance);
    for some in lists.chunks(4) {
        if search.is_over() || is_spent(search) {
            return;
        }
        search.evaluate_leaders(some.to_vec(), Algorithm::Greedy);
    }
    for recipe in lists {
        if search.is_over() || is_spent(search) {
            return;
        }
        squeak(search, recipe);
    }
}

/// One plan is always made.
fn is_spent(search: &Search) -> bool {
    search.incumbent().is_some() && search.meter().progress() > PART
}

fn lists(instance: &Instance) -> Vec<Recipe> {
    let goal = match instance.problem.goal {
        Goal::FlowTime => Order::Weight,
        _ => Order::Path,
    };
    let goal = list(instance, goal);
    let by = |key: fn(&TaskView) -> Millis| {
        let mut order = goal.order.clone();
        order.sort_by_key(|&copy| key(instance.task(copy)));
        order
    };
    let by_end = by(|task| task.latest_end);
    let by_slack = by(|task| match task.latest_end {
        Millis::MAX => Millis::MAX,
        end => end.saturating_sub(task.least()),
    });
    let mut recipes = Vec::new();
    for preference in preferences(instance) {
        for order in [&by_end, &by_slack, &goal.order] {
            recipes.push(Recipe {
                order: order.clone(),
                modes: goal.modes.clone(),
                preference: preference.clone(),
            });
        }
    }
    recipes
}

/// What is best of all that is in time.
fn preferences(instance: &Instance) -> Vec<Preference> {
    let least_work = |ends: Vec<Millis>| Preference::Deadline(ends.into());
    let never = vec![Millis::MAX; instance.problem.batches.len()];
    let some = match instance.problem.goal {
        Goal::Makespan => {
            let ends = bounds::ends(instance);
            let relaxed = |part: Millis| {
                ends.iter()
                    .map(|end| end.saturating_add(end / part))
                    .collect()
            };
            vec![
                least_work(relaxed(50)),
                least_work(relaxed(5)),
                least_work(never),
            ]
        }
        Goal::FlowTime => {
            let fluid = Preference::Price(Arc::new(Tariff::fluid(instance, 1.0)));
            vec![fluid, least_work(never)]
        }
        _ => vec![Preference::Cost, least_work(never)],
    };
    let in_time = some
        .into_iter()
        .map(|other| Preference::InTime(Arc::new(other)));
    in_time.chain([Preference::EarliestEnd]).collect()
}

/// Moves what is late to the front until nothing is, or nothing helps.
fn squeak(search: &mut Search, mut recipe: Recipe) {
    for round in 0..ROUNDS {
        let is_in_time = search.incumbent().is_some_and(|best| best.is_in_time());
        if search.is_over() || is_spent(search) || (round > 0 && is_in_time) {
            return;
        }
        let found = search.refine(std::slice::from_ref(&recipe), Algorithm::Greedy);
        let Some((score, schedule)) = found.into_iter().flatten().next() else {
            return;
        };
        search.keep_leader(score, &recipe);
        if !promote(search.instance, &schedule, &mut recipe.order) {
            return;
        }
    }
}

/// Moves each late copy ahead, the farther the later it is; whether there is one.
fn promote(instance: &Instance, schedule: &Schedule, order: &mut Vec<usize>) -> bool {
    let copies = order.len();
    let lateness = |copy: usize| {
        let end = schedule.placed[copy]
            .as_ref()
            .map_or(Millis::MAX, |placed| placed.end);
        end.saturating_sub(instance.task(copy).latest_end).max(0)
    };
    let most = (0..copies).map(lateness).max().unwrap_or(0);
    if most == 0 {
        return false;
    }
    let mut places: Vec<(usize, Reverse<Millis>, usize)> = Vec::with_capacity(copies);
    for (at, &copy) in order.iter().enumerate() {
        let late = lateness(copy);
        let part = late as f64 / most as f64;
        let ahead = if late > 0 {
            1 + (part * copies as f64 / 4.0) as usize
        } else {
            0
        };
        places.push((at.saturating_sub(ahead), Reverse(late), copy));
    }
    places.sort();
    *order = places.into_iter().map(|(.., copy)| copy).collect();
    true
}
