//! Pods that start together.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Amount;

/// What is right where a gang has fewer workers at most than at least.
pub const WORKERS_MESSAGE: &str = "min must be at most max";

/// A group of pods that start and end together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gang {
    /// How many pods; the estimate holds for the smallest number.
    pub workers: WorkersSpec,
    /// What the workers find each other with: variables for PyTorch, JAX or TensorFlow; Generic: TASKBATCH_HOSTS, the addresses of all workers. Each worker has TASKBATCH_WORKER, its rank, and TASKBATCH_WORKERS beside. Default Generic.
    #[serde(default)]
    pub framework: Framework,
    /// How near each other the workers stand. Default: it does not matter, but for the time that they communicate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<TopologySpec>,
    /// What the workers send each other; it is part of the length where the operator knows the network. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comm: Option<CommSpec>,
}

/// What is right where both kinds of nearness, or none, stand.
pub const NEAR_MESSAGE: &str = "one of required and preferred must stand, and not both";

/// A level of the network, by the alias that the operator gave it; host is a single node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct TopologySpec {
    /// All workers stand in one domain of this level, on nodes that have its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9-]+$"))]
    pub required: Option<String>,
    /// Of places that are equally good for the goal, one in which all workers stand in one domain of this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9-]+$"))]
    pub preferred: Option<String>,
}

/// An all-reduce in each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommSpec {
    /// Bytes that each step reduces, such as 2Gi: those of the gradients.
    pub bytes_per_step: Amount,
    /// Number of steps, from 1 to 1000000000.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub steps: i64,
}

/// The software that the workers of a gang talk through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Framework {
    /// Any.
    #[default]
    Generic,
    /// PyTorch: one process a worker, or torchrun.
    Torch,
    /// JAX.
    Jax,
    /// TensorFlow.
    TensorFlow,
}

/// Numbers of workers: min, min + step, ... up to max, or min x 2, x 4, ...
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.max) || self.min <= self.max").message(WORKERS_MESSAGE))]
pub struct WorkersSpec {
    /// Smallest number, from 1 to 1024.
    #[schemars(range(min = 1, max = 1024))]
    pub min: i64,
    /// Largest number, from 1 to 1024. Default: the smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub max: Option<i64>,
    /// A number, or PowerOfTwo. Default 1.
    #[serde(default)]
    pub step: WorkerStep,
}

/// Distance of the numbers of workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WorkerStep {
    /// min, min + step, ...
    Number(i64),
    /// `PowerOfTwo`: min, 2 min, 4 min, ...
    Name(String),
}

impl Default for WorkerStep {
    fn default() -> Self {
        WorkerStep::Number(1)
    }
}

impl JsonSchema for WorkerStep {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WorkerStep".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "x-kubernetes-int-or-string": true,
            "minimum": 1,
            "maximum": 1024,
            "pattern": "^PowerOfTwo$",
        })
    }
}
