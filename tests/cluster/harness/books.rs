//! What must never happen in a cluster, told from its pods and from the audit log alone: nothing here
//! believes a word of the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use taskbatch::api::label;

use super::admission::{self, Amounts};
use super::audit::Write;
use super::gangs::Gangs;

/// One worker of one copy of a task: (uid of the batch, task, copy, worker).
type Worker = (String, String, String, String);

/// The books of some namespaces, each of them that of one sender.
#[derive(Default)]
pub(crate) struct Books {
    nodes: BTreeMap<String, Amounts>,
    /// The pods that exist, by uid.
    pods: BTreeMap<String, Seen>,
    /// How the pods went that were ever seen, by worker and uid.
    runs: BTreeMap<Worker, BTreeMap<String, Run>>,
    /// Namespace and name of the pods that senders have created for batches.
    created: BTreeSet<(String, String)>,
    /// When pods of a batch were bound and had not ended, by uid of the batch: first and last moments, in order.
    busy: BTreeMap<String, Vec<(Instant, Option<Instant>)>>,
    /// Where senders asked to bind a pod of this uid.
    bindings: BTreeMap<String, String>,
    /// Writes of each sender, leases aside.
    writes: BTreeMap<String, Vec<Write>>,
    pub(crate) gangs: Gangs,
    wrong: Vec<(String, String)>,
}

/// A pod as it was seen last.
struct Seen {
    namespace: String,
    name: String,
    worker: Option<Worker>,
    node: Option<String>,
    requests: Amounts,
    is_over: bool,
}

/// How a pod went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its containers were seen to run, or to have run.
    pub(crate) started: bool,
    pub(crate) succeeded: bool,
    /// It ended well while somebody wanted it gone: nobody needs to have seen that.
    pub(crate) late: bool,
    pub(crate) failed: bool,
}

/// How the pods of one copy went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) pods: usize,
    pub(crate) started: usize,
    pub(crate) succeeded: usize,
    pub(crate) late: usize,
    pub(crate) failed: usize,
}

impl Books {
    /// A node on which our pods may run.
    pub(crate) fn node(&mut self, node: &Node) -> Result<()> {
        let allocatable = node
            .status
            .as_ref()
            .and_then(|status| status.allocatable.as_ref());
        self.nodes
            .insert(node.name_any(), admission::amounts(allocatable)?);
        Ok(())
    }

    /// A pod is there, or has changed.
    pub(crate) fn pod(&mut self, pod: &Pod) -> Result<()> {
        let uid = pod.uid().unwrap_or_default();
        let seen = Seen::of(pod)?;
        self.gangs.pod(pod);
        if let Some(worker) = &seen.worker {
            if !self.pods.contains_key(&uid) {
                self.is_alone(worker, &seen);
            }
            let runs = self.runs.entry(worker.clone()).or_default();
            runs.entry(uid.clone()).or_default().learn(pod);
        }
        let before = self.pods.insert(uid.clone(), seen);
        self.count_busy(&uid);
        let was_bound = before.is_some_and(|before| before.node.is_some());
        if !was_bound {
            self.fits(&uid);
        }
        Ok(())
    }

    /// A pod is gone.
    pub(crate) fn gone(&mut self, uid: &str) {
        if let Some(seen) = self.pods.get_mut(uid) {
            seen.is_over = true;
            self.count_busy(uid);
        }
        self.pods.remove(uid);
        self.gangs.gone(uid);
    }

    /// Whether the kubelets have anything to do for the batch of this pod has perhaps changed.
    fn count_busy(&mut self, uid: &str) {
        let worker = self.pods.get(uid).and_then(|seen| seen.worker.as_ref());
        let Some(batch) = worker.map(|worker| worker.0.clone()) else {
            return;
        };
        let is_on = |seen: &Seen| {
            let of = seen.worker.as_ref().is_some_and(|worker| worker.0 == batch);
            of && seen.node.is_some() && !seen.is_over
        };
        let is_busy = self.pods.values().any(is_on);
        let times = self.busy.entry(batch).or_default();
        match times.last_mut() {
            Some((_, end @ None)) if !is_busy => *end = Some(Instant::now()),
            Some((_, None)) => {}
            _ if is_busy => times.push((Instant::now(), None)),
            _ => {}
        }
    }

