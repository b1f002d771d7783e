//! `TaskBatch.spec`. The doc comments are what `kubectl explain` prints.
#![expect(
    clippy::duplicated_attributes,
    reason = "columns of the printer have the same keys"
)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use super::flavor::FlavorSpec;
use super::gang::Gang;
use super::grammar::{DEADLINE, DURATION, DURATION_MESSAGE};
use super::range::{RangeSpec, WHOLE, WHOLE_MESSAGE};
use super::retry::Retry;
use super::{PodTemplate, TaskBatchStatus};
use crate::model::{Algorithm, Binding, Goal};

/// Names are looked up in a map: a list in a list would cost more than an API server allows for 1,000 tasks.
const KNOWN_NAMES: &str = "[self.transformMapEntry(index, task, {task.name: index})].all(names, self.all(task, !has(task.dependsOn) || task.dependsOn.all(name, name in names)))";
const KNOWN_NAMES_MESSAGE: &str = "a name in dependsOn is no task of this batch";
/// What is right where there are too many copies.
pub const COPIES_MESSAGE: &str = "a batch has at most 10000 copies in all; make several batches";
/// What is right where a live batch changes its tasks.
pub const IMMUTABLE_MESSAGE: &str =
    "spec.tasks is immutable; delete the batch and create it again, or create another one";
/// What is right where a template has a rule that `binding: Direct` does not honour.
pub const DELEGATE_MESSAGE: &str = "so binding must be Auto or Delegate";

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
    /// When all tasks are to have ended, counted from the creation of the batch, such as 2h or 30m. Plans end as few tasks later as they can, by weight, before they look at the goal. What ends later runs on: see activeDeadlineSeconds for a limit. Default: no deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DEADLINE))]
    pub deadline: Option<String>,
    /// The tasks, 1 to 1000, immutable.
    #[schemars(length(min = 1, max = 1000))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[x_kube(
        validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE),
        validation = Rule::new(KNOWN_NAMES).message(KNOWN_NAMES_MESSAGE)
    )]
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
    /// When every copy is to have ended, counted from the creation of the batch, such as 2h or 30m; the earlier of this and the batch's deadline holds. Default: the batch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DEADLINE))]
    pub deadline: Option<String>,
    /// Priority class of the pods. Tasks of higher priority are planned as if the others were not there; these fill what is left. A task that others wait for has at least their priority in the plan. Default: the class that is marked as globalDefault.
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

fn one() -> i64 {
    1
}

fn two_seconds() -> String {
    "2s".into()
}
