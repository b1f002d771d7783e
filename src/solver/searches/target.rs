//! Orders under a target, for Makespan: each copy takes the mode of least work with which everything may still end by a
//! target near the best plan known, and a local search looks for an order in which all do. The target as an oracle is
//! the dual approximation of Hochbaum and Shmoys, "Using dual approximation algorithms for scheduling problems",
//! Journal of the ACM 34 (1987); here it is drawn anew for each plan.
//!
//! A move puts a few copies elsewhere in the order; some of them keep a mode of their own until they are moved again.
//! Acceptance is that of simulated annealing.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::model::{Algorithm, Goal, Millis};
use crate::solver::bounds;
use crate::solver::decoder::preference::Preference;
use crate::solver::goals::Score;
use crate::solver::instance::Instance;
use crate::solver::schedule::Recipe;
use crate::solver::search::Search;

use super::greedy::batch_ends;
use super::keys::{self, any_mode, generator};
use super::ruin_recreate::worth;

/// Plans made from one before the next step; fixed, so that the number of threads does not matter.
const PROPOSALS: usize = 8;
/// The most copies that a move takes.
const MOST_MOVED: usize = 3;
/// Where targets lie between the bound, 0, and the end of the best plan, 1.
const TARGETS: std::ops::Range<f64> = 0.5..1.1;
/// Chance of a moved copy to take any mode, and to keep the one that it had; else it follows the target.
const PIN: f64 = 0.1;
const KEEP: f64 = 0.4;
/// The temperature at the start as a share of the goal, and how far it has fallen at the end.
const HOT: f64 = 0.03;
const COOLING: f64 = 1e-2;
/// Tells the random numbers of this search from those of others.
const STREAM: u64 = 1 << 32;

/// Whether only the last ends count. A project has a quicker decoder, which knows no targets.
pub(super) fn suits(instance: &Instance) -> bool {
    instance.problem.goal == Goal::Makespan && instance.project.is_none()
}

/// Searches until the budget ends or the gap is closed.
pub(super) fn run(search: &mut Search) {
    let Some(mut recipe) = keys::founders(search).into_iter().next() else {
        return;
    };
    let (instance, seed) = (search.instance, search.seed);
    recipe.modes.fill(None);
    let bound = bounds::ends(instance);
    let begun = search.meter().progress();
    let mut score: Option<Score> = None;
    let mut round = STREAM;
    while !search.is_over() {
        round += 1;
        let Some(incumbent) = search.incumbent() else {
            return;
        };
        let best = batch_ends(instance, &incumbent.schedule);
        let passed = (search.meter().progress() - begun) / (1.0 - begun).max(1e-9);
        let temperature = worth(instance, &incumbent.score) * HOT * COOLING.powf(passed);
        let propose = |index: usize| {
            let random = &mut generator(seed, round, index as u64);
            let part = random.random_range(TARGETS);
            let target = |(&least, &end): (&Millis, &Millis)| {
                least.saturating_add((end.saturating_sub(least) as f64 * part) as Millis)
            };
            let targets: Arc<[Millis]> = bound.iter().zip(&best).map(target).collect();
            Recipe {
                preference: Preference::Deadline(targets),
                ..shuffled(instance, &recipe, random)
            }
        };
        let recipes: Vec<Recipe> = (0..PROPOSALS).into_par_iter().map(propose).collect();
        let scores = search.evaluate(&recipes, Algorithm::Annealing);
        let tried = scores.into_iter().zip(recipes);
        let tried = tried.filter_map(|(score, recipe)| Some((score?, recipe)));
        let Some((new, proposal)) = tried.min_by_key(|(score, _)| *score) else {
            return;
        };
        let random = &mut generator(seed, round, PROPOSALS as u64);
        let luck = -random.random::<f64>().max(f64::MIN_POSITIVE).ln();
        let rise = |old: &Score| worth(instance, &new) - worth(instance, old);
        if score.is_none_or(|old| rise(&old) <= temperature * luck) {
            (score, recipe) = (Some(new), proposal);
        }
    }
}

/// The same recipe with a few copies elsewhere in the order.
fn shuffled(instance: &Instance, recipe: &Recipe, random: &mut ChaCha8Rng) -> Recipe {
    let mut recipe = recipe.clone();
    let copies = instance.copies();
    for _ in 0..random.random_range(1..=MOST_MOVED) {
        let copy = recipe.order.remove(random.random_range(0..copies));
        recipe.order.insert(random.random_range(0..copies), copy);
        let dice: f64 = random.random();
        if dice < PIN {
            recipe.modes[copy] = any_mode(instance.task(copy), random);
        } else if dice >= PIN + KEEP {
            recipe.modes[copy] = None;
        }
    }
    recipe
}
