//! Several batches under Makespan: a price on time.
//!
//! Let p(t) >= 0 be a price of all of one resource of a pool that never rises, and K(t) the part of it that running
//! pods leave. As in `price.rs`, with C(b, L) the least that batch b pays for all that it uses if it ends by L,
//! `sum w L >= sum over batches of min over L of (w L + C(b, L)) - integral of p K`.
//! L is at least the bound on the end of the batch alone (`window.rs`). C(b, L) is at least both
//! - the sum over its copies of the least price among modes that end in time: each as late as possible, since
//!   p never rises; in time means by L less what has to follow;
//! - what the area a(L), each copy in its smallest mode in time (`canonical.rs`), costs when all of the
//!   resource works on it in the last, that is cheapest, time: the integral of p over [L - a(L), L).
//!
//! Without the second a batch could run all at once in its cheapest moment. Both fall with L, so the least over L in
//! [l, m] is at least w l + C(b, m); intervals are halved where that is least. p is constant in cells and
//! learnt (`ascent.rs`) on a sample of the copies and of L; rounding as in `price.rs`.

use std::cmp::Reverse;

use crate::model::Millis;
use crate::solver::bounds::prices::ascent::Ascent;
use crate::solver::bounds::prices::curves::Curves;
use crate::solver::bounds::prices::market::LAST;
use crate::solver::bounds::{Job, Relaxation, Share, smith};

use super::batch::Batch;

/// Modes that are looked at while prices are learnt, about; and of each batch, at least and at most.
const SAMPLE: usize = 3_200;
const MOST_SAMPLED: (usize, usize) = (64, 320);
/// Pools and resources whose prices are learnt: those in which the batches wait longest in Smith's order.
const MOST_SHARES: usize = 2;
/// Cells of the price beside those that begin at the least end of a batch.
const CELLS: usize = 48;
/// Batches whose least ends are corners.
const MOST_CORNERS: usize = 48;
/// The first step, as a part of what would reach the double value.
const REACH: f64 = 0.05;
/// Part of all magnitudes that is taken off for rounding.
const MARGIN: f64 = 1e-11;
/// The last corner, as a multiple of the time after which all areas are done one after the other.
const STRETCH: f64 = 1.3;
/// Intervals of L are halved so many times while prices are learnt; for the proof so many modes are looked at.
const FEW_HALVINGS: usize = 6;
const MOST_MODES: usize = 200_000;

/// The prices of one resource of a pool, as far as they are learnt.
pub(in crate::solver::bounds) struct Batches {
    batches: Vec<Batch>,
    sample: Vec<Batch>,
    /// What there is in each cell, in ms at full capacity.
    left: Vec<f64>,
    curves: Curves,
    ascent: Ascent,
    best: f64,
    best_curves: Curves,
}

/// What a plan cannot beat, and when each batch ends at the prices that prove it.
pub(in crate::solver::bounds) struct Proof {
    pub bound: i128,
    pub ends: Vec<Millis>,
}

impl Batches {
    /// One for each pool and resource; none for a single batch, or where a time is too large.
    pub fn of_all(relaxation: &Relaxation, ends: &[i128]) -> Vec<Self> {
        let is_small =
            |job: &Job| job.head <= LAST && job.view.modes.iter().all(|mode| mode.least <= LAST);
        let is_large = ends.iter().any(|end| *end > i128::from(LAST))
            || !relaxation.tasks.iter().all(is_small);
        if ends.len() < 2 || is_large {
            return Vec::new();
        }
        let tails: Vec<Vec<Millis>> = (0..ends.len())
            .map(|batch| relaxation.tails(batch))
            .collect();
        let mut shares: Vec<Share> = relaxation.shares(relaxation.tasks.iter()).collect();
        shares.sort_by_cached_key(|share| Reverse(smith::weighted_ends(relaxation, share)));
        let scarcest = shares.iter().take(MOST_SHARES);
        let batches = scarcest.map(|share| Self::new(relaxation, share, ends, &tails));
        batches
            .filter(|batches| batches.curves.times[batches.curves.cells()] < LAST as f64)
            .collect()
    }

