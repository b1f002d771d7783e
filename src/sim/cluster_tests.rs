//! The simulated cluster does what a real one does.

use serde_json::json;

use super::cluster::Cluster;
use super::edit::Edit;
use super::faults::Faults;
use super::fixture::{act, batch, bind, cluster, create, delete, node, place, pod, stranger, told};
use super::run::{End, poll_once, run};
use crate::cluster::pod::PodPhase;
use crate::decide::{Action, Memory, NewStatus, Outcome, Report, World};
use crate::model::Millis;

/// An hour.
const HOUR: Millis = 3_600_000;

fn exact() -> Cluster {
    cluster(Faults::default())
}

fn phase(cluster: &Cluster, name: &str) -> Option<PodPhase> {
    pod(cluster, name).map(|pod| pod.phase)
}

#[test]
fn a_pod_runs_exactly_as_long_as_it_was_predicted() {
    let mut cluster = exact();
    place(&mut cluster, "p", 2, 5000);
    cluster.advance(HOUR);
    let wanted = ["0 created p", "0 bound p", "0 started p", "5000 ended p"];
    assert_eq!(told(&mut cluster), wanted);
    let own = pod(&cluster, "p")
        .and_then(|pod| pod.own)
        .expect("a pod of ours");
    let finished = own.exit.as_ref().and_then(|exit| exit.finished);
    assert_eq!(
        (own.started, finished),
        (Some(cluster.clock(0)), Some(cluster.clock(5000)))
    );
    assert_eq!(own.exit.as_ref().map(|exit| exit.code), Some(0));
}

#[test]
fn the_kubelet_rejects_what_does_not_fit_in_its_own_words() {
    let mut cluster = exact();
    for (name, cores) in [("first", 3), ("second", 2)] {
        place(&mut cluster, name, cores, 5000);
    }
    cluster.advance(0);
    let own = pod(&cluster, "second")
        .and_then(|pod| pod.own)
        .expect("a pod of ours");
    assert_eq!(own.reason.as_deref(), Some("OutOfcpu"));
    let wanted = "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000";
    assert_eq!(own.message.as_deref(), Some(wanted));
    assert_eq!(
        (phase(&cluster, "first"), own.started),
        (Some(PodPhase::Running), None)
    );
}

#[test]
fn devices_are_rejected_by_the_device_allocation() {
    let mut cluster = exact();
    for name in ["first", "second"] {
        let action = create(&cluster, name, json!({"nvidia.com/gpu": "2"}), 5000);
        act(&mut cluster, Action::Create(action));
        let action = bind(&cluster, name);
        act(&mut cluster, Action::Bind(action));
    }
    cluster.advance(0);
    let own = pod(&cluster, "second")
        .and_then(|pod| pod.own)
        .expect("a pod of ours");
    assert_eq!(own.reason.as_deref(), Some("UnexpectedAdmissionError"));
    assert!(
        own.message
            .as_deref()
            .is_some_and(|text| text.contains("Requested: 2, Available: 0"))
    );
}

#[test]
fn room_is_free_once_a_pod_has_ended_and_taken_by_strangers_for_as_long_as_they_run() {
    let mut cluster = exact();
    cluster.edit(Edit::AddPod(Box::new(stranger("s", 4, "n1")), Some(1000)));
    cluster.schedule(
        500,
        Edit::AddPod(Box::new(stranger("early", 1, "n1")), None),
    );
    cluster.schedule(
        1000,
        Edit::AddPod(Box::new(stranger("late", 1, "n1")), None),
    );
    cluster.advance(HOUR);
    assert_eq!(phase(&cluster, "early"), Some(PodPhase::Failed));
    assert_eq!(phase(&cluster, "late"), Some(PodPhase::Running));
}

#[test]
fn a_binding_needs_the_pod_as_it_was_read_and_happens_once() {
    let mut cluster = exact();
    let action = create(&cluster, "p", json!({"cpu": "1"}), 5000);
    act(&mut cluster, Action::Create(action));
    let right = bind(&cluster, "p");
    let mut wrong_uid = right.clone();
    wrong_uid.pod.uid = "other".into();
    let mut wrong_version = right.clone();
    wrong_version.resource_version = "0".into();
    for wrong in [wrong_uid, wrong_version] {
        assert_eq!(
            act(&mut cluster, Action::Bind(wrong)),
            Some(Outcome::Conflict)
        );
    }
    assert_eq!(
        act(&mut cluster, Action::Bind(right.clone())),
        Some(Outcome::Done)
    );
    assert_eq!(
        act(&mut cluster, Action::Bind(right)),
        Some(Outcome::Conflict)
    );
    let again = bind(&cluster, "p");
    assert_eq!(
        act(&mut cluster, Action::Bind(again)),
        Some(Outcome::Conflict),
        "it is bound"
    );
}

