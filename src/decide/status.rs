//! The status of a batch, from its copies and the newest plan; and what of it is worth an event.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::plan::Planned;
use super::task_status;
use super::track::{self, State, Tracked};
use super::world::{Event, ObjectId};
use crate::api::{
    ConditionType, FailurePolicy, Fault, Phase, PlanStatus, Progress, Reason, TaskBatch,
    TaskBatchStatus, TaskPhase,
};
use crate::model::{Goal, Solution};

/// Longest message of a condition, in characters.
const LONGEST_MESSAGE: usize = 1024;

/// How a batch stands as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Its manifest is wrong.
    Rejected,
    /// It goes on.
    Active,
    /// It is held.
    Suspended,
    /// All copies succeeded.
    Complete,
    /// It failed.
    Failed(Reason, String),
}

/// Whether the status says that the batch is complete or failed: that is final.
pub fn is_finished(object: &TaskBatch) -> bool {
    is_true(object, ConditionType::Complete) || is_true(object, ConditionType::Failed)
}

fn condition(object: &TaskBatch, kind: ConditionType) -> Option<&Condition> {
    let status = object.status.as_ref()?;
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_str())
}

fn is_true(object: &TaskBatch, kind: ConditionType) -> bool {
    condition(object, kind).is_some_and(|condition| condition.status == "True")
}

/// Judges the batch.
pub fn verdict(tracked: &Tracked, now: Timestamp) -> Verdict {
    let object = &tracked.object;
    if let Some(failed) =
        condition(object, ConditionType::Failed).filter(|found| found.status == "True")
    {
        let reason = Reason::ALL
            .into_iter()
            .find(|reason| reason.as_str() == failed.reason);
        return Verdict::Failed(
            reason.unwrap_or(Reason::BatchFailed),
            failed.message.clone(),
        );
    }
    if is_true(object, ConditionType::Complete) {
        return Verdict::Complete;
    }
    if tracked.batch.is_err() {
        return Verdict::Rejected;
    }
    if tracked
        .copies
        .iter()
        .all(|copy| copy.state == State::Succeeded)
    {
        return Verdict::Complete;
    }
    let failed = tracked.copies.iter().find_map(|copy| match &copy.state {
        State::Failed { reason, message } => Some((copy, *reason, message)),
        _ => None,
    });
    let over = tracked.copies.iter().all(super::track::Copy::is_ended);
    if let Some((copy, reason, message)) = failed
        && (over || object.spec.failure_policy == FailurePolicy::FailFast)
    {
        let name = &object.spec.tasks[copy.task].name;
        return Verdict::Failed(reason, format!("{name}, copy {}: {message}", copy.copy));
    }
    if deadline(tracked).is_some_and(|deadline| deadline <= now) {
        let seconds = object.spec.active_deadline_seconds.unwrap_or(0);
        return Verdict::Failed(
            Reason::DeadlineExceeded,
            format!("not done {seconds} s after its first pod"),
        );
    }
    if object.spec.suspend {
        Verdict::Suspended
    } else {
        Verdict::Active
    }
}

/// When the first pod of the batch was created; a suspended batch starts anew.
fn start_time(tracked: &Tracked) -> Option<Timestamp> {
    let known = tracked
        .object
        .status
        .as_ref()
        .and_then(|status| status.start_time.as_ref()?.parse().ok());
    if tracked.object.spec.suspend && !is_finished(&tracked.object) {
        return None;
    }
    let pods = tracked.copies.iter().flat_map(|copy| &copy.pods);
    known.or_else(|| pods.filter_map(|pod| pod.created).min())
}

fn deadline(tracked: &Tracked) -> Option<Timestamp> {
    let seconds = tracked.object.spec.active_deadline_seconds?;
    Some(track::after(
        start_time(tracked)?,
        Duration::from_secs(seconds.unsigned_abs()),
    ))
}

fn completion_time(tracked: &Tracked) -> Option<Timestamp> {
    tracked
        .object
        .status
        .as_ref()?
        .completion_time
        .as_ref()?
        .parse()
        .ok()
}

fn expiry(tracked: &Tracked) -> Option<Timestamp> {
    let seconds = tracked.object.spec.ttl_seconds_after_finished?;
    let end = completion_time(tracked).filter(|_| is_finished(&tracked.object))?;
    Some(track::after(
        end,
        Duration::from_secs(seconds.unsigned_abs()),
    ))
}