    fn new(relaxation: &Relaxation, share: &Share, ends: &[i128], tails: &[Vec<Millis>]) -> Self {
        let mut batches: Vec<Batch> = ends
            .iter()
            .zip(&relaxation.instance.problem.batches)
            .map(|(&end, batch)| Batch {
                weight: batch.weight.max(0) as f64,
                low: end as f64,
                copies: Vec::new(),
                modes: Vec::new(),
            })
            .collect();
        for job in &share.jobs {
            let task = job.view.index;
            let batch = job.view.batch;
            batches[batch].add(share, job, tails[batch][task]);
        }
        let curves = fluid(&batches);
        let most = (SAMPLE / batches.len()).clamp(MOST_SAMPLED.0, MOST_SAMPLED.1);
        let left = |cell: &[f64]| {
            let held = share.held.until(cell[1] as i128) - share.held.until(cell[0] as i128);
            ((cell[1] - cell[0]) - held as f64 / share.capacity as f64).max(0.0)
        };
        Self {
            sample: batches.iter().map(|batch| batch.sample(most)).collect(),
            left: curves.times.windows(2).map(left).collect(),
            ascent: Ascent::new(drops(&curves)),
            best: f64::NEG_INFINITY,
            best_curves: curves.clone(),
            curves,
            batches,
        }
    }

    /// One round of learning: prices that never rise are sums of the steps down behind them.
    pub fn step(&mut self) {
        let mut excess: Vec<f64> = self.left.iter().map(|left| -left).collect();
        let mut value = -self.rent(&self.curves);
        for batch in &self.sample {
            let (cost, end) = batch.least(&self.curves, FEW_HALVINGS);
            value += cost;
            batch.sell(&self.curves, end, &mut excess);
        }
        if value > self.best {
            self.best = value;
            self.best_curves.clone_from(&self.curves);
        }
        let mut sum = 0.0;
        let gradient = excess.iter().enumerate().map(|(cell, excess)| {
            sum += excess;
            sum / self.curves.width(cell).sqrt()
        });
        self.ascent.tell(value, gradient.collect(), REACH);
        let mut price = 0.0;
        for (cell, drop) in self.ascent.point().iter().enumerate().rev() {
            price += drop / self.curves.width(cell).sqrt();
            self.curves.prices[0][cell] = price;
        }
        self.curves.sum_up();
    }

    /// The bound at the best prices.
    pub fn prove(&self) -> Proof {
        let curves = &self.best_curves;
        let rent = self.rent(curves);
        let found: Vec<(f64, f64)> = self
            .batches
            .iter()
            .map(|batch| {
                batch.least(
                    curves,
                    (MOST_MODES / batch.modes.len().max(1)).clamp(64, 2_000),
                )
            })
            .collect();
        let costs: f64 = found.iter().map(|(cost, _)| cost).sum();
        let used: f64 = self.batches.iter().map(Batch::most).sum();
        let magnitude = costs + curves.total(0) * (1.0 + self.batches.len() as f64 + used);
        let safe = (costs - rent - magnitude * MARGIN).floor();
        Proof {
            bound: if safe.is_finite() { safe as i128 } else { 0 },
            ends: found.iter().map(|(_, end)| *end as Millis).collect(),
        }
    }

    fn rent(&self, curves: &Curves) -> f64 {
        self.left
            .iter()
            .zip(&curves.prices[0])
            .map(|(left, price)| left * price)
            .sum()
    }
}

/// How much the price drops at the end of each cell, x the root of the width of the cell.
fn drops(curves: &Curves) -> Vec<f64> {
    let prices = &curves.prices[0];
    (0..curves.cells())
        .map(|cell| (prices[cell] - prices[cell + 1]) * curves.width(cell).sqrt())
        .collect()
}

/// First prices: the weight that has not ended when the batches follow one another, the least area by weight first.
fn fluid(batches: &[Batch]) -> Curves {
    let area = |batch: &Batch| -> f64 {
        let of_copy = |copy: &(f64, f64, f64, usize, usize)| {
            copy.0
                * batch.modes[copy.3..copy.4]
                    .last()
                    .map_or(0.0, |(duration, share)| duration * share)
        };
        batch.copies.iter().map(of_copy).sum()
    };
    let mut order: Vec<(f64, f64)> = batches
        .iter()
        .map(|batch| (area(batch), batch.weight))
        .collect();
    order.sort_by(|one, other| (one.0 * other.1).total_cmp(&(other.0 * one.1)));
    let through: f64 = order.iter().map(|batch| batch.0).sum();
    let ends = batches.iter().map(|batch| batch.low);
    let last = (STRETCH * ends.clone().fold(through, f64::max))
        .ceil()
        .clamp(1.0, LAST as f64);
    let cell = |cell: usize| (last * cell as f64 / CELLS as f64).ceil();
    let mut times: Vec<f64> = (0..=CELLS)
        .map(cell)
        .chain(ends.take(MOST_CORNERS))
        .collect();
    times.sort_by(f64::total_cmp);
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
