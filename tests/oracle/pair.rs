//! A node, what runs on it, and a pod that just about fits, or just about does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use taskbatch::cluster::{node, pod, snapshot};
use taskbatch::model::{Resources, Share};

use super::dice::{Dice, MOST, written};
use super::rules;

/// What the node lists, with amounts to choose from.
const ALLOCATABLE: [(&str, f64, &[i64]); 5] = [
    ("cpu", 1.0, &[0, 500, 4000, 64_000, 1 << 40]),
    ("memory", 1.0, &[0, 1_073_741_824, 8_589_934_593, MOST]),
    ("ephemeral-storage", 0.7, &[1000, 107_374_182_400]),
    ("hugepages-2Mi", 0.4, &[0, 2_097_152, 1_073_741_824]),
    ("nvidia.com/gpu", 0.6, &[0, 1, 2, 8]),
];
/// A device that no node lists.
const UNLISTED: &str = "example.com/fpga";

type Amounts = BTreeMap<&'static str, i64>;

/// A question about a pod on a node.
pub fn pair(dice: &mut Dice) -> Value {
    let allocatable = allocatable(dice);
    let others = dice.some(4, |dice, at| other(dice, at, &allocatable));
    let mut node = rules::node(dice);
    node["status"] = json!({"allocatable": write(dice, &allocatable)});
    let taken = others.iter().filter(|pod| holds_a_place(pod)).count() as i64;
    let places = taken + dice.pick(&[0, 1, 1, 1, 1, 2, 2, 100, 100, 100]);
    node["status"]["allocatable"]["pods"] = written(dice, "pods", places);
    let free = free(&node, &others);
    let wanted = wanted(dice, &allocatable, &free);
    let mut spec = spread(dice, &wanted);
    spec["nodeName"] = dice.maybe(0.05, |dice| json!(dice.pick(&["n1", "n1", "n2", ""])));
    spec["tolerations"] = json!(rules::tolerations(dice, &node));
    spec["nodeSelector"] = dice.maybe(0.3, |dice| rules::node_selector(dice, &node));
    spec["affinity"] = dice.maybe(0.4, |dice| rules::node_affinity(dice, &node));
    json!({"pod": {"metadata": {"name": "p"}, "spec": spec}, "node": node, "others": others})
}

fn allocatable(dice: &mut Dice) -> Amounts {
    let mut found = Amounts::new();
    for (name, share, amounts) in ALLOCATABLE {
        if dice.chance(share) {
            // Empty nodes are one case of many.
            let amount = if dice.chance(0.1) {
                amounts[0]
            } else {
                dice.pick(&amounts[1..])
            };
            found.insert(name, amount);
        }
    }
    found
}

/// A pod that uses part of the node, has ended, or is elsewhere.
fn other(dice: &mut Dice, at: i64, allocatable: &Amounts) -> Value {
    let mut uses = Amounts::new();
    for (&name, &amount) in allocatable {
        if dice.chance(0.6) {
            let most = if dice.chance(0.03) {
                amount
            } else {
                amount / 4
            };
            uses.insert(name, dice.from(0, most));
        }
    }
    let mut spec = spread(dice, &uses);
    spec["nodeName"] = json!(dice.pick(&["n1", "n1", "n1", "n1", "n1", "n2"]));
    let phase = dice.pick(&[
        json!("Running"),
        json!("Running"),
        json!("Pending"),
        json!("Succeeded"),
        json!("Failed"),
        Value::Null,
    ]);
    let mut status = json!({"phase": phase});
    if dice.chance(0.25) {
        resize(dice, &spec, &mut status);
    }
    json!({
        "metadata": {"name": format!("o{at}"), "deletionTimestamp": dice.maybe(0.2, |_| json!("2026-01-01T00:00:00Z"))},
        "spec": spec,
        "status": status,
    })
}

/// A resize in flight: the kubelet has allocated or still uses another amount of cpu and memory.
fn resize(dice: &mut Dice, spec: &Value, status: &mut Value) {
    let name = &spec["containers"][0]["name"];
    let amounts = |dice: &mut Dice| {
        let (cpu, memory) = (dice.from(0, 800), dice.from(0, 1 << 28));
        json!({"cpu": written(dice, "cpu", cpu), "memory": written(dice, "memory", memory)})
    };
    status["containerStatuses"] = json!([{
        "name": name, "image": "x", "imageID": "", "ready": true, "restartCount": 0,
        "resources": {"requests": amounts(dice)},
        "allocatedResources": amounts(dice),
    }]);
    let reason = dice.pick(&["Infeasible", "Deferred"]);
    status["conditions"] =
        json!([{"type": "PodResizePending", "status": "True", "reason": reason}]);
}

fn holds_a_place(pod: &Value) -> bool {
    pod["spec"]["nodeName"] == "n1"
        && pod["status"]["phase"] != "Succeeded"
        && pod["status"]["phase"] != "Failed"
}

