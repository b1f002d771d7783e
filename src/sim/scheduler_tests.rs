//! Delegated pods from the plan to their end, under the operator's own loop and a simulated kube-scheduler.

use serde_json::json;

use super::cluster::{Cluster, Options};
use super::faults::Faults;
use super::fixture::{act, node, object, stranger, told};
use super::history::{Happening, Observer};
use super::invariants::Invariants;
use super::run::{End, run};
use crate::api::{Phase, Reason};
use crate::cluster::pod::Pod;
use crate::decide::{Action, BindPod, CopyId, Memory, ObjectId, Outcome, ReleasePod, TakeBack};
use crate::model::Millis;

const MINUTE: Millis = 60_000;

/// Nodes of 4 cores each, and a batch of two cores a copy that takes a minute.
fn cluster(nodes: &[&str], copies: u32, faults: Faults) -> Cluster {
    let mut cluster = Cluster::new(Options {
        faults,
        scheduling: 100,
        ..Options::default()
    });
    for name in nodes {
        cluster.set_node(node(name, 4, 0));
    }
    cluster.apply(object(json!({
        "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "metadata": {"name": "b"},
        "spec": {"binding": "Delegate", "optimizer": {"iterations": 3}, "tasks": [{
            "name": "t", "count": copies, "resources": {"cpu": {"min": 2}},
            "estimate": {"process": "1m"}, "template": {"spec": {"containers": [{"name": "main"}]}},
        }]},
    })));
    cluster
}

/// Counts pods by what happens to them.
#[derive(Default)]
struct Counts {
    created: u64,
    bound: u64,
    released: u64,
    bound_by_us: u64,
}

impl Observer for Counts {
    fn happened(&mut self, _: Millis, happening: &Happening) {
        match happening {
            Happening::PodCreated(_) => self.created += 1,
            Happening::PodBound(_) => self.bound += 1,
            _ => {}
        }
    }

    fn noted(&mut self, _: Millis, fact: &crate::decide::Fact<'_>) {
        if let crate::decide::Fact::Acted { action, .. } = fact {
            match action {
                Action::Release(_) => self.released += 1,
                Action::Bind(_) => self.bound_by_us += 1,
                _ => {}
            }
        }
    }
}

fn ended(cluster: &Cluster) -> Option<Phase> {
    let batch = cluster.batches().next()?;
    batch.status.as_ref()?.phase
}

#[test]
fn every_pod_is_bound_by_kube_scheduler_where_the_plan_says() {
    let mut cluster = cluster(&["n1", "n2"], 8, Faults::default());
    let (mut counts, mut invariants) = (Counts::default(), Invariants::default());
    let seen = &mut (&mut counts, &mut invariants);
    let ran = run(&mut cluster, &mut Memory::default(), 10 * MINUTE, seen);
    assert_eq!(
        (ran.end, ended(&cluster)),
        (End::Settled, Some(Phase::Complete))
    );
    assert_eq!((counts.created, counts.bound, counts.released), (8, 8, 8));
    assert_eq!(counts.bound_by_us, 0);
    assert_eq!(invariants.violations(), [""; 0]);
    assert_eq!(ran.at, 2 * (MINUTE + 100), "two waves of four");
}

#[test]
fn what_kube_scheduler_refuses_now_and_then_runs_all_the_same() {
    let refusing = Faults {
        unschedulable: 0.5,
        ..Faults::default()
    };
    let mut cluster = cluster(&["n1", "n2", "n3"], 6, refusing);
    let (mut counts, mut invariants) = (Counts::default(), Invariants::default());
    let seen = &mut (&mut counts, &mut invariants);
    let ran = run(&mut cluster, &mut Memory::default(), 60 * MINUTE, seen);
    assert_eq!(
        (ran.end, ended(&cluster)),
        (End::Settled, Some(Phase::Complete))
    );
    assert!(counts.created > 6, "some were taken back");
    assert_eq!(invariants.violations(), [""; 0]);
}

#[test]
fn what_kube_scheduler_never_binds_is_tried_again_without_haste_and_says_why() {
    let refusing = Faults {
        unschedulable: 1.0,
        ..Faults::default()
    };
    let mut cluster = cluster(&["n1", "n2"], 1, refusing);
    let mut counts = Counts::default();
    run(
        &mut cluster,
        &mut Memory::default(),
        60 * MINUTE,
        &mut counts,
    );
    // At most once in the 3 s of patience and 64 s of backoff, and the first tries sooner.
    assert!(
        (10..=70).contains(&counts.created),
        "{} pods",
        counts.created
    );
    assert_eq!(counts.bound, 0);
    let batch = cluster.batches().next().expect("the batch");
    let task = &batch.status.as_ref().expect("a status").tasks[0];
    let message = task.message.clone().unwrap_or_default();
    assert!(
        message.contains("didn't match pod anti-affinity rules"),
        "{message}"
    );
}

