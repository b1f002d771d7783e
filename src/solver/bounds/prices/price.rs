//! The price bound on flow time: Lagrangian relaxation of the capacity (Fisher 1981; time-indexed prices as in
//! van den Akker, Hurkens and Savelsbergh 2000).
//!
//! For every price p(t) >= 0 of each line (`market.rs`) of which K(t) <= 1 is left beside running pods: a valid
//! plan uses at most K(t), so
//! `sum w C >= sum w C + integral of p (use - K) = sum over copies of (w C + what it pays) - integral of p K`.
//! Each copy adds at least its own minimum over modes, groups and starts, without regard to the others. Waits have
//! prices as well (`waits.rs`), which shift weight from what waits to what it waits for.
//!
//! p is constant in cells and 0 behind the last. In one offer, what a copy adds is then piecewise linear in its
//! start, and its minimum is found exactly (`Polygon::cheapest`). The bound is valid for whatever prices;
//! `learner.rs` raises it.
//!
//! Rounding: all times are whole and below 2^51, so that their sums are exact. A price summed to a corner is a
//! sum of at most 512 terms >= 0, and so is its sum over a few dozen lines; with the linear rest these have a
//! relative error below 1e-12. What a copy adds is then wrong by at most 1e-12 of itself and of what the most
//! that it could use costs in all cells; where weight is shifted, also of all shifted weight x the last time that makes
//! a difference. So 1e-11 of all that, and of the price of all capacity, is more than all errors together; it is taken
//! off in the end.

use rayon::prelude::*;

use crate::model::Millis;
use crate::solver::bounds::mean_busy;
use crate::solver::bounds::{Job, Relaxation};

use super::curves::{Blend, Curves};
use super::learner::{Deal, Learner, Sample};
use super::market::{Buyer, Market};
use super::tariff::Prices;
use super::waits::{self, Pace, Wait};

/// Part of all magnitudes that is taken off for rounding.
const MARGIN: f64 = 1e-11;
/// At most so many parts of the nodes are looked at together, as cells of time are shared out among them.
const MOST_PARTS: usize = 8;

/// The mode and start that a copy of a task can best afford.
#[derive(Clone, Copy, Debug)]
pub(in crate::solver) struct Place {
    /// Index into `TaskView::modes`.
    pub mode: usize,
    pub start: Millis,
}

/// The bound, with the prices that prove it so far. More rounds raise it.
pub(in crate::solver) struct PriceBound {
    parts: Vec<Part>,
    tasks: usize,
    classes: usize,
}

/// A part of the nodes that no task can leave.
struct Part {
    /// Prices of room as it is.
    learner: Learner,
    /// Prices that also know the gaps that gangs leave on nodes. Their bound takes longer to learn, but they are the
    /// better guide.
    guide: Option<Learner>,
    classes: Vec<usize>,
    /// A bound on all copies without prices.
    floor: i128,
    proved: Option<i128>,
}

impl PriceBound {
    /// Nothing is learnt yet.
    pub fn new(relaxation: &Relaxation) -> Self {
        let instance = relaxation.instance;
        let parts = joints(relaxation).into_iter().map(|joint| {
            let market = Market::new(instance, &joint.jobs, &joint.classes);
            let gauged = instance
                .has_gangs()
                .then(|| Market::gauged(instance, &joint.jobs, &joint.classes));
            Part {
                learner: Learner::new(market, deal),
                guide: gauged.flatten().map(|market| Learner::new(market, deal)),
                classes: joint.classes,
                floor: joint.floor,
                proved: None,
            }
        });
        Self {
            parts: parts.collect(),
            tasks: instance.tasks.len(),
            classes: instance.classes.len(),
        }
    }

