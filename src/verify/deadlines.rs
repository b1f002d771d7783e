//! What is said of deadlines: tardiness, its bound and the earliest ends, counted anew from the problem.

use super::{Ground, Placed, Violation};
use crate::model::{Millis, Problem, Solution};

/// When copies of the task are due, if anything is due under this goal.
fn due(problem: &Problem, task: usize) -> Option<Millis> {
    let task = problem.tasks.get(task)?;
    task.due.filter(|_| !problem.goal.is_static())
}

/// Sum over the placed copies of weight x time after they are due; what does not fit 128 bits is the largest.
pub(super) fn tardiness(problem: &Problem, placed: &[Placed]) -> i128 {
    let late = |one: &Placed| {
        let due = i128::from(due(problem, one.assignment.task)?);
        let late = i128::from(one.assignment.end) - due;
        Some(
            late.max(0)
                .saturating_mul(i128::from(one.task.weight.max(0))),
        )
    };
    placed.iter().filter_map(late).fold(0, i128::saturating_add)
}

pub(super) fn check(
    ground: &Ground,
    solution: &Solution,
    placed: &[Placed],
    found: &mut Vec<Violation>,
) {
    let problem = ground.problem;
    let counted = tardiness(problem, placed);
    if solution.tardiness != counted {
        found.push(Violation::WrongTardiness {
            stated: solution.tardiness,
            counted,
        });
    }
    if !(0..=counted).contains(&solution.tardiness_bound) {
        found.push(Violation::WrongTardinessBound {
            bound: solution.tardiness_bound,
            tardiness: counted,
        });
    }
    let has_dues = (0..problem.tasks.len()).any(|task| due(problem, task).is_some());
    let expected = if has_dues { problem.tasks.len() } else { 0 };
    if solution.earliest_ends.len() != expected {
        found.push(Violation::WrongEarliestEnds {
            stated: solution.earliest_ends.len(),
            expected,
        });
        return;
    }
    for one in placed.iter().filter(|_| has_dues) {
        let (earliest, end) = (
            solution.earliest_ends[one.assignment.task],
            one.assignment.end,
        );
        if end < earliest {
            found.push(Violation::SoonerThanEarliest {
                copy: ground.copy_name(one.task, one.assignment.copy),
                end,
                earliest,
            });
        }
    }
}
