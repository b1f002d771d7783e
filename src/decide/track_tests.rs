//! States of copies from their pods.

use std::sync::Arc;

use jiff::Timestamp;

use super::Memory;
use super::attempt::backoff;
use super::launch::settle;
use super::plan::Planned;
use super::task_status;
use super::track::{Copy, State, Tracked, track};
use super::world::{Action, Observed};
use crate::api::{Gang, Reason, TaskBatch, TaskBatchStatus, TaskPhase, TaskStatus};
use crate::cluster::pod;
use crate::cluster::pod::Pod;
use crate::model::Share;
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

fn gang(workers: Value) -> Gang {
    serde_json::from_value(json!({"workers": workers})).expect("a gang")
}

fn states(pods: Vec<Arc<Pod>>) -> Vec<Copy> {
    tracked(batch(), pods).copies
}

fn batch() -> TaskBatch {
    serde_saphyr::from_str(BATCH).expect("a batch")
}

fn tracked(batch: TaskBatch, pods: Vec<Arc<Pod>>) -> Tracked {
    track(&observed(batch, pods, now()), &mut Memory::default()).remove(0)
}

fn observed(batch: TaskBatch, pods: Vec<Arc<Pod>>, now: Timestamp) -> Observed {
    Observed {
        now,
        batches: vec![Arc::new(batch)],
        nodes: Vec::new(),
        pods,
        priorities: crate::model::Priorities::default(),
        share: Share::WHOLE,
    }
}

