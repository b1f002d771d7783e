//! Several batches under Makespan: ends that together are not refuted.
//!
//! For prices that never rise each copy pays least where it ends as late as it may; what all copies pay in their
//! cheapest modes is at most what is left of the lines costs (`window.rs`, for all batches together). While
//! that is not so, ends must be raised: those for which it saves most, for the weight. Prices are learnt (`ascent.rs`)
//! between. What is left is no bound, since other ends might have been raised; but plans with these ends are worth
//! looking for, and the prices tell what room costs in them.

use crate::model::Millis;
use crate::solver::bounds::Relaxation;
use crate::solver::bounds::prices::ascent::Ascent;
use crate::solver::bounds::prices::curves::Curves;
use crate::solver::bounds::prices::market::{LAST, Market};
use crate::solver::bounds::prices::tariff::Prices;

use super::falling::{Buyer, Falling, Grid, least_area};

const GRID: Grid = Grid {
    cells: 64,
    most_cells: 256,
    stretch: 1.2,
};
/// Offers that are looked at in each round, about.
const SAMPLE: usize = 8_000;
/// Ends are tried this part later, to see what that saves; a round raises them by no more, and no less than the
/// other part.
const STEP: f64 = 0.01;
const LEAST_STEP: f64 = 0.001;
/// Those are raised that save at least this part of what the best one does.
const NEAR_BEST: f64 = 0.8;
/// Parts of what there is that are to be left over, since no plan uses all of it.
const MARGINS: [f64; 9] = [0.0, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.11, 0.15];
/// Rounds in which prices are learnt before ends are raised, and without a refutation before the next margin.
const FIRST: usize = 16;
const PATIENCE: usize = 6;
/// The first step, as a part of what would reach the double value.
const REACH: f64 = 0.05;

/// Ends, and the prices that refuted all that were less.
pub(in crate::solver::bounds) struct Frontier {
    copies: Falling,
    ends: Vec<f64>,
    curves: Curves,
    ascent: Ascent,
    rounds: usize,
    /// Rounds since the last refutation.
    stalled: usize,
    best: (f64, Curves),
    /// For each margin so far the ends, and the prices that refuted less.
    found: Vec<(Vec<Millis>, Curves)>,
}

impl Frontier {
    /// From the least end of each batch alone; `None` for a single batch, or where a time is too large.
    pub fn new(relaxation: &Relaxation, ends: &[i128]) -> Option<Self> {
        let copies = Falling::new(relaxation, ends, &GRID, sample)?;
        let ends: Vec<f64> = ends.iter().map(|&end| end as f64).collect();
        let drops = copies.flat(ends.iter().copied().fold(0.0, f64::max));
        let curves = copies.curves(&drops);
        Some(Self {
            ends,
            ascent: Ascent::new(drops),
            best: (0.0, curves.clone()),
            curves,
            copies,
            rounds: 0,
            stalled: 0,
            found: Vec::new(),
        })
    }

    /// Goes on for so many rounds, or until nothing is refuted any more.
    pub fn improve(&mut self, rounds: usize, stop: impl Fn() -> bool) {
        for _ in 0..rounds {
            if self.found.len() == MARGINS.len() || stop() {
                break;
            }
            self.step();
            // The first ends are found with prices that still have to be learnt.
            let patience = if self.found.is_empty() {
                2 * PATIENCE
            } else {
                PATIENCE
            };
            if self.stalled > patience {
                self.found.push((self.ends(), self.best.1.clone()));
                self.stalled = 0;
            }
        }
    }

    /// When each batch ends, without a margin.
    pub fn least(&self) -> Vec<Millis> {
        let first = self.found.first();
        first.map_or_else(|| self.ends(), |(ends, _)| ends.clone())
    }

    fn ends(&self) -> Vec<Millis> {
        self.ends.iter().map(|&end| end as Millis).collect()
    }

