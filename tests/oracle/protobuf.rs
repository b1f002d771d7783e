//! Pods as they are read from Protobuf, against the same pods in JSON: Kubernetes itself writes both.

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};
use taskbatch::cluster::{binding, pod, protobuf};

use super::cases;
use super::dice::Dice;
use super::oracle::compare;
use super::pair::pair;
use super::resources::{Stage, pod as hostile};

/// One of three is a pod that our filters judge, one has hostile requests, and one something in most of its fields.
fn question(seed: u64) -> Value {
    let mut dice = Dice::new(seed);
    match seed % 3 {
        0 => json!({"encode": true, "pod": pair(&mut dice)["pod"]}),
        1 => json!({"encode": true, "pod": hostile(&mut dice, Stage::Stored)}),
        _ => json!({"encode": true, "fill": seed, "pod": dice.maybe(0.7, of_ours)}),
    }
}

/// What makes a pod one of ours, and is read of its status.
fn of_ours(dice: &mut Dice) -> Value {
    let conditions = dice.some(3, |dice, _| {
        json!({
            "type": dice.pick(&["PodScheduled", "DisruptionTarget", "PodResizePending", "Ready"]),
            "status": dice.pick(&["True", "False"]),
            "reason": dice.pick(&["Unschedulable", "SchedulerError", "Infeasible", ""]),
            "message": dice.pick(&["0/3 nodes are available", ""]),
            "lastTransitionTime": dice.maybe(0.8, |_| json!("2026-01-01T00:00:01Z")),
        })
    });
    json!({
        "metadata": {
            "name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": dice.maybe(0.9, |_| json!("2026-01-01T00:00:00Z")),
            "deletionTimestamp": dice.maybe(0.2, |_| json!("2026-01-01T00:00:02Z")),
            "labels": {"taskbatch.dev/task": "t", "taskbatch.dev/copy": "3", "taskbatch.dev/attempt": "1"},
            "annotations": {
                "taskbatch.dev/node": "n1", "taskbatch.dev/plan": "4", "taskbatch.dev/leader": "5",
                "taskbatch.dev/predicted-ms": "1/2/3", "taskbatch.dev/failures": "6",
            },
            "ownerReferences": [{
                "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "name": "b", "uid": "b",
                "controller": dice.chance(0.9),
            }],
        },
        "spec": {"containers": []},
        "status": {
            "phase": dice.pick(&["Pending", "Running", "Succeeded", "Failed"]),
            "conditions": conditions,
        },
    })
}

/// How often the two forms were read alike, and where they were not.
#[derive(Default)]
struct Tally {
    differences: Vec<String>,
    ours: u64,
    direct: u64,
}

