//! A replan starts from the plan before.

use std::collections::BTreeMap;

use serde_json::json;

use super::cluster::{Cluster, Options};
use super::edit::Edit;
use super::fixture::{node, object};
use super::history::Observer;
use super::run::{End, run};
use crate::decide::{Fact, Memory};
use crate::model::{Millis, Problem, Resources, Solution};

const DAY: Millis = 86_400_000;

/// Where each copy of each plan is to run.
#[derive(Default)]
struct Plans(Vec<BTreeMap<u32, (String, Resources)>>);

impl Observer for Plans {
    fn noted(&mut self, _: Millis, fact: &Fact<'_>) {
        if let Fact::Planned {
            problem, solution, ..
        } = fact
        {
            self.0.push(places(problem, solution));
        }
    }
}

fn places(problem: &Problem, solution: &Solution) -> BTreeMap<u32, (String, Resources)> {
    let all = solution.plan.assignments.iter();
    all.map(|one| {
        let requests = problem.tasks[one.task].modes[one.mode].requests.clone();
        (one.copy, (problem.nodes[one.nodes[0]].clone(), requests))
    })
    .collect()
}

/// A search that looks no further than where it starts.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Options::default());
    for name in ["n1", "n2", "n3"] {
        cluster.set_node(node(name, 8, 4));
    }
    cluster.apply(object(json!({
        "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "metadata": {"name": "b"},
        "spec": {
            "objective": {"goal": "FlowTime"},
            "optimizer": {"algorithm": "Greedy", "iterations": 1},
            "tasks": [{
                "name": "t", "count": 30,
                "template": {"spec": {"containers": [{"name": "main", "image": "i"}]}},
                "resources": {"nvidia.com/gpu": {"min": 1, "max": 4, "step": 1}},
                "estimate": {"process": "10m", "scaling": {"type": "Power", "exponent": "0.8"}},
            }],
        },
    })));
    cluster
}

#[test]
fn what_waits_keeps_its_place_while_others_start_and_end() {
    let (mut cluster, mut plans) = (cluster(), Plans::default());
    let ran = run(&mut cluster, &mut Memory::default(), DAY, &mut plans);
    assert_eq!(ran.end, End::Settled);
    assert!(plans.0.len() > 3, "{} plans", plans.0.len());
    assert_eq!(plans.0[0].len(), 30);
    for (number, pair) in plans.0.windows(2).enumerate() {
        for (copy, place) in &pair[1] {
            assert_eq!(
                pair[0].get(copy),
                Some(place),
                "copy {copy} in plan {number}"
            );
        }
    }
}

#[test]
fn only_what_loses_its_node_moves() {
    let (mut cluster, mut plans) = (cluster(), Plans::default());
    cluster.schedule(700_000, Edit::RemoveNode("n2".into()));
    run(&mut cluster, &mut Memory::default(), DAY, &mut plans);
    for (number, pair) in plans.0.windows(2).enumerate() {
        for (copy, place) in &pair[1] {
            let Some(before) = pair[0].get(copy) else {
                // It ran on the node that is gone, and runs again.
                continue;
            };
            let is_lost = before.0 == "n2";
            assert!(before == place || is_lost, "copy {copy} in plan {number}");
        }
    }
}
