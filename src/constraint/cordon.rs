//! A cordoned node takes only pods that tolerate the taint `node.kubernetes.io/unschedulable:NoSchedule`,
//! whether or not the control plane has put that taint on the node yet.

use super::{Rejection, taints};
use crate::model::{Node, Placement, TaintEffect};

const CORDON_KEY: &str = "node.kubernetes.io/unschedulable";

pub(super) fn admits<'a>(placement: &'a Placement, node: &'a Node) -> Result<(), Rejection<'a>> {
    let open = !node.unschedulable
        || placement.tolerations.iter().any(|toleration| {
            taints::tolerates(toleration, CORDON_KEY, "", TaintEffect::NoSchedule)
        });
    if open {
        Ok(())
    } else {
        Err(Rejection::Cordoned)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;

    #[test]
    fn only_a_toleration_of_the_cordon_taint_opens_a_cordoned_node() {
        for (toleration, open) in [
            (exists(CORDON_KEY), true),
            (exists(""), true),
            (equal(CORDON_KEY, ""), true),
            (equal(CORDON_KEY, "true"), false),
            (exists(CORDON_KEY).of(TaintEffect::NoSchedule), true),
            (exists(CORDON_KEY).of(TaintEffect::NoExecute), false),
            (exists("node.kubernetes.io/not-ready"), false),
        ] {
            let placement = anywhere().tolerating(toleration.clone());
            assert_eq!(admits(&placement, &a_node()), Ok(()));
            let node = a_node().cordoned();
            assert_eq!(admits(&placement, &node).is_ok(), open, "{toleration:?}");
        }
        assert_eq!(
            admits(&anywhere(), &a_node().cordoned()),
            Err(Rejection::Cordoned)
        );
    }
}
