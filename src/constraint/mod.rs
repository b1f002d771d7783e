//! One filter a file: which nodes may a pod run on, and why not.
//!
//! The filters answer as kube-scheduler's plugins NodeName, NodeUnschedulable, TaintToleration and NodeAffinity do at
//! 1.36: `tests/cluster/oracle` asks them. Room and host ports are sums, see `model::Resources`. Nobody judges after
//! us: the kubelet looks again at affinity and NoExecute taints only.

mod affinity;
mod cordon;
mod label_syntax;
mod node_name;
mod off;
mod ready;
mod selector;
mod taints;

#[cfg(test)]
mod fixture;

pub use label_syntax::is_label_key;
use std::fmt;

use crate::model::{Node, Placement, TaintEffect};

/// Why a node does not take a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection<'a> {
    /// The node's Ready condition is there and not True.
    NotReady,
    /// The node is cordoned.
    Cordoned,
    /// A taint of the node is not tolerated.
    Taint {
        /// Key of the taint.
        key: &'a str,
        /// Value of the taint, maybe empty.
        value: &'a str,
        /// Effect, NoSchedule or NoExecute.
        effect: TaintEffect,
    },
    /// A label of the node selector is missing or has another value.
    NodeSelector {
        /// Label.
        key: &'a str,
        /// Value that the selector asks for.
        wanted: &'a str,
        /// Value on the node.
        found: Option<&'a str>,
    },
    /// No term of the required node affinity matches.
    Affinity,
    /// The task keeps off the node for now.
    KeptOff,
    /// The pod names another node.
    NodeName(&'a str),
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Rejection::NotReady => out.write_str("not ready"),
            Rejection::Cordoned => out.write_str("cordoned"),
            Rejection::Taint { key, value, effect } => {
                let equals = if value.is_empty() { "" } else { "=" };
                write!(out, "taint {key}{equals}{value}:{effect:?} not tolerated")
            }
            Rejection::NodeSelector { key, wanted, found } => match found {
                Some(found) => write!(out, "label {key} is {found:?}, not {wanted:?}"),
                None => write!(out, "no label {key}={wanted}"),
            },
            Rejection::NodeName(name) => write!(out, "only {name} is asked for"),
            Rejection::KeptOff => {
                out.write_str("kept off, because of kube-scheduler or of other pods")
            }
            Rejection::Affinity => out.write_str("required node affinity not matched"),
        }
    }
}

type Filter = for<'a> fn(&'a Placement, &'a Node) -> Result<(), Rejection<'a>>;

/// All filters. The first that rejects gives the reason, so those that hold for every pod come first, and
/// `cordon` before `taints`, because the control plane also taints a cordoned node.
const FILTERS: [Filter; 7] = [
    ready::admits,
    cordon::admits,
    taints::admits,
    selector::admits,
    affinity::admits,
    node_name::admits,
    off::admits,
];

/// Whether the node may run pods of this placement; the first reason if not. Room on the node is not asked for.
pub fn admits<'a>(placement: &'a Placement, node: &'a Node) -> Result<(), Rejection<'a>> {
    rejections(placement, node).next().map_or(Ok(()), Err)
}

/// Whether pods of this placement had better run on another node that is as good.
pub fn shuns(placement: &Placement, node: &Node) -> bool {
    taints::shuns(placement, node)
}

/// Every filter's reason against the node.
pub fn rejections<'a>(
    placement: &'a Placement,
    node: &'a Node,
) -> impl Iterator<Item = Rejection<'a>> {
    FILTERS
        .iter()
        .filter_map(|filter| filter(placement, node).err())
}

#[cfg(test)]
mod tests {
    use super::fixture::*;
    use super::*;

    #[test]
    fn a_plain_node_takes_a_plain_pod() {
        assert_eq!(admits(&anywhere(), &a_node()), Ok(()));
    }

    #[test]
    fn the_most_general_reason_is_named() {
        let mut node = a_node()
            .tainted(
                "node.kubernetes.io/unschedulable",
                "",
                TaintEffect::NoSchedule,
            )
            .cordoned();
        let picky = anywhere().selecting("gpu", "h100");
        assert_eq!(admits(&picky, &node), Err(Rejection::Cordoned));
        node.ready = false;
        assert_eq!(admits(&picky, &node), Err(Rejection::NotReady));
    }

    #[test]
    fn a_toleration_of_the_cordon_taint_passes_the_cordon_and_its_taint() {
        let node = a_node()
            .tainted(
                "node.kubernetes.io/unschedulable",
                "",
                TaintEffect::NoSchedule,
            )
            .cordoned();
        let placement = anywhere().tolerating(exists("node.kubernetes.io/unschedulable"));
        assert_eq!(admits(&placement, &node), Ok(()));
    }

    #[test]
    fn reasons_are_short_sentences() {
        let taint = |value| Rejection::Taint {
            key: "nvidia.com/gpu",
            value,
            effect: TaintEffect::NoSchedule,
        };
        let label = |found| Rejection::NodeSelector {
            key: "disk",
            wanted: "ssd",
            found,
        };
        for (reason, words) in [
            (
                taint("present"),
                "taint nvidia.com/gpu=present:NoSchedule not tolerated",
            ),
            (taint(""), "taint nvidia.com/gpu:NoSchedule not tolerated"),
            (label(Some("hdd")), "label disk is \"hdd\", not \"ssd\""),
            (label(None), "no label disk=ssd"),
            (Rejection::NotReady, "not ready"),
            (Rejection::Cordoned, "cordoned"),
            (Rejection::Affinity, "required node affinity not matched"),
            (Rejection::NodeName("n2"), "only n2 is asked for"),
        ] {
            assert_eq!(reason.to_string(), words);
        }
    }
}