/// The batch, once it is to be deleted.
pub fn expired(tracked: &Tracked, now: Timestamp) -> Option<ObjectId> {
    expiry(tracked)
        .filter(|time| *time <= now)
        .map(|_| tracked.id.clone())
}

/// Why no pod of the batch may live on.
pub fn must_stop(tracked: &Tracked, now: Timestamp) -> Option<Reason> {
    match verdict(tracked, now) {
        Verdict::Suspended => Some(Reason::Suspended),
        Verdict::Failed(Reason::DeadlineExceeded, _) => Some(Reason::DeadlineExceeded),
        Verdict::Failed(..) => Some(Reason::BatchFailed),
        Verdict::Rejected | Verdict::Active | Verdict::Complete => None,
    }
}

/// The next moment at which time alone changes something for the batch.
pub fn next_moment(tracked: &Tracked, now: Timestamp) -> Option<Timestamp> {
    let waits = tracked.copies.iter().filter_map(|copy| match copy.state {
        State::Waiting { not_before, .. } => not_before,
        _ => None,
    });
    let active = deadline(tracked).filter(|_| !is_finished(&tracked.object));
    waits
        .chain(active)
        .chain(expiry(tracked))
        .filter(|time| *time > now)
        .min()
}

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
    let tasks = task_status::build(tracked, planned, matches!(verdict, Verdict::Failed(..)));
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

/// Why the manifest was not accepted.
fn rejection(tracked: &Tracked) -> (Reason, String) {
    let faults = match &tracked.batch {
        Ok(_) => return (Reason::Valid, String::new()),
        Err(faults) => faults,
    };
    let unsupported = |fault: &Fault| fault.message.starts_with("is not supported yet");
    let reason = if faults.iter().all(unsupported) {
        Reason::UnsupportedTemplate
    } else {
        Reason::InvalidSpec
    };
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    (reason, shown.join("; "))
}

type Finding = (ConditionType, bool, Reason, String);

fn conditions(
    tracked: &Tracked,
    verdict: &Verdict,
    status: &TaskBatchStatus,
    old: &TaskBatchStatus,
    now: Timestamp,
) -> Vec<Condition> {
    let mut found: Vec<Finding> = Vec::new();
    if let Verdict::Rejected = verdict {
        let (reason, message) = rejection(tracked);
        found.push((ConditionType::Accepted, false, reason, message));
    } else {
        let copies = tracked.copies.len();
        let tasks = tracked.object.spec.tasks.len();
        let words = format!("{tasks} tasks, {copies} copies");
        found.push((ConditionType::Accepted, true, Reason::Valid, words));
        found.push(planned_condition(status));
        found.push(scheduled_condition(status));
        found.push(running_condition(status));
    }
    match verdict {
        Verdict::Complete => found.push((
            ConditionType::Complete,
            true,
            Reason::AllSucceeded,
            "all copies succeeded".into(),
        )),
        Verdict::Failed(reason, message) => {
            found.push((ConditionType::Failed, true, *reason, message.clone()))
        }
        Verdict::Suspended => found.push((
            ConditionType::Suspended,
            true,
            Reason::Suspended,
            "spec.suspend is true".into(),
        )),
        Verdict::Active if condition(&tracked.object, ConditionType::Suspended).is_some() => {
            found.push((
                ConditionType::Suspended,
                false,
                Reason::Resumed,
                "spec.suspend is false".into(),
            ));
        }
        Verdict::Active | Verdict::Rejected => {}
    }
    let generation = tracked.object.metadata.generation;
    found
        .into_iter()
        .map(|finding| stamp(finding, old, generation, now))
        .collect()
}

/// A condition keeps its time of transition for as long as its status stays.
fn stamp(
    finding: Finding,
    old: &TaskBatchStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let (kind, holds, reason, message) = finding;
    let status = if holds { "True" } else { "False" };
    let before = old
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_str());
    let unchanged = before.filter(|before| before.status == status);
    let whole = now.round(jiff::Unit::Second).unwrap_or(now);
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        observed_generation: generation,
        last_transition_time: unchanged
            .map_or(Time(whole), |before| before.last_transition_time.clone()),
        reason: reason.to_string(),
        message: message.chars().take(LONGEST_MESSAGE).collect(),
    }
}

