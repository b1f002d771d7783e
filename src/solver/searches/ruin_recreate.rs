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
use crate::solver::goals::Score;
use crate::solver::instance::Instance;
use crate::solver::schedule::{Recipe, Schedule};
use crate::solver::search::Search;

use super::keys::{self, any_mode, generator};

/// How far a copy may come back from where it was in the order.
const REACH: usize = 10;
/// Chance of a copy to come back in any mode, and to keep the one that it had.
const BLINK: f64 = 0.1;
const KEEP: f64 = 0.3;
/// The temperature at the end, as a share of that at the start.
const COOLING: f64 = 1e-3;
/// Proposals after which the search is cold, however large the budget.
const MOST: usize = 400_000;

/// How the search walks.
struct Stride {
    /// The longest string, and the most strings that are taken out at once.
    longest: usize,
    strings: usize,
    /// The temperature at the start, as a share of the goal: one copy is about one part of all.
    hot: f64,
    /// Plans that are gone on from, which know nothing of one another, and proposals for the next step of each; fixed,
    /// so that the number of threads does not matter.
    chains: usize,
    proposals: usize,
}

impl Stride {
    /// A plan of a project is cheap, and hangs together: there, larger and bolder steps were seen to do better, and
    /// many of them better than the best of several.
    fn of(instance: &Instance) -> Self {
        let copies = instance.copies().max(1);
        let (longest, strings, heat, chains, proposals) = match instance.project {
            Some(_) => (10, 3, 0.5, 4, 1),
            None => (4, 2, 0.05, 1, 8),
        };
        Self {
            longest: longest.min(copies),
            strings,
            hot: heat / copies as f64,
            chains,
            proposals,
        }
    }
}

/// A plan that is gone on from.
#[derive(Clone)]
struct Current {
    score: Score,
    recipe: Recipe,
    schedule: Schedule,
    /// Copies by first node and start, and where each copy stands in there.
    strings: Vec<usize>,
    place: Vec<usize>,
}

