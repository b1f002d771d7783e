//! The price bound on flow time: Lagrangian relaxation of the capacity (Fisher 1981; time-indexed prices as in
//! van den Akker, Hurkens and Savelsbergh 2000).
//!
//! For every curve of prices p(t) >= 0 of a resource that tasks share with capacity K:
//! a valid plan uses at most K at any time, so
//! `sum w C >= sum w C + integral of p (use - K) = sum over copies of (w C + what it pays) - K x integral of p`.
//! Each copy is at least its own minimum over modes and starts, without regard to the others. Running longer
//! than the least duration of the mode only adds, and copies that do not use the resource count with their path.
//!
//! p is constant in cells of equal width and 0 behind the last. In one mode, what a copy adds is then piecewise
//! linear in its start, and rises without end behind the last cell; so its minimum is at the earliest start or
//! where a start or an end is at a corner of the cells. All of these are tried.
//!
//! The bound is valid for whatever prices; subgradient steps (Held, Wolfe and Crowder 1974; the length of the
//! step after Polyak 1969) raise it, on a sample of the tasks where there are many. Rounding: every term has a
//! relative error below 1e-14 of itself or of what all capacity costs, so a billionth of the sum of all
//! magnitudes, taken off in the end, is far more than all errors.

use rayon::prelude::*;

use crate::model::Millis;

use super::mean_busy::{self, Limit};
use super::{Job, Relaxation};

/// Cells of the price curve.
const CELLS: usize = 64;
/// Subgradient steps at most.
const ROUNDS: usize = 160;
/// Modes that all steps together look at; beyond, a sample of the tasks stands for all.
const MOST_MODES: usize = 320_000;
/// Steps without a better bound after which the prices go back to the best ones.
const PATIENCE: usize = 8;
/// Share of all magnitudes that is taken off for rounding.
const MARGIN: f64 = 1e-9;

/// The bound, with the prices and places that prove it.
pub(in super::super) struct Prices {
    pub bound: i128,
    pub curves: Vec<Curve>,
    /// For each task the mode (an index into `TaskView::modes`) and start that it can best afford.
    pub places: Vec<Option<(usize, f64)>>,
}

/// Prices of a shared capacity.
pub(in super::super) struct Curve {
    /// Indices into `Instance::pools`.
    pub pools: Vec<usize>,
    /// Width of a cell, in ms.
    pub width: f64,
    /// Price of all capacity for a millisecond, in each cell.
    pub prices: Vec<f64>,
}

/// The price bound over the placed copies: separate parts of the nodes add up.
pub(in super::super) fn prices(relaxation: &Relaxation) -> Prices {
    let mut all = Prices {
        bound: 0,
        curves: Vec::new(),
        places: vec![None; relaxation.instance.tasks.len()],
    };
    for limit in mean_busy::parts(relaxation) {
        let rest = mean_busy::paths(&limit.others);
        let market = Market::new(&limit);
        let Some(prices) = market.learn() else {
            all.bound = all.bound.saturating_add(limit.bound);
            continue;
        };
        let deal = market.deal(&prices, 1);
        all.bound = all
            .bound
            .saturating_add(limit.bound.max(rest.saturating_add(deal.safe_bound())));
        for (job, place) in limit.users.iter().zip(&deal.places) {
            all.places[relaxation.instance.task_of[job.view.copies.start]] =
                Some((place.mode, place.start));
        }
        let mut pools: Vec<usize> = limit.users.iter().map(|job| job.view.pool).collect();
        pools.sort_unstable();
        pools.dedup();
        let prices = prices
            .into_iter()
            .map(|price| price * market.capacity)
            .collect();
        all.curves.push(Curve {
            pools,
            width: market.width,
            prices,
        });
    }
    all
}

/// Copies of tasks that buy capacity of one resource over time.
struct Market {
    buyers: Vec<Buyer>,
    capacity: f64,
    width: f64,
}

struct Buyer {
    count: f64,
    weight: f64,
    head: f64,
    /// (index of the mode, duration, use of the resource)
    offers: Vec<(usize, f64, f64)>,
}

/// What one copy of a task takes at some prices.
#[derive(Clone, Copy)]
struct Place {
    cost: f64,
    mode: usize,
    start: f64,
    end: f64,
    usage: f64,
}

/// What all copies take, and what the capacity costs.
struct Deal {
    places: Vec<Place>,
    bound: f64,
    magnitude: f64,
    /// Use above the capacity, in each cell.
    excess: Vec<f64>,
}

impl Deal {
    fn safe_bound(&self) -> i128 {
        let safe = (self.bound - self.magnitude * MARGIN).floor();
        if safe.is_finite() {
            (safe as i128).max(0)
        } else {
            0
        }
    }
}

impl Market {
    fn new(limit: &Limit) -> Self {
        let buyer = |job: &&Job| {
            let offer = |(index, mode): (usize, &super::super::instance::ModeView)| {
                let usage = f64::from(mode.pods) * mode.request.usage[limit.resource] as f64;
                (index, mode.least as f64, usage)
            };
            Buyer {
                count: job.count as f64,
                weight: job.weight as f64,
                head: job.head as f64,
                offers: job.view.modes.iter().enumerate().map(offer).collect(),
            }
        };
        let area: f64 = limit
            .users
            .iter()
            .map(|job| job.count as f64 * job.area(limit.resource) as f64)
            .sum();
        let capacity = limit.capacity as f64;
        let heads = limit.users.iter().map(|job| job.head).max().unwrap_or(0);
        let horizon = 2.0 * area / capacity.max(1.0) + heads as f64;
        Self {
            buyers: limit.users.iter().map(buyer).collect(),
            capacity,
            width: horizon / CELLS as f64,
        }
    }

