//! A gang binds whole or not at all: how long each attempt holds room for some of its workers and not for all, told
//! from the pods alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use taskbatch::api::label;

/// For so long at most may a gang hold room for a part of its workers: as long as everything may take to be well again
/// after a fault.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// The gangs that were ever seen.
#[derive(Default)]
pub(crate) struct Gangs {
    attempts: BTreeMap<Attempt, Gang>,
}

/// One attempt of one copy: (uid of the batch, task, copy, attempt).
type Attempt = (String, String, String, String);

struct Gang {
    namespace: String,
    /// How many workers it has, as the program in each of them is told.
    workers: usize,
    /// What each pod has of it, by uid.
    parts: BTreeMap<String, Part>,
    /// Since when it holds a part.
    since: Option<Instant>,
    /// The longest time for which it did, so far.
    longest: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Not bound, failed, or being given back.
    Nothing,
    /// Room on a node.
    Room,
    /// It has ended well, and needs no room any more.
    Done,
}

impl Gangs {
    /// A pod is there, or has changed.
    pub(crate) fn pod(&mut self, pod: &Pod) {
        let Some((attempt, workers)) = attempt_of(pod).zip(workers_of(pod)) else {
            return;
        };
        let gang = self.attempts.entry(attempt).or_insert_with(|| Gang {
            namespace: pod.namespace().unwrap_or_default(),
            workers,
            parts: BTreeMap::new(),
            since: None,
            longest: Duration::ZERO,
        });
        let uid = pod.uid().unwrap_or_default();
        gang.parts.insert(uid, Part::of(pod));
        gang.look();
    }

    /// A pod is gone. One that had ended well was of use all the same.
    pub(crate) fn gone(&mut self, uid: &str) {
        for gang in self.attempts.values_mut() {
            if let Some(part) = gang.parts.get_mut(uid)
                && *part == Part::Room
            {
                *part = Part::Nothing;
                gang.look();
            }
        }
    }

    /// The gangs of a namespace that held a part for too long.
    pub(crate) fn halves(&self, namespace: &str) -> Vec<String> {
        let here = self
            .attempts
            .iter()
            .filter(|(_, gang)| gang.namespace == namespace);
        let halves = here.filter(|(_, gang)| gang.longest() > BOUND);
        let told = halves.map(|((_, task, copy, attempt), gang)| {
            let held = gang.count(Part::Room);
            format!(
                "attempt {attempt} of copy {copy} of {task} held room for a part of its {} workers for {:.1?}, for {held} of them at last",
                gang.workers,
                gang.longest()
            )
        });
        told.collect()
    }

    /// The longest time for which any gang of a namespace held a part.
    pub(crate) fn longest(&self, namespace: &str) -> Duration {
        let here = self.attempts.values();
        let here = here.filter(|gang| gang.namespace == namespace);
        here.map(Gang::longest).max().unwrap_or_default()
    }
}

impl Gang {
    fn count(&self, part: Part) -> usize {
        self.parts.values().filter(|one| **one == part).count()
    }

    /// Whether it holds a part has perhaps changed.
    fn look(&mut self) {
        let held = self.count(Part::Room);
        let is_part = held > 0 && held + self.count(Part::Done) < self.workers;
        match self.since {
            None if is_part => self.since = Some(Instant::now()),
            Some(since) if !is_part => {
                self.longest = self.longest.max(since.elapsed());
                self.since = None;
            }
            _ => {}
        }
    }

    fn longest(&self) -> Duration {
        let now = self.since.map(|since| since.elapsed());
        self.longest.max(now.unwrap_or_default())
    }
}

impl Part {
    fn of(pod: &Pod) -> Self {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        let is_bound = pod
            .spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some());
        match phase {
            Some("Succeeded") => Self::Done,
            Some("Failed") => Self::Nothing,
            _ if is_bound && pod.metadata.deletion_timestamp.is_none() => Self::Room,
            _ => Self::Nothing,
        }
    }
}

fn attempt_of(pod: &Pod) -> Option<Attempt> {
    let mut owners = pod.owner_references().iter();
    let owner = owners.find(|owner| owner.kind == "TaskBatch")?;
    let label = |key: &str| pod.labels().get(key).cloned();
    Some((
        owner.uid.clone(),
        label(label::TASK)?,
        label(label::COPY)?,
        label(label::ATTEMPT)?,
    ))
}

fn workers_of(pod: &Pod) -> Option<usize> {
    let variables = pod.spec.as_ref()?.containers.first()?.env.as_ref()?;
    let told = variables
        .iter()
        .find(|variable| variable.name == "TASKBATCH_WORKERS")?;
    told.value.as_ref()?.parse().ok()
}
