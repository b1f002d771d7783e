//! Genetic search with biased random keys: Gonçalves and Resende, "Biased random-key genetic algorithms for
//! combinatorial optimization", Journal of Heuristics 17 (2011).
//!
//! Each copy has two keys: one sorts the copies, the other names the mode, or leaves it to the preference of
//! the recipe that the search starts from. Besides crossover with the elite and newcomers, some children are
//! a neighbour of an elite plan: few copies moved in the order or to another mode.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::model::Algorithm;

use super::instance::Instance;
use super::preference::Preference;
use super::schedule::Recipe;
use super::score::Score;
use super::search::Search;

/// Plans of a generation; fewer where decoding one takes long.
const POPULATION: usize = 48;
const SMALL_POPULATION: usize = 16;
/// Copies from which on the small population is used.
const MANY_COPIES: usize = 2_000;
/// Chance that a key comes from the elite parent.
const ELITE_BIAS: f64 = 0.7;
/// Generations without a better plan after which none is expected any more.
const PATIENCE: usize = 400;

/// Two keys for each copy.
#[derive(Clone)]
struct Genes {
    order: Vec<u32>,
    mode: Vec<u32>,
}

struct Individual {
    score: Score,
    genes: Genes,
}

/// Searches until the budget ends, the gap is closed or no better plan is expected.
pub(super) fn run(search: &mut Search) {
    let instance = search.instance;
    let Some(preference) = search
        .leaders()
        .first()
        .map(|(_, recipe)| recipe.preference.clone())
    else {
        return;
    };
    let size = if instance.copies() < MANY_COPIES {
        POPULATION
    } else {
        SMALL_POPULATION
    };
    let mut population = founders(search, &preference);
    let mut stale = 0;
    let mut generation = 0u64;
    while !search.is_over() && stale < PATIENCE {
        generation += 1;
        let best = population.first().map(|best| best.score);
        population.truncate(size / 3);
        let seed = search.seed;
        let breed = |index: usize| {
            child(
                instance,
                &population,
                &mut generator(seed, generation, index as u64),
            )
        };
        let children: Vec<Genes> = (0..size - population.len())
            .into_par_iter()
            .map(breed)
            .collect();
        population.extend(evaluate(search, children, &preference));
        population.sort_by_key(|individual| individual.score);
        population.dedup_by_key(|individual| individual.score);
        stale = if population.first().map(|best| best.score) < best {
            0
        } else {
            stale + 1
        };
    }
}

/// The generator of one child: it depends on nothing else, whatever thread makes it.
fn generator(seed: u64, generation: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&generation.to_le_bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// The leaders of the searches before, and the best plan once more with its modes fixed.
fn founders(search: &mut Search, preference: &Preference) -> Vec<Individual> {
    let instance = search.instance;
    let mut genes: Vec<Genes> = search
        .leaders()
        .iter()
        .map(|(_, recipe)| encode(instance, recipe))
        .collect();
    if let (Some(incumbent), Some((_, leader))) = (search.incumbent(), search.leaders().first()) {
        let modes = incumbent
            .schedule
            .placed
            .iter()
            .map(|placed| placed.as_ref().map(|placed| placed.mode));
        let fixed = Recipe {
            modes: modes.collect(),
            ..leader.clone()
        };
        genes.insert(0, encode(instance, &fixed));
    }
    let mut population = evaluate(search, genes, preference);
    population.sort_by_key(|individual| individual.score);
    population.dedup_by_key(|individual| individual.score);
    population
}

fn evaluate(search: &mut Search, genes: Vec<Genes>, preference: &Preference) -> Vec<Individual> {
    let instance = search.instance;
    let recipes: Vec<Recipe> = genes
        .par_iter()
        .map(|genes| decode(instance, genes, preference))
        .collect();
    let scores = search.evaluate(&recipes, Algorithm::Genetic);
    let scored = genes.into_iter().zip(scores);
    scored
        .filter_map(|(genes, score)| {
            Some(Individual {
                score: score?,
                genes,
            })
        })
        .collect()
}

/// Keys that decode to this recipe.
fn encode(instance: &Instance, recipe: &Recipe) -> Genes {
    let mut order = vec![0; instance.copies()];
    for (position, &copy) in recipe.order.iter().enumerate() {
        let spread = ((position as u64) << 32) / recipe.order.len().max(1) as u64;
        order[copy] = u32::try_from(spread).unwrap_or(u32::MAX);
    }
    let mode = |copy: usize| mode_key(recipe.modes[copy], instance.task(copy).modes.len());
    Genes {
        order,
        mode: (0..instance.copies()).map(mode).collect(),
    }
}

/// The middle of the keys that mean this mode; the last stretch leaves it open.
fn mode_key(mode: Option<usize>, modes: usize) -> u32 {
    let (place, places) = (mode.unwrap_or(modes) as u64, modes as u64 + 1);
    u32::try_from(((2 * place + 1) << 31) / places).unwrap_or(u32::MAX)
}

fn decode(instance: &Instance, genes: &Genes, preference: &Preference) -> Recipe {
    let mut order: Vec<usize> = (0..instance.copies()).collect();
    order.sort_unstable_by_key(|&copy| (genes.order[copy], copy));
    let mode = |copy: usize| {
        let modes = instance.task(copy).modes.len();
        let place = (u64::from(genes.mode[copy]) * (modes as u64 + 1)) >> 32;
        usize::try_from(place).ok().filter(|&mode| mode < modes)
    };
    Recipe {
        modes: (0..instance.copies()).map(mode).collect(),
        order,
        preference: preference.clone(),
    }
}

/// Three of eight children cross an elite plan with another one, four are neighbours, one is a newcomer.
fn child(instance: &Instance, elite: &[Individual], random: &mut ChaCha8Rng) -> Genes {
    let kind = random.random_range(0..8);
    match pick(elite, random) {
        Some(parent) if kind < 3 => match pick(elite, random) {
            Some(other) => cross(&parent.genes, &other.genes, random),
            None => parent.genes.clone(),
        },
        Some(parent) if kind < 7 => neighbour(instance, parent.genes.clone(), random),
        _ => newcomer(instance, random),
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

fn cross(elite: &Genes, other: &Genes, random: &mut ChaCha8Rng) -> Genes {
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
fn neighbour(instance: &Instance, mut genes: Genes, random: &mut ChaCha8Rng) -> Genes {
    let copies = genes.order.len();
    for _ in 0..random.random_range(1..=4) {
        let copy = random.random_range(0..copies);
        let modes = instance.task(copy).modes.len();
        if modes > 1 && random.random_bool(0.5) {
            let mode = random.random_range(0..=modes);
            genes.mode[copy] = mode_key(Some(mode).filter(|&mode| mode < modes), modes);
        } else {
            let beside = genes.order[random.random_range(0..copies)];
            genes.order[copy] = beside.saturating_add(random.random_range(0..2));
        }
    }
    genes
}

fn newcomer(instance: &Instance, random: &mut ChaCha8Rng) -> Genes {
    let mut keys = || (0..instance.copies()).map(|_| random.random()).collect();
    Genes {
        order: keys(),
        mode: keys(),
    }
}
