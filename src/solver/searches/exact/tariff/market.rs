//! Who wants how much room of which class, and what is left of it at some prices.

use crate::model::Millis;

use super::super::jobs::{Jobs, Way};
use super::floor::{Floor, Pace, each_offer};
use super::{Aim, CELLS, Tariff, WAIT};

/// A way on one class, as a buyer of room.
pub(super) struct Lane {
    way: usize,
    pub head: f64,
    pub latest: f64,
    pub duration: f64,
    /// (curve, share of the class's capacity)
    pub shares: Vec<(usize, f64)>,
}

pub(super) struct Deal {
    pub bound: f64,
    pub excess: Vec<Vec<f64>>,
    /// For each wait how far the end lies behind the start, in cells.
    pub late: Vec<f64>,
}

/// Prices of capacity for each curve and cell, and of waits for a cell.
#[derive(Clone)]
pub(super) struct Prices {
    room: Vec<Vec<f64>>,
    waits: Vec<f64>,
}

pub(super) struct Market<'a> {
    jobs: &'a Jobs,
    is_flow: bool,
    lanes: Vec<Lane>,
    /// The weight of each job's end.
    weights: Vec<f64>,
    /// (before, after)
    waits: Vec<(usize, usize)>,
    /// Range of lanes of each job.
    buyers: Vec<std::ops::Range<usize>>,
    capacity: Vec<f64>,
    /// Share of each curve that is free, in ms of each cell.
    room: Vec<Vec<f64>>,
    width: f64,
}

impl<'a> Market<'a> {
    pub fn new(jobs: &'a Jobs, aim: Aim) -> Self {
        let width = aim.horizon / CELLS as f64;
        let capacity = jobs
            .curves
            .iter()
            .map(|curve| curve.gauge.whole() as f64 * jobs.classes[curve.class].size as f64);
        let mut market = Self {
            jobs,
            is_flow: aim.is_flow,
            lanes: Vec::new(),
            weights: jobs
                .jobs
                .iter()
                .map(|job| if aim.is_flow { job.weight as f64 } else { 0.0 })
                .collect(),
            waits: Vec::new(),
            buyers: Vec::new(),
            capacity: capacity.collect(),
            room: Vec::new(),
            width,
        };
        for (index, job) in jobs.jobs.iter().enumerate() {
            let first = market.lanes.len();
            for way in job.ways.clone() {
                let latest = aim.latest[index];
                market.add_lanes(way, &jobs.ways[way], aim.is_flow, job.head, latest);
            }
            let before = (0..index).filter(|before| job.before >> before & 1 == 1);
            market.waits.extend(before.map(|before| (before, index)));
            market.buyers.push(first..market.lanes.len());
        }
        for (curve, &capacity) in market.capacity.iter().enumerate() {
            market.room.push(room(jobs, curve, capacity, width));
        }
        market
    }

    fn add_lanes(&mut self, way: usize, view: &Way, is_flow: bool, head: Millis, latest: f64) {
        for lane in &view.lanes {
            let share = |curve: usize| {
                let share = self.jobs.curves[curve].share(view);
                (share > 0.0).then(|| (curve, share / self.capacity[curve].max(1.0)))
            };
            let curves = self.jobs.classes[lane.class].curves.clone();
            let shares = curves.filter_map(share).collect();
            self.lanes.push(Lane {
                way,
                head: head as f64,
                latest: if is_flow {
                    f64::INFINITY
                } else {
                    latest - view.duration as f64
                },
                duration: view.duration as f64,
                shares,
            });
        }
    }

    /// Prices to begin with: room is the dearer the more weight has not ended.
    pub fn first(&self) -> Prices {
        let total: f64 = self.weights.iter().sum();
        let curves = self.capacity.len().max(1) as f64;
        let cell = |cell: usize| {
            let left = 1.0 - (cell as f64 + 0.5) / CELLS as f64;
            if self.is_flow {
                total * left * self.width / curves
            } else {
                1.0
            }
        };
        let room = vec![(0..CELLS).map(cell).collect(); self.capacity.len()];
        let mut prices = Prices {
            room,
            waits: vec![0.0; self.waits.len()],
        };
        self.normalise(&mut prices);
        prices
    }

    /// A deadline is refuted by the ratio of prices alone: all room together costs 1.
    fn normalise(&self, prices: &mut Prices) {
        let rent = self.rent(prices);
        if !self.is_flow && rent > 0.0 {
            let all = prices.room.iter_mut().flatten().chain(&mut prices.waits);
            all.for_each(|price| *price /= rent);
        }
    }

    /// The price of all room.
    fn rent(&self, prices: &Prices) -> f64 {
        let room = prices.room.iter().flatten().zip(self.room.iter().flatten());
        room.map(|(price, room)| price * room).sum()
    }

    /// Cumulative prices of a lane, padded.
    fn sums(&self, lane: &Lane, paid: &[Vec<f64>], sums: &mut Vec<f64>) {
        sums.clear();
        sums.resize(2 * CELLS + 2, 0.0);
        for &(curve, share) in &lane.shares {
            for (sum, paid) in sums.iter_mut().zip(&paid[curve]) {
                *sum += share * paid;
            }
        }
        let last = sums[CELLS];
        sums[CELLS + 1..].fill(last);
    }

    /// What time costs each job.
    fn paces(&self, waits: &[f64]) -> Vec<Pace> {
        let mut paces: Vec<Pace> = self
            .weights
            .iter()
            .map(|&end| Pace { end, start: 0.0 })
            .collect();
        for (&(before, after), price) in self.waits.iter().zip(waits) {
            paces[before].end += price / (WAIT * self.width);
            paces[after].start += price / (WAIT * self.width);
        }
        paces
    }

