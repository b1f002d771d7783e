//! What waits, in groups that are planned together, and from when on each copy may start.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use super::Memory;
use super::deadline;
use super::layers::priorities;
use super::plan::{Wait, millis_until};
use super::track::{Copy, State, Tracked};
use super::world::{CopyId, Observed, Search};
use crate::cluster::compile::Request;
use crate::cluster::duration;
use crate::model::{Algorithm, Batch, Goal, Millis, Reason, ceil_i64};

/// Tasks that are planned together.
pub struct Group<'a> {
    pub goal: Goal,
    pub algorithm: Algorithm,
    pub members: Vec<Member<'a>>,
}

/// Copies of one task that want a place.
pub struct Member<'a> {
    pub tracked: &'a Tracked,
    pub batch: &'a Batch,
    pub task: usize,
    pub copies: Vec<&'a Copy>,
    pub release: Millis,
    pub due: Option<Timestamp>,
}

impl<'a> Group<'a> {
    pub fn requests(&self, now: Timestamp) -> Vec<Request<'a>> {
        let request = |member: &Member<'a>| Request {
            batch: member.batch,
            task: member.task,
            copies: member.copies.iter().map(|copy| copy.copy).collect(),
            release: member.release,
            due: member
                .due
                .map(|due| due.as_millisecond() - now.as_millisecond()),
        };
        self.members.iter().map(request).collect()
    }

    /// The oldest batch says how to search. A first plan gets the whole time limit; what changes later is
    /// planned again in a tenth of it, since most of it is known.
    pub fn search(&self, memory: &Memory) -> Search {
        let oldest = self
            .members
            .first()
            .map(|member| &member.tracked.object.spec.optimizer);
        let optimizer = oldest.cloned().unwrap_or_default();
        let millis = duration::parse(&optimizer.time_limit)
            .and_then(|exact| ceil_i64(&exact))
            .unwrap_or(2000);
        let limit = Duration::from_millis(millis.unsigned_abs());
        let known = |member: &Member<'_>| memory.planned.plans.contains_key(&member.tracked.id.uid);
        Search {
            algorithm: self.algorithm,
            seed: optimizer.seed.unsigned_abs(),
            time_limit: if self.members.iter().all(known) {
                limit / 10
            } else {
                limit
            },
            iterations: optimizer.iterations.map(i64::unsigned_abs),
        }
    }
}

/// Whether tasks of the batch may be planned at all.
pub fn is_active(tracked: &Tracked) -> bool {
    let failed_fast = || {
        tracked.object.spec.failure_policy == crate::api::FailurePolicy::FailFast
            && tracked
                .copies
                .iter()
                .any(|copy| matches!(copy.state, State::Failed { .. }))
    };
    tracked.batch.is_ok()
        && !tracked.is_deleting()
        && !tracked.object.spec.suspend
        && !super::verdict::is_finished(&tracked.object)
        && !failed_fast()
}

/// Everything that waits, in groups by priority, goal and algorithm, highest priority and oldest first;
/// and the copies that wait for something else than a place.
pub fn groups<'a>(
    observed: &Observed,
    batches: &'a [Tracked],
    memory: &Memory,
) -> (Vec<Group<'a>>, HashMap<CopyId, Wait>) {
    let mut groups: BTreeMap<(Reverse<i32>, usize), Group<'a>> = BTreeMap::new();
    let mut kinds: Vec<(i32, Goal, Algorithm)> = Vec::new();
    let mut held = HashMap::new();
    for tracked in batches.iter().filter(|tracked| is_active(tracked)) {
        let Ok(batch) = &tracked.batch else { continue };
        let optimizer = &tracked.object.spec.optimizer;
        let tasks = &tracked.object.spec.tasks;
        let priorities = priorities(tasks, batch, &observed.priorities);
        for (task, releases) in waiting(tracked, batch, memory, observed.now, &mut held) {
            let priority = priorities[task];
            let kind = (priority, batch.goal, optimizer.algorithm);
            let place = kinds
                .iter()
                .position(|known| *known == kind)
                .unwrap_or_else(|| {
                    kinds.push(kind);
                    kinds.len() - 1
                });
            let group = groups
                .entry((Reverse(priority), place))
                .or_insert_with(|| Group {
                    goal: batch.goal,
                    algorithm: optimizer.algorithm,
                    members: Vec::new(),
                });
            group
                .members
                .extend(releases.into_iter().map(|(release, copies)| Member {
                    tracked,
                    batch,
                    task,
                    copies,
                    release,
                    due: deadline::due(tracked, task),
                }));
        }
    }
    (groups.into_values().collect(), held)
}

