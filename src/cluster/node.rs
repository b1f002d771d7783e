//! Reads a node object.

use k8s_openapi::api::core::v1 as k8s;

use super::quantity;
use super::requests::{self, RequestError};
use crate::api::label;
use crate::model::{Exact, Node, Taint, TaintEffect, exact};

/// A node that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// An amount of its allocatable resources.
    #[error("status.allocatable.{0}")]
    Allocatable(#[from] RequestError),
    /// A label with a number of ours.
    #[error("metadata.labels[{label}]: {value:?} is not a number above 0 such as 1.5 or 2Gi")]
    Label {
        /// Key of the label.
        label: &'static str,
        /// Its value.
        value: String,
    },
    /// It has no name.
    #[error("metadata.name: a node needs a name")]
    Nameless,
}

/// Reads a node object into what the planner needs.
pub fn read(node: &k8s::Node) -> Result<Node, NodeError> {
    let spec = node.spec.clone().unwrap_or_default();
    let status = node.status.clone().unwrap_or_default();
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let number = |label: &'static str| -> Result<Option<Exact>, NodeError> {
        let Some(value) = labels.get(label) else {
            return Ok(None);
        };
        match quantity::parse(value) {
            Ok(number) if number > exact(0) => Ok(Some(number)),
            _ => Err(NodeError::Label {
                label,
                value: value.clone(),
            }),
        }
    };
    Ok(Node {
        name: node.metadata.name.clone().ok_or(NodeError::Nameless)?,
        taints: spec.taints.iter().flatten().filter_map(taint).collect(),
        unschedulable: spec.unschedulable.unwrap_or(false),
        ready: status
            .conditions
            .iter()
            .flatten()
            .filter(|condition| condition.type_ == "Ready")
            .all(|condition| condition.status == "True"),
        // The API server makes all of the capacity allocatable where a kubelet says nothing of it.
        allocatable: requests::amounts(status.allocatable.or(status.capacity).as_ref())?,
        speed: number(label::SPEED)?.unwrap_or_else(|| exact(1)),
        price: number(label::PRICE)?.unwrap_or_else(|| exact(1)),
        read_bandwidth: number(label::READ_BANDWIDTH)?,
        labels,
    })
}

/// A taint with an effect that is not known has none, as in kube-scheduler.
fn taint(taint: &k8s::Taint) -> Option<Taint> {
    Some(Taint {
        key: taint.key.clone(),
        value: taint.value.clone().unwrap_or_default(),
        effect: effect(&taint.effect)?,
    })
}

/// Reads the name of a taint effect.
pub(super) fn effect(text: &str) -> Option<TaintEffect> {
    match text {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    }
}
