//! `TaskBatch.spec`. The doc comments are what `kubectl explain` prints.
#![expect(
    clippy::duplicated_attributes,
    reason = "columns of the printer have the same keys"
)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Amount, PodTemplate, TaskBatchStatus};
use crate::model::{Algorithm, Binding, Goal};

const DURATION: &str = "self.matches('^(0|([0-9]+([.][0-9]*)?|[.][0-9]+)(h|ms|m|s|us|µs|ns)(([0-9]+([.][0-9]*)?|[.][0-9]+)(h|ms|m|s|us|µs|ns))*)$')";
/// What is right where a duration is wrong.
pub const DURATION_MESSAGE: &str = "must be a duration of at least 0 such as 1h30m, 20s or 500ms";
/// What is right where a decimal is wrong.
pub const DECIMAL_MESSAGE: &str = "must be a decimal of at least 0, in quotes, such as \"0.95\"";
const DECIMAL: &str = "^([0-9]+([.][0-9]*)?|[.][0-9]+)$";
/// What is right where a fraction is out of its range.
pub const FRACTION_MESSAGE: &str = "must be a decimal from 0 to 1, in quotes, such as \"0.95\"";
const FRACTION: &str = "self.matches('^(0|0?[.][0-9]+|0[.]|1|1[.]0*)$')";
/// What is right where a range is empty.
pub const RANGE_MESSAGE: &str = "min must be at most max";
/// What is right where a step is not.
pub const STEP_MESSAGE: &str = "step must be above 0";
/// What is right where devices are cut in pieces.
pub const WHOLE_MESSAGE: &str = "devices are counted in whole numbers: min, max and step of a resource such as nvidia.com/gpu must be whole";
const WHOLE: &str = "self.all(name, !name.contains('/') || (quantity(string(self[name].min)).isInteger() && (!has(self[name].max) || quantity(string(self[name].max)).isInteger()) && (!has(self[name].step) || quantity(string(self[name].step)).isInteger())))";
/// What is right where there are too many copies.
pub const COPIES_MESSAGE: &str = "a batch has at most 10000 copies in all; make several batches";
/// What is right where a live batch changes its tasks.
pub const IMMUTABLE_MESSAGE: &str =
    "spec.tasks is immutable; delete the batch and create it again, or create another one";
/// What is right where a gang has fewer workers at most than at least.
pub const WORKERS_MESSAGE: &str = "min must be at most max";
/// What is right where a template has a rule that `binding: Direct` does not honour.
pub const DELEGATE_MESSAGE: &str = "so binding must be Auto or Delegate";
/// What is right where the kind of scaling lacks its parameter.
pub const SCALING_MESSAGE: &str = "type Amdahl needs parallelFraction, type Power needs exponent, type Table needs points, and none of them stands with another type";

/// The most copies that a batch may have.
pub const MOST_COPIES: i64 = 10_000;

/// What to run, and what the plan is to be good at.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "taskbatch.dev",
    version = "v1alpha1",
    kind = "TaskBatch",
    plural = "taskbatches",
    shortname = "tb",
    category = "all",
    namespaced,
    status = "TaskBatchStatus",
    derive = "PartialEq",
    doc = "A batch of AI tasks that are sized, placed and run together.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Done", type_ = "string", json_path = ".status.progress.done"),
    printcolumn(name = "Goal", type_ = "string", json_path = ".spec.objective.goal"),
    printcolumn(name = "Gap", type_ = "string", json_path = ".status.plan.gap"),
    printcolumn(name = "ETA", type_ = "string", json_path = ".status.progress.eta"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Objective",
        type_ = "string",
        json_path = ".status.plan.objective",
        priority = 1
    ),
    printcolumn(
        name = "Algorithm",
        type_ = "string",
        json_path = ".status.plan.algorithm",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.reason",
        priority = 1
    ),
    selectable = ".status.phase"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.tasks.map(t, t.count).sum() <= 10000").message(COPIES_MESSAGE))]
