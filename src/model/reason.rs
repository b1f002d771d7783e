//! The one list of reasons: conditions, events, metric labels, `plan` and the web speak these words.

use std::fmt;

/// Why something is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The spec was read and is good.
    Valid,
    /// The spec is wrong; the message names field, value and what would be right.
    InvalidSpec,
    /// The pod template has a rule that `binding: Direct` does not honour.
    UnsupportedTemplate,
    /// A plan was made and verified.
    PlanFound,
    /// No plan was made for now; the message says why.
    PlanPending,
    /// All tasks have their pods on nodes.
    AllScheduled,
    /// The task fits no node, were all of them empty.
    ExceedsCapacity,
    /// Node selector, affinity, taints or readiness leave no node.
    NoMatchingNode,
    /// The task would fit, were it not for pods that others run, or for what the plan runs before it.
    WaitingForCapacity,
    /// A task that this one depends on has not succeeded yet.
    WaitingForDependency,
    /// A task that this one depends on cannot be placed.
    DependencyUnplaced,
    /// A task that this one depends on has failed.
    DependencyFailed,
    /// The last attempt failed; the next one waits for its backoff.
    RetryBackoff,
    /// A node rejected the pod, or was lost with it; a new attempt follows and costs no retry.
    NodeRejected,
    /// The API server refused the pod.
    PodRejected,
    /// kube-scheduler could not bind the pod on the chosen node; another place is looked for.
    Unschedulable,
    /// The pod is created or bound, its containers do not run yet.
    Starting,
    /// Pods run.
    PodsRunning,
    /// No pod runs.
    NothingRunning,
    /// All tasks succeeded.
    AllSucceeded,
    /// A task failed for good.
    TaskFailed,
    /// A container ran out of memory.
    OutOfMemory,
    /// Copies are expected to end after they are due; another plan might do better.
    DeadlineAtRisk,
    /// Copies cannot end by the time at which they are due, whatever the plan.
    DeadlineUnreachable,
    /// Copies were due and had not ended.
    DeadlineMissed,
    /// `activeDeadlineSeconds` has passed.
    DeadlineExceeded,
    /// `spec.suspend` is true.
    Suspended,
    /// `spec.suspend` is false again.
    Resumed,
    /// The batch failed and takes this task with it.
    BatchFailed,
}

impl Reason {
    /// Every reason, for tables and metrics.
    pub const ALL: [Reason; 29] = [
        Reason::Valid,
        Reason::InvalidSpec,
        Reason::UnsupportedTemplate,
        Reason::PlanFound,
        Reason::PlanPending,
        Reason::AllScheduled,
        Reason::ExceedsCapacity,
        Reason::NoMatchingNode,
        Reason::WaitingForCapacity,
        Reason::WaitingForDependency,
        Reason::DependencyUnplaced,
        Reason::DependencyFailed,
        Reason::RetryBackoff,
        Reason::NodeRejected,
        Reason::PodRejected,
        Reason::Unschedulable,
        Reason::Starting,
        Reason::PodsRunning,
        Reason::NothingRunning,
        Reason::AllSucceeded,
        Reason::TaskFailed,
        Reason::OutOfMemory,
        Reason::DeadlineAtRisk,
        Reason::DeadlineUnreachable,
        Reason::DeadlineMissed,
        Reason::DeadlineExceeded,
        Reason::Suspended,
        Reason::Resumed,
        Reason::BatchFailed,
    ];

    /// The word, in CamelCase.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Valid => "Valid",
            Reason::InvalidSpec => "InvalidSpec",
            Reason::UnsupportedTemplate => "UnsupportedTemplate",
            Reason::PlanFound => "PlanFound",
            Reason::PlanPending => "PlanPending",
            Reason::AllScheduled => "AllScheduled",
            Reason::ExceedsCapacity => "ExceedsCapacity",
            Reason::NoMatchingNode => "NoMatchingNode",
            Reason::WaitingForCapacity => "WaitingForCapacity",
            Reason::WaitingForDependency => "WaitingForDependency",
            Reason::DependencyUnplaced => "DependencyUnplaced",
            Reason::DependencyFailed => "DependencyFailed",
            Reason::RetryBackoff => "RetryBackoff",
            Reason::NodeRejected => "NodeRejected",
            Reason::PodRejected => "PodRejected",
            Reason::Unschedulable => "Unschedulable",
            Reason::Starting => "Starting",
            Reason::PodsRunning => "PodsRunning",
            Reason::NothingRunning => "NothingRunning",
            Reason::AllSucceeded => "AllSucceeded",
            Reason::TaskFailed => "TaskFailed",
            Reason::OutOfMemory => "OutOfMemory",
            Reason::DeadlineAtRisk => "DeadlineAtRisk",
            Reason::DeadlineUnreachable => "DeadlineUnreachable",
            Reason::DeadlineMissed => "DeadlineMissed",
            Reason::DeadlineExceeded => "DeadlineExceeded",
            Reason::Suspended => "Suspended",
            Reason::Resumed => "Resumed",
            Reason::BatchFailed => "BatchFailed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
