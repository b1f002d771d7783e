//! No task of higher priority starts later because one of lower priority was filled in.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::cluster::{Cluster, Options};
use super::fixture::{node, object};
use super::history::{Happening, Observer};
use super::run::{End, run};
use crate::api::Reason;
use crate::decide::Memory;
use crate::model::Millis;

const DAY: Millis = 86_400_000;

/// When the pods of each task started, by name of the pod; and the events with their reason.
#[derive(Default)]
struct Seen {
    starts: BTreeMap<String, Millis>,
    events: Vec<(Reason, String)>,
}

impl Observer for Seen {
    fn happened(&mut self, at: Millis, happening: &Happening) {
        match happening {
            Happening::PodStarted(pod) => _ = self.starts.insert(pod.name.clone(), at),
            Happening::Told(event) => self.events.push((event.reason, event.note.clone())),
            _ => {}
        }
    }
}

/// A batch of tasks of one class.
fn batch(class: &str, random: &mut ChaCha8Rng) -> Value {
    let task = |index: usize, random: &mut ChaCha8Rng| {
        let after = match index > 0 && random.random_bool(0.2) {
            true => vec![format!("t{}", index - 1)],
            false => Vec::new(),
        };
        let cpu = random.random_range(1..=6);
        json!({
            "name": format!("t{index}"), "count": random.random_range(1..=3), "priorityClassName": class,
            "template": {"spec": {"containers": [{"name": "main", "image": "i"}]}},
            "resources": {"cpu": {"min": cpu, "max": cpu + random.random_range(0..=2)}},
            "estimate": {"process": format!("{}s", random.random_range(1..=60))},
            "weight": random.random_range(1..=5), "dependsOn": after,
        })
    };
    let count = random.random_range(2..=5);
    let tasks: Vec<Value> = (0..count).map(|index| task(index, random)).collect();
    json!({
        "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "metadata": {"name": class},
        "spec": {
            "objective": {"goal": "FlowTime"},
            // What is planned stays as it is until something happens that was not foreseen.
            "optimizer": {"algorithm": "Greedy", "iterations": 1},
            "tasks": tasks,
        },
    })
}

/// Runs the batches of these classes to their end.
fn seen(seed: u64, classes: &[&str]) -> Seen {
    let values = [
        ("high", 100, false),
        ("middle", 10, false),
        ("low", -10, false),
    ];
    let mut cluster = Cluster::new(Options {
        priorities: values.into_iter().collect(),
        ..Options::default()
    });
    for name in ["n1", "n2"] {
        cluster.set_node(node(name, 8, 0));
    }
    for (index, class) in classes.iter().enumerate() {
        let random = &mut ChaCha8Rng::seed_from_u64(seed * 3 + index as u64);
        cluster.apply(object(batch(class, random)));
    }
    let mut seen = Seen::default();
    let ran = run(&mut cluster, &mut Memory::default(), DAY, &mut seen);
    assert_eq!(ran.end, End::Settled, "{seed} {classes:?}");
    seen
}

#[test]
fn nothing_of_higher_priority_starts_later_beside_lower_ones() {
    let (mut filled, mut late) = (0, Vec::new());
    for seed in 0..60 {
        let all = seen(seed, &["high", "middle", "low"]);
        for classes in [&["high"][..], &["high", "middle"][..]] {
            let alone = seen(seed, classes);
            let last = alone.starts.values().max().copied().unwrap_or(0);
            for (pod, start) in &alone.starts {
                if all.starts.get(pod).is_none_or(|with| with > start) {
                    late.push((seed, pod.clone(), *start, all.starts.get(pod).copied()));
                }
            }
            let is_filled =
                |(pod, start): (&String, &Millis)| !alone.starts.contains_key(pod) && *start < last;
            filled += usize::from(all.starts.iter().any(is_filled));
        }
    }
    assert!(late.is_empty(), "{} later: {late:?}", late.len());
    assert!(filled > 60, "only {filled} had something filled in");
}

#[test]
fn deadlines_are_told_once_and_counted() {
    let task = |name: &str, deadline: &str, process: &str| {
        json!({"name": name, "deadline": deadline, "estimate": {"process": process},
            "resources": {"cpu": {"min": 8}},
            "template": {"spec": {"containers": [{"name": "main", "image": "i"}]}}})
    };
    let tasks = [
        task("easy", "1h", "10s"),
        // Alone it ends after 60 s.
        task("hopeless", "30s", "60s"),
        // One of the two must be late, for want of room.
        task("first", "65s", "50s"),
        task("second", "65s", "50s"),
    ];
    let mut cluster = Cluster::new(Options::default());
    cluster.set_node(node("n1", 8, 0));
    cluster.apply(object(json!({
        "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "metadata": {"name": "b"},
        "spec": {"optimizer": {"iterations": 200}, "tasks": tasks},
    })));
    let mut seen = Seen::default();
    let ran = run(&mut cluster, &mut Memory::default(), DAY, &mut seen);
    assert_eq!(ran.end, End::Settled);
    let told = |reason: Reason| {
        let of_reason = seen.events.iter().filter(|(told, _)| *told == reason);
        of_reason.map(|(_, note)| note.as_str()).collect::<Vec<_>>()
    };
    let unreachable = told(Reason::DeadlineUnreachable);
    let words = "hopeless: 1 of 1 copies cannot end by 2026-01-01T00:00:30Z: alone on what is free they end at 2026-01-01T00:01:00Z at the earliest";
    assert_eq!(unreachable[0], words);
    // One of the pair is at risk first; once the other one runs, and nothing is stopped, it is proved to be late.
    let at_risk = told(Reason::DeadlineAtRisk);
    assert_eq!(
        (at_risk.len(), unreachable.len()),
        (1, 2),
        "{:?}",
        seen.events
    );
    assert_eq!(
        at_risk[0].split(':').next(),
        unreachable[1].split(':').next()
    );
    assert_eq!(told(Reason::DeadlineMissed).len(), 2, "{:?}", seen.events);
    let batch = cluster.batches().next().expect("the batch");
    let status = batch.status.clone().expect("a status");
    let counts = |task: usize| {
        let deadline = status.tasks[task].deadline.clone().expect("a deadline");
        (deadline.met, deadline.missed, deadline.at_risk)
    };
    assert_eq!([counts(0), counts(1)], [(1, 0, 0), (0, 1, 0)]);
    let pair = [counts(2), counts(3)];
    assert!(
        pair.contains(&(1, 0, 0)) && pair.contains(&(0, 1, 0)),
        "{pair:?}"
    );
}
