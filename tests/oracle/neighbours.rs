//! Pods that keep others away, against the InterPodAffinity plugin.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use taskbatch::cluster::{node, pod};
use taskbatch::decide::Observed;
use taskbatch::decide::neighbours::Neighbours;
use taskbatch::model::Share;

use super::cases;
use super::dice::Dice;
use super::oracle::compare;

const NODES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];
const SPACES: [&str; 3] = ["ours", "other", "third"];

/// What happened to so many cases.
#[derive(Default)]
pub struct Tally {
    pub differences: Vec<String>,
    /// Cases in which some nodes, but not all, are kept.
    some: u64,
}

pub fn question(seed: u64) -> Value {
    let dice = &mut Dice::new(seed);
    let nodes: Vec<Value> = NODES.map(|name| a_node(dice, name)).to_vec();
    let mut labels = json!({"app": dice.pick(&["a", "b"])});
    if dice.chance(0.5) {
        labels["tier"] = json!("x");
    }
    json!({
        "pod": {"metadata": {"name": "p", "namespace": SPACES[0], "labels": labels}, "spec": {"containers": []}},
        "nodes": nodes,
        "others": dice.some(4, a_pod),
        "namespaces": SPACES.map(|name| json!({"metadata": {"name": name, "labels": {"team": name}}})),
    })
}

fn a_node(dice: &mut Dice, name: &str) -> Value {
    let mut labels = json!({"kubernetes.io/hostname": name});
    if dice.chance(0.85) {
        labels["zone"] = json!(dice.pick(&["a", "b", ""]));
    }
    json!({"metadata": {"name": name, "labels": labels}})
}

fn a_pod(dice: &mut Dice, at: i64) -> Value {
    let mut pod = json!({
        "metadata": {"name": format!("o{at}"), "namespace": dice.pick(&SPACES)},
        "spec": {"containers": [], "affinity": {"podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": dice.some(2, |dice, _| term(dice)),
            "preferredDuringSchedulingIgnoredDuringExecution": dice.maybe(0.2, |dice| json!([{"weight": 1, "podAffinityTerm": term(dice)}])),
        }}},
        "status": {"phase": dice.pick(&["Running", "Running", "Pending", "Succeeded", "Failed"])},
    });
    if dice.chance(0.9) {
        pod["spec"]["nodeName"] = json!(dice.pick(&NODES));
    }
    pod
}

fn term(dice: &mut Dice) -> Value {
    json!({
        "topologyKey": dice.pick(&["zone", "kubernetes.io/hostname", "rack"]),
        "namespaces": dice.maybe(0.5, |dice| json!(dice.some(2, |dice, _| json!(dice.pick(&SPACES))))),
        "namespaceSelector": dice.maybe(0.1, |dice| dice.pick(&[json!({}), json!({"matchLabels": {"team": "ours"}}), json!({"matchLabels": {"team": "x"}})])),
        "labelSelector": dice.maybe(0.95, selector),
    })
}

fn selector(dice: &mut Dice) -> Value {
    let equal = dice.maybe(0.4, |dice| {
        let (key, value) = dice.pick(&[("app", "a"), ("app", "b"), ("tier", "x"), ("absent", "a")]);
        json!({key: value})
    });
    let rules = dice.some(2, |dice, _| {
        let operator = dice.pick(&["In", "NotIn", "Exists", "DoesNotExist"]);
        let values = dice.pick(&[json!(["a"]), json!(["a", "b", "x"]), json!(["q"])]);
        let values = if operator.ends_with("In") { values } else { Value::Null };
        json!({"key": dice.pick(&["app", "tier", "absent"]), "operator": operator, "values": values})
    });
    json!({"matchLabels": equal, "matchExpressions": rules})
}

/// Compares, after our side was made to forget something. Labels of namespaces are not watched, so where they matter
/// more nodes may be kept off than need be.
pub fn judge(
    tally: &mut Tally,
    seed: u64,
    question: &Value,
    answer: &Value,
    forget: impl Fn(&mut Value),
) {
    let mut seen = question.clone();
    forget(&mut seen);
    let ours = off(&seen);
    let theirs: BTreeSet<String> =
        serde_json::from_value(answer["off"].clone()).unwrap_or_else(|_| panic!("{answer}"));
    let selects_spaces = question["others"]
        .to_string()
        .contains("\"namespaceSelector\":{");
    if ours != theirs && !(selects_spaces && ours.is_superset(&theirs)) {
        tally.differences.push(format!(
            "seed {seed}: {ours:?}, upstream {theirs:?}, of {question}"
        ));
    }
    tally.some += u64::from(!theirs.is_empty() && theirs.len() < NODES.len());
}

fn off(question: &Value) -> BTreeSet<String> {
    let list = |field: &str| question[field].as_array().cloned().unwrap_or_default();
    let nodes = list("nodes")
        .into_iter()
        .map(|it| serde_json::from_value(it).expect("a node"));
    let pods = list("others")
        .into_iter()
        .map(|it| serde_json::from_value(it).expect("a pod"));
    let observed = Observed {
        now: Timestamp::UNIX_EPOCH,
        batches: Vec::new(),
        nodes: nodes
            .map(|it| Arc::new(node::read(&it).expect("a node")))
            .collect(),
        pods: pods
            .map(|it| Arc::new(pod::read(&it).expect("a pod")))
            .collect(),
        priorities: Default::default(),
        share: Share::WHOLE,
    };
    let meta = json!({"labels": question["pod"]["metadata"]["labels"]});
    let task = json!({"name": "t", "template": {"metadata": meta, "spec": {"containers": []}}});
    let task = serde_json::from_value(task).expect("a task");
    Neighbours::of(&observed).off(SPACES[0], &task, "b")
}

#[test]
fn nodes_that_other_pods_keep_us_off_are_those_of_upstream() {
    let count = cases(10_000, 0.1);
    let found: Vec<Tally> = compare(0..count, question, |tally, seed, question, answer| {
        judge(tally, seed, question, answer, |_| ());
    });
    let some: u64 = found.iter().map(|tally| tally.some).sum();
    println!("{count} agree, {some} of them about some of the nodes");
    for tally in found {
        assert_eq!(
            tally.differences.first(),
            None,
            "and {} more",
            tally.differences.len()
        );
    }
    assert!(some * 20 > count);
}
