//! Problems of gangs on racks, against numbers reckoned by hand.

use std::sync::Arc;

use serde_json::{Value, json};

use super::compile::{Request, compile};
use super::{intake, node, snapshot, topology};
use crate::api::TaskBatch;
use crate::model::{Goal, Near, Node, Problem, Reason, Share, Topology};

/// So many nodes of 8 GPUs in each of these racks; without a name there is no label.
fn racks(racks: &[(Option<&str>, usize)]) -> Vec<Arc<Node>> {
    let mut nodes = Vec::new();
    for (rack, count) in racks {
        for _ in 0..*count {
            let labels = rack.map_or(json!({}), |rack| json!({ "rack": rack }));
            let allocatable =
                json!({"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": "8"});
            let name = format!("n{}", nodes.len());
            let object = json!({"metadata": {"name": name, "labels": labels}, "status": {"allocatable": allocatable}});
            let object = serde_json::from_value(object).expect("a node");
            nodes.push(Arc::new(node::read(&object).expect("a node that reads")));
        }
    }
    nodes
}

fn network() -> Topology {
    let levels = json!({"levels": [
        {"nodeLabel": "rack", "alias": "rack", "bandwidth": "1G", "latency": "1ms"},
        {"nodeLabel": "kubernetes.io/hostname", "alias": "node", "bandwidth": "10G"},
    ]});
    topology::read(&levels).expect("good levels")
}

fn batch(gang: Value) -> TaskBatch {
    let object = json!({
        "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "metadata": {"name": "b"},
        "spec": {"tasks": [{
            "name": "train",
            "template": {"spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": 4}}}]}},
            "estimate": {"process": "100s"},
            "gang": gang,
        }]},
    });
    serde_json::from_value(object).expect("a batch")
}

fn problem(gang: Value, nodes: &[Arc<Node>], goal: Goal) -> Problem {
    let batch = intake::read(&batch(gang)).expect("a good batch");
    let mut snapshot = snapshot::take(nodes, &[], jiff::Timestamp::UNIX_EPOCH, Share::WHOLE);
    snapshot.topology = Arc::new(network());
    let request = Request {
        batch: &batch,
        task: 0,
        copies: vec![0],
        release: 0,
        due: None,
    };
    compile(&snapshot, &[request], goal)
}

#[test]
fn what_a_gang_talks_is_part_of_its_length() {
    let gang = json!({"workers": {"min": 3}, "comm": {"bytesPerStep": "3G", "steps": 7}});
    let two = [(Some("a"), 2), (Some("b"), 2)];
    let found = problem(gang, &racks(&two), Goal::Makespan);
    let mode = &found.tasks[0].modes[0];
    // 7 x (2 x 2/3 x 3 GB / 1 GB/s + 4 x 1 ms) across racks, 7 x 2 x 2/3 x 3 GB / 10 GB/s across nodes.
    assert_eq!(mode.communicate, [7 * 4_004, 2_800]);
    assert_eq!(mode.runs[0].duration, 100_000);
    assert_eq!(mode.runs[0].across, [128_028, 102_800]);
    assert_eq!(found.classes.len(), 2, "a class for each rack");
    assert_eq!(found.levels[0].domains, [0, 0, 1, 1]);
    assert_eq!(found.spanned(&[0, 1]), 1);
    assert_eq!(found.spanned(&[0, 2]), 0);
    assert_eq!(found.spanned(&[2, 2]), 2);
}

