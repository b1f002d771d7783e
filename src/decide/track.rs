//! What state each copy of each task is in, from its pods, and from what the status remembers of copies
//! that have ended: finished pods may be deleted by anybody.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::world::{CopyId, ObjectId, Observed};
use super::{Memory, ranges};
use crate::api::{Fault, Reason, TaskBatch, TaskSpec};
use crate::cluster::pod::{Exit, OwnPod, Pod, PodPhase};
use crate::cluster::{duration, intake};
use crate::model::{Batch, Millis, ceil_i64, decimal};

/// A batch and its copies, as they are now.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The object.
    pub object: Arc<TaskBatch>,
    /// Its name and UID.
    pub id: ObjectId,
    /// What its manifest means, or what is wrong with it.
    pub batch: Result<Arc<Batch>, Arc<Vec<Fault>>>,
    /// Its copies, by task and copy. Empty when the manifest is wrong.
    pub copies: Vec<Copy>,
}

/// One copy of a task, as it is now.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Index of the task in the batch.
    pub task: usize,
    /// Index of the copy.
    pub copy: u32,
    /// Its state.
    pub state: State,
    /// Number of the newest attempt; of the next one while the copy waits.
    pub attempt: u32,
    /// Attempts that failed and count against the retries.
    pub failures: u32,
    /// Attempts in a row that nodes rejected or lost.
    pub rejections: u32,
    /// The pods of the newest attempt, by worker.
    pub pods: Vec<Arc<Pod>>,
    /// Pods of older attempts that a node rejected: they hold no logs and may go.
    pub leftover: Vec<Arc<Pod>>,
}

/// State of a copy.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// No pod lives. The next attempt may start from `not_before` on; `cause` is why the last one did not do.
    Waiting {
        /// Earliest start.
        not_before: Option<Timestamp>,
        /// Why the last attempt ended, if there was one.
        cause: Option<(Reason, String)>,
    },
    /// All pods exist, some do not run yet.
    Starting,
    /// All pods run.
    Running,
    /// The attempt is over or given up; pods that live must go first.
    Ending {
        /// Why.
        cause: Reason,
    },
    /// Ended well.
    Succeeded,
    /// Failed for good.
    Failed {
        /// Why, in a word.
        reason: Reason,
        /// Why, in words and numbers.
        message: String,
    },
    /// Will not run, because a task that it depends on has failed.
    Skipped {
        /// Name of that task.
        because_of: String,
    },
}

impl Copy {
    /// Whether nothing more will happen to it.
    pub fn is_ended(&self) -> bool {
        matches!(
            self.state,
            State::Succeeded | State::Failed { .. } | State::Skipped { .. }
        )
    }

    /// The pods that have not ended.
    pub fn live(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.iter().filter(|pod| !pod.is_finished())
    }

    /// What the first pod says of itself.
    pub fn own(&self) -> Option<&OwnPod> {
        self.pods.first().and_then(|pod| pod.own.as_deref())
    }
}

impl Tracked {
    /// Names one of its copies.
    pub fn copy_id(&self, copy: &Copy) -> CopyId {
        CopyId {
            batch_uid: self.id.uid.clone(),
            task: self.object.spec.tasks[copy.task].name.clone(),
            copy: copy.copy,
        }
    }

    /// Whether it is on its way out of the cluster.
    pub fn is_deleting(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }
}

/// Tracks every batch, oldest first.
pub fn track(observed: &Observed, memory: &mut Memory) -> Vec<Tracked> {
    let mut pods_of: HashMap<&str, Vec<&Arc<Pod>>> = HashMap::new();
    for pod in &observed.pods {
        if let Some(own) = &pod.own {
            pods_of.entry(own.batch_uid.as_str()).or_default().push(pod);
        }
    }
    memory.forget_batches(&observed.batches);
    let mut batches: Vec<Tracked> = observed
        .batches
        .iter()
        .map(|object| {
            let id = id_of(object);
            let batch = memory.intake(object);
            let pods = pods_of.remove(id.uid.as_str()).unwrap_or_default();
            let copies = match &batch {
                Ok(batch) => track_copies(object, batch, &pods, observed.now),
                Err(_) => Vec::new(),
            };
            Tracked {
                object: object.clone(),
                id,
                batch,
                copies,
            }
        })
        .collect();
    batches.sort_by_key(|tracked| (created(&tracked.object), tracked.id.clone()));
    batches
}

