//! Turns states and plans into writes: create, check again and bind, delete.

use std::collections::HashMap;

use super::Memory;
use super::manifest::{self, Intent};
use super::plan::Launch;
use super::track::{Copy, State, Tracked};
use super::verdict;
use super::world::{Action, BindPod, CreatePod, DeletePod, ObjectId, Observed};
use crate::api::Reason;
use crate::cluster::pod::Pod;
use crate::constraint;
use crate::model::{Node, Resources};

/// Writes that need no new plan: binds of pods that still fit, deletes of what must not live on.
pub fn settle(observed: &Observed, batches: &[Tracked]) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut room = Room::new(observed);
    for tracked in batches {
        if tracked.is_deleting() {
            continue;
        }
        if let Some(id) = verdict::expired(tracked, observed.now) {
            actions.push(Action::DeleteBatch(id));
            continue;
        }
        let held = verdict::must_stop(tracked, observed.now);
        for copy in &tracked.copies {
            actions.extend(
                copy.leftover
                    .iter()
                    .map(|pod| delete(pod, Reason::NodeRejected)),
            );
            if let Some(reason) = held.or(give_up(copy)) {
                let live = copy.live().filter(|pod| !pod.terminating);
                actions.extend(live.map(|pod| delete(pod, reason)));
            } else if copy.state == State::Starting {
                actions.extend(bind(tracked, copy, &mut room));
            }
        }
    }
    actions
}

/// Pods of the copies that the newest plan starts now.
pub fn launches(batches: &[Tracked], memory: &Memory) -> Vec<Action> {
    let launches = &memory.planned.launches;
    let mut actions = Vec::new();
    for tracked in batches {
        for copy in tracked
            .copies
            .iter()
            .filter(|copy| matches!(copy.state, State::Waiting { .. }))
        {
            if let Some(launch) = launches.get(&tracked.copy_id(copy)) {
                actions.extend(create(tracked, copy, launch, memory));
            }
        }
    }
    actions
}

/// Why the pods that still live of this attempt must go.
fn give_up(copy: &Copy) -> Option<Reason> {
    match copy.state {
        State::Ending { cause } => Some(cause),
        State::Skipped { .. } => Some(Reason::DependencyFailed),
        _ => None,
    }
}

fn delete(pod: &Pod, reason: Reason) -> Action {
    Action::Delete(DeletePod {
        pod: id_of(pod),
        reason,
    })
}

fn id_of(pod: &Pod) -> ObjectId {
    ObjectId {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}

fn create(tracked: &Tracked, copy: &Copy, launch: &Launch, memory: &Memory) -> Vec<Action> {
    let Ok(batch) = &tracked.batch else {
        return Vec::new();
    };
    let id = tracked.copy_id(copy);
    let name_taken = memory
        .refusals
        .get(&id)
        .is_some_and(|refusal| refusal.name_taken);
    let pod = |(worker, node): (usize, &String)| {
        let intent = Intent {
            tracked,
            spec: &tracked.object.spec.tasks[copy.task],
            task: &batch.tasks[copy.task],
            copy,
            worker: u32::try_from(worker).unwrap_or(u32::MAX),
            workers: u32::try_from(launch.nodes.len()).unwrap_or(u32::MAX),
            requests: &launch.requests,
            node,
            plan: launch.plan,
            predicted_end: launch.end,
            predicted: launch.predicted,
            name_taken,
        };
        Action::Create(CreatePod {
            copy: id.clone(),
            batch: tracked.id.clone(),
            name: manifest::name(&intent),
            manifest: manifest::pod(&intent),
        })
    };
    launch.nodes.iter().enumerate().map(pod).collect()
}

/// Binds every pod of the attempt that is not bound yet, or gives the whole attempt back: the pods are
/// checked as the API server returned them, against what the nodes hold now.
fn bind(tracked: &Tracked, copy: &Copy, room: &mut Room<'_>) -> Vec<Action> {
    let unbound: Vec<&Pod> = copy
        .pods
        .iter()
        .map(AsRef::as_ref)
        .filter(|pod| pod.node.is_none())
        .collect();
    if unbound.is_empty() {
        return Vec::new();
    }
    if !room.take(&unbound) {
        return copy
            .live()
            .map(|pod| delete(pod, Reason::WaitingForCapacity))
            .collect();
    }
    let bind = |pod: &Pod| {
        Action::Bind(BindPod {
            copy: tracked.copy_id(copy),
            pod: id_of(pod),
            resource_version: pod.resource_version.clone(),
            node: pod
                .own
                .as_ref()
                .map(|own| own.node.clone())
                .unwrap_or_default(),
        })
    };
    unbound.into_iter().map(bind).collect()
}

/// What the nodes hold now: allocatable minus every pod that has not ended and is bound, or has been made room for.
struct Room<'a> {
    nodes: HashMap<&'a str, (&'a Node, Resources)>,
}

impl<'a> Room<'a> {
    fn new(observed: &'a Observed) -> Self {
        let mut nodes: HashMap<&str, (&Node, Resources)> = observed
            .nodes
            .iter()
            .map(|node| {
                (
                    node.name.as_str(),
                    (node.as_ref(), node.allocatable.clone()),
                )
            })
            .collect();
        for pod in observed.pods.iter().filter(|pod| !pod.is_finished()) {
            let Some(name) = pod.holder() else {
                continue;
            };
            let overflows = nodes
                .get_mut(name)
                .is_some_and(|(_, free)| free.subtract(&pod.requests).is_err());
            if overflows {
                nodes.remove(name);
            }
        }
        Self { nodes }
    }

    /// Takes the room of all these pods on the nodes that they are meant for, or of none of them.
    fn take(&mut self, pods: &[&Pod]) -> bool {
        let mut taken: HashMap<&'a str, Resources> = HashMap::new();
        for pod in pods {
            let meant = pod
                .own
                .as_ref()
                .map(|own| (own.node.as_str(), own.placement.as_ref()));
            let Some((name, placement)) = meant else {
                return false;
            };
            let Some((&key, (node, free))) = self.nodes.get_key_value(name) else {
                return false;
            };
            let admitted = placement.is_some_and(|rules| constraint::admits(rules, node).is_ok());
            let left = taken.entry(key).or_insert_with(|| free.clone());
            if !admitted || !left.holds(&pod.requests) || left.subtract(&pod.requests).is_err() {
                return false;
            }
        }
        for (name, left) in taken {
            if let Some((_, free)) = self.nodes.get_mut(name) {
                *free = left;
            }
        }
        true
    }
}
