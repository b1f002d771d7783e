//! What is said of a plan: objective, bound, outcome and gap, counted anew from the problem.

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

use super::{Placed, Violation, deadlines};
use crate::model::{Exact, Goal, Millis, Outcome, Problem, Solution};

pub(super) fn check(
    problem: &Problem,
    solution: &Solution,
    placed: &[Placed],
    found: &mut Vec<Violation>,
) {
    let goal = problem.goal;
    let Some(counted) = count(problem, placed) else {
        found.push(Violation::Uncountable { goal });
        return;
    };
    // A value beyond 64 bits is stated as the largest that has a negative.
    let objective = counted.clamp(-i128::from(i64::MAX), i64::MAX.into());
    if objective != i128::from(solution.objective) {
        found.push(Violation::WrongObjective {
            goal,
            stated: solution.objective,
            counted,
        });
    }
    let bound = i128::from(solution.bound);
    let is_bound = if goal.is_maximised() {
        bound >= objective
    } else {
        bound <= objective
    };
    if !is_bound {
        found.push(Violation::WrongBound {
            goal,
            bound: solution.bound,
            objective,
        });
    }
    let is_in_time = deadlines::tardiness(problem, placed) == solution.tardiness_bound;
    let expected = outcome(problem, placed, is_in_time && objective == bound);
    if solution.outcome != expected {
        found.push(Violation::WrongOutcome {
            stated: solution.outcome,
            expected,
        });
    }
    check_gap(goal, solution, found);
}

/// The value of the goal over the placed copies, in its unit; `None` beyond 128 bits.
fn count(problem: &Problem, placed: &[Placed]) -> Option<i128> {
    match problem.goal {
        Goal::Makespan => makespan(problem, placed),
        Goal::FlowTime => sum(placed
            .iter()
            .map(|one| weighted(one.task.weight, one.assignment.end))),
        Goal::Cost => sum(placed.iter().map(cost)),
        Goal::Shortfall | Goal::Throughput => {
            sum(placed.iter().map(|one| Some(one.mode.value.into())))
        }
    }
}

/// Sum over batches of weight x the end of its last copy. A batch of which nothing is placed has no end.
fn makespan(problem: &Problem, placed: &[Placed]) -> Option<i128> {
    let mut ends: Vec<Option<Millis>> = vec![None; problem.batches.len()];
    for one in placed {
        let end = ends.get_mut(one.task.batch)?;
        *end = (*end).max(Some(one.assignment.end));
    }
    let batches = problem.batches.iter().zip(ends);
    sum(batches.filter_map(|(batch, end)| end.map(|end| weighted(batch.weight, end))))
}

fn weighted(weight: i64, end: Millis) -> Option<i128> {
    i128::from(weight).checked_mul(end.into())
}

/// Sum over the pods of price x time, each rounded up to whole millionths.
fn cost(one: &Placed) -> Option<i128> {
    let time = i128::from(one.assignment.end) - i128::from(one.assignment.start);
    sum(one.runs.iter().map(|run| rounded_up(&run.price, time)))
}

/// `price x time` rounded up, without reducing the fraction first.
fn rounded_up(price: &Exact, time: i128) -> Option<i128> {
    let (numerator, denominator) = (price.numer() * BigInt::from(time), price.denom());
    if denominator.is_zero() {
        return None;
    }
    let (whole, rest) = (&numerator / denominator, &numerator % denominator);
    // Division cuts towards zero, which is up already unless what is cut off is positive.
    let cut = !rest.is_zero() && rest.is_negative() == denominator.is_negative();
    whole.to_i128()?.checked_add(i128::from(cut))
}

fn sum(mut parts: impl Iterator<Item = Option<i128>>) -> Option<i128> {
    parts.try_fold(0i128, |sum, part| sum.checked_add(part?))
}

/// The outcome speaks of what is placed.
fn outcome(problem: &Problem, placed: &[Placed], closed: bool) -> Outcome {
    let asked =
        !problem.unplaceable.is_empty() || problem.tasks.iter().any(|task| !task.copies.is_empty());
    match (placed.is_empty(), asked) {
        (true, true) => Outcome::Infeasible,
        (true, false) => Outcome::Unknown,
        (false, _) if closed => Outcome::Optimal,
        (false, _) => Outcome::Feasible,
    }
}

/// The gap is distance / bound to 4 decimals; 0 when both are 0, nothing when the bound alone is.
fn check_gap(goal: Goal, solution: &Solution, found: &mut Vec<Violation>) {
    let (objective, bound) = (i128::from(solution.objective), i128::from(solution.bound));
    let distance = if goal.is_maximised() {
        bound - objective
    } else {
        objective - bound
    };
    let stated = solution.gap();
    let right = match (bound, stated) {
        (0, Some(gap)) => objective == 0 && gap == 0.0,
        (0, None) => objective != 0,
        (_, None) => false,
        (_, Some(gap)) => {
            let exact = distance as f64 / bound as f64;
            // Half of the fourth decimal, and what a float of this size cannot say.
            (gap - exact).abs() <= 0.000_051 + exact.abs() * 1e-12
        }
    };
    if !right {
        found.push(Violation::WrongGap {
            stated,
            objective: solution.objective,
            bound: solution.bound,
        });
    }
}
