//! What the plans of a model share: the room on nodes and in classes, budgets, and the prices of room.

use std::collections::BTreeMap;

use pumpkin_constraints as constraints;
use pumpkin_core::variables::{DomainId, Literal, TransformableVariable};

use crate::model::Millis;
use crate::solver::instance::sums::gcd;

use super::super::jobs::{Curve, Lane, Way};
use super::super::tariff::Tariff;
use super::model::{LARGEST, Model};

/// Something that takes an amount from a start on, for so long.
struct Use {
    start: DomainId,
    duration: i32,
    amount: i64,
}

impl Model<'_> {
    /// No node is overfull.
    pub fn share_nodes(&mut self) -> Option<()> {
        let mut uses: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (index, spot) in self.spots.iter().enumerate() {
            let node = uses.entry((spot.pick.class, spot.pick.node)).or_default();
            node.push(index);
        }
        for ((class, _), spots) in uses {
            for resource in 0..self.jobs.stride {
                let own = |&index: &usize| {
                    let spot = &self.spots[index];
                    let way = &self.jobs.ways[spot.way];
                    Use {
                        start: spot.start,
                        duration: way.duration as i32,
                        amount: way.request.usage[resource].saturating_mul(spot.pick.pods.into()),
                    }
                };
                let all = spots.iter().map(own).collect();
                let free = self.jobs.classes[class].base.steps_from(0);
                let free = free.map(|(time, free)| (time, free[resource].max(0)));
                let free = free.collect();
                self.share(all, free)?;
            }
        }
        Some(())
    }

    /// Nor is a class, as if it were one node, nor are all classes together.
    pub fn share_classes(&mut self, has_nodes: bool) -> Option<()> {
        let curves = &self.jobs.curves;
        for curve in curves {
            let is_node = self.jobs.classes[curve.class].size == 1;
            let is_known = has_nodes && is_node && curve.gauge.is_plain();
            self.share_as_one(&[*curve], is_known)?;
        }
        let [first, others @ ..] = self.jobs.classes.as_slice() else {
            return Some(());
        };
        for curve in curves[first.curves.clone()]
            .iter()
            .filter(|_| !others.is_empty())
        {
            let like = |other: &&Curve| {
                other.resource == curve.resource && other.gauge.is_like(&curve.gauge)
            };
            let all: Vec<Curve> = curves.iter().filter(like).copied().collect();
            if all.len() == self.jobs.classes.len() {
                self.share_as_one(&all, false)?;
            }
        }
        Some(())
    }

    /// What runs on these classes alone takes no more than they have together, over all time, and at no time, which may
    /// be known already.
    fn share_as_one(&mut self, curves: &[Curve], is_known: bool) -> Option<()> {
        let jobs = self.jobs;
        let here = |class: usize| curves.iter().find(|curve| curve.class == class);
        let amount = |way: &Way| -> Option<i64> {
            let own = |lane: &Lane| here(lane.class).map(|curve| curve.share(way) as i64);
            way.lanes
                .iter()
                .map(own)
                .collect::<Option<Vec<i64>>>()?
                .into_iter()
                .min()
        };
        let (mut uses, mut areas) = (Vec::new(), Vec::new());
        for (way, own) in jobs.ways.iter().zip(&self.ways) {
            if let (Some(amount), Some((is_taken, start))) = (amount(way), *own) {
                let duration = way.duration as i32;
                uses.push(Use {
                    start,
                    duration,
                    amount,
                });
                areas.push((is_taken, i128::from(amount) * i128::from(way.duration)));
            }
        }
        let mut free: BTreeMap<Millis, i64> = BTreeMap::new();
        for curve in curves {
            let view = &jobs.classes[curve.class];
            let mut was = 0;
            for (time, amounts) in view.base.steps_from(0) {
                let now = (curve.room(amounts) * view.size as f64) as i64;
                let free = free.entry(time).or_default();
                *free = free.saturating_add(now.saturating_sub(was));
                was = now;
            }
        }
        let mut sum = 0;
        let free: Vec<(Millis, i64)> = free
            .into_iter()
            .map(|(time, change)| {
                sum = change.saturating_add(sum);
                (time, sum)
            })
            .collect();
        let ends = free
            .iter()
            .skip(1)
            .map(|(time, _)| *time)
            .chain([Millis::MAX]);
        let latest = Millis::from(self.latest);
        let room = free.iter().zip(ends).map(|(&(from, free), until)| {
            i128::from(free) * i128::from(until.min(latest) - from.min(latest))
        });
        let room = room.sum();
        self.fill(&areas, room);
        if is_known {
            return Some(());
        }
        self.share(uses, free)
    }

    /// What is used up is within the budgets.
    pub fn keep_budgets(&mut self) {
        for (budget, &most) in self.jobs.budgets.iter().enumerate() {
            let spent = |(way, own): (&Way, &Option<(Literal, DomainId)>)| {
                own.map(|(is_taken, _)| (is_taken, i128::from(way.spends[budget])))
            };
            let ways = self.jobs.ways.iter().zip(&self.ways);
            let spent: Vec<_> = ways.filter_map(spent).collect();
            self.fill(&spent, most.max(0).into());
        }
    }

    /// The areas of what is taken are within the room.
    fn fill(&mut self, areas: &[(Literal, i128)], room: i128) {
        let total: i128 = areas.iter().map(|(_, area)| *area).sum();
        if total <= room {
            return;
        }
        let unit = total / i128::from(LARGEST) + 1;
        // The solver takes no terms that are nothing.
        let term = |&(is_taken, area): &(Literal, i128)| {
            let area = (area / unit) as i32;
            (area > 0).then(|| is_taken.get_integer_variable().scaled(area))
        };
        let terms: Vec<_> = areas.iter().filter_map(term).collect();
        let within = constraints::less_than_or_equals(terms, (room / unit) as i32, self.tag);
        self.solver.add_constraint(within).post();
    }

    /// What all copies pay at some prices is within the price of all room (see `tariff`). Waits may pay a copy more
    /// than its room costs, so what counts is how much more than the least of the copy a way costs.
    pub fn pay(&mut self, tariff: &Tariff) {
        let jobs = self.jobs;
        let price = |way: usize| tariff.floor(way, jobs.jobs[jobs.ways[way].job].head as f64);
        let (mut prices, mut room) = (Vec::new(), tariff.rent + tariff.margin);
        let mut scale = room.abs();
        for job in &jobs.jobs {
            let ways = job.ways.clone().filter(|&way| self.ways[way].is_some());
            let least = ways.clone().map(price).fold(f64::INFINITY, f64::min);
            for way in ways {
                if let Some((is_taken, _)) = self.ways[way] {
                    prices.push((is_taken, price(way) - least));
                }
            }
            room -= least;
            scale += least.abs();
        }
        // Whole numbers, rounded so that nothing is refuted that is not.
        let one = (1u64 << 40) as f64 / scale;
        if !(one.is_finite()
            && room.is_finite()
            && prices.iter().all(|(_, price)| price.is_finite()))
        {
            return;
        }
        let whole = |(is_taken, price): (Literal, f64)| (is_taken, (price * one) as i128);
        let prices: Vec<_> = prices.into_iter().map(whole).collect();
        self.fill(&prices, (room.max(0.0) * one * (1.0 + 1e-6)) as i128 + 1);
    }

    /// At no time do these take more than is free, by steps in time.
    fn share(&mut self, mut uses: Vec<Use>, free: Vec<(Millis, i64)>) -> Option<()> {
        uses.retain(|one| one.amount > 0 && one.duration > 0);
        if uses.is_empty() {
            return Some(());
        }
        // Whole units are enough.
        let unit = uses.iter().fold(0, |unit, one| gcd(unit, one.amount));
        uses.iter_mut().for_each(|one| one.amount /= unit);
        let free: Vec<(Millis, i64)> = free
            .into_iter()
            .map(|(time, free)| (time, free / unit))
            .filter(|(time, _)| *time < self.exit.into())
            .collect();
        let most = free.iter().map(|(_, free)| *free).max().unwrap_or(0);
        let all: i64 = uses
            .iter()
            .map(|one| one.amount)
            .try_fold(0i64, i64::checked_add)?;
        let capacity = most.min(all).checked_add(all)?;
        if capacity >= LARGEST {
            return None;
        }
        let ends = free.iter().skip(1).map(|(time, _)| *time);
        let ends: Vec<Millis> = ends.chain([self.exit.into()]).collect();
        for (&(from, free), until) in free.iter().zip(ends) {
            let held = capacity - free.min(most.min(all));
            let start = self.solver.new_bounded_integer(from as i32, from as i32);
            uses.push(Use {
                start,
                duration: (until - from) as i32,
                amount: held,
            });
        }
        let cumulative = constraints::cumulative(
            uses.iter().map(|one| one.start).collect::<Vec<_>>(),
            uses.iter().map(|one| one.duration).collect::<Vec<_>>(),
            uses.iter().map(|one| one.amount as i32).collect::<Vec<_>>(),
            capacity as i32,
            self.tag,
        );
        self.solver.add_constraint(cumulative).post();
        Some(())
    }
}
