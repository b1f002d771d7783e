//! The conditions of a batch, and which turns of them are worth an event.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::deadline;
use super::track::Tracked;
use super::verdict::{Verdict, condition};
use super::world::Event;
use crate::api::{ConditionType, DELEGATE_MESSAGE, Fault, Reason, TaskBatchStatus, TaskPhase};

/// Longest message of a condition, in characters.
const LONGEST_MESSAGE: usize = 1024;

/// Why the manifest was not accepted.
pub fn rejection(tracked: &Tracked) -> (Reason, String) {
    let faults = match &tracked.batch {
        Ok(_) => return (Reason::Valid, String::new()),
        Err(faults) => faults,
    };
    let unsupported = |fault: &Fault| fault.message.ends_with(DELEGATE_MESSAGE);
    let reason = if faults.iter().all(unsupported) {
        Reason::UnsupportedTemplate
    } else {
        Reason::InvalidSpec
    };
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    (reason, shown.join("; "))
}

type Finding = (ConditionType, bool, Reason, String);

pub fn conditions(
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
    for task in &new.tasks {
        let before = old.tasks.iter().find(|before| before.name == task.name);
        let before = before.and_then(|before| before.deadline.as_ref());
        let words = task
            .deadline
            .as_ref()
            .and_then(|deadline| deadline.message.as_ref());
        if let (Some(reason), Some(words)) =
            (deadline::worse(before, task.deadline.as_ref()), words)
        {
            tell(true, reason, "Planning", &format!("{}: {words}", task.name));
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
        Reason::Unschedulable,
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
