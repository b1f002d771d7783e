//! Branch and bound (Land and Doig 1960), or learning from failures: proves the optimum of small problems.

mod clauses;
mod jobs;
mod loads;
mod memo;
mod nodes;
mod places;
mod pools;
mod scarce;
mod tariff;
mod tree;

use crate::model::{Algorithm, Goal, Millis};
use crate::solver::bounds::Bound;
use crate::solver::decoder::allowance::is_within;
use crate::solver::goals::Score;
use crate::solver::incumbent::Incumbent;
use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;
use crate::solver::search::Search;

use clauses::{Answer, Clauses};
use jobs::Jobs;
use loads::Loads;
use places::Place;
use tariff::{Aim, Tariff};
use tree::{Task, Tree};

/// Searches until everything was seen, or the budget ends.
pub(super) fn run(search: &mut Search) {
    let Some(mut schedule) = complete_plan(search) else {
        return;
    };
    match search.problem().goal {
        Goal::FlowTime => flow_time(search, &mut schedule),
        Goal::Makespan => makespan(search, &mut schedule),
        Goal::Cost | Goal::Shortfall | Goal::Throughput => {}
    }
}

/// The best plan, if every copy has a place in it.
fn complete_plan(search: &Search) -> Option<Schedule> {
    let complete = |incumbent: &&Incumbent| incumbent.score.unplaced == 0;
    let incumbent = search.incumbent().filter(complete)?;
    Some(incumbent.schedule.clone())
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
    let name = if all_proved {
        "branch and bound"
    } else {
        "prices by parts"
    };
    search.raise_bound(Bound { value: total, name });
}

/// The bound of a part, and whether it is the optimum.
fn part_of_flow_time(search: &mut Search, schedule: &mut Schedule, jobs: &Jobs) -> (i64, bool) {
    let cost = |schedule: &Schedule| -> i64 {
        let end = |copy: usize| {
            schedule.placed[copy]
                .as_ref()
                .map_or(0, |placed| placed.end)
        };
        jobs.jobs.iter().map(|job| job.weight * end(job.copy)).sum()
    };
    let least: i64 = jobs
        .jobs
        .iter()
        .map(|job| job.weight * (job.head + job.least))
        .sum();
    let objective = cost(schedule);
    if least == objective {
        return (objective, true);
    }
    let horizon = (1.05 * last_end(schedule, jobs) as f64).max(1.0);
    let aim = Aim {
        horizon,
        is_flow: true,
        latest: &vec![f64::INFINITY; jobs.jobs.len()],
        target: objective as f64,
        rounds: 400,
    };
    let Some(tariff) = Tariff::learn(jobs, aim, || search.meter().expired()) else {
        return (least, false);
    };
    let least = least.max((tariff.bound - tariff.margin).ceil() as i64);
    let bound = close_in(least, objective, |limit, most_nodes| {
        let task = Task {
            limit,
            is_enough: false,
            most_nodes,
            schedule: Some(schedule),
        };
        let answer = Tree::new(jobs, &tariff, search, task).search();
        (
            answer.best.map(|_| cost(schedule)),
            answer.is_proved,
            search.is_over(),
        )
    });
    (bound, bound == cost(schedule))
}

/// Trees of the first attempts have at most so many nodes.
const FIRST_NODES: u64 = 2_000;
/// A gap of one part of so many is closed by one tree.
const SMALL_GAP: i64 = 50;

/// Raises the bound on an objective until it meets the best plan, or the search is over: the bound.
///
/// Small trees first, and by turns with a limit near the bound, which is soon refuted or leads to a much better
/// plan, and with the limit that proves the best plan (destructive bounds: Klein and Scholl 1999). An attempt
/// takes a limit and a number of nodes, and returns the better objective that it found, whether nothing else is
/// within the limit, and whether the search is over.
fn close_in(
    bound: i64,
    objective: i64,
    mut attempt: impl FnMut(i64, u64) -> (Option<i64>, bool, bool),
) -> i64 {
    let (mut bound, mut objective, mut nodes) = (bound, objective, FIRST_NODES);
    loop {
        for part in [4, 1] {
            if bound >= objective {
                return objective;
            }
            let is_small = objective - bound <= objective / SMALL_GAP;
            let (part, nodes) = if is_small {
                (1, u64::MAX)
            } else {
                (part, nodes)
            };
            let limit = bound + (objective - 1 - bound) / part;
            let (found, is_proved, is_over) = attempt(limit, nodes);
            objective = found.unwrap_or(objective);
            if is_proved {
                bound = found.unwrap_or(limit + 1);
            }
            if is_over {
                return bound.min(objective);
            }
        }
        nodes = nodes.saturating_mul(4);
    }
}

