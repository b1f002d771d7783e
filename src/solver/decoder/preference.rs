//! Which of several places for a copy is the best one.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::model::Millis;
use crate::solver::bounds::Prices;
use crate::solver::instance::{Instance, ModeView, TaskView};

use super::reversed::Reversed;

/// What a copy without a fixed mode looks for. Equal places go to the earlier end, then to
/// pods as near each other as they would rather stand, then to less work.
#[derive(Clone, Debug)]
pub(in crate::solver) enum Preference {
    /// The earliest end.
    EarliestEnd,
    /// The least work among the places after which everything that waits for the copy may still end in time, else
    /// the earliest end. Raising the deadline until all copies meet it is the dual approximation of Hochbaum and
    /// Shmoys (1987). One for each batch.
    Deadline(Arc<[Millis]>),
    /// The least weighted end plus the price of what is used until then, at prices of the fluid schedule.
    Price(Arc<Tariff>),
    /// The same at learnt prices.
    Learnt(Arc<Prices>),
    /// The least price of the nodes, by goal Cost.
    Cost,
    /// What is best by another preference of all that ends in time, else the earliest end.
    InTime(Arc<Preference>),
    /// The least price, backwards in time.
    Reversed(Arc<Reversed>),
}

/// What a place is worth; the least is the best.
#[derive(Clone, Copy, Debug)]
pub(in crate::solver) struct Rank {
    pub cost: f64,
    pub end: Millis,
    /// Whether the pods stand less near each other than they rather would.
    pub strays: bool,
    pub work: f64,
    pub leftover: f64,
}

impl Rank {
    pub fn is_before(&self, other: &Self) -> bool {
        let by_cost = self
            .cost
            .total_cmp(&other.cost)
            .then(self.end.cmp(&other.end));
        let rest = || {
            let strays = self.strays.cmp(&other.strays);
            strays
                .then(self.work.total_cmp(&other.work))
                .then(self.leftover.total_cmp(&other.leftover))
        };
        by_cost.then_with(rest) == Ordering::Less
    }
}

impl Preference {
    /// What no place of the mode that ends at this time or later can cost less than.
    pub fn floor(&self, task: &TaskView, mode: &ModeView, end: Millis) -> f64 {
        match self {
            Preference::EarliestEnd => 0.0,
            Preference::Deadline(ends) if is_in_time(task, ends, end) => mode.work,
            Preference::Deadline(_) => f64::INFINITY,
            Preference::Cost => {
                let costs = mode.runs.iter().map(|run| run.price * run.duration as f64);
                f64::from(mode.pods) * costs.fold(f64::INFINITY, f64::min)
            }
            Preference::InTime(other) if end <= task.latest_end => other.floor(task, mode, end),
            Preference::InTime(_) => f64::INFINITY,
            Preference::Reversed(reversed) => reversed.floor(mode, end),
            Preference::Price(_) => task.weight as f64 * end as f64,
            // What a later start saves is no more than what a later end costs.
            Preference::Learnt(prices) => prices.waited(task.index, task.weight, end, end),
        }
    }

    /// Whether a later place of the same mode on another class may be the better one.
    pub fn is_by_class(&self) -> bool {
        match self {
            Preference::Cost => true,
            Preference::InTime(other) => other.is_by_class(),
            _ => false,
        }
    }

    /// What it costs to run a copy of the task in this mode in `[start, end)`, with `pods` (class, number).
    pub fn cost(
        &self,
        task: &TaskView,
        mode: &ModeView,
        start: Millis,
        end: Millis,
        pods: impl Iterator<Item = (usize, u32)>,
    ) -> f64 {
        match self {
            Preference::EarliestEnd => 0.0,
            Preference::Deadline(ends) if is_in_time(task, ends, end) => mode.work,
            Preference::Deadline(_) => f64::INFINITY,
            Preference::Cost => {
                let price = |class| {
                    let run = mode.runs.iter().find(|run| run.class == class);
                    run.map_or(f64::INFINITY, |run| run.price)
                };
                let each = pods.map(|(class, pods)| f64::from(pods) * price(class));
                each.sum::<f64>() * (end - start) as f64
            }
            Preference::InTime(other) if end <= task.latest_end => {
                other.cost(task, mode, start, end, pods)
            }
            Preference::InTime(_) => f64::INFINITY,
            Preference::Reversed(reversed) => reversed.paid(&mode.request.usage, start, end, pods),
            Preference::Price(tariff) => {
                task.weight as f64 * end as f64 + mode.share * tariff.paid(task.pool, start, end)
            }
            Preference::Learnt(prices) => {
                let usage = &mode.request.usage;
                let paid = |(class, pods)| f64::from(pods) * prices.paid(class, usage, start, end);
                let waited = prices.waited(task.index, task.weight, start, end);
                waited + pods.map(paid).sum::<f64>()
            }
        }
    }
}

fn is_in_time(task: &TaskView, ends: &[Millis], end: Millis) -> bool {
    end.saturating_add(task.tail) <= ends[task.batch]
}

/// For each pool the price of all its capacity over time, summed from 0, as a polygon.
///
/// Capacity that is used at time t keeps all work that is still to come waiting. The price of the whole
/// pool at t is therefore the weight that has not ended by t when the least works run one after the other
/// in order of weight over work (Smith 1956): the dual prices of the flow time of that fluid schedule.
#[derive(Clone, Debug)]
pub(in crate::solver) struct Tariff {
    pools: Vec<Vec<(f64, f64, f64)>>,
}

impl Tariff {
    /// The prices of the fluid schedule, times `factor`.
    pub fn fluid(instance: &Instance, factor: f64) -> Self {
        let mut jobs: Vec<Vec<(f64, f64)>> = vec![Vec::new(); instance.pools.len()];
        for task in &instance.tasks {
            let work = task
                .modes
                .iter()
                .map(|mode| mode.work)
                .fold(f64::INFINITY, f64::min);
            let (count, weight) = (task.copies.len() as f64, task.weight as f64);
            if work.is_finite() && work > 0.0 && weight > 0.0 {
                jobs[task.pool].push((work * count, weight * count));
            }
        }
        Self {
            pools: jobs.into_iter().map(|jobs| polygon(jobs, factor)).collect(),
        }
    }

    /// The price of the whole pool for `[start, end)`.
    fn paid(&self, pool: usize, start: Millis, end: Millis) -> f64 {
        let until = |time: Millis| {
            let corners = &self.pools[pool];
            let at = corners.partition_point(|corner| corner.0 <= time as f64);
            corners
                .get(at.saturating_sub(1))
                .map_or(0.0, |(from, sum, price)| sum + price * (time as f64 - from))
        };
        until(end) - until(start)
    }
}

/// Corners (time, price summed up to it, price from it on) of jobs (work, weight).
fn polygon(mut jobs: Vec<(f64, f64)>, factor: f64) -> Vec<(f64, f64, f64)> {
    jobs.sort_by(|(work, weight), (other_work, other)| {
        (work * other).total_cmp(&(other_work * weight))
    });
    let mut left: f64 = jobs.iter().map(|(_, weight)| weight * factor).sum();
    let (mut time, mut sum) = (0.0, 0.0);
    let mut corners = vec![(time, sum, left)];
    for (work, weight) in jobs {
        time += work;
        sum += left * work;
        left = (left - weight * factor).max(0.0);
        corners.push((time, sum, left));
    }
    corners
}
