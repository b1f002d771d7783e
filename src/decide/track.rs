//! What state each copy of each task is in, from its pods, and from what the status remembers of copies
//! that have ended: finished pods may be deleted by anybody.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::attempt::{LATE, after, judge, rejection};
use super::neighbours::Neighbours;
use super::world::{CopyId, ObjectId, Observed};
use super::{Memory, ranges};
use crate::api::{Binding, Fault, Reason, TaskBatch, TaskSpec};
use crate::cluster::intake;
use crate::cluster::pod::{OwnPod, Pod};
use crate::model::Batch;

/// A batch and its copies, as they are now.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The object.
    pub object: Arc<TaskBatch>,
    /// Its name and UID.
    pub id: ObjectId,
    /// What its manifest means, or what is wrong with it.
    pub batch: Result<Arc<Batch>, Arc<Vec<Fault>>>,
    /// Its copies, by task and copy. Empty when the manifest is wrong.
    pub copies: Vec<Copy>,
}

/// One copy of a task, as it is now.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Index of the task in the batch.
    pub task: usize,
    /// Index of the copy.
    pub copy: u32,
    /// Its state.
    pub state: State,
    /// Number of the newest attempt; of the next one while the copy waits.
    pub attempt: u32,
    /// Attempts that failed and count against the retries.
    pub failures: u32,
    /// Attempts in a row that nodes rejected or lost.
    pub rejections: u32,
    /// The pods of the newest attempt, by worker.
    pub pods: Vec<Arc<Pod>>,
    /// Pods of older attempts that a node rejected: they hold no logs and may go.
    pub leftover: Vec<Arc<Pod>>,
}

/// State of a copy.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// No pod lives. The next attempt may start from `not_before` on; `cause` is why the last one did not do.
    Waiting {
        /// Earliest start.
        not_before: Option<Timestamp>,
        /// Why the last attempt ended, if there was one.
        cause: Option<(Reason, String)>,
    },
    /// All pods exist, some do not run yet.
    Starting,
    /// All pods run.
    Running,
    /// The attempt is over or given up; pods that live must go first.
    Ending {
        /// Why.
        cause: Reason,
    },
    /// Ended well.
    Succeeded,
    /// Failed for good.
    Failed {
        /// Why, in a word.
        reason: Reason,
        /// Why, in words and numbers.
        message: String,
    },
    /// Will not run, because a task that it depends on has failed.
    Skipped {
        /// Name of that task.
        because_of: String,
    },
}

impl Copy {
    /// Whether nothing more will happen to it.
    pub fn is_ended(&self) -> bool {
        matches!(
            self.state,
            State::Succeeded | State::Failed { .. } | State::Skipped { .. }
        )
    }

    /// The pods that have not ended.
    pub fn live(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.iter().filter(|pod| !pod.is_finished())
    }

    /// What the first pod says of itself.
    pub fn own(&self) -> Option<&OwnPod> {
        self.pods.first().and_then(|pod| pod.own.as_deref())
    }
}

impl Tracked {
    /// Names one of its copies.
    pub fn copy_id(&self, copy: &Copy) -> CopyId {
        CopyId {
            batch_uid: self.id.uid.clone(),
            task: self.object.spec.tasks[copy.task].name.clone(),
            copy: copy.copy,
        }
    }

    /// Whether it is on its way out of the cluster.
    pub fn is_deleting(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }
}

/// Tracks every batch, oldest first.
pub fn track(observed: &Observed, memory: &mut Memory) -> Vec<Tracked> {
    let mut pods_of: HashMap<&str, Vec<&Arc<Pod>>> = HashMap::new();
    for pod in &observed.pods {
        if let Some(own) = &pod.own {
            pods_of.entry(own.batch_uid.as_str()).or_default().push(pod);
        }
    }
    memory.inherit(observed);
    memory.forget_batches(&observed.batches);
    memory.forget_rests(observed.now);
    let neighbours = Neighbours::of(observed);
    let mut batches: Vec<Tracked> = observed
        .batches
        .iter()
        .map(|object| {
            let id = id_of(object);
            let batch = memory.intake(object);
            let batch = batch.map(|batch| {
                let off = |task: &TaskSpec| {
                    let mut off = neighbours.off(&id.namespace, task, &id.name);
                    off.extend(
                        memory
                            .refused_on(&id.uid, &task.name, observed.now)
                            .cloned(),
                    );
                    off
                };
                let auto = object.spec.binding == Binding::Auto;
                let beyond_us = |task: &TaskSpec| auto && memory.is_beyond_us(&id.uid, &task.name);
                as_of_now(object, batch, off, beyond_us)
            });
            let pods = pods_of.remove(id.uid.as_str()).unwrap_or_default();
            let copies = match &batch {
                Ok(batch) => track_copies(object, batch, &pods, observed.now),
                Err(_) => Vec::new(),
            };
            let mut tracked = Tracked {
                object: object.clone(),
                id,
                batch,
                copies,
            };
            memory.go_on_counting(&mut tracked);
            memory.outlast_predecessor(&mut tracked, observed.now);
            tracked
        })
        .collect();
    batches.sort_by_key(|tracked| (created(&tracked.object), tracked.id.clone()));
    batches
}

