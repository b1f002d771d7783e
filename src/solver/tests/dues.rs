//! Deadlines: tardiness before the goal, bounds on both, and the goal Cost within a deadline.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPoolBuilder;

use crate::model::{
    Algorithm, Goal, Mode, Near, NodeClass, Outcome, PlannedBatch, PlannedTask, Problem, Resources,
    Run, exact,
};
use crate::verify::{self, Violation};

use super::problems::{Sizes, generate};
use super::{cases, checker, exhaustive, plan};

/// A generated problem of which most tasks are due, some of them in the past.
fn with_dues(goal: Goal, sizes: Sizes) -> impl Strategy<Value = Problem> {
    any::<u64>().no_shrink().prop_map(move |seed| {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut problem = generate(goal, sizes, random);
        for task in &mut problem.tasks {
            let due = match sizes {
                Sizes::Huge => i64::MAX >> random.random_range(0..62),
                _ => random.random_range(-2..14),
            };
            task.due = random.random_bool(0.8).then_some(due);
        }
        problem
    })
}

fn timed() -> impl Strategy<Value = Goal> {
    prop::sample::select(vec![Goal::Makespan, Goal::FlowTime, Goal::Cost])
}

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.to_vec())
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn every_search_makes_valid_plans(
        problem in timed().prop_flat_map(|goal| with_dues(goal, Sizes::Small)), algorithm in any_algorithm(),
    ) {
        let solution = plan(&problem, algorithm, 1, 60);
        checker::check(&problem, &solution);
        prop_assert_eq!(verify::check(&problem, &solution), Ok(()));
    }

    #[test]
    fn huge_numbers_neither_overflow_nor_hang(
        problem in timed().prop_flat_map(|goal| with_dues(goal, Sizes::Huge)), algorithm in any_algorithm(),
    ) {
        let solution = plan(&problem, algorithm, 1, 30);
        checker::check(&problem, &solution);
        let mut found = verify::check(&problem, &solution).err().unwrap_or_default();
        // Weights and ends of 63 bits each may add up to more than can be counted.
        found.retain(|violation| !matches!(violation, Violation::Uncountable { .. }));
        prop_assert_eq!(found, vec![]);
    }

    #[test]
    fn goals_without_a_time_axis_do_not_look_at_them(problem in with_dues(Goal::Throughput, Sizes::Small)) {
        let solution = plan(&problem, Algorithm::Auto, 1, 60);
        prop_assert_eq!((solution.tardiness, solution.earliest_ends.len()), (0, 0));
    }

    #[test]
    fn the_number_of_threads_does_not_matter(problem in timed().prop_flat_map(|goal| with_dues(goal, Sizes::Small))) {
        let with_threads = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| format!("{:?}", plan(&problem, Algorithm::Auto, 7, 120)))
        };
        prop_assert_eq!(with_threads(1), with_threads(2));
    }

    #[test]
    fn no_bound_is_above_the_exact_optimum(problem in timed().prop_flat_map(|goal| with_dues(goal, Sizes::Tiny))) {
        let solution = plan(&problem, Algorithm::Auto, 3, 400);
        let Some(exact) = exhaustive::in_time(&problem) else { return Ok(()) };
        prop_assume!(exact.placed == problem.copies());
        prop_assert!(solution.tardiness_bound <= exact.tardiness, "{} is above {}", solution.tardiness_bound, exact.tardiness);
        prop_assert!(solution.bound <= exact.objective, "{} is above {}", solution.bound, exact.objective);
        prop_assert!((exact.tardiness, exact.objective) <= (solution.tardiness, solution.objective),
            "{:?} beats the optimum {:?}", (solution.tardiness, solution.objective), (exact.tardiness, exact.objective));
    }
}

#[test]
fn most_small_problems_are_solved_to_the_optimum() {
    let (mut tried, mut missed) = (0, Vec::new());
    for seed in 0..600u64 {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let goal = [Goal::Makespan, Goal::FlowTime, Goal::Cost][seed as usize % 3];
        let mut problem = generate(goal, Sizes::Tiny, random);
        for task in &mut problem.tasks {
            task.due = random.random_bool(0.8).then(|| random.random_range(0..12));
        }
        let Some(exact) = exhaustive::in_time(&problem) else {
            continue;
        };
        tried += 1;
        let solution = plan(&problem, Algorithm::Auto, seed, 1_000);
        if (solution.tardiness, solution.objective) != (exact.tardiness, exact.objective) {
            missed.push(seed);
        }
    }
    assert!(tried > 200, "{tried}");
    assert!(missed.len() * 50 <= tried, "{missed:?} of {tried}");
}

