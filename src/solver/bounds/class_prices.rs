//! The static goals with a price for each resource of each class (Lagrangian relaxation, Fisher 1981).
//!
//! Let p >= 0 be the price of a unit of a resource on a class, and K what its nodes have of it together. The
//! copies on a class use at most K, so for every choice of prices
//! `sum v <= sum over copies (v - what its pods pay) + sum p K`. A copy in some mode pays at least its pods x the
//! least that one of them pays on a class where it runs; so the best mode at that payment bounds the copy. The
//! prices are searched with floats by subgradient steps (Held, Wolfe and Crowder 1974), which can make the bound
//! weak, never wrong: the sum is evaluated in integers, prices being whole multiples of 2^-40. For Shortfall the
//! same with -v. It is at most the pooled bound when the prices start from it, and unlike that one it knows of
//! several scarce resources, and of pools that lie side by side.

use crate::solver::instance::ModeView;

use super::separable::{best_modes, pool_price};
use super::{Relaxation, divide_up};

/// Binary digits behind the point of a price.
const DIGITS: u32 = 40;

/// Payments to look at in all; a payment is one mode on one class.
const MOST_PAYMENTS: usize = 10_000_000;

/// The most subgradient steps, and how many without a gain shorten them.
const MOST_STEPS: usize = 300;
const PATIENCE: usize = 8;

/// Upper bound on the sum of the values, in thousandths.
pub(super) fn throughput(relaxation: &Relaxation) -> i128 {
    bound(relaxation, 1)
}

/// Lower bound on the sum of the values, in thousandths.
pub(super) fn shortfall(relaxation: &Relaxation) -> i128 {
    -bound(relaxation, -1)
}

fn bound(relaxation: &Relaxation, sign: i128) -> i128 {
    let all = best_modes(relaxation, sign);
    let market = Market::new(relaxation, sign);
    let found = market
        .search(relaxation)
        .and_then(|prices| market.exact(&prices));
    found.map_or(all, |found| found.min(all))
}

/// What is for sale, and who buys.
struct Market<'r, 'a> {
    relaxation: &'r Relaxation<'a>,
    sign: i128,
    stride: usize,
    /// What the nodes of each class have together, class by class.
    capacity: Vec<i128>,
}

/// The demand at some prices.
struct Response {
    /// The bound, in thousandths.
    value: f64,
    /// What is used, class by class.
    usage: Vec<f64>,
}

impl<'r, 'a> Market<'r, 'a> {
    fn new(relaxation: &'r Relaxation<'a>, sign: i128) -> Self {
        let classes = relaxation.instance.classes.iter();
        // A static plan has no end, so whatever is held at any time is not there.
        let capacity = classes.flat_map(|class| {
            let size = class.size as i128;
            let free = class.base.least_free().into_iter();
            free.map(move |free| i128::from(free.max(0)).saturating_mul(size))
        });
        Self {
            relaxation,
            sign,
            stride: relaxation.instance.problem.resources.len(),
            capacity: capacity.collect(),
        }
    }

    fn modes(&self) -> impl Iterator<Item = &ModeView> {
        self.relaxation.tasks.iter().flat_map(|job| &job.view.modes)
    }

    /// Prices of units near the best ones. `None` where nothing is scarce, where the pooled bound already says
    /// all, or where there is too much to look at.
    fn search(&self, relaxation: &Relaxation) -> Option<Vec<f64>> {
        let payments: usize = self.modes().map(|mode| mode.runs.len()).sum();
        let steps = (MOST_PAYMENTS / payments.max(1)).min(MOST_STEPS);
        let mut prices = vec![0.0; self.capacity.len()];
        let free = self.response(&prices);
        let short = (0..prices.len()).filter(|&at| free.usage[at] > self.capacity[at] as f64);
        let short: Vec<usize> = short.collect();
        let is_pooled = self.relaxation.instance.classes.len() == 1 && short.len() < 2;
        if steps < PATIENCE || short.is_empty() || is_pooled {
            return None;
        }
        if let Some((resource, price)) = pool_price(relaxation, self.sign) {
            (0..prices.len())
                .filter(|at| at % self.stride == resource)
                .for_each(|at| prices[at] = price);
        }
        Some(self.descend(prices, steps, free.value))
    }

