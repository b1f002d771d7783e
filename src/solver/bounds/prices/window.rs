//! Prices in a window: a batch that cannot end by L.
//!
//! Let p(t) >= 0 be prices of the lines (`market.rs`) in [0, L). In a plan of a batch that ends by L each copy runs
//! in some offer within its window: not before its head, and not after L less the longest path behind it. So it
//! pays at least the least price of a place in the window, and all copies together pay at most what is left of
//! the lines costs. Where the first sum is larger, the batch ends after L, and so does it after all smaller ones.
//!
//! Constant prices are the area bound over node classes with compatibility, as the linear program of modes
//! and classes has it; prices that stand in the middle are energetic reasoning (Baptiste, Le Pape and Nuijten
//! 1999). The prices are learnt (`ascent.rs`) at an L that grows with each refutation; rounding as in `price.rs`.

use crate::model::Millis;
use crate::solver::bounds::{Job, Relaxation, canonical};

use super::ascent::Ascent;
use super::curves::{Blend, Curves};
use super::market::{LAST, Market, Offer};

/// Cells of the window, and of all lines of a batch together.
const CELLS: usize = 64;
const MOST_CELLS: usize = 512;
/// Rounds without a refutation before a smaller L is tried.
const PATIENCE: usize = 8;
/// Part of what a refutation suggests that L grows by.
const GROWTH: f64 = 0.8;
/// The first step, as a part of what would reach the double value.
const REACH: f64 = 0.05;
/// Part of all magnitudes that is taken off for rounding.
const MARGIN: f64 = 1e-11;

/// A bound on Makespan: for each batch the least end that is not refuted. More rounds raise it.
pub(in crate::solver::bounds) struct Windows {
    windows: Vec<Window>,
}

impl Windows {
    /// Nothing is learnt yet: canonical allotments.
    pub fn new(relaxation: &Relaxation) -> Self {
        let ends = canonical::ends(relaxation).into_iter().enumerate();
        Self {
            windows: ends
                .map(|(batch, end)| Window::new(relaxation, batch, end))
                .collect(),
        }
    }

    /// Goes on for so many rounds, or until it is told to stop.
    pub fn improve(&mut self, rounds: usize, stop: impl Fn() -> bool) {
        // Where several batches share the nodes, this is not what keeps them from ending.
        let rounds = rounds / self.windows.len().max(1);
        for window in &mut self.windows {
            for _ in 0..rounds {
                if window.is_final || stop() {
                    break;
                }
                window.step();
            }
        }
    }

    /// The least end of each batch that is not refuted.
    pub fn ends(&self) -> Vec<i128> {
        self.windows.iter().map(|window| window.proved).collect()
    }

    /// Sum over batches of weight x end.
    pub fn bound(&self) -> i128 {
        let ends = self
            .windows
            .iter()
            .map(|window| window.weight.saturating_mul(window.proved));
        ends.fold(0, i128::saturating_add)
    }
}

/// One batch, as if it was alone.
struct Window {
    weight: i128,
    market: Market,
    /// What at least has to follow, task by task.
    tails: Vec<Millis>,
    ascent: Ascent,
    cells: usize,
    /// The batch does not end before.
    proved: i128,
    /// The L that is to be refuted next.
    length: f64,
    /// Rounds since the last refutation.
    stalled: usize,
    is_final: bool,
}

/// What all copies pay at some prices.
struct Deal {
    /// All payments over what all that is left costs.
    ratio: f64,
    is_refuted: bool,
    /// Of the ratio, times a constant.
    gradient: Vec<f64>,
}

impl Window {
    fn new(relaxation: &Relaxation, batch: usize, proved: i128) -> Self {
        let jobs: Vec<&Job> = relaxation.batch(batch).collect();
        let classes: Vec<usize> = (0..relaxation.instance.classes.len()).collect();
        let market = Market::new(relaxation.instance, &jobs, &classes);
        let cells = (MOST_CELLS / market.lines.len().max(1)).clamp(4, CELLS);
        let weight = relaxation.instance.problem.batches[batch].weight.max(0);
        Self {
            weight: i128::from(weight),
            tails: relaxation.tails(batch),
            // Of the prices only the proportions matter.
            ascent: Ascent::new(vec![1.0; cells * market.lines.len()]),
            is_final: market.lines.is_empty() || !(1..=i128::from(LAST) / 4).contains(&proved),
            market,
            cells,
            proved,
            length: proved as f64,
            stalled: 0,
        }
    }

    /// One round.
    fn step(&mut self) {
        let curves = self.curves();
        let deal = self.deal(&curves);
        if deal.is_refuted {
            // A plan ends at a whole ms.
            self.proved = self.length as i128 + 1;
            let growth = GROWTH * (deal.ratio - 1.0).clamp(1e-5, 0.1);
            self.length = (self.length * (1.0 + growth)).ceil() + 1.0;
            self.stalled = 0;
        } else {
            self.stalled += 1;
            if self.stalled == PATIENCE {
                self.length = ((self.proved as f64 + self.length) / 2.0).floor();
                self.stalled = 0;
            }
        }
        self.is_final = self.length > LAST as f64 / 2.0 || !deal.ratio.is_finite();
        if !self.is_final {
            self.ascent.tell(deal.ratio, deal.gradient, REACH);
        }
    }

    /// The prices, stretched to the window.
    fn curves(&self) -> Curves {
        let corner = |cell: usize| (self.length * cell as f64 / self.cells as f64).ceil();
        let times = (0..=self.cells).map(corner).collect();
        let lines = self.ascent.point().chunks_exact(self.cells);
        let prices = lines.map(|line| line.iter().copied().chain([0.0]).collect());
        Curves::new(times, prices.collect())
    }

    fn deal(&self, curves: &Curves) -> Deal {
        let market = &self.market;
        let left = market.nothing_sold(curves);
        let mut sold = left.clone();
        let (mut paid, mut blend) = (0.0, Blend::default());
        for buyer in &market.buyers {
            let until = self.length - self.tails[buyer.task] as f64;
            let mut best: Option<(f64, &Offer, f64)> = None;
            for offer in market.offers(buyer) {
                let (polygon, share) = blend.of(curves, market.uses(offer));
                let found = polygon.least(buyer.head, until, offer.duration);
                let found = found.map(|found| (share * found.cost, offer, found.start));
                best = match (best, found) {
                    (Some(best), Some(found)) if found.0 < best.0 => Some(found),
                    (best, found) => best.or(found),
                };
            }
            let Some((cost, offer, start)) = best else {
                return Deal {
                    ratio: f64::INFINITY,
                    is_refuted: true,
                    gradient: Vec::new(),
                };
            };
            paid += buyer.count * cost;
            market.sell(curves, offer, buyer.count, start, &mut sold);
        }
        let (mut rent, mut magnitude) = (0.0, paid);
        for (index, line) in market.lines.iter().enumerate() {
            rent += line.rent(curves, index);
            magnitude += curves.total(index) * (1.0 + line.demand);
        }
        let ratio = paid / rent.max(f64::MIN_POSITIVE);
        let cells = sold.iter().flatten().zip(left.iter().flatten());
        Deal {
            ratio,
            is_refuted: paid - rent > magnitude * MARGIN,
            gradient: cells
                .map(|(sold, left)| (sold - left + ratio * left) / self.length)
                .collect(),
        }
    }
}
