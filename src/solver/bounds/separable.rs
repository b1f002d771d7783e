//! The static goals: every copy at its best, and the same with room at a price.
//!
//! Best modes: what a copy adds depends on its mode alone, so no plan is better than each copy's best mode.
//!
//! Pooled (Lagrangian relaxation, Fisher 1981): the copies confined to a pool use at most its capacity K of a
//! resource. For every price p >= 0 therefore sum v <= sum v - p (sum q - K) <= sum of max over modes of
//! (v - p q) + p K, where q is what all pods of the mode use; copies outside the pool count with their best.
//! The price is a fraction n / 2^40; it is searched with floats, which can make the bound weak, never wrong,
//! because the sum is evaluated in integers. For Shortfall the same with -v.

use crate::solver::instance::ModeView;

use super::{Job, Relaxation, Share, divide_up};

/// Binary digits behind the point of a price.
const DIGITS: u32 = 40;

/// Upper bound: sum of the largest values, in thousandths.
pub(super) fn throughput(relaxation: &Relaxation) -> i128 {
    best_modes(relaxation, 1)
}

/// Lower bound: sum of the least values, in thousandths.
pub(super) fn shortfall(relaxation: &Relaxation) -> i128 {
    -best_modes(relaxation, -1)
}

/// Upper bound with the room of each pool at a price.
pub(super) fn pooled_throughput(relaxation: &Relaxation) -> i128 {
    pooled(relaxation, 1)
}

/// Lower bound with the room of each pool at a price.
pub(super) fn pooled_shortfall(relaxation: &Relaxation) -> i128 {
    -pooled(relaxation, -1)
}

/// Every copy at its best: the sum of the largest sign x value.
pub(super) fn best_modes(relaxation: &Relaxation, sign: i128) -> i128 {
    relaxation
        .tasks
        .iter()
        .map(|job| job.count.saturating_mul(best(job, sign)))
        .fold(0, i128::saturating_add)
}

fn best(job: &Job, sign: i128) -> i128 {
    job.view
        .modes
        .iter()
        .map(|mode| sign * i128::from(mode.value))
        .max()
        .unwrap_or(0)
}

/// The best over all pools and resources of the pooled bound on the sum of sign x value.
fn pooled(relaxation: &Relaxation, sign: i128) -> i128 {
    let all = best_modes(relaxation, sign);
    let mut least = all;
    for share in relaxation.shares(relaxation.tasks.iter()) {
        let own = share
            .jobs
            .iter()
            .map(|job| job.count.saturating_mul(best(job, sign)));
        let outside = all.saturating_sub(own.fold(0, i128::saturating_add));
        if let Some(inside) = priced(&share, sign) {
            least = least.min(outside.saturating_add(inside));
        }
    }
    least
}

/// The resource that gives the best bound of all copies in one pool of all classes, and its price.
pub(super) fn pool_price(relaxation: &Relaxation, sign: i128) -> Option<(usize, f64)> {
    let all = |share: &Share| share.jobs.len() == relaxation.tasks.len();
    let priced = |share: Share| {
        let price = price(&share, sign)?;
        Some((at_price(&share, sign, price)?, share.resource, price))
    };
    let shares = relaxation.shares(relaxation.tasks.iter()).filter(all);
    let best = shares.filter_map(priced).min_by_key(|(bound, ..)| *bound);
    best.map(|(_, resource, price)| (resource, price))
}

/// The bound of one share at the price at which its copies use about the capacity; `None` when it is not
/// scarce or the sums do not fit 128 bits.
fn priced(share: &Share, sign: i128) -> Option<i128> {
    at_price(share, sign, price(share, sign)?)
}

/// The price at which the copies of a share use about its capacity; `None` when it is not scarce.
fn price(share: &Share, sign: i128) -> Option<f64> {
    if usage(share, sign, 0.0) <= share.capacity as f64 {
        return None;
    }
    let (mut low, mut high) = (-f64::from(DIGITS), 62.0);
    for _ in 0..48 {
        let middle: f64 = (low + high) / 2.0;
        let is_cheap = usage(share, sign, middle.exp2()) > share.capacity as f64;
        (low, high) = if is_cheap {
            (middle, high)
        } else {
            (low, middle)
        };
    }
    Some(high.exp2())
}

/// The bound of one share at this price; `None` where the sums do not fit 128 bits.
fn at_price(share: &Share, sign: i128, price: f64) -> Option<i128> {
    let price = (price * (1u64 << DIGITS) as f64) as i128;
    let mut total = price.checked_mul(share.capacity)?;
    for job in &share.jobs {
        let mut most = None;
        for mode in &job.view.modes {
            let room = i128::from(mode.pods)
                .checked_mul(i128::from(mode.request.usage[share.resource]))?;
            let value = (sign * i128::from(mode.value)).checked_mul(1 << DIGITS)?;
            most = most.max(Some(value.checked_sub(price.checked_mul(room)?)?));
        }
        total = total.checked_add(job.count.checked_mul(most?)?)?;
    }
    // The sum of whole values is at most the quotient, so at most its floor: -ceil(-total / 2^DIGITS).
    Some(-divide_up(-total, 1 << DIGITS))
}

/// What the copies use when each takes the mode of most value less price, of equal ones the smallest.
fn usage(share: &Share, sign: i128, price: f64) -> f64 {
    let of_job = |job: &&Job| {
        let net = |mode: &ModeView| {
            let room = f64::from(mode.pods) * mode.request.usage[share.resource] as f64;
            (sign as f64 * mode.value as f64 - price * room, -room)
        };
        let nets = job.view.modes.iter().map(net);
        let best =
            nets.max_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        job.count as f64 * best.map_or(0.0, |(_, room)| -room)
    };
    share.jobs.iter().map(of_job).sum()
}
