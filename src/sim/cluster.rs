//! The objects of a simulated cluster, its virtual clock, and the queue of what comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::edit::Edit;
use super::faults::Faults;
use super::history::Happening;
use super::queue::Queue;
use crate::api::TaskBatch;
use crate::cluster::pod::{self, Pod};
use crate::decide::{Action, ObjectId};
use crate::model::{Millis, Node, Priorities, Share};

/// `(namespace, name)`.
pub(super) type Key = (String, String);

/// How a simulated cluster behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of everything that happens by chance.
    pub seed: u64,
    /// What the clocks show at virtual time 0.
    pub start: Timestamp,
    /// From the moment at which kube-scheduler may bind a pod until it has looked at it, in ms.
    pub scheduling: Millis,
    /// From the admission of a pod to the start of its containers, in ms.
    pub startup: Millis,
    /// From the deletion of a running pod until it is gone, in ms.
    pub stop: Millis,
    /// Whether times in objects are cut to whole seconds, as an API server writes them.
    pub whole_seconds: bool,
    /// How many plans a search tries that has only a time limit: virtual time does not pass while it searches.
    pub iterations: u64,
    /// The priority classes.
    pub priorities: Priorities,
    /// The part of each node that batches may use together.
    pub share: Share,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for Options {
    /// Everything exact and at once, from the start of 2026 on.
    fn default() -> Self {
        Self {
            seed: 0,
            start: Timestamp::constant(1_767_225_600, 0),
            scheduling: 0,
            startup: 0,
            stop: 0,
            whole_seconds: false,
            iterations: 1000,
            priorities: Priorities::default(),
            share: Share::WHOLE,
            faults: Faults::default(),
        }
    }
}

/// A cluster of Kubernetes objects under a virtual clock, in ms from its start.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(super) options: Options,
    pub(super) now: Millis,
    pub(super) queue: Queue<Incoming>,
    pub(super) batches: BTreeMap<Key, Arc<TaskBatch>>,
    pub(super) nodes: BTreeMap<String, Machine>,
    pub(super) pods: BTreeMap<Key, Live>,
    /// What the operator's watches have brought of the pods, the nodes and the batches.
    pub(super) view: BTreeMap<Key, Arc<Pod>>,
    pub(super) seen_nodes: Vec<Arc<Node>>,
    pub(super) seen_batches: BTreeMap<Key, Arc<TaskBatch>>,
    /// Pods of which the operator does not know what became of its write.
    pub(super) doubts: BTreeSet<Key>,
    /// Whether the operator has not looked since its start: then it lists everything anew.
    pub(super) is_new: bool,
    pub(super) history: Vec<(Millis, Happening)>,
    /// The newest resource version.
    pub(super) version: u64,
    pub(super) uids: u64,
    /// Counts what draws its luck from its moment, and not from a name.
    pub(super) draws: u64,
    /// Writes of the operator.
    pub(super) writes: u64,
    /// What a bad operator does beside each of its actions.
    #[cfg(test)]
    pub(super) meddle: Option<Meddle>,
}

/// What a bad operator does beside an action.
#[cfg(test)]
pub(super) type Meddle = fn(&Cluster, &Action) -> Vec<Action>;

/// What the queue brings.
#[derive(Clone, Debug)]
pub(super) enum Incoming {
    /// Somebody changes something.
    Edit(Edit),
    /// kube-scheduler looks at a pod.
    Schedule(ObjectId),
    /// The kubelet sees a pod that was bound to its node.
    Admit(ObjectId),
    /// The containers of a pod start.
    Start(ObjectId),
    /// The containers of a pod end at this time, which is past where the node was silent.
    End(ObjectId, Millis, Ending),
    /// The containers of a deleted pod have stopped.
    Stopped(ObjectId),
    /// The loss of this number of a node has lasted long enough to evict its pods.
    Evict(String, u64),
    /// The loss of this number of a node is over.
    NodeBack(String, u64),
    /// The garbage collector looks for pods whose batch is gone.
    CollectOrphans,
    /// The pod collector looks for pods whose node is gone.
    CollectStranded,
    /// A lagging watch catches up.
    Watch,
    /// A write arrives that the operator has given up.
    Late(Box<Action>),
}

/// How containers end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) code: i32,
    pub(super) reason: &'static str,
}

/// A node and its kubelet.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) node: Arc<Node>,
    /// The number of the loss that lasts, if one does.
    pub(super) lost: Option<u64>,
    /// What the kubelet will do and tell once it is back.
    pub(super) late: Vec<Incoming>,
}

/// A pod object, and what its kubelet knows of it.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) object: k8s::Pod,
    pub(super) read: Arc<Pod>,
    pub(super) length: Length,
    /// Whether a kubelet has taken it in, so that it uses up room there.
    pub(super) admitted: bool,
}