    /// Subgradient steps from these prices, in the measure in which all capacities are 1; the best prices met.
    fn descend(&self, mut prices: Vec<f64>, steps: usize, scale: f64) -> Vec<f64> {
        let mut best = (f64::INFINITY, prices.clone());
        let (mut ambition, mut stale) = (0.05 * scale.abs().max(1.0), 0);
        for _ in 0..steps {
            let Response { value, usage } = self.response(&prices);
            stale += 1;
            if value < best.0 - 1e-9 * scale.abs() {
                best = (value, prices.clone());
                stale = 0;
            } else if stale == PATIENCE {
                (ambition, stale) = (ambition * 0.5, 0);
            }
            let spare = |at: usize| match self.capacity[at] {
                capacity if capacity > 0 => 1.0 - usage[at] / capacity as f64,
                _ => 0.0,
            };
            let slopes: Vec<f64> = (0..prices.len())
                .map(|at| {
                    if prices[at] > 0.0 || spare(at) < 0.0 {
                        spare(at)
                    } else {
                        0.0
                    }
                })
                .collect();
            let norm: f64 = slopes.iter().map(|slope| slope * slope).sum();
            if norm == 0.0 || !value.is_finite() {
                break;
            }
            let step = (value - best.0 + ambition) / norm;
            for (at, slope) in slopes
                .iter()
                .enumerate()
                .filter(|(_, slope)| **slope != 0.0)
            {
                prices[at] = (prices[at] - step * slope / self.capacity[at] as f64).max(0.0);
            }
        }
        best.1
    }

    fn response(&self, prices: &[f64]) -> Response {
        let paid = prices.iter().zip(&self.capacity);
        let mut value: f64 = paid.map(|(price, capacity)| price * *capacity as f64).sum();
        let mut usage = vec![0.0; prices.len()];
        for job in &self.relaxation.tasks {
            let mut best: Option<(f64, &ModeView, usize)> = None;
            for mode in &job.view.modes {
                let pay = |class: usize| -> f64 {
                    let prices = &prices[class * self.stride..(class + 1) * self.stride];
                    let parts = prices.iter().zip(&mode.request.usage);
                    parts.map(|(price, usage)| price * *usage as f64).sum()
                };
                let cheapest = mode.runs.iter().map(|run| (pay(run.class), run.class));
                let cheapest = cheapest.min_by(|one, other| one.0.total_cmp(&other.0));
                let Some((paid, class)) = cheapest else {
                    continue;
                };
                let net = (self.sign * i128::from(mode.value)) as f64 - f64::from(mode.pods) * paid;
                if best.is_none_or(|(most, ..)| net > most) {
                    best = Some((net, mode, class));
                }
            }
            let Some((net, mode, class)) = best else {
                continue;
            };
            let count = job.count as f64;
            value += count * net;
            let used = &mut usage[class * self.stride..(class + 1) * self.stride];
            for (used, usage) in used.iter_mut().zip(&mode.request.usage) {
                *used += count * f64::from(mode.pods) * *usage as f64;
            }
        }
        Response { value, usage }
    }

    /// The bound at these prices in whole numbers; `None` where the sums do not fit 128 bits.
    fn exact(&self, prices: &[f64]) -> Option<i128> {
        // Casts of floats saturate, so that what is too large fails in the checked products.
        let prices: Vec<i128> = prices
            .iter()
            .map(|price| (price * (1u64 << DIGITS) as f64) as i128)
            .collect();
        let mut total = 0i128;
        for (price, capacity) in prices.iter().zip(&self.capacity) {
            total = total.checked_add(price.checked_mul(*capacity)?)?;
        }
        for job in &self.relaxation.tasks {
            let mut most: Option<i128> = None;
            for mode in &job.view.modes {
                let pay = |class: usize| -> Option<i128> {
                    let prices = &prices[class * self.stride..(class + 1) * self.stride];
                    let mut parts = prices.iter().zip(&mode.request.usage);
                    parts.try_fold(0i128, |sum, (price, usage)| {
                        sum.checked_add(price.checked_mul(i128::from(*usage))?)
                    })
                };
                let mut least: Option<i128> = None;
                for run in &mode.runs {
                    let paid = pay(run.class)?;
                    least = Some(least.map_or(paid, |least| least.min(paid)));
                }
                let value = (self.sign * i128::from(mode.value)).checked_mul(1 << DIGITS)?;
                let net = value.checked_sub(least?.checked_mul(i128::from(mode.pods))?)?;
                most = most.max(Some(net));
            }
            total = total.checked_add(job.count.checked_mul(most?)?)?;
        }
        // The sum of whole values is at most the quotient, so at most its floor: -ceil(-total / 2^DIGITS).
        Some(-divide_up(-total, 1 << DIGITS))
    }
}
