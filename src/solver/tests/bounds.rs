//! Every bound by itself: below the exact optimum of tiny problems, and below every plan of larger ones.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use crate::model::{Algorithm, Goal, Hold, Problem, Resources};
use crate::solver::bounds::{self, Bound, Learnt};
use crate::solver::instance::Instance;

use super::problems::{self, Sizes, problem};
use super::{any_goal, cases, exhaustive, plan, sign};

/// All bounds on plans that place so many copies, those that are learnt after several numbers of rounds.
fn all(problem: &Problem, placed: &[u64]) -> Vec<Bound> {
    let instance = Instance::new(problem);
    let mut all = bounds::all(&instance, placed);
    if let Some(mut learnt) = Learnt::new(&instance, placed) {
        for rounds in [0, 1, 6, 40] {
            learnt.improve(rounds, || false);
            learnt.branch(20 * rounds, || false);
            all.push(learnt.bound());
        }
    }
    all
}

fn every_copy(problem: &Problem) -> Vec<u64> {
    problem
        .tasks
        .iter()
        .map(|task| task.copies.len() as u64)
        .collect()
}

fn check(problem: &Problem, placed: &[u64], objective: i64) -> Result<(), TestCaseError> {
    let sign = sign(problem.goal);
    for bound in all(problem, placed) {
        prop_assert!(
            sign * i128::from(bound.value) <= sign * i128::from(objective),
            "{bound:?} against {objective}"
        );
    }
    Ok(())
}

/// Checks all bounds against a plan, over the copies that it places.
fn check_plan(problem: &Problem) -> Result<(), TestCaseError> {
    let solution = plan(problem, Algorithm::Genetic, 5, 60);
    let mut placed = vec![0; problem.tasks.len()];
    for assignment in &solution.plan.assignments {
        placed[assignment.task] += 1;
    }
    check(problem, &placed, solution.objective)
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn each_is_at_most_the_exact_optimum(problem in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Tiny))) {
        let Some(exact) = exhaustive::optimum(&problem) else { return Ok(()) };
        if exact.placed == problem.copies() {
            check(&problem, &every_copy(&problem), exact.objective)?;
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn each_is_at_most_what_any_plan_reaches(problem in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Small))) {
        check_plan(&problem)?;
    }

    #[test]
    fn huge_numbers_make_them_weak_but_not_wrong(problem in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Huge))) {
        check_plan(&problem)?;
    }
}

/// After so many rounds.
fn learnt(problem: &Problem, rounds: &[usize]) -> Bound {
    let instance = Instance::new(problem);
    let mut learnt = Learnt::new(&instance, &every_copy(problem)).expect("a goal with prices");
    for &rounds in rounds {
        learnt.improve(rounds, || false);
    }
    learnt.bound()
}

#[test]
fn rounds_may_be_asked_for_bit_by_bit_and_on_any_number_of_threads() {
    for goal in [Goal::FlowTime, Goal::Makespan] {
        let mut problem = problems::moldable(700, 40, 3);
        problem.goal = goal;
        let with_threads = |threads: usize, rounds: &[usize]| {
            let pool = ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            pool.install(|| learnt(&problem, rounds))
        };
        let at_once = with_threads(1, &[24]);
        assert_eq!(with_threads(2, &[24]), at_once);
        assert_eq!(with_threads(1, &[5, 7, 12]), at_once);
    }
}

#[test]
fn nobody_runs_while_running_pods_hold_the_node() {
    let mut problem = problems::moldable(1, 1, 1);
    problem.tasks[0].modes.retain(|mode| mode.demand == [8]);
    problem.classes[0].holds.push(Hold {
        from: 0,
        until: 50_000,
        demand: Resources::default(),
    });
    problem.classes[0].held.push(vec![8]);
    let duration = problem.tasks[0].modes[0].runs[0].duration;
    problem.tasks[0].weight = 1;
    for goal in [Goal::FlowTime, Goal::Makespan] {
        problem.goal = goal;
        let bound = learnt(&problem, &[100]).value;
        assert!(
            bound > 49_000 + duration,
            "{goal}: {bound}, not {}",
            50_000 + duration
        );
    }
}

#[test]
fn tasks_that_must_share_a_class_pay_for_it() {
    // Ten tasks of one node each run only on the first of two equal nodes, which are two classes.
    let mut problem = problems::moldable(10, 1, 4);
    problem.nodes.push("other".into());
    let mut other = problem.classes[0].clone();
    other.nodes = vec![1];
    problem.classes.push(other);
    for (index, task) in problem.tasks.iter_mut().enumerate() {
        task.weight = 1;
        task.modes.retain(|mode| mode.demand == [8]);
        let run = &mut task.modes[0].runs[0];
        run.duration = 1_000;
        if index == 0 {
            let mut elsewhere = run.clone();
            elsewhere.class = 1;
            task.modes[0].runs.push(elsewhere);
        }
    }
    // One after the other: 1 + 2 + ... + 9 on the first node, 1 on the other one.
    problem.goal = Goal::FlowTime;
    let bound = learnt(&problem, &[200]).value;
    assert!((45_800..=46_000).contains(&bound), "{bound}");
    problem.goal = Goal::Makespan;
    assert_eq!(learnt(&problem, &[60]).value, 9_000);
}

#[test]
fn several_batches_pay_for_time() {
    // Two batches of one task, 1 s on all GPUs: one of them waits.
    let mut problem = problems::moldable(2, 1, 4);
    problem.goal = Goal::Makespan;
    problem.batches.push(problem.batches[0].clone());
    problem.batches[1].weight = 3;
    for (batch, task) in problem.tasks.iter_mut().enumerate() {
        task.batch = batch;
        task.modes.retain(|mode| mode.demand == [8]);
        task.modes[0].runs[0].duration = 1_000;
    }
    let all = all(&problem, &[1, 1]);
    let bound = all
        .iter()
        .find(|bound| bound.name == "prices of time")
        .expect("the bound");
    assert!((4_900..=5_000).contains(&bound.value), "{bound:?}");
}

#[test]
fn all_resources_have_a_price_at_once() {
    // Four tasks want the first resource, four the second; there is room for the small mode of each.
    let mut problem = problems::moldable(8, 1, 4);
    problem.goal = Goal::Throughput;
    problem.resources.push("example.com/other".into());
    problem.classes[0].free = vec![4, 4];
    for (index, task) in problem.tasks.iter_mut().enumerate() {
        task.modes.truncate(2);
        for (mode, (amount, value)) in task.modes.iter_mut().zip([(1, 1_000), (4, 2_500)]) {
            mode.demand = vec![0, 0];
            mode.demand[index % 2] = amount;
            mode.value = value;
        }
    }
    let all = all(&problem, &[1; 8]);
    let bound = |name: &str| {
        all.iter()
            .find(|bound| bound.name == name)
            .map(|bound| bound.value)
    };
    assert!(
        bound("pooled").is_some_and(|value| value > 13_000),
        "{all:?}"
    );
    assert!(
        bound("class prices").is_some_and(|value| (8_000..8_100).contains(&value)),
        "{all:?}"
    );
}
