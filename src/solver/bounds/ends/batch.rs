//! What a batch uses of one resource, and the least that it pays for it: C(b, L) of `batches.rs`.

use crate::model::Millis;
use crate::solver::bounds::prices::curves::{Curves, Polygon};
use crate::solver::bounds::{Job, Share};

/// Intervals of L that lose no more than this part are not halved.
const LOSS: f64 = 2e-5;
/// Steps of L behind the last price.
const STEPS: i32 = 16;

/// What a batch uses of the resource.
#[derive(Clone)]
pub(in crate::solver::bounds) struct Batch {
    pub weight: f64,
    /// It does not end before.
    pub low: f64,
    /// (number, head, tail, first mode, mode after the last)
    pub copies: Vec<(f64, f64, f64, usize, usize)>,
    /// (duration, share), the first rising, the area falling.
    pub modes: Vec<(f64, f64)>,
}

impl Batch {
    pub fn add(&mut self, share: &Share, job: &Job, tail: Millis) {
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

    /// Some copies with about so many modes that stand for all: every so many of those sorted by their least area.
    pub fn sample(&self, modes: usize) -> Self {
        let stride = self.modes.len().div_ceil(modes).max(1);
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
    pub fn most(&self) -> f64 {
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
    pub fn sell(&self, curves: &Curves, end: f64, sold: &mut [f64]) {
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
    pub fn least(&self, curves: &Curves, most: usize) -> (f64, f64) {
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
        let step = |step: i32| last + ((free - last) * f64::from(step) / f64::from(STEPS)).ceil();
        let beyond = (1..=STEPS).map(step).filter(|end| *end > self.low);
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
