//! Nodes as the planner sees them, and what is free on them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Exact, Millis, Resources, Share, Topology};

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods rather stay away; never a hard rule.
    PreferNoSchedule,
    /// New pods stay away and running ones are evicted.
    NoExecute,
}

/// A taint of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// Key, never empty.
    pub key: String,
    /// Value, maybe empty.
    pub value: String,
    /// Effect.
    pub effect: TaintEffect,
}

/// A node, without what runs on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Name of the node object.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Whether its Ready condition is absent or True.
    pub ready: bool,
    /// What pods may request on it in all.
    pub allocatable: Resources,
    /// Computing speed relative to the estimates; label `taskbatch.dev/speed`, default 1.
    pub speed: Exact,
    /// Price of the whole node per hour; label `taskbatch.dev/price`, default 1.
    pub price: Exact,
    /// Bytes a second that it reads; label `taskbatch.dev/read-bandwidth`. `None`: loading takes no time.
    pub read_bandwidth: Option<Exact>,
}

/// Room that one of our own pods uses for a known time: `[from, until)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold {
    /// First moment.
    pub from: Millis,
    /// First moment after it.
    pub until: Millis,
    /// Effective request.
    pub demand: Resources,
}

/// All nodes and what is free on them, at plan time 0.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The nodes, by name.
    pub nodes: Vec<Arc<Node>>,
    /// Allocatable minus what never ends (pods of strangers), and at most what batches may use, node by node; may be
    /// negative.
    pub free: Vec<Resources>,
    /// What our own pods hold besides, node by node.
    pub holds: Vec<Vec<Hold>>,
    /// The part of each node that batches may use together.
    pub share: Share,
    /// The network between the nodes.
    pub topology: Arc<Topology>,
}

impl Snapshot {
    /// What batches may use of a node on which nothing else runs.
    pub fn usable(&self, node: usize) -> Cow<'_, Resources> {
        let allocatable = &self.nodes[node].allocatable;
        if self.share == Share::WHOLE {
            return Cow::Borrowed(allocatable);
        }
        let mut usable = allocatable.clone();
        self.share.cap(&mut usable, allocatable);
        Cow::Owned(usable)
    }

    /// The index of the node of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.nodes
            .binary_search_by(|node| node.name.as_str().cmp(name))
            .ok()
    }
}
