//! What a schedule is worth, in whole numbers.

use crate::model::{Goal, Millis};

use super::cheapest::pod_cost;
use super::instance::Instance;
use super::schedule::{Placed, Schedule};

/// Less is better, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score {
    /// Copies without a place.
    pub unplaced: usize,
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
            goal: if instance.problem.goal.is_maximised() {
                -objective
            } else {
                objective
            },
            ends: if instance.problem.goal.is_static() {
                0
            } else {
                flow_time(instance, schedule)
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
        Goal::Makespan => makespan(instance, schedule),
        Goal::FlowTime => flow_time(instance, schedule),
        Goal::Cost => {
            sum(placed(schedule).map(|(copy, place)| cost(instance, schedule, copy, place)))
        }
        Goal::Shortfall | Goal::Throughput => sum(placed(schedule)
            .map(|(copy, place)| i128::from(instance.task(copy).modes[place.mode].value))),
    }
}

fn placed(schedule: &Schedule) -> impl Iterator<Item = (usize, &Placed)> {
    schedule
        .placed
        .iter()
        .enumerate()
        .filter_map(|(copy, placed)| Some((copy, placed.as_ref()?)))
}

/// Sum over batches of weight x last end.
fn makespan(instance: &Instance, schedule: &Schedule) -> i64 {
    let mut ends: Vec<Millis> = vec![0; instance.problem.batches.len()];
    for (copy, place) in placed(schedule) {
        let end = &mut ends[instance.task(copy).batch];
        *end = (*end).max(place.end);
    }
    let weights = instance
        .problem
        .batches
        .iter()
        .map(|batch| i128::from(batch.weight.max(0)));
    sum(weights
        .zip(ends)
        .map(|(weight, end)| weight * i128::from(end)))
}

/// Sum over copies of weight x end.
fn flow_time(instance: &Instance, schedule: &Schedule) -> i64 {
    sum(placed(schedule)
        .map(|(copy, place)| i128::from(instance.task(copy).weight) * i128::from(place.end)))
}

/// Sum over the pods of what each costs while the copy runs.
fn cost(instance: &Instance, schedule: &Schedule, copy: usize, place: &Placed) -> i128 {
    let (task, duration) = (instance.task_of[copy], place.end - place.start);
    let mode = &instance.tasks[task].modes[place.mode];
    let pod = |&node: &usize| {
        instance
            .run(task, mode, node)
            .map_or(0, |run| pod_cost(run, duration))
    };
    schedule
        .nodes(place)
        .iter()
        .map(|node| i128::from(pod(node)))
        .sum()
}

fn sum(values: impl Iterator<Item = i128>) -> i64 {
    let total = values.fold(0i128, i128::saturating_add);
    i64::try_from(total).unwrap_or(if total < 0 { i64::MIN + 1 } else { i64::MAX })
}
