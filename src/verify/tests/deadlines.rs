//! Tardiness, its bound and the earliest ends.

use super::*;
use crate::model::Outcome;

/// Two copies of weight 3 that run 10 ms and are due at 12, one after the other: the second is 8 ms late.
fn late() -> (Problem, Solution) {
    let run = taking(&[4, 0]).on(0, 10);
    let mut problem = minimising(Goal::FlowTime)
        .with_nodes(1, &[4, 0])
        .with(task("a").copies(2).weighing(3).running(run));
    problem.tasks[0].due = Some(12);
    let plan = plan().run(0, 0, 0..10, &[0]).run(0, 1, 10..20, &[0]);
    let mut solution = plan.scoring(90, 90);
    solution.tardiness = 24;
    solution.tardiness_bound = 24;
    solution.earliest_ends = vec![10];
    (problem, solution)
}

#[test]
fn what_is_right_is_accepted() {
    let (problem, solution) = late();
    assert_eq!(check(&problem, &solution), Ok(()));
}

type Plant = fn(&mut Problem, &mut Solution);

#[test]
fn planted_errors_are_seen() {
    let plants: [(Plant, &str); 8] = [
        (
            |_, solution| solution.tardiness = 8,
            "the tardiness is said to be 8 ms, it is 24 ms",
        ),
        (
            |problem, _| problem.tasks[0].due = Some(13),
            "the tardiness is said to be 24 ms, it is 21 ms",
        ),
        (
            |problem, _| problem.tasks[0].due = Some(i64::MIN),
            "the tardiness is said to be 24 ms, it is 55340232221128654938 ms",
        ),
        (
            |_, solution| solution.tardiness_bound = 25,
            "the bound of the tardiness is said to be 25 ms, the plan has 24 ms",
        ),
        (
            |_, solution| solution.tardiness_bound = -1,
            "the bound of the tardiness is said to be -1 ms, the plan has 24 ms",
        ),
        (
            |_, solution| solution.tardiness_bound = 0,
            "the outcome is said to be Optimal, it is Feasible",
        ),
        (
            |_, solution| solution.earliest_ends.clear(),
            "there are earliest ends of 0 tasks, there should be 1",
        ),
        (
            |_, solution| solution.earliest_ends[0] = 11,
            "lab/first a[0] ends at 10 ms, but its earliest end is said to be 11 ms",
        ),
    ];
    for (plant, fault) in plants {
        let (mut problem, mut solution) = late();
        plant(&mut problem, &mut solution);
        let found = words(check(&problem, &solution));
        assert!(found.contains(&fault.to_owned()), "{fault}: {found:?}");
    }
}

#[test]
fn a_goal_without_a_time_axis_has_no_tardiness() {
    let (mut problem, mut solution) = late();
    problem.goal = Goal::Throughput;
    problem.tasks[0].copies = vec![0];
    solution.plan.assignments.truncate(1);
    (solution.objective, solution.bound) = (0, 0);
    let stated = words(check(&problem, &solution));
    assert!(stated.contains(&"the tardiness is said to be 24 ms, it is 0 ms".to_owned()));
    (solution.tardiness, solution.tardiness_bound) = (0, 0);
    solution.earliest_ends.clear();
    solution.outcome = Outcome::Optimal;
    assert_eq!(check(&problem, &solution), Ok(()));
}
