//! The custom resource, as the API server holds it: types, schema and rules that the server enforces.
//!
//! What a manifest means, and whether it is consistent, is decided by `cluster::intake`.

mod amount;
mod crd;
mod estimate;
mod fault;
mod flavor;
mod gang;
mod grammar;
mod range;
mod retry;
pub mod schema;
mod spec;
mod status;
mod template;

pub use crate::model::{Binding, Reason};
pub use amount::Amount;
pub use crd::{crd, crd_yaml};
pub use estimate::{Estimate, SCALING_MESSAGE, ScalingSpec, ScalingType, SpeedupPoint};
pub use fault::Fault;
pub use flavor::FlavorSpec;
pub use gang::{
    CommSpec, Framework, Gang, NEAR_MESSAGE, TopologySpec, WORKERS_MESSAGE, WorkerStep, WorkersSpec,
};
pub use grammar::{DEADLINE_MESSAGE, DECIMAL_MESSAGE, DURATION_MESSAGE, FRACTION_MESSAGE};
pub use range::{RANGE_MESSAGE, RangeSpec, STEP_MESSAGE, WHOLE_MESSAGE};
pub use retry::{Backoff, Retry};
pub use spec::{
    COPIES_MESSAGE, DELEGATE_MESSAGE, FailurePolicy, MOST_COPIES, Objective, Optimizer, TaskBatch,
    TaskBatchSpec, TaskSpec,
};
pub use status::{
    Actual, AssignmentStatus, ConditionType, DeadlineStatus, Phase, PlanStatus, Predicted,
    Progress, TaskBatchStatus, TaskPhase, TaskStatus,
};
pub use template::{PodTemplate, RESERVED, RESTART_MESSAGE};

/// API group, and the prefix of every label and annotation of ours.
pub const GROUP: &str = "taskbatch.dev";

/// The scheduler name of our pods, so that kube-scheduler leaves them alone.
pub const SCHEDULER_NAME: &str = "taskbatch";

/// The ordinary kube-scheduler, which binds the pods that are delegated.
pub const KUBE_SCHEDULER: &str = "default-scheduler";

/// Holds a delegated pod back until its place is checked and its gang is complete.
pub const SCHEDULING_GATE: &str = "taskbatch.dev/checked";

/// Labels on pods and nodes.
pub mod label {
    /// Name of the batch.
    pub const BATCH: &str = "taskbatch.dev/batch";
    /// Name of the task.
    pub const TASK: &str = "taskbatch.dev/task";
    /// Index of the copy.
    pub const COPY: &str = "taskbatch.dev/copy";
    /// Number of the attempt, from 0.
    pub const ATTEMPT: &str = "taskbatch.dev/attempt";
    /// Rank of the worker in its gang, from 0.
    pub const WORKER: &str = "taskbatch.dev/worker";
    /// On nodes: computing speed relative to the estimates.
    pub const SPEED: &str = "taskbatch.dev/speed";
    /// On nodes: price of the whole node per hour.
    pub const PRICE: &str = "taskbatch.dev/price";
    /// On nodes: bytes a second that it reads.
    pub const READ_BANDWIDTH: &str = "taskbatch.dev/read-bandwidth";
}

/// Annotations on pods: the pod is its own record of intent.
pub mod annotation {
    /// The node that the plan chose.
    pub const NODE: &str = "taskbatch.dev/node";
    /// Revision of the plan that created the pod.
    pub const PLAN: &str = "taskbatch.dev/plan";
    /// When the plan expects the pod to end, RFC 3339.
    pub const PREDICTED_END: &str = "taskbatch.dev/predicted-end";
    /// How long the plan expects the pod to read, compute and run in whole ms: `read/compute/total`, and behind that how
    /// long its gang communicates and the level of the network that it spans, `/communicate/level`, where there are some.
    pub const PREDICTED: &str = "taskbatch.dev/predicted-ms";
    /// The flavor that the plan chose, where the task has some.
    pub const FLAVOR: &str = "taskbatch.dev/flavor";
    /// Number of pods of this attempt.
    pub const WORKERS: &str = "taskbatch.dev/workers";
    /// How many attempts of this copy failed before, each a use of its retries.
    pub const FAILURES: &str = "taskbatch.dev/failures";
    /// How many attempts of this copy nodes rejected or lost before, in a row.
    pub const REJECTIONS: &str = "taskbatch.dev/rejections";
    /// When kube-scheduler was let at the pod, RFC 3339.
    pub const RELEASED: &str = "taskbatch.dev/released";
    /// What kube-scheduler said of the node that was tried before.
    pub const UNSCHEDULABLE: &str = "taskbatch.dev/unschedulable";
    /// The leader that wrote the pod last: the revision at which it won the lease.
    pub const LEADER: &str = "taskbatch.dev/leader";
}
