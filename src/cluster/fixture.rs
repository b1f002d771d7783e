//! Generated nodes and tasks, for tests of what is made of them.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::model::{
    CPU, Estimate, Expression, HOST, Level, MEMORY, Node, NodeSelectorTerm, Operator, PODS,
    Placement, PodShape, Range, Resources, Scaling, Share, Snapshot, Taint, TaintEffect, Task,
    Together, Toleration, Topology, Wish, Workers, exact,
};

/// How many cases a test tries, unless the environment says more.
pub(crate) fn cases(normal: u64) -> u64 {
    let asked = std::env::var("TASKBATCH_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(normal)
}

const GPU: &str = "example.com/gpu";

fn amounts(random: &mut ChaCha8Rng, most: i64) -> Resources {
    let mut amounts = Resources::default();
    for name in [CPU, MEMORY, GPU] {
        if random.random_bool(0.7) {
            let huge = random.random_bool(0.02);
            let top = if huge { i64::MAX / 4 } else { most };
            amounts.set(name, random.random_range(0..=top));
        }
    }
    amounts
}

fn node(index: usize, random: &mut ChaCha8Rng) -> Node {
    let mut allocatable: Resources = [(CPU, 3), (MEMORY, 3), (GPU, random.random_range(0..=2))]
        .into_iter()
        .collect();
    allocatable.add(&amounts(random, 12)).expect("small sums");
    let pods = if random.random_bool(0.1) {
        0
    } else {
        random.random_range(1..=4)
    };
    allocatable.set(PODS, pods);
    let mut node = Node {
        name: format!("n{index}"),
        labels: [].into(),
        taints: Vec::new(),
        unschedulable: random.random_bool(0.1),
        ready: random.random_bool(0.9),
        allocatable,
        speed: exact(1),
        price: exact(1),
        read_bandwidth: None,
    };
    if random.random_bool(0.5) {
        let value = ["a", "b"][random.random_range(0..2)];
        node.labels.insert("pool".into(), value.into());
    }
    let mut taint = |key: &str, chance: f64| {
        if random.random_bool(chance) {
            node.taints.push(Taint {
                key: key.into(),
                value: String::new(),
                effect: TaintEffect::NoSchedule,
            });
        }
    };
    taint("gpu", 0.3);
    taint("spot", 0.1);
    taint(
        "node.kubernetes.io/unschedulable",
        if node.unschedulable { 0.8 } else { 0.02 },
    );
    taint(
        "node.kubernetes.io/not-ready",
        if node.ready { 0.0 } else { 0.8 },
    );
    node
}

/// Nodes, of which strangers hold a part, now and then more than there is, and batches may not use all.
pub(crate) fn snapshot(random: &mut ChaCha8Rng) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for index in 0..random.random_range(0..=5) {
        let node = node(index, random);
        let mut free = node.allocatable.clone();
        if random.random_bool(0.4) {
            for name in [CPU, MEMORY, GPU, PODS] {
                let held = random.random_range(0..=4);
                free.set(name, free.get(name) - held);
            }
        }
        snapshot.nodes.push(Arc::new(node));
        snapshot.free.push(free);
        snapshot.holds.push(Vec::new());
    }
    if random.random_bool(0.4) {
        snapshot.topology = Arc::new(zones_and_racks());
        for node in &mut snapshot.nodes {
            label(Arc::make_mut(node), random);
        }
    }
    if random.random_bool(0.3) {
        let share = ["0.3", "0.5", "0.7", "0.99"][random.random_range(0..4)];
        snapshot.share = Share::parse(share).expect("a share");
        for (free, node) in snapshot.free.iter_mut().zip(&snapshot.nodes) {
            snapshot.share.cap(free, &node.allocatable);
        }
    }
    snapshot
}

fn zones_and_racks() -> Topology {
    let level = |alias: &str| Level {
        alias: alias.into(),
        label: alias.into(),
        bandwidth: None,
        latency: exact(0),
    };
    Topology {
        levels: vec![level("zone"), level("rack")],
    }
}

fn label(node: &mut Node, random: &mut ChaCha8Rng) {
    for (key, chance) in [("zone", 0.7), ("rack", 0.25)] {
        if random.random_bool(chance) {
            let value = ["a", "b"][random.random_range(0..2)];
            node.labels.insert(key.into(), value.into());
        }
    }
}

fn together(random: &mut ChaCha8Rng) -> Together {
    let mut together = Together::default();
    if random.random_bool(0.3) {
        let alias = ["zone", "rack", HOST][random.random_range(0..3)];
        together.wish = Wish::Required(alias.into());
    }
    together
}

fn placement(random: &mut ChaCha8Rng) -> Placement {
    let mut placement = Placement::default();
    if random.random_bool(0.3) {
        placement.node_selector.insert("pool".into(), "a".into());
    }
    if random.random_bool(0.2) {
        let operators = [Operator::In, Operator::NotIn, Operator::Exists];
        let operator = operators[random.random_range(0..3)];
        let values = if operator == Operator::Exists {
            vec![]
        } else {
            vec!["b".into()]
        };
        placement.required = Some(vec![NodeSelectorTerm {
            labels: vec![Expression {
                key: "pool".into(),
                operator,
                values,
            }],
            fields: Vec::new(),
        }]);
    }
    if random.random_bool(0.5) {
        placement.tolerations.push(Toleration {
            key: Some("gpu".into()),
            exists: true,
            value: String::new(),
            effect: None,
        });
    }
    placement
}

/// A task of one copy that asks for about what a node has.
pub(crate) fn task(random: &mut ChaCha8Rng) -> Task {
    let mut shape = PodShape::default();
    if random.random_bool(0.3) {
        shape.beside = amounts(random, 3);
    }
    if random.random_bool(0.2) {
        shape.init_peak = amounts(random, 9);
    }
    if random.random_bool(0.1) {
        shape.pod_level.set(CPU, random.random_range(0..=14));
    }
    if random.random_bool(0.2) {
        let overhead = amounts(random, 2);
        shape.beside.add(&overhead).expect("small sums");
        shape.init_peak.add(&overhead).expect("small sums");
    }
    let own = amounts(random, 9);
    let mut ranges = std::collections::BTreeMap::new();
    for name in [CPU, GPU] {
        if random.random_bool(0.4) {
            let min = random.random_range(0..=9);
            let max = min + random.random_range(0..=6);
            ranges.insert(name.to_owned(), Range { min, max, step: 1 });
        }
    }
    let sized = [GPU, CPU]
        .into_iter()
        .find(|name| ranges.contains_key(*name));
    let first = random.random_range(1..=4);
    let workers = if random.random_bool(0.7) {
        vec![1]
    } else {
        (first..=first + 2).collect()
    };
    Task {
        together: together(random),
        name: "t".into(),
        count: 1,
        weight: 1,
        container: "main".into(),
        own,
        sized: sized.map(str::to_owned),
        ranges,
        shape,
        placement: placement(random),
        delegated: false,
        estimate: Estimate {
            read: exact(1000),
            process: exact(10_000),
            guessed: false,
            scaling: Scaling::Linear,
            overlap: exact(0),
        },
        workers: Workers(workers),
        after: Vec::new(),
        deadline: None,
        rate: exact(1),
        price: None,
        flavor: None,
        flavors: Vec::new(),
    }
}
