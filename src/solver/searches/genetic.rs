//! Genetic search with biased random keys: Gonçalves and Resende, "Biased random-key genetic algorithms for
//! combinatorial optimization", Journal of Heuristics 17 (2011).
//!
//! Besides crossover with the elite and newcomers, some children are a neighbour of an elite plan: few copies
//! moved in the order or to another mode. The plans of a project are improved before they are judged, and
//! inherit what they became (Van Peteghem and Vanhoucke, "A genetic algorithm for the preemptive and
//! non-preemptive multi-mode resource-constrained project scheduling problem", EJOR 201, 2010). Where a
//! population has grown stale, another one starts from nothing.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::model::Algorithm;
use crate::solver::decoder::preference::Preference;
use crate::solver::goals::Score;
use crate::solver::instance::Instance;
use crate::solver::schedule::Recipe;
use crate::solver::search::Search;

use super::keys::{self, Keys, any_mode, founders, generator, mode_key};

/// Plans of a generation; fewer where decoding one takes long.
const POPULATION: usize = 48;
const SMALL_POPULATION: usize = 16;
/// Copies from which on the small population is used.
const MANY_COPIES: usize = 2_000;
/// Chance that a key comes from the elite parent.
const ELITE_BIAS: f64 = 0.7;
/// Generations without a better plan after which none is expected any more.
const PATIENCE: usize = 400;
/// The same for a population of a project, of which several are tried.
const PROJECT_PATIENCE: usize = 100;
/// So many populations in a row without a better plan are the last ones.
const POPULATIONS: usize = 200;

struct Individual {
    score: Score,
    keys: Keys,
}

/// Searches until the budget ends, the gap is closed or no better plan is expected.
pub(super) fn run(search: &mut Search) {
    let Some(preference) = keys::preference(search) else {
        return;
    };
    let is_project = search.instance.project.is_some();
    let first = founders(search)
        .iter()
        .map(|recipe| Keys::of(search.instance, recipe))
        .collect();
    let (mut round, mut best) = (0, None);
    let mut population = evaluate(search, first, &preference);
    let mut stale = 0;
    loop {
        evolve(search, population, &preference, &mut round);
        let now = search.incumbent().map(|incumbent| incumbent.score);
        stale = if now == best { stale + 1 } else { 0 };
        best = now;
        if !is_project || search.is_over() || stale >= POPULATIONS {
            return;
        }
        population = Vec::new();
    }
}

/// Breeds generation after generation until nothing better is expected of this population.
fn evolve(
    search: &mut Search,
    mut population: Vec<Individual>,
    preference: &Preference,
    round: &mut u64,
) {
    let (instance, seed) = (search.instance, search.seed);
    let size = if instance.copies() < MANY_COPIES {
        POPULATION
    } else {
        SMALL_POPULATION
    };
    let patience = match instance.project {
        Some(_) => PROJECT_PATIENCE,
        None => PATIENCE,
    };
    let mut stale = 0;
    while !search.is_over() && stale < patience {
        *round += 1;
        let generation = *round;
        let best = population.first().map(|best| best.score);
        population.truncate(size / 3);
        let breed = |index: usize| {
            let random = &mut generator(seed, generation, index as u64);
            child(instance, &population, random)
        };
        let children = (0..size - population.len()).into_par_iter().map(breed);
        let children: Vec<Keys> = children.collect();
        population.extend(evaluate(search, children, preference));
        population.sort_by_key(|individual| individual.score);
        population.dedup_by_key(|individual| individual.score);
        let is_better = population.first().map(|first| first.score) < best || best.is_none();
        stale = if is_better { 0 } else { stale + 1 };
    }
}

/// Judges children. Those of a project are improved, and their keys become those of what they were made to.
fn evaluate(search: &mut Search, children: Vec<Keys>, preference: &Preference) -> Vec<Individual> {
    let instance = search.instance;
    let recipes = children
        .par_iter()
        .map(|keys| keys.recipe(instance, preference));
    let recipes: Vec<Recipe> = recipes.collect();
    if instance.project.is_none() {
        let scores = search.evaluate(&recipes, Algorithm::Genetic);
        let scored = children.into_iter().zip(scores);
        return scored
            .filter_map(|(keys, score)| {
                Some(Individual {
                    score: score?,
                    keys,
                })
            })
            .collect();
    }
    let refined = search.refine(&recipes, Algorithm::Genetic);
    let inherit = |(score, schedule)| Individual {
        score,
        keys: Keys::of(instance, &Recipe::of_schedule(&schedule, preference)),
    };
    refined.into_iter().flatten().map(inherit).collect()
}

/// Three of eight children cross an elite plan with another one, four are neighbours, one is a newcomer.
fn child(instance: &Instance, elite: &[Individual], random: &mut ChaCha8Rng) -> Keys {
    let kind = random.random_range(0..8);
    match pick(elite, random) {
        Some(parent) if kind < 3 => match pick(elite, random) {
            Some(other) => cross(&parent.keys, &other.keys, random),
            None => parent.keys.clone(),
        },
        Some(parent) if kind < 7 => neighbour(instance, parent.keys.clone(), random),
        _ => Keys::random(instance, random),
    }
}

/// An elite plan, better ones more often.
fn pick<'p>(elite: &'p [Individual], random: &mut ChaCha8Rng) -> Option<&'p Individual> {
    if elite.is_empty() {
        return None;
    }
    let one = random.random_range(0..elite.len());
    let other = random.random_range(0..elite.len());
    elite.get(one.min(other))
}

fn cross(elite: &Keys, other: &Keys, random: &mut ChaCha8Rng) -> Keys {
    let mut child = elite.clone();
    for copy in 0..child.order.len() {
        if !random.random_bool(ELITE_BIAS) {
            child.order[copy] = other.order[copy];
            child.mode[copy] = other.mode[copy];
        }
    }
    child
}

/// Moves one to four copies: beside another one in the order, or to another mode.
fn neighbour(instance: &Instance, mut keys: Keys, random: &mut ChaCha8Rng) -> Keys {
    let copies = keys.order.len();
    for _ in 0..random.random_range(1..=4) {
        let copy = random.random_range(0..copies);
        let task = instance.task(copy);
        if task.modes.len() > 1 && random.random_bool(0.5) {
            keys.mode[copy] = mode_key(task, any_mode(task, random));
        } else {
            let beside = keys.order[random.random_range(0..copies)];
            keys.order[copy] = beside.saturating_add(random.random_range(0..2));
        }
    }
    keys
}