/// The batch, its tasks held off nodes or left to kube-scheduler.
fn as_of_now(
    object: &TaskBatch,
    batch: Arc<Batch>,
    off: impl Fn(&TaskSpec) -> BTreeSet<String>,
    beyond_us: impl Fn(&TaskSpec) -> bool,
) -> Arc<Batch> {
    let tasks = object.spec.tasks.iter();
    let now: Vec<_> = tasks.map(|task| (off(task), beyond_us(task))).collect();
    if now
        .iter()
        .all(|(off, beyond_us)| off.is_empty() && !beyond_us)
    {
        return batch;
    }
    let mut narrowed = Batch::clone(&batch);
    for (task, (off, beyond_us)) in narrowed.tasks.iter_mut().zip(now) {
        for flavor in &mut task.flavors {
            flavor.placement.off.clone_from(&off);
            flavor.delegated |= beyond_us;
        }
        task.placement.off = off;
        task.delegated |= beyond_us;
    }
    Arc::new(narrowed)
}

/// Name and UID of a batch.
pub fn id_of(object: &TaskBatch) -> ObjectId {
    ObjectId {
        namespace: object
            .metadata
            .namespace
            .clone()
            .unwrap_or_else(|| "default".into()),
        name: object.metadata.name.clone().unwrap_or_default(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
    }
}

/// When the batch was created.
pub fn created(object: &TaskBatch) -> Option<Timestamp> {
    object
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0)
}

impl Memory {
    /// Reads a manifest, once for each generation.
    fn intake(&mut self, object: &TaskBatch) -> Result<Arc<Batch>, Arc<Vec<Fault>>> {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let generation = object.metadata.generation;
        match self.intakes.get(&uid) {
            Some((known, batch)) if *known == generation => batch.clone(),
            _ => {
                let unknown = intake::unknown_levels(object, &self.topology);
                let batch = match intake::read(object) {
                    Ok(batch) if unknown.is_empty() => Ok(Arc::new(batch)),
                    Ok(_) => Err(Arc::new(unknown)),
                    Err(faults) => Err(Arc::new([faults, unknown].concat())),
                };
                self.intakes.insert(uid, (generation, batch.clone()));
                batch
            }
        }
    }

    /// The next attempt is none before one that may still come to life.
    fn go_on_counting(&self, tracked: &mut Tracked) {
        if self.asked.is_empty() {
            return;
        }
        for index in 0..tracked.copies.len() {
            let asked = self.asked.get(&tracked.copy_id(&tracked.copies[index]));
            let copy = &mut tracked.copies[index];
            if let (Some(asked), State::Waiting { .. }) = (asked, &copy.state) {
                copy.attempt = copy.attempt.max(*asked);
            }
        }
    }

    /// At the first look: what has a status is not new to the world.
    fn inherit(&mut self, observed: &Observed) {
        self.inherited.get_or_insert_with(|| {
            let told = observed.batches.iter().filter(|it| it.status.is_some());
            let told = told.filter_map(|batch| batch.metadata.uid.clone());
            (told.collect(), after(observed.now, LATE))
        });
    }

    /// Where all pods of a copy are gone, nothing tells how far an earlier process has counted its attempts, and of a
    /// gang those of the newest may be gone and older ones be left: what that one asked for last must come to an end
    /// before anything new is created.
    fn outlast_predecessor(&self, tracked: &mut Tracked, now: Timestamp) {
        let until = match &self.inherited {
            Some((told, until)) if now < *until && told.contains(&tracked.id.uid) => *until,
            _ => return,
        };
        for copy in &mut tracked.copies {
            let is_gang = tracked.object.spec.tasks[copy.task].gang.is_some();
            let is_unknown = is_gang || (copy.pods.is_empty() && copy.leftover.is_empty());
            if let State::Waiting { not_before, .. } = &mut copy.state
                && is_unknown
            {
                *not_before = Some(until).max(*not_before);
            }
        }
    }