/// Copies that run 100 ms on the slow node or 20 ms on the fast one, which costs ten times as much a millisecond.
fn slow_or_fast(copies: u32, due: i64) -> Problem {
    let mode = |class: usize, duration: i64, price: i64| Mode {
        flavor: Some(["slow", "fast"][class].into()),
        pods: 1,
        requests: Resources::from_iter([("size", class as i64)]),
        demand: vec![1],
        value: 0,
        spends: Vec::new(),
        communicate: Vec::new(),
        runs: vec![Run {
            class,
            duration,
            across: Vec::new(),
            read: 0,
            compute: duration,
            slots: 1,
            price: exact(price),
            cost: price * duration,
        }],
    };
    let class = |node: usize| NodeClass {
        nodes: vec![node],
        free: vec![1],
        holds: Vec::new(),
        held: Vec::new(),
    };
    Problem {
        goal: Goal::Cost,
        resources: vec!["cpu".into()],
        nodes: vec!["slow".into(), "fast".into()],
        classes: vec![class(0), class(1)],
        batches: vec![PlannedBatch {
            key: "ns/b".into(),
            weight: 1,
        }],
        tasks: vec![PlannedTask {
            batch: 0,
            name: "t".into(),
            copies: (0..copies).collect(),
            weight: 1,
            release: 0,
            due: Some(due),
            after: Vec::new(),
            near: Near::Anywhere,
            modes: vec![mode(0, 100, 1), mode(1, 20, 10)],
        }],
        ..Problem::default()
    }
}

#[test]
fn the_cheapest_plan_that_is_in_time_is_found() {
    // Slow runs cost 100, fast ones 200. By 220 two slow runs fit, by 100 one, by 99 none.
    for (copies, due, cost, tardiness) in [
        (4, 1_000, 4 * 100, 0),
        (4, 220, 2 * 100 + 2 * 200, 0),
        (5, 100, 100 + 4 * 200, 0),
        (3, 99, 3 * 200, 0),
        // One fast run is 1 ms late in any plan, and the slow one would be 81 ms late.
        (1, 19, 200, 1),
    ] {
        let problem = slow_or_fast(copies, due);
        for algorithm in [
            Algorithm::Auto,
            Algorithm::Genetic,
            Algorithm::RuinRecreate,
            Algorithm::Annealing,
        ] {
            let solution = plan(&problem, algorithm, 1, 2_000);
            assert_eq!(verify::check(&problem, &solution), Ok(()));
            assert_eq!(
                (solution.objective, solution.tardiness),
                (cost, tardiness),
                "{algorithm}, {copies} copies by {due}"
            );
            assert_eq!(solution.earliest_ends, [20]);
            // The bound on the cost is that of all plans, also those that are late.
            assert_eq!(solution.bound, i64::from(copies) * 100);
        }
    }
    let in_time = plan(&slow_or_fast(4, 1_000), Algorithm::Auto, 1, 2_000);
    assert_eq!(in_time.outcome, Outcome::Optimal);
    let late = plan(&slow_or_fast(1, 19), Algorithm::Auto, 1, 2_000);
    assert_eq!((late.tardiness_bound, late.outcome), (1, Outcome::Feasible));
}

#[test]
fn the_earliest_end_knows_what_is_held_and_waited_for() {
    let mut problem = slow_or_fast(1, 50);
    problem.goal = Goal::FlowTime;
    problem.classes[1].holds.push(crate::model::Hold {
        from: 0,
        until: 30,
        demand: Resources::default(),
    });
    problem.classes[1].held.push(vec![1]);
    let mut behind = problem.tasks[0].clone();
    behind.name = "behind".into();
    behind.after = vec![0];
    problem.tasks.push(behind);
    let solution = plan(&problem, Algorithm::Auto, 1, 500);
    // The fast node is free from 30 on; the second task follows there.
    assert_eq!(solution.earliest_ends, [50, 70]);
    assert_eq!((solution.tardiness, solution.tardiness_bound), (20, 20));
}
