//! Effective requests against `PodRequests`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use serde_json::{Map, Value, json};
use taskbatch::cluster::{quantity, requests};
use taskbatch::model::Resources;

use super::cases;
use super::dice::Dice;
use super::oracle::compare;
use super::resources::{Stage, pod};

/// What happened to so many pods.
#[derive(Default)]
pub struct Tally {
    pub differences: Vec<String>,
    pub sums: u64,
    pub overflows: u64,
}

pub fn question(seed: u64) -> Value {
    let stage = if seed.is_multiple_of(3) {
        Stage::Template
    } else {
        Stage::Stored
    };
    let mut pod = pod(&mut Dice::new(seed), stage);
    if stage == Stage::Template {
        write_whole(&mut pod["spec"]["containers"][0]["resources"]);
    }
    json!({"pod": pod, "defaults": stage == Stage::Template})
}

/// The requests of the sized container are written in whole units, whatever the template says.
fn write_whole(resources: &mut Value) {
    let read: Option<ResourceRequirements> =
        serde_json::from_value(resources.clone()).expect("resources");
    let Ok(whole) = requests::container(read.as_ref()) else {
        return;
    };
    let written = |name: &str, amount| (name.to_owned(), json!(quantity::format(name, amount)));
    let requests: Map<String, Value> = whole.iter().map(|(name, it)| written(name, it)).collect();
    // As are limits of what cannot be overcommitted.
    let mut limits = requests.clone();
    limits.retain(|name, _| name.contains(['/', '-']) && name != "ephemeral-storage");
    *resources = json!({"requests": requests, "limits": limits});
}

/// Compares, after our side was made to forget something of the pod.
pub fn judge(
    tally: &mut Tally,
    seed: u64,
    question: &Value,
    answer: &Value,
    forget: impl Fn(&mut Value),
) {
    let mut seen = question["pod"].clone();
    forget(&mut seen);
    let pod: Pod = serde_json::from_value(seen).expect("a pod");
    let theirs = upstream(answer);
    match &theirs {
        Some(_) => tally.sums += 1,
        None => tally.overflows += 1,
    }
    let mut ours = vec![("as a pod", requests::effective(&pod).ok())];
    if question["defaults"] == true {
        ours.extend(of_template(&pod).map(|found| ("as a template", found)));
    }
    for (how, found) in ours {
        if found.as_ref().map(named) != theirs {
            tally.differences.push(format!(
                "seed {seed}, {how}: {found:?}, upstream {answer}, of {}",
                question["pod"]
            ));
        }
    }
}

/// `None` where a sum is beyond 64 bits.
fn upstream(answer: &Value) -> Option<BTreeMap<String, i64>> {
    let all = answer["amounts"]
        .as_object()
        .unwrap_or_else(|| panic!("{answer}"));
    let amounts = all
        .iter()
        .map(|(name, amount)| (name.clone(), amount.as_i64().expect("64 bits")));
    answer["beyond"]
        .is_null()
        .then(|| amounts.filter(|(_, amount)| *amount != 0).collect())
}

fn named(found: &Resources) -> BTreeMap<String, i64> {
    let amounts = found.iter().map(|(name, amount)| (name.to_owned(), amount));
    amounts
        .filter(|(name, amount)| *amount != 0 && name != "pods")
        .collect()
}

/// The request by way of the parts that a task keeps: one container, and the pod around it. Nothing where the request
/// of that container alone is beyond 64 bits: such a task is refused.
fn of_template(pod: &Pod) -> Option<Option<Resources>> {
    let spec = pod.spec.as_ref()?;
    let sized = spec.containers.first()?;
    let own = requests::container(sized.resources.as_ref()).ok()?;
    let ranged: BTreeSet<&str> = own.iter().map(|(name, _)| name).collect();
    let shape = requests::shape(spec, &sized.name, &ranged).ok();
    Some(shape.and_then(|shape| shape.effective(&own).ok()))
}

#[test]
fn requests_are_those_of_upstream() {
    let count = cases(100_000, 10.0);
    let found: Vec<Tally> = compare(0..count, question, |tally, seed, question, answer| {
        judge(tally, seed, question, answer, |_| ());
    });
    let (sums, overflows) = found
        .iter()
        .fold((0, 0), |all, one| (all.0 + one.sums, all.1 + one.overflows));
    println!("{sums} sums and {overflows} overflows agree");
    for tally in found {
        assert_eq!(
            tally.differences.first(),
            None,
            "and {} more",
            tally.differences.len()
        );
    }
    assert!(sums > count / 2 && overflows > count / 100);
}
