//! The least cost of a way over all starts from a time on, as a table.

use super::market::Lane;
use super::{CELLS, FINE};

/// The least cost of a way over all starts from a time on.
#[derive(Clone, Default)]
pub(super) struct Floor {
    pub entries: Vec<f64>,
    /// No start that is a millisecond later costs more than this more.
    pub slope: f64,
    /// Beyond the table nothing costs but time.
    pub pace: Pace,
    pub duration: f64,
}

/// What time costs a copy.
#[derive(Clone, Copy, Default)]
pub(super) struct Pace {
    /// For each millisecond until its end.
    pub end: f64,
    /// Comes back for each millisecond until its start; at most `end`.
    pub start: f64,
}

impl Pace {
    pub fn cost(self, start: f64, duration: f64) -> f64 {
        self.end * (start + duration) - self.start * start
    }
}

/// Offers every start at which the cost may be least: it is piecewise linear, with corners only where a start
/// or an end meets a border of cells.
pub(super) fn each_offer(
    lane: &Lane,
    pace: Pace,
    sums: &[f64],
    width: f64,
    mut offer: impl FnMut(f64, f64),
) {
    let (length, first) = (lane.duration / width, lane.head / width);
    let whole = (length as usize).min(CELLS);
    let part = if length >= CELLS as f64 {
        0.0
    } else {
        length - whole as f64
    };
    let at = |time: f64| {
        let cell = (time as usize).min(CELLS);
        sums[cell] + (sums[cell + 1] - sums[cell]) * (time - cell as f64).min(1.0)
    };
    let mut offer_at = |start: f64, price: f64| {
        if start >= lane.head && start <= lane.latest {
            offer(start, pace.cost(start, lane.duration) + price);
        }
    };
    offer_at(lane.head, at(first + length) - at(first));
    for cell in first.ceil().min(CELLS as f64) as usize..=CELLS {
        let after = cell + whole;
        let until = sums[after] + part * (sums[after + 1] - sums[after]);
        offer_at(cell as f64 * width, until - sums[cell]);
    }
    for cell in whole + 1..=CELLS {
        let before = cell - whole - 1;
        let until = sums[before] + (1.0 - part) * (sums[before + 1] - sums[before]);
        offer_at(cell as f64 * width - lane.duration, sums[cell] - until);
    }
    if lane.latest.is_finite() && lane.latest >= lane.head {
        let latest = lane.latest / width;
        offer_at(lane.latest, at(latest + length) - at(latest));
    }
}

impl Floor {
    /// Takes in what the way costs on one more class.
    pub fn join(&mut self, lane: &Lane, pace: Pace, sums: &[f64], width: f64, prices: &[Vec<f64>]) {
        let entries = CELLS * FINE + 1;
        let fine = width / FINE as f64;
        self.pace = pace;
        self.duration = lane.duration;
        if self.entries.is_empty() {
            self.entries.resize(entries, f64::INFINITY);
        }
        let at = |time: f64| {
            let cell = (time as usize).min(CELLS);
            sums[cell] + (sums[cell + 1] - sums[cell]) * (time - cell as f64).min(1.0)
        };
        let mut least = vec![f64::INFINITY; entries];
        for (entry, least) in least.iter_mut().enumerate() {
            let start = entry as f64 * fine;
            if start > lane.latest {
                continue;
            }
            let price = at((start + lane.duration) / width) - at(start / width);
            *least = pace.cost(start, lane.duration) + price;
        }
        each_offer(lane, pace, sums, width, |start, cost| {
            let entry = ((start / fine) as usize).min(entries - 1);
            least[entry] = least[entry].min(cost);
        });
        for entry in (1..entries).rev() {
            least[entry - 1] = least[entry - 1].min(least[entry]);
        }
        for (known, own) in self.entries.iter_mut().zip(&least) {
            *known = known.min(*own);
        }
        let rise = lane
            .shares
            .iter()
            .map(|&(curve, share)| share * largest_rise(&prices[curve]) / width);
        self.slope = self.slope.max(pace.end - pace.start + rise.sum::<f64>());
    }
}

/// How much higher than an earlier one a price is at most.
fn largest_rise(prices: &[f64]) -> f64 {
    let (mut least, mut rise) = (f64::INFINITY, 0.0f64);
    for &price in prices {
        least = least.min(price);
        rise = rise.max(price - least);
    }
    rise
}
