//! Ruin and recreate: Schrimpf, Schneider, Stamm-Wilbrandt and Dueck, "Record breaking optimization results
//! using the ruin and recreate principle", Journal of Computational Physics 159 (2000); what to take out after
//! Christiaens and Vanden Berghe, "Slack induction by string removals", Transportation Science 54 (2020).
//!
//! A string of related copies leaves the plan: neighbours in time on one node or a few, or in the order of the
//! tasks. They come back one after the other where they fit best, before everything that started later, with
//! blinks: now and then another mode than the best one. Acceptance is that of simulated annealing.

use std::cmp::Reverse;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::model::{Algorithm, Goal, Millis};

use super::instance::Instance;
use super::keys::{self, any_mode, generator};
use super::preference::Preference;
use super::schedule::{Recipe, Schedule};
use super::score::Score;
use super::search::Search;

/// Plans made from one before the next step; fixed, so that the number of threads does not matter.
const PROPOSALS: usize = 8;
/// The longest string, and the most strings that are taken out at once.
const LONGEST: usize = 10;
const MOST_STRINGS: usize = 3;
/// Chance of a copy to come back in any mode, and to keep the one that it had.
const BLINK: f64 = 0.1;
const KEEP: f64 = 0.3;
/// Temperatures at the start and at the end, as shares of the goal.
const HOT: f64 = 2e-3;
const COLD: f64 = 1e-6;
/// Steps without a better plan after which none is expected any more.
const PATIENCE: u64 = 20_000;

/// The plan that the search stands at.
struct Current {
    score: Score,
    schedule: Schedule,
    /// Copies by first node and start, and where each copy stands in there.
    strings: Vec<usize>,
    place: Vec<usize>,
}

impl Current {
    fn new(score: Score, schedule: Schedule) -> Self {
        let key = |&copy: &usize| {
            let placed = schedule.placed[copy].as_ref();
            placed.map_or((usize::MAX, Millis::MAX), |placed| {
                let node = schedule.nodes(placed).first();
                (node.copied().unwrap_or(usize::MAX), placed.start)
            })
        };
        let mut strings: Vec<usize> = (0..schedule.placed.len()).collect();
        strings.sort_by_key(key);
        let mut place = vec![0; strings.len()];
        for (at, &copy) in strings.iter().enumerate() {
            place[copy] = at;
        }
        Self {
            score,
            schedule,
            strings,
            place,
        }
    }

    fn start(&self, copy: usize) -> Millis {
        let placed = self.schedule.placed[copy].as_ref();
        placed.map_or(Millis::MAX, |placed| placed.start)
    }
}

/// Searches until the budget ends, the gap is closed or no better plan is expected.
pub(super) fn run(search: &mut Search) {
    let (Some(preference), Some(incumbent)) = (keys::preference(search), search.incumbent()) else {
        return;
    };
    let (instance, seed) = (search.instance, search.seed);
    let scale = worth(instance, &incumbent.score).abs().max(1.0);
    let mut current = Current::new(incumbent.score, incumbent.schedule.clone());
    let (mut round, mut best_round) = (0u64, 0u64);
    while !search.is_over() && round - best_round < PATIENCE {
        round += 1;
        let temperature = scale * HOT * (COLD / HOT).powf(search.meter().progress());
        let propose = |index: usize| {
            let random = &mut generator(seed, round, index as u64);
            propose(instance, &current, &preference, random)
        };
        let recipes: Vec<Recipe> = (0..PROPOSALS).into_par_iter().map(propose).collect();
        let best = search.incumbent().map(|incumbent| incumbent.score);
        let refined = search.refine(&recipes, Algorithm::RuinRecreate);
        let Some(found) = refined.into_iter().flatten().min_by_key(|found| found.0) else {
            return;
        };
        if best.is_none_or(|best| found.0 < best) {
            best_round = round;
        }
        let random = &mut generator(seed, round, PROPOSALS as u64);
        let rise = worth(instance, &found.0) - worth(instance, &current.score);
        let is_accepted = found.0.unplaced < current.score.unplaced
            || found.0.unplaced == current.score.unplaced
                && rise < -temperature * random.random::<f64>().max(f64::MIN_POSITIVE).ln();
        if is_accepted {
            current = Current::new(found.0, found.1);
        }
    }
}

