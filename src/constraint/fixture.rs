//! Nodes and placements in words, for the tests of the filters.

use crate::model::{
    Expression, Node, NodeSelectorTerm, Operator, Placement, Resources, Taint, TaintEffect,
    Toleration, exact,
};

/// A ready node `n1` without labels and taints.
pub(super) fn a_node() -> Node {
    Node {
        name: "n1".into(),
        labels: [].into(),
        taints: vec![],
        unschedulable: false,
        ready: true,
        allocatable: Resources::default(),
        speed: exact(1),
        price: exact(1),
        read_bandwidth: None,
    }
}

/// Traits and not inherent methods, so that other tests may choose the same words.
pub(super) trait NodeWords {
    fn labelled(self, key: &str, value: &str) -> Self;
    fn tainted(self, key: &str, value: &str, effect: TaintEffect) -> Self;
    fn cordoned(self) -> Self;
}

impl NodeWords for Node {
    fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    fn tainted(mut self, key: &str, value: &str, effect: TaintEffect) -> Self {
        self.taints.push(Taint {
            key: key.into(),
            value: value.into(),
            effect,
        });
        self
    }

    fn cordoned(mut self) -> Self {
        self.unschedulable = true;
        self
    }
}

/// A placement without rules.
pub(super) fn anywhere() -> Placement {
    Placement::default()
}

pub(super) trait PlacementWords {
    fn selecting(self, key: &str, value: &str) -> Self;
    /// One more alternative of the required affinity.
    fn requiring(self, term: NodeSelectorTerm) -> Self;
    fn tolerating(self, toleration: Toleration) -> Self;
}

impl PlacementWords for Placement {
    fn selecting(mut self, key: &str, value: &str) -> Self {
        self.node_selector.insert(key.into(), value.into());
        self
    }

    fn requiring(mut self, term: NodeSelectorTerm) -> Self {
        self.required.get_or_insert_default().push(term);
        self
    }

    fn tolerating(mut self, toleration: Toleration) -> Self {
        self.tolerations.push(toleration);
        self
    }
}

/// A toleration of every value of the key; of every key if it is empty.
pub(super) fn exists(key: &str) -> Toleration {
    Toleration {
        key: (!key.is_empty()).then(|| key.into()),
        exists: true,
        value: String::new(),
        effect: None,
    }
}

/// A toleration of one value.
pub(super) fn equal(key: &str, value: &str) -> Toleration {
    Toleration {
        exists: false,
        value: value.into(),
        ..exists(key)
    }
}

pub(super) trait TolerationWords {
    /// The same for one effect only.
    fn of(self, effect: TaintEffect) -> Self;
}

impl TolerationWords for Toleration {
    fn of(mut self, effect: TaintEffect) -> Self {
        self.effect = Some(effect);
        self
    }
}

pub(super) fn expression(key: &str, operator: Operator, values: &[&str]) -> Expression {
    Expression {
        key: key.into(),
        operator,
        values: values.iter().map(ToString::to_string).collect(),
    }
}

/// A term with one expression on a label.
pub(super) fn label(key: &str, operator: Operator, values: &[&str]) -> NodeSelectorTerm {
    NodeSelectorTerm {
        labels: vec![expression(key, operator, values)],
        fields: vec![],
    }
}

/// A term with one expression on the name of the node.
pub(super) fn name(operator: Operator, values: &[&str]) -> NodeSelectorTerm {
    NodeSelectorTerm {
        labels: vec![],
        fields: vec![expression("metadata.name", operator, values)],
    }
}
