//! Several batches under Makespan, filled from the end of each one backwards.
//!
//! Seen backwards, the ends of batches are releases, and everything has to be there by one moment, now. So what may
//! end late does not take the room of what must end soon. The longest copy comes first, each in the mode and place
//! that cost least at the prices of the relaxation (`bounds/ends/frontier.rs`). Where that does not fit, later ends are
//! tried; where it does, sooner ones, with the order changed at random (forward-backward scheduling: Li and Willis
//! 1992; hill climbing on random keys: Bean 1994).

use std::cmp::Reverse;
use std::sync::Arc;

use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::model::{Algorithm, Goal, Hold, Millis, NodeClass, Problem};
use crate::solver::bounds::Prices;
use crate::solver::decoder::Decoder;
use crate::solver::decoder::preference::Preference;
use crate::solver::decoder::reversed::Reversed;
use crate::solver::decoder::sequences::{Aim, Ground, Urgency, lanes_of, schedule_of};
use crate::solver::goals::Score;
use crate::solver::instance::{Instance, ModeView, TaskView};
use crate::solver::schedule::{Recipe, Schedule};
use crate::solver::search::Search;

use super::keys::generator;
use super::priced;

/// Rounds of learning before the first plan.
const ROUNDS: usize = 120;
/// They take no more than this part of the budget.
const PART: f64 = 0.25;
/// Multiples of the ends of the relaxation that are tried.
const SCALES: [f64; 3] = [1.005, 1.015, 1.03];
/// Orders that are tried at once, and so often in vain before nearer ends are tried.
const BROOD: usize = 8;
const PATIENCE: u32 = 4;
/// The first step towards the bound, as a part of the way, and the least.
const STEPS: (f64, f64) = (0.15, 0.005);
/// Parts of the keys that change, and by which factor at most, as a logarithm.
const CHANGED: [f64; 2] = [0.05, 0.3];
const CHANGE: f64 = 0.3;
/// The copy that begins earliest before now counts so often.
const MOST_LATE: f64 = 10.0;

/// Whether all copies can be turned around: nothing waits for something else.
pub(super) fn suits(instance: &Instance) -> bool {
    instance.problem.goal == Goal::Makespan
        && instance.problem.batches.len() > 1
        && instance.problem.budgets.is_empty()
        && !instance.is_ordered
        && !instance.has_dues
}

