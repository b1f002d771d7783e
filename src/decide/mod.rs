//! What to do next: (observed, plan, now) in, actions and statuses out. The loop is the same in a real
//! cluster, in a simulated one and in the tests.

mod adopt;
mod attempt;
mod conditions;
mod deadline;
mod delegate;
mod group;
mod launch;
pub mod layers;
mod manifest;
mod name;
pub mod neighbours;
mod pin;
mod plan;
mod ranges;
mod rendezvous;
#[cfg(test)]
mod rendezvous_tests;
mod returned;
mod status;
mod task_status;
mod track;
#[cfg(test)]
mod track_tests;
mod verdict;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Fault, Reason, TaskBatchStatus, TaskPhase};
use crate::model::Topology;
use crate::model::{Batch, Earlier};
pub use attempt::LATE;
use plan::Planned;
use track::{State, Tracked};
pub use world::{
    Action, BindPod, CopyId, CreatePod, Deadlines, DeletePod, Event, Fact, NewStatus, ObjectId,
    Observed, Outcome, PodsOf, ReleasePod, Report, Search, TakeBack, World,
};

/// How long a copy whose pod the API server refused waits for the next try; doubled from time to time.
const REFUSAL_DELAY: Duration = Duration::from_secs(5);
/// The longest such wait.
const LONGEST_REFUSAL_DELAY: Duration = Duration::from_secs(300);
/// While round follows round, statuses are told this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What one loop remembers from round to round: nothing that a restart may not forget.
#[derive(Debug, Default)]
pub struct Memory {
    /// The network between the nodes.
    topology: Arc<Topology>,
    /// Batches that an earlier process has told of, by UID, and until when what it asked for may still come.
    inherited: Option<(HashSet<String>, Timestamp)>,
    /// Manifests that were read, by UID, with their generation.
    intakes: HashMap<String, Intake>,
    /// Pods that the API server refused, or that kube-scheduler could not bind.
    refusals: HashMap<CopyId, Refusal>,
    /// Nodes on which kube-scheduler could not bind pods of a task.
    kept_off: delegate::KeptOff,
    /// Tasks whose pods turned out to have rules that we do not know, by UID of the batch and name.
    beyond_us: BTreeSet<(String, String)>,
    /// Copies whose end was noted.
    ended: HashSet<CopyId>,
    /// The newest attempt of each copy of whose create nobody knows what became: it may come late, and must meet a
    /// pod of its name or none of an older one, also where somebody has removed all pods that tell the number.
    asked: HashMap<CopyId, u32>,
    /// How many copies of each task have missed their deadline, by UID of the batch and name, as far as counted.
    missed: HashMap<(String, String), i64>,
    /// What the newest plan depended on.
    fingerprint: Option<u64>,
    /// The newest plan.
    planned: Planned,
    /// Its places, from which the next plan starts.
    earlier: Earlier,
    /// When statuses were told last.
    reported: Option<Timestamp>,
}

type Intake = (Option<i64>, Result<Arc<Batch>, Arc<Vec<Fault>>>);

/// A pod that the API server refused, or that kube-scheduler could not bind.
#[derive(Clone, Debug)]
struct Refusal {
    reason: Reason,
    message: String,
    until: Timestamp,
    count: u32,
    name_taken: bool,
}

/// One round of the loop. Returns how long to wait for an event before the next one at the latest;
/// `None`: until something happens.
///
/// A round either settles what exists (binds, deletes) or plans what waits, and looks again at once after
/// it wrote anything; so each plan stands on what the writes before it made of the cluster.
pub async fn round<W: World>(
    world: &mut W,
    memory: &mut Memory,
) -> Result<Option<Duration>, W::Error> {
    let observed = world.observe().await?; // I/O
    let batches = track::track(&observed, memory);
    note_ended(world, &batches, memory);

    let mut actions = launch::settle(&observed, &batches, memory);
    let mut pace = act(world, memory, &observed, &batches, &actions).await; // I/O
    if pace != Pace::Again {
        plan::replan(world, &observed, &batches, memory).await; // CPU; every plan is verified in there
        let again = launch::again(&batches, memory);
        if !again.is_empty() && world.look_past_watch(&again).await? {
            pace = Pace::Again;
        } else {
            actions = launch::launches(&batches, memory);
            pace = pace.max(act(world, memory, &observed, &batches, &actions).await); // I/O
        }
    }

    let last = *memory.reported.get_or_insert(observed.now);
    let overdue = attempt::after(last, REPORT_INTERVAL) <= observed.now;
    if pace == Pace::Idle || overdue {
        let (report, deadlines) = report(&observed, &batches, memory);
        world.report(report).await; // I/O
        world.note(Fact::Deadlines(deadlines));
        note_tasks(world, &batches, memory);
        memory.reported = Some(observed.now);
    }
    Ok(wake(&observed, &batches, memory, pace))
}

