//! What kubelets do: admit pods, start them, tell how they end, fall silent and come back.
//! Eviction after 300 s of silence and the collection of stranded pods are the controllers' part of it.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::chance;
use super::cluster::{Cluster, Ending, Incoming, Key, Length, Live, id_of, key_of};
use super::history::Happening;
use crate::cluster::pod::Pod;
use crate::decide::ObjectId;
use crate::model::host_port::is_host_port;
use crate::model::{CPU, MEMORY, Millis, Node, PODS, Resources, Taint, TaintEffect, is_extended};

/// How long a node may be silent before its pods are evicted: the toleration that every pod is given.
const EVICTION_AFTER: Millis = 300_000;
/// How long the pod collector waits before it believes that a node is gone.
pub(super) const STRANDED_AFTER: Millis = 60_000;
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

const COMPLETED: Ending = Ending {
    code: 0,
    reason: "Completed",
};
const ERROR: Ending = Ending {
    code: 1,
    reason: "Error",
};
const OUT_OF_MEMORY: Ending = Ending {
    code: 137,
    reason: "OOMKilled",
};

impl Cluster {
    /// The kubelet of the pod's node takes its turn; a silent one does so when it is back.
    pub(super) fn kubelet(&mut self, incoming: Incoming) {
        let (Incoming::Admit(id)
        | Incoming::Start(id)
        | Incoming::End(id, ..)
        | Incoming::Stopped(id)) = &incoming
        else {
            return;
        };
        let node = self.pod(id).and_then(|live| live.read.node.clone());
        let Some(machine) = node.and_then(|name| self.nodes.get_mut(&name)) else {
            return;
        };
        if machine.lost.is_some() {
            machine.late.push(incoming);
            return;
        }
        match incoming {
            Incoming::Admit(id) => self.admit(&id),
            Incoming::Start(id) => self.start(&id),
            Incoming::End(id, at, ending) => self.end(&id, at, ending),
            Incoming::Stopped(id) => self.forget_pod(&key_of(&id)),
            _ => {}
        }
    }

    fn admit(&mut self, id: &ObjectId) {
        let Some(live) = self.pod(id).filter(|live| !live.read.is_finished()) else {
            return;
        };
        let (pod, key) = (live.read.clone(), key_of(id));
        match self.rejection(&pod) {
            Some((reason, message)) => {
                let rejected = self.change_pod(&key, |object| {
                    let status = object.status.get_or_insert_default();
                    status.phase = Some("Failed".into());
                    status.reason = Some(reason);
                    status.message = Some(format!("Pod was rejected: {message}"));
                });
                self.told(rejected, Happening::PodRejected);
            }
            None => {
                if let Some(live) = self.pods.get_mut(&key) {
                    live.admitted = true;
                }
                let at = self.now.saturating_add(self.options.startup);
                self.queue.push(at, Incoming::Start(id.clone()));
            }
        }
    }

    /// Why the kubelet does not take the pod, as reason and message, in its words.
    fn rejection(&self, pod: &Pod) -> Option<(String, String)> {
        let node = &self.nodes.get(pod.node.as_ref()?)?.node;
        let mut used = Resources::default();
        for other in self
            .pods
            .values()
            .filter(|live| uses_room(live, &node.name))
        {
            used.add(&other.read.requests).ok()?;
        }
        if chance::happens(
            self.options.faults.node_rejects,
            self.options.seed,
            "rejects",
            &pod.uid,
        ) {
            let message = "Allocate failed due to device plugin GetPreferredAllocation rpc failed, which is unexpected";
            return Some(("UnexpectedAdmissionError".into(), message.into()));
        }
        lacking(node, &used, &pod.requests)
    }

    fn start(&mut self, id: &ObjectId) {
        let Some(live) = self.pod(id) else { return };
        if live.read.is_finished() || live.read.terminating {
            return;
        }
        let (pod, length) = (live.read.clone(), live.length);
        let started = self.stamp(self.now);
        let running = self.change_pod(&key_of(id), |object| {
            set_phase(
                object,
                "Running",
                &k8s::ContainerState {
                    running: Some(k8s::ContainerStateRunning {
                        started_at: Some(started.clone()),
                    }),
                    ..Default::default()
                },
            );
            object.status.get_or_insert_default().start_time = Some(started);
        });
        self.told(running, Happening::PodStarted);
        if let Some((length, ending)) = self.fate(&pod, length) {
            let at = self.now.saturating_add(length);
            self.queue.push(at, Incoming::End(id.clone(), at, ending));
        }
    }