/// Name and UID of a batch.
pub fn id_of(object: &TaskBatch) -> ObjectId {
    ObjectId {
        namespace: object
            .metadata
            .namespace
            .clone()
            .unwrap_or_else(|| "default".into()),
        name: object.metadata.name.clone().unwrap_or_default(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
    }
}

/// When the batch was created.
pub fn created(object: &TaskBatch) -> Option<Timestamp> {
    object
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0)
}

impl Memory {
    /// Reads a manifest, once for each generation.
    fn intake(&mut self, object: &TaskBatch) -> Result<Arc<Batch>, Arc<Vec<Fault>>> {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let generation = object.metadata.generation;
        match self.intakes.get(&uid) {
            Some((known, batch)) if *known == generation => batch.clone(),
            _ => {
                let batch = intake::read(object).map(Arc::new).map_err(Arc::new);
                self.intakes.insert(uid, (generation, batch.clone()));
                batch
            }
        }
    }

    fn forget_batches(&mut self, batches: &[Arc<TaskBatch>]) {
        if self.intakes.len() <= batches.len() && self.refusals.is_empty() && self.ended.is_empty()
        {
            return;
        }
        let live: HashSet<&str> = batches
            .iter()
            .filter_map(|batch| batch.metadata.uid.as_deref())
            .collect();
        self.intakes.retain(|uid, _| live.contains(uid.as_str()));
        self.refusals
            .retain(|copy, _| live.contains(copy.batch_uid.as_str()));
        self.ended
            .retain(|copy| live.contains(copy.batch_uid.as_str()));
    }
}

fn track_copies(
    object: &TaskBatch,
    batch: &Batch,
    pods: &[&Arc<Pod>],
    now: Timestamp,
) -> Vec<Copy> {
    let mut by_copy: HashMap<(&str, u32), Vec<&Arc<Pod>>> = HashMap::new();
    for pod in pods {
        if let Some(own) = &pod.own {
            by_copy
                .entry((own.task.as_str(), own.copy))
                .or_default()
                .push(pod);
        }
    }
    let mut copies = Vec::new();
    for (index, task) in batch.tasks.iter().enumerate() {
        let spec = &object.spec.tasks[index];
        let known = object
            .status
            .as_ref()
            .and_then(|status| status.tasks.iter().find(|one| one.name == task.name));
        let succeeded = ranges::read(known.map_or("", |known| &known.succeeded));
        let failed = ranges::read(known.map_or("", |known| &known.failed));
        for copy in 0..task.count {
            let found = by_copy
                .remove(&(task.name.as_str(), copy))
                .unwrap_or_default();
            let mut tracked = track_copy(spec, index, copy, found, now);
            if succeeded.contains(copy) {
                tracked.state = State::Succeeded;
            } else if failed.contains(copy) && !matches!(tracked.state, State::Failed { .. }) {
                tracked.state = State::Failed {
                    reason: Reason::TaskFailed,
                    message: known
                        .and_then(|known| known.message.clone())
                        .unwrap_or_default(),
                };
            }
            copies.push(tracked);
        }
    }
    skip_dependents(batch, &mut copies);
    copies
}

/// The newest attempt tells the state; older ones must be gone, or ended, before it counts.
fn track_copy(
    spec: &TaskSpec,
    task: usize,
    copy: u32,
    pods: Vec<&Arc<Pod>>,
    now: Timestamp,
) -> Copy {
    let attempt_of = |pod: &Pod| pod.own.as_ref().map_or(0, |own| own.attempt);
    let newest = pods.iter().map(|pod| attempt_of(pod)).max().unwrap_or(0);
    let (mut current, older): (Vec<_>, Vec<_>) =
        pods.into_iter().partition(|pod| attempt_of(pod) == newest);
    current.sort_by_key(|pod| pod.own.as_ref().map_or(0, |own| own.worker));
    let mut found = Copy {
        task,
        copy,
        state: State::Waiting {
            not_before: None,
            cause: None,
        },
        attempt: newest,
        failures: 0,
        rejections: 0,
        pods: current.into_iter().cloned().collect(),
        leftover: Vec::new(),
    };
    if let Some(own) = found.own() {
        (found.failures, found.rejections) = (own.failures, own.rejections);
        judge(&mut found, spec, now);
    }
    for pod in older {
        if !pod.is_finished() {
            found.state = State::Ending {
                cause: Reason::Starting,
            };
            found.pods.push(pod.clone());
        } else if rejection(pod).is_some() {
            found.leftover.push(pod.clone());
        }
    }
    found
}