pub struct TaskBatchSpec {
    /// Whether to hold the batch: pods that run are deleted, and start again later. Default false.
    #[serde(default)]
    pub suspend: bool,
    /// What the plan is to be good at.
    #[serde(default)]
    pub objective: Objective,
    /// How the plan is searched for.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Who binds the pods to the nodes of the plan. Auto: TaskBatch where it honours every rule of the template, else kube-scheduler. Direct: TaskBatch; a template with a rule that it does not honour is refused. Delegate: kube-scheduler. Default Auto.
    #[serde(default)]
    pub binding: Binding,
    /// Weight of this batch beside others, for the goal Makespan. From 1 to 1000, default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: i64,
    /// What happens once a task has failed for good: Continue runs the others to their end, FailFast ends the batch. Default Continue.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// Seconds after which a batch that still runs fails, counted from its first pod. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds after which a finished batch is deleted with its pods. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 315_360_000))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// The tasks, 1 to 1000, immutable.
    #[schemars(length(min = 1, max = 1000))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub tasks: Vec<TaskSpec>,
}

/// What a plan is to be good at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// Makespan: the batch ends early. FlowTime: each task ends early, by weight. Cost: the nodes' shares are cheap. Shortfall and Throughput: everything placed runs at once, without a time axis. Default Makespan.
    #[serde(default)]
    pub goal: Goal,
}

/// How the plan is searched for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Optimizer {
    /// Auto: greedy at once, then the searches that suit the problem, until the time is over or the plan is proved optimal. Greedy: the first plans alone. Genetic, ParticleSwarm: every problem. Annealing: strongest for single pods that wait for no other task, and for static goals. RuinRecreate: for gangs and dependencies. Exact: proves the optimum of small problems. Default Auto.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How long to search for a better plan. Default 2s.
    #[serde(default = "two_seconds")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub time_limit: String,
    /// Seed of the search. The same batch, nodes, seed and iterations give the same plan, whatever the number of threads. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991i64))]
    pub seed: i64,
    /// How many plans to try, in the place of a time limit: for exact replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub iterations: Option<i64>,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            time_limit: two_seconds(),
            seed: 0,
            iterations: None,
        }
    }
}

/// What happens once a task has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// The other tasks run to their end; then the batch has failed.
    #[default]
    Continue,
    /// The batch fails at once; what runs is deleted.
    FailFast,
}

/// A task: one pod, or a gang of pods, run to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    /// Name, unique in the batch: lower case letters, digits and dashes.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Number of independent copies, from 1 to 10000; each finds its index in TASKBATCH_INDEX. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub count: i64,
    /// The pod to run. Its restart policy is Never: another attempt is another pod.
    pub template: PodTemplate,
    /// Name of the container that gets the computed requests. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub container: Option<String>,
    /// How much that container may get of each resource, per pod. A resource that is not named keeps the container's own request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new(WHOLE).message(WHOLE_MESSAGE))]
    pub resources: BTreeMap<String, RangeSpec>,
    /// How long one copy takes. Default: 5m at the smallest size, marked as a guess.
    #[serde(default)]
    pub estimate: Estimate,
    /// Weight of each copy, for the goals FlowTime and Throughput. From 1 to 1000, default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: i64,
    /// Priority class of the pods. Tasks of higher priority are planned first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// What happens after a failed attempt.
    #[serde(default)]
    pub retry: Retry,
    /// Names of tasks of this batch whose copies must all have succeeded before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub depends_on: Vec<String>,
    /// Alternatives of hardware, at most 8, of which the plan chooses one for each copy. Default: what the template asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub flavors: Vec<FlavorSpec>,
    /// Run each copy as a gang of pods that start together or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gang: Option<Gang>,
}

/// A kind of hardware that a task can run on. What it says is added to the template; where both say something of the same label or resource, the flavor holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlavorSpec {
    /// Name, unique in the task: lower case letters, digits and dashes.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Labels that the nodes have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "tolerations")]
    pub tolerations: Vec<Value>,
    /// Ranges of resources beside those of the task, or in their place. The estimate holds at the smallest size of the flavor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    #[x_kube(validation = Rule::new(WHOLE).message(WHOLE_MESSAGE))]
    pub resources: BTreeMap<String, RangeSpec>,
    /// How fast it computes at its smallest size, where "1" is what the estimate says. Default "1".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub rate: Option<String>,
    /// Price of a whole node an hour, in the place of the node's own, for the goal Cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub price: Option<String>,
}

