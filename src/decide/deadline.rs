//! Deadlines: when copies are due, which will be late, and which were.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::plan::Planned;
use super::ranges;
use super::status::seconds;
use super::track::{self, Copy, State, Tracked};
use crate::api::{DeadlineStatus, Reason};

/// When the copies of a task are due.
pub fn due(tracked: &Tracked, task: usize) -> Option<Timestamp> {
    let batch = tracked.batch.as_ref().ok()?;
    let deadline = SignedDuration::from_millis(batch.tasks.get(task)?.deadline?);
    let created = track::created(&tracked.object)?;
    Some(created.checked_add(deadline).unwrap_or(Timestamp::MAX))
}

/// The next moment at which copies that have not ended miss their deadline.
pub fn next_moment(tracked: &Tracked, now: Timestamp) -> Option<Timestamp> {
    let open = tracked.copies.iter().filter(|copy| !copy.is_ended());
    let tasks: BTreeSet<usize> = open.map(|copy| copy.task).collect();
    let dues = tasks.into_iter().filter_map(|task| due(tracked, task));
    dues.filter(|due| *due > now).min()
}

/// How the copies of each task that is due stand.
pub fn standings(
    tracked: &Tracked,
    planned: &Planned,
    now: Timestamp,
) -> BTreeMap<usize, DeadlineStatus> {
    let mut tasks: BTreeMap<usize, Vec<&Copy>> = BTreeMap::new();
    for copy in &tracked.copies {
        tasks.entry(copy.task).or_default().push(copy);
    }
    let standing = |(task, copies): (usize, Vec<&Copy>)| {
        let due = due(tracked, task)?;
        Some((task, standing(tracked, task, &copies, due, planned, now)))
    };
    tasks.into_iter().filter_map(standing).collect()
}

fn standing(
    tracked: &Tracked,
    task: usize,
    copies: &[&Copy],
    due: Timestamp,
    planned: &Planned,
    now: Timestamp,
) -> DeadlineStatus {
    let known = known(tracked, task);
    let known_missed = known.and_then(|known| known.missed_copies.as_deref());
    let known_missed = ranges::read(known_missed.unwrap_or_default());
    let mut missed: BTreeSet<u32> = BTreeSet::new();
    let (mut met, mut late, mut hopeless) = (0, Vec::new(), Vec::new());
    for copy in copies {
        let is_late = match copy.state {
            State::Succeeded => finished(copy).is_some_and(|end| end > due),
            _ => !copy.is_ended() && due <= now,
        };
        if is_late || known_missed.contains(copy.copy) {
            missed.insert(copy.copy);
        } else if copy.state == State::Succeeded {
            met += 1;
        } else if !copy.is_ended() {
            late.extend(expected_end(tracked, copy, planned).filter(|end| *end > due));
            let earliest = planned.unreachable.get(&tracked.copy_id(copy));
            hopeless.extend(earliest.copied());
        }
    }
    let (of, by) = (copies.len(), seconds(due));
    let last = |ends: &[Timestamp]| ends.iter().max().copied().map_or(String::new(), seconds);
    let words = if !missed.is_empty() {
        let words = format!("{} of {of} copies have not ended by {by}", missed.len());
        Some((Reason::DeadlineMissed, words))
    } else if !hopeless.is_empty() {
        let words = format!(
            "{} of {of} copies cannot end by {by}: alone on what is free they end at {} at the earliest",
            hopeless.len(),
            last(&hopeless)
        );
        Some((Reason::DeadlineUnreachable, words))
    } else if !late.is_empty() {
        let words = format!(
            "{} of {of} copies are expected to end after {by}, the last at {}",
            late.len(),
            last(&late)
        );
        Some((Reason::DeadlineAtRisk, words))
    } else {
        None
    };
    DeadlineStatus {
        due: by,
        met,
        missed: i64::try_from(missed.len()).unwrap_or(i64::MAX),
        at_risk: i64::try_from(late.len()).unwrap_or(i64::MAX),
        missed_copies: (!missed.is_empty()).then(|| ranges::write(&missed)),
        reason: words.as_ref().map(|(reason, _)| reason.to_string()),
        message: words.map(|(_, words)| words),
    }
}

/// What the status says of the task's deadline so far.
pub fn known(tracked: &Tracked, task: usize) -> Option<&DeadlineStatus> {
    let name = &tracked.object.spec.tasks.get(task)?.name;
    let status = tracked.object.status.as_ref()?;
    let task = status.tasks.iter().find(|task| task.name == *name)?;
    task.deadline.as_ref()
}

fn finished(copy: &Copy) -> Option<Timestamp> {
    let owns = copy.pods.iter().filter_map(|pod| pod.own.as_ref());
    owns.filter_map(|own| own.exit.as_ref()?.finished).max()
}

fn expected_end(tracked: &Tracked, copy: &Copy, planned: &Planned) -> Option<Timestamp> {
    if !matches!(copy.state, State::Waiting { .. }) {
        return copy.own()?.predicted_end;
    }
    let id = tracked.copy_id(copy);
    if let Some(launch) = planned.launches.get(&id) {
        return Some(launch.end);
    }
    let (start, predicted) = planned.waits.get(&id)?.planned?;
    start
        .checked_add(SignedDuration::from_millis(predicted.total))
        .ok()
}

/// How bad a reason is; the worse one is told.
fn rank(standing: Option<&DeadlineStatus>) -> Option<Reason> {
    let reason = standing?.reason.as_deref()?;
    let all = [
        Reason::DeadlineAtRisk,
        Reason::DeadlineUnreachable,
        Reason::DeadlineMissed,
    ];
    all.into_iter().find(|known| known.as_str() == reason)
}

/// The reason of a standing that has become worse than it was.
pub fn worse(before: Option<&DeadlineStatus>, now: Option<&DeadlineStatus>) -> Option<Reason> {
    // The order of the reasons is that of how bad they are.
    rank(now).filter(|now| Some(*now) > rank(before))
}