fn last_end(schedule: &Schedule, jobs: &Jobs) -> Millis {
    let placed = jobs
        .jobs
        .iter()
        .filter_map(|job| schedule.placed[job.copy].as_ref());
    placed.map(|placed| placed.end).max().unwrap_or(0)
}

fn makespan(search: &mut Search, schedule: &mut Schedule) {
    if has_one_batch(search.instance) {
        single_batch(search, schedule);
        return;
    }
    let copies: Vec<usize> = (0..search.instance.copies()).collect();
    let Some(jobs) = Jobs::read(search.instance, &copies) else {
        return;
    };
    let objective = Score::of(search.instance, schedule).goal;
    let end = last_end(schedule, &jobs);
    let latest = jobs.deadlines(|batch| match jobs.batches[batch] {
        weight @ 1.. => (objective - 1) / weight,
        _ => end,
    });
    let latest: Vec<f64> = latest.into_iter().map(|end| end as f64).collect();
    let horizon = latest.iter().copied().fold(1.0, f64::max);
    let aim = Aim {
        horizon,
        is_flow: false,
        latest: &latest,
        target: 0.0,
        rounds: 400,
    };
    let Some(tariff) = Tariff::learn(&jobs, aim, || search.meter().expired()) else {
        return;
    };
    let task = Task {
        limit: objective - 1,
        is_enough: false,
        most_nodes: u64::MAX,
        schedule: Some(schedule),
    };
    if Tree::new(&jobs, &tariff, search, task).search().is_proved {
        raise_bound(search, schedule);
    }
}

/// Whether the goal is the end of one batch.
pub(super) fn has_one_batch(instance: &Instance) -> bool {
    let mut batches = instance.tasks.iter().map(|task| task.batch);
    let first = batches.next();
    batches.all(|batch| Some(batch) == first)
}

/// The part that ends last is made to end sooner, until one is the last that cannot.
fn single_batch(search: &mut Search, schedule: &mut Schedule) {
    let parts = jobs::parts(search.instance);
    let parts: Option<Vec<Jobs>> = parts
        .iter()
        .map(|part| Jobs::read(search.instance, part))
        .collect();
    let Some(parts) = parts else { return };
    let mut is_proved = vec![false; parts.len()];
    loop {
        let end = |part: &usize| (last_end(schedule, &parts[*part]), is_proved[*part]);
        let Some(last) = (0..parts.len()).max_by_key(end) else {
            return;
        };
        if is_proved[last] {
            raise_bound(search, schedule);
            return;
        }
        is_proved[last] = part_of_makespan(search, schedule, &parts[last]);
        if !is_proved[last] {
            return;
        }
    }
}

/// Makes the part that ends last end earlier, by changes of a few copies at a time; for one batch.
pub(super) fn repair(search: &mut Search) {
    let Some(schedule) = complete_plan(search) else {
        return;
    };
    let parts = jobs::parts(search.instance).into_iter();
    let parts: Vec<Jobs> = parts
        .filter_map(|part| Jobs::read(search.instance, &part))
        .collect();
    let last = parts.iter().max_by_key(|jobs| last_end(&schedule, jobs));
    let Some(jobs) = last else { return };
    let latest = last_end(&schedule, jobs);
    let Some(tariff) = deadline_prices(search, jobs, latest, 100) else {
        return;
    };
    clauses::repair(search, jobs, &tariff, schedule);
}

