//! Filters and room against the plugins of kube-scheduler and the admission of the kubelet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use taskbatch::cluster::{node, placement, pod, snapshot};
use taskbatch::constraint::{self, Rejection};
use taskbatch::model::host_port::is_host_port;
use taskbatch::model::{Resources, Share, TaintEffect};

use super::cases;
use super::dice::Dice;
use super::oracle::compare;
use super::pair::pair;

/// What happened to so many pairs.
#[derive(Default)]
pub struct Tally {
    pub differences: Vec<String>,
    pub yes: u64,
    pub no: u64,
    /// How often each filter was the only one to say no.
    pub alone: BTreeMap<String, u64>,
}

/// Who says no, by the names that Kubernetes has for them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    scheduler: BTreeSet<String>,
    kubelet: BTreeSet<String>,
    insufficient: BTreeSet<String>,
}

pub fn question(seed: u64) -> Value {
    pair(&mut Dice::new(seed))
}

/// Compares, after our side was made to forget something.
pub fn judge(
    tally: &mut Tally,
    seed: u64,
    question: &Value,
    answer: &Value,
    forget: impl Fn(&mut Value),
) {
    let mut seen = question.clone();
    forget(&mut seen);
    let (ours, theirs) = (verdict(seen), upstream(answer));
    if ours != theirs {
        tally.differences.push(format!(
            "seed {seed}: {ours:?}, upstream {theirs:?}, of {question}"
        ));
    } else if theirs.scheduler.is_empty() {
        tally.yes += 1;
    } else {
        tally.no += 1;
        if theirs.scheduler.len() == 1 {
            *tally
                .alone
                .entry(theirs.scheduler.into_iter().collect())
                .or_default() += 1;
        }
    }
}

fn upstream(answer: &Value) -> Verdict {
    let names = |field: &str| -> BTreeSet<String> {
        serde_json::from_value(answer[field].clone()).unwrap_or_else(|_| panic!("{answer}"))
    };
    Verdict {
        scheduler: names("scheduler"),
        kubelet: names("kubelet"),
        insufficient: names("insufficient"),
    }
}

fn verdict(mut question: Value) -> Verdict {
    let node = Arc::new(node::read(&read(question["node"].take())).expect("a node"));
    let others = question["others"].as_array_mut().expect("a list");
    let others: Vec<_> = others
        .iter_mut()
        .map(|it| Arc::new(pod::read(&read(it.take())).expect("a pod")))
        .collect();
    let pod: Pod = read(question["pod"].take());
    let placement = placement::read(pod.spec.as_ref().expect("a spec"));
    let requests = pod::read(&pod).expect("a pod").requests;
    let taken = snapshot::take(
        std::slice::from_ref(&node),
        &others,
        Timestamp::UNIX_EPOCH,
        Share::WHOLE,
    );
    let mut found = Verdict::default();
    for rejection in constraint::rejections(&placement, &node) {
        let name = match rejection {
            Rejection::Cordoned => "NodeUnschedulable",
            Rejection::Taint { .. } => "TaintToleration",
            Rejection::NodeSelector { .. } | Rejection::Affinity => "NodeAffinity",
            Rejection::NodeName(_) => "NodeName",
            Rejection::NotReady | Rejection::KeptOff => continue,
        };
        found.scheduler.insert(name.into());
        if ["NodeAffinity", "NodeName"].contains(&name) {
            found.kubelet.insert(name.into());
        }
    }
    for name in short(&taken.free[0], &requests) {
        found.scheduler.insert(
            if is_host_port(name) {
                "NodePorts"
            } else {
                "NodeResourcesFit"
            }
            .into(),
        );
        if is_host_port(name) {
            found.kubelet.insert("NodePorts".into());
        } else {
            found.kubelet.insert(format!("OutOf{name}"));
            found.insufficient.insert(name.to_owned());
        }
    }
    // Of the taints, the kubelet looks at those only that would evict the pod.
    let mut evicting = (*node).clone();
    evicting
        .taints
        .retain(|taint| taint.effect == TaintEffect::NoExecute);
    evicting.unschedulable = false;
    if constraint::rejections(&placement, &evicting).any(|it| matches!(it, Rejection::Taint { .. }))
    {
        found.kubelet.insert("TaintToleration".into());
    }
    found
}

fn read<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).expect("an object")
}

fn short<'a>(free: &Resources, requests: &'a Resources) -> impl Iterator<Item = &'a str> {
    let lacking = requests
        .iter()
        .filter(|(name, amount)| !free.holds(&[(*name, *amount)].into_iter().collect()));
    lacking.map(|(name, _)| name)
}

#[test]
fn filters_and_room_are_those_of_upstream() {
    let count = cases(20_000, 1.0);
    let found: Vec<Tally> = compare(0..count, question, |tally, seed, question, answer| {
        judge(tally, seed, question, answer, |_| ());
    });
    let (mut yes, mut no, mut alone) = (0, 0, BTreeMap::<String, u64>::new());
    for tally in &found {
        (yes, no) = (yes + tally.yes, no + tally.no);
        for (name, count) in &tally.alone {
            *alone.entry(name.clone()).or_default() += count;
        }
    }
    println!("agreed: {yes} fit and {no} do not; one filter alone says no: {alone:?}");
    for tally in found {
        assert_eq!(
            tally.differences.first(),
            None,
            "and {} more",
            tally.differences.len()
        );
    }
    // Cases that nearly all end the same way, or for the same reason, would prove little.
    assert!(yes * 4 > count && no * 4 > count);
    assert_eq!(alone.len(), 6);
    assert!(alone.values().all(|times| times * 200 > count), "{alone:?}");
}
