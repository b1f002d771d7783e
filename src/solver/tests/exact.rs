//! Branch and bound against brute force, and how far it reaches.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use crate::model::{
    Algorithm, Goal, Hold, Mode, Near, NodeClass, Outcome, PlannedTask, Problem, Resources,
};

use super::problems::{Sizes, gangs, moldable, nodes, problem, run};
use super::{cases, checker, exhaustive, plan};

fn timed_goal() -> impl Strategy<Value = Goal> {
    prop::sample::select(vec![Goal::Makespan, Goal::FlowTime])
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn branch_and_bound_finds_and_proves_the_exact_optimum(problem in timed_goal().prop_flat_map(|goal| problem(goal, Sizes::Tiny))) {
        let solution = plan(&problem, Algorithm::Exact, 1, 50_000);
        checker::check(&problem, &solution);
        let Some(exact) = exhaustive::optimum(&problem) else { return Ok(()) };
        prop_assert_eq!(solution.objective, exact.objective);
        if problem.copies() > 0 {
            prop_assert_eq!(solution.outcome, Outcome::Optimal);
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_proved_plan_is_not_beaten_by_a_longer_search(problem in timed_goal().prop_flat_map(|goal| problem(goal, Sizes::Small))) {
        let proved = plan(&problem, Algorithm::Exact, 1, 3_000);
        checker::check(&problem, &proved);
        let other = plan(&problem, Algorithm::Genetic, 2, 1_500);
        prop_assert!(proved.bound <= other.objective, "{} {} is above {}", proved.bound_name, proved.bound, other.objective);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn a_repaired_plan_is_valid(problem in problem(Goal::Makespan, Sizes::Small)) {
        let solution = plan(&problem, Algorithm::Auto, 3, 20_000);
        checker::check(&problem, &solution);
    }
}

#[test]
fn a_repaired_plan_depends_on_no_number_of_threads() {
    for seed in 0..3 {
        let mut problem = gangs(13, 4, seed);
        problem.goal = Goal::Makespan;
        let with = |threads: usize| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool")
                .install(|| plan(&problem, Algorithm::Auto, 5, 20_000))
        };
        let (one, three) = (with(1), with(3));
        checker::check(&problem, &one);
        assert_eq!(one.plan.assignments, three.plan.assignments, "{seed}");
    }
}

#[test]
fn eight_moldable_copies_on_two_nodes_are_proved() {
    for goal in [Goal::FlowTime, Goal::Makespan] {
        for seed in 0..6 {
            let mut problem = moldable(8, 2, seed);
            problem.goal = goal;
            let solution = plan(&problem, Algorithm::Exact, 0, 40_000);
            checker::check(&problem, &solution);
            assert_eq!(solution.outcome, Outcome::Optimal, "{goal} {seed}");
        }
    }
}

#[test]
fn eight_gangs_and_chains_on_nodes_with_gaps_are_proved() {
    for seed in 0..4 {
        let mut problem = gangs(8, 4, seed);
        problem.goal = Goal::Makespan;
        let solution = plan(&problem, Algorithm::Exact, 0, 400_000);
        checker::check(&problem, &solution);
        assert_eq!(solution.outcome, Outcome::Optimal, "{seed}");
        let other = plan(&problem, Algorithm::RuinRecreate, seed, 2_000);
        assert!(solution.objective <= other.objective, "{seed}");
    }
}

/// The spread of a gang that is looked at first may be dearer than others on other classes.
#[test]
fn a_dear_spread_hides_no_cheap_one() {
    let problem = gangs_on_two_classes();
    let proved = plan(&problem, Algorithm::Exact, 1, 300_000);
    checker::check(&problem, &proved);
    assert_eq!((proved.objective, proved.outcome), (83, Outcome::Optimal));
    let other = plan(&problem, Algorithm::Genetic, 2, 1_500);
    assert_eq!(other.objective, 83);
}

/// Gangs over two classes of which one is free later: their spreads take room of different price.
fn gangs_on_two_classes() -> Problem {
    let class =
        |nodes: std::ops::Range<usize>, free: &[i64], holds: &[(i64, [i64; 2])]| NodeClass {
            nodes: nodes.collect(),
            free: free.to_vec(),
            holds: holds
                .iter()
                .map(|&(until, _)| Hold {
                    from: 0,
                    until,
                    demand: Resources::default(),
                })
                .collect(),
            held: holds.iter().map(|(_, held)| held.to_vec()).collect(),
        };
    let task = |copies: u32, weight: i64, release: i64, pods: u32, demand: [i64; 2]| {
        move |runs: &[(usize, i64, u32)]| PlannedTask {
            near: Near::Anywhere,
            batch: 0,
            name: format!("{copies}-{weight}-{release}-{pods}"),
            copies: (0..copies).collect(),
            weight,
            release,
            due: None,
            after: Vec::new(),
            modes: vec![Mode {
                communicate: Vec::new(),
                flavor: None,
                pods,
                requests: Resources::default(),
                demand: demand.to_vec(),
                value: 0,
                spends: Vec::new(),
                runs: runs
                    .iter()
                    .map(|&(class, duration, slots)| run(class, duration, slots))
                    .collect(),
            }],
        }
    };
    Problem {
        goal: Goal::FlowTime,
        resources: vec!["r0".into(), "r1".into()],
        classes: vec![
            class(0..2, &[3, 1], &[(4, [2, 0])]),
            class(2..6, &[1, 1], &[]),
        ],
        tasks: vec![
            task(2, 3, 2, 1, [0, 1])(&[(1, 0, 1)]),
            task(4, 1, 3, 5, [0, 1])(&[(0, 2, 1), (1, 2, 1)]),
            task(2, 1, 1, 2, [1, 0])(&[(0, 5, 3), (1, 5, 1)]),
            task(3, 1, 3, 1, [0, 1])(&[(0, 3, 1), (1, 4, 1)]),
        ],
        ..nodes(6, 0)
    }
}