fn tolerations(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": {
            "type": "object",
            "description": "A toleration, as in a Pod.",
            "x-kubernetes-preserve-unknown-fields": true,
        },
    })
}

/// The sizes of one resource: min, min + step, ..., and always max.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.max) || quantity(string(self.min)).compareTo(quantity(string(self.max))) <= 0").message(RANGE_MESSAGE),
    validation = Rule::new("!has(self.step) || quantity(string(self.step)).isGreaterThan(quantity('0'))").message(STEP_MESSAGE),
)]
pub struct RangeSpec {
    /// Smallest amount.
    pub min: Amount,
    /// Largest amount. Default: the smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Amount>,
    /// Distance of the amounts in between. Default 1 for devices, `min` for cpu and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Amount>,
}

/// How long one copy takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Time to read its data. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub read: Option<String>,
    /// Time to compute, at the smallest size on a node of speed 1. Default 5m, marked as a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub process: Option<String>,
    /// How computing speeds up with the size. Default Linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingSpec>,
    /// How far reading overlaps computing, from "0" to "1". Default "0".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(FRACTION).message(FRACTION_MESSAGE))]
    pub overlap: Option<String>,
}

/// How computing speeds up with x = amount / smallest amount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.parallelFraction) == (self.type == 'Amdahl') && has(self.exponent) == (self.type == 'Power') && has(self.points) == (self.type == 'Table')").message(SCALING_MESSAGE))]
pub struct ScalingSpec {
    /// The resource that drives it; the other ranges grow along. Default: the first device by name with a range, else cpu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub resource: Option<String>,
    /// Linear: x. Amdahl: 1 / (1 - f + f / x). Power: x to the exponent. Table: measured points. Default Linear.
    #[serde(default, rename = "type")]
    pub kind: ScalingType,
    /// The part f of the work that runs in parallel, for Amdahl, from "0" to "1".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(FRACTION).message(FRACTION_MESSAGE))]
    pub parallel_fraction: Option<String>,
    /// The exponent, for Power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub exponent: Option<String>,
    /// Measured speed-ups, for Table; linear in between, constant past the ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub points: Option<Vec<SpeedupPoint>>,
}

/// The law of the speed-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScalingType {
    /// S(x) = x.
    #[default]
    Linear,
    /// S(x) = 1 / (1 - f + f / x).
    Amdahl,
    /// S(x) = x to the power of the exponent.
    Power,
    /// Measured points.
    Table,
}

/// One measured speed-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeedupPoint {
    /// Amount of the resource.
    pub amount: Amount,
    /// Speed-up at this amount, relative to any fixed unit.
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub speedup: String,
}

/// What happens after a failed attempt. Pods that a node rejected or lost do not count as attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How many failed attempts are followed by another one, from 0 to 100. Default 3.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 100))]
    pub limit: i64,
    /// How long to wait before the next attempt.
    #[serde(default)]
    pub backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            limit: three(),
            backoff: Backoff::default(),
        }
    }
}

/// Wait initial x factor^(failures - 1), at most max.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// Wait after the first failure. Default 10s.
    #[serde(default = "ten_seconds")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub initial: String,
    /// Growth of the wait from failure to failure. Default "2".
    #[serde(default = "two")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub factor: String,
    /// Longest wait. Default 5m.
    #[serde(default = "five_minutes")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub max: String,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: ten_seconds(),
            factor: two(),
            max: five_minutes(),
        }
    }
}

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

fn one() -> i64 {
    1
}

fn three() -> i64 {
    3
}

fn two() -> String {
    "2".into()
}

fn two_seconds() -> String {
    "2s".into()
}

fn ten_seconds() -> String {
    "10s".into()
}

fn five_minutes() -> String {
    "5m".into()
}
