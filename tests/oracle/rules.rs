//! Nodes with labels and taints, and pods with rules that mostly just about admit them.

use serde_json::{Value, json};

use super::dice::Dice;

/// Names of labels, and values at the edges of what Gt and Lt compare.
const LABELS: [(&str, &[&str]); 4] = [
    ("zone", &["a", "b", ""]),
    ("example.com/gpu", &["h100", "a100", "H100"]),
    (
        "memory",
        &[
            "80",
            "007",
            "+7",
            "-5",
            "9223372036854775807",
            "9223372036854775808",
            "1e3",
            "",
            "8_0",
            "0x10",
        ],
    ),
    ("kubernetes.io/hostname", &["n1", "n2"]),
];
const TAINT_KEYS: [&str; 4] = [
    "gpu",
    "example.com/pool",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unschedulable",
];
const VALUES: [&str; 3] = ["", "x", "5"];
const EFFECTS: [&str; 6] = [
    "NoSchedule",
    "NoSchedule",
    "NoExecute",
    "NoExecute",
    "PreferNoSchedule",
    "NoTomorrow",
];

/// A node `n1` without its resources.
pub fn node(dice: &mut Dice) -> Value {
    let mut labels = json!({});
    for (key, values) in LABELS {
        if dice.chance(0.75) {
            labels[key] = json!(dice.pick(values));
        }
    }
    let mut taints = dice.some(2, |dice, _| {
        json!({
            "key": dice.pick(&TAINT_KEYS),
            "value": dice.maybe(0.6, |dice| json!(dice.pick(&VALUES))),
            "effect": dice.pick(&EFFECTS),
        })
    });
    if dice.chance(0.1) {
        // The same key once more, with another value or effect.
        if let Some(mut twice) = taints.first().cloned() {
            twice["value"] = json!(dice.pick(&VALUES));
            twice["effect"] = json!(dice.pick(&EFFECTS));
            taints.push(twice);
        }
    }
    json!({
        "metadata": {"name": "n1", "labels": labels},
        "spec": {"taints": taints, "unschedulable": dice.maybe(0.3, |dice| json!(dice.chance(0.6)))},
    })
}

/// Tolerations that make up for most of the taints of the node.
pub fn tolerations(dice: &mut Dice, node: &Value) -> Vec<Value> {
    let mut found = dice.some(2, |dice, _| {
        toleration(dice, &dice_key(node), "", "NoSchedule")
    });
    for taint in node["spec"]["taints"].as_array().into_iter().flatten() {
        if taint["effect"] == "PreferNoSchedule" || dice.chance(0.06) {
            continue;
        }
        let text = |field: &str| taint[field].as_str().unwrap_or_default().to_owned();
        found.push(toleration(
            dice,
            &text("key"),
            &text("value"),
            &text("effect"),
        ));
    }
    if node["spec"]["unschedulable"] == true && dice.chance(0.8) {
        found.push(toleration(
            dice,
            "node.kubernetes.io/unschedulable",
            "",
            "NoSchedule",
        ));
    }
    found
}

/// Some key that the node has or has not.
fn dice_key(node: &Value) -> String {
    node["spec"]["taints"][0]["key"]
        .as_str()
        .unwrap_or("gpu")
        .to_owned()
}

/// A toleration of this taint, mostly: some are off by one field.
fn toleration(dice: &mut Dice, key: &str, value: &str, effect: &str) -> Value {
    let (key, value, effect) = (json!(key), json!(value), json!(effect));
    let any = Value::Null;
    let exists = json!("Exists");
    match dice.from(0, 23) {
        0..=3 => json!({"key": key, "operator": exists, "effect": effect}),
        4..=6 => json!({"key": key, "operator": exists}),
        7..=9 => json!({"key": key, "operator": "Equal", "value": value, "effect": effect}),
        10..=12 => {
            json!({"key": key, "value": value, "effect": dice.pick(&[any, json!(""), effect])})
        }
        13 | 14 => json!({"operator": exists}),
        15 => json!({"operator": exists, "effect": effect}),
        16 => json!({"key": "", "operator": "", "value": value}),
        17 => json!({"key": key, "operator": exists, "value": "something", "effect": effect}),
        18 => json!({"key": key, "operator": exists, "effect": dice.pick(&EFFECTS)}),
        19 => json!({"key": key, "value": dice.pick(&VALUES)}),
        20 => json!({"key": dice.pick(&TAINT_KEYS), "operator": exists}),
        21 => {
            json!({"key": key, "operator": dice.pick(&["Gt", "Lt", "exists", "In"]), "value": "4"})
        }
        22 => json!({}),
        _ => json!({"key": key, "operator": exists, "effect": effect, "tolerationSeconds": 0}),
    }
}

/// A node selector, mostly of labels that the node has.
pub fn node_selector(dice: &mut Dice, node: &Value) -> Value {
    let mut selector = json!({});
    for (key, values) in LABELS {
        if dice.chance(0.3) {
            let here = &node["metadata"]["labels"][key];
            let found = here.is_string() && dice.chance(0.95);
            if found {
                selector[key] = here.clone();
            } else if dice.chance(0.15) {
                selector[key] = json!(dice.pick(values));
            }
        }
    }
    selector
}