/// Judges the newest attempt from its pods.
fn judge(copy: &mut Copy, spec: &TaskSpec, now: Timestamp) {
    let workers = copy.own().map_or(1, |own| own.workers) as usize;
    let phase_count = |phase: PodPhase| copy.pods.iter().filter(|pod| pod.phase == phase).count();
    let complete = copy.pods.len() >= workers;
    if complete && phase_count(PodPhase::Succeeded) == copy.pods.len() {
        copy.state = State::Succeeded;
        return;
    }
    let broken = phase_count(PodPhase::Failed) > 0 || !complete;
    let leaving = copy.live().any(|pod| pod.terminating);
    if copy.live().next().is_some() && (broken || leaving) {
        copy.state = State::Ending {
            cause: Reason::Starting,
        };
    } else if broken {
        attempt_over(copy, spec, now);
    } else if phase_count(PodPhase::Pending) == 0 {
        copy.state = State::Running;
    } else {
        copy.state = State::Starting;
    }
}

/// No pod of the attempt lives and it did not succeed: another attempt follows, or the copy has failed for good.
fn attempt_over(copy: &mut Copy, spec: &TaskSpec, now: Timestamp) {
    let failed = copy
        .pods
        .iter()
        .find(|pod| pod.phase == PodPhase::Failed && rejection(pod).is_none());
    let Some(pod) = failed else {
        let cause = copy
            .pods
            .iter()
            .find_map(|pod| rejection(pod))
            .unwrap_or_else(|| "a pod of the attempt is gone".into());
        copy.rejections += 1;
        copy.attempt += 1;
        copy.state = State::Waiting {
            not_before: copy
                .pods
                .iter()
                .filter_map(|pod| ended_at(pod))
                .max()
                .map(|end| after(end, rejection_delay(copy.rejections))),
            cause: Some((Reason::NodeRejected, cause)),
        };
        return;
    };
    let (reason, message) = failure(pod);
    let end = ended_at(pod).unwrap_or(now);
    copy.failures += 1;
    copy.rejections = 0;
    if i64::from(copy.failures) > spec.retry.limit {
        copy.state = State::Failed { reason, message };
        return;
    }
    copy.attempt += 1;
    copy.state = State::Waiting {
        not_before: Some(after(end, backoff(spec, copy.failures))),
        cause: Some((
            Reason::RetryBackoff,
            format!(
                "attempt {} of {}: {message}",
                copy.failures,
                spec.retry.limit + 1
            ),
        )),
    };
}

/// Copies of tasks behind a task that failed for good, or was skipped itself, do not run.
fn skip_dependents(batch: &Batch, copies: &mut [Copy]) {
    let mut lost: BTreeMap<String, ()> = BTreeMap::new();
    for copy in copies.iter() {
        if matches!(copy.state, State::Failed { .. }) {
            lost.insert(batch.tasks[copy.task].name.clone(), ());
        }
    }
    while !lost.is_empty() {
        let mut more = BTreeMap::new();
        for copy in copies.iter_mut() {
            let task = &batch.tasks[copy.task];
            let because = task.after.iter().find(|name| lost.contains_key(*name));
            if let (State::Waiting { .. }, Some(because)) = (&copy.state, because) {
                copy.state = State::Skipped {
                    because_of: because.clone(),
                };
                more.insert(task.name.clone(), ());
            }
        }
        lost = more;
    }
}

