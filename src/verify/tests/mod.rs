//! For each violation a small plan that must be caught, beside one that must pass.

mod any_input;
mod deadlines;
mod near;
mod places;
mod score;
mod times;

use super::fixture::*;
use super::{CopyName, Violation, check, check_plan};
use crate::model::{Goal, Plan, Problem, Solution};

/// The words of the violations of a plan.
fn faults(problem: &Problem, plan: &Plan) -> Vec<String> {
    words(check_plan(problem, plan))
}

fn words(verdict: Result<(), Vec<Violation>>) -> Vec<String> {
    let found = verdict.err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

/// A good plan of everything at once: two classes, holds, a gang, an order, two batches and an unplaceable copy.
fn a_busy_problem(goal: Goal) -> Problem {
    minimising(goal)
        .with_nodes(2, &[4, 0])
        .with_nodes(1, &[8, 2])
        .holding(0..10, &[4, 2])
        .with(
            task("prepare")
                .copies(2)
                .running(taking(&[4, 0]).on(0, 10).on(1, 5)),
        )
        .with(
            task("train")
                .weighing(3)
                .after(0)
                .running(taking(&[2, 0]).pods(3).on(0, 20).on(1, 30)),
        )
        .with(
            task("test")
                .in_batch(1)
                .released_at(10)
                .running(taking(&[1, 2]).on(1, 7)),
        )
        .without("huge", 0)
}

fn a_good_plan() -> Plan {
    plan()
        .run(0, 0, 0..10, &[0])
        .run(0, 1, 5..10, &[2])
        .run(1, 0, 10..40, &[0, 0, 2])
        .run(2, 0, 10..17, &[2])
        .leave("huge", 0)
}

#[test]
fn a_good_plan_passes() {
    let problem = a_busy_problem(Goal::Makespan);
    assert_eq!(check_plan(&problem, &a_good_plan()), Ok(()));
    assert_eq!(
        check(&problem, &a_good_plan().scoring(40 + 2 * 17, 70)),
        Ok(())
    );
}

#[test]
fn violations_are_values_and_sentences() {
    let copy = CopyName {
        batch: BATCH.into(),
        task: "train".into(),
        copy: 7,
    };
    let missing = Violation::Missing { copy };
    assert_eq!(
        missing.to_string(),
        "lab/first train[7] is neither assigned nor unplaced"
    );
}
