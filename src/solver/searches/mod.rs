//! The searches, one a file or folder. A new one is a file and a line in [`of`].

mod annealing;
mod auto;
mod backward;
mod exact;
mod exchange;
mod genetic;
mod greedy;
mod keys;
mod particle_swarm;
mod priced;
mod queues;
mod ruin_recreate;
mod target;
pub(super) mod warm;

use crate::model::Algorithm;
use crate::solver::instance::Instance;
use crate::solver::search::Search;

/// The searches of an algorithm, in the order in which they run; each goes on from the best plans so far.
pub(super) fn of(algorithm: Algorithm, instance: &Instance) -> &'static [fn(&mut Search)] {
    if instance.problem.goal.is_static() {
        return at_once(algorithm);
    }
    match algorithm {
        Algorithm::Greedy => &[greedy::run],
        Algorithm::Genetic => &[greedy::run, genetic::run],
        Algorithm::Annealing => &[greedy::run, annealing::run],
        Algorithm::ParticleSwarm => &[greedy::run, particle_swarm::run],
        Algorithm::RuinRecreate => &[greedy::run, ruin_recreate::run],
        Algorithm::Exact if instance.has_dues => &[greedy::run, ruin_recreate::run],
        Algorithm::Exact => &[greedy::run, exact::run],
        Algorithm::Auto => &[auto::run],
    }
}

/// The same for the goals without a time axis.
fn at_once(algorithm: Algorithm) -> &'static [fn(&mut Search)] {
    match algorithm {
        Algorithm::Greedy => &[greedy::run],
        Algorithm::Genetic => &[greedy::run, genetic::run],
        Algorithm::ParticleSwarm => &[greedy::run, particle_swarm::run, exchange::run],
        Algorithm::Annealing | Algorithm::RuinRecreate | Algorithm::Exact | Algorithm::Auto => {
            &[greedy::run, exchange::run]
        }
    }
}