    /// How long the kubelets had something to do for a batch in this stretch: that is not the operator's time.
    pub(crate) fn busy(&self, batch_uid: &str, from: Instant, to: Instant) -> Duration {
        let times = self.busy_times(batch_uid).iter();
        let within = times.map(|(first, last)| {
            let (first, last) = ((*first).max(from), last.unwrap_or(to).min(to));
            last.saturating_duration_since(first)
        });
        within.sum()
    }

    /// When the kubelets had something to do for a batch: first and last moments, in order.
    pub(crate) fn busy_times(&self, batch_uid: &str) -> &[(Instant, Option<Instant>)] {
        self.busy.get(batch_uid).map_or(&[], Vec::as_slice)
    }

    /// The uids of the pods that are there.
    pub(crate) fn uids(&self) -> BTreeSet<String> {
        self.pods.keys().cloned().collect()
    }

    /// No other pod of this worker may live, and none may have ended well.
    fn is_alone(&mut self, worker: &Worker, seen: &Seen) {
        let same = |other: &&Seen| other.worker.as_ref() == Some(worker) && !other.is_over;
        let twin = self.pods.values().find(same).map(|twin| twin.name.clone());
        let done = self
            .runs
            .get(worker)
            .is_some_and(|runs| runs.values().any(|run| run.succeeded));
        let (namespace, name) = (seen.namespace.clone(), &seen.name);
        if let Some(twin) = twin {
            let what = format!("{name} is created although {twin} of its copy lives");
            self.wrong.push((namespace, what));
        } else if done {
            let what = format!("{name} is created although its copy has succeeded");
            self.wrong.push((namespace, what));
        }
    }

    /// The node of a pod of ours that was just bound must have room for all that is on it.
    fn fits(&mut self, uid: &str) {
        let Some(seen) = self.pods.get(uid).filter(|seen| seen.worker.is_some()) else {
            return;
        };
        let (Some(name), false) = (&seen.node, seen.is_over) else {
            return;
        };
        let (namespace, pod) = (seen.namespace.clone(), &seen.name);
        let Some(allocatable) = self.nodes.get(name) else {
            let what = format!("{pod} is bound to {name}, which is none of its nodes");
            return self.wrong.push((namespace, what));
        };
        let here = |other: &&Seen| other.node.as_ref() == Some(name) && !other.is_over;
        let mut used = Amounts::new();
        for other in self.pods.values().filter(here) {
            *used.entry("pods".into()).or_default() += 1;
            for (resource, amount) in &other.requests {
                *used.entry(resource.clone()).or_default() += amount;
            }
        }
        let lacks = |resource: &&String| {
            used[*resource] > allocatable.get(*resource).copied().unwrap_or(0)
                && (*resource == "pods" || seen.requests.get(*resource).is_some_and(|it| *it > 0))
        };
        if let Some(resource) = used.keys().find(lacks) {
            let what = format!(
                "{pod} is bound to {name}, where {} of {resource} are used then, of {}",
                used[resource],
                allocatable.get(resource).copied().unwrap_or(0)
            );
            self.wrong.push((namespace, what));
        }
    }

    /// A write stands in the audit log. The namespace of a sender is called like the sender.
    pub(crate) fn write(&mut self, write: Write) {
        if write.resource == "leases" && write.namespace == write.sender {
            return;
        }
        if let Err(what) = self.judge(&write) {
            let what = format!("{what}: {}", write.shown());
            self.wrong.push((write.sender.clone(), what));
        }
        self.writes
            .entry(write.sender.clone())
            .or_default()
            .push(write);
    }