/// Why a failed pod never ran to its end by a fault of its own; `None` if it did.
///
/// The kubelet rejects with a reason and without container statuses; a lost node or an eviction
/// leaves a disruption condition, or the exit code 255 with the reason Unknown.
pub fn rejection(pod: &Pod) -> Option<String> {
    let own = pod.own.as_ref().filter(|_| pod.phase == PodPhase::Failed)?;
    let node = pod.node.as_deref().unwrap_or("its node");
    let words = || {
        let reason = own.reason.as_deref().unwrap_or("no reason given");
        let message = own.message.as_deref().unwrap_or_default();
        format!("{node}: {reason} {message}").trim_end().to_owned()
    };
    let reason = own.reason.as_deref().unwrap_or_default();
    let at_admission = own.exit.is_none() && own.started.is_none() && reason != "DeadlineExceeded";
    let lost = own
        .exit
        .as_ref()
        .is_some_and(|exit| exit.code == 255 && exit.reason == "Unknown");
    let evicted = matches!(
        reason,
        "Evicted" | "NodeShutdown" | "Terminated" | "NodeLost" | "Preempting"
    );
    (own.disrupted || at_admission || lost || evicted).then(words)
}

/// Why a pod failed by a fault of its own.
fn failure(pod: &Pod) -> (Reason, String) {
    let own = pod.own.as_deref().cloned().unwrap_or_default();
    match own.exit {
        Some(Exit { code, reason, .. }) if reason == "OOMKilled" => (
            Reason::OutOfMemory,
            format!("out of memory, exit code {code}"),
        ),
        Some(Exit { code, reason, .. }) => {
            (Reason::TaskFailed, format!("exit code {code} ({reason})"))
        }
        None => {
            let reason = own.reason.unwrap_or_else(|| "failed".into());
            (
                Reason::TaskFailed,
                format!("{reason} {}", own.message.unwrap_or_default())
                    .trim_end()
                    .to_owned(),
            )
        }
    }
}

/// When a pod ended, as far as anybody knows.
pub fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let own = pod.own.as_ref()?;
    let finished = own.exit.as_ref().and_then(|exit| exit.finished);
    finished.or(own.accepted).or(pod.created)
}

/// Wait after that many rejections in a row: 2 s, 4 s, ... at most 64 s.
pub fn rejection_delay(rejections: u32) -> Duration {
    Duration::from_secs(1 << rejections.clamp(1, 6))
}

/// `initial x factor^(failures - 1)`, at most `max`.
fn backoff(spec: &TaskSpec, failures: u32) -> Duration {
    let backoff = &spec.retry.backoff;
    let millis = |text: &str| {
        duration::parse(text)
            .and_then(|exact| ceil_i64(&exact))
            .unwrap_or(0)
    };
    let most = millis(&backoff.max);
    let factor = decimal(&backoff.factor).unwrap_or_else(|| crate::model::exact(1));
    let mut wait = crate::model::exact(millis(&backoff.initial));
    for _ in 1..failures {
        wait *= &factor;
        if wait >= crate::model::exact(most) {
            break;
        }
    }
    let wait: Millis = ceil_i64(&wait).unwrap_or(most).clamp(0, most);
    Duration::from_millis(wait.unsigned_abs())
}

