//! Branch and bound (Land and Doig 1960): proves the optimum of small problems.

mod jobs;
mod memo;
mod nodes;
mod places;
mod tariff;
mod tree;

use crate::model::Goal;

use super::bounds::Bound;
use super::search::Search;
use jobs::Jobs;
use tariff::{Aim, Tariff};
use tree::Tree;

/// Searches until everything was seen, or the budget ends.
pub(super) fn run(search: &mut Search) {
    let goal = search.problem().goal;
    let known = search.incumbent().filter(|incumbent| incumbent.score.unplaced == 0);
    let Some(objective) = known.map(|incumbent| incumbent.objective(search.instance)) else {
        return;
    };
    if !matches!(goal, Goal::Makespan | Goal::FlowTime) || objective < 1 {
        return;
    }
    let Some(jobs) = Jobs::read(search.instance) else {
        return;
    };
    let Some(tariff) = learn(search, &jobs, objective) else {
        return;
    };
    let is_proved = Tree::new(&jobs, &tariff, search, objective - 1, u64::MAX).search();
    if is_proved && let Some(incumbent) = search.incumbent() {
        let value = incumbent.objective(search.instance);
        search.raise_bound(Bound { value, name: "branch and bound" });
    }
}

fn learn(search: &Search, jobs: &Jobs, objective: i64) -> Option<Tariff> {
    let schedule = &search.incumbent()?.schedule;
    let end = schedule.placed.iter().flatten().map(|placed| placed.end).max()? as f64;
    let mut latest = vec![f64::INFINITY; jobs.jobs.len()];
    let mut horizon = 1.05 * end;
    if !jobs.is_flow {
        horizon = 0.0;
        for (latest, job) in latest.iter_mut().zip(&jobs.jobs) {
            let weight = jobs.batches[job.batch];
            *latest = if weight > 0 { ((objective - 1) / weight) as f64 } else { end };
            horizon = latest.max(horizon);
        }
    }
    let aim = Aim {
        horizon: horizon.max(1.0),
        is_flow: jobs.is_flow,
        latest: &latest,
        target: objective as f64,
        rounds: 400,
    };
    Tariff::learn(jobs, aim, || search.meter().expired())
}