/// Makes a part end as early as possible; whether it could be proved.
fn part_of_makespan(search: &mut Search, schedule: &mut Schedule, jobs: &Jobs) -> bool {
    let latest = last_end(schedule, jobs) - 1;
    if loads::applies(jobs) {
        let Some(tariff) = deadline_prices(search, jobs, latest, 400) else {
            return false;
        };
        return Loads::new(jobs, &tariff, search, latest).search(schedule);
    }
    let weight = jobs.batches[jobs.jobs[0].batch];
    let known = search
        .incumbent()
        .map_or(0, |incumbent| incumbent.bound.value);
    // No plan of all parts ends before this, so that it does not matter whether this part could.
    let least = known.div_euclid(weight.max(1)).min(latest);
    let Some(tariff) = deadline_prices(search, jobs, latest, 200) else {
        return false;
    };
    let mut clauses = Clauses::new(jobs, &tariff, latest);
    let bound = close_in(least, latest + 1, |latest, most| match &mut clauses {
        Some(clauses) => end_by_clauses(search, schedule, jobs, clauses, (latest, most)),
        None => end_by_tree(search, schedule, jobs, (latest, most)),
    });
    search.raise_bound(Bound {
        value: weight.saturating_mul(bound),
        name: "branch and bound",
    });
    bound >= last_end(schedule, jobs)
}

/// An attempt to let a part end by a time, in so many nodes of a tree; see [`close_in`].
fn end_by_tree(
    search: &mut Search,
    schedule: &mut Schedule,
    jobs: &Jobs,
    (latest, most_nodes): (Millis, u64),
) -> (Option<i64>, bool, bool) {
    let Some(tariff) = deadline_prices(search, jobs, latest, 200) else {
        return (None, false, true);
    };
    let weight = jobs.batches[jobs.jobs[0].batch];
    let task = Task {
        limit: weight.saturating_mul(latest),
        is_enough: false,
        most_nodes,
        schedule: Some(schedule),
    };
    let answer = Tree::new(jobs, &tariff, search, task).search();
    let end = answer.best.map(|_| last_end(schedule, jobs));
    (end, answer.is_proved, search.is_over())
}

/// The same in so many steps of clause learning.
fn end_by_clauses(
    search: &mut Search,
    schedule: &mut Schedule,
    jobs: &Jobs,
    clauses: &mut Clauses,
    (latest, most_steps): (Millis, u64),
) -> (Option<i64>, bool, bool) {
    match clauses.end_by(search, latest, most_steps) {
        Answer::Refuted => (None, true, search.is_over()),
        Answer::Unknown => (None, false, search.is_over()),
        Answer::Failed => (None, false, true),
        Answer::Fits(places) => {
            if !take(search, schedule, jobs, &places) {
                return (None, false, true);
            }
            (Some(last_end(schedule, jobs)), false, search.is_over())
        }
    }
}

/// Takes the places of a part over and offers the plan; not where other parts have used up what it spends.
fn take(search: &mut Search, schedule: &mut Schedule, jobs: &Jobs, places: &[Place]) -> bool {
    let mut found = schedule.clone();
    tree::write(search.instance, &mut found, jobs, places, 0);
    let is_within = is_within(search.instance, &found);
    if is_within {
        *schedule = found;
        offer(search, schedule);
    }
    is_within
}

/// Prices that make an end by `latest` as hard as possible; `None` where the budget ends.
fn deadline_prices(search: &Search, jobs: &Jobs, latest: Millis, rounds: usize) -> Option<Tariff> {
    let horizon = (latest as f64).max(1.0);
    let all = jobs.deadlines(|_| latest).into_iter();
    let all: Vec<f64> = all.map(|end| end as f64).collect();
    let aim = Aim {
        horizon,
        is_flow: false,
        latest: &all,
        target: 0.0,
        rounds,
    };
    Tariff::learn(jobs, aim, || search.meter().expired())
}

/// The plan is the best.
fn raise_bound(search: &mut Search, schedule: &Schedule) {
    let value = Score::of(search.instance, schedule).goal;
    search.raise_bound(Bound {
        value,
        name: "branch and bound",
    });
}

fn offer(search: &mut Search, schedule: &Schedule) {
    let score = Score::of(search.instance, schedule);
    search.offer(score, schedule.clone(), Algorithm::Exact);
}
