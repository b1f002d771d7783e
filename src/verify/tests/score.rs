//! Objective, bound, outcome and gap.

use super::*;
use crate::model::Outcome;

#[test]
fn every_goal_is_counted() {
    let problem = |goal| {
        minimising(goal)
            .with_nodes(2, &[4, 0])
            .with(
                task("a")
                    .copies(2)
                    .weighing(3)
                    .running(taking(&[1, 0]).worth(1_500).on(0, 10).at_price(1, 3)),
            )
            .with(
                task("b")
                    .in_batch(1)
                    .running(taking(&[1, 0]).pods(2).worth(-200).on(0, 7).at_price(5, 1)),
            )
    };
    let plan = plan()
        .run(0, 0, 0..10, &[0])
        .run(0, 1, 0..10, &[1])
        .run(1, 0, 0..7, &[0, 1]);
    for (goal, value) in [
        (Goal::Makespan, 10 + 2 * 7),
        (Goal::FlowTime, 3 * 10 + 3 * 10 + 7),
        (Goal::Cost, 4 + 4 + 35 + 35),
        (Goal::Shortfall, 1_500 + 1_500 - 200),
        (Goal::Throughput, 1_500 + 1_500 - 200),
    ] {
        let stating = |value| check(&problem(goal), &plan.clone().scoring(value, value));
        assert_eq!(stating(value), Ok(()), "{goal}");
        assert_eq!(
            words(stating(value + 1))[0],
            format!(
                "the objective is said to be {}, {goal} counts {value}",
                value + 1
            )
        );
    }
}

#[test]
fn a_gang_pays_every_pod_until_the_slowest_ends() {
    let run = taking(&[1, 0])
        .pods(2)
        .on(0, 10)
        .at_price(1, 4)
        .on(1, 30)
        .at_price(1, 7);
    let problem = minimising(Goal::Cost)
        .with_nodes(1, &[4, 0])
        .with_nodes(1, &[4, 0])
        .with(task("gang").running(run));
    let plan = plan().run(0, 0, 0..30, &[0, 1]);
    assert_eq!(check(&problem, &plan.scoring(8 + 5, 13)), Ok(()));
}

/// One task that ends at 10.
fn one_task(goal: Goal) -> Problem {
    minimising(goal)
        .with_nodes(1, &[4, 0])
        .with(task("a").running(taking(&[1, 0]).worth(10).on(0, 10)))
}

#[test]
fn the_bound_is_on_its_side_of_the_objective() {
    let run = || plan().run(0, 0, 0..10, &[0]);
    for (goal, below, above) in [
        (Goal::Makespan, true, false),
        (Goal::Shortfall, true, false),
        (Goal::Throughput, false, true),
    ] {
        for (bound, good) in [(9, below), (11, above), (10, true)] {
            let verdict = check(&one_task(goal), &run().scoring(10, bound));
            let found = words(verdict);
            let fault = format!("the bound of {goal} is said to be {bound}, the plan has 10");
            assert_eq!(found.contains(&fault), !good, "{goal} {bound} {found:?}");
        }
    }
}

#[test]
fn the_outcome_says_what_objective_and_bound_say() {
    use Outcome::{Feasible, Infeasible, Optimal, Unknown};
    let placed = || (one_task(Goal::Makespan), plan().run(0, 0, 0..10, &[0]));
    let nothing_fits = (
        minimising(Goal::Makespan).without("huge", 0),
        plan().leave("huge", 0),
    );
    let nothing_asked = (minimising(Goal::Makespan).with_nodes(1, &[4, 0]), plan());
    for ((problem, plan), objective, bound, expected) in [
        (placed(), 10, 10, Optimal),
        (placed(), 10, 8, Feasible),
        (nothing_fits, 0, 0, Infeasible),
        (nothing_asked, 0, 0, Unknown),
    ] {
        for stated in [Optimal, Feasible, Infeasible, Unknown] {
            let mut solution = plan.clone().scoring(objective, bound);
            solution.outcome = stated;
            let verdict = words(check(&problem, &solution));
            let fault = format!("the outcome is said to be {stated:?}, it is {expected:?}");
            assert_eq!(
                verdict,
                if stated == expected {
                    vec![]
                } else {
                    vec![fault]
                }
            );
        }
    }
}

#[test]
fn the_gap_follows_from_objective_and_bound() {
    let run = plan().run(0, 0, 0..10, &[0]);
    for bound in [-5, 0, 1, 3, 7, 9, 10] {
        let verdict = check(&one_task(Goal::Makespan), &run.clone().scoring(10, bound));
        assert_eq!(verdict, Ok(()), "{bound}");
    }
    let beyond = words(check(&one_task(Goal::Makespan), &run.scoring(10, 20)));
    let fault = "the gap is said to be Some(0.5) with objective 10 and bound 20";
    assert!(beyond.contains(&fault.to_owned()), "{beyond:?}");
}

#[test]
fn a_plan_that_points_to_nothing_has_no_score() {
    let problem = one_task(Goal::Makespan);
    let found = check(&problem, &plan().run(0, 0, 0..10, &[9]).scoring(77, 99));
    assert_eq!(words(found), ["lab/first a[0] is on node 9, there are 1"]);
}

#[test]
fn a_sum_beyond_128_bits_is_a_violation() {
    let mut problem = one_task(Goal::FlowTime);
    problem.tasks[0].copies = (0..4).collect();
    problem.tasks[0].weight = i64::MAX;
    let late = (0..4).fold(plan(), |plan, copy| {
        plan.run(0, copy, i64::MAX - 10..i64::MAX, &[0])
    });
    assert_eq!(
        words(check(&problem, &late.scoring(0, 0))),
        ["the value of FlowTime does not fit 128 bits"]
    );
}

#[test]
fn a_value_beyond_64_bits_is_stated_as_the_largest() {
    let mut problem = one_task(Goal::FlowTime);
    problem.tasks[0].weight = i64::MAX;
    let run = plan().run(0, 0, 0..10, &[0]);
    assert_eq!(check(&problem, &run.clone().scoring(i64::MAX, 1)), Ok(()));
    assert!(check(&problem, &run.scoring(i64::MAX - 1, 1)).is_err());
}
