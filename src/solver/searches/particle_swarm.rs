//! Particle swarm over random keys: Kennedy and Eberhart, "Particle swarm optimization", ICNN 1995, with the
//! constriction of Clerc and Kennedy (2002), in which the neighbours of a particle on a ring tell it the best
//! place that they know, and on keys as Bean (1994) reads them.
//!
//! A key is a number in [0, 1). The swarm starts around the plans of the searches before, and where it grows
//! stale it is scattered around the best plan again.

use rand::RngExt;
use rayon::prelude::*;

use crate::model::Algorithm;
use crate::solver::decoder::preference::Preference;
use crate::solver::goals::Score;
use crate::solver::instance::Instance;
use crate::solver::schedule::Recipe;
use crate::solver::search::Search;

use super::keys::{self, Keys, any_mode, founders, generator, mode_key};

/// Particles; fewer where decoding a plan takes long.
const SWARM: usize = 24;
const SMALL_SWARM: usize = 8;
/// Copies from which on the small swarm is used.
const MANY_COPIES: usize = 2_000;
/// What a particle keeps of its velocity, and how strongly it is drawn to a place that it knows.
const INERTIA: f64 = 0.729;
const PULL: f64 = 1.494;
/// Rounds in which no particle finds a better plan, after which the swarm is scattered.
const PATIENCE: usize = 60;
/// Swarms in a row without a better plan after which none is expected any more.
const SWARMS: usize = 12;
/// Copies moved at random when a particle is scattered, as a share of all.
const SCATTER: f64 = 0.1;

struct Particle {
    keys: Vec<f64>,
    velocity: Vec<f64>,
    best: Option<(Score, Vec<f64>)>,
}

/// Searches until the budget ends, the gap is closed or no better plan is expected.
pub(super) fn run(search: &mut Search) {
    let Some(preference) = keys::preference(search) else {
        return;
    };
    let (mut round, mut stale) = (0, 0);
    while !search.is_over() && stale < SWARMS {
        let before = search.incumbent().map(|incumbent| incumbent.score);
        swarm(search, &preference, &mut round);
        let after = search.incumbent().map(|incumbent| incumbent.score);
        stale = if after < before { 0 } else { stale + 1 };
    }
}

/// One swarm, from the best plans so far until it is stale.
fn swarm(search: &mut Search, preference: &Preference, round: &mut u64) {
    let (instance, seed) = (search.instance, search.seed);
    let size = if instance.copies() < MANY_COPIES {
        SWARM
    } else {
        SMALL_SWARM
    };
    let known: Vec<Vec<f64>> = founders(search)
        .iter()
        .map(|recipe| flat(&Keys::of(instance, recipe)))
        .collect();
    *round += 1;
    let scatter = |index: usize| scattered(instance, &known, seed, *round, index);
    let mut particles: Vec<Particle> = (0..size).into_par_iter().map(scatter).collect();
    let mut stale = 0;
    while !search.is_over() && stale < PATIENCE {
        stale = if judge(search, &mut particles, preference) {
            0
        } else {
            stale + 1
        };
        *round += 1;
        fly(&mut particles, seed, *round);
    }
}

/// A particle near a known plan; the first one is the best plan as it is.
fn scattered(
    instance: &Instance,
    known: &[Vec<f64>],
    seed: u64,
    round: u64,
    index: usize,
) -> Particle {
    let random = &mut generator(seed, round, index as u64);
    let copies = instance.copies();
    // Half of the swarm stays with the best plan.
    let near = if index.is_multiple_of(2) {
        0
    } else {
        index / 2 % known.len().max(1)
    };
    let mut keys = known
        .get(near)
        .cloned()
        .unwrap_or_else(|| vec![0.5; 2 * copies]);
    if index > 0 {
        let moves = 1 + (copies as f64 * SCATTER * random.random::<f64>()) as usize;
        for _ in 0..moves {
            let copy = random.random_range(0..copies);
            if random.random_bool(0.5) {
                let task = instance.task(copy);
                keys[copies + copy] = part(mode_key(task, any_mode(task, random)));
            } else {
                keys[copy] = keys[random.random_range(0..copies)];
            }
        }
    }
    let velocity = keys
        .iter()
        .map(|_| (random.random::<f64>() - 0.5) / copies as f64);
    Particle {
        velocity: velocity.collect(),
        keys,
        best: None,
    }
}

/// Decodes all particles; whether one of them is at a better place than it ever was. What a project's plan was
/// improved to is where its particle is from then on.
fn judge(search: &mut Search, particles: &mut [Particle], preference: &Preference) -> bool {
    let instance = search.instance;
    let recipes: Vec<Recipe> = particles
        .par_iter()
        .map(|particle| keyed(&particle.keys).recipe(instance, preference))
        .collect();
    let refined = search.refine(&recipes, Algorithm::ParticleSwarm);
    let mut is_better = false;
    for (particle, refined) in particles.iter_mut().zip(refined) {
        let Some((score, schedule)) = refined else {
            continue;
        };
        if instance.project.is_some() {
            let recipe = Recipe::of_schedule(&schedule, preference);
            particle.keys = flat(&Keys::of(instance, &recipe));
        }
        if particle.best.as_ref().is_none_or(|(best, _)| score < *best) {
            is_better = true;
            particle.best = Some((score, particle.keys.clone()));
        }
    }
    is_better
}

/// Moves every particle: on, towards the best place that it knows, and that its neighbours know.
fn fly(particles: &mut [Particle], seed: u64, round: u64) {
    let size = particles.len();
    let score = |index: usize| particles[index].best.as_ref().map(|(score, _)| *score);
    let teacher = |index: usize| {
        let ring = [index, (index + 1) % size, (index + size - 1) % size];
        let known = ring.into_iter().filter(|&other| score(other).is_some());
        known.min_by_key(|&other| score(other))
    };
    let places: Vec<Option<Vec<f64>>> = (0..size)
        .map(|index| Some(particles[teacher(index)?].best.as_ref()?.1.clone()))
        .collect();
    let moves = particles.par_iter_mut().zip(places).enumerate();
    moves.for_each(|(index, (particle, place))| {
        let random = &mut generator(seed, round, index as u64);
        let Particle {
            keys,
            velocity,
            best,
        } = particle;
        for (at, key) in keys.iter_mut().enumerate() {
            let own = best.as_ref().map_or(*key, |(_, keys)| keys[at]);
            let others = place.as_ref().map_or(*key, |place| place[at]);
            let pull = PULL * random.random::<f64>() * (own - *key)
                + PULL * random.random::<f64>() * (others - *key);
            let speed = (INERTIA * velocity[at] + pull).clamp(-0.5, 0.5);
            let there = *key + speed;
            // A wall stops what flies into it.
            velocity[at] = if (0.0..1.0).contains(&there) {
                speed
            } else {
                0.0
            };
            *key = there.clamp(0.0, 1.0);
        }
    });
}

/// Order keys, then mode keys, as parts of the whole range.
fn flat(keys: &Keys) -> Vec<f64> {
    keys.order
        .iter()
        .chain(&keys.mode)
        .map(|&key| part(key))
        .collect()
}

fn part(key: u32) -> f64 {
    f64::from(key) / f64::from(u32::MAX)
}

fn keyed(flat: &[f64]) -> Keys {
    let (order, mode) = flat.split_at(flat.len() / 2);
    let key = |part: &f64| (part * f64::from(u32::MAX)) as u32;
    Keys {
        order: order.iter().map(key).collect(),
        mode: mode.iter().map(key).collect(),
    }
}