impl Current {
    fn new(instance: &Instance, score: Score, recipe: Recipe, schedule: Schedule) -> Self {
        // Of one node the starts alone say everything, and the plan is not that of the recipe any more.
        let recipe = match instance.project {
            Some(_) => Recipe::of_schedule(&schedule, &recipe.preference),
            None => recipe,
        };
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
            recipe,
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

/// Searches until the budget ends, the gap is closed or it is cold.
pub(super) fn run(search: &mut Search) {
    let Some(first) = first(search) else {
        return;
    };
    let (instance, seed) = (search.instance, search.seed);
    let goal = worth(instance, &first.score).abs().max(1.0);
    let scale = Scale::of(instance, goal);
    let stride = Stride::of(instance);
    let all = stride.chains * stride.proposals;
    let steps = (MOST / all) as u64;
    let mut chains = vec![first; stride.chains];
    let mut round = 0u64;
    while !search.is_over() && round < steps {
        round += 1;
        let progress = search.meter().progress().max(round as f64 / steps as f64);
        let temperature = goal * stride.hot * COOLING.powf(progress);
        let propose = |index: usize| {
            let random = &mut generator(seed, round, index as u64);
            propose(instance, &stride, &chains[index / stride.proposals], random)
        };
        let recipes: Vec<Recipe> = (0..all).into_par_iter().map(propose).collect();
        let random = &mut generator(seed, round, all as u64);
        let mut tried = refined(search, recipes).into_iter();
        for current in &mut chains {
            let Some((score, recipe, schedule)) = best_of(tried.by_ref().take(stride.proposals))
            else {
                return;
            };
            let rise = scale.rise(instance, &current.score, &score);
            let luck = -random.random::<f64>().max(f64::MIN_POSITIVE).ln();
            let is_accepted = score.unplaced < current.score.unplaced
                || score.unplaced == current.score.unplaced && rise <= temperature * luck;
            if is_accepted {
                *current = Current::new(instance, score, recipe, schedule);
            }
        }
    }
}

/// The best plan of the searches before: as it is, or as a recipe of theirs makes it again.
fn first(search: &mut Search) -> Option<Current> {
    let founders = keys::founders(search);
    let (score, recipe, schedule) = best_of(refined(search, founders).into_iter())?;
    Some(Current::new(search.instance, score, recipe, schedule))
}

/// A recipe with what it makes.
type Tried = (Score, Recipe, Schedule);

/// Decodes proposals; `None` where the budget ended before.
fn refined(search: &mut Search, recipes: Vec<Recipe>) -> Vec<Option<Tried>> {
    let refined = search.refine(&recipes, Algorithm::RuinRecreate);
    let tried = refined.into_iter().zip(recipes);
    let made = |(found, recipe): (Option<(Score, Schedule)>, Recipe)| {
        found.map(|(score, schedule)| (score, recipe, schedule))
    };
    tried.map(made).collect()
}

/// The first of the best ones.
fn best_of(tried: impl Iterator<Item = Option<Tried>>) -> Option<Tried> {
    tried.flatten().min_by_key(|found| found.0)
}

/// What a weighted ms of lateness is worth beside the goal.
struct Scale {
    late: f64,
}

/// A copy that is late by its own length is worth so many times its part of the goal.
const LATENESS: f64 = 5.0;

impl Scale {
    fn of(instance: &Instance, goal: f64) -> Self {
        let each = instance.tasks.iter().map(|task| {
            let copies = task.copies.len() as f64;
            copies * task.weight as f64 * task.least() as f64
        });
        Self {
            late: LATENESS * goal / each.sum::<f64>().max(1.0),
        }
    }

    fn rise(&self, instance: &Instance, old: &Score, new: &Score) -> f64 {
        worth(instance, new) - worth(instance, old)
            + self.late * (new.tardiness - old.tardiness) as f64
    }
}

/// The goal, and where that is a last end a little of the other ends, so that steps on the flat have a direction.
pub(super) fn worth(instance: &Instance, score: &Score) -> f64 {
    let flat = match instance.problem.goal {
        Goal::Makespan => 0.05 / instance.copies().max(1) as f64,
        _ => 0.0,
    };
    score.goal as f64 + flat * score.ends as f64
}

/// Takes copies out of the plan and says how they come back.
fn propose(
    instance: &Instance,
    stride: &Stride,
    current: &Current,
    random: &mut ChaCha8Rng,
) -> Recipe {
    let mut removed = ruin(instance, stride, current, random);
    let first = removed.iter().map(|&copy| current.start(copy)).min();
    let first = first.unwrap_or(Millis::MAX);
    sort(instance, current, &mut removed, random);
    let mut recipe = current.recipe.clone();
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
        let later = |&copy: &usize| current.start(copy) >= first;
        let at = recipe.order.iter().position(later);
        let at = at.unwrap_or(recipe.order.len());
        recipe.order.splice(at..at, removed);
    } else {
        // Each on its own, a few places before or behind where it was.
        let mut was = vec![0; instance.copies()];
        for (position, &copy) in current.recipe.order.iter().enumerate() {
            was[copy] = position;
        }
        for copy in removed {
            let at = was[copy] + random.random_range(0..=2 * REACH);
            let at = at.saturating_sub(REACH).min(recipe.order.len());
            recipe.order.insert(at, copy);
        }
    }
    recipe
}

/// Which copies leave: strings around a copy and around others near in time, or its kin in the order of tasks.
fn ruin(
    instance: &Instance,
    stride: &Stride,
    current: &Current,
    random: &mut ChaCha8Rng,
) -> Vec<usize> {
    let copies = instance.copies();
    let seed = random.random_range(0..copies);
    let longest = stride.longest;
    let mut removed = vec![seed];
    let task = instance.task(seed);
    if instance.is_ordered && random.random_bool(0.4) {
        let kin = task.after.iter().chain(&task.successors);
        removed.extend(kin.flat_map(|&task| instance.tasks[task].copies.clone()));
        removed[1..].shuffle(random);
        removed.truncate(longest);
    } else {
        let strings = random.random_range(1..=stride.strings);
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