#[test]
fn creating_a_pod_again_is_success_and_in_the_place_of_a_strangers_is_refused() {
    let mut cluster = exact();
    let action = create(&cluster, "p", json!({"cpu": "1"}), 5000);
    for _ in 0..2 {
        assert_eq!(
            act(&mut cluster, Action::Create(action.clone())),
            Some(Outcome::Done)
        );
    }
    cluster.edit(Edit::AddPod(Box::new(stranger("s", 1, "n1")), None));
    let taken = create(&cluster, "s", json!({"cpu": "1"}), 5000);
    assert!(matches!(
        act(&mut cluster, Action::Create(taken)),
        Some(Outcome::Refused { .. })
    ));
    let mut cut = create(&cluster, "q", json!({"nvidia.com/gpu": "1"}), 5000);
    cut.manifest["spec"]["containers"][0]["resources"]["limits"] = json!({});
    let refused = act(&mut cluster, Action::Create(cut));
    assert!(
        matches!(&refused, Some(Outcome::Refused { message, .. }) if message.contains("must be equal")),
        "{refused:?}"
    );
}

#[test]
fn a_running_pod_is_gone_only_after_it_has_stopped_and_an_unbound_one_at_once() {
    let mut cluster = exact();
    cluster.options.stop = 2000;
    place(&mut cluster, "running", 1, HOUR);
    let action = create(&cluster, "waiting", json!({"cpu": "1"}), 5000);
    act(&mut cluster, Action::Create(action));
    cluster.advance(1000);
    for name in ["running", "waiting"] {
        let action = delete(&cluster, name);
        assert_eq!(
            act(&mut cluster, Action::Delete(action)),
            Some(Outcome::Done)
        );
    }
    assert_eq!(pod(&cluster, "waiting"), None);
    assert_eq!(
        pod(&cluster, "running").map(|pod| (pod.terminating, pod.phase)),
        Some((true, PodPhase::Running))
    );
    cluster.advance(HOUR);
    assert_eq!(
        told(&mut cluster).last().map(String::as_str),
        Some("3000 gone running")
    );
}

#[test]
fn the_pods_of_a_deleted_batch_follow_it_also_those_that_are_created_later() {
    let mut cluster = exact();
    place(&mut cluster, "p", 1, HOUR);
    let late = create(&cluster, "late", json!({"cpu": "1"}), 5000);
    cluster.edit(Edit::DeleteBatch {
        namespace: "default".into(),
        name: "b".into(),
    });
    assert_eq!(act(&mut cluster, Action::Create(late)), Some(Outcome::Done));
    cluster.advance(10_000);
    assert_eq!(cluster.pods().count(), 0);
}

#[test]
fn a_short_silence_of_a_node_only_delays_the_news() {
    let mut cluster = exact();
    place(&mut cluster, "p", 1, 10_000);
    cluster.schedule(
        5000,
        Edit::LoseNode {
            name: "n1".into(),
            lasting: 60_000,
        },
    );
    cluster.advance(20_000);
    assert_eq!(phase(&cluster, "p"), Some(PodPhase::Running));
    assert!(
        cluster
            .nodes()
            .all(|node| !node.ready && node.taints.len() == 2)
    );
    cluster.advance(HOUR);
    let own = pod(&cluster, "p")
        .and_then(|pod| pod.own)
        .expect("a pod of ours");
    assert_eq!(
        own.exit.as_ref().and_then(|exit| exit.finished),
        Some(cluster.clock(10_000))
    );
    assert!(
        cluster
            .nodes()
            .all(|node| node.ready && node.taints.is_empty())
    );
}

#[test]
fn a_long_silence_evicts_and_the_pod_goes_when_the_node_is_back() {
    let mut cluster = exact();
    place(&mut cluster, "p", 1, HOUR);
    cluster.schedule(
        1000,
        Edit::LoseNode {
            name: "n1".into(),
            lasting: 400_000,
        },
    );
    cluster.advance(302_000);
    let evicted = pod(&cluster, "p").expect("still there");
    assert!(evicted.terminating && evicted.own.as_ref().is_some_and(|own| own.disrupted));
    cluster.advance(HOUR);
    assert_eq!(
        told(&mut cluster)[4..],
        ["301000 deleted p", "401000 back n1", "401000 gone p"]
    );
}

#[test]
fn the_pods_of_a_removed_node_fail_and_are_removed() {
    let mut cluster = exact();
    place(&mut cluster, "p", 1, HOUR);
    cluster.schedule(1000, Edit::RemoveNode("n1".into()));
    cluster.advance(HOUR);
    assert_eq!(
        told(&mut cluster)[3..],
        [
            "1000 removed n1",
            "61000 ended p",
            "61000 deleted p",
            "61000 gone p"
        ]
    );
}

