//! What must never happen, whatever goes wrong. The books are kept from the history alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cluster::Cluster;
use super::halves::Halves;
use super::history::{Happening, Observer};
use crate::api::{Phase, TaskBatch};
use crate::cluster::pod::{OwnPod, Pod, PodPhase};
use crate::model::{Millis, Node, Resources, Share};

/// One worker of one copy of a task: (uid of the batch, task, copy, worker).
type Worker = (String, String, u32, u32);

/// Watches a run and keeps a list of what must not have happened.
#[derive(Clone, Debug, Default)]
pub struct Invariants {
    /// The part of each node that the pods of batches may use together.
    share: Share,
    nodes: BTreeMap<String, Arc<Node>>,
    /// The nodes as the operator has seen them.
    seen_nodes: BTreeMap<String, Arc<Node>>,
    lost: BTreeSet<String>,
    /// All pods that exist, by uid.
    pods: BTreeMap<String, Arc<Pod>>,
    /// Uids of the pods that were ever bound.
    bound: BTreeSet<String>,
    /// Uids of the pods of strangers that the operator has seen.
    known: BTreeSet<String>,
    /// Copies of which a status says that they succeeded: (uid of the batch, task, copy).
    done: BTreeSet<(String, String, u32)>,
    /// Whether what comes next was asked for when less was known.
    is_late: bool,
    halves: Halves,
    violations: Vec<String>,
}

impl Invariants {
    /// For a cluster in which batches may use this part of each node together.
    pub fn with_share(share: Share) -> Self {
        Self {
            share,
            ..Self::default()
        }
    }

    /// What happened and must not, with its virtual time in ms.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// The batches that are neither complete nor failed, although nothing holds them back.
    pub fn unended(cluster: &Cluster) -> Vec<String> {
        let held = cluster.batches().filter(|batch| !batch.spec.suspend);
        let open = held.filter(|batch| {
            let phase = batch.status.as_ref().and_then(|status| status.phase);
            !matches!(
                phase,
                Some(Phase::Complete | Phase::Failed | Phase::Rejected)
            )
        });
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        open.map(|batch| {
            let status = serde_json::to_string(&batch.status).unwrap_or_default();
            format!(
                "{}/{}: {status}",
                name(&batch.metadata.namespace),
                name(&batch.metadata.name)
            )
        })
        .collect()
    }

    /// What the operator could know from now on.
    fn observed(&mut self, pods: bool, nodes: bool) {
        if pods {
            let strangers = self.pods.values().filter(|pod| pod.own.is_none());
            self.known = strangers.map(|pod| pod.uid.clone()).collect();
        }
        if nodes {
            self.seen_nodes = self.nodes.clone();
        }
    }

    fn violated(&mut self, at: Millis, what: String) {
        self.violations.push(format!("{at} ms: {what}"));
    }

    /// A copy may run again if its pod was gone before anybody saw how it ended, but not if that can be known.
    fn created(&mut self, at: Millis, pod: &Arc<Pod>) {
        if let Some(own) = &pod.own {
            for twin in self.twins(own) {
                if self.may_run(&twin) {
                    let twin = twin.key();
                    self.violated(
                        at,
                        format!("{} is created although {twin} of its copy lives", pod.key()),
                    );
                } else if self.has_succeeded(&twin) {
                    let twin = twin.key();
                    self.violated(
                        at,
                        format!("{} is created although {twin} has succeeded", pod.key()),
                    );
                }
            }
            if self
                .done
                .contains(&(own.batch_uid.clone(), own.task.clone(), own.copy))
            {
                self.violated(
                    at,
                    format!("{} is created although its copy has succeeded", pod.key()),
                );
            }
        }
        self.pods.insert(pod.uid.clone(), pod.clone());
    }

    /// Whether the attempt of this pod has ended well: of a gang all its workers.
    fn has_succeeded(&self, pod: &Pod) -> bool {
        let Some(own) = &pod.own else { return false };
        let is_done = |other: &&Arc<Pod>| {
            let same = other.own.as_ref().is_some_and(|other| {
                let of = (&other.batch_uid, &other.task, other.copy, other.attempt);
                of == (&own.batch_uid, &own.task, own.copy, own.attempt)
            });
            same && other.phase == PodPhase::Succeeded
        };
        self.pods.values().filter(is_done).count() >= own.workers.max(1) as usize
    }

    fn twins(&self, own: &OwnPod) -> Vec<Arc<Pod>> {
        let worker = worker_of(own);
        let same = |pod: &&Arc<Pod>| {
            pod.own
                .as_ref()
                .is_some_and(|other| worker_of(other) == worker)
        };
        self.pods.values().filter(same).cloned().collect()
    }

    fn reported(&mut self, batch: &TaskBatch) {
        let uid = batch.metadata.uid.clone().unwrap_or_default();
        for task in batch.status.iter().flat_map(|status| &status.tasks) {
            let copies = ranges(&task.succeeded);
            self.done
                .extend(copies.map(|copy| (uid.clone(), task.name.clone(), copy)));
        }
    }

    /// A pod that is deleted on a node that nobody hears of can be waited for in vain; any other one is waited for.
    fn may_run(&self, pod: &Pod) -> bool {
        let silent = |node: &String| self.lost.contains(node) || !self.nodes.contains_key(node);
        let in_vain = pod.terminating && pod.node.as_ref().is_some_and(silent);
        !(pod.is_finished() || in_vain)
    }

