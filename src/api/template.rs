//! The pod template of a task: kept as it was written, so that no field of a newer Kubernetes is lost.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Fields of the pod spec that TaskBatch sets itself, and why.
pub const RESERVED: [(&str, &str); 3] = [
    (
        "nodeName",
        "nodeName is reserved: TaskBatch chooses the node; use nodeSelector or affinity",
    ),
    (
        "schedulerName",
        "schedulerName is reserved: TaskBatch binds the pod; remove it",
    ),
    (
        "schedulingGates",
        "schedulingGates is reserved: TaskBatch holds the pod back; remove it",
    ),
];
/// What is right where the template restarts containers.
pub const RESTART_MESSAGE: &str =
    "restartPolicy must be Never or absent: another attempt is another pod; see retry";

/// A pod template, unknown fields preserved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodTemplate(pub Value);

impl JsonSchema for PodTemplate {
    fn schema_name() -> Cow<'static, str> {
        "PodTemplate".into()
    }

    fn inline_schema() -> bool {
        true
    }

    /// Only what rules need, and what is most often changed by mistake, is typed: the whole pod spec
    /// would make the CRD too large for `kubectl apply`. Fields that are not typed are preserved, and
    /// the operator and the API server judge them.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut rules: Vec<Value> = RESERVED
            .iter()
            .map(|(field, message)| json!({"rule": format!("!has(self.{field})"), "message": message}))
            .collect();
        rules.push(json!({
            "rule": "!has(self.restartPolicy) || self.restartPolicy == 'Never'",
            "message": RESTART_MESSAGE,
        }));
        json_schema!({
            "type": "object",
            "description": "The pod to run, as in a Deployment.",
            "required": ["spec"],
            "properties": {
                "metadata": {
                    "type": "object",
                    "description": "Labels and annotations of the pods.",
                    "properties": {
                        "labels": strings("Labels of the pods; those of taskbatch.dev are reserved."),
                        "annotations": strings("Annotations of the pods; those of taskbatch.dev are reserved."),
                    },
                },
                "spec": {
                    "type": "object",
                    "description": "The pod spec, as in a Pod.",
                    "x-kubernetes-preserve-unknown-fields": true,
                    "x-kubernetes-validations": rules,
                    "required": ["containers"],
                    "properties": {
                        "containers": containers("The containers; one of them gets the computed requests.", 1),
                        "initContainers": containers("Containers that run before, or beside with restartPolicy Always.", 0),
                        "nodeSelector": strings("Labels that the node must have."),
                        "nodeName": text("Reserved: TaskBatch chooses the node."),
                        "schedulerName": text("Reserved: TaskBatch binds the pod."),
                        "schedulingGates": {
                            "type": "array",
                            "description": "Reserved: TaskBatch holds the pod back.",
                            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        },
                        "restartPolicy": text("Never, which is also the default here."),
                        "serviceAccountName": text("Service account of the pods."),
                        "runtimeClassName": text("Runtime class of the pods."),
                    },
                },
            },
        })
    }
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn strings(description: &str) -> Value {
    json!({"type": "object", "description": description, "additionalProperties": {"type": "string"}})
}

fn containers(description: &str, least: u32) -> Value {
    let list = |description: &str| json!({"type": "array", "description": description, "items": {"type": "string"}});
    let amounts = |description: &str| {
        json!({
            "type": "object",
            "description": description,
            "additionalProperties": {"x-kubernetes-int-or-string": true},
        })
    };
    json!({
        "type": "array",
        "description": description,
        "minItems": least,
        "maxItems": 32,
        "items": {
            "type": "object",
            "description": "A container, as in a Pod.",
            "x-kubernetes-preserve-unknown-fields": true,
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "description": "Name of the container.", "minLength": 1, "maxLength": 63},
                "image": text("Image to run."),
                "command": list("Entry point, in the place of the image's."),
                "args": list("Arguments of the entry point."),
                "workingDir": text("Working directory."),
                "resources": {
                    "type": "object",
                    "description": "Own requests and limits; the resources of the task take their place where they are named.",
                    "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {
                        "requests": amounts("Least amounts."),
                        "limits": amounts("Most amounts."),
                    },
                },
            },
        },
    })
}
