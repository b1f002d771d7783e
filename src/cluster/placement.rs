//! Reads the hard rules of a pod spec on where it may run.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1 as k8s;

use super::node::effect;
use crate::model::{Expression, NodeSelectorTerm, Operator, Placement, Toleration};

/// Reads node name, node selector, required node affinity and tolerations.
pub fn read(spec: &k8s::PodSpec) -> Placement {
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| {
            affinity
                .required_during_scheduling_ignored_during_execution
                .as_ref()
        });
    Placement {
        node: spec.node_name.clone().filter(|name| !name.is_empty()),
        node_selector: spec.node_selector.clone().unwrap_or_default(),
        required: required.map(|selector| selector.node_selector_terms.iter().map(term).collect()),
        tolerations: spec
            .tolerations
            .iter()
            .flatten()
            .filter_map(toleration)
            .collect(),
        off: BTreeSet::new(),
    }
}

/// An expression with an unknown operator makes its term match nothing, as an invalid selector does upstream.
fn term(term: &k8s::NodeSelectorTerm) -> NodeSelectorTerm {
    let read = |list: &Option<Vec<k8s::NodeSelectorRequirement>>| -> Option<Vec<Expression>> {
        list.iter().flatten().map(expression).collect()
    };
    match (read(&term.match_expressions), read(&term.match_fields)) {
        (Some(labels), Some(fields)) => NodeSelectorTerm { labels, fields },
        _ => NodeSelectorTerm::default(),
    }
}

fn expression(expression: &k8s::NodeSelectorRequirement) -> Option<Expression> {
    Some(Expression {
        key: expression.key.clone(),
        operator: match expression.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => Operator::Gt,
            "Lt" => Operator::Lt,
            _ => return None,
        },
        values: expression.values.clone().unwrap_or_default(),
    })
}

/// A toleration with an operator or effect that is not known tolerates nothing.
fn toleration(toleration: &k8s::Toleration) -> Option<Toleration> {
    let exists = match toleration.operator.as_deref() {
        None | Some("" | "Equal") => false,
        Some("Exists") => true,
        Some(_) => return None,
    };
    let wanted = match toleration.effect.as_deref() {
        None | Some("") => None,
        Some(text) => Some(effect(text)?),
    };
    Some(Toleration {
        key: toleration.key.clone().filter(|key| !key.is_empty()),
        exists,
        value: toleration.value.clone().unwrap_or_default(),
        effect: wanted,
    })
}
