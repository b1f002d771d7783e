//! Simulated annealing where copies meet elsewhere than on one node: in gangs, or because they wait for others. Each
//! chain walks from plan to plan by moves in its queue (`decoder/queue`).

use rayon::prelude::*;

use crate::model::Algorithm;
use crate::solver::decoder::queue::{Queue, QueueGround};
use crate::solver::goals::Score;
use crate::solver::instance::Instance;
use crate::solver::search::Search;

use super::annealing::temperature;
use super::keys::generator;

/// Plans that are walked from side by side; fixed, so that the number of threads does not matter.
const CHAINS: usize = 2;
/// Moves of a chain in a round.
const MOVES: u64 = 500;
/// Without a limit of time or iterations, so many rounds are the budget.
const MOST_ROUNDS: u64 = 100_000;

/// Whether there is something to anneal.
pub(super) fn suits(instance: &Instance) -> bool {
    QueueGround::suits(instance)
}

/// Searches until the budget ends.
pub(super) fn run(search: &mut Search) {
    let ground = QueueGround::new(search.instance);
    let (Some(ground), Some(incumbent)) = (ground, search.incumbent()) else {
        return;
    };
    let chains = (0..CHAINS).map(|_| Queue::new(&ground, &incumbent.schedule));
    let Some(mut chains) = chains.collect::<Option<Vec<Queue>>>() else {
        return;
    };
    let copies = search.instance.copies() as f64;
    let unit = chains[0].weighted_durations() / copies;
    let mut offered = i64::MAX;
    let (before, seed) = (search.iterations(), search.seed);
    for round in 1..=MOST_ROUNDS {
        if search.is_over() {
            break;
        }
        let spent = search.meter().progress();
        let spent = spent.max(round as f64 / MOST_ROUNDS as f64);
        let moves_each = (search.iterations() - before) as f64 / copies;
        let heat = unit * temperature(spent, moves_each);
        let meter = search.meter();
        let granted = meter.grant(MOVES * CHAINS as u64);
        let walk = |(index, chain): (usize, &mut Queue)| {
            let random = &mut generator(seed, round, index as u64);
            let rest = u64::from((index as u64) < granted % CHAINS as u64);
            let moves = granted / CHAINS as u64 + rest;
            let taken = chain.walk(moves, heat, random, || meter.expired());
            chain.write_down();
            taken
        };
        let taken: u64 = chains.par_iter_mut().enumerate().map(walk).sum();
        search.count(taken);
        let best = chains.iter().min_by_key(|chain| chain.best_energy);
        if let Some(best) = best.filter(|best| best.best_energy < offered) {
            offered = best.best_energy;
            let schedule = best.best.clone();
            let score = Score::of(search.instance, &schedule);
            search.offer(score, schedule, Algorithm::Annealing);
        }
    }
}