    fn forget_batches(&mut self, batches: &[Arc<TaskBatch>]) {
        let nothing_else = self.refusals.is_empty()
            && self.kept_off.is_empty()
            && self.beyond_us.is_empty()
            && self.asked.is_empty()
            && self.ended.is_empty();
        if self.intakes.len() <= batches.len() && nothing_else {
            return;
        }
        let live: HashSet<&str> = batches
            .iter()
            .filter_map(|batch| batch.metadata.uid.as_deref())
            .collect();
        self.intakes.retain(|uid, _| live.contains(uid.as_str()));
        self.refusals
            .retain(|copy, _| live.contains(copy.batch_uid.as_str()));
        self.beyond_us
            .retain(|(uid, _)| live.contains(uid.as_str()));
        self.kept_off
            .retain(|(uid, _), _| live.contains(uid.as_str()));
        self.asked
            .retain(|copy, _| live.contains(copy.batch_uid.as_str()));
        self.ended
            .retain(|copy| live.contains(copy.batch_uid.as_str()));
    }
}

fn track_copies(
    object: &TaskBatch,
    batch: &Batch,
    pods: &[&Arc<Pod>],
    now: Timestamp,
) -> Vec<Copy> {
    let mut by_copy: HashMap<(&str, u32), Vec<&Arc<Pod>>> = HashMap::new();
    for pod in pods {
        if let Some(own) = &pod.own {
            by_copy
                .entry((own.task.as_str(), own.copy))
                .or_default()
                .push(pod);
        }
    }
    let mut copies = Vec::new();
    for (index, task) in batch.tasks.iter().enumerate() {
        let spec = &object.spec.tasks[index];
        let known = object
            .status
            .as_ref()
            .and_then(|status| status.tasks.iter().find(|one| one.name == task.name));
        let succeeded = ranges::read(known.map_or("", |known| &known.succeeded));
        let failed = ranges::read(known.map_or("", |known| &known.failed));
        for copy in 0..task.count {
            let found = by_copy
                .remove(&(task.name.as_str(), copy))
                .unwrap_or_default();
            let mut tracked = track_copy(spec, index, copy, found, now);
            if succeeded.contains(copy) {
                tracked.state = State::Succeeded;
            } else if failed.contains(copy) && !matches!(tracked.state, State::Failed { .. }) {
                tracked.state = State::Failed {
                    reason: Reason::TaskFailed,
                    message: known
                        .and_then(|known| known.message.clone())
                        .unwrap_or_default(),
                };
            }
            copies.push(tracked);
        }
    }
    skip_dependents(batch, &mut copies);
    copies
}

/// The newest attempt tells the state; older ones must be gone, or ended, before it counts.
fn track_copy(
    spec: &TaskSpec,
    task: usize,
    copy: u32,
    pods: Vec<&Arc<Pod>>,
    now: Timestamp,
) -> Copy {
    let attempt_of = |pod: &Pod| pod.own.as_ref().map_or(0, |own| own.attempt);
    let newest = pods.iter().map(|pod| attempt_of(pod)).max().unwrap_or(0);
    let (mut current, older): (Vec<_>, Vec<_>) =
        pods.into_iter().partition(|pod| attempt_of(pod) == newest);
    current.sort_by_key(|pod| pod.own.as_ref().map_or(0, |own| own.worker));
    let mut found = Copy {
        task,
        copy,
        state: State::Waiting {
            not_before: None,
            cause: None,
        },
        attempt: newest,
        failures: 0,
        rejections: 0,
        pods: current.into_iter().cloned().collect(),
        leftover: Vec::new(),
    };
    if let Some(own) = found.own() {
        (found.failures, found.rejections) = (own.failures, own.rejections);
        judge(&mut found, spec, now);
    }
    for pod in older {
        if !pod.is_finished() {
            found.state = State::Ending {
                cause: Reason::Starting,
            };
            found.pods.push(pod.clone());
        } else if rejection(pod).is_some() {
            found.leftover.push(pod.clone());
        }
    }
    found
}

/// Copies of tasks behind a task that failed for good, or was skipped itself, do not run.
fn skip_dependents(batch: &Batch, copies: &mut [Copy]) {
    let mut lost: BTreeMap<String, ()> = BTreeMap::new();
    for copy in copies.iter() {
        if matches!(copy.state, State::Failed { .. }) {
            lost.insert(batch.tasks[copy.task].name.clone(), ());
        }
    }
    while !lost.is_empty() {
        let mut more = BTreeMap::new();
        for copy in copies.iter_mut() {
            let task = &batch.tasks[copy.task];
            let because = task.after.iter().find(|name| lost.contains_key(*name));
            if let (State::Waiting { .. }, Some(because)) = (&copy.state, because) {
                copy.state = State::Skipped {
                    because_of: because.clone(),
                };
                more.insert(task.name.clone(), ());
            }
        }
        lost = more;
    }
}
