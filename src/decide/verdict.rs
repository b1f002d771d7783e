//! How a batch stands as a whole, and when time alone changes that.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::attempt::{after, keeps_its_name_until};
use super::deadline as due;
use super::track::{Copy, State, Tracked};
use super::world::ObjectId;
use crate::api::{ConditionType, FailurePolicy, Reason, TaskBatch};

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

pub fn condition(object: &TaskBatch, kind: ConditionType) -> Option<&Condition> {
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
    let over = tracked.copies.iter().all(Copy::is_ended);
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
pub fn start_time(tracked: &Tracked) -> Option<Timestamp> {
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
    Some(after(
        start_time(tracked)?,
        Duration::from_secs(seconds.unsigned_abs()),
    ))
}

pub fn completion_time(tracked: &Tracked) -> Option<Timestamp> {
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
    Some(after(end, Duration::from_secs(seconds.unsigned_abs())))
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
    let leftover = tracked.copies.iter().flat_map(|copy| &copy.leftover);
    let leftover = leftover.map(|pod| keeps_its_name_until(pod));
    let active = deadline(tracked).filter(|_| !is_finished(&tracked.object));
    waits
        .chain(leftover)
        .chain(active)
        .chain(expiry(tracked))
        .chain(due::next_moment(tracked, now))
        .filter(|time| *time > now)
        .min()
}
