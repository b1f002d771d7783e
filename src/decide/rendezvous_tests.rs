//! What the workers of a gang are told of each other.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::manifest::{self, Intent};
use super::track::{Tracked, track};
use super::world::Observed;
use super::{Memory, rendezvous};
use crate::cluster::pod::PredictedMillis;
use crate::model::Share;

/// A batch `demo` with a gang of three, the fields of the gang and of the pod spec as JSON.
fn tracked(gang: Value, spec: Value) -> Tracked {
    let mut pod =
        json!({"containers": [{"name": "main", "env": [{"name": "RANK", "value": "mine"}]}]});
    for (key, value) in spec.as_object().into_iter().flatten() {
        pod[key] = value.clone();
    }
    let mut gang = gang;
    gang["workers"] = json!({"min": 1, "max": 3});
    let batch = json!({
        "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch",
        "metadata": {"name": "demo", "namespace": "default", "uid": "u1"},
        "spec": {"tasks": [{"name": "train", "gang": gang, "template": {"spec": pod}}]},
    });
    let observed = Observed {
        now: Timestamp::UNIX_EPOCH,
        batches: vec![Arc::new(serde_json::from_value(batch).expect("a batch"))],
        nodes: Vec::new(),
        pods: Vec::new(),
        priorities: crate::model::Priorities::default(),
        share: Share::WHOLE,
    };
    track(&observed, &mut Memory::default()).remove(0)
}

/// The pod of a worker, and the Service that must exist before.
fn made(tracked: &Tracked, worker: u32, workers: u32) -> (Value, Option<Value>) {
    let batch = tracked.batch.as_ref().expect("a good batch");
    let requests = [("nvidia.com/gpu", 4)].into_iter().collect();
    let intent = Intent {
        tracked,
        spec: &tracked.object.spec.tasks[0],
        task: &batch.tasks[0],
        copy: &tracked.copies[0],
        worker,
        workers,
        requests: &requests,
        node: "n1",
        plan: 1,
        predicted_end: Timestamp::UNIX_EPOCH,
        predicted: PredictedMillis::default(),
        level: None,
        name_taken: false,
        delegated: false,
        rejections: 0,
        setback: None,
    };
    (manifest::pod(&intent), rendezvous::service(&intent))
}

fn variable(pod: &Value, name: &str) -> Option<String> {
    let env = pod["spec"]["containers"][0]["env"].as_array()?;
    let found = env.iter().find(|one| one["name"] == name)?;
    found["value"].as_str().map(str::to_owned)
}

#[test]
fn each_framework_is_told_in_its_own_words_and_nothing_of_the_user_is_overwritten() {
    let first = "demo-train-0-0-0.demo-workers";
    let hosts = [0, 1, 2].map(|rank| format!("demo-train-0-0-{rank}.demo-workers"));
    let tensorflow = json!({
        "cluster": {"worker": hosts.each_ref().map(|host| format!("{host}:2222"))},
        "task": {"type": "worker", "index": 1},
    });
    let cases: [(&str, &[(&str, &str)]); 4] = [
        ("Generic", &[("TASKBATCH_HOSTS", &hosts.join(","))]),
        (
            "Torch",
            &[
                ("MASTER_ADDR", first),
                ("MASTER_PORT", "29500"),
                ("WORLD_SIZE", "3"),
                ("RANK", "mine"),
                ("PET_MASTER_ADDR", first),
                ("PET_MASTER_PORT", "29500"),
                ("PET_NNODES", "3"),
                ("PET_NODE_RANK", "1"),
                ("PET_NPROC_PER_NODE", "4"),
            ],
        ),
        (
            "Jax",
            &[
                ("JAX_COORDINATOR_ADDRESS", &format!("{first}:8476")),
                ("JAX_NUM_PROCESSES", "3"),
                ("JAX_PROCESS_ID", "1"),
            ],
        ),
        ("TensorFlow", &[("TF_CONFIG", &tensorflow.to_string())]),
    ];
    for (framework, wanted) in cases {
        let (pod, _) = made(&tracked(json!({"framework": framework}), json!({})), 1, 3);
        for (name, value) in wanted {
            assert_eq!(
                variable(&pod, name).as_deref(),
                Some(*value),
                "{framework} {name}"
            );
        }
        assert_eq!(variable(&pod, "TASKBATCH_WORKER").as_deref(), Some("1"));
    }
}

#[test]
fn workers_have_host_names_under_a_service_that_shows_them_at_once() {
    let (pod, service) = made(&tracked(json!({}), json!({})), 2, 3);
    assert_eq!(pod["spec"]["hostname"], "demo-train-0-0-2");
    assert_eq!(pod["spec"]["subdomain"], "demo-workers");
    let service = service.expect("a Service");
    assert_eq!(service["metadata"]["name"], "demo-workers");
    assert_eq!(service["metadata"]["ownerReferences"][0]["uid"], "u1");
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true);
    let selector = service["spec"]["selector"].as_object().expect("a selector");
    for (label, value) in selector {
        assert_eq!(pod["metadata"]["labels"][label], *value);
    }
}

#[test]
fn a_service_of_the_user_is_used_and_a_single_worker_needs_none() {
    let theirs = tracked(json!({"framework": "Jax"}), json!({"subdomain": "theirs"}));
    let (pod, service) = made(&theirs, 1, 3);
    let coordinator = variable(&pod, "JAX_COORDINATOR_ADDRESS");
    assert_eq!(coordinator.as_deref(), Some("demo-train-0-0-0.theirs:8476"));
    assert!(service.is_none());

    let (pod, service) = made(&tracked(json!({"framework": "Jax"}), json!({})), 0, 1);
    let coordinator = variable(&pod, "JAX_COORDINATOR_ADDRESS");
    assert_eq!(coordinator.as_deref(), Some("localhost:8476"));
    assert!(service.is_none() && pod["spec"]["hostname"].is_null());
}
