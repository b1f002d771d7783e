//! How an attempt ended, and when the next one may start.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::track::{Copy, State};
use crate::api::{Reason, TaskSpec};
use crate::cluster::duration;
use crate::cluster::pod::{Exit, Pod, PodPhase};
use crate::model::{Millis, ceil_i64, decimal, exact};

/// What the kubelet says of a container in which a process was killed because memory ran out.
pub const OOM_KILLED: &str = "OOMKilled";

/// A create whose answer was lost may be carried out so late, and finds its pod there as long as the name is taken: a
/// rejected pod that was deleted at once would live again. The API server is told to give up after 8 s.
pub const LATE: Duration = Duration::from_secs(10);

/// Before this a pod must not be deleted that holds nothing but its name.
pub fn keeps_its_name_until(pod: &Pod) -> Timestamp {
    pod.created
        .map_or(Timestamp::MIN, |created| after(created, LATE))
}

/// Judges the newest attempt from its pods. Those of a gang that were made for another number of workers, and came
/// late, make no whole with the rest.
pub fn judge(copy: &mut Copy, spec: &TaskSpec, now: Timestamp) {
    let workers = copy.own().map_or(1, |own| own.workers);
    let phase_count = |phase: PodPhase| copy.pods.iter().filter(|pod| pod.phase == phase).count();
    let agrees = |pod: &Arc<Pod>| pod.own.as_ref().is_some_and(|own| own.workers == workers);
    let complete = copy.pods.len() >= workers as usize && copy.pods.iter().all(agrees);
    if complete && phase_count(PodPhase::Succeeded) == copy.pods.len() {
        copy.state = State::Succeeded;
        return;
    }
    let broken = phase_count(PodPhase::Failed) > 0 || !complete;
    let leaving = copy.live().any(|pod| pod.terminating);
    if copy.live().next().is_some() && (broken || leaving) {
        copy.state = State::Ending {
            cause: Reason::Starting,
        };
    } else if broken {
        attempt_over(copy, spec, now);
        let gang = spec.gang.as_ref().map(|gang| &gang.workers);
        let most = gang.map_or(1, |gang| gang.max.unwrap_or(gang.min));
        if (copy.pods.len() as i64) < most.max(i64::from(workers)) {
            outlast_late_creates(copy);
        }
    } else if phase_count(PodPhase::Pending) == 0 {
        copy.state = State::Running;
    } else {
        copy.state = State::Starting;
    }
}

/// Workers that are gone have left their names free, and so have those that another plan of the same attempt may have
/// had more of: a create of theirs that comes late must not meet the next attempt. None was asked for once a pod of the
/// attempt could be seen that is still there.
fn outlast_late_creates(copy: &mut Copy) {
    let free = copy.pods.iter().map(|pod| keeps_its_name_until(pod)).max();
    if let State::Waiting { not_before, .. } = &mut copy.state {
        *not_before = free.max(*not_before);
    }
}

/// No pod of the attempt lives and it did not succeed: another attempt follows, or the copy has failed for good.
fn attempt_over(copy: &mut Copy, spec: &TaskSpec, now: Timestamp) {
    let failed = copy
        .pods
        .iter()
        .find(|pod| pod.phase == PodPhase::Failed && rejection(pod).is_none());
    let Some(pod) = failed else {
        let cause = copy
            .pods
            .iter()
            .find_map(|pod| rejection(pod))
            .unwrap_or_else(|| "a pod of the attempt is gone".into());
        copy.rejections += 1;
        copy.attempt += 1;
        copy.state = State::Waiting {
            not_before: copy
                .pods
                .iter()
                .filter_map(|pod| ended_at(pod))
                .max()
                .map(|end| after(end, rejection_delay(copy.rejections))),
            cause: Some((Reason::NodeRejected, cause)),
        };
        return;
    };
    let (reason, message) = failure(pod);
    let end = ended_at(pod).unwrap_or(now);
    copy.failures += 1;
    copy.rejections = 0;
    if i64::from(copy.failures) > spec.retry.limit {
        copy.state = State::Failed { reason, message };
        return;
    }
    copy.attempt += 1;
    copy.state = State::Waiting {
        not_before: Some(after(end, backoff(spec, copy.failures))),
        cause: Some((
            Reason::RetryBackoff,
            format!(
                "attempt {} of {}: {message}",
                copy.failures,
                spec.retry.limit + 1
            ),
        )),
    };
}

/// Why a failed pod never ran to its end by a fault of its own; `None` if it did.
///
/// The kubelet rejects with a reason and without container statuses; a lost node or an eviction
/// leaves a disruption condition, or the exit code 255 with the reason Unknown.
pub fn rejection(pod: &Pod) -> Option<String> {
    let own = pod.own.as_ref().filter(|_| pod.phase == PodPhase::Failed)?;
    let node = pod.node.as_deref().unwrap_or("its node");
    let words = || {
        let reason = own.reason.as_deref().unwrap_or("no reason given");
        let message = own.message.as_deref().unwrap_or_default();
        format!("{node}: {reason} {message}").trim_end().to_owned()
    };
    let reason = own.reason.as_deref().unwrap_or_default();
    let at_admission = own.exit.is_none() && own.started.is_none() && reason != "DeadlineExceeded";
    let lost = own
        .exit
        .as_ref()
        .is_some_and(|exit| exit.code == 255 && exit.reason == "Unknown");
    let evicted = matches!(
        reason,
        "Evicted" | "NodeShutdown" | "Terminated" | "NodeLost" | "Preempting"
    );
    (own.disrupted || at_admission || lost || evicted).then(words)
}

/// Why a pod failed by a fault of its own.
fn failure(pod: &Pod) -> (Reason, String) {
    let own = pod.own.as_deref().cloned().unwrap_or_default();
    match own.exit {
        Some(Exit { code, reason, .. }) if reason == OOM_KILLED => (
            Reason::OutOfMemory,
            format!("out of memory, exit code {code}"),
        ),
        Some(Exit { code, reason, .. }) => {
            (Reason::TaskFailed, format!("exit code {code} ({reason})"))
        }
        None => {
            let reason = own.reason.unwrap_or_else(|| "failed".into());
            (
                Reason::TaskFailed,
                format!("{reason} {}", own.message.unwrap_or_default())
                    .trim_end()
                    .to_owned(),
            )
        }
    }
}

/// When a pod ended, as far as anybody knows.
pub fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let own = pod.own.as_ref()?;
    let finished = own.exit.as_ref().and_then(|exit| exit.finished);
    finished.or(own.accepted).or(pod.created)
}

/// Wait after that many rejections in a row: 2 s, 4 s, ... at most 64 s.
pub fn rejection_delay(rejections: u32) -> Duration {
    Duration::from_secs(1 << rejections.clamp(1, 6))
}

/// `initial x factor^(failures - 1)`, at most `max`.
pub fn backoff(spec: &TaskSpec, failures: u32) -> Duration {
    let backoff = &spec.retry.backoff;
    let millis = |text: &str| {
        duration::parse(text)
            .and_then(|exact| ceil_i64(&exact))
            .unwrap_or(0)
    };
    let most = millis(&backoff.max);
    let factor = decimal(&backoff.factor).unwrap_or_else(|| exact(1));
    let mut wait = exact(millis(&backoff.initial));
    for _ in 1..failures {
        wait *= &factor;
        if wait >= exact(most) {
            break;
        }
    }
    let wait: Millis = ceil_i64(&wait).unwrap_or(most).clamp(0, most);
    Duration::from_millis(wait.unsigned_abs())
}

/// That much later; the end of time when it is later than that.
pub fn after(time: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| time.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}