/// The goal, and where that is a last end a little of the other ends, so that steps on the flat have a direction.
fn worth(instance: &Instance, score: &Score) -> f64 {
    let flat = match instance.problem.goal {
        Goal::Makespan => 0.05 / instance.copies().max(1) as f64,
        _ => 0.0,
    };
    score.goal as f64 + flat * score.ends as f64
}

/// Takes copies out of the plan and says how they come back.
fn propose(
    instance: &Instance,
    current: &Current,
    preference: &Preference,
    random: &mut ChaCha8Rng,
) -> Recipe {
    let mut removed = ruin(instance, current, random);
    let first = removed.iter().map(|&copy| current.start(copy)).min();
    let first = first.unwrap_or(Millis::MAX);
    sort(instance, current, &mut removed, random);
    let mut recipe = Recipe::of_schedule(&current.schedule, preference);
    let mut is_removed = vec![false; instance.copies()];
    for &copy in &removed {
        is_removed[copy] = true;
        if random.random_bool(BLINK) {
            recipe.modes[copy] = any_mode(instance.task(copy), random);
        } else if !random.random_bool(KEEP) {
            recipe.modes[copy] = None;
        }
    }
    recipe.order.retain(|&copy| !is_removed[copy]);
    if random.random_bool(0.5) {
        let at = recipe
            .order
            .partition_point(|&copy| current.start(copy) < first);
        recipe.order.splice(at..at, removed);
    } else {
        // Each on its own, a few places before or behind where it was.
        for copy in removed {
            let was = recipe
                .order
                .partition_point(|&other| current.start(other) < current.start(copy));
            let span = 2 * LONGEST;
            let at = (was + random.random_range(0..=span)).saturating_sub(LONGEST);
            recipe.order.insert(at.min(recipe.order.len()), copy);
        }
    }
    recipe
}

/// Which copies leave: strings around a copy and around others near in time, or its kin in the order of tasks.
fn ruin(instance: &Instance, current: &Current, random: &mut ChaCha8Rng) -> Vec<usize> {
    let copies = instance.copies();
    let seed = random.random_range(0..copies);
    let longest = LONGEST.min(copies);
    let mut removed = vec![seed];
    let task = instance.task(seed);
    if instance.is_ordered && random.random_bool(0.4) {
        let kin = task.after.iter().chain(&task.successors);
        removed.extend(kin.flat_map(|&task| instance.tasks[task].copies.clone()));
        removed[1..].shuffle(random);
        removed.truncate(longest);
    } else {
        let strings = random.random_range(1..=MOST_STRINGS);
        string(
            current,
            seed,
            random.random_range(1..=longest),
            &mut removed,
            random,
        );
        for _ in 1..strings {
            let other = near(current, seed, random);
            string(
                current,
                other,
                random.random_range(1..=longest),
                &mut removed,
                random,
            );
        }
    }
    removed.sort_unstable();
    removed.dedup();
    removed
}

/// Of a few copies the one that starts nearest in time.
fn near(current: &Current, seed: usize, random: &mut ChaCha8Rng) -> usize {
    let tries = (0..8).map(|_| random.random_range(0..current.strings.len()));
    let distance = |copy: &usize| current.start(*copy).abs_diff(current.start(seed));
    tries.min_by_key(distance).unwrap_or(seed)
}

/// Adds a string of so many copies around this one, neighbours in time on its node.
fn string(
    current: &Current,
    copy: usize,
    length: usize,
    removed: &mut Vec<usize>,
    random: &mut ChaCha8Rng,
) {
    let before = random.random_range(0..length);
    let from = current.place[copy].saturating_sub(before);
    let until = (from + length).min(current.strings.len());
    removed.extend(&current.strings[from..until]);
}

/// In which order the copies come back.
fn sort(instance: &Instance, current: &Current, removed: &mut [usize], random: &mut ChaCha8Rng) {
    let work = |copy: usize| {
        let modes = instance.task(copy).modes.iter();
        modes.map(|mode| mode.work).fold(f64::INFINITY, f64::min)
    };
    let urgency = |copy: usize| work(copy) / (instance.task(copy).weight as f64).max(1e-9);
    removed.shuffle(random);
    match random.random_range(0..4) {
        0 => removed.sort_by(|&one, &other| work(other).total_cmp(&work(one))),
        1 => removed.sort_by(|&one, &other| urgency(one).total_cmp(&urgency(other))),
        2 => removed.sort_by_key(|&copy| Reverse(current.start(copy))),
        _ => {}
    }
}