#[test]
fn a_lost_reply_hides_a_write_that_was_done_and_a_lost_request_does_nothing() {
    let mut cluster = cluster(Faults {
        reply_lost: 1.0,
        ..Faults::default()
    });
    let action = create(&cluster, "p", json!({"cpu": "1"}), 5000);
    assert!(matches!(
        act(&mut cluster, Action::Create(action.clone())),
        Some(Outcome::Unknown { .. })
    ));
    assert!(pod(&cluster, "p").is_some());
    cluster.options.faults = Faults {
        request_lost: 1.0,
        ..Faults::default()
    };
    let action = bind(&cluster, "p");
    assert!(matches!(
        act(&mut cluster, Action::Bind(action)),
        Some(Outcome::Unknown { .. })
    ));
    assert_eq!(pod(&cluster, "p").and_then(|pod| pod.node), None);
}

#[test]
fn a_kill_after_a_write_leaves_the_write_and_no_answer() {
    let mut cluster = cluster(Faults {
        crash_after: Some(2),
        ..Faults::default()
    });
    for (name, answered) in [("a", true), ("b", false), ("c", true)] {
        let action = create(&cluster, name, json!({"cpu": "1"}), 5000);
        assert_eq!(
            act(&mut cluster, Action::Create(action)).is_some(),
            answered,
            "{name}"
        );
    }
    assert_eq!(cluster.pods().count(), 3);
}

#[test]
fn a_lagging_watch_still_holds_what_the_operator_wrote_itself() {
    let mut cluster = cluster(Faults {
        stale: 1.0,
        ..Faults::default()
    });
    // The first look of a process is a list.
    assert!(poll_once(cluster.observe()).is_some_and(|seen| seen.is_ok()));
    place(&mut cluster, "p", 1, 5000);
    cluster.edit(Edit::AddPod(Box::new(stranger("s", 1, "n1")), None));
    cluster.advance(6000);
    let seen = poll_once(cluster.observe())
        .and_then(Result::ok)
        .expect("a view");
    let seen: Vec<_> = seen
        .pods
        .iter()
        .map(|pod| (pod.name.as_str(), pod.node.as_deref(), pod.phase))
        .collect();
    assert_eq!(seen, [("p", Some("n1"), PodPhase::Pending)]);
    cluster.options.faults.stale = 0.0;
    let seen = poll_once(cluster.observe())
        .and_then(Result::ok)
        .expect("a view");
    assert_eq!(seen.pods.len(), 2);
}

#[test]
fn noise_and_failures_depend_on_the_seed_alone() {
    let outcome = |seed: u64| {
        let mut cluster = cluster(Faults {
            noise: 0.5,
            run_fails: 0.5,
            node_rejects: 0.2,
            ..Faults::default()
        });
        cluster.options.seed = seed;
        for name in ["a", "b", "c"] {
            place(&mut cluster, name, 1, 10_000);
        }
        cluster.advance(HOUR);
        told(&mut cluster)
    };
    assert_eq!(outcome(7), outcome(7));
    assert_ne!(outcome(7), outcome(8));
}

#[test]
fn a_status_that_says_nothing_new_changes_nothing() {
    let mut cluster = exact();
    let batch = cluster.batches().next().expect("the batch").clone();
    let id = create(&cluster, "p", json!({}), 0).batch;
    let status = crate::api::TaskBatchStatus {
        observed_generation: Some(1),
        ..Default::default()
    };
    let mut versions = vec![cluster.version()];
    for _ in 0..2 {
        let report = Report {
            statuses: vec![NewStatus {
                batch: id.clone(),
                resource_version: version_of(&cluster),
                status: status.clone(),
            }],
            events: vec![],
        };
        poll_once(cluster.report(report)).expect("ready");
        versions.push(cluster.version());
    }
    assert_eq!(
        (versions[1] - versions[0], versions[2] - versions[1]),
        (1, 0)
    );
    cluster.apply((*batch).clone());
    assert_eq!(cluster.version(), versions[2], "the spec is the same");
    let late = NewStatus {
        batch: id,
        resource_version: batch.metadata.resource_version.clone().expect("a version"),
        status: crate::api::TaskBatchStatus::default(),
    };
    assert!(!cluster.write_status(&late), "made of an older version");
    let mut held = super::fixture::batch("b");
    held.spec.suspend = true;
    cluster.apply(held);
    let now = cluster.batches().next().expect("the batch");
    assert_eq!(
        (now.metadata.generation, now.status.as_ref()),
        (Some(2), Some(&status))
    );
}

fn version_of(cluster: &Cluster) -> String {
    let batch = cluster.batches().next().expect("the batch");
    batch.metadata.resource_version.clone().expect("a version")
}

#[test]
fn a_cluster_without_work_settles_and_one_with_appointments_waits_for_them() {
    let mut empty = Cluster::new(super::Options::default());
    let ran = run(&mut empty, &mut Memory::default(), HOUR, &mut ());
    assert_eq!((ran.end, ran.at), (End::Settled, 0));
    empty.schedule(5000, Edit::SetNode(Box::new(node("late", 1, 0))));
    empty.schedule(2 * HOUR, Edit::Apply(Box::new(batch("never"))));
    let ran = run(&mut empty, &mut Memory::default(), HOUR, &mut ());
    assert_eq!(
        (ran.end, ran.at, empty.nodes().count()),
        (End::TimeUp, 5000, 1)
    );
}
