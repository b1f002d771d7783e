//! What is kept of the objects that a watch delivers: read at once, the rest dropped.
//!
//! An object that cannot be read must stall nothing: it is delivered all the same, with the trouble.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::unmanaged::Unmanaged;
use crate::api::TaskBatch;
use crate::cluster::binding::{self, Binder};
use crate::cluster::ledger::Key;
use crate::cluster::node;
use crate::cluster::pod::{self, Pod};
use crate::model::{Node, Resources, exact};

/// An annotation in which `kubectl apply` keeps a second copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is kept of one kind of object.
pub trait Kept: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// The object as it comes over the wire.
    type Wire: Resource<DynamicType = ()>;
    /// Whether all that is kept of it can be read from Protobuf, see [`crate::cluster::protobuf`].
    const IN_PROTOBUF: bool = false;

    /// Reads an object.
    fn read(object: Value) -> Reading<Self>;

    /// Whether nothing has changed that a plan could depend on.
    fn is_same(&self, other: &Self) -> bool;
}

/// What came of reading an object.
#[derive(Clone, Debug)]
pub struct Reading<K> {
    /// What to keep of it, if anything.
    pub kept: Option<K>,
    /// Why it could not be read, or not all of it.
    pub trouble: Option<String>,
}

impl<K> Reading<K> {
    fn good(kept: K) -> Self {
        Self {
            kept: Some(kept),
            trouble: None,
        }
    }

    fn nothing() -> Self {
        Self {
            kept: None,
            trouble: None,
        }
    }
}

impl Kept for Pod {
    type Wire = k8s::Pod;
    const IN_PROTOBUF: bool = true;

    /// A pod of strangers that has ended uses nothing, and is not kept. A pod whose requests cannot be
    /// read is kept without them, with the trouble: its node must not be used.
    fn read(object: Value) -> Reading<Self> {
        let parsed = k8s::Pod::deserialize(&object).map_err(|error| error.to_string());
        match parsed.and_then(|pod| pod::read(&pod).map_err(|error| error.to_string())) {
            Ok(pod) if pod.is_finished() && pod.own.is_none() => Reading::nothing(),
            Ok(pod) => Reading::good(judged(pod, &object["spec"])),
            Err(trouble) => match bare_pod(&object) {
                Some(pod) if pod.is_finished() && pod.own.is_none() => Reading::nothing(),
                Some(pod) if pod.is_finished() => Reading::good(pod),
                kept => Reading {
                    kept,
                    trouble: Some(trouble),
                },
            },
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let Pod {
            namespace,
            name,
            uid,
            resource_version: _,
            node,
            nominated,
            repels,
            requests,
            phase,
            terminating,
            created,
            own,
        } = self;
        (*uid == other.uid && *namespace == other.namespace && *name == other.name)
            && (*node == other.node && *phase == other.phase && *terminating == other.terminating)
            && (*repels == other.repels
                && *nominated == other.nominated
                && *requests == other.requests
                && *created == other.created
                && *own == other.own)
    }
}

/// The pod, with the rule that keeps us from binding it ourselves, if it is ours to bind and has one.
fn judged(mut pod: Pod, spec: &Value) -> Pod {
    let open = pod.node.is_none() && !pod.is_finished();
    if let Some(own) = pod.own.as_mut().filter(|own| open && !own.delegated)
        && let Binder::Delegate(because) = binding::binder(spec, "spec")
    {
        Arc::make_mut(own).lacking = Some(because.to_string());
    }
    pod
}

/// The pod without its containers.
fn bare_pod(object: &Value) -> Option<Pod> {
    let meta = &object["metadata"];
    let bare = json!({
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"],
            "deletionTimestamp": meta["deletionTimestamp"],
            "labels": meta["labels"],
            "annotations": meta["annotations"],
            "ownerReferences": meta["ownerReferences"],
        },
        "spec": {
            "nodeName": object["spec"]["nodeName"],
            "schedulerName": object["spec"]["schedulerName"],
            "schedulingGates": object["spec"]["schedulingGates"],
            "containers": [],
        },
        "status": {
            "phase": object["status"]["phase"],
            "nominatedNodeName": object["status"]["nominatedNodeName"],
        },
    });
    pod::read(&k8s::Pod::deserialize(bare).ok()?).ok()
}

impl Kept for Node {
    type Wire = k8s::Node;

