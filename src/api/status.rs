//! `TaskBatch.status`. It is derived from the spec and the pods, and only reports; but which copies
//! have ended is also remembered here, since finished pods may be deleted by anybody.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of the batch so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskBatchStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for people; the conditions are the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Why tasks wait, or why the batch failed; one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Accepted, Planned, Scheduled, Running, Complete, Failed, Suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// When the first pod was created, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// When the batch was complete or failed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// Numbers of copies by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The newest plan that this batch is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// The tasks, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskStatus>,
}

/// One word on where the batch is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Phase {
    /// The spec is wrong; see the condition Accepted.
    Rejected,
    /// Nothing runs yet.
    Pending,
    /// Pods exist.
    Running,
    /// Held by `spec.suspend`.
    Suspended,
    /// All tasks succeeded.
    Complete,
    /// A task failed for good, or the deadline has passed.
    Failed,
}

/// Types of conditions; Job words where Jobs have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// The spec is good.
    Accepted,
    /// A verified plan holds for everything that can be placed.
    Planned,
    /// Every unfinished copy is on a node.
    Scheduled,
    /// Pods run.
    Running,
    /// All copies succeeded.
    Complete,
    /// The batch failed.
    Failed,
    /// The batch is held.
    Suspended,
}

impl ConditionType {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionType::Accepted => "Accepted",
            ConditionType::Planned => "Planned",
            ConditionType::Scheduled => "Scheduled",
            ConditionType::Running => "Running",
            ConditionType::Complete => "Complete",
            ConditionType::Failed => "Failed",
            ConditionType::Suspended => "Suspended",
        }
    }
}

/// Numbers of copies by state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Succeeded of all, as `3/5`.
    pub done: String,
    /// All copies.
    pub total: i64,
    /// Copies that succeeded.
    pub succeeded: i64,
    /// Copies whose pods run.
    pub running: i64,
    /// Copies whose pods exist and do not run yet.
    pub starting: i64,
    /// Copies without pods.
    pub waiting: i64,
    /// Copies that failed for good, or were skipped.
    pub failed: i64,
    /// When the plan expects the batch to end, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<String>,
}

/// A plan and its proof.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Counts the plans of this batch.
    pub revision: i64,
    /// The search that found it.
    pub algorithm: String,
    /// What it is good at.
    pub goal: String,
    /// Value of the goal, for people.
    pub objective: String,
    /// No plan is better than this, for people.
    pub lower_bound: String,
    /// Distance of the two, in percent of the bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// Seed of the search.
    pub seed: i64,
    /// How long the search took.
    pub elapsed: String,
}

/// A task: counters, and the details of one copy, the one that a reader wants to see first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// Name of the task.
    pub name: String,
    /// State of the copy that is shown: a failed one first, then waiting, starting, running, succeeded.
    pub phase: TaskPhase,
    /// Copies that succeeded, as `0-4,7`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub succeeded: String,
    /// Copies that failed for good, as `5,6`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failed: String,
    /// The copy that is shown.
    #[serde(default)]
    pub copy: i64,
    /// Its attempt, from 0.
    #[serde(default)]
    pub attempt: i64,
    /// Where it runs, and with how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<AssignmentStatus>,
    /// What the plan expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Predicted>,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<Actual>,
    /// How its copies stand to their deadline, where they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineStatus>,
    /// Exit code of the container that ended the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it is in this state; one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in words and numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the container wrote to its termination log, at most 1024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// State of a copy.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum TaskPhase {
    /// No pod exists.
    #[default]
    Waiting,
    /// Pods exist and do not run yet.
    Starting,
    /// Pods run.
    Running,
    /// Ended well.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Will not run, because of another task or of the whole batch.
    Skipped,
}

/// How the copies of a task stand to their deadline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadlineStatus {
    /// When they are due, RFC 3339.
    pub due: String,
    /// Copies that succeeded in time.
    pub met: i64,
    /// Copies that had not ended when they were due.
    pub missed: i64,
    /// Copies that are not due yet and expected to end later.
    pub at_risk: i64,
    /// The copies that missed it, as `0-4,7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_copies: Option<String>,
    /// DeadlineAtRisk, DeadlineUnreachable where no plan can meet it, or DeadlineMissed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in words and numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Where a copy runs, and with how much.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignmentStatus {
    /// Node of each pod, at most 16 of them.
    pub nodes: Vec<String>,
    /// Computed requests of the container.
    pub requests: BTreeMap<String, String>,
    /// Number of pods.
    pub workers: i64,
    /// The flavor that was chosen, where the task has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<String>,
    /// The outermost level of the network that the pods of a gang span, host where they span none; only where the
    /// operator knows the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Delegate where kube-scheduler binds the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
}

/// What the plan expects of a copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Predicted {
    /// When it starts, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Time that reads data.
    pub read: String,
    /// Time that computes.
    pub compute: String,
    /// Time that the workers of a gang communicate, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub communicate: Option<String>,
    /// Time in all.
    pub total: String,
}

/// What was seen of a copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Actual {
    /// When its containers started, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// How long they ran, once they have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
}
