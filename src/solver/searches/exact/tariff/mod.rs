//! Prices of room over time, and the bound that they prove on what is still open.
//!
//! For prices pi >= 0 of each resource of each class, every plan of the open copies after `now` has
//! sum w C >= sum over copies of the least (w C + what its room costs) - the price of all room that is free
//! after `now` (Lagrangian relaxation: Fisher 1981; time-indexed: Sousa and Wolsey 1992). A deadline for every
//! copy is impossible where with w = 0 the right side is above 0.
//!
//! Where j waits for i, a price mu >= 0 on (end of i) - (start of j) <= 0 adds mu C to the cost of i and takes
//! mu S from that of j. The mu of a copy's predecessors together stay below its weight of ends, so that no
//! cost falls for ever.
//!
//! The prices are learnt once, by subgradient steps for the whole problem. For each way a table holds the
//! least cost over all starts from a time on, so that the bound of a tree node is a sum of looked up values.

mod floor;
mod market;

use super::jobs::Jobs;
use floor::Floor;
use market::Market;

/// Cells of the price curves.
const CELLS: usize = 128;
/// Entries of a way's table for each cell.
const FINE: usize = 8;
/// A wait is measured in so many cells, so that its slope is as large as those of the room.
const WAIT: f64 = 16.0;
/// Steps without a better bound after which the prices go back to the best ones.
const PATIENCE: usize = 12;

pub(super) struct Tariff {
    width: f64,
    /// For each class and resource the price of one unit from 0 until each cell ends.
    paid: Vec<Vec<f64>>,
    floors: Vec<Floor>,
    /// (before, after, price of waiting for a millisecond)
    pub waits: Vec<(usize, usize, f64)>,
    /// What all copies cost at least, less all room: the bound at the root.
    pub bound: f64,
    /// What all room costs.
    pub rent: f64,
    /// More than all errors of rounding in a bound.
    pub margin: f64,
}

/// What is to be proved.
#[derive(Clone, Copy)]
pub(super) struct Aim<'a> {
    /// Prices end here.
    pub horizon: f64,
    /// Weighted ends count; otherwise the latest ends of the copies do.
    pub is_flow: bool,
    /// The latest end of each copy.
    pub latest: &'a [f64],
    /// The bound that would be enough.
    pub target: f64,
    pub rounds: usize,
}

impl Tariff {
    /// Prices for all copies; `None` where the budget ends.
    pub fn learn(jobs: &Jobs, aim: Aim, mut is_over: impl FnMut() -> bool) -> Option<Self> {
        let market = Market::new(jobs, aim);
        let mut prices = market.first();
        let mut best = (f64::NEG_INFINITY, prices.clone());
        let (mut pace, mut stalled) = (1.0, 0);
        for round in 0..aim.rounds {
            if round % 16 == 0 && is_over() {
                return None;
            }
            let deal = market.deal(&prices);
            stalled += 1;
            if deal.bound > best.0 {
                best.0 = deal.bound;
                best.1.clone_from(&prices);
                stalled = 0;
            } else if stalled > PATIENCE {
                (pace, stalled) = (pace * 0.6, 0);
                prices.clone_from(&best.1);
                continue;
            }
            let slopes = deal.excess.iter().flatten().chain(&deal.late);
            let length: f64 = slopes.map(|slope| slope * slope).sum();
            let target = if aim.is_flow {
                aim.target
            } else {
                best.0 + 0.02
            };
            let step = pace * (target - deal.bound).max(0.0) / length.max(f64::MIN_POSITIVE);
            market.follow(&mut prices, &deal, step);
        }
        Some(market.tariff(&best.1))
    }

    /// What one unit of the curve costs from 0 until a time.
    pub fn paid(&self, curve: usize, time: f64) -> f64 {
        let paid = &self.paid[curve];
        let at = time / self.width;
        let cell = at as usize;
        if cell >= CELLS {
            return paid[CELLS];
        }
        paid[cell] + (paid[cell + 1] - paid[cell]) * (at - cell as f64)
    }

    /// The least cost of a way that starts at `time` or later.
    pub fn floor(&self, way: usize, time: f64) -> f64 {
        let floor = &self.floors[way];
        let at = time / self.width * FINE as f64;
        let entry = at as usize;
        if entry >= floor.entries.len().saturating_sub(1) {
            return floor.pace.cost(time, floor.duration);
        }
        if floor.entries[entry + 1] == f64::INFINITY {
            return floor.entries[entry];
        }
        let short = (entry as f64 + 1.0 - at) * self.width / FINE as f64;
        floor.entries[entry].max(floor.entries[entry + 1] - floor.slope * short)
    }
}
