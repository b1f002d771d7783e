//! Canonical allotment (Mounié, Rapine and Trystram 2007).
//!
//! In a plan of a batch that ends at L every copy runs in a mode of duration at most L - head. Its area is
//! then at least the least area g(L) among those modes, and all areas lie in [h, L), where h is the least head,
//! beside what running pods hold: sum of g(L) <= capacity x (L - h) - held in [h, L). As g falls and the right
//! side grows with L, the least L that satisfies this, found by bisection, is a lower bound; for each pool and
//! resource.

use crate::model::Millis;

use super::{Relaxation, Share, longest};

/// Sum over batches of weight x least L.
pub(super) fn makespan(relaxation: &Relaxation) -> i128 {
    relaxation.sum_over_batches(|batch| end(relaxation, batch))
}

/// The least L of each batch.
pub(super) fn ends(relaxation: &Relaxation) -> Vec<i128> {
    let batches = 0..relaxation.instance.problem.batches.len();
    batches.map(|batch| end(relaxation, batch)).collect()
}

fn end(relaxation: &Relaxation, batch: usize) -> i128 {
    let least = i128::from(longest::batch_end(relaxation, batch));
    let shares = relaxation.shares(relaxation.batch(batch));
    shares.fold(least, |least, share| raise(&share, least))
}

/// The least L, not below `low`, that the share allows.
fn raise(share: &Share, low: i128) -> i128 {
    let head = share.jobs.iter().map(|job| job.head).min().unwrap_or(0);
    let (mut low, mut high) = (low, low);
    while !fits(share, head, high) {
        // No plan ends later, so there is nothing to be proved beyond.
        if high >= i128::from(Millis::MAX) {
            return low;
        }
        (low, high) = (high, (high * 2).clamp(1, i128::from(Millis::MAX)));
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        (low, high) = if fits(share, head, middle) {
            (low, middle)
        } else {
            (middle, high)
        };
    }
    high
}

/// Whether the least areas of modes that end by L fit. An area saturates downwards, a product that is too
/// large counts as enough room: both keep the bound low.
fn fits(share: &Share, head: Millis, length: i128) -> bool {
    let mut area = 0i128;
    for job in &share.jobs {
        let steps = &job.steps[share.resource];
        let within = steps.partition_point(|(duration, _)| {
            i128::from(*duration) <= length - i128::from(job.head)
        });
        let Some((_, least)) = within.checked_sub(1).map(|at| steps[at]) else {
            return false;
        };
        area = area.saturating_add(job.count.saturating_mul(least));
    }
    let held = share.held.until(length) - share.held.until(i128::from(head));
    share
        .capacity
        .checked_mul(length - i128::from(head))
        .is_none_or(|room| area <= room - held)
}
