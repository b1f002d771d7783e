//! Reads a pod object, and keeps only what is needed of it: thousands of pods are held in memory.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as k8s;

use super::placement;
use super::repulsion::{self, Repulsion};
use super::requests::{self, RequestError};
use crate::api::{GROUP, SCHEDULER_NAME, SCHEDULING_GATE, annotation, label};
use crate::model::{Placement, Resources};

pub use super::prediction::PredictedMillis;

/// A pod of anybody.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID of the object.
    pub uid: String,
    /// Resource version of the object.
    pub resource_version: String,
    /// The node that it is bound to.
    pub node: Option<String>,
    /// The node on which kube-scheduler has made room for it, unless it is bound.
    pub nominated: Option<String>,
    /// Effective request.
    pub requests: Resources,
    /// Phase.
    pub phase: PodPhase,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Whom it will not have near it.
    pub repels: Vec<Repulsion>,
    /// What it says of itself if it is the pod of a task.
    pub own: Option<Arc<OwnPod>>,
}

/// Phase of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodPhase {
    /// Not running yet.
    #[default]
    Pending,
    /// Its containers run.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly, or rejected.
    Failed,
}

/// What a pod of a task says of itself: its intent, and how it went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnPod {
    /// UID of the TaskBatch that owns it.
    pub batch_uid: String,
    /// Name of the task.
    pub task: String,
    /// Index of the copy.
    pub copy: u32,
    /// Number of the attempt, from 0.
    pub attempt: u32,
    /// Rank of the worker, from 0.
    pub worker: u32,
    /// Number of pods of the attempt.
    pub workers: u32,
    /// The flavor that the plan chose, where the task has some.
    pub flavor: Option<String>,
    /// The node that the plan chose.
    pub node: String,
    /// Revision of that plan.
    pub plan: i64,
    /// When the plan expected it to end.
    pub predicted_end: Option<Timestamp>,
    /// What the plan expected of it.
    pub predicted: Option<PredictedMillis>,
    /// The outermost level of the network that its gang spans.
    pub level: Option<String>,
    /// Failed attempts of this copy before this one.
    pub failures: u32,
    /// Rejected or lost attempts of this copy just before this one.
    pub rejections: u32,
    /// Whether kube-scheduler binds it.
    pub delegated: bool,
    /// Whether our gate still keeps kube-scheduler from it.
    pub gated: bool,
    /// When our gate was lifted.
    pub released: Option<Timestamp>,
    /// That kube-scheduler cannot bind it, if it says so.
    pub unschedulable: Option<Unschedulable>,
    /// What kube-scheduler said of the place that was tried before.
    pub setback: Option<String>,
    /// The leader that wrote it last.
    pub leader: u64,
    /// A rule that only kube-scheduler knows, of a pod that we are to bind: admission may add some to what we create.
    /// Judged from the object as it comes over the wire, since what is read of it leaves out unknown fields.
    pub lacking: Option<String>,
    /// Where it may run, as the API server returned it; only while it is not bound.
    pub placement: Option<Placement>,
    /// Requests of each container, by its name.
    pub containers: Vec<(String, Resources)>,
    /// `status.reason`, with which the kubelet rejects.
    pub reason: Option<String>,
    /// `status.message`.
    pub message: Option<String>,
    /// When the kubelet took it, `status.startTime`.
    pub accepted: Option<Timestamp>,
    /// Whether a disruption ended it (eviction, preemption, a node that went away).
    pub disrupted: bool,
    /// When its containers started.
    pub started: Option<Timestamp>,
    /// How the container ended that decided the attempt: the first that failed, else the first.
    pub exit: Option<Exit>,
}

/// That kube-scheduler has looked at a pod and cannot bind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unschedulable {
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why, in its words.
    pub message: String,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exit {
    /// Exit code.
    pub code: i32,
    /// Reason, such as `OOMKilled` or `Error`.
    pub reason: String,
    /// Termination message.
    pub message: Option<String>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

impl Pod {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The node whose room it uses, or will as far as others have decided: the one it is bound to, or for pods of
    /// strangers the one on which kube-scheduler has evicted others for it. That room is not ours.
    pub fn holder(&self) -> Option<&str> {
        let awaited = self.nominated.as_deref().filter(|_| self.own.is_none());
        self.node.as_deref().or(awaited)
    }

    /// Whether it has ended and holds nothing any more.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, PodPhase::Succeeded | PodPhase::Failed)
    }
}

impl OwnPod {
    /// Whether kube-scheduler may bind it at any moment, as long as it is not bound.
    pub fn is_released(&self) -> bool {
        self.delegated && !self.gated
    }
}

/// Reads a pod object. A pod of ours without the labels that we write is a stranger.
pub fn read(pod: &k8s::Pod) -> Result<Pod, RequestError> {
    let status = pod.status.as_ref();
    let meta = &pod.metadata;
    Ok(Pod {
        namespace: meta.namespace.clone().unwrap_or_else(|| "default".into()),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
        node: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .filter(|node| !node.is_empty()),
        nominated: status
            .and_then(|status| status.nominated_node_name.clone())
            .filter(|node| !node.is_empty()),
        requests: requests::effective(pod)?,
        phase: match status.and_then(|status| status.phase.as_deref()) {
            Some("Running") => PodPhase::Running,
            Some("Succeeded") => PodPhase::Succeeded,
            Some("Failed") => PodPhase::Failed,
            _ => PodPhase::Pending,
        },
        terminating: meta.deletion_timestamp.is_some(),
        created: meta.creation_timestamp.as_ref().map(|time| time.0),
        repels: repulsion::read(pod),
        own: own(pod).map(Arc::new),
    })
}

