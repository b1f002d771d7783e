//! The invariants are told when they are broken.

use serde_json::json;

use super::cluster::Cluster;
use super::edit::Edit;
use super::faults::Faults;
use super::fixture::{act, bind, cluster, create, delete, place, stranger};
use super::halves::BOUND;
use super::history::{Happening, Observer};
use super::invariants::Invariants;
use super::run::poll_once;
use crate::decide::{Action, Outcome, World};
use crate::model::Share;

/// What is found wrong with the history so far.
fn found(cluster: &mut Cluster) -> String {
    found_with(cluster, Share::WHOLE)
}

/// The same where batches may use this share of each node.
fn found_with(cluster: &mut Cluster, share: Share) -> String {
    let mut invariants = Invariants::with_share(share);
    let nodes = |happening: &Happening| matches!(happening, Happening::NodeSet(_));
    for (at, happening) in cluster.take_history() {
        invariants.happened(at, &happening);
        // The operator has seen its nodes.
        if nodes(&happening) {
            let (pods, nodes) = (false, true);
            invariants.happened(at, &Happening::Observed { pods, nodes });
        }
    }
    invariants.violations().join("\n")
}

#[test]
fn a_second_pod_of_a_copy_is_told_while_the_first_lives_and_after_it_has_succeeded() {
    let mut live = cluster(Faults::default());
    place(&mut live, "first", 1, 5000);
    assert_eq!(found(&mut live.clone()), "");
    place(&mut live, "second", 1, 5000);
    assert!(
        found(&mut live).contains("second is created although default/first of its copy lives")
    );
    let mut done = cluster(Faults::default());
    place(&mut done, "first", 1, 5000);
    done.advance(6000);
    place(&mut done, "second", 1, 5000);
    assert!(found(&mut done).contains("second is created although default/first has succeeded"));
}

#[test]
fn a_binding_beyond_what_the_node_has_is_told_if_the_operator_could_know() {
    for (seen, wanted) in [(true, true), (false, false)] {
        let mut cluster = cluster(Faults::default());
        cluster.edit(Edit::AddPod(Box::new(stranger("s", 3, "n1")), None));
        if seen {
            assert!(poll_once(cluster.observe()).is_some_and(|view| view.is_ok()));
        }
        place(&mut cluster, "p", 2, 5000);
        assert_eq!(found(&mut cluster).contains("lacks cpu"), wanted);
    }
}

#[test]
fn a_binding_beyond_the_share_of_batches_is_told() {
    for (share, wanted) in [("0.5", false), ("0.49", true)] {
        let mut cluster = cluster(Faults::default());
        place(&mut cluster, "p", 2, 5000);
        let share = Share::parse(share).expect("a share");
        let told = found_with(&mut cluster, share);
        assert_eq!(told.contains("lacks cpu"), wanted, "{told}");
    }
}

#[test]
fn a_gang_that_holds_a_part_for_too_long_is_told() {
    for (until, wanted) in [(BOUND, false), (BOUND + 1, true)] {
        let mut cluster = cluster(Faults::default());
        let mut worker = create(&cluster, "half", json!({"cpu": "1"}), 5000);
        worker.manifest["metadata"]["annotations"]["taskbatch.dev/workers"] = json!("2");
        let done = Some(Outcome::Done);
        assert_eq!(act(&mut cluster, Action::Create(worker)), done);
        let half = bind(&cluster, "half");
        assert_eq!(act(&mut cluster, Action::Bind(half)), done);
        let mut invariants = Invariants::default();
        for (at, happening) in cluster.take_history() {
            invariants.happened(at, &happening);
        }
        invariants.passes(0, 1000);
        invariants.passes(1000, until);
        let told = invariants.violations().join("\n");
        let words = "attempt 0 of copy 0 of t holds room for 1 of 2 workers since 0 ms";
        assert_eq!(told.contains(words), wanted, "{told}");
    }
}

#[test]
fn workers_of_gangs_of_different_size_that_are_bound_together_are_told() {
    for (others, wanted) in [("2", false), ("3", true)] {
        let mut cluster = cluster(Faults::default());
        for (rank, workers) in [("0", "2"), ("1", others)] {
            let name = format!("w{rank}");
            let mut worker = create(&cluster, &name, json!({"cpu": "1"}), 5000);
            let meta = &mut worker.manifest["metadata"];
            meta["labels"]["taskbatch.dev/worker"] = json!(rank);
            meta["annotations"]["taskbatch.dev/workers"] = json!(workers);
            let done = Some(Outcome::Done);
            assert_eq!(act(&mut cluster, Action::Create(worker)), done);
            let bind = bind(&cluster, &name);
            assert_eq!(act(&mut cluster, Action::Bind(bind)), done);
        }
        let told = found(&mut cluster);
        let words = "default/w1 is bound beside default/w0 of a gang of other size";
        assert_eq!(told.contains(words), wanted, "{told}");
    }
}

#[test]
fn a_strangers_pod_that_the_operator_deletes_is_told() {
    let mut cluster = cluster(Faults::default());
    cluster.edit(Edit::AddPod(Box::new(stranger("s", 1, "n1")), None));
    let action = delete(&cluster, "s");
    assert_eq!(
        act(&mut cluster, Action::Delete(action)),
        Some(Outcome::Done)
    );
    assert!(found(&mut cluster).contains("default/s of a stranger is deleted"));
}
