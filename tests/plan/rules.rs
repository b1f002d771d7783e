//! Rules of Kubernetes that change where and when the plan puts pods.

use serde_json::Value;

use crate::program::Folder;

const ALGORITHMS: [&str; 7] = [
    "Auto",
    "Greedy",
    "Genetic",
    "Annealing",
    "ParticleSwarm",
    "RuinRecreate",
    "Exact",
];
const GOALS: [&str; 5] = ["Makespan", "FlowTime", "Cost", "Shortfall", "Throughput"];

fn node(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\nspec: {spec}\nstatus: {{allocatable: {{cpu: 4, memory: 8Gi, pods: 10}}}}\n"
    )
}

fn batch(count: u32, cpu: u32, container: &str) -> String {
    format!(
        "apiVersion: taskbatch.dev/v1alpha1
kind: TaskBatch
metadata: {{name: b}}
spec:
  tasks:
  - name: t
    count: {count}
    estimate: {{process: 60s}}
    template:
      spec:
        containers:
        - name: main
          image: x
          resources: {{requests: {{cpu: {cpu}}}}}
          {container}
"
    )
}

/// Node and start of each copy.
fn places(folder: &Folder, more: &[&str]) -> Vec<(String, i64)> {
    let plan = [
        "plan",
        "-f",
        "batch.yaml",
        "--nodes",
        "nodes.yaml",
        "-o",
        "json",
        "--iterations",
        "200",
    ];
    let done = folder.run(&[&plan[..], more].concat());
    let plan = done.json();
    let assignments = plan["assignments"].as_array().expect("a list");
    let place = |one: &Value| {
        let node = one["pods"][0]["node"].as_str().expect("a name").to_owned();
        (node, one["startMs"].as_i64().expect("a time"))
    };
    let mut found: Vec<_> = assignments.iter().map(place).collect();
    found.sort();
    found
}

fn at(places: &[(&str, i64)]) -> Vec<(String, i64)> {
    places
        .iter()
        .map(|(node, start)| ((*node).to_owned(), *start))
        .collect()
}

#[test]
fn of_nodes_that_are_as_good_the_one_with_a_soft_taint_comes_last() {
    let folder = Folder::new("soft");
    let soft = "{taints: [{key: old, effect: PreferNoSchedule}]}";
    let nodes = [node("a", soft), node("b", "{}"), node("c", soft)].concat();
    folder.write("nodes.yaml", &nodes);
    for algorithm in ALGORITHMS {
        for goal in GOALS {
            let how = ["--algorithm", algorithm, "--goal", goal];
            folder.write("batch.yaml", &batch(1, 4, ""));
            assert_eq!(places(&folder, &how), at(&[("b", 0)]), "{algorithm} {goal}");
        }
    }
    // It is a wish only: what needs the node gets it.
    folder.write("batch.yaml", &batch(3, 4, ""));
    assert_eq!(places(&folder, &[]), at(&[("a", 0), ("b", 0), ("c", 0)]));
}

#[test]
fn pods_with_the_same_host_port_are_on_different_nodes_or_one_after_the_other() {
    let folder = Folder::new("ports");
    let ports = "ports: [{containerPort: 8080, hostPort: 80}]";
    folder.write("batch.yaml", &batch(2, 1, ports));
    folder.write("nodes.yaml", &[node("a", "{}"), node("b", "{}")].concat());
    assert_eq!(places(&folder, &[]), at(&[("a", 0), ("b", 0)]));
    folder.write("nodes.yaml", &node("a", "{}"));
    assert_eq!(places(&folder, &[]), at(&[("a", 0), ("a", 60_000)]));
    let two = "ports: [{containerPort: 1, hostPort: 80, hostIP: 10.0.0.1}, {containerPort: 1, hostPort: 81, protocol: UDP}]";
    folder.write("batch.yaml", &batch(1, 1, two));
    let stranger = |entry: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: s}}\nspec: {{nodeName: a, containers: [{{name: c, ports: [{entry}]}}]}}\n"
        )
    };
    for (entry, free) in [
        ("{containerPort: 1, hostPort: 80, hostIP: 10.0.0.2}", true),
        ("{containerPort: 1, hostPort: 80, hostIP: 10.0.0.1}", false),
        ("{containerPort: 1, hostPort: 80}", false),
        ("{containerPort: 1, hostPort: 81}", true),
        ("{containerPort: 1, hostPort: 81, protocol: UDP}", false),
    ] {
        folder.write("pods.yaml", &stranger(entry));
        let found = places(&folder, &["--pods", "pods.yaml"]);
        assert_eq!(
            found,
            if free { at(&[("a", 0)]) } else { vec![] },
            "{entry}"
        );
    }
}

#[test]
fn who_waits_for_a_host_port_is_told_which() {
    let folder = Folder::new("port-wait");
    folder.write(
        "batch.yaml",
        &batch(1, 1, "ports: [{containerPort: 8080, hostPort: 80}]"),
    );
    folder.write("nodes.yaml", &node("a", "{}"));
    let stranger = "apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec: {nodeName: a, containers: [{name: c, ports: [{containerPort: 1, hostPort: 80}]}]}\n";
    folder.write("pods.yaml", stranger);
    let done = folder.plan(&["--pods", "pods.yaml", "-o", "json"]);
    let unplaced = &done.json()["unplaced"][0];
    assert_eq!(unplaced["reason"], "WaitingForCapacity");
    assert_eq!(
        unplaced["message"],
        "needs 1 host port TCP 80 on one node; the only node has 0 free, 1 in all; others hold it for good"
    );
    assert_eq!(unplaced["fix"], "free 1 host port TCP 80 more on a");
}

#[test]
fn room_that_kube_scheduler_has_made_for_another_pod_is_not_ours() {
    let folder = Folder::new("nominated");
    folder.write("batch.yaml", &batch(1, 4, ""));
    folder.write("nodes.yaml", &[node("a", "{}"), node("b", "{}")].concat());
    let nominated = "apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec: {containers: [{name: c, resources: {requests: {cpu: 1}}}]}\nstatus: {nominatedNodeName: a}\n";
    folder.write("pods.yaml", nominated);
    assert_eq!(places(&folder, &["--pods", "pods.yaml"]), at(&[("b", 0)]));
}

#[test]
fn a_node_whose_allocatable_has_shrunk_below_its_use_takes_only_what_asks_nothing() {
    let folder = Folder::new("shrunk");
    folder.write("nodes.yaml", &node("a", "{}"));
    let stranger = "apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec: {nodeName: a, containers: [{name: c, resources: {requests: {cpu: 6}}}]}\n";
    folder.write("pods.yaml", stranger);
    for (cpu, expected) in [(1, vec![]), (0, at(&[("a", 0)]))] {
        folder.write("batch.yaml", &batch(1, cpu, ""));
        let found = places(&folder, &["--pods", "pods.yaml"]);
        assert_eq!(found, expected, "{cpu} cpu");
    }
}
