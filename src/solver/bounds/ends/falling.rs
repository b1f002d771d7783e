//! The copies of all batches on one market, at prices that never rise.
//!
//! At such prices a copy pays least where it ends as late as it may, in its cheapest mode, so that what a batch pays
//! falls as its end grows. In a plan all copies together pay at most what is left of the lines costs: ends at which
//! they would pay more are refuted, and with them all ends that are nowhere later.

use crate::solver::bounds::prices::curves::Curves;
use crate::solver::bounds::prices::market::{LAST, Market, Offer};
use crate::solver::bounds::{Job, Relaxation};

/// Buyers by batch, and a grid of times.
pub(in crate::solver::bounds) struct Falling {
    pub market: Market,
    /// Of the end of each batch.
    pub weights: Vec<f64>,
    pub buyers: Vec<Vec<Buyer>>,
    /// Corners of the cells, in whole ms.
    pub times: Vec<f64>,
}

/// Copies of a task that end no later than `tail` before their batch does.
pub(in crate::solver::bounds) struct Buyer {
    /// Index into `Market::buyers`.
    pub index: usize,
    /// Copies that it stands for.
    pub count: f64,
    pub tail: f64,
}

/// How time is cut up.
pub(in crate::solver::bounds) struct Grid {
    /// Cells of each line, and of all lines together.
    pub cells: usize,
    pub most_cells: usize,
    /// The last corner, as a multiple of the time after which all work is done one after the other.
    pub stretch: f64,
}

impl Falling {
    /// From the least end of each batch alone, with the buyers of each batch that `choose` leaves; `None` for a single
    /// batch, where nothing is scarce, or where a time is too large.
    pub fn new(
        relaxation: &Relaxation,
        ends: &[i128],
        grid: &Grid,
        choose: impl Fn(&Market, Vec<Buyer>) -> Vec<Buyer>,
    ) -> Option<Self> {
        let last = ends.iter().copied().max().unwrap_or(0);
        if ends.len() < 2 || !(1..=i128::from(LAST) / 8).contains(&last) {
            return None;
        }
        let instance = relaxation.instance;
        let jobs: Vec<&Job> = relaxation.tasks.iter().collect();
        let classes: Vec<usize> = (0..instance.classes.len()).collect();
        let market = Market::new(instance, &jobs, &classes);
        if market.lines.is_empty() {
            return None;
        }
        let buyers: Vec<Vec<Buyer>> = (0..ends.len())
            .map(|batch| choose(&market, of_batch(relaxation, &market, batch)))
            .collect();
        let all = buyers.iter().flatten();
        let work: f64 = all
            .map(|buyer| buyer.count * least_area(&market, buyer.index))
            .sum();
        let until = (grid.stretch * work.max(last as f64)).min((LAST / 4) as f64);
        let cells = (grid.most_cells / market.lines.len()).clamp(4, grid.cells);
        let corner = |cell: usize| (until * cell as f64 / cells as f64).ceil();
        let batches = instance.problem.batches.iter();
        Some(Self {
            weights: batches.map(|batch| batch.weight.max(0) as f64).collect(),
            buyers,
            times: (0..=cells).map(corner).collect(),
            market,
        })
    }

    fn cells(&self) -> usize {
        self.times.len() - 1
    }

    /// Prices at which all time until `last` costs the same, and what is behind it nothing: how much they drop at the
    /// end of each cell, line by line.
    pub fn flat(&self, last: f64) -> Vec<f64> {
        let cells = self.cells();
        let before = self.times.partition_point(|&time| time < last);
        let mut drops = vec![0.0; cells * self.market.lines.len()];
        let last_cells = drops.iter_mut().skip(before.clamp(1, cells) - 1);
        last_cells.step_by(cells).for_each(|drop| *drop = 1.0);
        drops
    }

    /// Prices that never rise are sums of the drops behind them.
    pub fn curves(&self, drops: &[f64]) -> Curves {
        let of_line = |drops: &[f64]| {
            let mut price = 0.0;
            let mut prices = vec![0.0; drops.len() + 1];
            for (price_of, drop) in prices[..drops.len()].iter_mut().zip(drops).rev() {
                price += drop;
                *price_of = price;
            }
            prices
        };
        let prices = drops.chunks_exact(self.cells()).map(of_line).collect();
        Curves::new(self.times.clone(), prices)
    }

    /// The least price of an offer that ends at `until`, and the offer; `None` where all take too long.
    pub fn cheapest(&self, curves: &Curves, buyer: &Buyer, until: f64) -> Option<(f64, &Offer)> {
        let known = &self.market.buyers[buyer.index];
        let mut best: Option<(f64, &Offer)> = None;
        for offer in self.market.offers(known) {
            if offer.duration > until - known.head {
                continue;
            }
            let of_line = |&(line, share): &(usize, f64)| {
                share * curves.line(line).between(until - offer.duration, until)
            };
            let price = self.market.uses(offer).iter().map(of_line).sum();
            if best.is_none_or(|best| price < best.0) {
                best = Some((price, offer));
            }
        }
        best
    }

    /// Of the ratio of all payments to all rent with regard to the drops, times a constant. `left` is what there is
    /// of each line in each cell, below 0, and `sold` the same with what the buyers take added.
    pub fn gradient(&self, ratio: f64, left: &[Vec<f64>], sold: &[Vec<f64>]) -> Vec<f64> {
        let until = self.times[self.cells()];
        let mut gradient = Vec::with_capacity(self.cells() * sold.len());
        for (sold, left) in sold.iter().zip(left) {
            let mut sum = 0.0;
            for (sold, left) in sold.iter().zip(left) {
                sum += sold - left + ratio * left;
                gradient.push(sum / until);
            }
        }
        gradient
    }
}

fn of_batch(relaxation: &Relaxation, market: &Market, batch: usize) -> Vec<Buyer> {
    let tails = relaxation.tails(batch);
    let mut buyers = Vec::new();
    for (index, buyer) in market.buyers.iter().enumerate() {
        if relaxation.instance.tasks[buyer.task].batch == batch {
            buyers.push(Buyer {
                index,
                count: buyer.count,
                tail: tails[buyer.task] as f64,
            });
        }
    }
    buyers
}

/// The least over the offers of the largest share x duration.
pub(in crate::solver::bounds) fn least_area(market: &Market, index: usize) -> f64 {
    let of_offer = |offer: &Offer| {
        let shares = market.uses(offer).iter().map(|(_, share)| *share);
        shares.fold(0.0, f64::max) * offer.duration
    };
    let offers = market.offers(&market.buyers[index]);
    offers.iter().map(of_offer).fold(f64::INFINITY, f64::min)
}
