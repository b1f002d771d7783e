//! Learning prices: from those of the fluid upwards, round by round.
//!
//! Each round asks what all buyers take at the prices, and raises the price of lines where that is more than
//! there is (`ascent.rs`). Where there are many buyers, a sample stands for them at first: every so many of them,
//! sorted by the work of their smallest offer, so that it has their mix of sizes; later all of them are asked.

use super::ascent::Ascent;
use super::curves::Curves;
use super::fluid;
use super::market::Market;
use super::waits;

/// Cells of a curve, and of all curves of a market together.
const CELLS: usize = 64;
const MOST_CELLS: usize = 512;
/// Offers in a sample, about.
const SAMPLE: usize = 3_000;
/// Rounds with a sample before all buyers are asked.
const ROUNDS: usize = 60;
/// The first step, as a part of what would reach the double value.
const REACH: f64 = 0.05;

/// What all buyers take at some prices.
pub(in crate::solver::bounds) struct Deal {
    /// Estimate of the bound.
    pub value: f64,
    /// Use above what is left of each line in each cell, over the width of the cell.
    pub excess: Vec<Vec<f64>>,
    /// For each wait how far the end lies behind the start; 0 where not both were asked.
    pub late: Vec<f64>,
}

/// Some buyers: (index, number of copies that it stands for).
pub(in crate::solver::bounds) type Sample = Vec<(usize, f64)>;

/// How the buyers of a goal answer to prices.
pub(in crate::solver::bounds) type Rule = fn(&Market, &Curves, &Sample) -> Deal;

/// Prices of one market, as far as they are learnt.
pub(in crate::solver::bounds) struct Learner {
    pub market: Market,
    rule: Rule,
    curves: Curves,
    ascent: Ascent,
    sample: Sample,
    rounds: usize,
    best: f64,
    best_curves: Curves,
}

impl Learner {
    pub fn new(market: Market, rule: Rule) -> Self {
        let cells = (MOST_CELLS / market.lines.len().max(1)).clamp(4, CELLS);
        let mut curves = fluid::prices(&market, cells);
        curves.waits = vec![0.0; market.waits.len()];
        Self {
            rule,
            ascent: Ascent::new(coordinates(&curves)),
            sample: sample(&market, SAMPLE),
            rounds: 0,
            best: f64::NEG_INFINITY,
            best_curves: curves.clone(),
            curves,
            market,
        }
    }

    /// The prices with the best value so far.
    pub fn best(&self) -> &Curves {
        &self.best_curves
    }

    /// Whether there are prices to learn.
    pub fn is_idle(&self) -> bool {
        self.market.lines.is_empty()
    }

    /// One round.
    pub fn step(&mut self) {
        self.rounds += 1;
        if self.rounds == ROUNDS && self.sample.len() < self.market.buyers.len() {
            self.ask_all();
        }
        let deal = (self.rule)(&self.market, &self.curves, &self.sample);
        if deal.value > self.best {
            self.best = deal.value;
            self.best_curves.clone_from(&self.curves);
        }
        let cells = self.curves.cells();
        let gradient = deal.excess.iter().flat_map(|excess| {
            excess
                .iter()
                .enumerate()
                .map(|(cell, excess)| excess * self.curves.width(cell).sqrt())
        });
        let unit = self.curves.unit_of_waits();
        let gradient = gradient.chain(deal.late.iter().map(|late| late / unit));
        self.ascent.tell(deal.value, gradient.collect(), REACH);
        let lines = self.curves.prices.len() * cells;
        self.ascent.move_to(|point| {
            let point = &mut point[lines..];
            point.iter_mut().for_each(|price| *price /= unit);
            waits::allow(&self.market, point);
            self.curves.waits.copy_from_slice(point);
            point.iter_mut().for_each(|price| *price *= unit);
        });
        for (line, point) in self
            .curves
            .prices
            .iter_mut()
            .zip(self.ascent.point().chunks_exact(cells))
        {
            for (cell, coordinate) in point.iter().enumerate() {
                line[cell] =
                    coordinate / (self.curves.times[cell + 1] - self.curves.times[cell]).sqrt();
            }
        }
        self.curves.sum_up();
    }

    fn ask_all(&mut self) {
        self.sample = sample(&self.market, usize::MAX);
        self.curves.clone_from(&self.best_curves);
        self.ascent.go_on_from(coordinates(&self.curves));
        self.best = f64::NEG_INFINITY;
    }
}

/// Price x root of the width of the cell: then the length of a vector is that of the curve it stands for. Waits in the
/// same measure.
fn coordinates(curves: &Curves) -> Vec<f64> {
    let of_line = |prices: &Vec<f64>| -> Vec<f64> {
        (0..curves.cells())
            .map(|cell| prices[cell] * curves.width(cell).sqrt())
            .collect()
    };
    let unit = curves.unit_of_waits();
    let waits = curves.waits.iter().map(|price| price * unit);
    let lines = curves.prices.iter().flat_map(of_line);
    lines.chain(waits).collect()
}

/// Buyers that stand for all, with about so many offers.
fn sample(market: &Market, most: usize) -> Sample {
    let offers: usize = market
        .buyers
        .iter()
        .map(|buyer| market.offers(buyer).len())
        .sum();
    let stride = offers.div_ceil(most).max(1);
    if stride == 1 {
        return market
            .buyers
            .iter()
            .enumerate()
            .map(|(index, buyer)| (index, buyer.count))
            .collect();
    }
    let work = |index: usize| {
        let offers = market.offers(&market.buyers[index]).iter();
        let works = offers.map(|offer| {
            let shares = market
                .uses(offer)
                .iter()
                .map(|(_, share)| share * offer.duration);
            shares.fold(0.0, f64::max)
        });
        works.fold(f64::INFINITY, f64::min)
    };
    let mut sorted: Vec<(usize, f64)> = (0..market.buyers.len())
        .map(|index| (index, work(index)))
        .collect();
    sorted.sort_by(|one, other| one.1.total_cmp(&other.1));
    let some = |neighbours: &[(usize, f64)]| {
        let middle = neighbours[neighbours.len() / 2].0;
        (
            middle,
            neighbours
                .iter()
                .map(|(index, _)| market.buyers[*index].count)
                .sum(),
        )
    };
    sorted.chunks(stride).map(some).collect()
}