/// How soon the next round must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pace {
    /// When something happens.
    Idle,
    /// After this long, since nobody knows what became of a write.
    Later(Duration),
    /// At once: something was written.
    Again,
}

/// Carries actions out and remembers what the next observation will not tell.
async fn act<W: World>(
    world: &mut W,
    memory: &mut Memory,
    observed: &Observed,
    batches: &[Tracked],
    actions: &[Action],
) -> Pace {
    let mut pace = Pace::Idle;
    if actions.is_empty() {
        return pace;
    }
    let outcomes = world.act(actions).await;
    memory.welcome(actions, &outcomes);
    let mut refused = HashSet::new();
    for (action, outcome) in actions.iter().zip(&outcomes) {
        world.note(Fact::Acted { action, outcome });
        match outcome {
            Outcome::Done => {
                pace = Pace::Again;
                succeeded(world, memory, observed, batches, action);
            }
            Outcome::Conflict => {
                memory.fingerprint = None;
                pace = pace.max(Pace::Later(Duration::from_millis(100)));
            }
            Outcome::Unknown { retry_after } => {
                memory.fingerprint = None;
                memory.asked(action);
                pace = pace.max(Pace::Later((*retry_after).max(Duration::from_millis(100))));
            }
            // Once for all pods of a gang; what is bound of it already is given back at once.
            Outcome::Refused { copy, message } => {
                if refused.insert(copy) {
                    memory.refuse(copy, message, observed.now);
                }
                pace = Pace::Again;
            }
        }
    }
    pace
}

fn succeeded<W: World>(
    world: &mut W,
    memory: &mut Memory,
    observed: &Observed,
    batches: &[Tracked],
    action: &Action,
) {
    match action {
        Action::Bind(bind) => {
            let batch = batches
                .iter()
                .find(|tracked| tracked.id.uid == bind.copy.batch_uid);
            let created = batch.and_then(|tracked| track::created(&tracked.object));
            if let Some(wait) = created
                .and_then(|created| Duration::try_from(observed.now.duration_since(created)).ok())
            {
                world.note(Fact::QueueWait { wait });
            }
        }
        Action::TakeBack(it) => memory.set_back(it, observed.now),
        Action::Create(_) | Action::Release(_) | Action::Delete(_) | Action::DeleteBatch(_) => {}
    }
}

impl Memory {
    /// Nothing is remembered yet but the network between the nodes, which never changes.
    pub fn of(topology: Arc<Topology>) -> Self {
        Self {
            topology,
            ..Self::default()
        }
    }

    /// Nothing that an earlier process asked for can still come.
    pub fn inherit_nothing(&mut self) {
        self.inherited = Some((HashSet::new(), Timestamp::MIN));
    }

    fn asked(&mut self, action: &Action) {
        if let Action::Create(create) = action
            && let Some(attempt) = manifest::attempt(&create.manifest)
        {
            let known = self.asked.entry(create.copy.clone()).or_default();
            *known = attempt.max(*known);
        }
    }

    /// Copies whose pods are all bound, or may be, are refused no longer; of a gang one pod may be bound and another
    /// not.
    fn welcome(&mut self, actions: &[Action], outcomes: &[Outcome]) {
        let mut bound: BTreeMap<&CopyId, bool> = BTreeMap::new();
        for (action, outcome) in actions.iter().zip(outcomes) {
            let copy = match action {
                Action::Bind(bind) => &bind.copy,
                Action::Release(release) => &release.copy,
                _ => continue,
            };
            *bound.entry(copy).or_insert(true) &= *outcome == Outcome::Done;
        }
        for (copy, _) in bound.into_iter().filter(|(_, whole)| *whole) {
            self.refusals.remove(copy);
        }
    }

