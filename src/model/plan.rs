//! Plans, and what is known about them.

use super::{Algorithm, Fix, Millis, Reason};

/// Who runs where and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Placed copies, by task and copy.
    pub assignments: Vec<Assignment>,
    /// Copies without a place, with the reason.
    pub unplaced: Vec<Unplaced>,
}

/// One placed copy. It uses its nodes in `[start, end)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assignment {
    /// Index into `Problem::tasks`.
    pub task: usize,
    /// Index of the copy.
    pub copy: u32,
    /// Index into `PlannedTask::modes`.
    pub mode: usize,
    /// Planned start.
    pub start: Millis,
    /// Planned end.
    pub end: Millis,
    /// Index into `Problem::nodes` of each pod.
    pub nodes: Vec<usize>,
}

/// One copy without a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unplaced {
    /// `namespace/name` of the batch.
    pub batch: String,
    /// Name of the task.
    pub task: String,
    /// Index of the copy.
    pub copy: u32,
    /// Why.
    pub reason: Reason,
    /// The same in words and numbers.
    pub message: String,
    /// The smallest change that would make it fit, where one is known.
    pub fix: Option<Fix>,
}

/// What a search can say of its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No plan is better: objective and bound are equal.
    Optimal,
    /// A valid plan; a better one may exist, up to the gap.
    Feasible,
    /// Nothing can be placed.
    Infeasible,
    /// There was nothing to plan, or no time to.
    Unknown,
}

/// A verified plan with its proof.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The plan.
    pub plan: Plan,
    /// What is known of it.
    pub outcome: Outcome,
    /// Value of the goal over the placed copies, in the goal's unit.
    pub objective: i64,
    /// No plan that places the same copies is below it (Throughput: above it).
    pub bound: i64,
    /// Which bound that is.
    pub bound_name: &'static str,
    /// Sum over the placed copies of weight x time after they are due, in ms; comes before the goal.
    pub tardiness: i128,
    /// No plan that places the same copies has less.
    pub tardiness_bound: i128,
    /// For each task of the problem before when none of its copies ends in any plan; empty where nothing is due.
    pub earliest_ends: Vec<Millis>,
    /// The search that was asked for.
    pub algorithm: Algorithm,
    /// The search that found the plan.
    pub found_by: Algorithm,
    /// Seed of the searches.
    pub seed: u64,
    /// How many plans were decoded.
    pub iterations: u64,
}

impl Solution {
    /// How far the plan is from its bound at most.
    pub fn gap(&self) -> Option<f64> {
        gap(self.objective, self.bound)
    }
}

/// `(objective - bound) / bound`, of Throughput `(bound - objective) / bound`, to 4 decimals;
/// 0 when both are 0, `None` when the bound alone is 0.
pub fn gap(objective: i64, bound: i64) -> Option<f64> {
    if bound == 0 {
        return (objective == 0).then_some(0.0);
    }
    let distance = (objective as f64 - bound as f64).abs();
    Some((distance / bound as f64 * 10_000.0).round() / 10_000.0)
}
