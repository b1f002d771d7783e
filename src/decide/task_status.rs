//! The status of each task: counters for all its copies, details of the one that a reader wants to see first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::attempt::OOM_KILLED;
use super::deadline;
use super::delegate;
use super::plan::Planned;
use super::ranges;
use super::status::seconds;
use super::track::{Copy, State, Tracked};
use crate::api::{Actual, AssignmentStatus, Binding, Predicted, Reason, TaskPhase, TaskStatus};
use crate::cluster::pod::{OwnPod, PredictedMillis};
use crate::cluster::{duration, quantity};
use crate::model::{Millis, Resources};

/// How many nodes of a gang are listed.
const MOST_NODES: usize = 16;
/// Longest message or result of a task, in characters: a batch may have 1,000 tasks.
const LONGEST_TEXT: usize = 400;

/// The status of each task, in the order of the spec.
pub fn build(
    tracked: &Tracked,
    planned: &Planned,
    failed: bool,
    now: Timestamp,
) -> Vec<TaskStatus> {
    let mut deadlines = deadline::standings(tracked, planned, now);
    let mut found: Vec<Option<TaskStatus>> = vec![None; tracked.object.spec.tasks.len()];
    let mut sets: Vec<(BTreeSet<u32>, BTreeSet<u32>)> = vec![Default::default(); found.len()];
    let mut best: Vec<Option<(u8, &Copy)>> = vec![None; found.len()];
    for copy in &tracked.copies {
        match copy.state {
            State::Succeeded => _ = sets[copy.task].0.insert(copy.copy),
            State::Failed { .. } => _ = sets[copy.task].1.insert(copy.copy),
            _ => {}
        }
        let rank = rank(copy);
        if best[copy.task].is_none_or(|(other, _)| rank < other) {
            best[copy.task] = Some((rank, copy));
        }
    }
    for (task, (_, copy)) in best
        .into_iter()
        .enumerate()
        .filter_map(|(task, best)| Some((task, best?)))
    {
        let mut status = details(tracked, copy, planned, failed);
        status.succeeded = ranges::write(&sets[task].0);
        status.failed = ranges::write(&sets[task].1);
        status.deadline = deadlines.remove(&task);
        tell_deadline(&mut status);
        found[task] = Some(status);
    }
    found.into_iter().flatten().collect()
}

/// What becomes of the deadline is told beside what the copy that is shown waits for.
fn tell_deadline(status: &mut TaskStatus) {
    let is_open = matches!(
        status.phase,
        TaskPhase::Waiting | TaskPhase::Starting | TaskPhase::Running
    );
    let words = status
        .deadline
        .as_ref()
        .and_then(|deadline| deadline.message.as_ref());
    if let Some(words) = words.filter(|_| is_open) {
        let text = match &status.message {
            Some(message) => format!("{message}; {words}"),
            None => words.clone(),
        };
        status.message = Some(cut(&text));
    }
}

fn rank(copy: &Copy) -> u8 {
    match copy.state {
        State::Failed { .. } => 0,
        State::Skipped { .. } => 1,
        State::Waiting { .. } => 2,
        State::Ending { .. } | State::Starting => 3,
        State::Running => 4,
        State::Succeeded if killed_within(copy).is_some() => 5,
        State::Succeeded => 6,
    }
}

