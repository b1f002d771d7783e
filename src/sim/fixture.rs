//! Builders for the tests of the simulated cluster.

use k8s_openapi::api::core::v1 as k8s;
use serde_json::{Value, json};

use super::cluster::{Cluster, Options};
use super::faults::Faults;
use super::history::Happening;
use super::run::poll_once;
use crate::api::{SCHEDULER_NAME, TaskBatch};
use crate::cluster::node;
use crate::cluster::pod::Pod;
use crate::decide::{Action, BindPod, CopyId, CreatePod, DeletePod, ObjectId, Outcome, World};
use crate::model::{Millis, Node, Reason};

/// A node with so many cores, 64Gi, 8 pods and so many GPUs.
pub(super) fn node(name: &str, cores: u32, gpus: u32) -> Node {
    let allocatable = json!({"cpu": cores.to_string(), "memory": "64Gi", "pods": "8", "nvidia.com/gpu": gpus.to_string()});
    let node = json!({"metadata": {"name": name}, "status": {"allocatable": allocatable}});
    node::read(&object(node)).expect("a node")
}

/// A batch of one task.
pub(super) fn batch(name: &str) -> TaskBatch {
    object(json!({
        "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "metadata": {"name": name},
        "spec": {"tasks": [{"name": "t", "template": {"spec": {"containers": [{"name": "main"}]}}}]},
    }))
}

/// A stranger's pod with so many cores, on a node.
pub(super) fn stranger(name: &str, cores: u32, node: &str) -> k8s::Pod {
    let resources = json!({"requests": {"cpu": cores.to_string()}});
    object(json!({
        "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": [{"name": "main", "resources": resources}]},
    }))
}

/// Reads an object.
pub(super) fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a well-formed object")
}

/// A cluster with one node of 4 cores and 2 GPUs, and the batch `b`.
pub(super) fn cluster(faults: Faults) -> Cluster {
    let mut cluster = Cluster::new(Options {
        faults,
        ..Options::default()
    });
    cluster.set_node(node("n1", 4, 2));
    cluster.apply(batch("b"));
    cluster
}

/// Asks for a pod of the batch `b` with these requests, which expects to run for so long.
pub(super) fn create(cluster: &Cluster, name: &str, requests: Value, length: Millis) -> CreatePod {
    let batch = cluster.batches().next().expect("the batch");
    let uid = batch.metadata.uid.clone().unwrap_or_default();
    let manifest = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "default",
            "labels": {"taskbatch.dev/task": "t", "taskbatch.dev/copy": "0", "taskbatch.dev/attempt": "0"},
            "annotations": {"taskbatch.dev/node": "n1", "taskbatch.dev/predicted-ms": format!("0/{length}/{length}")},
            "ownerReferences": [{"apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "name": "b", "uid": uid, "controller": true}],
        },
        "spec": {
            "schedulerName": SCHEDULER_NAME, "restartPolicy": "Never",
            "containers": [{"name": "main", "resources": {"requests": requests, "limits": requests}}],
        },
    });
    CreatePod {
        copy: CopyId {
            batch_uid: uid.clone(),
            task: "t".into(),
            copy: 0,
        },
        batch: ObjectId {
            namespace: "default".into(),
            name: "b".into(),
            uid,
        },
        name: name.into(),
        manifest,
    }
}

/// Asks to bind a pod as it is now to `n1`.
pub(super) fn bind(cluster: &Cluster, name: &str) -> BindPod {
    let pod = pod(cluster, name).expect("the pod");
    BindPod {
        copy: CopyId::default(),
        pod: id(&pod),
        resource_version: pod.resource_version.clone(),
        node: "n1".into(),
    }
}

/// Asks to delete a pod.
pub(super) fn delete(cluster: &Cluster, name: &str) -> DeletePod {
    let pod = pod(cluster, name).expect("the pod");
    DeletePod {
        pod: id(&pod),
        resource_version: pod.resource_version.clone(),
        reason: Reason::Suspended,
    }
}

fn id(pod: &Pod) -> ObjectId {
    ObjectId {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}

/// The pod of this name, as it is.
pub(super) fn pod(cluster: &Cluster, name: &str) -> Option<Pod> {
    cluster
        .pods()
        .find(|pod| pod.name == name)
        .map(|pod| Pod::clone(pod))
}

/// Carries one action out; `None` if the operator was killed over it.
pub(super) fn act(cluster: &mut Cluster, action: Action) -> Option<Outcome> {
    poll_once(cluster.act(&[action])).map(|outcomes| outcomes[0].clone())
}

/// Creates a pod of so many cores and binds it.
pub(super) fn place(cluster: &mut Cluster, name: &str, cores: u32, length: Millis) {
    let action = create(cluster, name, json!({"cpu": cores.to_string()}), length);
    assert_eq!(act(cluster, Action::Create(action)), Some(Outcome::Done));
    let action = bind(cluster, name);
    assert_eq!(act(cluster, Action::Bind(action)), Some(Outcome::Done));
}

/// What happened to whom, in two words.
pub(super) fn shown(happening: &Happening) -> String {
    let (what, whom) = match happening {
        Happening::NodeSet(node) => ("set", &node.name),
        Happening::NodeLost(name) => ("lost", name),
        Happening::NodeBack(name) => ("back", name),
        Happening::NodeGone(name) => ("removed", name),
        Happening::PodCreated(pod) => ("created", &pod.name),
        Happening::PodBound(pod) => ("bound", &pod.name),
        Happening::PodRejected(pod) => ("rejected", &pod.name),
        Happening::PodStarted(pod) => ("started", &pod.name),
        Happening::PodEnded(pod) => ("ended", &pod.name),
        Happening::PodDeleted { pod, .. } => ("deleted", &pod.name),
        Happening::PodGone(pod) => ("gone", &pod.name),
        Happening::BatchReported(batch) => {
            let status = batch.status.clone().unwrap_or_default();
            return format!(
                "reported {:?} {:?}",
                batch.metadata.name,
                (status.phase, status.progress)
            );
        }
        other => return format!("{other:?}"),
    };
    format!("{what} {whom}")
}

/// What happened to pods and to the readiness of nodes, with its time.
pub(super) fn told(cluster: &mut Cluster) -> Vec<String> {
    let quiet = |happening: &Happening| {
        matches!(
            happening,
            Happening::NodeSet(_) | Happening::BatchSet(_) | Happening::Observed { .. }
        )
    };
    let history = cluster.take_history().into_iter();
    let told = history.filter(|(_, happening)| !quiet(happening));
    told.map(|(at, happening)| format!("{at} {}", shown(&happening)))
        .collect()
}
