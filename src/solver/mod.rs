//! Searches and bounds: from a problem to a plan with its proof.
//!
//! ```text
//! Problem -> Instance            what does not change
//! Recipe  -> decoder | packing   order, modes, preference -> Schedule, Score; projects (one node) by serial
//! Search  = budget + workers + incumbent; greedy and genetic hand it recipes
//! bounds  = what no plan can beat
//! ```
//!
//! The same problem, seed and iterations give the same solution whatever the number of threads: recipes are
//! made from (seed, generation, index), decoded independently of one another, and compared in their order.
//! A new search is one file and one line in [`searches`]; a new bound one file and one line in its list.

mod allowance;
mod annealing;
mod auto;
mod backward;
mod bounds;
mod budget;
mod cheapest;
mod decoder;
mod exact;
mod exchange;
mod gang;
mod genetic;
mod greedy;
mod incumbent;
mod instance;
mod keys;
mod marginal;
mod packing;
mod particle_swarm;
mod preference;
mod priced;
mod profile;
mod project;
mod reduction;
mod rooms;
mod ruin_recreate;
mod schedule;
mod score;
mod search;
mod sequences;
mod serial;
mod timeline;
mod unplaced;
mod warm;

#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use incumbent::{Improvement, Listener};

use crate::model::{Algorithm, Earlier, Goal, Outcome, Plan, Problem, Solution};

use budget::Meter;
use instance::Instance;
use search::Search;

/// How to search.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Which search.
    pub algorithm: Algorithm,
    /// Seed of everything random.
    pub seed: u64,
    /// How long.
    pub budget: Budget<'a>,
}

/// The searches of an algorithm, in the order in which they run; each goes on from the best plans so far.
fn searches(algorithm: Algorithm, goal: Goal) -> &'static [fn(&mut Search)] {
    if goal.is_static() {
        return at_once(algorithm);
    }
    match algorithm {
        Algorithm::Greedy => &[greedy::run],
        Algorithm::Genetic => &[greedy::run, genetic::run],
        Algorithm::Annealing => &[greedy::run, annealing::run],
        Algorithm::ParticleSwarm => &[greedy::run, particle_swarm::run],
        Algorithm::RuinRecreate => &[greedy::run, ruin_recreate::run],
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

/// Plans as well as the budget allows. There is a plan even when the budget is over before it begins.
///
/// What still holds of an earlier plan is the first plan of all, so that it is only changed for a better one.
/// Searches run in parallel in the rayon pool of the caller.
pub fn solve(
    problem: &Problem,
    options: &Options,
    earlier: Option<&Earlier>,
    listener: &mut dyn Listener,
) -> Solution {
    let instance = Instance::new(problem);
    let mut search = Search::new(
        &instance,
        options.seed,
        Meter::new(options.budget),
        listener,
    );
    if instance.copies() > 0 {
        if let Some(earlier) = earlier {
            warm::start(&mut search, earlier);
        }
        for run in searches(options.algorithm, problem.goal) {
            if !search.is_over() {
                run(&mut search);
            }
        }
    }
    conclude(&instance, options, search)
}

/// The best plan with everything that is known of it.
fn conclude(instance: &Instance, options: &Options, search: Search) -> Solution {
    let problem = instance.problem;
    let iterations = search.iterations();
    let mut solution = Solution {
        plan: Plan {
            assignments: Vec::new(),
            unplaced: problem.unplaceable.clone(),
        },
        outcome: if problem.unplaceable.is_empty() {
            Outcome::Unknown
        } else {
            Outcome::Infeasible
        },
        objective: 0,
        bound: 0,
        bound_name: "none",
        algorithm: options.algorithm,
        found_by: Algorithm::Greedy,
        seed: options.seed,
        iterations,
    };
    if let Some(incumbent) = search.into_incumbent() {
        solution.plan.assignments = incumbent.schedule.assignments(instance);
        solution
            .plan
            .unplaced
            .extend(unplaced::explain(instance, &incumbent.schedule));
        solution.plan.unplaced.sort();
        solution.outcome = incumbent.outcome(instance);
        solution.objective = incumbent.objective(instance);
        solution.bound = incumbent.bound.value;
        solution.bound_name = incumbent.bound.name;
        solution.found_by = incumbent.found_by;
    }
    solution
}
