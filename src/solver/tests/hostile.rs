//! Whatever comes in, and whenever the search is cancelled, a valid plan comes out: every algorithm, every goal.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPoolBuilder;

use crate::cluster::fixture::cases;
use crate::model::{Algorithm, Goal, Problem, Solution};
use crate::solver::{Budget, Improvement, Options, solve};
use crate::verify;

use super::checker;
use super::problems::{Sizes, generate};

/// The first case to try; to look at one that failed.
fn first() -> u64 {
    let asked = std::env::var("TASKBATCH_FIRST").ok();
    asked.and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// Says which case it was, when a test panics.
pub(super) struct Named(pub String);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in {}", self.0);
        }
    }
}

pub(super) fn some<T: Copy>(of: &[T], random: &mut ChaCha8Rng) -> T {
    of[random.random_range(0..of.len())]
}

/// A problem that somebody might send to do harm.
fn problem(goal: Goal, random: &mut ChaCha8Rng) -> Problem {
    let sizes = some(
        &[Sizes::Tiny, Sizes::Small, Sizes::Small, Sizes::Huge],
        random,
    );
    let mut problem = generate(goal, sizes, random);
    for _ in 0..random.random_range(0..3) {
        spoil(&mut problem, random);
    }
    count_slots(&mut problem);
    let tasks = problem.tasks.iter_mut().map(|task| &mut task.weight);
    let batches = problem.batches.iter_mut().map(|batch| &mut batch.weight);
    tasks
        .chain(batches)
        .for_each(|weight| *weight = (*weight).min(MOST_WEIGHT));
    problem
}

/// Makes the slots of all runs those of demands and free room again; at least 1, as a run promises.
fn count_slots(problem: &mut Problem) {
    for mode in problem.tasks.iter_mut().flat_map(|task| &mut task.modes) {
        for run in &mut mode.runs {
            let free = &problem.classes[run.class].free;
            let each = mode
                .demand
                .iter()
                .zip(free)
                .filter(|(demand, _)| **demand > 0);
            let least = each.map(|(demand, free)| (free / demand).max(1)).min();
            run.slots = least.map_or(u32::MAX, |least| u32::try_from(least).unwrap_or(u32::MAX));
        }
    }
}

/// Weights are 1 to 1000 in the API; up to this one the sums of the check fit 128 bits, beyond them it says no.
const MOST_WEIGHT: i64 = 1 << 40;

/// Takes one thing to its extreme.
fn spoil(problem: &mut Problem, random: &mut ChaCha8Rng) {
    let numbers = [0, 1, i64::MAX / 2, i64::MAX - 1, i64::MAX];
    let number = some(&numbers, random);
    let is_static = problem.goal.is_static();
    let modes = |problem: &mut Problem, change: &dyn Fn(&mut crate::model::Mode)| {
        let modes = problem.tasks.iter_mut().flat_map(|task| &mut task.modes);
        modes.for_each(change);
    };
    match random.random_range(0..12) {
        0 => modes(problem, &|mode| {
            mode.runs
                .iter_mut()
                .for_each(|run| (run.duration, run.cost) = (0, 0))
        }),
        1 => modes(problem, &|mode| mode.demand.fill(0)),
        2 => modes(problem, &|mode| mode.demand.fill(i64::MAX)),
        3 => modes(problem, &|mode| {
            mode.value = if is_static { number } else { 0 }
        }),
        4 => problem
            .classes
            .iter_mut()
            .for_each(|class| class.free.fill(some(&[i64::MIN, -1, 0], random))),
        5 => problem
            .classes
            .iter_mut()
            .for_each(|class| class.free.fill(number)),
        6 => {
            let copies = some(&[50, 400, 2_000], random);
            if random.random_bool(0.1)
                && let Some(task) = problem.tasks.first_mut()
            {
                task.copies = (0..copies).collect();
            }
        }
        7 => problem
            .tasks
            .iter_mut()
            .for_each(|task| task.release = number),
        8 => problem
            .tasks
            .iter_mut()
            .for_each(|task| task.weight = number),
        9 => problem
            .batches
            .iter_mut()
            .for_each(|batch| batch.weight = number),
        10 => problem
            .tasks
            .iter_mut()
            .for_each(|task| task.copies.truncate(1)),
        _ => problem
            .tasks
            .iter_mut()
            .for_each(|task| task.modes.truncate(1)),
    }
}

/// When a search has to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// After so many plans.
    Plans(u64),
    /// When the part of the budget that is used up was asked for so often.
    Asked(u64),
    /// The same, and until then the part grows evenly.
    Even(u64),
}

