//! Static goals with a price on every resource of every pool at once (Lagrangian relaxation, Fisher 1981).
//!
//! The copies confined to a pool use at most its capacity K of each resource. For prices p >= 0 of them therefore
//! `sum v <= sum v - sum of p (use - K) = sum over copies of max over modes of (v - sum of p q) + sum of p K`,
//! where q is what all pods of the mode use. `separable.rs` prices one resource alone; together they bind where
//! different tasks meet different limits. Prices are fractions n / 2^40, learnt with floats (`ascent.rs`), which
//! can make the bound weak, never wrong: the sum is evaluated in integers. For Shortfall the same with -v.

use super::super::instance::ModeView;
use super::ascent::Ascent;
use super::{Job, Relaxation, divide_up, is_within};

/// Binary digits behind the point of a price.
const DIGITS: u32 = 40;
/// Rounds of learning, and modes x prices that all of them look at.
const ROUNDS: usize = 80;
const MOST_TERMS: usize = 2_000_000;
/// The first step, as a part of what would reach the double value.
const REACH: f64 = 0.02;

/// Upper bound on the sum of values, in thousandths.
pub(super) fn throughput(relaxation: &Relaxation) -> i128 {
    bound(relaxation, 1)
}

/// Lower bound on the sum of values, in thousandths.
pub(super) fn shortfall(relaxation: &Relaxation) -> i128 {
    -bound(relaxation, -1)
}

/// A resource of a pool.
struct Limit {
    resource: usize,
    capacity: i128,
    /// Whether the tasks of each pool of the instance count.
    confines: Vec<bool>,
}

fn bound(relaxation: &Relaxation, sign: i128) -> i128 {
    let limits = limits(relaxation);
    let modes: usize = relaxation
        .tasks
        .iter()
        .map(|job| job.view.modes.len())
        .sum();
    let rounds = (MOST_TERMS / (modes * limits.len()).max(1)).min(ROUNDS);
    // A coordinate is the price of all capacity.
    let mut ascent = Ascent::new(vec![0.0; limits.len()]);
    let mut best: Option<i128> = None;
    for round in 0..=rounds {
        let whole = |(limit, price): (&Limit, &f64)| {
            (price / limit.capacity as f64 * (1u64 << DIGITS) as f64) as i128
        };
        let prices: Vec<i128> = limits.iter().zip(ascent.point()).map(whole).collect();
        let Some((value, use_of)) = evaluate(relaxation, &limits, &prices, sign) else {
            break;
        };
        best = Some(best.map_or(value, |best| best.min(value)));
        if round < rounds {
            let excess = use_of
                .iter()
                .zip(&limits)
                .map(|(used, limit)| used / limit.capacity as f64 - 1.0);
            ascent.tell(-(value as f64), excess.collect(), REACH);
        }
    }
    best.unwrap_or(i128::MAX)
}

/// Those that the copies confined to them could exceed.
fn limits(relaxation: &Relaxation) -> Vec<Limit> {
    let mut limits = Vec::new();
    for pool in &relaxation.pools {
        let of_pool = |own: &super::super::instance::Pool| is_within(&own.classes, &pool.classes);
        let confines: Vec<bool> = relaxation.instance.pools.iter().map(of_pool).collect();
        let inside = |job: &&Job| confines[job.view.pool];
        for (resource, &capacity) in pool
            .capacity
            .iter()
            .enumerate()
            .filter(|(_, capacity)| **capacity > 0)
        {
            let most = |job: &Job| {
                let largest = job.view.modes.iter().map(|mode| used(mode, resource)).max();
                job.count.saturating_mul(largest.unwrap_or(0))
            };
            let all = relaxation
                .tasks
                .iter()
                .filter(inside)
                .map(most)
                .fold(0, i128::saturating_add);
            if all > capacity {
                limits.push(Limit {
                    resource,
                    capacity,
                    confines: confines.clone(),
                });
            }
        }
    }
    limits
}

fn used(mode: &ModeView, resource: usize) -> i128 {
    i128::from(mode.pods).saturating_mul(i128::from(mode.request.usage[resource]))
}

/// The bound at these prices, and what the copies use of each limit; `None` where a sum does not fit 128 bits.
fn evaluate(
    relaxation: &Relaxation,
    limits: &[Limit],
    prices: &[i128],
    sign: i128,
) -> Option<(i128, Vec<f64>)> {
    let mut total = 0i128;
    let mut use_of = vec![0.0; limits.len()];
    for (limit, price) in limits.iter().zip(prices) {
        total = total.checked_add(price.checked_mul(limit.capacity)?)?;
    }
    for job in &relaxation.tasks {
        let own: Vec<usize> = (0..limits.len())
            .filter(|&limit| limits[limit].confines[job.view.pool])
            .collect();
        let mut best: Option<(i128, &ModeView)> = None;
        for mode in &job.view.modes {
            let mut net = (sign * i128::from(mode.value)).checked_mul(1 << DIGITS)?;
            for &limit in &own {
                let room = i128::from(mode.pods)
                    .checked_mul(i128::from(mode.request.usage[limits[limit].resource]))?;
                net = net.checked_sub(prices[limit].checked_mul(room)?)?;
            }
            if best.is_none_or(|best| net > best.0) {
                best = Some((net, mode));
            }
        }
        let (net, mode) = best?;
        total = total.checked_add(job.count.checked_mul(net)?)?;
        for &limit in &own {
            use_of[limit] += job.count as f64 * used(mode, limits[limit].resource) as f64;
        }
    }
    // The sum of whole values is at most the quotient, so at most its floor: -ceil(-total / 2^DIGITS).
    Some((-divide_up(-total, 1 << DIGITS), use_of))
}
