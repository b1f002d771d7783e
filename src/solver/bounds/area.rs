//! Area. The copies of a batch that are confined to a pool use, of one resource, at least the sum of their
//! least areas. They use it after the first of them can start, at no moment more than the pool's capacity. So
//! the batch lasts at least until that start plus area / capacity.

use super::{Relaxation, Share, divide_up};

/// Sum over batches of weight x area bound.
pub(super) fn makespan(relaxation: &Relaxation) -> i128 {
    relaxation.sum_over_batches(|batch| {
        relaxation
            .shares(relaxation.batch(batch))
            .map(|share| end(&share))
            .max()
            .unwrap_or(0)
    })
}

fn end(share: &Share) -> i128 {
    let users = || share.jobs.iter().filter(|job| job.area(share.resource) > 0);
    let area = users()
        .map(|job| job.count.saturating_mul(job.area(share.resource)))
        .fold(0, i128::saturating_add);
    let first = users().map(|job| i128::from(job.head)).min().unwrap_or(0);
    first.saturating_add(divide_up(area, share.capacity))
}
