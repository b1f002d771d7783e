//! Several batches under Makespan, filled from the end of each one backwards.
//!
//! Seen backwards, the ends of batches are releases, and all has to be there by one moment, now. So what may end
//! late does not take the room of what must end soon. The longest copy comes first, each in the mode and place that
//! cost least at the prices of the relaxation (`bounds/frontier.rs`). Where that does not fit, all ends are moved;
//! forwards, copies start in the order that was found (forward-backward scheduling: Li and Willis 1992).

use std::sync::Arc;

use crate::model::{Algorithm, Goal, Hold, Millis, NodeClass, Problem};

use super::bounds::Prices;
use super::decoder::Decoder;
use super::instance::{Instance, ModeView, TaskView};
use super::preference::Preference;
use super::priced;
use super::schedule::{Recipe, Schedule};
use super::search::Search;

/// Rounds of learning before the first plan.
const ROUNDS: usize = 200;
/// The ends that are tried at most, as a multiple of those of the relaxation; halved so many times.
const MOST: f64 = 1.25;
const HALVINGS: usize = 6;

/// What a copy pays that runs backwards from a horizon.
#[derive(Debug)]
pub(super) struct Reversed {
    /// This moment, backwards, is now.
    pub horizon: Millis,
    /// Times are this multiple of those of the prices.
    scale: f64,
    prices: Prices,
}

impl Reversed {
    /// What it pays for `[start, end)` backwards; all there is where it would have to start before now.
    pub fn paid(
        &self,
        usage: &[i64],
        start: Millis,
        end: Millis,
        pods: impl Iterator<Item = (usize, u32)>,
    ) -> f64 {
        if end > self.horizon {
            return f64::INFINITY;
        }
        let (from, until) = (self.at(end), self.at(start));
        pods.map(|(class, pods)| f64::from(pods) * self.prices.paid(class, usage, from, until))
            .sum()
    }

    /// The time of the prices that this moment is.
    fn at(&self, moment: Millis) -> Millis {
        ((self.horizon - moment) as f64 / self.scale) as Millis
    }
}

/// Whether all copies can be turned around: nothing waits for something else.
pub(super) fn suits(instance: &Instance) -> bool {
    instance.problem.goal == Goal::Makespan
        && instance.problem.batches.len() > 1
        && !instance.is_ordered
}

/// Finds the least multiple of the ends of the relaxation with which all fits.
pub(super) fn run(search: &mut Search) {
    priced::learn(search, ROUNDS);
    let learnt = search.prices.as_ref();
    let Some(prices) = learnt.and_then(|(_, learnt)| learnt.prices()) else {
        return;
    };
    let ends = priced::ends(search);
    let (mut low, mut high) = (1.0, MOST);
    let mut scale = low;
    for _ in 0..=HALVINGS {
        if search.is_over() {
            break;
        }
        let (recipe, fits) = backwards(search.instance, &ends, scale, &prices);
        search.evaluate_leaders(vec![recipe], Algorithm::Greedy);
        if fits {
            high = scale;
        } else {
            low = scale;
        }
        scale = (low + high) / 2.0;
    }
}

/// The starts and modes of a plan that is made backwards from these ends, and whether it begins in time.
fn backwards(
    instance: &Instance,
    ends: &[Millis],
    scale: f64,
    prices: &Prices,
) -> (Recipe, bool) {
    let scaled = |end: &Millis| (*end as f64 * scale) as Millis;
    let ends: Vec<Millis> = ends.iter().map(scaled).collect();
    let horizon = ends.iter().copied().max().unwrap_or(0);
    let problem = reversed(instance.problem, &ends, horizon);
    let backward = Instance::new(&problem);
    let preference = Preference::Reversed(Arc::new(Reversed {
        horizon,
        scale,
        prices: prices.clone(),
    }));
    let recipe = Recipe {
        order: longest_first(&backward, &preference),
        modes: vec![None; backward.copies()],
        preference,
    };
    let mut decoder = Decoder::new(&backward);
    decoder.decode(&recipe);
    let schedule = decoder.schedule();
    let first = schedule.placed.iter().flatten().map(|placed| placed.end);
    let begin = first.max().unwrap_or(0);
    (forwards(schedule), begin <= horizon)
}

/// All copies in the order in which they start forwards, with their modes.
fn forwards(schedule: &Schedule) -> Recipe {
    let mut recipe = Recipe::of_schedule(schedule, &Preference::EarliestEnd);
    let end = |copy: &usize| schedule.placed[*copy].as_ref().map_or(0, |placed| placed.end);
    recipe.order.sort_by_key(|copy| std::cmp::Reverse(end(copy)));
    recipe
}

/// The problem with time turned around: batches that end before the horizon are released later.
fn reversed(problem: &Problem, ends: &[Millis], horizon: Millis) -> Problem {
    let mut reversed = problem.clone();
    for task in &mut reversed.tasks {
        task.release = horizon - ends[task.batch];
    }
    for class in &mut reversed.classes {
        turn_holds(class, horizon);
    }
    reversed
}

/// What is held until some time is so from then on, backwards. What is held for ever after has no share in it.
fn turn_holds(class: &mut NodeClass, horizon: Millis) {
    for hold in &mut class.holds {
        *hold = Hold {
            from: horizon.saturating_sub(hold.until).max(0),
            until: Millis::MAX,
            demand: hold.demand.clone(),
        };
    }
}

/// The longest copy first, in the mode that is cheapest where it ends as late as it may.
fn longest_first(instance: &Instance, preference: &Preference) -> Vec<usize> {
    let duration = |task: &TaskView| {
        let paid = |mode: &ModeView| {
            let end = task.release.saturating_add(mode.least);
            let class = mode.runs.first().map_or(0, |run| run.class);
            let pods = std::iter::once((class, mode.pods));
            preference.cost(task, mode, task.release, end, pods)
        };
        let cheapest = task
            .modes
            .iter()
            .min_by(|one, other| paid(one).total_cmp(&paid(other)));
        cheapest.map_or(0, |mode| mode.least)
    };
    let durations: Vec<Millis> = instance.tasks.iter().map(duration).collect();
    let mut order: Vec<usize> = (0..instance.copies()).collect();
    order.sort_by_key(|&copy| std::cmp::Reverse(durations[instance.task_of[copy]]));
    order
}