/// The status of task a.
fn shown(tracked: &Tracked) -> TaskStatus {
    task_status::build(tracked, &Planned::default(), false, Timestamp::UNIX_EPOCH).remove(0)
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
fn a_success_tells_that_a_process_in_it_was_killed_also_when_its_pod_is_gone() {
    let reason = |status: &TaskStatus| (status.phase, status.reason.clone());
    let killed = || (TaskPhase::Succeeded, Some("OutOfMemory".to_owned()));
    let good = tracked(batch(), vec![pod(0, 0, exited(0, "Completed"))]);
    assert_eq!(reason(&shown(&good)), (TaskPhase::Succeeded, None));
    let before = shown(&tracked(batch(), vec![pod(0, 0, exited(0, "OOMKilled"))]));
    assert_eq!(reason(&before), killed());
    let mut later = batch();
    later.status = Some(TaskBatchStatus {
        tasks: vec![before],
        ..TaskBatchStatus::default()
    });
    assert_eq!(reason(&shown(&tracked(later, Vec::new()))), killed());
}

#[test]
fn rejected_and_lost_pods_use_no_retry() {
    let rejected = json!({"phase": "Failed", "reason": "OutOfcpu", "message": "Pod was rejected"});
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

/// The same of a gang: a worker of an attempt that was made for so many.
fn worker(rank: u32, workers: u32, status: Value) -> Arc<Pod> {
    let mut pod = Pod::clone(&pod(0, 0, status));
    let mut own = pod.own.as_deref().expect("a pod of ours").clone();
    (own.worker, own.workers) = (rank, workers);
    pod.name = format!("demo-a-0-0-{rank}");
    pod.own = Some(Arc::new(own));
    Arc::new(pod)
}

#[test]
fn where_a_worker_is_gone_the_next_attempt_waits_until_no_create_of_it_can_come_late() {
    let rejected = || json!({"phase": "Failed", "reason": "OutOfcpu"});
    let whole = vec![worker(0, 2, rejected()), worker(1, 2, rejected())];
    let part = vec![worker(1, 2, rejected())];
    // Another plan of the same attempt may have had a third one.
    let mut elastic = batch();
    elastic.spec.tasks[0].gang = Some(gang(json!({"min": 2, "max": 3})));
    for (batch, pods, wanted) in [
        (batch(), whole.clone(), "2026-01-01T00:00:02Z"),
        (batch(), part, "2026-01-01T00:00:10Z"),
        (elastic, whole, "2026-01-01T00:00:10Z"),
    ] {
        let copy = &tracked(batch, pods).copies[0];
        let State::Waiting {
            not_before: Some(time),
            ..
        } = &copy.state
        else {
            panic!("{:?}", copy.state);
        };
        assert_eq!((copy.attempt, time.to_string().as_str()), (1, wanted));
    }
}

#[test]
fn workers_that_were_made_for_gangs_of_different_size_are_no_gang() {
    let running = |rank, workers| worker(rank, workers, json!({"phase": "Running"}));
    let state = |pods| states(pods)[0].state.clone();
    let gang = || vec![running(0, 2), running(1, 2)];
    assert_eq!(state(gang()), State::Running);
    let ending = State::Ending {
        cause: Reason::Starting,
    };
    assert_eq!(state(vec![running(0, 2), running(1, 3)]), ending);
    let mut late = gang();
    late.push(worker(2, 3, json!({"phase": "Pending"})));
    assert_eq!(state(late), ending);
}

#[test]
fn what_comes_late_to_a_copy_that_has_ended_is_deleted() {
    for (succeeded, failed) in [("0", ""), ("", "0")] {
        let mut ended = batch();
        ended.status = Some(TaskBatchStatus {
            tasks: vec![TaskStatus {
                name: "a".into(),
                succeeded: succeeded.into(),
                failed: failed.into(),
                ..TaskStatus::default()
            }],
            ..TaskBatchStatus::default()
        });
        let late = vec![pod(0, 0, json!({"phase": "Pending"}))];
        let observed = observed(ended, late, now());
        let mut memory = Memory::default();
        let batches = track(&observed, &mut memory);
        assert!(batches[0].copies[0].is_ended());
        let actions = settle(&observed, &batches, &memory);
        assert!(
            matches!(&actions[..], [Action::Delete(it)] if it.pod.name == "demo-a-0-0"),
            "{actions:?}"
        );
    }
}

#[test]
fn a_new_operator_waits_for_what_an_earlier_one_asked_for_where_no_pod_tells() {
    let mut known = batch();
    known.status = Some(TaskBatchStatus::default());
    let memory = &mut Memory::default();
    let mut state_at = |batch: &TaskBatch, pods: Vec<Arc<Pod>>, after: i64| {
        let now = now() + jiff::SignedDuration::from_secs(after);
        let state = track(&observed(batch.clone(), pods, now), memory)[0].copies[0]
            .state
            .clone();
        match state {
            State::Waiting { not_before, .. } => not_before.map(|time| time.to_string()),
            other => panic!("{other:?}"),
        }
    };
    let until = Some("2026-01-01T00:01:10Z".to_owned());
    assert_eq!(state_at(&known, Vec::new(), 0), until);
    assert_eq!(state_at(&known, Vec::new(), 9), until);
    // Of this one a pod tells how far its attempts have come.
    let failed = vec![pod(0, 0, exited(1, "Error"))];
    let backoff = Some("2026-01-01T00:00:40Z".to_owned());
    assert_eq!(state_at(&known, failed, 9), backoff);
    // Of a gang newer ones may be gone.
    let mut pair = known.clone();
    pair.spec.tasks[0].gang = Some(gang(json!({"min": 2})));
    let failed = vec![
        worker(0, 2, exited(1, "Error")),
        worker(1, 2, exited(1, "Error")),
    ];
    assert_eq!(state_at(&pair, failed, 9), until);
    assert_eq!(state_at(&known, Vec::new(), 10), None);
    // Nobody has told of this one before; that it has a status later is our own doing.
    *memory = Memory::default();
    let waits = |batch: TaskBatch, memory: &mut Memory| {
        let batches = track(&observed(batch, Vec::new(), now()), memory);
        match &batches[0].copies[0].state {
            State::Waiting { not_before, .. } => *not_before,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(waits(batch(), memory), None);
    assert_eq!(waits(known.clone(), memory), None);
    // After an earlier one that has ended long ago, nothing comes any more.
    *memory = Memory::default();
    assert!(waits(known.clone(), memory).is_some());
    *memory = Memory::default();
    memory.inherit_nothing();
    assert_eq!(waits(known, memory), None);
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