type Releases<'a> = BTreeMap<Millis, Vec<&'a Copy>>;

/// What a task means for the tasks behind it.
#[derive(Clone, Debug, PartialEq)]
enum Gate {
    /// All copies have succeeded, or are planned in the same problem: nothing more to ask.
    Open,
    /// Some copies run; the last is expected to end then, in ms.
    From(Millis),
    /// Nobody can say when.
    Closed,
}

/// The gate that each task is.
fn gates(tracked: &Tracked, batch: &Batch, now: Timestamp) -> Vec<Gate> {
    let mut gates = vec![Gate::Open; batch.tasks.len()];
    for copy in &tracked.copies {
        let gate = &mut gates[copy.task];
        match &copy.state {
            State::Succeeded => {}
            State::Waiting { .. } if !batch.goal.is_static() => {}
            State::Starting | State::Running | State::Ending { .. } if !batch.goal.is_static() => {
                let end = copy.own().and_then(|own| own.predicted_end);
                let end = end.map_or(1, |end| millis_until(end, now).max(1));
                *gate = match gate {
                    Gate::Open => Gate::From(end),
                    Gate::From(other) => Gate::From(end.max(*other)),
                    Gate::Closed => Gate::Closed,
                };
            }
            _ => *gate = Gate::Closed,
        }
    }
    gates
}

/// The waiting copies of each task, by their earliest start; those that wait for something else than a
/// place are told in `held` why.
fn waiting<'a>(
    tracked: &'a Tracked,
    batch: &Batch,
    memory: &Memory,
    now: Timestamp,
    held: &mut HashMap<CopyId, Wait>,
) -> BTreeMap<usize, Releases<'a>> {
    let gates = gates(tracked, batch, now);
    let mut found: BTreeMap<usize, Releases<'a>> = BTreeMap::new();
    for copy in &tracked.copies {
        let State::Waiting { not_before, cause } = &copy.state else {
            continue;
        };
        let id = tracked.copy_id(copy);
        let refusal = memory.refusals.get(&id);
        let not_before = (*not_before).max(refusal.map(|refusal| refusal.until));
        let mut release = not_before.map_or(0, |time| millis_until(time, now));
        let cause = refusal
            .map(|refusal| (refusal.reason, refusal.message.clone()))
            .or_else(|| cause.clone());
        let mut wait = (release > 0).then_some(cause).flatten();
        let mut closed = false;
        for (before, task) in batch.tasks.iter().enumerate() {
            if !batch.tasks[copy.task].after.contains(&task.name) {
                continue;
            }
            let message = || {
                (
                    Reason::WaitingForDependency,
                    format!("waits until all of {} has succeeded", task.name),
                )
            };
            match gates[before] {
                // In the same problem, or in one before: what others wait for is as important as they are.
                Gate::Open => {}
                Gate::From(end) => {
                    release = release.max(end);
                    wait.get_or_insert_with(message);
                }
                Gate::Closed => {
                    closed = true;
                    wait.get_or_insert_with(message);
                }
            }
        }
        if let Some((reason, message)) = wait {
            let planned = None;
            held.insert(
                id,
                Wait {
                    reason,
                    message,
                    planned,
                },
            );
        }
        // A goal without a time axis would start it at once.
        let too_early = release > 0 && batch.goal.is_static();
        if !closed && !too_early {
            found
                .entry(copy.task)
                .or_default()
                .entry(release)
                .or_default()
                .push(copy);
        }
    }
    found
}
