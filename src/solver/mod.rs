//! Searches and bounds: from a problem to a plan with its proof.
//!
//! ```text
//! Problem -> Instance     instance/  what does not change
//! Recipe  -> Schedule     decoder/   order, modes, preference -> places; for static goals and for projects too
//! Schedule -> Score       goals/     what it is worth, one goal a file
//! Search -> Incumbent     searches/  one a file or folder, each on the budget, decoders and best plan of `search.rs`
//! Relaxation -> Bound     bounds/    what no plan can beat, one a file with its proof
//! ```
//!
//! The same problem, seed and iterations give the same solution whatever the number of threads: recipes are
//! made from (seed, generation, index), decoded independently of one another, and compared in their order.

mod bounds;
mod budget;
mod decoder;
mod goals;
mod incumbent;
mod instance;
mod judge;
mod schedule;
mod search;
mod searches;
mod unplaced;

#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use incumbent::{Improvement, Listener};
pub use judge::judge;

use crate::model::{Algorithm, Earlier, Outcome, Plan, Problem, Solution};

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
            searches::warm::start(&mut search, earlier);
        }
        for run in searches::of(options.algorithm, &instance) {
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
        tardiness: 0,
        tardiness_bound: 0,
        earliest_ends: instance.earliest_ends.clone(),
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
        solution.tardiness = incumbent.score.tardiness;
        solution.tardiness_bound = incumbent.tardiness_bound;
        solution.found_by = incumbent.found_by;
    }
    solution
}