    /// How long a pod will run and how it will end; `None`: it runs for ever.
    fn fate(&self, pod: &Pod, length: Length) -> Option<(Millis, Ending)> {
        let (seed, faults) = (self.options.seed, &self.options.faults);
        let length = match length {
            Length::Ever => return None,
            Length::For(length) => return Some((length.max(0), COMPLETED)),
            Length::Predicted => pod.own.as_ref()?.predicted?.total.max(0),
        };
        let name = pod.key();
        let length = length as f64 * chance::lognormal(faults.noise, seed, "length", &name);
        let cut_short = length * chance::uniform(seed, "cut short", &name);
        let (length, ending) = if chance::happens(faults.out_of_memory, seed, "memory", &name) {
            (cut_short, OUT_OF_MEMORY)
        } else if chance::happens(faults.run_fails, seed, "fails", &name) {
            (cut_short, ERROR)
        } else {
            (length, COMPLETED)
        };
        // Rounded to whole ms; a cast of a float saturates.
        Some((libm::round(length) as Millis, ending))
    }

    fn end(&mut self, id: &ObjectId, at: Millis, ending: Ending) {
        let Some(live) = self.pod(id).filter(|live| !live.read.is_finished()) else {
            return;
        };
        let started = live.read.own.as_ref().and_then(|own| own.started).map(Time);
        let finished = self.stamp(at);
        let phase = if ending.code == 0 {
            "Succeeded"
        } else {
            "Failed"
        };
        let ended = self.change_pod(&key_of(id), |object| {
            set_phase(
                object,
                phase,
                &k8s::ContainerState {
                    terminated: Some(k8s::ContainerStateTerminated {
                        exit_code: ending.code,
                        reason: Some(ending.reason.into()),
                        started_at: started,
                        finished_at: Some(finished),
                        ..Default::default()
                    }),
                    ..Default::default()
                },
            );
        });
        self.told(ended, Happening::PodEnded);
    }

    /// A node falls silent: nobody knows what its pods do.
    pub(super) fn lose_node(&mut self, name: &str, lasting: Millis) {
        let loss = self.version;
        let Some(machine) = self
            .nodes
            .get_mut(name)
            .filter(|machine| machine.lost.is_none())
        else {
            return;
        };
        machine.lost = Some(loss);
        self.set_ready(name, false);
        self.tell(Happening::NodeLost(name.to_owned()));
        let after = |wait: Millis| self.now.saturating_add(wait);
        let (evict, back) = (after(EVICTION_AFTER), after(lasting.max(0)));
        self.queue
            .push(evict, Incoming::Evict(name.to_owned(), loss));
        self.queue
            .push(back, Incoming::NodeBack(name.to_owned(), loss));
    }

    /// A node is heard of again: its kubelet tells what happened meanwhile.
    pub(super) fn node_back(&mut self, name: &str, loss: u64) {
        let Some(machine) = self
            .nodes
            .get_mut(name)
            .filter(|machine| machine.lost == Some(loss))
        else {
            return;
        };
        machine.lost = None;
        for late in std::mem::take(&mut machine.late) {
            self.queue.push(self.now, late);
        }
        self.set_ready(name, true);
        self.tell(Happening::NodeBack(name.to_owned()));
    }

    /// The pods of a node that has been silent for long are marked as deleted; they go once it is back.
    pub(super) fn evict(&mut self, name: &str, loss: u64) {
        if self.nodes.get(name).and_then(|machine| machine.lost) != Some(loss) {
            return;
        }
        for key in self.unfinished_on(|node| node == name) {
            self.change_pod(&key, |object| disrupt(object, "DeletionByTaintManager"));
            self.delete_pod(&key, false);
        }
    }

    /// Removes a node object and its kubelet.
    pub(super) fn remove_node(&mut self, name: &str) {
        if self.nodes.remove(name).is_none() {
            return;
        }
        self.next_version();
        self.tell(Happening::NodeGone(name.to_owned()));
        let at = self.now.saturating_add(STRANDED_AFTER);
        self.queue.push(at, Incoming::CollectStranded);
    }

