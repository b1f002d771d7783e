//! The one call of a search. Virtual time does not pass while it searches, so it counts plans instead.

use crate::decide::Search;
use crate::model::{Earlier, Problem, Solution};
use crate::solver::{self, Budget, Improvement, Options};

/// Searches for a plan with a budget of iterations, so that the same seed gives the same plan.
pub(super) fn search(
    problem: &Problem,
    search: &Search,
    earlier: Option<&Earlier>,
    iterations: u64,
) -> Solution {
    let budget = Budget::of_iterations(search.iterations.unwrap_or(iterations));
    let options = Options {
        algorithm: search.algorithm,
        seed: search.seed,
        budget,
    };
    solver::solve(problem, &options, earlier, &mut |_: &Improvement| {})
}