fn planned_condition(status: &TaskBatchStatus) -> Finding {
    let Some(plan) = &status.plan else {
        return (
            ConditionType::Planned,
            false,
            Reason::PlanPending,
            "no plan yet".into(),
        );
    };
    let lost = [
        Reason::ExceedsCapacity,
        Reason::NoMatchingNode,
        Reason::DependencyUnplaced,
    ];
    let unplaced = status.tasks.iter().find_map(|task| {
        let reason = lost
            .into_iter()
            .find(|reason| task.reason.as_deref() == Some(reason.as_str()))?;
        (task.phase == TaskPhase::Waiting).then(|| {
            (
                reason,
                format!(
                    "{}: {}",
                    task.name,
                    task.message.clone().unwrap_or_default()
                ),
            )
        })
    });
    let gap = plan.gap.as_deref().unwrap_or("unknown");
    let words = format!(
        "{} {}, bound {}, gap {gap}, by {}",
        plan.goal, plan.objective, plan.lower_bound, plan.algorithm
    );
    match unplaced {
        Some((reason, message)) => (ConditionType::Planned, false, reason, message),
        None => (ConditionType::Planned, true, Reason::PlanFound, words),
    }
}

fn scheduled_condition(status: &TaskBatchStatus) -> Finding {
    let waiting = status
        .progress
        .as_ref()
        .map_or(0, |progress| progress.waiting);
    let first = status
        .tasks
        .iter()
        .find(|task| task.phase == TaskPhase::Waiting);
    match first {
        Some(task) if waiting > 0 => {
            let reason = Reason::ALL
                .into_iter()
                .find(|reason| task.reason.as_deref() == Some(reason.as_str()));
            let message = format!(
                "{waiting} copies wait; {}: {}",
                task.name,
                task.message.clone().unwrap_or_default()
            );
            (
                ConditionType::Scheduled,
                false,
                reason.unwrap_or(Reason::PlanPending),
                message,
            )
        }
        _ => (
            ConditionType::Scheduled,
            true,
            Reason::AllScheduled,
            "no copy waits".into(),
        ),
    }
}

fn running_condition(status: &TaskBatchStatus) -> Finding {
    match status
        .progress
        .as_ref()
        .map_or(0, |progress| progress.running)
    {
        0 => (
            ConditionType::Running,
            false,
            Reason::NothingRunning,
            "no copy runs".into(),
        ),
        running => (
            ConditionType::Running,
            true,
            Reason::PodsRunning,
            format!("{running} copies run"),
        ),
    }
}

/// What of the new status is worth an event: conditions that turned, new plans, new reasons to wait.
pub fn events(tracked: &Tracked, new: &TaskBatchStatus) -> Vec<Event> {
    let old = tracked.object.status.clone().unwrap_or_default();
    let mut events = Vec::new();
    let mut tell = |warning: bool, reason: Reason, action: &'static str, note: &str| {
        events.push(Event {
            batch: tracked.id.clone(),
            warning,
            reason,
            action,
            note: note.chars().take(LONGEST_MESSAGE).collect(),
        });
    };
    for condition in &new.conditions {
        let before = old
            .conditions
            .iter()
            .find(|before| before.type_ == condition.type_);
        let turned = before.is_none_or(|before| {
            before.status != condition.status || before.reason != condition.reason
        });
        let reason = Reason::ALL
            .into_iter()
            .find(|reason| reason.as_str() == condition.reason);
        let (Some(reason), true) = (reason, turned) else {
            continue;
        };
        let holds = condition.status == "True";
        match condition.type_.as_str() {
            "Accepted" if !holds => tell(true, reason, "Accepting", &condition.message),
            "Planned" => tell(
                !holds && reason != Reason::PlanPending,
                reason,
                "Planning",
                &condition.message,
            ),
            "Scheduled" if !holds => tell(false, reason, "Scheduling", &condition.message),
            "Complete" | "Suspended" => tell(false, reason, "Running", &condition.message),
            "Failed" => tell(true, reason, "Running", &condition.message),
            _ => {}
        }
    }
    let known: BTreeSet<(&str, Option<&str>)> = old
        .tasks
        .iter()
        .map(|task| (task.name.as_str(), task.reason.as_deref()))
        .collect();
    let retried = [
        Reason::NodeRejected,
        Reason::RetryBackoff,
        Reason::PodRejected,
    ];
    for task in &new.tasks {
        let reason = retried
            .into_iter()
            .find(|reason| task.reason.as_deref() == Some(reason.as_str()));
        if let Some(reason) =
            reason.filter(|_| !known.contains(&(task.name.as_str(), task.reason.as_deref())))
        {
            let note = format!(
                "{}, copy {}: {}",
                task.name,
                task.copy,
                task.message.clone().unwrap_or_default()
            );
            tell(true, reason, "Retrying", &note);
        }
    }
    events
}
