//! Pods that start together.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