    /// For each margin so far, the least first, the ends and their prices.
    pub fn found(&self, tasks: usize, classes: usize) -> Vec<(Vec<Millis>, Prices)> {
        let all: Vec<usize> = (0..classes).collect();
        let of_margin = |(ends, curves): &(Vec<Millis>, Curves)| {
            let mut prices = Prices::new(tasks, classes);
            prices.add(&self.copies.market, curves, &all);
            (ends.clone(), prices)
        };
        self.found.iter().map(of_margin).collect()
    }

    fn step(&mut self) {
        let (copies, curves) = (&self.copies, &self.curves);
        let left = copies.market.nothing_sold(curves);
        let mut sold = left.clone();
        let mut paid = vec![(0.0, 0.0); self.ends.len()];
        for (batch, buyers) in copies.buyers.iter().enumerate() {
            for buyer in buyers {
                let until = self.ends[batch] - buyer.tail;
                let later = until + self.ends[batch] * STEP;
                let Some((price, offer)) = copies.cheapest(curves, buyer, until) else {
                    continue;
                };
                let saved = copies.cheapest(curves, buyer, later);
                let saved = saved.map_or(price, |found| found.0);
                let paid = &mut paid[batch];
                *paid = (paid.0 + buyer.count * price, paid.1 + buyer.count * saved);
                let start = until - offer.duration;
                copies
                    .market
                    .sell(curves, offer, buyer.count, start, &mut sold);
            }
        }
        let lines = copies.market.lines.iter().enumerate();
        let rent: f64 = lines.map(|(index, line)| line.rent(curves, index)).sum();
        let all: f64 = paid.iter().map(|paid| paid.0).sum();
        let ratio = all / rent.max(f64::MIN_POSITIVE);
        self.rounds += 1;
        self.stalled += usize::from(self.rounds > FIRST);
        if ratio > self.best.0 {
            self.best = (ratio, self.curves.clone());
        }
        let margin = MARGINS[self.found.len()];
        if ratio > 1.0 - margin && self.rounds > FIRST {
            self.stalled = 0;
            self.raise(&paid, all - rent * (1.0 - margin));
            self.best.0 = 0.0;
        }
        let gradient = self.copies.gradient(ratio, &left, &sold);
        self.ascent.tell(ratio, gradient, REACH);
        self.curves = self.copies.curves(self.ascent.point());
    }

    /// Raises the ends for which that saves most of what is paid, for their weight.
    fn raise(&mut self, paid: &[(f64, f64)], excess: f64) {
        let slopes: Vec<f64> = paid
            .iter()
            .zip(&self.ends)
            .map(|((now, later), end)| (now - later).max(0.0) / (end * STEP))
            .collect();
        let gain = |batch: usize| slopes[batch] / self.copies.weights[batch].max(1e-9);
        let most = (0..slopes.len()).map(gain).fold(0.0, f64::max);
        let chosen: Vec<usize> = (0..slopes.len())
            .filter(|&batch| gain(batch) >= NEAR_BEST * most)
            .collect();
        let slope: f64 = chosen.iter().map(|&batch| slopes[batch]).sum();
        let wanted = if slope > 0.0 {
            excess / slope
        } else {
            f64::INFINITY
        };
        for batch in chosen {
            let end = &mut self.ends[batch];
            let step = wanted.clamp(*end * LEAST_STEP, *end * STEP);
            *end = (*end + step).ceil().min(LAST as f64);
        }
    }
}

/// Every so many buyers of a batch, of those sorted by what they need.
fn sample(market: &Market, mut buyers: Vec<Buyer>) -> Vec<Buyer> {
    let offers = market.buyers.iter().map(|buyer| market.offers(buyer).len());
    let stride = offers.sum::<usize>().div_ceil(SAMPLE).max(1);
    let need = |buyer: &Buyer| least_area(market, buyer.index);
    buyers.sort_by(|one, other| need(one).total_cmp(&need(other)));
    let neighbours = buyers.chunks(stride).map(|neighbours| {
        let middle = &neighbours[neighbours.len() / 2];
        Buyer {
            index: middle.index,
            count: neighbours.iter().map(|buyer| buyer.count).sum(),
            tail: middle.tail,
        }
    });
    neighbours.collect()
}