    fn bound(&mut self, at: Millis, pod: &Arc<Pod>) {
        self.pods.insert(pod.uid.clone(), pod.clone());
        if !self.bound.insert(pod.uid.clone()) {
            self.violated(at, format!("{} is bound twice", pod.key()));
        }
        let Some(own) = &pod.own else {
            return self.violated(at, format!("{} of a stranger is bound", pod.key()));
        };
        if let Some(other) = self.of_other_size(own) {
            let what = format!(
                "{} is bound beside {other} of a gang of other size",
                pod.key()
            );
            self.violated(at, what);
        }
        let name = pod.node.clone().unwrap_or_default();
        if own.node != name {
            self.violated(
                at,
                format!("{} is bound to {name}, but says {}", pod.key(), own.node),
            );
        }
        let Some(node) = self.seen_nodes.get(&name).cloned() else {
            if self.is_late {
                return;
            }
            return self.violated(
                at,
                format!("{} is bound to {name}, which is gone", pod.key()),
            );
        };
        if !self.is_late && (!node.ready || node.unschedulable) {
            self.violated(
                at,
                format!("{} is bound to {name}, which takes no pods", pod.key()),
            );
        }
        if let Some(over) = self.overfull(&node, &pod.requests) {
            self.violated(
                at,
                format!("{} is bound to {name}, which lacks {over}", pod.key()),
            );
        }
    }

    /// A pod on a node, of the same attempt, that was made for another number of workers.
    fn of_other_size(&self, own: &OwnPod) -> Option<String> {
        let of = |own: &OwnPod| {
            (
                own.batch_uid.clone(),
                own.task.clone(),
                own.copy,
                own.attempt,
            )
        };
        let other = |pod: &&Arc<Pod>| {
            let theirs = pod
                .own
                .as_ref()
                .filter(|_| self.may_run(pod) && pod.node.is_some());
            theirs.is_some_and(|theirs| of(theirs) == of(own) && theirs.workers != own.workers)
        };
        self.pods.values().find(other).map(|pod| pod.key())
    }

    /// The first resource among those wanted of which the node has not enough for all that the operator knows of.
    fn overfull(&self, node: &Node, wanted: &Resources) -> Option<String> {
        let (mut used, mut ours) = (Resources::default(), Resources::default());
        for pod in self.pods.values() {
            let here = pod.node.as_deref() == Some(node.name.as_str()) && !pod.is_finished();
            let is_known = self.known.contains(&pod.uid) && !self.is_late;
            if here && (pod.own.is_some() || is_known) {
                used.add(&pod.requests).ok()?;
            }
            if here && pod.own.is_some() {
                ours.add(&pod.requests).ok()?;
            }
        }
        let over = |name: &str| {
            let all = node.allocatable.room(name);
            let is_listed = node.allocatable.contains(name);
            used.get(name) > all || (is_listed && ours.get(name) > self.share.of(all))
        };
        wanted
            .iter()
            .find(|(name, amount)| *amount > 0 && over(name))
            .map(|(name, _)| name.to_owned())
    }
}

impl Observer for Invariants {
    fn happened(&mut self, at: Millis, happening: &Happening) {
        match happening {
            Happening::NodeSet(node) => {
                self.nodes.insert(node.name.clone(), node.clone());
            }
            Happening::NodeLost(name) => {
                self.lost.insert(name.clone());
            }
            Happening::NodeBack(name) => {
                self.lost.remove(name);
            }
            Happening::NodeGone(name) => {
                self.nodes.remove(name);
            }
            Happening::PodCreated(pod) => self.created(at, pod),
            Happening::PodBound(pod) => self.bound(at, pod),
            Happening::PodStarted(pod) | Happening::PodRejected(pod) | Happening::PodEnded(pod) => {
                self.pods.insert(pod.uid.clone(), pod.clone());
            }
            Happening::PodDeleted { pod, by_operator } => {
                if *by_operator && pod.own.is_none() {
                    self.violated(at, format!("{} of a stranger is deleted", pod.key()));
                }
                if *by_operator && pod.phase == PodPhase::Succeeded {
                    let what = format!("{} is deleted although it has succeeded", pod.key());
                    self.violated(at, what);
                }
                let marked = Pod {
                    terminating: true,
                    ..Pod::clone(pod)
                };
                self.pods.insert(pod.uid.clone(), Arc::new(marked));
            }
            Happening::PodGone(pod) => {
                self.pods.remove(&pod.uid);
            }
            Happening::LateWrite => self.is_late = true,
            Happening::Observed { pods, nodes } => self.observed(*pods, *nodes),
            Happening::BatchReported(batch) => self.reported(batch),
            Happening::BatchSet(_)
            | Happening::BatchGone(_)
            | Happening::Told(_)
            | Happening::Crashed => {}
        }
        self.is_late = matches!(happening, Happening::LateWrite);
    }

    fn passes(&mut self, from: Millis, to: Millis) {
        for half in self.halves.pass(self.pods.values(), (from, to)) {
            self.violated(to, half);
        }
    }
}

fn worker_of(own: &OwnPod) -> Worker {
    (
        own.batch_uid.clone(),
        own.task.clone(),
        own.copy,
        own.worker,
    )
}

/// The numbers in a text such as `0-4,7`.
fn ranges(text: &str) -> impl Iterator<Item = u32> + '_ {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse::<u32>().ok()?..=last.trim().parse().ok()?)
        })
        .flatten()
}
