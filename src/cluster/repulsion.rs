//! Pods that will not have others near them: their required anti-affinity also binds pods that come later, of anybody.
//!
//! As the InterPodAffinity plugin of kube-scheduler has it (`satisfyExistingPodsAntiAffinity`). Labels of namespaces
//! are not watched, so a term that selects namespaces by label is taken to mean all of them.

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Pods that a pod will not have near it.
#[derive(Clone, Debug, PartialEq)]
pub struct Repulsion {
    /// Label of nodes: those with the value of the pod's own node are near.
    pub topology: String,
    /// Namespaces of the others; `None`: all.
    namespaces: Option<Vec<String>>,
    /// Labels of the others; `None` means nobody.
    selector: Option<LabelSelector>,
}

/// Reads the required anti-affinity of a pod.
pub fn read(pod: &k8s::Pod) -> Vec<Repulsion> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let rules = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let terms = rules.and_then(|rules| {
        rules
            .required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    let own = pod.metadata.namespace.as_deref().unwrap_or("default");
    let term = |term: &k8s::PodAffinityTerm| Repulsion {
        topology: term.topology_key.clone(),
        namespaces: match (&term.namespace_selector, &term.namespaces) {
            (Some(_), _) => None,
            (None, Some(names)) if !names.is_empty() => Some(names.clone()),
            (None, _) => Some(vec![own.to_owned()]),
        },
        selector: term.label_selector.clone(),
    };
    terms.into_iter().flatten().map(term).collect()
}

/// What is known of a label of a pod that does not exist yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label<'a> {
    /// It has this value.
    Is(&'a str),
    /// It is absent.
    Absent,
    /// It will be there, with a value that is not known.
    Open,
}

impl Repulsion {
    /// Whether a pod of this namespace with these labels is not to be near. What is not known counts against it.
    pub fn means<'a>(&self, namespace: &str, label: &impl Fn(&str) -> Label<'a>) -> bool {
        let here = |names: &Vec<String>| names.iter().any(|name| name == namespace);
        let Some(selector) = &self.selector else {
            return false;
        };
        let mut equal = selector.match_labels.iter().flatten();
        let mut rules = selector.match_expressions.iter().flatten();
        self.namespaces.as_ref().is_none_or(here)
            && equal.all(|(key, value)| is_one_of(label(key), std::slice::from_ref(value)))
            && rules.all(|rule| holds(rule, label(&rule.key)))
    }
}

fn is_one_of(label: Label<'_>, values: &[String]) -> bool {
    match label {
        Label::Is(value) => values.iter().any(|one| one == value),
        Label::Absent => false,
        Label::Open => true,
    }
}

fn holds(rule: &LabelSelectorRequirement, label: Label<'_>) -> bool {
    let values = rule.values.as_deref().unwrap_or_default();
    match rule.operator.as_str() {
        "In" => is_one_of(label, values),
        "NotIn" => label == Label::Open || !is_one_of(label, values),
        "Exists" => label != Label::Absent,
        "DoesNotExist" => label == Label::Absent,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn repulsion(term: Value) -> Repulsion {
        let pod = json!({"metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": [], "affinity": {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]},
        }}});
        read(&serde_json::from_value(pod).expect("a pod")).remove(0)
    }

    /// Labels of a pod: `app: a`, and `taskbatch.dev/copy` of a value that is not known.
    fn label(key: &str) -> Label<'static> {
        match key {
            "app" => Label::Is("a"),
            "taskbatch.dev/copy" => Label::Open,
            _ => Label::Absent,
        }
    }

    fn means(selector: Value) -> bool {
        repulsion(json!({"topologyKey": "zone", "labelSelector": selector})).means("ns", &label)
    }

    fn rule(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
    }

    #[test]
    fn selectors_mean_what_they_mean_upstream() {
        for (selector, wanted) in [
            (json!(null), false),
            (json!({}), true),
            (json!({"matchLabels": {"app": "a"}}), true),
            (json!({"matchLabels": {"app": "b"}}), false),
            (json!({"matchLabels": {"app": "a", "tier": "x"}}), false),
            (rule("app", "In", &["a", "b"]), true),
            (rule("app", "NotIn", &["a"]), false),
            (rule("tier", "NotIn", &["a"]), true),
            (rule("app", "Exists", &[]), true),
            (rule("tier", "Exists", &[]), false),
            (rule("tier", "DoesNotExist", &[]), true),
            (rule("app", "DoesNotExist", &[]), false),
        ] {
            assert_eq!(means(selector.clone()), wanted, "{selector}");
        }
    }

    #[test]
    fn a_label_whose_value_is_not_known_counts_against_the_pod() {
        for operator in ["In", "NotIn", "Exists"] {
            assert!(
                means(rule("taskbatch.dev/copy", operator, &["3"])),
                "{operator}"
            );
        }
    }

    #[test]
    fn a_term_is_about_its_own_namespace_unless_it_says_otherwise() {
        let far = |more: Value| {
            let mut term = json!({"topologyKey": "zone", "labelSelector": {}});
            for (key, value) in more.as_object().into_iter().flatten() {
                term[key] = value.clone();
            }
            repulsion(term).means("other", &label)
        };
        assert!(!far(json!({})));
        assert!(!far(json!({"namespaces": ["third"]})));
        assert!(far(json!({"namespaces": ["other"]})));
        assert!(far(json!({"namespaceSelector": {}})));
    }
}