    /// Pods whose node is gone fail and are removed, finished ones too.
    pub(super) fn collect_stranded(&mut self) {
        let nodes: Vec<String> = self.nodes.keys().cloned().collect();
        let gone = |node: &str| !nodes.iter().any(|name| name == node);
        for key in self.unfinished_on(gone) {
            let failed = self.change_pod(&key, |object| {
                disrupt(object, "DeletionByPodGC");
                object.status.get_or_insert_default().phase = Some("Failed".into());
            });
            self.told(failed, Happening::PodEnded);
        }
        let stranded = self
            .pods
            .iter()
            .filter(|(_, live)| live.read.node.as_deref().is_some_and(gone));
        for key in stranded.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.delete_pod(&key, false);
        }
    }

    fn unfinished_on(&self, wanted: impl Fn(&str) -> bool) -> Vec<Key> {
        let here = |live: &Live| {
            !live.read.is_finished() && live.read.node.as_deref().is_some_and(&wanted)
        };
        let found = self.pods.iter().filter(|(_, live)| here(live));
        found.map(|(key, _)| key.clone()).collect()
    }

    fn set_ready(&mut self, name: &str, ready: bool) {
        let Some(machine) = self.nodes.get(name) else {
            return;
        };
        let mut node = Node::clone(&machine.node);
        node.ready = ready;
        node.taints.retain(|taint| taint.key != UNREACHABLE);
        let effects = [TaintEffect::NoSchedule, TaintEffect::NoExecute];
        for effect in effects.into_iter().filter(|_| !ready) {
            node.taints.push(Taint {
                key: UNREACHABLE.into(),
                value: String::new(),
                effect,
            });
        }
        self.set_node(node);
    }

    pub(super) fn told(&mut self, pod: Option<Arc<Pod>>, happening: fn(Arc<Pod>) -> Happening) {
        if let Some(pod) = pod {
            self.tell(happening(pod));
        }
    }

    /// Removes a pod object.
    pub(super) fn forget_pod(&mut self, key: &Key) {
        if let Some(live) = self.pods.remove(key) {
            self.next_version();
            self.tell(Happening::PodGone(live.read));
        }
    }

    /// Hands a bound pod to the kubelet of its node; without one, to the pod collector.
    pub(super) fn hand_over(&mut self, pod: &Pod) {
        let known = pod
            .node
            .as_ref()
            .is_some_and(|node| self.nodes.contains_key(node));
        let (wait, next) = if known {
            (0, Incoming::Admit(id_of(pod)))
        } else {
            (STRANDED_AFTER, Incoming::CollectStranded)
        };
        self.queue.push(self.now.saturating_add(wait), next);
    }
}

fn uses_room(live: &Live, node: &str) -> bool {
    live.admitted && !live.read.is_finished() && live.read.node.as_deref() == Some(node)
}

/// What the node lacks for the pod. Devices are allocated before the other resources are looked at;
/// devices that the node does not list are not the business of its kubelet.
pub(super) fn lacking(
    node: &Node,
    used: &Resources,
    wanted: &Resources,
) -> Option<(String, String)> {
    let short = |name: &str| {
        wanted.get(name) > 0 && wanted.get(name) > node.allocatable.room(name) - used.get(name)
    };
    let devices = wanted
        .iter()
        .filter(|(name, _)| is_extended(name) && node.allocatable.contains(name));
    if let Some((name, requested)) = devices.into_iter().find(|(name, _)| short(name)) {
        let message = format!(
            "Allocate failed due to requested number of devices unavailable for {name}. Requested: {requested}, Available: {}, which is unexpected",
            node.allocatable.get(name) - used.get(name)
        );
        return Some(("UnexpectedAdmissionError".into(), message));
    }
    let first = [PODS, CPU, MEMORY];
    let others = wanted.iter().map(|(name, _)| name);
    let others = others.filter(|name| !is_extended(name) && !first.contains(name));
    let name = first.into_iter().chain(others).find(|name| short(name))?;
    if is_host_port(name) {
        let message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
        return Some(("NodePorts".into(), message.into()));
    }
    let message = format!(
        "Node didn't have enough resource: {name}, requested: {}, used: {}, capacity: {}",
        wanted.get(name),
        used.get(name),
        node.allocatable.get(name)
    );
    Some((format!("OutOf{name}"), message))
}

fn set_phase(object: &mut k8s::Pod, phase: &str, state: &k8s::ContainerState) {
    let containers = object.spec.iter().flat_map(|spec| &spec.containers);
    let statuses = containers.map(|one| k8s::ContainerStatus {
        name: one.name.clone(),
        image: one.image.clone().unwrap_or_default(),
        ready: state.running.is_some(),
        started: Some(state.running.is_some()),
        state: Some(state.clone()),
        ..Default::default()
    });
    let statuses = statuses.collect();
    let status = object.status.get_or_insert_default();
    status.phase = Some(phase.into());
    status.container_statuses = Some(statuses);
}

fn disrupt(object: &mut k8s::Pod, reason: &str) {
    let status = object.status.get_or_insert_default();
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "DisruptionTarget");
    conditions.push(k8s::PodCondition {
        type_: "DisruptionTarget".into(),
        status: "True".into(),
        reason: Some(reason.into()),
        ..Default::default()
    });
}