fn own(pod: &k8s::Pod) -> Option<OwnPod> {
    let meta = &pod.metadata;
    let owner = meta.owner_references.iter().flatten().find(|owner| {
        owner.controller == Some(true)
            && owner.kind == "TaskBatch"
            && owner.api_version.split('/').next() == Some(GROUP)
    })?;
    let label = |key: &str| meta.labels.as_ref()?.get(key);
    let note = |key: &str| meta.annotations.as_ref()?.get(key);
    let status = pod.status.clone().unwrap_or_default();
    let predicted = note(annotation::PREDICTED).and_then(|text| PredictedMillis::read(text));
    Some(OwnPod {
        batch_uid: owner.uid.clone(),
        task: label(label::TASK)?.clone(),
        copy: label(label::COPY)?.parse().ok()?,
        attempt: label(label::ATTEMPT)?.parse().ok()?,
        worker: label(label::WORKER).map_or(Some(0), |rank| rank.parse().ok())?,
        workers: note(annotation::WORKERS).map_or(Some(1), |all| all.parse().ok())?,
        flavor: note(annotation::FLAVOR).cloned(),
        node: note(annotation::NODE)?.clone(),
        plan: note(annotation::PLAN)
            .and_then(|revision| revision.parse().ok())
            .unwrap_or(0),
        predicted_end: note(annotation::PREDICTED_END).and_then(|time| time.parse().ok()),
        predicted: predicted.as_ref().map(|(times, _)| *times),
        level: predicted.and_then(|(_, level)| level),
        failures: count(note(annotation::FAILURES)),
        rejections: count(note(annotation::REJECTIONS)),
        delegated: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.scheduler_name.as_deref())
            .is_some_and(|name| name != SCHEDULER_NAME),
        gated: gates(pod).any(|gate| gate.name == SCHEDULING_GATE),
        released: note(annotation::RELEASED).and_then(|time| time.parse().ok()),
        unschedulable: unschedulable(&status),
        setback: note(annotation::UNSCHEDULABLE).cloned(),
        leader: note(annotation::LEADER)
            .and_then(|revision| revision.parse().ok())
            .unwrap_or(0),
        lacking: None,
        placement: pod
            .spec
            .as_ref()
            .filter(|spec| spec.node_name.is_none())
            .map(placement::read),
        containers: containers(pod),
        disrupted: status
            .conditions
            .iter()
            .flatten()
            .any(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True"),
        started: started(&status),
        accepted: status.start_time.as_ref().map(|time| time.0),
        exit: exit(&status),
        reason: status.reason,
        message: status.message,
    })
}

fn gates(pod: &k8s::Pod) -> impl Iterator<Item = &k8s::PodSchedulingGate> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| spec.scheduling_gates.iter().flatten())
}

/// kube-scheduler writes `SchedulerError` where it failed itself, and goes on trying. A pod that it has nominated for
/// a node waits there for others to leave.
fn unschedulable(status: &k8s::PodStatus) -> Option<Unschedulable> {
    let nominated = status.nominated_node_name.as_ref();
    if nominated.is_some_and(|node| !node.is_empty()) {
        return None;
    }
    let mut conditions = status.conditions.iter().flatten();
    let found = conditions.find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && matches!(
                condition.reason.as_deref(),
                Some("Unschedulable" | "SchedulerError")
            )
    })?;
    Some(Unschedulable {
        since: found.last_transition_time.as_ref().map(|time| time.0),
        message: found.message.clone().unwrap_or_default(),
    })
}

fn count(text: Option<&String>) -> u32 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn containers(pod: &k8s::Pod) -> Vec<(String, Resources)> {
    let all = pod.spec.iter().flat_map(|spec| &spec.containers);
    all.filter_map(|one| {
        let requests = requests::container(one.resources.as_ref()).ok()?;
        Some((one.name.clone(), requests))
    })
    .collect()
}

/// The first start of a container; a pod that is gone through all its states at once still tells it.
fn started(status: &k8s::PodStatus) -> Option<Timestamp> {
    let states = status.container_statuses.iter().flatten();
    states
        .filter_map(|one| {
            let state = one.state.as_ref()?;
            let running = state.running.as_ref().and_then(|it| it.started_at.as_ref());
            let ended = state.terminated.as_ref();
            running
                .or_else(|| ended.and_then(|it| it.started_at.as_ref()))
                .map(|time| time.0)
        })
        .min()
}

fn exit(status: &k8s::PodStatus) -> Option<Exit> {
    let all = status.container_statuses.iter().flatten();
    let ended: Vec<_> = all
        .filter_map(|one| one.state.as_ref()?.terminated.as_ref())
        .collect();
    let chosen = ended
        .iter()
        .find(|one| one.exit_code != 0)
        .or_else(|| ended.first())?;
    Some(Exit {
        code: chosen.exit_code,
        reason: chosen.reason.clone().unwrap_or_default(),
        message: chosen.message.clone(),
        finished: chosen.finished_at.as_ref().map(|time| time.0),
    })
}
