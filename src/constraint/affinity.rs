//! Required node affinity: one term must match, and in it every expression.
//!
//! As in `component-helpers/scheduling/corev1/nodeaffinity`, a term without expressions matches nothing, a list
//! without terms matches nothing, and an expression that cannot be parsed spoils its term only. Upstream checks
//! keys and values against the label syntax, so that `Gt` with a negative number never matches.

use super::Rejection;
use super::label_syntax::{is_label_key, is_label_value};
use crate::model::{Expression, NAME_FIELD, Node, NodeSelectorTerm, Operator, Placement};

pub(super) fn admits<'a>(placement: &'a Placement, node: &'a Node) -> Result<(), Rejection<'a>> {
    match &placement.required {
        Some(terms) if !terms.iter().any(|term| term_matches(term, node)) => {
            Err(Rejection::Affinity)
        }
        _ => Ok(()),
    }
}

fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let empty = term.labels.is_empty() && term.fields.is_empty();
    !empty
        && term
            .labels
            .iter()
            .all(|expression| label_matches(expression, node))
        && term
            .fields
            .iter()
            .all(|expression| field_matches(expression, node))
}

fn label_matches(expression: &Expression, node: &Node) -> bool {
    let Expression {
        key,
        operator,
        values,
    } = expression;
    if !is_label_key(key) || !values.iter().all(|value| is_label_value(value)) {
        return false;
    }
    let found = node.labels.get(key);
    match operator {
        Operator::In => found.is_some_and(|value| values.contains(value)),
        Operator::NotIn => !values.is_empty() && found.is_none_or(|value| !values.contains(value)),
        Operator::Exists => values.is_empty() && found.is_some(),
        Operator::DoesNotExist => values.is_empty() && found.is_none(),
        Operator::Gt => numbers(found, values).is_some_and(|(here, bound)| here > bound),
        Operator::Lt => numbers(found, values).is_some_and(|(here, bound)| here < bound),
    }
}

/// The label and the one value to compare it with, if both are whole numbers of 64 bits.
fn numbers(found: Option<&String>, values: &[String]) -> Option<(i64, i64)> {
    let [bound] = values else { return None };
    Some((found?.parse().ok()?, bound.parse().ok()?))
}

/// Fields know In and NotIn with exactly one value; a field other than the name is empty.
fn field_matches(expression: &Expression, node: &Node) -> bool {
    let found = if expression.key == NAME_FIELD {
        node.name.as_str()
    } else {
        ""
    };
    match (expression.operator, expression.values.as_slice()) {
        (Operator::In, [value]) => found == value,
        (Operator::NotIn, [value]) => found != value,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;
    use Operator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};

    fn matches(term: NodeSelectorTerm) -> bool {
        let node = a_node()
            .labelled("gpu", "h100")
            .labelled("memory", "80")
            .labelled("empty", "")
            .labelled("below", "-5");
        admits(&anywhere().requiring(term), &node).is_ok()
    }

    #[test]
    fn label_expressions_match_as_upstream_has_it() {
        let long = "x".repeat(64);
        for (key, operator, values, expected) in [
            ("gpu", In, &["a100", "h100"][..], true),
            ("gpu", In, &["a100"], false),
            ("gpu", In, &[], false),
            ("absent", In, &[""], false),
            ("empty", In, &[""], true),
            ("gpu", NotIn, &["a100"], true),
            ("gpu", NotIn, &["h100"], false),
            ("absent", NotIn, &["h100"], true),
            ("absent", NotIn, &[], false),
            ("absent", NotIn, &[long.as_str()], false),
            ("not a key", NotIn, &["h100"], false),
            ("gpu", Exists, &[], true),
            ("empty", Exists, &[], true),
            ("absent", Exists, &[], false),
            ("gpu", Exists, &["h100"], false),
            ("absent", DoesNotExist, &[], true),
            ("gpu", DoesNotExist, &[], false),
            ("absent", DoesNotExist, &["h100"], false),
            ("not a key", DoesNotExist, &[], false),
        ] {
            let found = matches(label(key, operator, values));
            assert_eq!(found, expected, "{key} {operator:?} {values:?}");
        }
    }

    #[test]
    fn numbers_are_compared_as_whole_numbers_of_64_bits() {
        for (key, operator, values, expected) in [
            ("memory", Gt, &["79"][..], true),
            ("memory", Gt, &["80"], false),
            ("memory", Gt, &["9"], true),
            ("memory", Gt, &["079"], true),
            ("memory", Lt, &["81"], true),
            ("memory", Lt, &["80"], false),
            ("memory", Lt, &["9223372036854775807"], true),
            ("memory", Lt, &["9223372036854775808"], false),
            ("memory", Gt, &["7e1"], false),
            ("memory", Gt, &["1", "2"], false),
            ("memory", Gt, &[], false),
            // A label value begins with a letter or digit, so upstream cannot parse negative bounds.
            ("memory", Gt, &["-1"], false),
            ("below", Lt, &["0"], true),
            ("gpu", Gt, &["1"], false),
            ("empty", Lt, &["1"], false),
            ("absent", Lt, &["1"], false),
        ] {
            let found = matches(label(key, operator, values));
            assert_eq!(found, expected, "{key} {operator:?} {values:?}");
        }
    }

    #[test]
    fn a_node_is_selected_by_name() {
        for (operator, values, expected) in [
            (In, &["n1"][..], true),
            (In, &["n2"], false),
            (NotIn, &["n2"], true),
            (NotIn, &["n1"], false),
            (In, &["n1", "n2"], false),
            (NotIn, &[], false),
            (Exists, &[], false),
        ] {
            assert_eq!(
                matches(name(operator, values)),
                expected,
                "{operator:?} {values:?}"
            );
        }
    }

    #[test]
    fn any_other_field_is_empty() {
        let field = |operator, value: &str| NodeSelectorTerm {
            labels: vec![],
            fields: vec![expression("spec.unschedulable", operator, &[value])],
        };
        assert!(!matches(field(In, "true")));
        assert!(matches(field(NotIn, "true")));
    }

    #[test]
    fn terms_are_alternatives_and_expressions_add_up() {
        let mut both = label("gpu", In, &["h100"]);
        both.fields = name(In, &["n2"]).fields;
        assert!(!matches(both.clone()), "the name does not match");
        let either = anywhere().requiring(both).requiring(name(In, &["n1"]));
        assert_eq!(admits(&either, &a_node()), Ok(()));
        let spoilt = anywhere()
            .requiring(label("gpu", Gt, &["x"]))
            .requiring(name(In, &["n1"]));
        assert_eq!(admits(&spoilt, &a_node()), Ok(()));
    }

    #[test]
    fn nothing_matches_an_empty_term_or_an_empty_list() {
        assert!(!matches(NodeSelectorTerm::default()));
        let mut nowhere = anywhere();
        nowhere.required = Some(vec![]);
        assert_eq!(admits(&nowhere, &a_node()), Err(Rejection::Affinity));
    }
}
