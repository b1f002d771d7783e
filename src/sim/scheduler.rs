//! kube-scheduler, as far as delegated pods go: it binds a pod without gates to a node that admits it and has room,
//! or says on the pod why it cannot.

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::cluster::{Cluster, Incoming, Live, Machine, id_of, key_of};
use super::history::Happening;
use super::kubelet::lacking;
use crate::api::{SCHEDULING_GATE, annotation};
use crate::cluster::pod::Pod;
use crate::constraint;
use crate::decide::{ObjectId, Outcome, ReleasePod, TakeBack};
use crate::model::{Millis, Resources};

/// How long it waits before it looks again at a pod that it could not bind.
const AGAIN: Millis = 10_000;

impl Cluster {
    /// The operator lifts its gate.
    pub(super) fn release(&mut self, action: &ReleasePod) -> Outcome {
        if !self.is_unchanged(&action.pod, &action.resource_version) {
            return Outcome::Conflict;
        }
        let key = key_of(&action.pod);
        let now = action.now.to_string();
        let released = self.change_pod(&key, |object| {
            let notes = object.metadata.annotations.get_or_insert_default();
            notes.insert(annotation::RELEASED.into(), now);
            let spec = object.spec.get_or_insert_default();
            let gates = spec.scheduling_gates.get_or_insert_default();
            gates.retain(|gate| gate.name != SCHEDULING_GATE);
        });
        self.seen(&key);
        if let Some(pod) = released {
            let at = self.now.saturating_add(self.options.scheduling);
            self.queue.push(at, Incoming::Schedule(id_of(&pod)));
        }
        Outcome::Done
    }

    /// The operator deletes a pod that it believes unschedulable.
    pub(super) fn take_back(&mut self, action: &TakeBack) -> Outcome {
        if !self.is_unchanged(&action.pod, &action.resource_version) {
            return Outcome::Conflict;
        }
        let key = key_of(&action.pod);
        self.delete_pod(&key, true);
        self.seen(&key);
        Outcome::Done
    }

    fn is_unchanged(&self, id: &ObjectId, version: &str) -> bool {
        self.pod(id)
            .is_some_and(|live| live.read.resource_version == version)
    }

    /// kube-scheduler looks at a pod.
    pub(super) fn schedule_pod(&mut self, id: &ObjectId) {
        let Some(pod) = self.pod(id).map(|live| live.read.clone()) else {
            return;
        };
        if pod.node.is_some() || pod.terminating || pod.is_finished() {
            return;
        }
        let found = match self.strikes(self.options.faults.unschedulable, "unschedulable") {
            true => Err("1 node(s) didn't match pod anti-affinity rules".to_owned()),
            false => self.node_for(&pod),
        };
        match found {
            Ok(node) => self.bind_to(id, node),
            Err(why) => self.say_unschedulable(id, why),
        }
    }

    /// The first node that admits the pod and has room beside everything that is bound to it.
    fn node_for(&self, pod: &Pod) -> Result<String, String> {
        let rules = pod.own.as_ref().and_then(|own| own.placement.as_ref());
        let takes = |machine: &&Machine| {
            let node = &machine.node;
            let admits = rules.is_some_and(|rules| constraint::admits(rules, node).is_ok());
            let used = self.bound_to(&node.name);
            admits && used.is_some_and(|used| lacking(node, &used, &pod.requests).is_none())
        };
        let found = self.nodes.values().find(takes);
        let found = found.map(|machine| machine.node.name.clone());
        found.ok_or_else(|| format!("0/{} nodes are available", self.nodes.len()))
    }

    fn bound_to(&self, node: &str) -> Option<Resources> {
        let here =
            |live: &&Live| !live.read.is_finished() && live.read.node.as_deref() == Some(node);
        let mut used = Resources::default();
        for live in self.pods.values().filter(here) {
            used.add(&live.read.requests).ok()?;
        }
        Some(used)
    }

    fn say_unschedulable(&mut self, id: &ObjectId, why: String) {
        let since = self.stamp(self.now);
        self.change_pod(&key_of(id), |object| {
            set_scheduled(object, since, Some(why));
        });
        let at = self.now.saturating_add(AGAIN);
        self.queue.push(at, Incoming::Schedule(id.clone()));
    }

    /// Binds a pod, whoever decided it.
    pub(super) fn bind_to(&mut self, id: &ObjectId, node: String) {
        let since = self.stamp(self.now);
        let bound = self.change_pod(&key_of(id), |object| {
            object.spec.get_or_insert_default().node_name = Some(node);
            set_scheduled(object, since, None);
        });
        if let Some(pod) = bound {
            self.hand_over(&pod);
            self.tell(Happening::PodBound(pod));
        }
    }
}

/// Whether the pod is scheduled, and why it is not; the time of transition stays for as long as the answer does.
fn set_scheduled(object: &mut k8s::Pod, now: Time, why_not: Option<String>) {
    let status = if why_not.is_none() { "True" } else { "False" };
    let conditions = object
        .status
        .get_or_insert_default()
        .conditions
        .get_or_insert_default();
    let before = conditions
        .iter()
        .find(|one| one.type_ == "PodScheduled" && one.status == status);
    let since = before
        .and_then(|one| one.last_transition_time.clone())
        .unwrap_or(now);
    conditions.retain(|one| one.type_ != "PodScheduled");
    conditions.push(k8s::PodCondition {
        type_: "PodScheduled".into(),
        status: status.into(),
        reason: why_not.is_some().then(|| "Unschedulable".into()),
        message: why_not,
        last_transition_time: Some(since),
        ..Default::default()
    });
}
