//! Pods with requests of every shape that Kubernetes knows.

use serde_json::{Map, Value, json};

use super::dice::{Dice, written};

/// Resources that a container may ask for.
const NAMES: [&str; 6] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "hugepages-2Mi",
    "nvidia.com/gpu",
    "example.com/fpga",
];

/// Amounts at the edges of what a quantity can say. The last ones make sums beyond 64 bits.
const EDGES: [&str; 24] = [
    "0",
    "1",
    "2",
    "100m",
    "250m",
    "1500m",
    "0.5",
    ".5",
    "1.5Gi",
    "1Ki",
    ".5Gi",
    "1e3",
    "2E3",
    "1.5e-1",
    "0.001",
    "1001m",
    "64Mi",
    "1k",
    "3G",
    "110",
    "007",
    "4Ei",
    "9223372036854775807",
    "9E",
];
/// Amounts finer than the API server stores.
const TINY: [&str; 5] = ["0.1m", "1u", "999999999n", "1n", "2.0001"];

/// Where an object is when its request is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// As a user writes it, before the API server completes it.
    Template,
    /// As an API server returns it, with what the kubelet says.
    Stored,
}

/// A pod with hostile requests.
pub fn pod(dice: &mut Dice, stage: Stage) -> Value {
    let containers: Vec<Value> = (0..dice.from(1, 3))
        .map(|at| container(dice, stage, &format!("c{at}")))
        .collect();
    let init = dice.some(4, |dice, at| {
        let mut one = container(dice, stage, &format!("i{at}"));
        one["restartPolicy"] = dice.pick(&[
            json!("Always"),
            json!("Always"),
            Value::Null,
            json!("OnFailure"),
            json!(""),
        ]);
        one
    });
    let status = match stage {
        Stage::Template => json!({}),
        Stage::Stored => status(dice, &containers, &init),
    };
    json!({
        "metadata": {"name": "p"},
        "spec": {
            "containers": containers,
            "initContainers": init,
            "resources": dice.maybe(0.3, |dice| whole_pod(dice, stage)),
            "overhead": dice.maybe(0.3, |dice| list(dice, stage, 0.4)),
        },
        "status": status,
    })
}

fn container(dice: &mut Dice, stage: Stage, name: &str) -> Value {
    json!({"name": name, "image": "x", "resources": dice.maybe(0.9, |dice| requirements(dice, stage))})
}

fn requirements(dice: &mut Dice, stage: Stage) -> Value {
    let mut requests = dice.maybe(0.85, |dice| list(dice, stage, 0.5));
    let mut limits = match stage {
        Stage::Template => dice.maybe(0.5, |dice| list(dice, stage, 0.4)),
        // The API server has made requests of all limits.
        Stage::Stored => dice.maybe(0.5, |_| requests.clone()),
    };
    // Huge pages are not overcommitted: what is limited is what is requested.
    for list in [&mut requests, &mut limits] {
        list.as_object_mut()
            .map(|list| list.remove("hugepages-2Mi"));
    }
    if dice.chance(0.25) {
        let amount = quantity(dice, stage);
        let stored = dice.maybe(0.5, |_| json!(true)) == json!(true) || stage == Stage::Stored;
        for list in [stored.then_some(&mut requests), Some(&mut limits)]
            .into_iter()
            .flatten()
        {
            if list.is_null() {
                *list = json!({});
            }
            list["hugepages-2Mi"] = amount.clone();
        }
    }
    json!({"requests": requests, "limits": limits})
}

fn whole_pod(dice: &mut Dice, stage: Stage) -> Value {
    let requests = dice.maybe(0.7, |dice| list(dice, stage, 0.4));
    let limits = match stage {
        Stage::Template => dice.maybe(0.5, |dice| list(dice, stage, 0.4)),
        Stage::Stored => Value::Null,
    };
    json!({"requests": requests, "limits": limits})
}

fn list(dice: &mut Dice, stage: Stage, share: f64) -> Value {
    let mut found = Map::new();
    for name in NAMES {
        if dice.chance(share) {
            found.insert(name.into(), quantity(dice, stage));
        }
    }
    Value::Object(found)
}

fn quantity(dice: &mut Dice, stage: Stage) -> Value {
    match dice.from(0, 99) {
        0 => json!(dice.pick(&EDGES[21..])),
        1..=19 if stage == Stage::Stored => json!(dice.pick(&TINY)),
        20..=29 => json!(dice.from(0, 9)),
        30..=59 => {
            let amount = dice.from(0, 5000);
            written(dice, "cpu", amount)
        }
        _ => json!(dice.pick(&EDGES[..21])),
    }
}

/// What the kubelet says of a pod that may be in the middle of a resize.
fn status(dice: &mut Dice, containers: &[Value], init: &[Value]) -> Value {
    let mut of = |list: &[Value]| -> Vec<Value> {
        let seen: Vec<Value> = list.iter().filter(|_| dice.chance(0.5)).cloned().collect();
        seen.iter()
            .map(|one| container_status(dice, &one["name"]))
            .collect()
    };
    let (containers, init) = (of(containers), of(init));
    json!({
        "containerStatuses": containers,
        "initContainerStatuses": init,
        "conditions": dice.some(2, |dice, _| condition(dice)),
        "resources": dice.maybe(0.3, |dice| json!({"requests": dice.maybe(0.8, |dice| list(dice, Stage::Stored, 0.5))})),
        "allocatedResources": dice.maybe(0.3, |dice| list(dice, Stage::Stored, 0.5)),
    })
}

fn container_status(dice: &mut Dice, name: &Value) -> Value {
    json!({
        "name": name, "image": "x", "imageID": "", "ready": true, "restartCount": 0,
        "resources": dice.maybe(0.7, |dice| json!({"requests": dice.maybe(0.8, |dice| list(dice, Stage::Stored, 0.5))})),
        "allocatedResources": dice.maybe(0.6, |dice| list(dice, Stage::Stored, 0.5)),
    })
}

fn condition(dice: &mut Dice) -> Value {
    let kinds = [
        "PodResizePending",
        "PodResizePending",
        "PodResizeInProgress",
    ];
    let reasons = [
        json!("Infeasible"),
        json!("Infeasible"),
        json!("Deferred"),
        Value::Null,
    ];
    json!({"type": dice.pick(&kinds), "status": "True", "reason": dice.pick(&reasons)})
}
