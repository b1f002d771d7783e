//! Budgets, and projects: problems of one node, which have a decoder of their own.

use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPoolBuilder;

use crate::model::{Algorithm, Goal, Problem, Solution};
use crate::solver::decoder::Decoder;
use crate::solver::decoder::preference::Preference;
use crate::solver::instance::Instance;
use crate::solver::schedule::Recipe;

use super::problems::{self, Sizes, problem};
use super::{cases, checker, plan};

const SEARCHES: [Algorithm; 4] = [
    Algorithm::Greedy,
    Algorithm::Genetic,
    Algorithm::ParticleSwarm,
    Algorithm::RuinRecreate,
];

/// The same problem with two budgets, some of them too small for everything.
fn with_budgets(mut problem: Problem, random: &mut ChaCha8Rng) -> Problem {
    let copies = problem.copies() as i64;
    problem.budgets = (0..2)
        .map(|_| random.random_range(-1..=4 * copies))
        .collect();
    for mode in problem.tasks.iter_mut().flat_map(|task| &mut task.modes) {
        mode.spends = (0..random.random_range(0..=2))
            .map(|_| random.random_range(0..=6))
            .collect();
    }
    problem
}

/// Up to a dozen moldable tasks of so many copies or more on one node, some after others.
fn project(goal: Goal, least: u32, random: &mut ChaCha8Rng) -> Problem {
    let tasks = random.random_range(1..=12);
    let mut problem = problems::moldable(tasks, 1, random.random());
    problem.goal = goal;
    for (index, task) in problem.tasks.iter_mut().enumerate() {
        task.copies = (0..random.random_range(least..=2)).collect();
        task.after = (0..index).filter(|_| random.random_bool(0.2)).collect();
        task.release = random.random_range(0..=100_000);
    }
    problem
}

fn timed() -> impl Strategy<Value = Goal> {
    prop::sample::select(vec![Goal::Makespan, Goal::FlowTime])
}

/// Budgets are kept, and what is left of them is too little for any copy that could come next.
fn check_budgets(problem: &Problem, solution: &Solution) {
    let placed = &solution.plan.assignments;
    let amount = |spends: &[i64], budget: usize| spends.get(budget).copied().unwrap_or(0);
    let left: Vec<i64> = (0..problem.budgets.len())
        .map(|budget| {
            let modes = placed
                .iter()
                .map(|one| &problem.tasks[one.task].modes[one.mode]);
            let spent: i64 = modes.map(|mode| amount(&mode.spends, budget)).sum();
            assert!(
                spent == 0 || spent <= problem.budgets[budget],
                "budget {budget}"
            );
            problem.budgets[budget] - spent
        })
        .collect();
    let missing = |task: usize| {
        let there = placed.iter().filter(|one| one.task == task).count();
        problem.tasks[task].copies.len() - there
    };
    for (index, task) in problem.tasks.iter().enumerate() {
        if missing(index) == 0 || task.after.iter().any(|&before| missing(before) > 0) {
            continue;
        }
        for mode in &task.modes {
            let fits = (0..left.len()).all(|budget| {
                let need = amount(&mode.spends, budget);
                need == 0 || need <= left[budget]
            });
            let slots = mode
                .runs
                .iter()
                .map(|run| u64::from(run.slots) * problem.classes[run.class].nodes.len() as u64);
            let has_room = slots.sum::<u64>() >= u64::from(mode.pods);
            assert!(!fits || !has_room, "{} is left out", task.name);
        }
    }
}

#[test]
fn nobody_waits_through_a_task_without_copies() {
    let random = &mut ChaCha8Rng::seed_from_u64(10_469_562_311_134_897_740);
    let problem = project(Goal::Makespan, 0, random);
    let problem = with_budgets(problem, random);
    for algorithm in SEARCHES {
        checker::check(&problem, &plan(&problem, algorithm, 1, 200));
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn budgets_are_kept_by_every_search(
        problem in timed().prop_flat_map(|goal| problem(goal, Sizes::Small)),
        seed in any::<u64>().no_shrink(),
    ) {
        let problem = with_budgets(problem, &mut ChaCha8Rng::seed_from_u64(seed));
        for algorithm in SEARCHES {
            let solution = plan(&problem, algorithm, 1, 60);
            checker::check(&problem, &solution);
            check_budgets(&problem, &solution);
        }
    }

    #[test]
    fn projects_are_planned_within_their_budgets(goal in timed(), seed in any::<u64>().no_shrink()) {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let problem = project(goal, 0, random);
        let problem = with_budgets(problem, random);
        for algorithm in SEARCHES {
            let solution = plan(&problem, algorithm, 1, 200);
            checker::check(&problem, &solution);
            check_budgets(&problem, &solution);
        }
    }

    #[test]
    fn both_decoders_make_the_same_of_fixed_modes(goal in timed(), seed in any::<u64>().no_shrink()) {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let problem = project(goal, 1, random);
        let quick = Instance::new(&problem);
        prop_assert!(quick.project.is_some());
        let mut plain = Instance::new(&problem);
        plain.project = None;
        let mut order: Vec<usize> = (0..quick.copies()).collect();
        order.shuffle(random);
        let mode = |copy: usize| Some(random.random_range(0..quick.task(copy).modes.len()));
        let recipe = Recipe {
            modes: (0..quick.copies()).map(mode).collect(),
            order,
            preference: Preference::EarliestEnd,
        };
        let mut decoder = Decoder::new(&quick);
        let score = decoder.decode(&recipe);
        prop_assert_eq!(score, Decoder::new(&plain).decode(&recipe));
        prop_assert!(decoder.refine(&recipe) <= score);
    }

    #[test]
    fn threads_do_not_matter_to_searches_on_projects(goal in timed(), seed in any::<u64>().no_shrink()) {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let problem = project(goal, 0, random);
        let problem = with_budgets(problem, random);
        for algorithm in SEARCHES {
            let with_threads = |threads| {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
                pool.install(|| format!("{:?}", plan(&problem, algorithm, 7, 250)))
            };
            prop_assert_eq!(with_threads(1), with_threads(2));
        }
    }
}

#[test]
fn a_budget_decides_who_may_take_the_fast_way() {
    // Two tasks with a fast way that spends 2 and a slow one that spends 1, and 3 to spend: the longer is fast.
    let mut problem = problems::moldable(2, 2, 1);
    problem.goal = Goal::Makespan;
    problem.budgets = vec![3];
    for (task, length) in problem.tasks.iter_mut().zip([100, 60]) {
        task.modes.truncate(2);
        for (mode, (duration, spends)) in task.modes.iter_mut().zip([(length, 1), (length / 2, 2)])
        {
            mode.spends = vec![spends];
            mode.runs[0].duration = duration;
            mode.demand = vec![1];
        }
    }
    for algorithm in [
        Algorithm::Genetic,
        Algorithm::ParticleSwarm,
        Algorithm::RuinRecreate,
    ] {
        assert_eq!(
            plan(&problem, algorithm, 1, 300).objective,
            60,
            "{algorithm}"
        );
    }
    problem.budgets = vec![1];
    let solution = plan(&problem, Algorithm::Genetic, 1, 100);
    assert_eq!(solution.plan.unplaced.len(), 1);
    assert_eq!(
        solution.plan.unplaced[0].message,
        "spends at least 1 of budget 0, of which 0 are left"
    );
}
