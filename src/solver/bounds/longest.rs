//! Longest path. No copy ends before its head (the release, or the latest least end of a task that it waits
//! for) plus its least duration over all modes, whatever the capacity; by induction along the dependencies.

use crate::model::Millis;

use super::{Job, Relaxation};

/// Sum over batches of weight x longest path.
pub(super) fn makespan(relaxation: &Relaxation) -> i128 {
    relaxation.sum_over_batches(|batch| i128::from(batch_end(relaxation, batch)))
}

/// Sum over copies of weight x length of the path that ends with it.
pub(super) fn flow_time(relaxation: &Relaxation) -> i128 {
    relaxation
        .tasks
        .iter()
        .map(weighted_ends)
        .fold(0, i128::saturating_add)
}

/// The longest path of one batch.
pub(super) fn batch_end(relaxation: &Relaxation, batch: usize) -> Millis {
    relaxation.batch(batch).map(end).max().unwrap_or(0)
}

/// All copies of a task.
pub(super) fn weighted_ends(job: &Job) -> i128 {
    job.count
        .saturating_mul(job.weight)
        .saturating_mul(i128::from(end(job)))
}

fn end(job: &Job) -> Millis {
    job.head.saturating_add(job.least)
}
