//! The same properties on nodes in racks, with gangs that talk or must stand near each other.

use proptest::prelude::*;

use crate::model::{Algorithm, Goal};
use crate::verify;

use super::problems::{Sizes, problem_on_racks};
use super::{any_goal, cases, checker, exhaustive, plan, sign};

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.to_vec())
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn every_plan_on_racks_is_valid_and_within_its_bound(
        problem in any_goal().prop_flat_map(|goal| problem_on_racks(goal, Sizes::Small)),
        algorithm in any_algorithm(),
    ) {
        let solution = plan(&problem, algorithm, 1, 60);
        checker::check(&problem, &solution);
        prop_assert_eq!(verify::check(&problem, &solution), Ok(()));
        if !problem.goal.is_static() {
            prop_assert_eq!(solution.plan.assignments.len(), problem.copies());
        }
    }

    #[test]
    fn huge_times_across_racks_neither_overflow_nor_hang(
        problem in any_goal().prop_flat_map(|goal| problem_on_racks(goal, Sizes::Huge)),
    ) {
        let solution = plan(&problem, Algorithm::Auto, 1, 30);
        checker::check(&problem, &solution);
        // The goal itself may be beyond 128 bits.
        prop_assert_eq!(verify::check_plan(&problem, &solution.plan), Ok(()));
    }

    #[test]
    fn no_bound_on_racks_is_above_the_exact_optimum(
        problem in any_goal().prop_flat_map(|goal| problem_on_racks(goal, Sizes::Tiny)),
        algorithm in any_algorithm(),
    ) {
        let solution = plan(&problem, algorithm, 3, 400);
        checker::check(&problem, &solution);
        let Some(exact) = exhaustive::optimum(&problem) else { return Ok(()) };
        if exact.placed == solution.plan.assignments.len() {
            let sign = sign(problem.goal);
            let (objective, optimum) = (sign * i128::from(solution.objective), sign * i128::from(exact.objective));
            prop_assert!(optimum <= objective, "{} beats the optimum {}", solution.objective, exact.objective);
            if !problem.goal.is_static() || exact.placed == problem.copies() {
                let bound = sign * i128::from(solution.bound);
                prop_assert!(bound <= optimum, "{} {} is above {}", solution.bound_name, solution.bound, exact.objective);
            }
            if algorithm == Algorithm::Exact && matches!(problem.goal, Goal::Makespan | Goal::FlowTime) {
                prop_assert_eq!(objective, optimum, "the exact search is exact");
            }
        }
    }
}