/// That much later; the end of time when it is later than that.
pub fn after(time: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| time.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod;
    use serde_json::{Value, json};

    const BATCH: &str = "
apiVersion: taskbatch.dev/v1alpha1
kind: TaskBatch
metadata: {name: demo, namespace: default, uid: u1}
spec:
  tasks:
  - name: a
    retry: {limit: 1, backoff: {initial: 10s, factor: '3', max: 1m}}
    template: {spec: {containers: [{name: main}]}}
  - name: b
    dependsOn: [a]
    template: {spec: {containers: [{name: main}]}}
";

    fn now() -> Timestamp {
        "2026-01-01T00:01:00Z".parse().expect("a time")
    }

    /// A pod of task a, by its attempt, phase and the rest of its status.
    fn pod(attempt: u32, failures: u32, status: Value) -> Arc<Pod> {
        let object = json!({
            "metadata": {
                "name": format!("demo-a-0-{attempt}"), "namespace": "default", "uid": format!("p{attempt}"),
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"taskbatch.dev/task": "a", "taskbatch.dev/copy": "0", "taskbatch.dev/attempt": attempt.to_string()},
                "annotations": {"taskbatch.dev/node": "n1", "taskbatch.dev/failures": failures.to_string()},
                "ownerReferences": [{"apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "name": "demo", "uid": "u1", "controller": true}],
            },
            "spec": {"nodeName": "n1", "containers": [{"name": "main"}]},
            "status": status,
        });
        let object = serde_json::from_value(object).expect("a pod");
        Arc::new(pod::read(&object).expect("a pod that reads"))
    }

    fn exited(code: i32, reason: &str) -> Value {
        json!({"phase": if code == 0 { "Succeeded" } else { "Failed" }, "containerStatuses": [{
            "name": "main", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": {"terminated": {"exitCode": code, "reason": reason, "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:30Z"}},
        }]})
    }

    fn states(pods: Vec<Arc<Pod>>) -> Vec<Copy> {
        let observed = Observed {
            now: now(),
            batches: vec![Arc::new(serde_saphyr::from_str(BATCH).expect("a batch"))],
            nodes: Vec::new(),
            pods,
            priorities: BTreeMap::new(),
        };
        track(&observed, &mut Memory::default()).remove(0).copies
    }

    #[test]
    fn without_pods_a_copy_waits_for_its_first_attempt() {
        let copy = &states(Vec::new())[0];
        assert_eq!((copy.attempt, copy.failures), (0, 0));
        assert!(matches!(
            &copy.state,
            State::Waiting {
                not_before: None,
                cause: None
            }
        ));
    }

    #[test]
    fn a_failed_attempt_uses_a_retry_and_waits_for_its_backoff() {
        let copy = &states(vec![pod(0, 0, exited(1, "Error"))])[0];
        assert_eq!((copy.attempt, copy.failures), (1, 1));
        let State::Waiting {
            not_before: Some(time),
            cause: Some((reason, _)),
        } = &copy.state
        else {
            panic!("{:?}", copy.state);
        };
        assert_eq!(*reason, Reason::RetryBackoff);
        assert_eq!(time.to_string(), "2026-01-01T00:00:40Z");
    }

    #[test]
    fn the_last_failed_attempt_fails_the_copy_and_skips_what_depends_on_it() {
        let copies = states(vec![
            pod(0, 0, exited(1, "Error")),
            pod(1, 1, exited(137, "OOMKilled")),
        ]);
        assert!(matches!(
            &copies[0].state,
            State::Failed {
                reason: Reason::OutOfMemory,
                ..
            }
        ));
        assert!(matches!(&copies[1].state, State::Skipped { because_of } if because_of == "a"));
    }

    #[test]
    fn rejected_and_lost_pods_use_no_retry() {
        let rejected =
            json!({"phase": "Failed", "reason": "OutOfcpu", "message": "Pod was rejected"});
        let lost = exited(255, "Unknown");
        let mut evicted = exited(137, "Error");
        evicted["conditions"] = json!([{"type": "DisruptionTarget", "status": "True"}]);
        for status in [rejected, lost, evicted] {
            let copy = &states(vec![pod(3, 1, status)])[0];
            assert_eq!((copy.attempt, copy.failures, copy.rejections), (4, 1, 1));
            assert!(matches!(
                &copy.state,
                State::Waiting {
                    cause: Some((Reason::NodeRejected, _)),
                    ..
                }
            ));
        }
    }

    #[test]
    fn a_new_attempt_waits_until_no_pod_of_an_older_one_lives() {
        let pods = vec![
            pod(0, 0, json!({"phase": "Running"})),
            pod(1, 0, json!({"phase": "Pending"})),
        ];
        assert!(matches!(states(pods)[0].state, State::Ending { .. }));
    }

    #[test]
    fn success_is_final() {
        assert_eq!(
            states(vec![pod(0, 0, exited(0, "Completed"))])[0].state,
            State::Succeeded
        );
    }

    #[test]
    fn backoff_grows_by_its_factor_up_to_its_most() {
        let batch: TaskBatch = serde_saphyr::from_str(BATCH).expect("a batch");
        let waits = [1, 2, 3, 50].map(|failures| backoff(&batch.spec.tasks[0], failures).as_secs());
        assert_eq!(waits, [10, 30, 60, 60]);
    }
}
