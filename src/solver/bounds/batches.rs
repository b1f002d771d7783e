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

use super::ascent::Ascent;
use super::curves::{Curves, Polygon};
use super::market::LAST;
use super::{Job, Relaxation, Share, smith};

/// Pools and resources whose prices are learnt: those in which the batches wait longest in Smith's order.
const MOST_SHARES: usize = 2;
/// Cells of the price beside those that begin at the least end of a batch.
const CELLS: usize = 48;
/// Batches whose least ends are corners.
const MOST_CORNERS: usize = 48;
/// Modes of a batch that are looked at while prices are learnt, about.
const SAMPLE: usize = 320;
/// The first step, as a part of what would reach the double value.
const REACH: f64 = 0.05;
/// Part of all magnitudes that is taken off for rounding.
const MARGIN: f64 = 1e-11;
/// The last corner, as a multiple of the time after which all areas are done one after the other.
const STRETCH: f64 = 1.3;
/// Intervals of L are halved so many times while prices are learnt; for the proof so many modes are looked at.
/// Those that lose no more than a part are left.
const FEW_HALVINGS: usize = 6;
const MOST_MODES: usize = 200_000;
const LOSS: f64 = 2e-5;

/// The prices of one resource of a pool, as far as they are learnt.
pub(super) struct Batches {
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
pub(super) struct Proof {
    pub bound: i128,
    pub ends: Vec<Millis>,
}

/// What a batch uses of the resource.
#[derive(Clone)]
struct Batch {
    weight: f64,
    /// It does not end before.
    low: f64,
    /// (number, head, tail, first mode, mode after the last)
    copies: Vec<(f64, f64, f64, usize, usize)>,
    /// (duration, share), the first rising, the area falling.
    modes: Vec<(f64, f64)>,
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
            let task = relaxation.instance.task_of[job.view.copies.start];
            let batch = job.view.batch;
            batches[batch].add(share, job, tails[batch][task]);
        }
        let curves = fluid(&batches);
        let left = |cell: &[f64]| {
            let held = share.held.until(cell[1] as i128) - share.held.until(cell[0] as i128);
            ((cell[1] - cell[0]) - held as f64 / share.capacity as f64).max(0.0)
        };
        Self {
            sample: batches.iter().map(Batch::sample).collect(),
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

impl Batch {
    fn add(&mut self, share: &Share, job: &Job, tail: Millis) {
        if job.steps[share.resource].is_empty() {
            return;
        }
        let first = self.modes.len();
        for &(duration, area) in &job.steps[share.resource] {
            // The area of a mode is its use x its duration. Saturated areas are too small, which is allowed.
            let of_capacity = area as f64 / share.capacity as f64;
            let duration = duration as f64;
            let used = if duration > 0.0 {
                of_capacity / duration
            } else {
                0.0
            };
            self.modes.push((duration, used));
        }
        self.copies.push((
            job.count as f64,
            job.head as f64,
            tail as f64,
            first,
            self.modes.len(),
        ));
    }

    /// Some copies that stand for all: every so many of those sorted by their least area.
    fn sample(&self) -> Self {
        let stride = self.modes.len().div_ceil(SAMPLE).max(1);
        let mut copies = self.copies.clone();
        let area = |copy: &(f64, f64, f64, usize, usize)| {
            self.modes[copy.3..copy.4]
                .last()
                .map_or(0.0, |(duration, share)| duration * share)
        };
        copies.sort_by(|one, other| area(one).total_cmp(&area(other)));
        let some = copies.chunks(stride).map(|neighbours| {
            let mut middle = neighbours[neighbours.len() / 2];
            middle.0 = neighbours.iter().map(|copy| copy.0).sum();
            middle
        });
        Self {
            copies: some.collect(),
            ..self.clone()
        }
    }

    /// The most that the batch can use at once, as a multiple of the capacity.
    fn most(&self) -> f64 {
        let of_copy = |&(count, _, _, first, last): &(f64, f64, f64, usize, usize)| {
            count
                * self.modes[first..last]
                    .iter()
                    .map(|mode| mode.1)
                    .fold(0.0, f64::max)
        };
        self.copies.iter().map(of_copy).sum()
    }

    /// The least price of each copy in time, and the area of the smallest modes in time.
    fn each(
        &self,
        line: &Polygon,
        end: f64,
        mut take: impl FnMut(f64, f64, f64, f64),
    ) -> (f64, f64) {
        let (mut price, mut area) = (0.0, 0.0);
        for &(count, head, tail, first, last) in &self.copies {
            let until = end - tail;
            let paid = line.at(until);
            let mut best = (f64::INFINITY, 0.0, 0.0);
            let mut smallest = f64::INFINITY;
            for &(duration, share) in &self.modes[first..last] {
                if duration > until - head {
                    break;
                }
                let cost = share * (paid - line.at(until - duration));
                if cost < best.0 {
                    best = (cost, share, duration);
                }
                smallest = smallest.min(share * duration);
            }
            // A batch whose copies cannot end in time does not end before `low`; this is never asked.
            if best.0.is_finite() {
                price += count * best.0;
                area += count * smallest;
                take(count, best.1, until - best.2, until);
            }
        }
        (price, area)
    }

    /// C(b, L).
    fn price(&self, line: &Polygon, end: f64) -> f64 {
        let (price, area) = self.each(line, end, |_, _, _, _| {});
        price.max(line.at(end) - line.at((end - area).ceil().clamp(0.0, end)))
    }

    /// Adds what the batch uses of each cell when it ends then.
    fn sell(&self, curves: &Curves, end: f64, sold: &mut [f64]) {
        let line = curves.line(0);
        let add = |amount: f64, from: f64, until: f64, sold: &mut [f64]| {
            let first = curves
                .times
                .partition_point(|&time| time <= from)
                .saturating_sub(1);
            let cells = curves.times[first..]
                .windows(2)
                .take_while(|cell| cell[0] < until);
            for (cell, sold) in cells.zip(&mut sold[first..]) {
                *sold += amount * (cell[1].min(until) - cell[0].max(from));
            }
        };
        let mut places = Vec::with_capacity(self.copies.len());
        let (price, area) = self.each(&line, end, |count, share, from, until| {
            places.push((count * share, from, until))
        });
        if price >= line.at(end) - line.at((end - area).max(0.0)) {
            places
                .iter()
                .for_each(|&(amount, from, until)| add(amount, from, until, sold));
        } else {
            add(1.0, (end - area).max(0.0), end, sold);
        }
    }

    /// So long before its end the batch uses something.
    fn reach(&self) -> f64 {
        let area: f64 = self
            .copies
            .iter()
            .map(|copy| copy.0 * self.modes[copy.3].0 * self.modes[copy.3].1)
            .sum();
        let of_copy = |copy: &(f64, f64, f64, usize, usize)| {
            copy.2 + self.modes[copy.3..copy.4].last().map_or(0.0, |mode| mode.0)
        };
        self.copies.iter().map(of_copy).fold(area.ceil(), f64::max)
    }

    /// The least of w L + C(b, L) over L >= `low`, and an L near it.
    fn least(&self, curves: &Curves, most: usize) -> (f64, f64) {
        let line = &curves.line(0);
        let corners = curves
            .times
            .iter()
            .copied()
            .filter(|corner| *corner > self.low);
        let mut corners: Vec<f64> = [self.low].into_iter().chain(corners).collect();
        // Behind this end nothing is paid.
        let last = curves.times[curves.cells()];
        let free = self.low.max(last) + self.reach();
        let step = |step: i32| last + ((free - last) * f64::from(step) / 16.0).ceil();
        let beyond = (1..=16).map(step).filter(|end| *end > self.low);
        corners.extend(beyond);
        corners.sort_by(f64::total_cmp);
        corners.dedup();
        // (a value that no L in the interval is below, its ends, C at the second one)
        let interval =
            |from: f64, until: f64, price: f64| (self.weight * from + price, from, until, price);
        let mut intervals: Vec<(f64, f64, f64, f64)> = corners
            .windows(2)
            .map(|pair| interval(pair[0], pair[1], self.price(line, pair[1])))
            .collect();
        let last = corners[corners.len() - 1];
        intervals.push(interval(last, f64::INFINITY, 0.0));
        for halving in 0.. {
            let least = (0..intervals.len())
                .min_by(|&one, &other| intervals[one].0.total_cmp(&intervals[other].0));
            let (value, from, until, price) = intervals[least.unwrap_or(0)];
            let loss = self.weight * (until - from);
            if halving == most || until.is_infinite() || loss <= LOSS * value || until - from <= 1.0
            {
                return (value, if until.is_infinite() { from } else { until });
            }
            let middle = ((from + until) / 2.0).floor();
            intervals[least.unwrap_or(0)] = interval(from, middle, self.price(line, middle));
            // A plan that ends after the middle ends 1 ms later at least.
            intervals.push(interval(middle + 1.0, until, price));
        }
        (0.0, self.low)
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