    /// Prices that make the bound large; `None` where there is nothing to share.
    fn learn(&self) -> Option<Vec<f64>> {
        if self.buyers.is_empty() || self.width <= 0.0 || self.width > Millis::MAX as f64 {
            return None;
        }
        let modes: usize = self.buyers.iter().map(|buyer| buyer.offers.len()).sum();
        let stride = (modes * ROUNDS).div_ceil(MOST_MODES).max(1);
        let mut prices = self.fluid();
        let (mut best, mut best_prices) = (0.0, prices.clone());
        let (mut pace, mut stalled) = (1.0, 0);
        for _ in 0..ROUNDS {
            let deal = self.deal(&prices, stride);
            stalled += 1;
            if deal.bound > best {
                (best, stalled) = (deal.bound, 0);
                best_prices.clone_from(&prices);
            } else if stalled > PATIENCE {
                (pace, stalled) = (pace * 0.6, 0);
                prices.clone_from(&best_prices);
                continue;
            }
            let length: f64 = deal
                .excess
                .iter()
                .map(|excess| excess * excess * self.width)
                .sum();
            let step =
                pace * (0.05 * best + best - deal.bound).max(0.0) / length.max(f64::MIN_POSITIVE);
            for (price, excess) in prices.iter_mut().zip(&deal.excess) {
                *price = (*price + step * excess).max(0.0);
            }
        }
        best_prices
            .iter()
            .all(|price| price.is_finite())
            .then_some(best_prices)
    }

    /// First prices: the weight that has not ended when the least areas run in order of weight over area.
    fn fluid(&self) -> Vec<f64> {
        let area = |buyer: &Buyer| {
            buyer
                .offers
                .iter()
                .map(|(_, duration, usage)| duration * usage)
                .fold(f64::MAX, f64::min)
        };
        let mut jobs: Vec<(f64, f64)> = self
            .buyers
            .iter()
            .map(|buyer| (area(buyer) * buyer.count, buyer.weight * buyer.count))
            .collect();
        jobs.sort_by(|(one, weight), (other, other_weight)| {
            (one * other_weight).total_cmp(&(other * weight))
        });
        let mut left: f64 = jobs.iter().map(|(_, weight)| weight).sum();
        let mut ended = 0.0;
        let mut jobs = jobs.into_iter().peekable();
        let cell = |cell: usize| {
            let middle = (cell as f64 + 0.5) * self.width * self.capacity;
            while let Some((area, weight)) = jobs.next_if(|(area, _)| ended + area <= middle) {
                ended += area;
                left -= weight;
            }
            let part = jobs.peek().map_or(0.0, |(area, weight)| {
                weight * ((middle - ended) / area.max(1.0)).min(1.0)
            });
            (left - part).max(0.0) / self.capacity
        };
        (0..CELLS).map(cell).collect()
    }

    /// What every `stride`-th task takes at these prices; it stands for its neighbours too.
    fn deal(&self, prices: &[f64], stride: usize) -> Deal {
        let mut paid = vec![0.0];
        paid.extend(prices.iter().scan(0.0, |sum, price| {
            *sum += price * self.width;
            Some(*sum)
        }));
        let sample: Vec<&Buyer> = self.buyers.iter().step_by(stride).collect();
        let places: Vec<Place> = sample
            .par_iter()
            .with_min_len(64)
            .map(|buyer| self.best_place(buyer, &paid))
            .collect();
        let scale = self.buyers.len() as f64 / sample.len().max(1) as f64;
        let rent = self.capacity * paid[CELLS];
        let mut excess = vec![-self.capacity; CELLS];
        let mut costs = 0.0;
        for (buyer, place) in sample.iter().zip(&places) {
            let count = buyer.count * scale;
            costs += count * place.cost;
            let (first, last) = (place.start / self.width, place.end / self.width);
            let cells = excess
                .iter_mut()
                .enumerate()
                .take(last.ceil() as usize)
                .skip(first as usize);
            for (cell, excess) in cells {
                let covered = last.min(cell as f64 + 1.0) - first.max(cell as f64);
                *excess += count * place.usage * covered;
            }
        }
        Deal {
            places,
            bound: costs - rent,
            magnitude: costs + rent,
            excess,
        }
    }

    /// The mode and start of least weighted end plus price.
    fn best_place(&self, buyer: &Buyer, paid: &[f64]) -> Place {
        let cells_per_ms = 1.0 / self.width;
        let until = |time: f64| {
            let at = time * cells_per_ms;
            let cell = (at as usize).min(CELLS - 1);
            paid[cell] + (paid[cell + 1] - paid[cell]) * (at - cell as f64).min(1.0)
        };
        let mut best = Place {
            cost: f64::INFINITY,
            mode: 0,
            start: buyer.head,
            end: buyer.head,
            usage: 0.0,
        };
        for &(mode, duration, usage) in &buyer.offers {
            let mut offer = |start: f64, price: f64| {
                let end = start + duration;
                let cost = buyer.weight * end + usage * price;
                if cost < best.cost {
                    best = Place {
                        cost,
                        mode,
                        start,
                        end,
                        usage,
                    };
                }
            };
            offer(buyer.head, until(buyer.head + duration) - until(buyer.head));
            for (corner, &sum) in paid.iter().enumerate() {
                let time = corner as f64 * self.width;
                if time >= buyer.head {
                    offer(time, until(time + duration) - sum);
                }
                if time - duration >= buyer.head {
                    offer(time - duration, sum - until(time - duration));
                }
            }
        }
        best
    }
}