#[test]
fn the_whole_length_is_rounded_up_once() {
    // 1000/3 ms to compute and 2 x 1/2 x 2/3 ms to talk are exactly 1 s.
    let gang = json!({"workers": {"min": 2}, "comm": {"bytesPerStep": "1", "steps": 1}});
    let mut spec = batch(gang);
    spec.spec.tasks[0].estimate.process = Some("1ms".into());
    let read = intake::read(&spec).expect("a good batch");
    let mut nodes = racks(&[(Some("a"), 1), (Some("b"), 1)]);
    for node in &mut nodes {
        Arc::make_mut(node).speed = crate::model::exact(3);
    }
    let levels = json!({"levels": [{"nodeLabel": "rack", "alias": "rack", "bandwidth": "1500"}]});
    let mut snapshot = snapshot::take(&nodes, &[], jiff::Timestamp::UNIX_EPOCH, Share::WHOLE);
    snapshot.topology = Arc::new(topology::read(&levels).expect("good levels"));
    let request = Request {
        batch: &read,
        task: 0,
        copies: vec![0],
        release: 0,
        due: None,
    };
    let found = compile(&snapshot, &[request], Goal::Makespan);
    let mode = &found.tasks[0].modes[0];
    assert_eq!((mode.runs[0].duration, mode.communicate[0]), (1, 1));
    assert_eq!(mode.runs[0].across, [1]);
}

#[test]
fn nodes_are_told_apart_only_where_that_matters() {
    let two = racks(&[(Some("a"), 2), (Some("b"), 2)]);
    let classes = |gang: Value, goal: Goal| problem(gang, &two, goal).classes.len();
    let talks = json!({"workers": {"min": 2}, "comm": {"bytesPerStep": "1G", "steps": 1}});
    assert_eq!(classes(json!({"workers": {"min": 2}}), Goal::Makespan), 1);
    assert_eq!(classes(talks.clone(), Goal::Makespan), 2);
    assert_eq!(
        classes(talks, Goal::Throughput),
        1,
        "a static goal has no time"
    );
    let near = |level: &str| json!({"workers": {"min": 2}, "topology": {"required": level}});
    assert_eq!(classes(near("rack"), Goal::Throughput), 2);
    assert_eq!(classes(near("host"), Goal::Makespan), 1);
    assert_eq!(
        problem(near("node"), &two, Goal::Makespan).tasks[0].near,
        Near::Within(2)
    );
}

#[test]
fn a_gang_that_no_rack_holds_is_told_so() {
    let gang = |workers: i64, level: &str| json!({"workers": {"min": workers}, "topology": {"required": level}});
    let some = racks(&[(Some("a"), 2), (Some("b"), 1), (None, 4)]);
    let fits = problem(gang(4, "rack"), &some, Goal::Makespan);
    assert_eq!(fits.unplaceable, []);
    let told = |workers: i64, level: &str| {
        let found = problem(gang(workers, level), &some, Goal::Makespan);
        let one = found.unplaceable.into_iter().next().expect("no place");
        (one.reason, one.message, one.fix.map(|fix| fix.to_string()))
    };
    assert_eq!(
        told(5, "rack"),
        (
            Reason::ExceedsCapacity,
            "needs 5 pods of 4 nvidia.com/gpu within one rack, the largest of 2 holds 4".into(),
            Some("at most 4 such pods fit together".into())
        )
    );
    assert_eq!(told(3, "host").0, Reason::ExceedsCapacity);
    let bare = racks(&[(None, 2)]);
    let found = problem(gang(2, "rack"), &bare, Goal::Makespan);
    assert_eq!(found.unplaceable[0].reason, Reason::NoMatchingNode);
    assert_eq!(
        found.unplaceable[0].message,
        "must be within one rack, and none of 2 nodes has the label rack"
    );
    let fix = |workers: i64| {
        let found = problem(gang(workers, "rack"), &bare, Goal::Makespan);
        let fix = found.unplaceable[0].fix.as_ref().expect("a fix");
        fix.to_string()
    };
    assert_eq!(fix(2), "label n0 with rack=rack-1");
    assert_eq!(
        fix(3),
        "label n0 with rack=rack-1 and label n1 with rack=rack-1"
    );
    assert_eq!(
        fix(5),
        "add 5 nodes in one new rack, each with 4 nvidia.com/gpu free that its rules admit"
    );
}

#[test]
fn a_level_that_is_not_there_is_named_with_those_that_are() {
    let gang = json!({"workers": {"min": 2}, "topology": {"preferred": "room"}});
    let found = intake::unknown_levels(&batch(gang), &network());
    assert_eq!(
        found[0].to_string(),
        "spec.tasks[0].gang.topology.preferred: \"room\" is no level of the network: it has rack, node, host"
    );
}
