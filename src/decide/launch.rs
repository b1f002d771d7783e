//! Turns states and plans into writes: create, check again and bind or let kube-scheduler bind, delete.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Memory;
use super::attempt::keeps_its_name_until;
use super::delegate;
use super::manifest::{self, Intent};
use super::name;
use super::plan::Launch;
use super::rendezvous;
use super::returned;
use super::track::{Copy, State, Tracked};
use super::verdict;
use super::world::{Action, BindPod, CreatePod, DeletePod, ObjectId, Observed, PodsOf, ReleasePod};
use crate::api::{Binding, Reason};
use crate::cluster::pod::{OwnPod, Pod};
use crate::constraint;
use crate::model::{Node, Resources};

/// Writes that need no new plan: binds and releases of pods that still fit, deletes of what must not live on.
pub fn settle(observed: &Observed, batches: &[Tracked], memory: &Memory) -> Vec<Action> {
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
            actions.extend(spent(copy, observed.now).map(|pod| delete(pod, Reason::NodeRejected)));
            let refused = || is_refused(tracked, copy, memory, observed.now);
            if let Some(reason) = held.or_else(|| give_up(copy)).or_else(refused) {
                let live = copy.live().filter(|pod| !pod.terminating);
                actions.extend(live.map(|pod| delete(pod, reason)));
            } else if copy.state == State::Starting {
                actions.extend(start(tracked, copy, &mut room, observed.now));
            }
        }
    }
    actions
}

/// Pods of the copies that the newest plan starts now.
pub fn launches(batches: &[Tracked], memory: &Memory) -> Vec<Action> {
    let starting = starting(batches, memory, |_, _| true);
    let create = |(tracked, copy, launch)| create(tracked, copy, launch, memory);
    starting.flat_map(create).collect()
}

/// The gangs that the newest plan starts again. A worker of the earlier attempt, which found its name free, may have
/// come late, and the watch may be late too.
pub fn again(batches: &[Tracked], memory: &Memory) -> Vec<PodsOf> {
    let is_again = |tracked: &Tracked, copy: &Copy| {
        copy.attempt > 0 && tracked.object.spec.tasks[copy.task].gang.is_some()
    };
    let pods_of = |(tracked, copy, _): (&Tracked, &Copy, &Launch)| PodsOf {
        batch: tracked.id.clone(),
        copy: tracked.copy_id(copy),
    };
    starting(batches, memory, is_again).map(pods_of).collect()
}

/// Those of the wanted copies that the newest plan starts now.
fn starting<'a>(
    batches: &'a [Tracked],
    memory: &'a Memory,
    is_wanted: impl Fn(&Tracked, &Copy) -> bool,
) -> impl Iterator<Item = (&'a Tracked, &'a Copy, &'a Launch)> {
    let launches = &memory.planned.launches;
    let copies = batches
        .iter()
        .flat_map(|tracked| tracked.copies.iter().map(move |copy| (tracked, copy)));
    let waiting = copies.filter(move |(tracked, copy)| {
        matches!(copy.state, State::Waiting { .. }) && is_wanted(tracked, copy)
    });
    waiting.filter_map(|(tracked, copy)| {
        let launch = launches.get(&tracked.copy_id(copy))?;
        Some((tracked, copy, launch))
    })
}

/// Rejected pods of older attempts that nobody needs any more. Until the copy has ended, the newest of them stays:
/// were the pod of the next attempt taken back or evicted, nothing else would tell how far the attempts have come,
/// and a create that comes late would meet no pod of its name.
fn spent(copy: &Copy, now: Timestamp) -> impl Iterator<Item = &Arc<Pod>> {
    let attempt_of = |pod: &Pod| pod.own.as_ref().map(|own| own.attempt);
    let newest = copy.leftover.iter().map(|pod| attempt_of(pod)).max();
    let needed = newest.filter(|_| !copy.is_ended());
    copy.leftover
        .iter()
        .filter(move |pod| keeps_its_name_until(pod) <= now && needed != Some(attempt_of(pod)))
}