    /// Goes on for so many rounds, or until it is told to stop, and proves what was learnt.
    pub fn improve(&mut self, rounds: usize, stop: impl Fn() -> bool) {
        for part in self.parts.iter_mut().filter(|part| !part.learner.is_idle()) {
            for _ in 0..rounds {
                if stop() {
                    break;
                }
                part.learners_mut().for_each(Learner::step);
            }
            let found = part.learners().map(Part::prove).max();
            part.proved = part.proved.max(found);
        }
    }

    /// No plan of the placed copies has less flow time.
    pub fn bound(&self) -> i128 {
        self.parts
            .iter()
            .map(Part::bound)
            .fold(0, i128::saturating_add)
    }

    /// The best prices so far, and what each task takes at them.
    pub fn prices(&self) -> Prices {
        let mut prices = Prices::new(self.tasks, self.classes);
        for part in &self.parts {
            let guide = part.guide.as_ref().unwrap_or(&part.learner);
            let market = &guide.market;
            prices.add(market, guide.best(), &part.classes);
            let paces = waits::paces(market, &guide.best().waits);
            for (buyer, pace) in market.buyers.iter().zip(paces) {
                prices.paces[buyer.task] = Some(pace);
            }
            let places = places(market, guide.best());
            for (buyer, choice) in market.buyers.iter().zip(places) {
                let offer = &market.offers(buyer)[choice.offer];
                prices.places[buyer.task] = Some(Place {
                    mode: offer.mode,
                    start: choice.start as Millis,
                });
            }
        }
        prices
    }
}

/// Tasks that share nodes, or that wait for others that do.
#[derive(Default)]
struct Joint<'r, 'a> {
    jobs: Vec<&'r Job<'a>>,
    classes: Vec<usize>,
    floor: i128,
    parts: usize,
}

impl Joint<'_, '_> {
    fn join(&mut self, other: Self) {
        self.jobs.extend(other.jobs);
        self.classes.extend(other.classes);
        self.floor = self.floor.saturating_add(other.floor);
        self.parts += other.parts;
    }
}

fn joints<'r, 'a>(relaxation: &'r Relaxation<'a>) -> Vec<Joint<'r, 'a>> {
    let instance = relaxation.instance;
    let task = |job: &Job| job.view.index;
    let joint = |limit: mean_busy::Limit<'r, 'a>| {
        let jobs = limit.users.iter().chain(&limit.others).copied();
        Joint {
            jobs: jobs.collect(),
            classes: limit.classes,
            floor: limit.bound,
            parts: 1,
        }
    };
    let mut joints: Vec<Joint> = mean_busy::parts(relaxation)
        .into_iter()
        .map(joint)
        .collect();
    let mut of_task = vec![None; instance.tasks.len()];
    for (index, joint) in joints.iter().enumerate() {
        for job in &joint.jobs {
            of_task[task(job)] = Some(index);
        }
    }
    for job in &relaxation.tasks {
        for &before in &job.view.after {
            let (Some(one), Some(other)) = (of_task[task(job)], of_task[before]) else {
                continue;
            };
            if one == other || joints[one].parts + joints[other].parts > MOST_PARTS {
                continue;
            }
            let other = std::mem::take(&mut joints[other]);
            for job in &other.jobs {
                of_task[task(job)] = Some(one);
            }
            joints[one].join(other);
        }
    }
    joints.retain(|joint| !joint.jobs.is_empty());
    joints
}

impl Part {
    fn bound(&self) -> i128 {
        self.proved
            .map_or(self.floor, |proved| proved.max(self.floor))
    }

    fn learners(&self) -> impl Iterator<Item = &Learner> {
        std::iter::once(&self.learner).chain(&self.guide)
    }

    fn learners_mut(&mut self) -> impl Iterator<Item = &mut Learner> {
        std::iter::once(&mut self.learner).chain(&mut self.guide)
    }