    /// Adds up how copies stand to their deadlines; each miss is counted once, and none that the status of an earlier
    /// process told.
    fn count_misses(&mut self, tracked: &Tracked, new: &TaskBatchStatus, sums: &mut Deadlines) {
        for (index, task) in new.tasks.iter().enumerate() {
            let Some(now) = &task.deadline else { continue };
            sums.at_risk += now.at_risk.unsigned_abs();
            let key = (tracked.id.uid.clone(), task.name.clone());
            let told = deadline::known(tracked, index).map_or(0, |known| known.missed);
            let counted = self.missed.entry(key).or_insert(told);
            sums.missed += (now.missed - *counted).max(0).unsigned_abs();
            *counted = now.missed.max(*counted);
        }
    }

    fn refuse(&mut self, copy: &CopyId, message: &str, now: Timestamp) {
        let count = self.refusals.get(copy).map_or(0, |refusal| refusal.count) + 1;
        let wait = REFUSAL_DELAY
            .saturating_mul(1 << (count - 1).min(10))
            .min(LONGEST_REFUSAL_DELAY);
        let refusal = Refusal {
            reason: Reason::PodRejected,
            message: message.to_owned(),
            until: attempt::after(now, wait),
            count,
            name_taken: message.contains("already exists"),
        };
        self.refusals.insert(copy.clone(), refusal);
        self.fingerprint = None;
    }
}

/// Statuses that changed, and what is worth an event.
fn report(observed: &Observed, batches: &[Tracked], memory: &mut Memory) -> (Report, Deadlines) {
    let mut report = Report::default();
    let mut deadlines = Deadlines::default();
    for tracked in batches.iter().filter(|tracked| !tracked.is_deleting()) {
        let new = status::build(tracked, &memory.planned, observed.now);
        memory.count_misses(tracked, &new, &mut deadlines);
        if tracked.object.status.as_ref() != Some(&new) {
            report.events.extend(conditions::events(tracked, &new));
            let version = tracked.object.metadata.resource_version.clone();
            report.statuses.push(NewStatus {
                batch: tracked.id.clone(),
                resource_version: version.unwrap_or_default(),
                status: new,
            });
        }
    }
    (report, deadlines)
}

/// When time alone changes something: a backoff, a deadline or a ttl ends, or a node has rested.
fn wake(observed: &Observed, batches: &[Tracked], memory: &Memory, pace: Pace) -> Option<Duration> {
    let now = observed.now;
    let moments = batches
        .iter()
        .filter_map(|tracked| verdict::next_moment(tracked, now));
    let refusals = memory
        .refusals
        .values()
        .map(|refusal| refusal.until)
        .filter(|until| *until > now);
    let rested = plan::resting(batches, now).into_values();
    let delegated = batches.iter().filter_map(delegate::next_moment);
    let next = moments
        .chain(refusals)
        .chain(rested)
        .chain(delegated)
        .chain(memory.next_try(now))
        .min();
    let next = next.and_then(|time| Duration::try_from(time.duration_since(now)).ok());
    match pace {
        Pace::Again => Some(Duration::ZERO),
        Pace::Later(wait) => Some(next.map_or(wait, |next| next.min(wait))),
        Pace::Idle => next,
    }
}

/// Notes each copy that has ended since this process looks.
fn note_ended<W: World>(world: &mut W, batches: &[Tracked], memory: &mut Memory) {
    for tracked in batches {
        for copy in &tracked.copies {
            let succeeded = copy.state == State::Succeeded;
            if !succeeded && !matches!(copy.state, State::Failed { .. }) {
                continue;
            }
            let id = tracked.copy_id(copy);
            if memory.ended.contains(&id) {
                continue;
            }
            if let Some((predicted, actual)) = task_status::lengths(copy) {
                world.note(Fact::Ended {
                    copy: &id,
                    predicted,
                    actual,
                    succeeded,
                });
            }
            memory.ended.insert(id);
        }
    }
}

fn note_tasks<W: World>(world: &mut W, batches: &[Tracked], memory: &Memory) {
    let mut counts: BTreeMap<(TaskPhase, Option<Reason>), u64> = BTreeMap::new();
    for tracked in batches {
        for copy in &tracked.copies {
            let phase = task_status::phase(copy);
            let wait = (phase == TaskPhase::Waiting)
                .then(|| memory.planned.waits.get(&tracked.copy_id(copy)))
                .flatten();
            *counts
                .entry((phase, wait.map(|wait| wait.reason)))
                .or_default() += 1;
        }
    }
    world.note(Fact::Tasks { counts: &counts });
}
