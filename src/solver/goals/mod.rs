//! What a schedule is worth, in whole numbers. A new goal is a file and a line in [`objective`].

mod at_once;
mod cost;
mod flow_time;
mod makespan;
mod tardiness;

use crate::model::Goal;

use super::instance::Instance;
use super::schedule::{Placed, Schedule};

/// Less is better, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score {
    /// Copies without a place.
    pub unplaced: usize,
    /// Sum of weight x time after the copies are due, in ms.
    pub tardiness: i128,
    /// The goal, negated where more is better.
    pub goal: i64,
    /// Sum of weight x end, in ms: of plans that are equal in the goal, the one that is done sooner leads on.
    pub ends: i64,
}

impl Score {
    pub fn of(instance: &Instance, schedule: &Schedule) -> Self {
        let objective = objective(instance, schedule);
        Self {
            unplaced: schedule
                .placed
                .iter()
                .filter(|placed| placed.is_none())
                .count(),
            tardiness: tardiness::of(instance, schedule),
            goal: if instance.problem.goal.is_maximised() {
                -objective
            } else {
                objective
            },
            ends: if instance.problem.goal.is_static() {
                0
            } else {
                flow_time::objective(instance, schedule)
            },
        }
    }

    /// The value of the goal.
    pub fn objective(&self, goal: Goal) -> i64 {
        if goal.is_maximised() {
            -self.goal
        } else {
            self.goal
        }
    }
}

/// The value of the goal over the placed copies, in the goal's unit; saturates.
fn objective(instance: &Instance, schedule: &Schedule) -> i64 {
    match instance.problem.goal {
        Goal::Makespan => makespan::objective(instance, schedule),
        Goal::FlowTime => flow_time::objective(instance, schedule),
        Goal::Cost => cost::objective(instance, schedule),
        Goal::Shortfall | Goal::Throughput => at_once::objective(instance, schedule),
    }
}

fn placed(schedule: &Schedule) -> impl Iterator<Item = (usize, &Placed)> {
    schedule
        .placed
        .iter()
        .enumerate()
        .filter_map(|(copy, placed)| Some((copy, placed.as_ref()?)))
}

fn sum(values: impl Iterator<Item = i128>) -> i64 {
    let total = values.fold(0i128, i128::saturating_add);
    i64::try_from(total).unwrap_or(if total < 0 { i64::MIN + 1 } else { i64::MAX })
}
