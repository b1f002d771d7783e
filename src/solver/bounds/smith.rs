//! Several batches under Makespan, in Smith's order.
//!
//! Of one resource of a pool, batch b needs an area A_b before its last task ends, at a rate of at most the
//! capacity in all. So the ends of the batches are at least the completion times of some preemptive schedule
//! of jobs A_b on one machine of that speed. The least weighted sum of these is that of Smith's order (1956),
//! by weight over area, falling: an exchange of neighbours never helps. It grows with areas and weights, so
//! clamping both downwards keeps the bound valid, and makes the comparisons of the order exact.

use super::{Relaxation, Share, divide_up};

/// Areas and weights are clamped so that their products fit 128 bits.
const MOST_AREA: i128 = 1 << 90;
const MOST_WEIGHT: i128 = 1 << 30;

/// The best over all pools and resources; 0 for a single batch, where the area bound is the same.
pub(super) fn makespan(relaxation: &Relaxation) -> i128 {
    if relaxation.instance.problem.batches.len() < 2 {
        return 0;
    }
    relaxation
        .shares(relaxation.tasks.iter())
        .map(|share| weighted_ends(relaxation, &share))
        .max()
        .unwrap_or(0)
}

/// The least weighted sum of the ends as far as this share tells.
pub(super) fn weighted_ends(relaxation: &Relaxation, share: &Share) -> i128 {
    let mut batches: Vec<(i128, i128)> = relaxation
        .instance
        .problem
        .batches
        .iter()
        .map(|batch| (0, i128::from(batch.weight.max(0)).min(MOST_WEIGHT)))
        .collect();
    for job in &share.jobs {
        let area = &mut batches[job.view.batch].0;
        *area = area
            .saturating_add(job.count.saturating_mul(job.area(share.resource)))
            .min(MOST_AREA);
    }
    divide_up(smith_sum(batches), share.capacity)
}

/// Least sum of weight x completion time of jobs (length, weight) on one machine.
fn smith_sum(mut jobs: Vec<(i128, i128)>) -> i128 {
    jobs.retain(|(_, weight)| *weight > 0);
    jobs.sort_by(|(length, weight), (other, other_weight)| {
        (length * other_weight).cmp(&(other * weight))
    });
    let (mut done, mut total) = (0i128, 0i128);
    for (length, weight) in jobs {
        done = done.saturating_add(length);
        total = total.saturating_add(weight.saturating_mul(done));
    }
    total
}