fn details(tracked: &Tracked, copy: &Copy, planned: &Planned, failed: bool) -> TaskStatus {
    let known = tracked.object.status.as_ref();
    let name = &tracked.object.spec.tasks[copy.task].name;
    let before = known.and_then(|status| {
        status
            .tasks
            .iter()
            .find(|task| task.name == *name && task.copy == i64::from(copy.copy))
    });
    let mut status = TaskStatus {
        name: name.clone(),
        phase: phase(copy),
        copy: copy.copy.into(),
        attempt: copy.attempt.into(),
        ..TaskStatus::default()
    };
    match (copy.own(), before) {
        (Some(own), _) => pod_details(tracked, copy, own, &mut status),
        (None, Some(before)) if copy.is_ended() => status.clone_from(before),
        _ => {}
    }
    let words = match &copy.state {
        State::Waiting { .. } if failed => {
            Some((Reason::BatchFailed, "the batch has failed".to_owned()))
        }
        State::Waiting { .. } if tracked.object.spec.suspend => {
            Some((Reason::Suspended, "spec.suspend is true".to_owned()))
        }
        State::Waiting { cause, .. } => {
            waiting(tracked, copy, planned, cause.as_ref(), &mut status)
        }
        State::Starting => Some((Reason::Starting, starting(copy))),
        State::Ending { .. } => Some((
            Reason::Starting,
            "pods of the last attempt must go first".to_owned(),
        )),
        State::Failed { reason, message } => Some((*reason, message.clone())),
        State::Skipped { because_of } => {
            Some((Reason::DependencyFailed, format!("{because_of} has failed")))
        }
        State::Succeeded => killed_within(copy),
        State::Running => None,
    };
    // What kube-scheduler said of another place stays to be read for as long as the attempt lives.
    let setback = copy.own().and_then(|own| own.setback.as_ref());
    let setback = setback.filter(|_| copy.state == State::Running);
    if failed && matches!(copy.state, State::Waiting { .. }) {
        status.phase = TaskPhase::Skipped;
    }
    if let Some((reason, message)) = words {
        status.reason = Some(reason.to_string());
        status.message = Some(cut(&message));
    } else if let Some(said) = setback {
        status.message = Some(cut(&format!("tried before, {said}")));
    }
    status
}

fn cut(message: &str) -> String {
    message.chars().take(LONGEST_TEXT).collect()
}

/// A container may end well although a process in it was killed; its result may then lack what that process was to add.
fn killed_within(copy: &Copy) -> Option<(Reason, String)> {
    let mut exits = copy
        .pods
        .iter()
        .filter_map(|pod| pod.own.as_ref()?.exit.as_ref());
    exits.find(|exit| exit.reason == OOM_KILLED).map(|exit| {
        let message = format!(
            "a process in it was killed, out of memory; exit code {}",
            exit.code
        );
        (Reason::OutOfMemory, message)
    })
}

/// What a copy waits for whose pods exist.
fn starting(copy: &Copy) -> String {
    let unbound = copy.pods.iter().find(|pod| pod.node.is_none());
    let own = unbound
        .and_then(|pod| pod.own.as_ref())
        .filter(|own| own.delegated);
    let mut text = match own {
        Some(own) if own.unschedulable.is_some() => delegate::words(own),
        Some(own) => format!("{}: kube-scheduler is to bind it", own.node),
        None => "its containers do not run yet".to_owned(),
    };
    if let Some(said) = copy.own().and_then(|own| own.setback.as_ref()) {
        text += &format!("; tried before, {said}");
    }
    text
}

/// Why the copy waits; and, where the plan has one, its planned start.
fn waiting(
    tracked: &Tracked,
    copy: &Copy,
    planned: &Planned,
    cause: Option<&(Reason, String)>,
    status: &mut TaskStatus,
) -> Option<(Reason, String)> {
    let id = tracked.copy_id(copy);
    if planned.launches.contains_key(&id) {
        return Some((Reason::Starting, "its pods are being created".to_owned()));
    }
    let Some(wait) = planned.waits.get(&id) else {
        let pending = || (Reason::PlanPending, "its plan is being made".to_owned());
        return Some(cause.cloned().unwrap_or_else(pending));
    };
    if let Some((start, predicted)) = wait.planned {
        status.predicted = Some(expectation(predicted, Some(seconds(start))));
    }
    Some((wait.reason, wait.message.clone()))
}