/// Required node affinity with up to three alternatives, mostly one that matches.
pub fn node_affinity(dice: &mut Dice, node: &Value) -> Value {
    let terms = dice.some(3, |dice, _| term(dice, node));
    let terms = if terms.is_empty() && dice.chance(0.9) {
        vec![term(dice, node)]
    } else {
        terms
    };
    let preferred = json!([{"weight": 1, "preference": term(dice, node)}]);
    json!({"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
        "preferredDuringSchedulingIgnoredDuringExecution": dice.maybe(0.2, |_| preferred),
    }})
}

fn term(dice: &mut Dice, node: &Value) -> Value {
    let expressions = dice.some(2, |dice, _| expression(dice, node));
    let fields = dice.maybe(0.25, |dice| {
        Value::Array(dice.some(2, |dice, _| field(dice)))
    });
    json!({"matchExpressions": expressions, "matchFields": fields})
}

/// An expression that holds on the node three times out of four.
fn expression(dice: &mut Dice, node: &Value) -> Value {
    let (key, values) = dice.pick(&LABELS);
    let here = node["metadata"]["labels"][key].as_str();
    let value = json!(here.unwrap_or("a"));
    let other = json!(dice.pick(values));
    let long = json!("x".repeat(64));
    let bad_key = json!(dice.pick(&["", "a b", "a/b/c", "Example.com/x", "/x"]));
    let number = json!(dice.pick(&[
        "0",
        "6",
        "7",
        "79",
        "80",
        "81",
        "9223372036854775807",
        "-6",
        "x",
        "1e2"
    ]));
    let right = here.is_some();
    match dice.from(0, 21) {
        0..=3 => json!({"key": key, "operator": "In", "values": [other, value]}),
        4..=5 if right => json!({"key": key, "operator": "Exists"}),
        4..=5 => json!({"key": key, "operator": "DoesNotExist"}),
        6..=8 => json!({"key": key, "operator": "NotIn", "values": ["q"]}),
        9 => json!({"key": key, "operator": "NotIn", "values": [other]}),
        10..=11 => {
            json!({"key": "memory", "operator": dice.pick(&["Gt", "Lt"]), "values": [number]})
        }
        12 => json!({"key": key, "operator": "In", "values": [other]}),
        13 => json!({"key": key, "operator": "In", "values": []}),
        14 => json!({"key": key, "operator": "NotIn", "values": []}),
        15 => json!({"key": key, "operator": "NotIn", "values": [long, "q"]}),
        16 => {
            json!({"key": key, "operator": dice.pick(&["Exists", "DoesNotExist"]), "values": dice.pick(&[json!([]), json!(["x"]), Value::Null])})
        }
        17 => {
            json!({"key": bad_key, "operator": dice.pick(&["NotIn", "DoesNotExist", "Exists"]), "values": dice.pick(&[json!([]), json!(["x"])])})
        }
        18 => {
            json!({"key": key, "operator": dice.pick(&["", "in", "Equal", "Gte"]), "values": [value]})
        }
        19 => {
            json!({"key": "memory", "operator": dice.pick(&["Gt", "Lt"]), "values": dice.pick(&[json!([]), json!(["1", "2"]), Value::Null])})
        }
        20 => json!({"key": key, "operator": "In", "values": [value, value]}),
        _ => json!({"key": key, "operator": "NotIn", "values": ["a b"]}),
    }
}

fn field(dice: &mut Dice) -> Value {
    let name = json!("metadata.name");
    match dice.from(0, 11) {
        0..=3 => json!({"key": name, "operator": "In", "values": ["n1"]}),
        4..=6 => json!({"key": name, "operator": "NotIn", "values": ["n2"]}),
        7 => json!({"key": name, "operator": "In", "values": ["n2"]}),
        8 => json!({"key": name, "operator": "In", "values": ["n1", "n2"]}),
        9 => {
            json!({"key": name, "operator": dice.pick(&["Exists", "Gt", "", "DoesNotExist"]), "values": []})
        }
        10 => {
            json!({"key": "spec.unschedulable", "operator": dice.pick(&["In", "NotIn"]), "values": [dice.pick(&["", "true"])]})
        }
        _ => json!({"key": name, "operator": "NotIn", "values": ["n1"]}),
    }
}

/// Host ports of one container, of few numbers and addresses so that they often meet.
pub fn ports(dice: &mut Dice) -> Vec<Value> {
    dice.some(2, |dice, _| {
        let addresses = [Value::Null, json!(""), json!("0.0.0.0"), json!("10.0.0.1"), json!("10.0.0.1"), json!("10.0.0.2"), json!("10.0.0.3"), json!("::")];
        json!({
            "containerPort": dice.from(1, 4),
            "hostPort": dice.pick(&[Value::Null, json!(0), json!(80), json!(80), json!(81), json!(82), json!(83), json!(84), json!(85)]),
            "protocol": dice.pick(&[Value::Null, json!("TCP"), json!("UDP"), json!("SCTP")]),
            "hostIP": dice.pick(&addresses),
        })
    })
}
