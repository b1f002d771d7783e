//! Several batches under Makespan: a price on time.
//!
//! Of one resource of a pool with capacity K, a batch that ends at L needs an area a(L) before L: each copy
//! the least area of the modes that end by L, which falls with L (as in `canonical.rs`). Let p(t) >= 0 be a price
//! of all capacity that never rises. The batch uses at most K at any time, so it pays at least what its area
//! costs at full capacity in the cheapest, that is last, time before L: the integral of p over [L - a(L) / K, L).
//! All batches together use at most what running pods leave, K(t). So, as in `price.rs`,
//! `sum w L >= sum over batches of min over L of (w L + integral of p over [L - a(L) / K, L)) - integral of p K(t) / K`.
//! A batch thus is a copy with many modes on one machine: duration a(L) / K, which may end at L or later.
//!
//! p is constant in cells; what a mode adds is piecewise linear (`Polygon::cheapest`). Areas and durations round
//! down; for the rest of the rounding see `price.rs`. The prices are learnt (`ascent.rs`) on fewer modes, each of
//! which has the end of the first and the area of the last that it stands for.

use crate::model::Millis;

use super::ascent::Ascent;
use super::curves::Curves;
use super::{Relaxation, Share, canonical};

/// Cells of the price, rounds of learning, and modes of a batch while it is learnt.
const CELLS: usize = 64;
const ROUNDS: usize = 80;
const MOST_MODES: usize = 48;
/// The first step, as a part of what would reach the double value.
const REACH: f64 = 0.05;
/// Part of all magnitudes that is taken off for rounding.
const MARGIN: f64 = 1e-11;
/// Times are at most this, so that sums of two are exact in floats.
const LAST: i128 = 1 << 49;

/// The best over all pools and resources; 0 for a single batch.
pub(super) fn makespan(relaxation: &Relaxation) -> i128 {
    best(relaxation).map_or(0, |(value, _)| value)
}

/// When each batch ends at the prices of the best bound; `None` for a single batch.
pub(super) fn ends(relaxation: &Relaxation) -> Option<Vec<Millis>> {
    best(relaxation).map(|(_, ends)| ends)
}

fn best(relaxation: &Relaxation) -> Option<(i128, Vec<Millis>)> {
    if relaxation.instance.problem.batches.len() < 2 {
        return None;
    }
    let least = canonical::ends(relaxation);
    let shares: Vec<Share> = relaxation.shares(relaxation.tasks.iter()).collect();
    let all = shares
        .iter()
        .filter_map(|share| of_share(relaxation, share, &least));
    all.max_by_key(|(value, _)| *value)
}

/// A batch on one machine.
struct Batch {
    weight: f64,
    /// (earliest end, duration), the first rising, the second falling.
    modes: Vec<(f64, f64)>,
}

fn of_share(relaxation: &Relaxation, share: &Share, least: &[i128]) -> Option<(i128, Vec<Millis>)> {
    let weights = relaxation
        .instance
        .problem
        .batches
        .iter()
        .map(|batch| batch.weight.max(0) as f64);
    let batch = |(index, (weight, &end)): (usize, (f64, &i128))| {
        let modes = modes(share, index, end)?;
        Some(Batch { weight, modes })
    };
    let batches: Vec<Batch> = weights
        .zip(least)
        .enumerate()
        .map(batch)
        .collect::<Option<_>>()?;
    let few: Vec<Batch> = batches.iter().map(thin).collect();
    let deal = deal(&batches, &learn(&few, share), share);
    let safe = (deal.value - deal.magnitude * MARGIN).floor();
    let ends = deal.ends.iter().map(|&end| end as Millis).collect();
    safe.is_finite().then_some((safe as i128, ends))
}

/// The modes of a batch that ends at `low` or later; `None` where a time is too large.
fn modes(share: &Share, batch: usize, low: i128) -> Option<Vec<(f64, f64)>> {
    let mut area = 0i128;
    let mut savings: Vec<(i128, i128)> = Vec::new();
    for job in share.jobs.iter().filter(|job| job.view.batch == batch) {
        let mut last: Option<i128> = None;
        for &(duration, least) in &job.steps[share.resource] {
            let end = i128::from(job.head) + i128::from(duration);
            match last {
                // Of the modes that end by `low` the last is the smallest.
                _ if end <= low => {}
                Some(before) => savings.push((end, job.count.saturating_mul(before - least))),
                None => {}
            }
            last = Some(least);
        }
        let within = job.steps[share.resource].iter().rev();
        let first = within
            .map(|step| *step)
            .find(|(duration, _)| i128::from(job.head) + i128::from(*duration) <= low);
        let (_, least) = first.or(job.steps[share.resource].first().copied())?;
        area = area.checked_add(job.count.checked_mul(least)?)?;
    }
    savings.sort_unstable();
    let mut modes = vec![(low, area)];
    for (end, saved) in savings {
        area -= saved;
        match modes.last_mut() {
            Some(last) if last.0 == end => last.1 = area,
            _ => modes.push((end, area)),
        }
    }
    let scaled = |(end, area): (i128, i128)| {
        let duration = area.max(0) / share.capacity;
        (end.max(duration) <= LAST).then_some((end as f64, duration as f64))
    };
    modes.into_iter().map(scaled).collect()
}

