//! Cheapest modes. What a copy costs does not depend on the others, so the sum of the least costs is a bound.
//! The least cost of a mode is exact: see `spread` in `cheapest.rs`. As time is free, waiting for the
//! cheapest nodes reaches it.

use crate::solver::instance::ModeView;
use crate::solver::instance::cheapest::keep_cheapest;

use super::{Job, Relaxation};

/// Sum over copies of the least cost, in millionths.
pub(super) fn cost(relaxation: &Relaxation) -> i128 {
    let of_task = |job: &Job| job.count.saturating_mul(least(relaxation, job));
    relaxation
        .tasks
        .iter()
        .map(of_task)
        .fold(0, i128::saturating_add)
}

fn least(relaxation: &Relaxation, job: &Job) -> i128 {
    let task = job.view.index;
    job.view
        .modes
        .iter()
        .map(|mode| of_mode(relaxation, task, mode))
        .min()
        .unwrap_or(0)
}

/// The least cost of a mode; of one of which only the cheapest is left, just that.
fn of_mode(relaxation: &Relaxation, task: usize, mode: &ModeView) -> i128 {
    let problem = relaxation.instance.problem;
    let full = &problem.tasks[task].modes[mode.index];
    keep_cheapest(problem, full, &mut mode.clone()).map_or(0, i128::from)
}
