//! Every fix is true: applied, the task has a place; one step less, it has none.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::compile::{Request, compile};
use crate::model::{
    Batch, CPU, Estimate, Expression, Fix, Goal, MEMORY, Mend, Node, NodeSelectorTerm, Operator,
    PODS, Placement, PodShape, Problem, Range, Reason, Resources, Scaling, Snapshot, Taint,
    TaintEffect, Task, Toleration, Workers, exact,
};

const GPU: &str = "example.com/gpu";

/// How many cases a test tries, unless the environment says more.
fn cases(normal: u64) -> u64 {
    let asked = std::env::var("TASKBATCH_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(normal)
}

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

/// Nodes, of which strangers hold a part, now and then more than there is.
fn snapshot(random: &mut ChaCha8Rng) -> Snapshot {
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
    snapshot
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

fn task(random: &mut ChaCha8Rng) -> Task {
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
        shape.overhead = amounts(random, 2);
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
        name: "t".into(),
        count: 1,
        weight: 1,
        container: "main".into(),
        own,
        sized: sized.map(str::to_owned),
        ranges,
        shape,
        placement: placement(random),
        estimate: Estimate {
            read: exact(1000),
            process: exact(10_000),
            guessed: false,
            scaling: Scaling::Linear,
            overlap: exact(0),
        },
        workers: Workers(workers),
        after: Vec::new(),
    }
}

fn plan(snapshot: &Snapshot, task: &Task, goal: Goal) -> Problem {
    let batch = Batch {
        key: "ns/b".into(),
        weight: 1,
        goal,
        tasks: vec![task.clone()],
    };
    let request = Request {
        batch: &batch,
        task: 0,
        copies: vec![0],
        release: 0,
    };
    compile(snapshot, &[request], goal)
}

/// A world in which something was changed.
type World = (Snapshot, Task);

/// The world with the fix applied.
fn applied((snapshot, task): &World, fix: &Fix) -> World {
    let (mut snapshot, mut task) = (snapshot.clone(), task.clone());
    match fix {
        Fix::Lower { to, .. } => {
            for (name, to) in to.iter() {
                match task.ranges.get_mut(name) {
                    Some(range) => range.min = to,
                    None => task.own.set(name, to),
                }
            }
        }
        Fix::FewerPods { pods } => task.workers = Workers(vec![*pods]),
        Fix::AddNodes { count, room, .. } => {
            for index in 0..*count {
                let pool = match &task.placement.required {
                    Some(terms) if terms[0].labels[0].operator == Operator::In => "b",
                    _ => "a",
                };
                snapshot.nodes.push(Arc::new(Node {
                    name: format!("new-{index}"),
                    labels: [("pool".into(), pool.into())].into(),
                    taints: Vec::new(),
                    unschedulable: false,
                    ready: true,
                    allocatable: room.clone(),
                    speed: exact(1),
                    price: exact(1),
                    read_bandwidth: None,
                }));
                snapshot.free.push(room.clone());
                snapshot.holds.push(Vec::new());
            }
        }
        Fix::Free { node, more } => {
            let at = snapshot.nodes.iter().position(|one| one.name == *node);
            snapshot.free[at.expect("a node of this name")]
                .add(more)
                .expect("a sum");
        }
        Fix::Admit { mends } => {
            mends
                .iter()
                .for_each(|mend| apply_mend(mend, &mut snapshot, &mut task));
        }
        Fix::PlaceDependencies => {}
    }
    (snapshot, task)
}

fn apply_mend(mend: &Mend, snapshot: &mut Snapshot, task: &mut Task) {
    let mut change = |name: &String, change: &dyn Fn(&mut Node)| {
        let node = snapshot.nodes.iter_mut().find(|node| node.name == *name);
        change(Arc::make_mut(node.expect("a node of this name")));
    };
    match mend {
        Mend::Ready(name) => change(name, &|node| {
            node.ready = true;
            node.taints
                .retain(|taint| !taint.key.ends_with("/not-ready"));
        }),
        Mend::Uncordon(name) => change(name, &|node| {
            node.unschedulable = false;
            node.taints
                .retain(|taint| !taint.key.ends_with("/unschedulable"));
        }),
        Mend::Label { node, key, value } => change(node, &|node| {
            node.labels.insert(key.clone(), value.clone());
        }),
        Mend::Tolerate(taint) => task.placement.tolerations.push(Toleration {
            key: Some(taint.key.clone()),
            exists: false,
            value: taint.value.clone(),
            effect: Some(taint.effect),
        }),
        Mend::Affinity(_) => task.placement.required = None,
    }
}

/// Every way in which the fix could be one step smaller.
fn smaller(fix: &Fix) -> Vec<Fix> {
    let each = |of: &Resources, by: i64| -> Vec<Resources> {
        let change = |(name, amount): (&str, i64)| {
            let mut other = of.clone();
            other.set(name, amount + by);
            other
        };
        of.iter().map(change).collect()
    };
    match fix {
        Fix::Lower { to, nodes } => {
            let lower = |to| Fix::Lower { to, nodes: *nodes };
            each(to, 1).into_iter().map(lower).collect()
        }
        Fix::FewerPods { pods } => vec![Fix::FewerPods { pods: pods + 1 }],
        Fix::AddNodes {
            count,
            room,
            matching,
        } => {
            let add = |count: u32, room: Resources| Fix::AddNodes {
                count,
                room,
                matching: *matching,
            };
            let mut all: Vec<Fix> = each(room, -1)
                .into_iter()
                .map(|room| add(*count, room))
                .collect();
            all.push(add(count - 1, room.clone()));
            all
        }
        Fix::Free { node, more } => {
            let free = |more| Fix::Free {
                node: node.clone(),
                more,
            };
            each(more, -1).into_iter().map(free).collect()
        }
        Fix::Admit { mends } => {
            let without = |at: usize| {
                let mut mends = mends.clone();
                mends.remove(at);
                Fix::Admit { mends }
            };
            (0..mends.len()).map(without).collect()
        }
        Fix::PlaceDependencies => Vec::new(),
    }
}

#[test]
fn a_fix_applied_gives_a_place_and_one_step_less_gives_none() {
    let (mut fixes, mut steps, mut kinds) = (0, 0, std::collections::BTreeMap::new());
    for seed in 0..cases(4_000) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let world = (snapshot(&mut random), task(&mut random));
        let goal = Goal::ALL[random.random_range(0..Goal::ALL.len())];
        let has_place =
            |(snapshot, task): &World| plan(snapshot, task, goal).unplaceable.is_empty();
        let problem = plan(&world.0, &world.1, goal);
        let Some(unplaced) = problem.unplaceable.first() else {
            continue;
        };
        let Some(fix) = &unplaced.fix else {
            let is_known = unplaced.message.contains("64 bits")
                || unplaced.reason == Reason::NoMatchingNode
                || unplaced.reason == Reason::ExceedsCapacity;
            assert!(is_known, "seed {seed}: {unplaced:?}");
            *kinds.entry("none").or_insert(0) += 1;
            continue;
        };
        assert!(
            has_place(&applied(&world, fix)),
            "seed {seed}: {unplaced:?} {fix}"
        );
        for less in smaller(fix) {
            steps += 1;
            assert!(
                !has_place(&applied(&world, &less)),
                "seed {seed}: {unplaced:?} {less} is enough for {:?}",
                world
            );
        }
        fixes += 1;
        let kind = match fix {
            Fix::Lower { to, .. } if to.iter().count() > 1 => "lower several",
            Fix::Lower { .. } => "lower",
            Fix::FewerPods { .. } => "fewer pods",
            Fix::AddNodes { .. } => "add nodes",
            Fix::Free { .. } => "free",
            Fix::Admit { .. } => "admit",
            Fix::PlaceDependencies => "dependencies",
        };
        *kinds.entry(kind).or_insert(0) += 1;
    }
    println!("{fixes} fixes, {steps} smaller steps, {kinds:?}");
    assert!(fixes > 1_000, "{kinds:?}");
    for kind in [
        "lower",
        "lower several",
        "fewer pods",
        "add nodes",
        "free",
        "admit",
    ] {
        assert!(
            kinds.get(kind).is_some_and(|count| *count > 20),
            "{kind}: {kinds:?}"
        );
    }
}