    /// A node that cannot be read is kept closed: pods on it are not lost, and none are added.
    fn read(object: Value) -> Reading<Self> {
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let parsed = k8s::Node::deserialize(object).map_err(|error| error.to_string());
        match parsed.and_then(|node| node::read(&node).map_err(|error| error.to_string())) {
            Ok(node) => Reading::good(node),
            Err(trouble) => Reading {
                kept: Some(closed_node(name)),
                trouble: Some(trouble),
            },
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

fn closed_node(name: String) -> Node {
    Node {
        name,
        labels: Default::default(),
        taints: Vec::new(),
        unschedulable: true,
        ready: true,
        allocatable: Resources::default(),
        speed: exact(1),
        price: exact(1),
        read_bandwidth: None,
    }
}

impl Kept for TaskBatch {
    type Wire = TaskBatch;

    fn read(object: Value) -> Reading<Self> {
        match serde_path_to_error::deserialize::<_, TaskBatch>(object) {
            Ok(mut batch) => {
                batch.metadata.managed_fields = None;
                if let Some(annotations) = &mut batch.metadata.annotations {
                    annotations.remove(LAST_APPLIED);
                }
                Reading::good(batch)
            }
            Err(error) => Reading {
                kept: None,
                trouble: Some(error.to_string()),
            },
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.metadata, &other.metadata);
        ours.uid == theirs.uid
            && ours.deletion_timestamp == theirs.deletion_timestamp
            && self.status == other.status
            && self.spec == other.spec
    }
}

/// A priority class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// Its value.
    pub value: i32,
    /// Whether it holds for pods that name none.
    pub is_default: bool,
}

impl Kept for Priority {
    type Wire = PriorityClass;

    fn read(object: Value) -> Reading<Self> {
        match object["value"].as_i64().map(i32::try_from) {
            Some(Ok(value)) => Reading::good(Self {
                value,
                is_default: object["globalDefault"].as_bool().unwrap_or(false),
            }),
            _ => Reading {
                kept: None,
                trouble: Some("value is no 32-bit number".into()),
            },
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// An object as a list or a watch delivers it, already read.
#[derive(Clone, Debug)]
pub struct Delivered<K> {
    key: Key,
    version: String,
    /// What came of reading it.
    pub reading: Reading<K>,
}

impl<K: Kept> Delivered<K> {
    /// Reads an object.
    pub fn of(object: Value) -> Self {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        Self {
            key: (text("namespace").to_owned(), text("name").to_owned()),
            version: text("resourceVersion").to_owned(),
            reading: K::read(object),
        }
    }
}

impl<K> Delivered<K> {
    /// Namespace, empty for what has none, and name.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its resource version.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl<'de, K: Kept> Deserialize<'de> for Delivered<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Unmanaged::deserialize(from).map(|Unmanaged(object)| Self::of(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(cpu: &str, phase: &str) -> Reading<Pod> {
        Pod::read(json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
            "status": {"phase": phase},
        }))
    }

    #[test]
    fn a_pod_of_strangers_that_has_ended_is_not_kept() {
        for phase in ["Succeeded", "Failed"] {
            let reading = pod("1", phase);
            assert!(
                reading.kept.is_none() && reading.trouble.is_none(),
                "{phase}"
            );
        }
        assert!(pod("1", "Running").kept.is_some());
    }

    #[test]
    fn a_pod_whose_requests_overflow_still_names_its_node() {
        let reading = pod("9999999999999999999", "Running");
        assert!(reading.trouble.is_some());
        let kept = reading.kept.expect("a pod");
        assert_eq!((kept.node.as_deref(), kept.uid.as_str()), (Some("n1"), "u"));
    }

    #[test]
    fn a_rule_that_admission_added_to_a_pod_of_ours_is_named() {
        let pod = |scheduler: &str, node: Value, added: &str| {
            let mut pod = json!({
                "metadata": {
                    "name": "p", "namespace": "ns", "uid": "u",
                    "labels": {"taskbatch.dev/task": "t", "taskbatch.dev/copy": "0", "taskbatch.dev/attempt": "0"},
                    "annotations": {"taskbatch.dev/node": "n1"},
                    "ownerReferences": [{"apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "name": "b", "uid": "b", "controller": true}],
                },
                "spec": {"schedulerName": scheduler, "nodeName": node, "containers": [{"name": "c"}]},
            });
            pod["spec"][added] = json!([{"name": "x"}]);
            let own = Pod::read(pod).kept.and_then(|pod| pod.own);
            own.expect("a pod of ours").lacking.clone()
        };
        let open = Value::Null;
        let said = pod("taskbatch", open.clone(), "fieldOfTomorrow").expect("a rule");
        assert!(said.starts_with("spec.fieldOfTomorrow "), "{said}");
        assert_eq!(pod("taskbatch", open.clone(), "tolerations"), None);
        assert_eq!(pod("default-scheduler", open, "fieldOfTomorrow"), None);
        assert_eq!(pod("taskbatch", json!("n1"), "fieldOfTomorrow"), None);
    }

    #[test]
    fn an_object_of_another_shape_is_delivered_with_its_trouble() {
        let text = r#"{"metadata": {"name": "b", "namespace": "ns", "resourceVersion": "9"}, "spec": {"tasks": 5}}"#;
        let batch: Delivered<TaskBatch> = serde_json::from_str(text).expect("delivered");
        assert_eq!(
            (batch.key(), batch.version()),
            (&("ns".into(), "b".into()), "9")
        );
        assert!(batch.reading.kept.is_none());
        assert!(
            batch
                .reading
                .trouble
                .is_some_and(|why| why.contains("spec.tasks"))
        );
        let strange = Pod::read(
            json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": "none"}}),
        );
        assert_eq!(strange.kept.and_then(|pod| pod.node).as_deref(), Some("n1"));
    }

    #[test]
    fn a_node_that_cannot_be_read_is_closed() {
        let reading = Node::read(
            json!({"metadata": {"name": "n1", "labels": {"taskbatch.dev/speed": "fast"}}}),
        );
        assert!(reading.trouble.is_some());
        assert!(
            reading
                .kept
                .is_some_and(|node| node.unschedulable && node.name == "n1")
        );
    }

    #[test]
    fn a_new_version_alone_is_no_change() {
        let kept = |version: &str| {
            let mut pod = pod("1", "Running").kept.expect("a pod");
            pod.resource_version = version.into();
            pod
        };
        assert!(kept("7").is_same(&kept("8")));
        let mut ended = kept("8");
        ended.terminating = true;
        assert!(!kept("7").is_same(&ended));
    }
}
