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

use crate::model::Millis;

use super::jobs::{Jobs, Way};

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
    /// More than all errors of rounding in a bound.
    pub margin: f64,
}

/// The least cost of a way over all starts from a time on.
#[derive(Clone, Default)]
struct Floor {
    entries: Vec<f64>,
    /// No start that is a millisecond later costs more than this more.
    slope: f64,
    /// Beyond the table nothing costs but time.
    pace: Pace,
    duration: f64,
}

/// What time costs a copy.
#[derive(Clone, Copy, Default)]
struct Pace {
    /// For each millisecond until its end.
    end: f64,
    /// Comes back for each millisecond until its start; at most `end`.
    start: f64,
}

impl Pace {
    fn cost(self, start: f64, duration: f64) -> f64 {
        self.end * (start + duration) - self.start * start
    }
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

/// A way on one class, as a buyer of room.
struct Lane {
    way: usize,
    head: f64,
    latest: f64,
    duration: f64,
    /// (curve, share of the class's capacity)
    shares: Vec<(usize, f64)>,
}

struct Deal {
    bound: f64,
    excess: Vec<Vec<f64>>,
    /// For each wait how far the end lies behind the start, in cells.
    late: Vec<f64>,
}

/// Prices of capacity for each curve and cell, and of waits for a cell.
#[derive(Clone)]
struct Prices {
    room: Vec<Vec<f64>>,
    waits: Vec<f64>,
}

struct Market<'a> {
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

impl<'a> Market<'a> {
    fn new(jobs: &'a Jobs, aim: Aim) -> Self {
        let width = aim.horizon / CELLS as f64;
        let capacity = jobs
            .classes
            .iter()
            .flat_map(|class| class.capacity.iter().copied());
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
            let share = |(resource, &usage): (usize, &i64)| {
                let curve = lane.class * self.jobs.stride + resource;
                let all = f64::from(view.pods) * usage as f64;
                (usage > 0).then(|| (curve, all / self.capacity[curve].max(1.0)))
            };
            let shares = view
                .request
                .usage
                .iter()
                .enumerate()
                .filter_map(share)
                .collect();
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

    /// Prices of the whole capacity for a cell.
    /// Prices to begin with: room is the dearer the more weight has not ended.
    fn first(&self) -> Prices {
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
    fn follow(&self, prices: &mut Prices, deal: &Deal, step: f64) {
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

    fn deal(&self, prices: &Prices) -> Deal {
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

    fn tariff(&self, all: &Prices) -> Tariff {
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
            margin: 1e-9 * (rent + turnover + if bound.is_finite() { bound.abs() } else { 0.0 }),
        }
    }
}

/// The free share of a class's capacity, for each cell.
fn room(jobs: &Jobs, curve: usize, capacity: f64, width: f64) -> Vec<f64> {
    let class = &jobs.classes[curve / jobs.stride];
    let steps: Vec<(f64, f64)> = class
        .base
        .steps_from(0)
        .map(|(time, free)| {
            (
                time as f64 / width,
                free[curve % jobs.stride].max(0) as f64 * class.size as f64,
            )
        })
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

/// Offers every start at which the cost may be least: it is piecewise linear, with corners only where a start
/// or an end meets a border of cells.
fn each_offer(lane: &Lane, pace: Pace, sums: &[f64], width: f64, mut offer: impl FnMut(f64, f64)) {
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
    fn join(&mut self, lane: &Lane, pace: Pace, sums: &[f64], width: f64, prices: &[Vec<f64>]) {
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
