//! Holds a pod for kube-scheduler to the node of the plan.

use serde_json::{Value, json};

use crate::model::NAME_FIELD;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Pins a pod spec to a node by required node affinity on its name: kube-scheduler looks at no other one.
///
/// A spread constraint counts pods in the domains of those nodes that the node affinity of the pod leaves, so a pin
/// would make the domain of the node the only one, and every skew would be 0. Where the template itself leaves all
/// nodes, the constraint is told to ignore node affinity, which is what it meant. Where the template does not, no
/// pin can keep its meaning: then the node is only preferred, and kube-scheduler has the last word.
pub fn pin(spec: &mut Value, node: &str) {
    if spreads_over_some_nodes(spec) {
        prefer(spec, node);
        return;
    }
    let constraints = spec["topologySpreadConstraints"].as_array_mut();
    for constraint in constraints.into_iter().flatten() {
        constraint["nodeAffinityPolicy"] = json!("Ignore");
    }
    require(spec, node);
}

fn spreads_over_some_nodes(spec: &Value) -> bool {
    let constraints = spec["topologySpreadConstraints"].as_array();
    let mut constraints = constraints.into_iter().flatten();
    let selector = spec["nodeSelector"].as_object();
    let selects = selector.is_some_and(|labels| !labels.is_empty());
    let requires = !spec["affinity"]["nodeAffinity"][REQUIRED].is_null();
    (selects || requires)
        && constraints.any(|one| {
            one["whenUnsatisfiable"] != "ScheduleAnyway" && one["nodeAffinityPolicy"] != "Ignore"
        })
}

/// Terms are alternatives, so each of them gets the name; an empty one matches nothing and must go on doing so.
fn require(spec: &mut Value, node: &str) {
    let required = &mut spec["affinity"]["nodeAffinity"][REQUIRED];
    let Some(terms) = required["nodeSelectorTerms"].as_array_mut() else {
        required["nodeSelectorTerms"] = json!([{"matchFields": [named(node)]}]);
        return;
    };
    let size = |term: &Value, part: &str| term[part].as_array().map_or(0, Vec::len);
    let says_something =
        |term: &&mut Value| size(term, "matchExpressions") + size(term, "matchFields") > 0;
    for term in terms.iter_mut().filter(says_something) {
        match term["matchFields"].as_array_mut() {
            Some(fields) => fields.push(named(node)),
            None => term["matchFields"] = json!([named(node)]),
        }
    }
}

/// The heaviest wish there is.
fn prefer(spec: &mut Value, node: &str) {
    let wish = json!({"weight": 100, "preference": {"matchFields": [named(node)]}});
    let preferred = &mut spec["affinity"]["nodeAffinity"][PREFERRED];
    match preferred.as_array_mut() {
        Some(wishes) => wishes.push(wish),
        None => *preferred = json!([wish]),
    }
}

fn named(node: &str) -> Value {
    json!({"key": NAME_FIELD, "operator": "In", "values": [node]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned(mut spec: Value) -> Value {
        pin(&mut spec, "n1");
        spec
    }

    fn terms(spec: &Value) -> &Value {
        &spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    }

    #[test]
    fn a_plain_pod_gets_a_term_of_its_own() {
        let spec = pinned(json!({"affinity": {"nodeAffinity": null}}));
        assert_eq!(*terms(&spec), json!([{"matchFields": [named("n1")]}]));
    }

    #[test]
    fn every_alternative_of_the_template_is_held_to_the_node_and_an_empty_one_stays_empty() {
        let label = json!([{"key": "a", "operator": "Exists"}]);
        let other = json!({"key": NAME_FIELD, "operator": "NotIn", "values": ["n2"]});
        let spec = pinned(
            json!({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [
                {"matchExpressions": label}, {}, {"matchFields": [other]}, {"matchExpressions": []},
            ]}}}}),
        );
        let wanted = json!([
            {"matchExpressions": label, "matchFields": [named("n1")]}, {},
            {"matchFields": [other, named("n1")]}, {"matchExpressions": []},
        ]);
        assert_eq!(*terms(&spec), wanted);
    }

    #[test]
    fn spread_over_all_nodes_goes_on_counting_all_nodes() {
        let spec = pinned(json!({"topologySpreadConstraints": [{"maxSkew": 1}]}));
        let policy = &spec["topologySpreadConstraints"][0]["nodeAffinityPolicy"];
        assert_eq!(policy, "Ignore");
        assert!(terms(&spec).is_array());
    }

    #[test]
    fn spread_over_some_nodes_leaves_the_last_word_to_kube_scheduler() {
        let hard = json!([{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]);
        let selected = json!({"nodeSelector": {"pool": "a"}, "topologySpreadConstraints": hard});
        let spec = pinned(selected.clone());
        assert!(terms(&spec).is_null());
        assert_eq!(spec["topologySpreadConstraints"], hard);
        let wishes = &spec["affinity"]["nodeAffinity"][PREFERRED];
        assert_eq!(wishes[0]["preference"]["matchFields"], json!([named("n1")]));

        let mut soft = selected;
        soft["topologySpreadConstraints"][0]["whenUnsatisfiable"] = json!("ScheduleAnyway");
        assert!(terms(&pinned(soft)).is_array());
    }
}