    /// The bound at the best prices, over all buyers and rounded down.
    fn prove(learner: &Learner) -> i128 {
        let (market, curves) = (&learner.market, learner.best());
        let choices = places(market, curves);
        let costs: f64 = market
            .buyers
            .iter()
            .zip(choices)
            .map(|(buyer, choice)| buyer.count * choice.cost)
            .sum();
        let (mut rent, mut magnitude) = (0.0, costs);
        for (index, line) in market.lines.iter().enumerate() {
            rent += line.rent(curves, index);
            magnitude += curves.total(index) * (1.0 + line.demand);
        }
        magnitude += waits::magnitude(market, curves);
        let safe = (costs - rent - magnitude * MARGIN).floor();
        if safe.is_finite() {
            (safe as i128).saturating_add(market.apart)
        } else {
            0
        }
    }
}

/// What one copy takes.
#[derive(Clone, Copy)]
struct Choice {
    cost: f64,
    /// Index into the buyer's offers.
    offer: usize,
    start: f64,
}

fn places(market: &Market, curves: &Curves) -> Vec<Choice> {
    let paces = waits::paces(market, &curves.waits);
    let place = |blend: &mut Blend, (buyer, pace): (&Buyer, &Pace)| {
        best_place(market, curves, buyer, *pace, blend)
    };
    market
        .buyers
        .par_iter()
        .zip(&paces)
        .with_min_len(64)
        .map_init(Blend::default, place)
        .collect()
}

/// What these buyers take.
fn deal(market: &Market, curves: &Curves, sample: &Sample) -> Deal {
    let paces = waits::paces(market, &curves.waits);
    let choices: Vec<Choice> = sample
        .par_iter()
        .with_min_len(64)
        .map_init(Blend::default, |blend, (buyer, _)| {
            best_place(market, curves, &market.buyers[*buyer], paces[*buyer], blend)
        })
        .collect();
    let mut excess = market.nothing_sold(curves);
    let mut value = 0.0;
    for (&(buyer, count), choice) in sample.iter().zip(&choices) {
        value += count * choice.cost;
        let offer = &market.offers(&market.buyers[buyer])[choice.offer];
        market.sell(curves, offer, count, choice.start, &mut excess);
    }
    let rent = market
        .lines
        .iter()
        .enumerate()
        .map(|(index, line)| line.rent(curves, index));
    value -= rent.sum::<f64>();
    curves.per_width(&mut excess);
    Deal {
        value,
        excess,
        late: late(market, sample, &choices),
    }
}

/// How far the end of what is waited for lies behind the start of what waits, where both have been asked.
fn late(market: &Market, sample: &Sample, choices: &[Choice]) -> Vec<f64> {
    let mut chosen = vec![None; market.buyers.len()];
    for (&(buyer, _), choice) in sample.iter().zip(choices) {
        let offer = &market.offers(&market.buyers[buyer])[choice.offer];
        chosen[buyer] = Some((choice.start, choice.start + offer.duration));
    }
    let late = |wait: &Wait| match (chosen[wait.before], chosen[wait.after]) {
        (Some((_, end)), Some((start, _))) => end - start,
        _ => 0.0,
    };
    market.waits.iter().map(late).collect()
}

/// The offer and start of least weighted end plus price.
fn best_place(
    market: &Market,
    curves: &Curves,
    buyer: &Buyer,
    pace: Pace,
    blend: &mut Blend,
) -> Choice {
    let weight = pace.end - pace.start;
    let mut best = Choice {
        cost: f64::INFINITY,
        offer: 0,
        start: buyer.head,
    };
    for (index, offer) in market.offers(buyer).iter().enumerate() {
        // The start is saved for, so the duration is not.
        let fixed = pace.start * offer.duration;
        if weight * (buyer.head + offer.duration) + fixed >= best.cost {
            continue;
        }
        let (polygon, share) = blend.of(curves, market.uses(offer));
        if let Some(found) =
            polygon.cheapest(weight, share, buyer.head, offer.duration, best.cost - fixed)
        {
            best = Choice {
                cost: found.cost + fixed,
                offer: index,
                start: found.start,
            };
        }
    }
    best
}
