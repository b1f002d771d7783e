//! Branch and bound (Land and Doig 1960): proves the optimum of small problems.

mod jobs;
mod memo;
mod nodes;
mod places;
mod pools;
mod tariff;
mod tree;

use crate::model::{Goal, Millis};

use super::bounds::Bound;
use super::schedule::Schedule;
use super::search::Search;
use jobs::Jobs;
use tariff::{Aim, Tariff};
use tree::Tree;

/// Searches until everything was seen, or the budget ends.
pub(super) fn run(search: &mut Search) {
    let Some(incumbent) = search.incumbent().filter(|incumbent| incumbent.score.unplaced == 0) else {
        return;
    };
    let mut schedule = incumbent.schedule.clone();
    match search.problem().goal {
        Goal::FlowTime => flow_time(search, &mut schedule),
        Goal::Makespan => makespan(search, &mut schedule),
        Goal::Cost | Goal::Shortfall | Goal::Throughput => {}
    }
}

/// The parts add up, and so do their bounds.
fn flow_time(search: &mut Search, schedule: &mut Schedule) {
    let (mut total, mut all_proved) = (0i64, true);
    for part in jobs::parts(search.instance) {
        let bound = match Jobs::read(search.instance, &part) {
            Some(jobs) => part_of_flow_time(search, schedule, &jobs),
            None => (0, false),
        };
        total = total.saturating_add(bound.0);
        all_proved &= bound.1;
    }
    let name = if all_proved { "branch and bound" } else { "prices by parts" };
    search.raise_bound(Bound { value: total, name });
}

/// The bound of a part, and whether it is the optimum.
fn part_of_flow_time(search: &mut Search, schedule: &mut Schedule, jobs: &Jobs) -> (i64, bool) {
    let cost = |schedule: &Schedule| -> i64 {
        let end = |copy: usize| schedule.placed[copy].as_ref().map_or(0, |placed| placed.end);
        jobs.jobs.iter().map(|job| job.weight * end(job.copy)).sum()
    };
    let least: i64 = jobs.jobs.iter().map(|job| job.weight * (job.head + job.least)).sum();
    let objective = cost(schedule);
    if least == objective {
        return (objective, true);
    }
    let horizon = 1.05 * last_end(schedule, jobs) as f64;
    let aim = Aim { horizon: horizon.max(1.0), is_flow: true, latest: &vec![f64::INFINITY; jobs.jobs.len()], target: objective as f64, rounds: 400 };
    let Some(tariff) = Tariff::learn(jobs, aim, || search.meter().expired()) else {
        return (least, false);
    };
    let is_proved = Tree::new(jobs, &tariff, search, schedule, objective - 1, u64::MAX).search();
    if is_proved {
        return (cost(schedule), true);
    }
    (least.max((tariff.bound - tariff.margin).ceil() as i64), false)
}

fn last_end(schedule: &Schedule, jobs: &Jobs) -> Millis {
    let placed = jobs.jobs.iter().filter_map(|job| schedule.placed[job.copy].as_ref());
    placed.map(|placed| placed.end).max().unwrap_or(0)
}

fn makespan(search: &mut Search, schedule: &mut Schedule) {
    let copies: Vec<usize> = (0..search.instance.copies()).collect();
    let Some(jobs) = Jobs::read(search.instance, &copies) else {
        return;
    };
    let Some(objective) = search.incumbent().map(|incumbent| incumbent.objective(search.instance)) else {
        return;
    };
    let end = last_end(schedule, &jobs) as f64;
    let mut latest = vec![f64::INFINITY; jobs.jobs.len()];
    let mut horizon = 0.0;
    for (latest, job) in latest.iter_mut().zip(&jobs.jobs) {
        let weight = jobs.batches[job.batch];
        *latest = if weight > 0 { ((objective - 1) / weight) as f64 } else { end };
        horizon = latest.max(horizon);
    }
    let aim = Aim { horizon: f64::max(horizon, 1.0), is_flow: false, latest: &latest, target: 0.0, rounds: 400 };
    let Some(tariff) = Tariff::learn(&jobs, aim, || search.meter().expired()) else {
        return;
    };
    let is_proved = Tree::new(&jobs, &tariff, search, schedule, objective - 1, u64::MAX).search();
    if is_proved && let Some(incumbent) = search.incumbent() {
        let value = incumbent.objective(search.instance);
        search.raise_bound(Bound { value, name: "branch and bound" });
    }
}
