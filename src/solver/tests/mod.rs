//! Properties of plans and bounds on generated problems, judged by brute force.

mod batches;
mod bounds;
mod checker;
mod compiled;
mod dues;
mod exact;
mod exhaustive;
mod hostile;
pub(super) mod problems;
mod projects;
mod racks;
mod warm;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPoolBuilder;

use crate::model::{Algorithm, Goal, Outcome, Problem, Solution};

use super::{Budget, Improvement, Options, solve};
use problems::{Sizes, problem, seed_case};

fn plan(problem: &Problem, algorithm: Algorithm, seed: u64, iterations: u64) -> Solution {
    let budget = Budget::of_iterations(iterations);
    solve(
        problem,
        &Options {
            algorithm,
            seed,
            budget,
        },
        None,
        &mut |_: &Improvement| {},
    )
}

fn sign(goal: Goal) -> i128 {
    if goal.is_maximised() { -1 } else { 1 }
}

fn any_goal() -> impl Strategy<Value = Goal> {
    prop::sample::select(Goal::ALL.to_vec())
}

/// A problem is named by the seed that proptest prints, so no file keeps it.
fn cases(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(cases);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn every_plan_is_valid_and_within_its_bound(problem in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Small))) {
        let solution = plan(&problem, Algorithm::Auto, 1, 60);
        checker::check(&problem, &solution);
        if !problem.goal.is_static() {
            prop_assert_eq!(solution.plan.assignments.len(), problem.copies());
        }
    }

    #[test]
    fn huge_numbers_neither_overflow_nor_hang(problem in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Huge))) {
        let solution = plan(&problem, Algorithm::Auto, 1, 30);
        checker::check(&problem, &solution);
    }

    #[test]
    fn the_number_of_threads_does_not_matter(problem in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Small))) {
        let with_threads = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let solution = pool.install(|| plan(&problem, Algorithm::Genetic, 7, 120));
            format!("{solution:?}")
        };
        prop_assert_eq!(with_threads(1), with_threads(2));
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn no_bound_is_above_the_exact_optimum(problem in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Tiny))) {
        let solution = plan(&problem, Algorithm::Auto, 3, 400);
        checker::check(&problem, &solution);
        let Some(exact) = exhaustive::optimum(&problem) else { return Ok(()) };
        let sign = sign(problem.goal);
        if exact.placed == solution.plan.assignments.len() {
            let (objective, optimum) = (sign * i128::from(solution.objective), sign * i128::from(exact.objective));
            prop_assert!(optimum <= objective, "{} beats the optimum {}", solution.objective, exact.objective);
            // A static bound speaks of the copies that the plan places: all of them, or others than the optimum's.
            if !problem.goal.is_static() || exact.placed == problem.copies() {
                let bound = sign * i128::from(solution.bound);
                prop_assert!(bound <= optimum, "{} {} is above {}", solution.bound_name, solution.bound, exact.objective);
            }
        }
    }
}

#[test]
fn the_seed_case_is_solved_by_every_search_for_every_seed() {
    let problem = seed_case();
    for algorithm in Algorithm::ALL {
        for seed in 0..100 {
            let solution = plan(&problem, algorithm, seed, 1000);
            checker::check(&problem, &solution);
            assert_eq!(
                (solution.objective, solution.bound),
                (6000, 6000),
                "{algorithm} {seed}"
            );
            assert_eq!(solution.outcome, Outcome::Optimal);
        }
    }
}

#[test]
fn small_static_problems_are_solved_to_the_optimum() {
    let (mut tried, mut missed) = (0, Vec::new());
    for seed in 0..1_500 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let goal = [Goal::Shortfall, Goal::Throughput][seed as usize % 2];
        let problem = problems::generate(goal, Sizes::Tiny, &mut random);
        let Some(exact) = exhaustive::optimum(&problem) else {
            continue;
        };
        tried += 1;
        let solution = plan(&problem, Algorithm::Auto, seed, 1_000);
        let found = (solution.plan.assignments.len(), solution.objective);
        if found != (exact.placed, exact.objective) {
            missed.push(seed);
        }
    }
    assert!(tried > 500, "{tried}");
    assert!(missed.len() * 100 <= tried, "{missed:?} of {tried}");
}

#[test]
fn there_is_a_plan_even_when_no_time_is_left() {
    let budget = Budget {
        iterations: None,
        spent: &|| 1.0,
    };
    let options = Options {
        algorithm: Algorithm::Auto,
        seed: 0,
        budget,
    };
    let solution = solve(&seed_case(), &options, None, &mut |_: &Improvement| {});
    assert_eq!(solution.plan.assignments.len(), 5);
    assert_eq!(solution.iterations, 1);
}

#[test]
fn the_listener_hears_of_ever_better_plans() {
    let mut problem = problems::moldable(30, 2, 5);
    problem.goal = Goal::FlowTime;
    let mut heard: Vec<Improvement> = Vec::new();
    let budget = Budget::of_iterations(500);
    let options = Options {
        algorithm: Algorithm::Auto,
        seed: 0,
        budget,
    };
    let solution = solve(&problem, &options, None, &mut |event: &Improvement| {
        heard.push(*event)
    });
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[0].objective >= pair[1].objective)
    );
    assert_eq!(
        heard.last().map(|last| last.objective),
        Some(solution.objective)
    );
    assert_eq!(solution.iterations, 500);
}

#[test]
fn nothing_to_plan_is_unknown_and_nothing_placed_infeasible() {
    let mut problem = seed_case();
    problem.tasks.clear();
    assert_eq!(
        plan(&problem, Algorithm::Auto, 0, 10).outcome,
        Outcome::Unknown
    );
    let mut full = seed_case();
    full.classes[0].free = vec![0];
    let solution = plan(&full, Algorithm::Auto, 0, 10);
    assert_eq!(solution.outcome, Outcome::Infeasible);
    assert_eq!(solution.plan.unplaced.len(), 5);
}

#[test]
fn what_waits_is_told_in_numbers() {
    let mut problem = seed_case();
    problem.classes[0].free = vec![1];
    problem.classes[0].nodes.truncate(3);
    let solution = plan(&problem, Algorithm::Auto, 0, 10);
    assert_eq!(solution.plan.assignments.len(), 3);
    let waiting = &solution.plan.unplaced[0];
    assert_eq!(
        waiting.message,
        "needs 1 example.com/gpu on one node; the freest of 3 nodes has 0 free"
    );
    assert_eq!(
        waiting.fix.as_ref().map(ToString::to_string).as_deref(),
        Some("free 1 example.com/gpu more on n0")
    );
}

#[test]
fn many_equal_copies_on_one_node_or_on_many_are_planned() {
    for nodes in [1, 500] {
        let mut problem = problems::moldable(1, nodes, 1);
        problem.goal = Goal::FlowTime;
        problem.tasks[0].copies = (0..3_000).collect();
        let solution = plan(&problem, Algorithm::Greedy, 0, 2);
        checker::check(&problem, &solution);
        assert_eq!(solution.plan.assignments.len(), 3_000);
    }
}