/// Compares, after what was read from Protobuf was made to forget something.
fn judge(tally: &mut Tally, seed: u64, answer: &Value, forget: impl Fn(&mut Value)) {
    let mut json = answer["json"].clone();
    if let Some(metadata) = json["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    let bytes = bytes(answer, "protobuf");
    let mut read = protobuf::object(&bytes).expect("Protobuf");
    forget(&mut read);
    let mut wrong = Vec::new();
    agree(&read, &json, "pod", &mut wrong);
    let known = |value: &Value| pod::read(&serde_json::from_value(value.clone()).expect("a pod"));
    let (ours, theirs) = (known(&read), known(&json));
    tally.ours += u64::from(theirs.as_ref().is_ok_and(|pod| pod.own.is_some()));
    if ours != theirs {
        wrong.push(format!("read as {ours:?}, in JSON as {theirs:?}"));
    }
    let [ours, theirs] = [&read, &json].map(|pod| binding::binder(&pod["spec"], "spec"));
    tally.direct += u64::from(theirs == binding::Binder::Direct);
    if ours != theirs {
        wrong.push(format!("bound by {ours:?}, in JSON by {theirs:?}"));
    }
    let told = wrong.into_iter().map(|what| format!("seed {seed}: {what}"));
    tally.differences.extend(told);
}

fn bytes(answer: &Value, form: &str) -> Vec<u8> {
    let read: Result<ByteString, _> = serde_json::from_value(answer[form].clone());
    read.unwrap_or_else(|_| panic!("{answer}")).0
}

/// Whether everything that was read is in the JSON, and what is not read there is known to be left.
fn agree(read: &Value, json: &Value, at: &str, wrong: &mut Vec<String>) {
    match (read, json) {
        (Value::Object(read), json) => {
            let none = Map::new();
            let json = json.as_object().unwrap_or(&none);
            let (left, known): (Vec<_>, Vec<_>) = read
                .iter()
                .partition(|(name, _)| name.starts_with("field "));
            for (name, value) in known {
                let there = json.get(name).unwrap_or(&Value::Null);
                agree(value, there, &format!("{at}.{name}"), wrong);
            }
            let is_whole = [
                "pod.spec",
                ".containers[]",
                ".initContainers[]",
                ".volumes[]",
                ".resources",
            ];
            if !left.is_empty() && is_whole.iter().any(|end| at.ends_with(end)) {
                wrong.push(format!("{at} has fields without a name: {left:?}"));
            }
            let missing = |(name, value): &(&String, &Value)| {
                !read.contains_key(*name) && !says_nothing(value)
            };
            if left.is_empty()
                && let Some((name, value)) = json.iter().find(missing)
            {
                wrong.push(format!("{at}.{name} is overlooked: {value}"));
            }
        }
        (Value::Array(read), Value::Array(json)) if read.len() == json.len() => {
            for (read, json) in read.iter().zip(json) {
                agree(read, json, &format!("{at}[]"), wrong);
            }
        }
        (read, json) if read == json || (json.is_null() && says_nothing(read)) => {}
        _ => wrong.push(format!("{at} is {read}, in JSON {json}")),
    }
}

/// What JSON leaves out.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(|one| one == ""),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

fn differences(count: u64, forget: impl Fn(&mut Value) + Sync) -> Tally {
    let found = compare(0..count, question, |tally: &mut Tally, seed, _, answer| {
        judge(tally, seed, answer, &forget);
    });
    found.into_iter().fold(Tally::default(), |mut all, one| {
        all.differences.extend(one.differences);
        all.ours += one.ours;
        all.direct += one.direct;
        all
    })
}

#[test]
fn pods_in_protobuf_are_those_in_json() {
    let count = cases(20_000, 1.0);
    let Tally {
        differences,
        ours,
        direct,
    } = differences(count, |_| ());
    println!("{count} pods agree, {ours} of ours, {direct} that we may bind");
    assert_eq!(differences.first(), None, "and {} more", differences.len());
    assert!(ours > count / 8 && direct > count / 8);
}

#[test]
fn lists_and_events_hold_the_same_pods() {
    compare(0..200, question, |_: &mut (), _, _, answer| {
        let [object, list, event] = ["protobuf", "list", "event"].map(|form| bytes(answer, form));
        let pod = protobuf::object(&object);
        let items: Vec<_> = protobuf::items(&list).expect("a list").collect();
        assert_eq!(items, [pod.clone(), pod.clone()]);
        let head = protobuf::object(&list).expect("a list");
        assert_eq!(
            head["metadata"],
            json!({"resourceVersion": "7", "continue": "more"})
        );
        assert_eq!(
            protobuf::event(&event),
            Ok(("MODIFIED".into(), pod.expect("a pod")))
        );
    });
}

/// What a table without one of its fields would do, and what one with a wrong number.
#[test]
fn a_field_that_is_overlooked_or_mistaken_is_noticed() {
    let forget = |path: &'static str| {
        move |pod: &mut Value| {
            let (place, name) = path.rsplit_once('/').expect("a path");
            if let Some(Value::Object(fields)) = pod.pointer_mut(place) {
                fields.remove(name);
            }
        }
    };
    for path in [
        "/spec/tolerations",
        "/spec/overhead",
        "/spec/schedulingGroup",
        "/spec/hostNetwork",
        "/spec/affinity/nodeAffinity",
        "/spec/containers/0/resources",
        "/spec/containers/0/restartPolicyRules",
        "/spec/initContainers/0/restartPolicy",
        "/spec/volumes/0/csi",
        "/status/nominatedNodeName",
        "/status/allocatedResources",
        "/metadata/deletionTimestamp",
    ] {
        let found = differences(3000, forget(path));
        assert!(!found.differences.is_empty(), "{path}");
    }
    let swapped = differences(3000, |pod| {
        let resources = pod.pointer_mut("/spec/containers/0/resources");
        let Some(Value::Object(fields)) = resources else {
            return;
        };
        let [limits, requests] = ["limits", "requests"].map(|name| fields.remove(name));
        fields.insert("limits".into(), requests.unwrap_or_default());
        fields.insert("requests".into(), limits.unwrap_or_default());
    });
    assert!(!swapped.differences.is_empty());
}
