//! What a round sees and what it asks for: the seam between the pure core and a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::manifest;
use crate::api::{Reason, TaskBatch, TaskBatchStatus, label};
use crate::cluster::pod::Pod;
use crate::model::{Algorithm, Earlier, Node, Priorities, Problem, Share, Solution};

/// What a cluster holds at one moment. It must contain everything that earlier rounds wrote:
/// a world waits for its caches, or adds what it wrote itself.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Now.
    pub now: Timestamp,
    /// All batches.
    pub batches: Vec<Arc<TaskBatch>>,
    /// All nodes that can be read, by name.
    pub nodes: Vec<Arc<Node>>,
    /// All pods of everybody, but for those of strangers that have ended.
    pub pods: Vec<Arc<Pod>>,
    /// The priority classes.
    pub priorities: Priorities,
    /// The part of each node that batches may use together.
    pub share: Share,
}

/// A write that a round asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create a pod. That it exists already with our owner is success.
    Create(CreatePod),
    /// Bind a pod to a node.
    Bind(BindPod),
    /// Lift the gate of a pod, so that kube-scheduler binds it.
    Release(ReleasePod),
    /// Delete a pod that cannot be bound, unless kube-scheduler has done so meanwhile.
    TakeBack(TakeBack),
    /// Delete a pod.
    Delete(DeletePod),
    /// Delete a batch, its pods after it.
    DeleteBatch(ObjectId),
}

/// Names one object, and no later one of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

/// One copy of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyId {
    /// UID of the batch.
    pub batch_uid: String,
    /// Name of the task.
    pub task: String,
    /// Index of the copy.
    pub copy: u32,
}

/// The pods of one copy, of all its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodsOf {
    /// The batch that owns them.
    pub batch: ObjectId,
    /// The copy.
    pub copy: CopyId,
}

impl PodsOf {
    /// The labels by which they are found, beside the pods of an earlier batch of the same name.
    pub fn selector(&self) -> String {
        let CopyId { task, copy, .. } = &self.copy;
        let batch = manifest::batch_label(&self.batch);
        format!(
            "{}={batch},{}={task},{}={copy}",
            label::BATCH,
            label::TASK,
            label::COPY
        )
    }

    /// Whether a pod is one of them.
    pub fn contain(&self, pod: &Pod) -> bool {
        let CopyId {
            batch_uid,
            task,
            copy,
        } = &self.copy;
        let own = pod.own.as_ref();
        own.is_some_and(|own| (&own.batch_uid, &own.task, own.copy) == (batch_uid, task, *copy))
    }
}

/// A pod to create.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatePod {
    /// The copy that it is for.
    pub copy: CopyId,
    /// The batch that owns it.
    pub batch: ObjectId,
    /// Name of the pod.
    pub name: String,
    /// The whole object, as JSON.
    pub manifest: Value,
    /// A Service of the batch that must exist before, as JSON.
    pub service: Option<Value>,
}

/// A pod to bind. UID and resource version are preconditions: a pod that changed since is not bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindPod {
    /// The copy that it is for.
    pub copy: CopyId,
    /// The pod.
    pub pod: ObjectId,
    /// Resource version that was checked.
    pub resource_version: String,
    /// Where to.
    pub node: String,
}

/// A pod to let kube-scheduler at. UID and resource version are preconditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasePod {
    /// The copy that it is for.
    pub copy: CopyId,
    /// The pod.
    pub pod: ObjectId,
    /// Resource version that was checked.
    pub resource_version: String,
    /// Now, to be noted on the pod.
    pub now: Timestamp,
}

/// A pod that kube-scheduler cannot bind, or that we may not. UID and resource version are preconditions: a pod that it
/// has bound in the last moment stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeBack {
    /// The copy that it is for.
    pub copy: CopyId,
    /// The pod.
    pub pod: ObjectId,
    /// Resource version that was looked at.
    pub resource_version: String,
    /// The node that it is meant for.
    pub node: String,
    /// `Unschedulable` there, or `UnsupportedTemplate` where it has a rule that we do not know.
    pub reason: Reason,
    /// The same in words; for kube-scheduler's, of which node.
    pub message: String,
    /// How often in a row the copy has been set back, this time included.
    pub count: u32,
}

/// A pod to delete. UID and resource version are preconditions: a pod that has ended meanwhile stays, since
/// nothing else tells how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletePod {
    /// The pod.
    pub pod: ObjectId,
    /// Resource version that was looked at.
    pub resource_version: String,
    /// Why.
    pub reason: Reason,
}

