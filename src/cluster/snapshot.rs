//! Nodes and pods become what is free, now and later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::pod::Pod;
use crate::model::{Hold, Millis, Node, Resources, Share, Snapshot};

/// When a pod of ours that has outlived its prediction is expected to end: in the next moment, in ms.
const OVERDUE: Millis = 1;

/// What is free on each node. Pods of strangers never end; our own end when the plan expected them to,
/// or in the next moment when they are overdue. A pod of ours that is not bound yet counts on the node
/// that it is meant for. A node whose sums overflow is left out, since nothing true can be said of it.
///
/// Batches may use a share of each node: what is free for them is then at most that, less what our own pods hold of it.
pub fn take(nodes: &[Arc<Node>], pods: &[Arc<Pod>], now: Timestamp, share: Share) -> Snapshot {
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
    let mut snapshot = Snapshot {
        share,
        ..Snapshot::default()
    };
    for (at, node) in sorted.iter().enumerate() {
        if !broken.contains(&at) {
            let mut held = std::mem::take(&mut holds[at]);
            held.sort();
            share.cap(&mut free[at], &node.allocatable);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod;
    use crate::model::{CPU, exact, host_port};

    fn node() -> Arc<Node> {
        Arc::new(Node {
            name: "n".into(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            unschedulable: false,
            ready: true,
            allocatable: [(CPU, 10_000), ("x.com/gpu", 4)].into_iter().collect(),
            speed: exact(1),
            price: exact(1),
            read_bandwidth: None,
        })
    }

    /// A pod of so many CPUs on the node, ours or a stranger's.
    fn pod(name: &str, cpu: u32, ours: bool) -> Arc<Pod> {
        let owners = match ours {
            true => serde_json::json!([{
                "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "name": "b", "uid": "u", "controller": true,
            }]),
            false => serde_json::json!([]),
        };
        let pod = serde_json::json!({
            "metadata": {
                "name": name, "namespace": "ns", "uid": name, "resourceVersion": "1", "ownerReferences": owners,
                "labels": {"taskbatch.dev/task": "t", "taskbatch.dev/copy": "0", "taskbatch.dev/attempt": "0"},
                "annotations": {"taskbatch.dev/node": "n"},
            },
            "spec": {"nodeName": "n", "schedulerName": "taskbatch", "containers": [
                {"name": "main", "resources": {"requests": {"cpu": cpu.to_string()}}},
            ]},
        });
        let object = serde_json::from_value(pod).expect("a pod");
        Arc::new(pod::read(&object).expect("a pod that can be read"))
    }

    /// What is free for batches for good, and right now.
    fn free(pods: &[Arc<Pod>], share: &str) -> (i64, i64) {
        let share = Share::parse(share).expect("a share");
        let taken = take(&[node()], pods, Timestamp::UNIX_EPOCH, share);
        (taken.free[0].get(CPU), free_now(&taken)[0].get(CPU))
    }

    #[test]
    fn batches_use_their_share_together_and_no_more_than_strangers_leave() {
        let (ours, theirs) = (pod("ours", 3, true), pod("theirs", 2, false));
        assert_eq!(free(&[], "0.7"), (7000, 7000));
        assert_eq!(free(std::slice::from_ref(&ours), "0.7"), (7000, 4000));
        assert_eq!(free(&[ours.clone(), theirs.clone()], "0.7"), (7000, 4000));
        assert_eq!(
            free(&[ours, theirs, pod("more", 4, false)], "0.7"),
            (4000, 1000)
        );
    }

    #[test]
    fn what_comes_whole_is_rounded_down_and_host_ports_are_not_shared_out() {
        let share = Share::parse("0.7").expect("a share");
        let taken = take(&[node()], &[], Timestamp::UNIX_EPOCH, share);
        assert_eq!(taken.free[0].get("x.com/gpu"), 2);
        let whole = take(&[node()], &[], Timestamp::UNIX_EPOCH, Share::WHOLE);
        let port = &host_port::port("TCP", 80);
        assert_eq!(taken.free[0].room(port), whole.free[0].room(port));
        assert_eq!(*taken.usable(0), taken.free[0]);
        assert_eq!(*whole.usable(0), node().allocatable);
    }
}
