//! The invariants tell of a bad operator, whatever else it does.

use std::sync::Arc;

use serde_json::json;

use super::chance;
use super::cluster::{Cluster, Meddle, id_of};
use super::fault_tests::{Dice, wrong};
use super::faults::Faults;
use crate::cluster::pod::{Pod, PodPhase};
use crate::decide::{Action, DeletePod};
use crate::model::Reason;

/// An error that a bad operator makes beside what it should do, and the words in which it must be told.
const PLANTED: [(Meddle, &str); 4] = [
    (creates_twice, "of its copy lives"),
    (binds_elsewhere, "but says"),
    (deletes_strangers, "of a stranger is deleted"),
    (deletes_results, "is deleted although it has succeeded"),
];

fn creates_twice(_: &Cluster, action: &Action) -> Vec<Action> {
    let Action::Create(create) = action else {
        return Vec::new();
    };
    let mut second = create.clone();
    second.name += "-again";
    second.manifest["metadata"]["name"] = json!(second.name);
    vec![Action::Create(second)]
}

fn binds_elsewhere(cluster: &Cluster, action: &Action) -> Vec<Action> {
    let Action::Bind(bind) = action else {
        return Vec::new();
    };
    let mut others = cluster.nodes().filter(|node| node.name != bind.node);
    let elsewhere = others.next().map(|node| {
        let mut elsewhere = bind.clone();
        elsewhere.node = node.name.clone();
        Action::Bind(elsewhere)
    });
    elsewhere.into_iter().collect()
}

fn deletes(cluster: &Cluster, wanted: impl Fn(&Pod) -> bool) -> Vec<Action> {
    let found = cluster.pods().filter(|pod| wanted(pod));
    let delete = |pod: &Arc<Pod>| {
        Action::Delete(DeletePod {
            pod: id_of(pod),
            resource_version: pod.resource_version.clone(),
            reason: Reason::Suspended,
        })
    };
    found.map(delete).collect()
}

fn deletes_strangers(cluster: &Cluster, _: &Action) -> Vec<Action> {
    deletes(cluster, |pod| pod.own.is_none())
}

fn deletes_results(cluster: &Cluster, _: &Action) -> Vec<Action> {
    deletes(cluster, |pod| {
        pod.own.is_some() && pod.phase == PodPhase::Succeeded
    })
}

#[test]
fn each_planted_error_is_told() {
    for (meddle, words) in PLANTED {
        let told = (0..50).any(|seed| {
            let mut dice = Dice(chance::generator(seed, "world", ""));
            let mut cluster = dice.world(seed, Faults::default());
            cluster.meddle = Some(meddle);
            wrong(seed, &mut cluster)
                .1
                .iter()
                .any(|what| what.contains(words))
        });
        assert!(told, "nobody says {words:?}");
    }
}