/// Why the pods that still live of this attempt must go.
fn give_up(copy: &Copy) -> Option<Reason> {
    match copy.state {
        State::Ending { cause } => Some(cause),
        State::Skipped { .. } => Some(Reason::DependencyFailed),
        // What comes late, after the end has been told.
        State::Failed { reason, .. } => Some(reason),
        State::Succeeded => Some(Reason::AllSucceeded),
        State::Waiting { .. } | State::Starting | State::Running => None,
    }
}

/// The API server has said that it will not have a pod of the attempt bound: all of them are given back, so that no
/// gang holds a part, and the copy waits before it tries again.
fn is_refused(tracked: &Tracked, copy: &Copy, memory: &Memory, now: Timestamp) -> Option<Reason> {
    let refusal = memory.refusals.get(&tracked.copy_id(copy))?;
    let stands = refusal.reason == Reason::PodRejected && refusal.until > now;
    (copy.state == State::Starting && stands).then_some(Reason::PodRejected)
}

fn delete(pod: &Pod, reason: Reason) -> Action {
    Action::Delete(DeletePod {
        pod: id_of(pod),
        resource_version: pod.resource_version.clone(),
        reason,
    })
}

/// Names exactly this pod.
pub fn id_of(pod: &Pod) -> ObjectId {
    ObjectId {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}

/// Attempts in a row that nodes may reject or lose, before Auto leaves the copy to kube-scheduler.
const MOST_REJECTIONS: u32 = 2;

/// Whether the copy is better left to kube-scheduler: whoever else binds on its nodes does so through it.
fn loses_races(tracked: &Tracked, copy: &Copy) -> bool {
    tracked.object.spec.binding == Binding::Auto && copy.rejections >= MOST_REJECTIONS
}

fn create(tracked: &Tracked, copy: &Copy, launch: &Launch, memory: &Memory) -> Vec<Action> {
    let Ok(batch) = &tracked.batch else {
        return Vec::new();
    };
    let id = tracked.copy_id(copy);
    let refusal = memory.refusals.get(&id);
    let name_taken = refusal.is_some_and(|refusal| refusal.name_taken);
    let setback = refusal.filter(|refusal| refusal.reason != Reason::PodRejected);
    let task = batch.tasks[copy.task].in_flavor(launch.flavor.as_deref());
    let pod = |(worker, node): (usize, &String)| {
        let intent = Intent {
            tracked,
            spec: &tracked.object.spec.tasks[copy.task],
            task,
            copy,
            worker: u32::try_from(worker).unwrap_or(u32::MAX),
            workers: u32::try_from(launch.nodes.len()).unwrap_or(u32::MAX),
            requests: &launch.requests,
            node,
            plan: launch.plan,
            predicted_end: launch.end,
            predicted: launch.predicted,
            level: launch.level.as_deref(),
            name_taken,
            delegated: task.delegated || loses_races(tracked, copy),
            rejections: setback.map_or(copy.rejections, |setback| setback.count),
            setback: setback.map(|setback| setback.message.as_str()),
        };
        Action::Create(CreatePod {
            copy: id.clone(),
            batch: tracked.id.clone(),
            name: name::of_pod(&intent, intent.worker),
            manifest: manifest::pod(&intent),
            // The other workers do not start without the first one.
            service: rendezvous::service(&intent).filter(|_| intent.worker == 0),
        })
    };
    launch.nodes.iter().enumerate().map(pod).collect()
}

/// Binds every pod of the attempt that is not bound yet, or lets kube-scheduler at it, or gives the whole
/// attempt back: the pods are checked as the API server returned them, against what the nodes hold now.
/// What kube-scheduler cannot bind is taken back; without it a gang is not whole, and the rest follows.
fn start(tracked: &Tracked, copy: &Copy, room: &mut Room<'_>, now: Timestamp) -> Vec<Action> {
    let lost = delegate::take_back(tracked, copy, now);
    if !lost.is_empty() {
        return lost.into_iter().map(Action::TakeBack).collect();
    }
    let held: Vec<(&Pod, &OwnPod)> = copy
        .pods
        .iter()
        .filter_map(|pod| Some((pod.as_ref(), pod.own.as_deref()?)))
        .filter(|(pod, own)| pod.node.is_none() && !own.is_released())
        .collect();
    if held.is_empty() {
        return Vec::new();
    }
    let away = held
        .iter()
        .any(|(_, own)| !own.delegated && is_off(tracked, copy, &own.node));
    let fits = room.take(&held);
    let surprises = surprises(tracked, copy, &held, room, fits);
    if !surprises.is_empty() {
        return surprises;
    }
    if away || !fits {
        return copy
            .live()
            .map(|pod| delete(pod, Reason::WaitingForCapacity))
            .collect();
    }
    let id = tracked.copy_id(copy);
    let go = |(pod, own): (&Pod, &OwnPod)| match own.delegated {
        true => Action::Release(ReleasePod {
            copy: id.clone(),
            pod: id_of(pod),
            resource_version: pod.resource_version.clone(),
            now,
        }),
        false => Action::Bind(BindPod {
            copy: id.clone(),
            pod: id_of(pod),
            resource_version: pod.resource_version.clone(),
            node: own.node.clone(),
        }),
    };
    held.into_iter().map(go).collect()
}

/// The pods that are not what their templates say, to be taken back: their tasks keep off the nodes for a while.
fn surprises(
    tracked: &Tracked,
    copy: &Copy,
    held: &[(&Pod, &OwnPod)],
    room: &Room<'_>,
    fits: bool,
) -> Vec<Action> {
    let Ok(batch) = &tracked.batch else {
        return Vec::new();
    };
    let ours = held.iter().filter(|(_, own)| !own.delegated);
    let surprise = |(pod, own): &(&Pod, &OwnPod)| {
        let (node, _) = room.nodes.get(own.node.as_str())?;
        let task = batch.tasks[copy.task].in_flavor(own.flavor.as_deref());
        let why = returned::surprise(task, pod, own, node, fits)?;
        let cause = (Reason::Unschedulable, format!("{}: {why}", own.node));
        Some(Action::TakeBack(delegate::taken(
            tracked, copy, pod, own, cause,
        )))
    };
    ours.filter_map(surprise).collect()
}

/// Whether the task must keep off this node now: for kube-scheduler that is only advice, its own look counts.
fn is_off(tracked: &Tracked, copy: &Copy, node: &str) -> bool {
    let batch = tracked.batch.as_ref();
    batch.is_ok_and(|batch| batch.tasks[copy.task].placement.off.contains(node))
}

/// What the nodes hold now: allocatable minus every pod that has not ended and is bound, has been made room for, or
/// may be bound by kube-scheduler at any moment; of what strangers leave at most the share of batches, minus our own.
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
        let live = || observed.pods.iter().filter(|pod| !pod.is_finished());
        let (ours, strangers): (Vec<_>, Vec<_>) = live().partition(|pod| pod.own.is_some());
        take_all(&mut nodes, &strangers);
        for (node, free) in nodes.values_mut() {
            observed.share.cap(free, &node.allocatable);
        }
        take_all(&mut nodes, &ours);
        Self { nodes }
    }

    /// Takes the room of all these pods on the nodes that they are meant for, or of none of them.
    fn take(&mut self, pods: &[(&Pod, &OwnPod)]) -> bool {
        let mut taken: HashMap<&'a str, Resources> = HashMap::new();
        for (pod, own) in pods {
            let Some((&key, (node, free))) = self.nodes.get_key_value(own.node.as_str()) else {
                return false;
            };
            let rules = own.placement.as_ref();
            let admitted = rules.is_some_and(|rules| constraint::admits(rules, node).is_ok());
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

/// Takes the requests of these pods from what is free. A node whose sums overflow is no longer there.
fn take_all(nodes: &mut HashMap<&str, (&Node, Resources)>, pods: &[&Arc<Pod>]) {
    for pod in pods {
        let promised = pod.own.as_ref().filter(|own| own.is_released());
        let promised = promised.map(|own| own.node.as_str());
        let Some(name) = pod.holder().or(promised) else {
            continue;
        };
        let overflows = nodes
            .get_mut(name)
            .is_some_and(|(_, free)| free.subtract(&pod.requests).is_err());
        if overflows {
            nodes.remove(name);
        }
    }
}
