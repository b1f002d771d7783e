//! Several batches under Makespan: ends that together are not refuted.
//!
//! For prices that never rise each copy pays least where it ends as late as it may; what all copies pay in their
//! cheapest modes is at most what is left of the lines costs (`window.rs`, for all batches together). While
//! that is not so, ends must be raised: those for which it saves most, for the weight. Prices are learnt (`ascent.rs`)
//! between. What is left is no bound, since other ends might have been raised; but plans with these ends are worth
//! looking for, and the prices tell what room costs in them.

use crate::model::Millis;

use super::ascent::Ascent;
use super::curves::Curves;
use super::market::{LAST, Market, Offer};
use super::tariff::Prices;
use super::{Job, Relaxation};

/// Cells of the prices, and of all lines together.
const CELLS: usize = 64;
const MOST_CELLS: usize = 256;
/// Offers that are looked at in each round, about.
const SAMPLE: usize = 8_000;
/// The grid ends this much behind the last end.
const STRETCH: f64 = 1.2;
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
pub(super) struct Frontier {
    weights: Vec<f64>,
    ends: Vec<f64>,
    market: Market,
    buyers: Vec<Buyer>,
    curves: Curves,
    ascent: Ascent,
    rounds: usize,
    /// Rounds since the last refutation.
    stalled: usize,
    best: (f64, Curves),
    /// For each margin so far the ends, and the prices that refuted less.
    found: Vec<(Vec<Millis>, Curves)>,
}

/// Some copies that stand for all, of the buyer of this index.
struct Buyer {
    index: usize,
    count: f64,
    batch: usize,
    tail: f64,
}

impl Frontier {
    /// From the least end of each batch alone; `None` for a single batch, or where a time is too large.
    pub fn new(relaxation: &Relaxation, ends: &[i128]) -> Option<Self> {
        let last = ends.iter().copied().max().unwrap_or(0);
        if ends.len() < 2 || !(1..=i128::from(LAST) / 8).contains(&last) {
            return None;
        }
        let jobs: Vec<&Job> = relaxation.tasks.iter().collect();
        let classes: Vec<usize> = (0..relaxation.instance.classes.len()).collect();
        let market = Market::new(relaxation.instance, &jobs, &classes);
        if market.lines.is_empty() {
            return None;
        }
        let buyers = sample(relaxation, &market);
        let work: f64 = area(&market, &buyers);
        let until = STRETCH * work.max(last as f64);
        let cells = (MOST_CELLS / market.lines.len()).clamp(4, CELLS);
        let corner = |cell: usize| (until * cell as f64 / cells as f64).ceil();
        let times: Vec<f64> = (0..=cells).map(corner).collect();
        let prices = vec![vec![0.0; cells + 1]; market.lines.len()];
        let curves = Curves::new(times, prices);
        let mut frontier = Self {
            weights: relaxation
                .instance
                .problem
                .batches
                .iter()
                .map(|batch| batch.weight.max(0) as f64)
                .collect(),
            ends: ends.iter().map(|&end| end as f64).collect(),
            ascent: Ascent::new(vec![0.0; cells * market.lines.len()]),
            best: (0.0, curves.clone()),
            curves,
            market,
            buyers,
            rounds: 0,
            stalled: 0,
            found: Vec::new(),
        };
        // At first all time until the last end costs the same.
        let at = (last as f64 / until * cells as f64) as usize;
        let mut drops = vec![0.0; frontier.ascent.point().len()];
        drops
            .iter_mut()
            .skip(at.min(cells - 1))
            .step_by(cells)
            .for_each(|drop| *drop = 1.0);
        frontier.ascent = Ascent::new(drops);
        frontier.set_prices();
        Some(frontier)
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
            prices.add(&self.market, curves, &all);
            (ends.clone(), prices)
        };
        self.found.iter().map(of_margin).collect()
    }

    fn step(&mut self) {
        let market = &self.market;
        let left = market.nothing_sold(&self.curves);
        let mut sold = left.clone();
        let mut paid = vec![(0.0, 0.0); self.ends.len()];
        for buyer in &self.buyers {
            let until = self.ends[buyer.batch] - buyer.tail;
            let later = until + self.ends[buyer.batch] * STEP;
            let Some((price, offer)) = self.cheapest(buyer, until) else {
                continue;
            };
            let saved = self.cheapest(buyer, later).map_or(price, |found| found.0);
            let paid = &mut paid[buyer.batch];
            *paid = (paid.0 + buyer.count * price, paid.1 + buyer.count * saved);
            market.sell(
                &self.curves,
                offer,
                buyer.count,
                until - offer.duration,
                &mut sold,
            );
        }
        let rent: f64 = market
            .lines
            .iter()
            .enumerate()
            .map(|(index, line)| line.rent(&self.curves, index))
            .sum();
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
        self.learn(ratio, &left, &sold);
    }

    /// Raises the ends for which that saves most of what is paid, for their weight.
    fn raise(&mut self, paid: &[(f64, f64)], excess: f64) {
        let slopes: Vec<f64> = paid
            .iter()
            .zip(&self.ends)
            .map(|((now, later), end)| (now - later).max(0.0) / (end * STEP))
            .collect();
        let gain = |batch: usize| slopes[batch] / self.weights[batch].max(1e-9);
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

    fn learn(&mut self, ratio: f64, left: &[Vec<f64>], sold: &[Vec<f64>]) {
        let cells = self.curves.cells();
        let until = self.curves.times[cells];
        let mut gradient = Vec::with_capacity(cells * sold.len());
        for (sold, left) in sold.iter().zip(left) {
            let mut sum = 0.0;
            for (sold, left) in sold.iter().zip(left) {
                sum += sold - left + ratio * left;
                gradient.push(sum / until);
            }
        }
        self.ascent.tell(ratio, gradient, REACH);
        self.set_prices();
    }

    /// Prices that never rise are sums of the steps down behind them.
    fn set_prices(&mut self) {
        let cells = self.curves.cells();
        let drops = self.ascent.point().chunks_exact(cells);
        for (prices, drops) in self.curves.prices.iter_mut().zip(drops) {
            let mut price = 0.0;
            for (price_of, drop) in prices.iter_mut().zip(drops).rev() {
                price += drop;
                *price_of = price;
            }
        }
        self.curves.sum_up();
    }

    /// The least price of an offer that ends then, and the offer.
    fn cheapest(&self, buyer: &Buyer, until: f64) -> Option<(f64, &Offer)> {
        let known = &self.market.buyers[buyer.index];
        let mut best: Option<(f64, &Offer)> = None;
        for offer in self.market.offers(known) {
            if offer.duration > until - known.head {
                continue;
            }
            let of_line = |&(line, share): &(usize, f64)| {
                share
                    * self
                        .curves
                        .line(line)
                        .between(until - offer.duration, until)
            };
            let price = self.market.uses(offer).iter().map(of_line).sum();
            if best.is_none_or(|best| price < best.0) {
                best = Some((price, offer));
            }
        }
        best
    }
}

