//! What people and other controllers change in a simulated cluster, and when.

use k8s_openapi::api::core::v1 as k8s;

use super::cluster::{Cluster, Incoming};
use crate::api::TaskBatch;
use crate::model::{Millis, Node};

/// A change by somebody else than the operator.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Create a batch, or replace the spec of the one of this name.
    Apply(Box<TaskBatch>),
    /// Set `spec.suspend` of a batch.
    Suspend {
        /// Namespace of the batch.
        namespace: String,
        /// Its name.
        name: String,
        /// What to set.
        suspend: bool,
    },
    /// Delete a batch; its pods follow.
    DeleteBatch {
        /// Namespace of the batch.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Add a node, or replace the one of this name.
    SetNode(Box<Node>),
    /// Remove a node object; what ran on it is lost.
    RemoveNode(String),
    /// A node falls silent for this long.
    LoseNode {
        /// Name of the node.
        name: String,
        /// For how long, in ms.
        lasting: Millis,
    },
    /// Somebody else creates a pod, bound already if it names a node. It runs for this long, or for ever.
    AddPod(Box<k8s::Pod>, Option<Millis>),
    /// Somebody deletes a pod.
    DeletePod {
        /// Namespace of the pod.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Cluster {
    /// Plans a change.
    pub fn schedule(&mut self, at: Millis, edit: Edit) {
        self.queue.push(at, Incoming::Edit(edit));
    }

    /// Makes a change now. What cannot be read is left as it is, as an API server would refuse it.
    pub fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Apply(batch) => self.apply(*batch),
            Edit::Suspend {
                namespace,
                name,
                suspend,
            } => {
                if let Some(found) = self.batches.get(&(namespace, name)) {
                    let mut batch = TaskBatch::clone(found);
                    batch.spec.suspend = suspend;
                    self.apply(batch);
                }
            }
            Edit::DeleteBatch { namespace, name } => self.remove_batch(&(namespace, name)),
            Edit::SetNode(node) => self.set_node(*node),
            Edit::RemoveNode(name) => self.remove_node(&name),
            Edit::LoseNode { name, lasting } => self.lose_node(&name, lasting),
            Edit::AddPod(pod, length) => {
                let _ = self.add_pod(*pod, length);
            }
            Edit::DeletePod { namespace, name } => {
                self.delete_pod(&(namespace, name), false);
            }
        }
    }
}