    /// A step along the slopes, back to prices that are allowed.
    pub fn follow(&self, prices: &mut Prices, deal: &Deal, step: f64) {
        let room = prices
            .room
            .iter_mut()
            .flatten()
            .zip(deal.excess.iter().flatten());
        for (price, slope) in room.chain(prices.waits.iter_mut().zip(&deal.late)) {
            *price = (*price + step * slope).max(0.0);
        }
        // What waits for a copy comes after it, so its weight is known before it is used.
        for job in (0..self.weights.len()).rev() {
            let sum = |waits: &[f64], of: fn(&(usize, usize)) -> usize| -> f64 {
                let own = self
                    .waits
                    .iter()
                    .zip(waits)
                    .filter(|(wait, _)| of(wait) == job);
                own.map(|(_, price)| price).sum()
            };
            let most =
                0.999 * (self.weights[job] * self.width * WAIT + sum(&prices.waits, |wait| wait.0));
            let all = sum(&prices.waits, |wait| wait.1);
            if all > most {
                let own = self
                    .waits
                    .iter()
                    .zip(&mut prices.waits)
                    .filter(|(wait, _)| wait.1 == job);
                own.for_each(|(_, price)| *price *= most / all);
            }
        }
        self.normalise(prices);
    }

    pub fn deal(&self, prices: &Prices) -> Deal {
        let paces = self.paces(&prices.waits);
        let mut starts = vec![(0.0, 0.0); self.buyers.len()];
        let rent = self.rent(prices);
        let prices = &prices.room;
        let paid: Vec<Vec<f64>> = prices.iter().map(|prices| cumulate(prices)).collect();
        let mut excess: Vec<Vec<f64>> = self
            .room
            .iter()
            .map(|room| room.iter().map(|room| -room).collect())
            .collect();
        let mut bound = -rent;
        let mut sums = Vec::new();
        for (job, buyer) in self.buyers.iter().enumerate() {
            let mut best = (f64::INFINITY, 0.0, buyer.start);
            for index in buyer.clone() {
                let lane = &self.lanes[index];
                self.sums(lane, &paid, &mut sums);
                each_offer(lane, paces[job], &sums, self.width, |start, cost| {
                    if cost < best.0 {
                        best = (cost, start, index);
                    }
                });
            }
            bound += best.0;
            if let Some(lane) = self.lanes.get(best.2) {
                starts[job] = (best.1, best.1 + lane.duration);
                let (first, last) = (best.1 / self.width, (best.1 + lane.duration) / self.width);
                for &(curve, share) in &lane.shares {
                    let cells = excess[curve].iter_mut().enumerate();
                    for (cell, excess) in cells.take(last.ceil() as usize).skip(first as usize) {
                        *excess += share * (last.min(cell as f64 + 1.0) - first.max(cell as f64));
                    }
                }
            }
        }
        let late = |&(before, after): &(usize, usize)| {
            (starts[before].1 - starts[after].0) / (WAIT * self.width)
        };
        Deal {
            bound,
            excess,
            late: self.waits.iter().map(late).collect(),
        }
    }

    /// The tables of the bound at these prices.
    pub fn tariff(&self, all: &Prices) -> Tariff {
        let prices = &all.room;
        let paces = self.paces(&all.waits);
        let wait = |(&(before, after), price): (&(usize, usize), &f64)| {
            (before, after, price / (WAIT * self.width))
        };
        let paid: Vec<Vec<f64>> = prices.iter().map(|prices| cumulate(prices)).collect();
        let mut floors = vec![Floor::default(); self.jobs.ways.len()];
        let mut sums = Vec::new();
        for lane in &self.lanes {
            self.sums(lane, &paid, &mut sums);
            floors[lane.way].join(
                lane,
                paces[self.jobs.ways[lane.way].job],
                &sums,
                self.width,
                prices,
            );
        }
        let rent: f64 = prices.iter().flatten().sum();
        let turnover = all.waits.iter().sum::<f64>() * CELLS as f64 / WAIT;
        let bound = self.deal(all).bound;
        let unit = |(paid, capacity): (Vec<f64>, &f64)| {
            paid.iter().map(|paid| paid / capacity.max(1.0)).collect()
        };
        Tariff {
            width: self.width,
            paid: paid.into_iter().zip(&self.capacity).map(unit).collect(),
            floors,
            waits: self.waits.iter().zip(&all.waits).map(wait).collect(),
            bound,
            rent: self.rent(all),
            margin: 1e-9 * (rent + turnover + if bound.is_finite() { bound.abs() } else { 0.0 }),
        }
    }
}

/// The free share of a class's capacity, for each cell.
fn room(jobs: &Jobs, curve: usize, capacity: f64, width: f64) -> Vec<f64> {
    let curve = &jobs.curves[curve];
    let class = &jobs.classes[curve.class];
    let steps: Vec<(f64, f64)> = class
        .base
        .steps_from(0)
        .map(|(time, free)| (time as f64 / width, curve.room(free) * class.size as f64))
        .collect();
    let mut room = vec![0.0; CELLS];
    for (index, &(from, free)) in steps.iter().enumerate() {
        let until = steps
            .get(index + 1)
            .map_or(f64::INFINITY, |step| step.0)
            .min(CELLS as f64);
        let mut cell = from as usize;
        while cell < CELLS && (cell as f64) < until {
            let covered = until.min(cell as f64 + 1.0) - from.max(cell as f64);
            room[cell] += covered.max(0.0) * free / capacity.max(1.0);
            cell += 1;
        }
    }
    room
}

fn cumulate(prices: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let mut paid = vec![0.0];
    paid.extend(prices.iter().map(|price| {
        sum += price;
        sum
    }));
    paid
}