/// Every so many buyers of each batch, of those sorted by what they need.
fn sample(relaxation: &Relaxation, market: &Market) -> Vec<Buyer> {
    let offers: usize = market
        .buyers
        .iter()
        .map(|buyer| market.offers(buyer).len())
        .sum();
    let stride = offers.div_ceil(SAMPLE).max(1);
    let mut buyers = Vec::new();
    for batch in 0..relaxation.instance.problem.batches.len() {
        let tails = relaxation.tails(batch);
        let of_batch = |index: &usize| {
            let task = market.buyers[*index].task;
            relaxation.instance.tasks[task].batch == batch
        };
        let mut of_batch: Vec<usize> = (0..market.buyers.len()).filter(of_batch).collect();
        let need = |index: usize| least_area(market, index);
        of_batch.sort_by(|&one, &other| need(one).total_cmp(&need(other)));
        for neighbours in of_batch.chunks(stride) {
            let index = neighbours[neighbours.len() / 2];
            buyers.push(Buyer {
                index,
                count: neighbours
                    .iter()
                    .map(|&index| market.buyers[index].count)
                    .sum(),
                batch,
                tail: tails[market.buyers[index].task] as f64,
            });
        }
    }
    buyers
}

/// The least over the offers of the largest share x duration.
pub(super) fn least_area(market: &Market, index: usize) -> f64 {
    let of_offer = |offer: &Offer| {
        let share = market
            .uses(offer)
            .iter()
            .map(|(_, share)| *share)
            .fold(0.0, f64::max);
        share * offer.duration
    };
    let offers = market.offers(&market.buyers[index]);
    offers.iter().map(of_offer).fold(f64::INFINITY, f64::min)
}

/// How long all of them take one after the other.
fn area(market: &Market, buyers: &[Buyer]) -> f64 {
    buyers
        .iter()
        .map(|buyer| buyer.count * least_area(market, buyer.index))
        .sum()
}
