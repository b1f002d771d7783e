//! Every taint with the effect NoSchedule or NoExecute must be tolerated; PreferNoSchedule is no hard rule, and only
//! puts a node behind others that are as good.

use super::Rejection;
use crate::model::{Node, Placement, Taint, TaintEffect, Toleration};

pub(super) fn admits<'a>(placement: &'a Placement, node: &'a Node) -> Result<(), Rejection<'a>> {
    let unbearable =
        untolerated(placement, node).find(|taint| taint.effect != TaintEffect::PreferNoSchedule);
    match unbearable {
        None => Ok(()),
        Some(taint) => Err(Rejection::Taint {
            key: &taint.key,
            value: &taint.value,
            effect: taint.effect,
        }),
    }
}

/// Whether pods of this placement had better run elsewhere.
pub(super) fn shuns(placement: &Placement, node: &Node) -> bool {
    untolerated(placement, node).any(|taint| taint.effect == TaintEffect::PreferNoSchedule)
}

fn untolerated<'a>(placement: &'a Placement, node: &'a Node) -> impl Iterator<Item = &'a Taint> {
    node.taints.iter().filter(|taint| {
        let mut all = placement.tolerations.iter();
        !all.any(|one| tolerates(one, &taint.key, &taint.value, taint.effect))
    })
}

/// `Toleration.ToleratesTaint` of `k8s.io/api/core/v1`: no effect is every effect, no key is every key, and
/// unless the operator is Exists the values must be equal.
pub(super) fn tolerates(
    toleration: &Toleration,
    key: &str,
    value: &str,
    effect: TaintEffect,
) -> bool {
    let wanted = toleration.key.as_deref().unwrap_or_default();
    toleration.effect.is_none_or(|own| own == effect)
        && (wanted.is_empty() || wanted == key)
        && (toleration.exists || toleration.value == value)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;
    use TaintEffect::{NoExecute, NoSchedule, PreferNoSchedule};

    #[test]
    fn a_toleration_tolerates_as_upstream_has_it() {
        for (toleration, tolerated) in [
            (equal("gpu", "a"), true),
            (equal("gpu", "b"), false),
            (equal("gpu", ""), false),
            (equal("cpu", "a"), false),
            (equal("gpu", "a").of(NoSchedule), true),
            (equal("gpu", "a").of(NoExecute), false),
            (exists("gpu"), true),
            (exists("gpu").of(NoExecute), false),
            (exists("cpu"), false),
            (exists(""), true),
            (exists("").of(NoSchedule), true),
            (exists("").of(PreferNoSchedule), false),
            // The API server refuses Equal without a key; the upstream helper compares the value.
            (equal("", "a"), true),
            (equal("", "b"), false),
        ] {
            let found = tolerates(&toleration, "gpu", "a", NoSchedule);
            assert_eq!(found, tolerated, "{toleration:?}");
        }
    }

    #[test]
    fn an_empty_value_is_equal_to_an_empty_value_only() {
        assert!(tolerates(&equal("gpu", ""), "gpu", "", NoSchedule));
        assert!(!tolerates(&equal("gpu", "true"), "gpu", "", NoSchedule));
    }

    #[test]
    fn each_hard_taint_needs_a_toleration_of_its_own() {
        let node = a_node()
            .tainted("soft", "", PreferNoSchedule)
            .tainted("gpu", "a", NoSchedule)
            .tainted("gpu", "a", NoExecute);
        let reject = |effect| {
            Err(Rejection::Taint {
                key: "gpu",
                value: "a",
                effect,
            })
        };
        assert_eq!(admits(&anywhere(), &node), reject(NoSchedule));
        let half = anywhere().tolerating(exists("gpu").of(NoSchedule));
        assert_eq!(admits(&half, &node), reject(NoExecute));
        let both = half.tolerating(equal("gpu", "a").of(NoExecute));
        assert_eq!(admits(&both, &node), Ok(()));
    }

    #[test]
    fn a_node_is_shunned_for_a_soft_taint_that_is_not_tolerated() {
        let node = a_node().tainted("soft", "", PreferNoSchedule);
        assert!(shuns(&anywhere(), &node));
        assert!(!shuns(&anywhere().tolerating(exists("soft")), &node));
        let hard = a_node().tainted("gpu", "a", NoSchedule);
        assert!(!shuns(&anywhere(), &hard));
    }

    #[test]
    fn a_cordon_taint_that_outlives_the_cordon_is_a_taint() {
        let node = a_node().tainted("node.kubernetes.io/unschedulable", "", NoSchedule);
        assert!(admits(&anywhere(), &node).is_err());
    }
}
