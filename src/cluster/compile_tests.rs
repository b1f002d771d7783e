//! Problems from manifests and nodes.

use std::sync::Arc;

use serde_json::json;

use super::compile::{Request, compile};
use super::{intake, node, snapshot};
use crate::model::Node;
use crate::model::{Batch, Goal, Millis, Problem, Reason, Share};

fn node(name: &str, gpus: u32, labels: serde_json::Value) -> Arc<Node> {
    let allocatable =
        json!({"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": gpus.to_string()});
    let object = json!({"metadata": {"name": name, "labels": labels}, "status": {"allocatable": allocatable}});
    let object = serde_json::from_value(object).expect("a node");
    Arc::new(node::read(&object).expect("a node that reads"))
}

fn batch(tasks: &str) -> Batch {
    let head = "apiVersion: taskbatch.dev/v1alpha1\nkind: TaskBatch\nmetadata: {name: b}\nspec:\n  tasks:\n";
    let object = serde_saphyr::from_str(&format!("{head}{tasks}")).expect("a batch");
    intake::read(&object).expect("a good batch")
}

fn problem(tasks: &str, nodes: &[Arc<Node>], goal: Goal) -> Problem {
    let batch = batch(tasks);
    let snapshot = snapshot::take(nodes, &[], jiff::Timestamp::UNIX_EPOCH, Share::WHOLE);
    let request = |task: usize| Request {
        batch: &batch,
        task,
        copies: (0..batch.tasks[task].count).collect(),
        release: 0,
        due: None,
    };
    let requests: Vec<Request<'_>> = (0..batch.tasks.len()).map(request).collect();
    compile(&snapshot, &requests, goal)
}

const TRAINING: &str = "
  - name: train
    template: {spec: {containers: [{name: main, resources: {requests: {cpu: 500m, memory: 1Gi}}}]}}
    resources: {nvidia.com/gpu: {min: 1, max: 4}, cpu: {min: 2, max: 8}}
    estimate: {read: 10s, process: 100s, overlap: '0.5', scaling: {type: Amdahl, parallelFraction: '0.9'}}
";

#[test]
fn a_ranged_task_becomes_one_mode_for_each_size_with_the_other_range_grown_along() {
    let problem = problem(TRAINING, &[node("n", 8, json!({}))], Goal::Makespan);
    let modes = &problem.tasks[0].modes;
    let shown: Vec<(i64, i64, i64, Millis)> = modes
        .iter()
        .map(|mode| {
            let amount = |name: &str| mode.requests.get(name);
            (
                amount("nvidia.com/gpu"),
                amount("cpu"),
                amount("memory"),
                mode.runs[0].duration,
            )
        })
        .collect();
    // T = 0.5 (10 + c) + 0.5 max(10, c), c = 100 (0.1 + 0.9 / x): 100, 55, 40, 32.5 s.
    let gib = 1 << 30;
    let wanted = [
        (1, 2000, gib, 105_000),
        (2, 4000, gib, 60_000),
        (3, 6000, gib, 45_000),
        (4, 8000, gib, 37_500),
    ];
    assert_eq!(shown, wanted);
}

#[test]
fn a_faster_node_is_a_class_of_its_own_and_equal_nodes_are_one() {
    let fast = node("c", 8, json!({"taskbatch.dev/speed": "2"}));
    let nodes = [node("a", 8, json!({})), node("b", 8, json!({})), fast];
    let problem = problem(TRAINING, &nodes, Goal::Makespan);
    let classes: Vec<&[usize]> = problem
        .classes
        .iter()
        .map(|class| class.nodes.as_slice())
        .collect();
    assert_eq!(classes, [&[0, 1][..], &[2][..]]);
    let runs = &problem.tasks[0].modes[0].runs;
    assert_eq!((runs[0].duration, runs[1].duration), (105_000, 55_000));
}

#[test]
fn what_fits_nowhere_is_set_aside_with_what_depends_on_it() {
    let tasks = "
  - name: after
    dependsOn: [big]
    template: {spec: {containers: [{name: main}]}}
  - name: big
    template: {spec: {containers: [{name: main}]}}
    resources: {nvidia.com/gpu: {min: 16}}
  - name: nowhere
    template: {spec: {nodeSelector: {pool: tpu}, containers: [{name: main}]}}
";
    let problem = problem(tasks, &[node("n", 8, json!({}))], Goal::FlowTime);
    let found: Vec<(&str, Reason)> = problem
        .unplaceable
        .iter()
        .map(|unplaced| (unplaced.task.as_str(), unplaced.reason))
        .collect();
    let wanted = [
        ("big", Reason::ExceedsCapacity),
        ("after", Reason::DependencyUnplaced),
        ("nowhere", Reason::NoMatchingNode),
    ];
    assert_eq!(found, wanted);
    assert_eq!(
        problem.unplaceable[0].message,
        "needs 16 nvidia.com/gpu on one node, the largest of 1 node has 8"
    );
    assert_eq!(
        problem.unplaceable[0]
            .fix
            .as_ref()
            .map(ToString::to_string)
            .as_deref(),
        Some("at most 8 nvidia.com/gpu fits, on 1 node")
    );
}

#[test]
fn the_seed_case_is_valued_by_its_formula() {
    let mut tasks = String::new();
    for (index, (read, process)) in [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6)].iter().enumerate() {
        tasks += &format!(
            "
  - name: t{index}
    template: {{spec: {{containers: [{{name: main}}]}}}}
    resources: {{nvidia.com/gpu: {{min: 1, max: 4}}}}
    estimate: {{read: {read}s, process: {process}s}}
"
        );
    }
    let nodes: Vec<Arc<Node>> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| node(name, 4, json!({})))
        .collect();
    let problem = problem(&tasks, &nodes, Goal::Shortfall);
    let least: Vec<i64> = problem
        .tasks
        .iter()
        .map(|task| task.modes.iter().map(|mode| mode.value).min().unwrap_or(0))
        .collect();
    assert_eq!(least, [1000, 1000, 1000, 1250, 1750]);
}
