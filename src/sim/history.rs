//! What happened in a simulated cluster, for the demo's screen, the invariants and the tests.

use std::sync::Arc;

use crate::api::TaskBatch;
use crate::cluster::pod::Pod;
use crate::decide::{Event, Fact};
use crate::model::{Millis, Node};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A node was added or changed.
    NodeSet(Arc<Node>),
    /// A node fell silent.
    NodeLost(String),
    /// A silent node came back.
    NodeBack(String),
    /// A node object was removed.
    NodeGone(String),
    /// A batch was added, or its spec changed.
    BatchSet(Arc<TaskBatch>),
    /// The operator wrote the status of a batch.
    BatchReported(Arc<TaskBatch>),
    /// A batch was deleted.
    BatchGone(Arc<TaskBatch>),
    /// The operator published an event.
    Told(Event),
    /// A pod was created.
    PodCreated(Arc<Pod>),
    /// A pod was bound to a node.
    PodBound(Arc<Pod>),
    /// The kubelet rejected a pod.
    PodRejected(Arc<Pod>),
    /// The containers of a pod started.
    PodStarted(Arc<Pod>),
    /// The containers of a pod ended; its phase tells how.
    PodEnded(Arc<Pod>),
    /// Somebody asked for a pod to be deleted.
    PodDeleted {
        /// The pod.
        pod: Arc<Pod>,
        /// Whether it was the operator.
        by_operator: bool,
    },
    /// A pod object is gone.
    PodGone(Arc<Pod>),
    /// The operator looked.
    Observed {
        /// Whether its view of the pods was the truth.
        pods: bool,
        /// Whether its view of the nodes was the truth.
        nodes: bool,
    },
    /// What follows was asked for some time ago, perhaps by a process that is dead.
    LateWrite,
    /// The operator was killed, and starts again without memory.
    Crashed,
}

/// Watches a run.
pub trait Observer {
    /// Something happened at this moment of virtual time.
    fn happened(&mut self, at: Millis, happening: &Happening) {
        let _ = (at, happening);
    }

    /// The operator took note of something.
    fn noted(&mut self, at: Millis, fact: &Fact<'_>) {
        let _ = (at, fact);
    }

    /// Virtual time is about to pass.
    fn passes(&mut self, from: Millis, to: Millis) {
        let _ = (from, to);
    }
}

/// Nobody watches.
impl Observer for () {}

/// Two watch.
impl<A: Observer, B: Observer> Observer for (&mut A, &mut B) {
    fn happened(&mut self, at: Millis, happening: &Happening) {
        self.0.happened(at, happening);
        self.1.happened(at, happening);
    }

    fn noted(&mut self, at: Millis, fact: &Fact<'_>) {
        self.0.noted(at, fact);
        self.1.noted(at, fact);
    }

    fn passes(&mut self, from: Millis, to: Millis) {
        self.0.passes(from, to);
        self.1.passes(from, to);
    }
}