fn pod_details(tracked: &Tracked, copy: &Copy, own: &OwnPod, status: &mut TaskStatus) {
    if !matches!(copy.state, State::Waiting { .. }) {
        status.assignment = Some(assignment(tracked, copy, own));
        let start = own
            .predicted_end
            .zip(own.predicted)
            .and_then(|(end, predicted)| {
                end.checked_sub(jiff::SignedDuration::from_millis(predicted.total))
                    .ok()
            });
        status.predicted = own
            .predicted
            .map(|predicted| expectation(predicted, start.map(seconds)));
    }
    let exits = copy
        .pods
        .iter()
        .filter_map(|pod| pod.own.as_ref()?.exit.as_ref());
    let chosen = exits
        .clone()
        .find(|exit| exit.code != 0)
        .or_else(|| exits.clone().next());
    status.exit_code = chosen.map(|exit| exit.code);
    status.result = chosen
        .and_then(|exit| exit.message.as_ref())
        .map(|text| text.trim_end().chars().take(1024).collect());
    let start = copy
        .pods
        .iter()
        .filter_map(|pod| pod.own.as_ref()?.started)
        .min();
    let end = exits.filter_map(|exit| exit.finished).max();
    let total = match copy.is_ended() {
        true => start
            .zip(end)
            .map(|(start, end)| duration::format(millis_between(start, end))),
        false => None,
    };
    status.actual = start.map(|start| Actual {
        start: Some(seconds(start)),
        total,
    });
}

fn millis_between(start: jiff::Timestamp, end: jiff::Timestamp) -> Millis {
    (end.as_millisecond() - start.as_millisecond()).max(0)
}

/// How long the attempt of an ended copy was expected to run, and how long it did, in ms.
pub fn lengths(copy: &Copy) -> Option<(Millis, Millis)> {
    let predicted = copy.own()?.predicted?.total;
    let owns = copy.pods.iter().filter_map(|pod| pod.own.as_ref());
    let start = owns.clone().filter_map(|own| own.started).min()?;
    let end = owns.filter_map(|own| own.exit.as_ref()?.finished).max()?;
    Some((predicted, millis_between(start, end)))
}

fn assignment(tracked: &Tracked, copy: &Copy, own: &OwnPod) -> AssignmentStatus {
    let container = tracked
        .batch
        .as_ref()
        .ok()
        .map(|batch| batch.tasks[copy.task].container.as_str());
    let requests = own
        .containers
        .iter()
        .find(|(name, _)| Some(name.as_str()) == container);
    let pods = copy.pods.iter().filter_map(|pod| pod.own.as_ref());
    AssignmentStatus {
        nodes: pods.map(|own| own.node.clone()).take(MOST_NODES).collect(),
        requests: requests
            .map(|(_, requests)| written(requests))
            .unwrap_or_default(),
        workers: own.workers.into(),
        flavor: own.flavor.clone(),
        level: own.level.clone(),
        binding: own.delegated.then(|| Binding::Delegate.to_string()),
    }
}

fn written(requests: &Resources) -> BTreeMap<String, String> {
    requests
        .iter()
        .map(|(name, amount)| (name.to_owned(), quantity::format(name, amount)))
        .collect()
}

fn expectation(predicted: PredictedMillis, start: Option<String>) -> Predicted {
    Predicted {
        start,
        read: duration::format(predicted.read),
        compute: duration::format(predicted.compute),
        communicate: (predicted.communicate > 0).then(|| duration::format(predicted.communicate)),
        total: duration::format(predicted.total),
    }
}

/// The phase of a copy.
pub fn phase(copy: &Copy) -> TaskPhase {
    match copy.state {
        State::Waiting { .. } => TaskPhase::Waiting,
        State::Starting | State::Ending { .. } => TaskPhase::Starting,
        State::Running => TaskPhase::Running,
        State::Succeeded => TaskPhase::Succeeded,
        State::Failed { .. } => TaskPhase::Failed,
        State::Skipped { .. } => TaskPhase::Skipped,
    }
}
