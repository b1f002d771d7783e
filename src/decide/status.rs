//! The status of a batch, from its copies and the newest plan; and what of it is worth an event.

use std::time::Duration;

use jiff::Timestamp;

use super::conditions::{conditions, rejection};
use super::plan::Planned;
use super::task_status;
use super::track::{State, Tracked};
use super::verdict::{Verdict, start_time, verdict};
use crate::api::{Phase, PlanStatus, Progress, TaskBatchStatus, TaskPhase};
use crate::model::{Goal, Solution};

/// The figures of a plan, for people.
pub fn plan_status(
    solution: &Solution,
    goal: Goal,
    revision: i64,
    elapsed: Duration,
) -> PlanStatus {
    PlanStatus {
        revision,
        algorithm: solution.found_by.to_string(),
        goal: goal.to_string(),
        objective: goal.unit().show(solution.objective),
        lower_bound: goal.unit().show(solution.bound),
        gap: solution.gap().map(|gap| format!("{:.1}%", gap * 100.0)),
        seed: i64::try_from(solution.seed).unwrap_or(i64::MAX),
        elapsed: format!("{:.1}s", elapsed.as_secs_f64()),
    }
}

/// The status of the batch, now.
pub fn build(tracked: &Tracked, planned: &Planned, now: Timestamp) -> TaskBatchStatus {
    let object = &tracked.object;
    let old = object.status.clone().unwrap_or_default();
    let verdict = verdict(tracked, now);
    let finished = matches!(verdict, Verdict::Complete | Verdict::Failed(..));
    let has_failed = matches!(verdict, Verdict::Failed(..));
    let tasks = task_status::build(tracked, planned, has_failed, now);
    let progress = progress(tracked, planned, finished);
    let waiting = tasks
        .iter()
        .filter(|task| task.phase == TaskPhase::Waiting)
        .find_map(|task| task.reason.clone());
    let mut status = TaskBatchStatus {
        observed_generation: object.metadata.generation,
        phase: Some(phase(&verdict, &progress)),
        reason: match &verdict {
            Verdict::Failed(reason, _) => Some(reason.to_string()),
            Verdict::Rejected => Some(rejection(tracked).0.to_string()),
            Verdict::Active => waiting,
            Verdict::Suspended | Verdict::Complete => None,
        },
        conditions: Vec::new(),
        start_time: start_time(tracked).map(|time| time.to_string()),
        completion_time: old
            .completion_time
            .clone()
            .or_else(|| finished.then(|| now.to_string())),
        progress: tracked.batch.is_ok().then_some(progress),
        plan: planned
            .plans
            .get(&tracked.id.uid)
            .cloned()
            .or_else(|| old.plan.clone()),
        tasks,
    };
    status.conditions = conditions(tracked, &verdict, &status, &old, now);
    status
}

fn phase(verdict: &Verdict, progress: &Progress) -> Phase {
    match verdict {
        Verdict::Rejected => Phase::Rejected,
        Verdict::Suspended => Phase::Suspended,
        Verdict::Complete => Phase::Complete,
        Verdict::Failed(..) => Phase::Failed,
        Verdict::Active if progress.running + progress.starting + progress.succeeded > 0 => {
            Phase::Running
        }
        Verdict::Active => Phase::Pending,
    }
}

fn progress(tracked: &Tracked, planned: &Planned, finished: bool) -> Progress {
    let mut progress = Progress::default();
    let mut end: Option<Timestamp> = planned.ends.get(&tracked.id.uid).copied();
    for copy in &tracked.copies {
        progress.total += 1;
        match &copy.state {
            State::Waiting { .. } => progress.waiting += 1,
            State::Starting | State::Ending { .. } => progress.starting += 1,
            State::Running => progress.running += 1,
            State::Succeeded => progress.succeeded += 1,
            State::Failed { .. } | State::Skipped { .. } => progress.failed += 1,
        }
        if !copy.is_ended() {
            end = end.max(copy.own().and_then(|own| own.predicted_end));
        }
    }
    progress.done = format!("{}/{}", progress.succeeded, progress.total);
    let idle = progress.waiting + progress.starting + progress.running == 0;
    progress.eta = end
        .filter(|_| !finished && !idle && !tracked.object.spec.suspend)
        .map(seconds);
    progress
}

/// RFC 3339, in whole seconds.
pub fn seconds(time: Timestamp) -> String {
    time.round(jiff::Unit::Second).unwrap_or(time).to_string()
}