    fn judge(&mut self, write: &Write) -> Result<(), &'static str> {
        if write.namespace != write.sender {
            return Err("a write outside of its namespace");
        }
        let key = (write.namespace.clone(), write.name.clone());
        let kind = (write.resource.as_str(), write.subresource.as_str());
        match (write.verb.as_str(), kind) {
            ("create", ("events", "")) => Ok(()),
            ("patch" | "update", ("taskbatches", "status")) | ("delete", ("taskbatches", "")) => {
                Ok(())
            }
            ("create", ("pods" | "services", "")) => {
                if write.body["metadata"]["ownerReferences"][0]["kind"] != "TaskBatch" {
                    return Err("an object that belongs to no batch");
                }
                if write.resource == "pods" && write.may_be_done() {
                    self.created.insert(key);
                }
                Ok(())
            }
            _ if write.resource == "pods" && !self.created.contains(&key) => {
                Err("a write to a pod that is not its own")
            }
            ("create", ("pods", "binding")) => self.binding(write),
            ("delete", ("pods", "")) => {
                let named = |what: &str| write.body["preconditions"][what].is_string();
                match named("uid") && named("resourceVersion") {
                    true => Ok(()),
                    false => Err("a delete of a pod that may have changed meanwhile"),
                }
            }
            ("patch" | "update", ("pods", "")) => Ok(()),
            _ => Err("a write to an object that is not its own"),
        }
    }

    /// A pod may be asked to be bound again, after a lost reply, but not to another node.
    fn binding(&mut self, write: &Write) -> Result<(), &'static str> {
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let Some(uid) = text(&write.body["metadata"]["uid"]) else {
            return Err("a binding that names no uid");
        };
        let node = text(&write.body["target"]["name"]).unwrap_or_default();
        match self.bindings.get(&uid) {
            Some(before) if *before != node => return Err("a pod is bound twice"),
            _ => {}
        }
        if write.is_done() && self.bindings.insert(uid, node).is_some() {
            return Err("a pod is bound twice");
        }
        Ok(())
    }

    /// What must not have happened in this namespace.
    pub(crate) fn wrong(&self, namespace: &str) -> Vec<String> {
        let here = self.wrong.iter().filter(|(of, _)| of == namespace);
        let told = here.map(|(_, what)| what.clone());
        told.chain(self.gangs.halves(namespace)).collect()
    }

    /// The writes of a sender, leases aside.
    pub(crate) fn writes(&self, sender: &str) -> &[Write] {
        self.writes.get(sender).map_or(&[], Vec::as_slice)
    }

    /// How the pods of each copy of a batch went, by task and copy; a gang counts as its first worker.
    pub(crate) fn tally(&self, batch_uid: &str) -> BTreeMap<(String, String), Tally> {
        let mut found: BTreeMap<(String, String), Tally> = BTreeMap::new();
        for ((uid, task, copy, worker), runs) in &self.runs {
            // Only workers of gangs have a rank.
            if uid != batch_uid || !matches!(worker.as_str(), "" | "0") {
                continue;
            }
            let tally = found.entry((task.clone(), copy.clone())).or_default();
            for run in runs.values() {
                tally.pods += 1;
                tally.started += usize::from(run.started);
                tally.succeeded += usize::from(run.succeeded);
                tally.late += usize::from(run.late && !run.succeeded);
                tally.failed += usize::from(run.failed);
            }
        }
        found
    }

    /// The names of the pods of a batch that are there.
    pub(crate) fn pods_of(&self, batch_uid: &str) -> Vec<String> {
        let of = |seen: &&Seen| {
            seen.worker
                .as_ref()
                .is_some_and(|worker| worker.0 == batch_uid)
        };
        self.pods
            .values()
            .filter(of)
            .map(|seen| seen.name.clone())
            .collect()
    }

    /// How many pods of a batch run now.
    pub(crate) fn running(&self, batch_uid: &str) -> usize {
        let runs = self.runs.iter().filter(|((uid, ..), _)| uid == batch_uid);
        let runs = runs.flat_map(|(_, runs)| runs);
        let on = |(uid, run): &(&String, &Run)| {
            run.started && self.pods.get(*uid).is_some_and(|seen| !seen.is_over)
        };
        runs.filter(on).count()
    }
}

impl Seen {
    fn of(pod: &Pod) -> Result<Self> {
        let labels = pod.labels();
        let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
        let mut owners = pod.owner_references().iter();
        let owner = owners.find(|owner| owner.kind == "TaskBatch");
        let worker = owner.map(|owner| {
            let (task, copy, worker) = (label::TASK, label::COPY, label::WORKER);
            (owner.uid.clone(), label(task), label(copy), label(worker))
        });
        Ok(Self {
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            worker,
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            requests: admission::effective_requests(pod)?,
            is_over: matches!(phase(pod), "Succeeded" | "Failed"),
        })
    }
}

impl Run {
    fn learn(&mut self, pod: &Pod) {
        let status = pod.status.as_ref();
        let containers = status.and_then(|status| status.container_statuses.as_ref());
        let has_run = containers.into_iter().flatten().any(|one| {
            let state = one.state.as_ref();
            state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        });
        self.started |= has_run;
        let is_leaving = pod.metadata.deletion_timestamp.is_some();
        self.succeeded |= phase(pod) == "Succeeded" && !is_leaving;
        self.late |= phase(pod) == "Succeeded" && is_leaving;
        self.failed |= phase(pod) == "Failed";
    }
}

fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("Pending")
}