/// How long a pod runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// As it says of itself, times noise.
    Predicted,
    /// This many ms.
    For(Millis),
    /// Until somebody deletes it.
    Ever,
}

impl Cluster {
    /// An empty cluster at virtual time 0.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            now: 0,
            queue: Queue::default(),
            batches: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            view: BTreeMap::new(),
            seen_nodes: Vec::new(),
            seen_batches: BTreeMap::new(),
            doubts: BTreeSet::new(),
            is_new: true,
            history: Vec::new(),
            version: 0,
            uids: 0,
            draws: 0,
            writes: 0,
            #[cfg(test)]
            meddle: None,
        }
    }

    /// Virtual time, in ms.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// What the clocks show at a moment of virtual time.
    pub fn clock(&self, at: Millis) -> Timestamp {
        let start = self.options.start;
        let shown = start.checked_add(SignedDuration::from_millis(at));
        shown.unwrap_or(Timestamp::MAX)
    }

    /// Grows with every change of an object.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When something happens next without the operator's doing.
    pub fn next_event(&self) -> Option<Millis> {
        self.queue.next_at()
    }

    /// All batches, by namespace and name.
    pub fn batches(&self) -> impl Iterator<Item = &Arc<TaskBatch>> {
        self.batches.values()
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values().map(|machine| &machine.node)
    }

    /// All pods as they are, by namespace and name.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.values().map(|live| &live.read)
    }

    /// Lets virtual time pass, with everything that comes due on the way.
    pub fn advance(&mut self, to: Millis) {
        while let Some(at) = self.queue.next_at().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            if let Some(incoming) = self.queue.pop_due(self.now) {
                self.take(incoming);
            }
        }
        self.now = self.now.max(to);
    }

    fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Edit(edit) => self.edit(edit),
            Incoming::CollectOrphans => self.collect_orphans(),
            Incoming::CollectStranded => self.collect_stranded(),
            Incoming::Schedule(id) => self.schedule_pod(&id),
            Incoming::Watch => {}
            Incoming::Late(action) => self.carry_out_unseen(&action),
            Incoming::Evict(node, loss) => self.evict(&node, loss),
            Incoming::NodeBack(node, loss) => self.node_back(&node, loss),
            Incoming::Admit(_) | Incoming::Start(_) | Incoming::End(..) | Incoming::Stopped(_) => {
                self.kubelet(incoming)
            }
        }
    }

    /// Adds a node, or replaces the one of this name.
    pub fn set_node(&mut self, node: Node) {
        self.next_version();
        let node = Arc::new(node);
        self.tell(Happening::NodeSet(node.clone()));
        if let Some(machine) = self.nodes.get_mut(&node.name) {
            machine.node = node;
            return;
        }
        let name = node.name.clone();
        if let Some((at, lasting)) = self.options.faults.loss_of(self.options.seed, &name) {
            let (at, name) = (self.now.saturating_add(at), name.clone());
            self.schedule(at, Edit::LoseNode { name, lasting });
        }
        let machine = Machine {
            node,
            lost: None,
            late: Vec::new(),
        };
        self.nodes.insert(name, machine);
    }

    pub(super) fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    pub(super) fn next_uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.uids)
    }

    /// A fresh name for a draw of luck that belongs to this moment.
    pub(super) fn next_draw(&mut self) -> String {
        self.draws += 1;
        self.draws.to_string()
    }

    /// A moment as objects show it.
    pub(super) fn stamp(&self, at: Millis) -> Time {
        let shown = self.clock(at);
        if !self.options.whole_seconds {
            return Time(shown);
        }
        Time(Timestamp::from_second(shown.as_second()).unwrap_or(shown))
    }

    pub(super) fn tell(&mut self, happening: Happening) {
        self.history.push((self.now, happening));
    }

    /// Takes what has happened since the last call, with its times.
    pub fn take_history(&mut self) -> Vec<(Millis, Happening)> {
        std::mem::take(&mut self.history)
    }

    /// The pod of this identity, if it is still there.
    pub(super) fn pod(&self, id: &ObjectId) -> Option<&Live> {
        let live = self.pods.get(&key_of(id))?;
        (live.read.uid == id.uid).then_some(live)
    }

    /// Changes a pod object and reads it again, as every reader of the API server would.
    pub(super) fn change_pod(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut k8s::Pod),
    ) -> Option<Arc<Pod>> {
        let version = self.next_version();
        let live = self.pods.get_mut(key)?;
        change(&mut live.object);
        live.object.metadata.resource_version = Some(version);
        if let Ok(read) = pod::read(&live.object) {
            live.read = Arc::new(read);
        }
        Some(live.read.clone())
    }
}

/// Where the object of this identity is kept.
pub(super) fn key_of(id: &ObjectId) -> Key {
    (id.namespace.clone(), id.name.clone())
}

/// The identity of a pod.
pub(super) fn id_of(pod: &Pod) -> ObjectId {
    ObjectId {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}