#[test]
fn a_copy_that_loses_twice_in_a_row_is_left_to_kube_scheduler() {
    let rejecting = Faults {
        node_rejects: 1.0,
        ..Faults::default()
    };
    let mut cluster = cluster(&["n1", "n2"], 1, rejecting);
    let mut batch = crate::api::TaskBatch::clone(cluster.batches().next().expect("the batch"));
    batch.spec.binding = crate::api::Binding::Auto;
    cluster.apply(batch);
    let mut counts = Counts::default();
    run(
        &mut cluster,
        &mut Memory::default(),
        10 * MINUTE,
        &mut counts,
    );
    assert_eq!(counts.bound_by_us, 2);
    assert!(counts.released > 2, "{} released", counts.released);
}

#[test]
fn room_that_a_stranger_takes_first_sends_the_pod_elsewhere() {
    let mut cluster = cluster(&["n1", "n2"], 1, Faults::default());
    let mut memory = Memory::default();
    // The pod is released and not yet looked at.
    run(&mut cluster, &mut memory, 50, &mut ());
    let meant = |cluster: &Cluster| {
        let pod = cluster.pods().find(|pod| pod.own.is_some()).cloned();
        pod.and_then(|pod| pod.own.as_ref().map(|own| own.node.clone()))
    };
    let first = meant(&cluster).expect("a pod");
    cluster
        .add_pod(stranger("s", 3, &first), None)
        .expect("a pod");
    run(&mut cluster, &mut memory, MINUTE, &mut ());
    let second = meant(&cluster).expect("a pod");
    assert_ne!(first, second);
    let pod = cluster.pods().find(|pod| pod.own.is_some()).expect("a pod");
    assert_eq!(pod.node.as_ref(), Some(&second));
    let said = pod
        .own
        .as_ref()
        .and_then(|own| own.setback.clone())
        .unwrap_or_default();
    assert_eq!(said, format!("{first}: 0/2 nodes are available"));
}

/// The pod of the batch, released, of which kube-scheduler has not decided yet.
fn released(cluster: &mut Cluster) -> Pod {
    run(cluster, &mut Memory::default(), 50, &mut ());
    let pod = cluster.pods().next().expect("a pod");
    assert!(pod.node.is_none() && pod.own.as_ref().is_some_and(|own| own.is_released()));
    Pod::clone(pod)
}

fn id(pod: &Pod) -> ObjectId {
    ObjectId {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}

#[test]
fn a_pod_that_was_bound_in_the_last_moment_is_not_taken_back() {
    let mut cluster = cluster(&["n1"], 1, Faults::default());
    let pod = released(&mut cluster);
    cluster.advance(1000);
    let late = TakeBack {
        copy: CopyId::default(),
        pod: id(&pod),
        resource_version: pod.resource_version.clone(),
        node: "n1".into(),
        reason: Reason::Unschedulable,
        message: String::new(),
        count: 1,
    };
    let outcome = act(&mut cluster, Action::TakeBack(late));
    assert_eq!(outcome, Some(Outcome::Conflict));
    assert!(cluster.pods().all(|pod| pod.node.is_some()));
}

#[test]
fn a_gate_is_lifted_once_and_for_the_version_that_was_checked() {
    let mut cluster = cluster(&["n1"], 1, Faults::default());
    let pod = released(&mut cluster);
    let again = ReleasePod {
        copy: CopyId::default(),
        pod: id(&pod),
        resource_version: "0".into(),
        now: cluster.clock(0),
    };
    let outcome = act(&mut cluster, Action::Release(again));
    assert_eq!(outcome, Some(Outcome::Conflict));
    told(&mut cluster);
}

#[test]
fn a_gated_pod_cannot_be_bound() {
    let mut cluster = cluster(&["n1"], 1, Faults::default());
    let mut memory = Memory::default();
    let round = super::run::poll_once(crate::decide::round(&mut cluster, &mut memory));
    assert!(round.is_some_and(|round| round.is_ok()));
    let pod = cluster
        .pods()
        .next()
        .map(|pod| Pod::clone(pod))
        .expect("a pod");
    assert!(pod.own.as_ref().is_some_and(|own| own.gated));
    let bind = BindPod {
        copy: CopyId::default(),
        pod: id(&pod),
        resource_version: pod.resource_version.clone(),
        node: "n1".into(),
    };
    assert_eq!(
        act(&mut cluster, Action::Bind(bind)),
        Some(Outcome::Conflict)
    );
}
