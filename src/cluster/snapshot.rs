//! Nodes and pods become what is free, now and later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::pod::Pod;
use crate::model::{Hold, Millis, Node, Resources, Snapshot};

/// When a pod of ours that has outlived its prediction is expected to end: in the next moment, in ms.
const OVERDUE: Millis = 1;

/// What is free on each node. Pods of strangers never end; our own end when the plan expected them to,
/// or in the next moment when they are overdue. A pod of ours that is not bound yet counts on the node
/// that it is meant for. A node whose sums overflow is left out, since nothing true can be said of it.
pub fn take(nodes: &[Arc<Node>], pods: &[Arc<Pod>], now: Timestamp) -> Snapshot {
    let mut sorted: Vec<Arc<Node>> = nodes.to_vec();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    sorted.dedup_by(|a, b| a.name == b.name);
    let index: BTreeMap<&str, usize> = sorted
        .iter()
        .enumerate()
        .map(|(at, node)| (node.name.as_str(), at))
        .collect();
    let mut free: Vec<Resources> = sorted.iter().map(|node| node.allocatable.clone()).collect();
    let mut holds: Vec<Vec<Hold>> = vec![Vec::new(); sorted.len()];
    let mut broken = BTreeSet::new();
    for pod in pods.iter().filter(|pod| !pod.is_finished()) {
        let Some(&at) = node_of(pod).and_then(|name| index.get(name)) else {
            continue;
        };
        match &pod.own {
            Some(own) => holds[at].push(Hold {
                from: 0,
                until: own
                    .predicted_end
                    .map_or(OVERDUE, |end| millis_until(end, now)),
                demand: pod.requests.clone(),
            }),
            None if free[at].subtract(&pod.requests).is_err() => {
                broken.insert(at);
            }
            None => {}
        }
    }
    let mut snapshot = Snapshot::default();
    for (at, node) in sorted.iter().enumerate() {
        if !broken.contains(&at) {
            let mut held = std::mem::take(&mut holds[at]);
            held.sort();
            snapshot.nodes.push(node.clone());
            snapshot.free.push(std::mem::take(&mut free[at]));
            snapshot.holds.push(held);
        }
    }
    snapshot
}

/// The node that a pod uses: see `Pod::holder`, and for our own the one it is meant for.
pub fn node_of(pod: &Pod) -> Option<&str> {
    let meant = || pod.own.as_ref().map(|own| own.node.as_str());
    pod.holder().or_else(meant)
}

fn millis_until(end: Timestamp, now: Timestamp) -> Millis {
    (end.as_millisecond() - now.as_millisecond()).max(OVERDUE)
}

/// What is free on each node right now: without what our own pods hold. Sums that overflow saturate downwards.
pub fn free_now(snapshot: &Snapshot) -> Vec<Resources> {
    let mut free = snapshot.free.clone();
    for (room, holds) in free.iter_mut().zip(&snapshot.holds) {
        for hold in holds.iter().filter(|hold| hold.from <= 0 && hold.until > 0) {
            if room.subtract(&hold.demand).is_err() {
                *room = Resources::default();
            }
        }
    }
    free
}
