//! What no plan below a node of the tree can beat, at the prices of the tariff.

use crate::model::Millis;

use super::super::jobs::{Curve, Lane};
use super::super::nodes::Pick;
use super::super::places::Place;
use super::{Level, Tree};

/// Bounds on the open copies from a time on.
pub(super) struct Outlook {
    time: Millis,
    /// For each copy the least cost.
    each: Vec<f64>,
    /// Their sum less the price of all free room.
    net: f64,
}

impl Tree<'_, '_, '_> {
    /// Whether a bound shows that no better plan is below.
    pub(super) fn is_hopeless(&self, bound: f64) -> bool {
        let enough = if self.jobs.is_flow {
            self.task.limit as f64
        } else {
            0.0
        };
        bound > enough + self.tariff.margin
    }

    /// The latest end of each copy in a better plan, for Makespan; false where there is none.
    pub(super) fn set_deadlines(&self, level: &mut Level) -> bool {
        level.latest.clear();
        level.latest.resize(self.jobs.jobs.len(), Millis::MAX);
        if self.jobs.is_flow {
            return true;
        }
        let mut ends = self.ends.clone();
        for job in self.open() {
            let view = &self.jobs.jobs[job];
            let end = |way: usize| level.soonest[way].saturating_add(self.jobs.ways[way].duration);
            let least = view.ways.clone().map(end).min().unwrap_or(Millis::MAX);
            ends[view.batch] = ends[view.batch].max(least);
        }
        let weighted = self
            .jobs
            .batches
            .iter()
            .zip(&ends)
            .map(|(&weight, &end)| i128::from(weight) * i128::from(end));
        let slack = i128::from(self.task.limit) - weighted.sum::<i128>();
        if slack < 0 {
            return false;
        }
        level.latest = self.jobs.deadlines(|batch| {
            let weight = i128::from(self.jobs.batches[batch]);
            let later = slack.checked_div(weight).unwrap_or(Millis::MAX.into());
            Millis::try_from(i128::from(ends[batch]) + later).unwrap_or(Millis::MAX)
        });
        true
    }

    /// What the placed copies cost, for the bound: with the price of what still waits for them.
    fn so_far(&self) -> f64 {
        let flow = if self.jobs.is_flow {
            self.flow as f64
        } else {
            0.0
        };
        let waits = self
            .tariff
            .waits
            .iter()
            .filter(|(_, after, _)| self.is_open(*after));
        let end = |before: usize| {
            self.places[before]
                .as_ref()
                .map_or(0.0, |place| place.end as f64)
        };
        flow + waits
            .map(|&(before, _, price)| price * end(before))
            .sum::<f64>()
    }

    /// The bound on everything below this node.
    pub(super) fn bound(&self, level: &mut Level) -> f64 {
        level.outlooks.clear();
        let outlook = self.outlook(level, self.last.0);
        let bound = self.so_far() + outlook.net;
        level.outlooks.push(outlook);
        bound
    }

    fn outlook(&self, level: &Level, time: Millis) -> Outlook {
        let mut each = vec![0.0; self.jobs.jobs.len()];
        let mut net = -self.rent(time);
        for job in self.open() {
            let mut least = f64::INFINITY;
            for way in self.jobs.jobs[job].ways.clone() {
                let start = level.soonest[way].max(time);
                if start.saturating_add(self.jobs.ways[way].duration) <= level.latest[job] {
                    least = least.min(self.tariff.floor(way, start as f64));
                }
            }
            each[job] = least;
            net += least;
        }
        Outlook { time, each, net }
    }

    /// The price of all room that is free from a time on.
    fn rent(&self, time: Millis) -> f64 {
        let mut rent = 0.0;
        for (class, view) in self.jobs.classes.iter().enumerate() {
            let touched = self
                .nodes
                .touched(class)
                .iter()
                .map(|profile| (profile, 1.0));
            let fresh = (&view.base, self.nodes.untouched(class) as f64);
            for (profile, count) in touched.chain([fresh]) {
                let mut steps = profile.steps_from(time).peekable();
                while let Some((from, free)) = steps.next() {
                    let until = steps.peek().map_or(f64::INFINITY, |(time, _)| *time as f64);
                    for curve in view.curves.clone() {
                        let free = self.jobs.curves[curve].room(free);
                        if free > 0.0 {
                            let price = self.tariff.paid(curve, until)
                                - self.tariff.paid(curve, from as f64);
                            rent += count * free * price;
                        }
                    }
                }
            }
        }
        rent
    }

    /// Sets the bound of a child and of the places that stand behind it; whether it is worth a visit.
    pub(super) fn judge(&self, level: &mut Level, place: &mut Place) -> bool {
        let way = &self.jobs.ways[place.way];
        if place.end > level.latest[way.job] {
            return false;
        }
        let known = level
            .outlooks
            .iter()
            .position(|outlook| outlook.time == place.start);
        let outlook = known.unwrap_or_else(|| {
            let outlook = self.outlook(level, place.start);
            level.outlooks.push(outlook);
            level.outlooks.len() - 1
        });
        let outlook = &level.outlooks[outlook];
        let mut own = if self.jobs.is_flow {
            (self.jobs.jobs[way.job].weight * place.end) as f64
        } else {
            0.0
        };
        for &(before, after, price) in &self.tariff.waits {
            if before == way.job {
                own += price * place.end as f64;
            } else if after == way.job {
                own -= price
                    * self.places[before]
                        .as_ref()
                        .map_or(0.0, |place| place.end as f64);
            }
        }
        // A cut way has spreads that stand behind this one: what holds for all of them.
        own += if level.cut.contains(&place.way) {
            self.least_price(place)
        } else {
            self.price(place)
        };
        let others = outlook.net - outlook.each[way.job];
        place.bound = if others.is_nan() {
            f64::NEG_INFINITY
        } else {
            self.so_far() + own + others
        };
        !self.is_hopeless(place.bound)
    }
    /// The price of the room that a place takes.
    fn price(&self, place: &Place) -> f64 {
        let way = &self.jobs.ways[place.way];
        let picks = place.picks.each().iter();
        let price = |pick: &Pick| {
            let share = |curve: &Curve| {
                let usage = way.request.usage[curve.resource];
                curve.gauge.of(usage.saturating_mul(i64::from(pick.pods))) as f64
            };
            self.price_on(pick.class, place, share)
        };
        picks.map(price).sum()
    }

    /// The least price of the room that the way takes in the time of a place, on whatever nodes.
    fn least_price(&self, place: &Place) -> f64 {
        let way = &self.jobs.ways[place.way];
        let price = |lane: &Lane| self.price_on(lane.class, place, |curve| curve.share(way));
        let prices = way.lanes.iter().map(price);
        prices.fold(f64::INFINITY, f64::min)
    }

    /// The price of shares of a class in the time of a place.
    fn price_on(&self, class: usize, place: &Place, share: impl Fn(&Curve) -> f64) -> f64 {
        let curves = self.jobs.classes[class].curves.clone();
        let price = |curve: usize| {
            let share = share(&self.jobs.curves[curve]).max(0.0);
            let paid = |time: Millis| self.tariff.paid(curve, time as f64);
            share * (paid(place.end) - paid(place.start))
        };
        curves.map(price).sum()
    }
}