/// What became of an action. What succeeded is told by the next `Observed`; only what failed must be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or had been done before.
    Done,
    /// The server said no for a reason that will hold for a while (quota, policy, an invalid pod).
    Refused {
        /// The copy that it was for.
        copy: CopyId,
        /// In the server's words.
        message: String,
    },
    /// Something else came first (409, 404): the next round sees it.
    Conflict,
    /// Nobody knows (timeout, 5xx, 429): the next round sees it, after this long.
    Unknown {
        /// How long to wait before looking again.
        retry_after: Duration,
    },
}

/// What a round tells the users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Statuses that differ from the observed ones.
    pub statuses: Vec<NewStatus>,
    /// What is worth an event.
    pub events: Vec<Event>,
}

/// A status to write. UID and resource version are preconditions: the status also remembers which copies have ended,
/// and a writer that has not seen the newest one would forget some.
#[derive(Clone, Debug, PartialEq)]
pub struct NewStatus {
    /// The batch.
    pub batch: ObjectId,
    /// Resource version of the batch from which the status was made.
    pub resource_version: String,
    /// The whole status.
    pub status: TaskBatchStatus,
}

/// Something worth telling, about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The batch.
    pub batch: ObjectId,
    /// Whether somebody should look at it.
    pub warning: bool,
    /// Why, in one word.
    pub reason: Reason,
    /// What was done about it, in one word such as `Planning`.
    pub action: &'static str,
    /// The same in words and numbers.
    pub note: String,
}

/// What a round does and finds, for logs, metrics, progress bars and the demo's screen.
#[derive(Clone, Debug)]
pub enum Fact<'a> {
    /// A verified plan was made.
    Planned {
        /// What was planned.
        problem: &'a Problem,
        /// The plan.
        solution: &'a Solution,
        /// How long the search took.
        elapsed: Duration,
        /// The batches in it, as `namespace/name`.
        batches: Vec<String>,
    },
    /// A plan did not pass the check; it is not used.
    Unverified {
        /// What is wrong.
        violations: String,
    },
    /// An action was carried out, or not.
    Acted {
        /// What was asked for.
        action: &'a Action,
        /// What became of it.
        outcome: &'a Outcome,
    },
    /// A copy has ended well or badly: predicted and actual length of its run, in ms.
    Ended {
        /// The copy.
        copy: &'a CopyId,
        /// What the plan expected.
        predicted: i64,
        /// What was seen.
        actual: i64,
        /// Whether it ended well.
        succeeded: bool,
    },
    /// Copies by state and reason, over all batches, at the end of the round.
    Tasks {
        /// Number of copies by phase, and reason where there is one.
        counts: &'a BTreeMap<(crate::api::TaskPhase, Option<Reason>), u64>,
    },
    /// How copies stand to their deadlines, at the end of the round.
    Deadlines(Deadlines),
    /// A copy was first bound this long after its batch was created.
    QueueWait {
        /// The wait.
        wait: Duration,
    },
}

/// How copies stand to their deadlines, over all batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// Copies that are expected to end after they are due.
    pub at_risk: u64,
    /// Copies that have missed their deadline since the last time.
    pub missed: u64,
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Which search.
    pub algorithm: Algorithm,
    /// Its seed.
    pub seed: u64,
    /// How long.
    pub time_limit: Duration,
    /// How many plans to try, in the place of the time limit.
    pub iterations: Option<u64>,
}

/// A cluster to run batches in: a real one, or a simulated one.
pub trait World {
    /// Why the cluster cannot be read or written at all.
    type Error;

    /// What the cluster holds now. I/O.
    fn observe(&mut self) -> impl Future<Output = Result<Observed, Self::Error>>;

    /// Reads the pods of these copies from the API server itself, past a watch that may be late; whether any is new.
    /// The next `Observed` contains them. I/O.
    fn look_past_watch(
        &mut self,
        copies: &[PodsOf],
    ) -> impl Future<Output = Result<bool, Self::Error>>;

    /// Searches for a plan, from an earlier one where there is one. The world owns clock and threads, so it
    /// runs the search. CPU.
    fn solve(
        &mut self,
        problem: &Problem,
        search: &Search,
        earlier: Option<&Earlier>,
    ) -> impl Future<Output = (Solution, Duration)>;

    /// Carries actions out, all of them, and tells what became of each, in their order. I/O.
    fn act(&mut self, actions: &[Action]) -> impl Future<Output = Vec<Outcome>>;

    /// Publishes statuses and events. What cannot be published now is tried again by a later round. I/O.
    fn report(&mut self, report: Report) -> impl Future<Output = ()>;

    /// Takes note of a fact, for logs and metrics.
    fn note(&mut self, fact: Fact<'_>);
}