/// Fewer modes that are together at least as good.
fn thin(batch: &Batch) -> Batch {
    let stride = batch.modes.len().div_ceil(MOST_MODES);
    let merge = |modes: &[(f64, f64)]| (modes[0].0, modes[modes.len() - 1].1);
    Batch {
        weight: batch.weight,
        modes: batch.modes.chunks(stride.max(1)).map(merge).collect(),
    }
}

/// What all batches take at some prices.
struct Deal {
    value: f64,
    magnitude: f64,
    /// Use above what is left, in each cell.
    excess: Vec<f64>,
    /// When each batch ends.
    ends: Vec<f64>,
}

fn deal(batches: &[Batch], curves: &Curves, share: &Share) -> Deal {
    let polygon = curves.line(0);
    let left = |cell: &[f64]| {
        let held = share.held.until(cell[1] as i128) - share.held.until(cell[0] as i128);
        ((cell[1] - cell[0]) - held as f64 / share.capacity as f64).max(0.0)
    };
    let cells = curves.times.windows(2);
    let mut excess: Vec<f64> = cells.map(|cell| -left(cell)).collect();
    let mut value: f64 = excess
        .iter()
        .zip(&curves.prices[0])
        .map(|(excess, price)| excess * price)
        .sum();
    let mut magnitude = curves.total(0) * (1.0 + batches.len() as f64);
    let mut ends = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut best = (f64::INFINITY, 0.0, 0.0);
        for &(end, duration) in &batch.modes {
            let head = (end - duration).max(0.0);
            if let Some(found) = polygon.cheapest(batch.weight, 1.0, head, duration, best.0) {
                best = (found.cost, found.start, found.start + duration);
            }
        }
        let (cost, start, end) = best;
        if cost.is_finite() {
            value += cost;
            magnitude += cost;
        }
        ends.push(end);
        for (cell, excess) in curves.times.windows(2).zip(&mut excess) {
            *excess += (cell[1].min(end) - cell[0].max(start)).max(0.0);
        }
    }
    Deal {
        value,
        magnitude,
        excess,
        ends,
    }
}

/// Prices that never rise: each is the sum of the steps down behind it.
fn learn(batches: &[Batch], share: &Share) -> Curves {
    let mut curves = fluid(batches);
    let cells = curves.cells();
    let weight = |cell: usize, curves: &Curves| curves.width(cell).sqrt();
    let drops = |curves: &Curves| -> Vec<f64> {
        (0..cells)
            .map(|cell| {
                (curves.prices[0][cell] - curves.prices[0][cell + 1]) * weight(cell, curves)
            })
            .collect()
    };
    let mut ascent = Ascent::new(drops(&curves));
    let mut best = (f64::NEG_INFINITY, curves.clone());
    for _ in 0..ROUNDS {
        let deal = deal(batches, &curves, share);
        if deal.value > best.0 {
            best = (deal.value, curves.clone());
        }
        let mut sum = 0.0;
        let gradient = deal.excess.iter().enumerate().map(|(cell, excess)| {
            sum += excess;
            sum / weight(cell, &curves)
        });
        ascent.tell(deal.value, gradient.collect(), REACH);
        let mut price = 0.0;
        for (cell, drop) in ascent.point().iter().enumerate().rev() {
            price += drop / (curves.times[cell + 1] - curves.times[cell]).sqrt();
            curves.prices[0][cell] = price;
        }
        curves.sum_up();
    }
    best.1
}

/// First prices: the weight that has not ended when the batches follow one another, the least area by weight first.
fn fluid(batches: &[Batch]) -> Curves {
    let least = |batch: &Batch| batch.modes.last().map_or(0.0, |mode| mode.1);
    let mut order: Vec<(f64, f64)> = batches
        .iter()
        .map(|batch| (least(batch), batch.weight))
        .collect();
    order.sort_by(|one, other| (one.0 * other.1).total_cmp(&(other.0 * one.1)));
    let ends = batches
        .iter()
        .filter_map(|batch| batch.modes.first())
        .map(|mode| mode.0);
    let through: f64 = order.iter().map(|batch| batch.0).sum();
    let last = (1.5 * through.max(ends.fold(0.0, f64::max)))
        .ceil()
        .max(1.0);
    let cell = |cell: usize| (last * cell as f64 / CELLS as f64).ceil();
    let mut times: Vec<f64> = (0..=CELLS).map(cell).collect();
    times.dedup();
    let weight_left = |cell: &[f64]| {
        let mut ended = 0.0;
        let waits = |batch: &&(f64, f64)| {
            ended += batch.0;
            ended > cell[0]
        };
        order.iter().filter(waits).map(|batch| batch.1).sum()
    };
    let prices: Vec<f64> = times.windows(2).map(weight_left).chain([0.0]).collect();
    Curves::new(times, vec![prices])
}