/// What is free, as we reckon it. Only to aim by: the judge is the oracle.
fn free(node: &Value, others: &[Value]) -> Resources {
    let node = node::read(&serde_json::from_value(node.clone()).expect("a node")).expect("amounts");
    let pods: Vec<_> = others
        .iter()
        .map(|other| {
            Arc::new(
                pod::read(&serde_json::from_value(other.clone()).expect("a pod")).expect("amounts"),
            )
        })
        .collect();
    let found = snapshot::take(
        &[Arc::new(node)],
        &pods,
        Timestamp::UNIX_EPOCH,
        Share::WHOLE,
    );
    found.free.into_iter().next().unwrap_or_default()
}

/// Requests around what is free: a little less, exactly that, one more.
fn wanted(dice: &mut Dice, allocatable: &Amounts, free: &Resources) -> Amounts {
    let mut found = Amounts::new();
    for &name in allocatable.keys() {
        let free = free.get(name).max(0);
        let amount = match dice.from(0, 99) {
            0..=29 => continue,
            30..=37 => 0,
            38..=62 => free,
            63..=73 => (free - 1).max(0),
            74..=88 => free / 2,
            89..=93 => 1,
            _ => free.saturating_add(1),
        };
        found.insert(name, amount);
    }
    if dice.chance(0.04) {
        found.insert(UNLISTED, dice.from(0, 1));
    }
    found
}

/// A pod spec whose effective request is exactly this, by one of many ways.
fn spread(dice: &mut Dice, total: &Amounts) -> Value {
    let part = |dice: &mut Dice, of: &Amounts, share: f64| -> Amounts {
        let mut found = Amounts::new();
        for (&name, &amount) in of {
            if dice.chance(share) {
                found.insert(name, dice.from(0, amount));
            }
        }
        found
    };
    let minus = |from: &Amounts, other: &Amounts| -> Amounts {
        let left =
            |(name, amount): (&&'static str, &i64)| (*name, amount - other.get(name).unwrap_or(&0));
        from.iter().map(left).collect()
    };
    let overhead = if dice.chance(0.2) {
        part(dice, total, 0.5)
    } else {
        Amounts::new()
    };
    let running = minus(total, &overhead);
    let sidecar = if dice.chance(0.35) {
        part(dice, &running, 0.7)
    } else {
        Amounts::new()
    };
    let main = minus(&running, &sidecar);
    // Either the containers make the peak, or an init container beside the sidecar before it does.
    let init_rules = dice.chance(0.25);
    let second = if init_rules || dice.chance(0.3) {
        part(dice, &main, 0.7)
    } else {
        Amounts::new()
    };
    let first = minus(&main, &second);
    let init = if init_rules {
        main.clone()
    } else {
        part(dice, &main, 0.8)
    };
    let mut containers = vec![container(dice, "a", &first)];
    if !init_rules {
        containers.push(container(dice, "b", &second));
    }
    let mut before = container(dice, "s", &sidecar);
    before["restartPolicy"] = json!("Always");
    let mut inits = vec![before];
    if init_rules || dice.chance(0.4) {
        inits.push(container(dice, "i", &init));
    }
    let mut spec = json!({"containers": containers, "initContainers": inits, "overhead": write(dice, &overhead)});
    if dice.chance(0.15) {
        whole_pod(dice, &mut spec, &running);
    }
    spec
}

/// Requests of the pod as a whole that say the same, beside smaller ones of the first container.
///
/// They are written plainly: of a quantity that upstream keeps as a big number, 1.36 adds the overhead of the pod once
/// more each time that it is asked, because the sum goes into the shared `inf.Dec` of the spec.
fn whole_pod(dice: &mut Dice, spec: &mut Value, running: &Amounts) {
    let mut requests = json!({});
    for (&name, &amount) in running
        .iter()
        .filter(|(name, _)| ["cpu", "memory"].contains(name))
    {
        let unit = if name == "cpu" { "m" } else { "" };
        requests[name] = json!(format!("{amount}{unit}"));
        if dice.chance(0.5) {
            spec["containers"][0]["resources"]["requests"][name] = json!(0);
        }
    }
    spec["resources"] = json!({"requests": requests});
}

fn container(dice: &mut Dice, name: &str, requests: &Amounts) -> Value {
    let requests = write(dice, requests);
    let ports = if dice.chance(0.3) {
        rules::ports(dice)
    } else {
        Vec::new()
    };
    json!({"name": name, "image": "x", "resources": {"requests": requests}, "ports": ports})
}

fn write(dice: &mut Dice, amounts: &Amounts) -> Value {
    let written =
        |(name, amount): (&&'static str, &i64)| ((*name).to_owned(), written(dice, name, *amount));
    Value::Object(amounts.iter().map(written).collect::<Map<String, Value>>())
}