/// Finds the least ends of the relaxation with which all fits. The larger the multiple, the less of a margin is
/// needed.
pub(super) fn run(search: &mut Search) {
    priced::learn_until(search, ROUNDS, PART);
    let ground = Ground::new(search.instance);
    let frontier = frontier(search);
    let fits = |search: &mut Search, row: usize, scale: f64| {
        let (ends, prices) = &frontier[row];
        let target = Target::new(search.instance, ends, scale, prices);
        let instance = Instance::new(&target.problem);
        let tried = target.plan(&instance, &target.keys(&instance));
        offer(search, ground.as_ref(), &tried.schedule);
        tried.value == 0.0
    };
    // No row below `low` fits, and those from `high` on do.
    let (mut low, mut high) = (0, frontier.len());
    while low < high && !search.is_over() {
        let middle = (low + high) / 2;
        if fits(search, middle, SCALES[0]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    for scale in &SCALES[1..] {
        while high > 0 && !search.is_over() && fits(search, high - 1, *scale) {
            high -= 1;
        }
    }
}

/// Goes on with sooner and sooner ends, each reached by changes of the order.
pub(super) fn climb(search: &mut Search) {
    let ground = Ground::new(search.instance);
    let weights: Vec<f64> = search
        .problem()
        .batches
        .iter()
        .map(|batch| batch.weight.max(0) as f64)
        .collect();
    let sum = |ends: &[Millis]| -> f64 {
        let weighted = ends.iter().zip(&weights);
        weighted.map(|(&end, weight)| end as f64 * weight).sum()
    };
    let frontier = frontier(search);
    let (mut step, mut round) = (STEPS.0, 0);
    while step >= STEPS.1 && !search.is_over() {
        let Some(incumbent) = search.incumbent() else {
            return;
        };
        let (now, least) = (incumbent.score.goal as f64, incumbent.bound.value as f64);
        let wanted = now - (now - least) * step;
        // Of the ends that would do, those that are nearest to be reached.
        let (all, meter) = (search.instance, search.meter());
        let target = |(ends, prices): &(Vec<Millis>, Prices)| {
            let scale = wanted / sum(ends).max(1.0);
            (!meter.expired()).then(|| Target::new(all, ends, scale, prices))
        };
        let targets: Vec<Target> = frontier.par_iter().filter_map(target).collect();
        let tried = targets.par_iter().map(|target| {
            let instance = Instance::new(&target.problem);
            let keys = target.keys(&instance);
            (target.plan(&instance, &keys).value, target, instance, keys)
        });
        let tried: Vec<(f64, &Target, Instance, Vec<f64>)> = tried.collect();
        search.count(frontier.len() as u64);
        let nearest = tried
            .into_iter()
            .min_by(|one, other| one.0.total_cmp(&other.0));
        let Some((_, target, instance, keys)) = nearest else {
            return;
        };
        match target.reach(&instance, search, keys, &mut round) {
            Some(tried) => offer(search, ground.as_ref(), &tried.schedule),
            None => step /= 2.0,
        }
    }
}

/// Ends that leave more and more room.
fn frontier(search: &Search) -> Vec<(Vec<Millis>, Prices)> {
    let learnt = search.prices.as_ref();
    learnt.map_or(Vec::new(), |(_, learnt)| learnt.frontier())
}

/// Ends that are to be reached.
struct Target {
    /// The problem with time turned around: batches that end before the horizon are released later.
    problem: Problem,
    horizon: Millis,
    preference: Preference,
}

/// A plan, backwards.
struct Tried {
    schedule: Schedule,
    /// How far it begins before now, and how much of it; 0 if all fits.
    value: f64,
}

impl Target {
    fn new(instance: &Instance, ends: &[Millis], scale: f64, prices: &Prices) -> Self {
        let scaled = |end: &Millis| (*end as f64 * scale) as Millis;
        let ends: Vec<Millis> = ends.iter().map(scaled).collect();
        let horizon = ends.iter().copied().max().unwrap_or(0);
        let reversed = Reversed {
            horizon,
            scale,
            prices: prices.clone(),
        };
        Self {
            problem: reversed_problem(instance.problem, &ends, horizon),
            horizon,
            preference: Preference::Reversed(Arc::new(reversed)),
        }
    }

    /// The longest copy first, in the mode that is cheapest where it ends as late as it may.
    fn keys(&self, instance: &Instance) -> Vec<f64> {
        let duration = |task: &TaskView| {
            let paid = |mode: &ModeView| {
                let end = task.release.saturating_add(mode.least);
                let class = mode.runs.first().map_or(0, |run| run.class);
                let pods = std::iter::once((class, mode.pods));
                self.preference.cost(task, mode, task.release, end, pods)
            };
            let modes = task.modes.iter();
            modes
                .min_by(|one, other| paid(one).total_cmp(&paid(other)))
                .map_or(0, |mode| mode.least)
        };
        let durations: Vec<f64> = instance
            .tasks
            .iter()
            .map(|task| duration(task) as f64)
            .collect();
        instance
            .task_of
            .iter()
            .map(|&task| durations[task])
            .collect()
    }

    /// Places the copy of the largest key first.
    fn plan(&self, instance: &Instance, keys: &[f64]) -> Tried {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&one, &other| keys[other].total_cmp(&keys[one]));
        let mut decoder = Decoder::new(instance);
        decoder.decode(&Recipe {
            order,
            modes: vec![None; keys.len()],
            preference: self.preference.clone(),
        });
        let schedule = decoder.schedule().clone();
        let late = schedule.placed.iter().flatten();
        let late = late.map(|placed| (placed.end - self.horizon).max(0) as f64);
        let (sum, most) = late.fold((0.0, 0.0), |(sum, most): (f64, f64), late| {
            (sum + late, most.max(late))
        });
        Tried {
            schedule,
            value: sum + MOST_LATE * most,
        }
    }

    /// Changes the order until all fits.
    fn reach(
        &self,
        instance: &Instance,
        search: &mut Search,
        mut keys: Vec<f64>,
        round: &mut u64,
    ) -> Option<Tried> {
        let mut best = self.plan(instance, &keys);
        let mut missed = 0;
        while best.value > 0.0 {
            if missed == PATIENCE || search.is_over() {
                return None;
            }
            let granted = search.meter().grant(BROOD as u64);
            let (seed, from) = (search.seed, *round);
            let meter = search.meter();
            let one = |index: u64| {
                let random = &mut generator(seed, from, index);
                let changed = changed(&keys, CHANGED[index as usize % 2], random);
                let tried = (!meter.expired()).then(|| self.plan(instance, &changed));
                tried.map(|tried| (changed, tried))
            };
            let brood: Vec<Option<(Vec<f64>, Tried)>> =
                (0..granted).into_par_iter().map(one).collect();
            search.count(granted);
            *round += 1;
            missed += 1;
            let found = brood
                .into_iter()
                .flatten()
                .min_by(|one, other| one.1.value.total_cmp(&other.1.value));
            if let Some(found) = found.filter(|found| found.1.value < best.value) {
                (keys, best) = found;
                missed = 0;
            }
        }
        Some(best)
    }
}

/// Some of the keys grow or shrink.
fn changed(keys: &[f64], part: f64, random: &mut impl Rng) -> Vec<f64> {
    let mut keys = keys.to_vec();
    for key in &mut keys {
        if random.random::<f64>() < part {
            *key *= libm::exp((2.0 * random.random::<f64>() - 1.0) * CHANGE);
        }
    }
    keys
}

/// Offers a plan, forwards: copies start in the order that was found, with their modes, and on their nodes where
/// they meet only there.
fn offer(search: &mut Search, ground: Option<&Ground>, backwards: &Schedule) {
    let instance = search.instance;
    let Some(ground) = ground else {
        search.evaluate_leaders(vec![forwards(backwards)], Algorithm::Greedy);
        return;
    };
    let aim = Aim::new(
        instance,
        &vec![0; instance.problem.batches.len()],
        Urgency::Some,
    );
    if let Some(lanes) = lanes_of(ground, &aim, &turned(backwards)) {
        let schedule = schedule_of(ground, &lanes);
        search.count(1);
        search.offer(Score::of(instance, &schedule), schedule, Algorithm::Greedy);
    }
}

fn last_end(schedule: &Schedule) -> Millis {
    let ends = schedule.placed.iter().flatten().map(|placed| placed.end);
    ends.max().unwrap_or(0)
}

/// All copies in the order in which they start forwards, with their modes.
fn forwards(schedule: &Schedule) -> Recipe {
    let mut recipe = Recipe::of_schedule(schedule, &Preference::EarliestEnd);
    let end = |copy: &usize| {
        schedule.placed[*copy]
            .as_ref()
            .map_or(0, |placed| placed.end)
    };
    recipe.order.sort_by_key(|copy| Reverse(end(copy)));
    recipe
}

/// The same places, seen from the last end.
fn turned(schedule: &Schedule) -> Schedule {
    let last = last_end(schedule);
    let mut turned = Schedule::default();
    turned.clear(schedule.placed.len());
    for (copy, placed) in schedule.placed.iter().enumerate() {
        if let Some(placed) = placed {
            let nodes = schedule.nodes(placed).iter().copied();
            let times = (last - placed.end, last - placed.start);
            turned.place(copy, placed.mode, times, nodes);
        }
    }
    turned
}

fn reversed_problem(problem: &Problem, ends: &[Millis], horizon: Millis) -> Problem {
    let mut reversed = problem.clone();
    for task in &mut reversed.tasks {
        task.release = horizon - ends[task.batch];
    }
    for class in &mut reversed.classes {
        turn_holds(class, horizon);
    }
    reversed
}

/// What is held until some time is so from then on, backwards.
fn turn_holds(class: &mut NodeClass, horizon: Millis) {
    for hold in &mut class.holds {
        *hold = Hold {
            from: horizon.saturating_sub(hold.until).max(0),
            until: Millis::MAX,
            demand: hold.demand.clone(),
        };
    }
}