pub(super) fn solved(problem: &Problem, algorithm: Algorithm, seed: u64, end: End) -> Solution {
    let asked = AtomicU64::new(0);
    let spent = || {
        let before = asked.fetch_add(1, Ordering::Relaxed);
        match end {
            End::Plans(_) => 0.0,
            End::Asked(most) if before < most => 0.0,
            End::Even(most) if before < most => before as f64 / most as f64,
            End::Asked(_) | End::Even(_) => 1.0,
        }
    };
    let iterations = match end {
        End::Plans(most) => Some(most),
        End::Asked(_) | End::Even(_) => None,
    };
    let budget = Budget {
        iterations,
        spent: &spent,
    };
    let options = Options {
        algorithm,
        seed,
        budget,
    };
    solve(problem, &options, None, &mut |_: &Improvement| {})
}

pub(super) fn judge(problem: &Problem, solution: &Solution) {
    checker::check(problem, solution);
    let found = verify::check(problem, solution);
    assert!(found.is_ok(), "{found:?}");
}

/// Runs a test on one thread of its own, so that cases do not wait for each other.
pub(super) fn alone(test: impl FnOnce() + Send) {
    let pool = ThreadPoolBuilder::new().num_threads(1).build();
    pool.expect("a pool").install(test);
}

#[test]
fn every_hostile_problem_gets_a_valid_plan() {
    alone(|| {
        for seed in first()..first() + cases(8_000) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let (goal, algorithm) = (
                some(&Goal::ALL, &mut random),
                some(&Algorithm::ALL, &mut random),
            );
            let problem = problem(goal, &mut random);
            let end = match random.random_range(0..3) {
                0 => End::Plans(some(&[0, 1, 2, 3, 5, 10, 40, 150], &mut random)),
                1 => End::Asked(random.random_range(0..40)),
                _ => End::Even(random.random_range(1..40)),
            };
            let _named = Named(format!("case {seed}: {algorithm} for {goal} until {end:?}"));
            if cases(2) == 1 {
                eprintln!("{problem:#?}");
            }
            judge(&problem, &solved(&problem, algorithm, seed, end));
        }
    });
}

#[test]
fn cancelled_at_any_moment_there_is_a_valid_plan() {
    alone(|| {
        for seed in 0..cases(8_000) / 400 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let goal = some(&Goal::ALL, &mut random);
            let problem = problem(goal, &mut random);
            for algorithm in Algorithm::ALL {
                for moment in (0..20).chain([50, 100, 200]) {
                    for end in [End::Asked(moment), End::Even(moment)] {
                        let _named =
                            Named(format!("case {seed}: {algorithm} for {goal} until {end:?}"));
                        judge(&problem, &solved(&problem, algorithm, seed, end));
                    }
                }
            }
        }
    });
}

#[test]
fn an_iteration_budget_is_kept_and_gives_the_same_plan_again() {
    alone(|| {
        for seed in 0..cases(8_000) / 80 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let goal = some(&Goal::ALL, &mut random);
            let problem = problem(goal, &mut random);
            for algorithm in Algorithm::ALL {
                for plans in [0, 1, 2, 3, 7, 50] {
                    let _named = Named(format!(
                        "case {seed}: {algorithm} for {goal}, {plans} plans"
                    ));
                    let solution = solved(&problem, algorithm, seed, End::Plans(plans));
                    judge(&problem, &solution);
                    assert!(
                        solution.iterations <= plans.max(1),
                        "{}",
                        solution.iterations
                    );
                    let again = solved(&problem, algorithm, seed, End::Plans(plans));
                    assert_eq!(format!("{solution:?}"), format!("{again:?}"));
                }
            }
        }
    });
}

#[test]
fn thousands_of_equal_copies_are_planned_by_every_algorithm() {
    alone(|| {
        for goal in Goal::ALL {
            for nodes in [1, 300] {
                let mut problem = super::problems::moldable(1, nodes, 1);
                problem.goal = goal;
                problem.tasks[0].copies = (0..2_000).collect();
                if goal.is_static() {
                    let modes = problem.tasks[0].modes.iter_mut().enumerate();
                    modes.for_each(|(at, mode)| mode.value = 1000 + 100 * at as i64);
                }
                for algorithm in Algorithm::ALL {
                    let _named = Named(format!("{algorithm} for {goal} on {nodes} nodes"));
                    let found =
                        verify::check(&problem, &solved(&problem, algorithm, 1, End::Plans(3)));
                    assert!(found.is_ok(), "{found:?}");
                }
            }
        }
    });
}
