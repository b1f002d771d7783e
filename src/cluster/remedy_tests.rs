//! Every fix is true: applied, the task has a place; one step less, it has none.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::compile::{Request, compile};
use super::fixture::{cases, snapshot, task};
use crate::model::{
    Batch, Fix, Goal, Mend, Node, Operator, Problem, Reason, Resources, Snapshot, Task, Toleration,
    Workers, exact,
};

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
        due: None,
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
        Fix::AddNodes {
            count,
            room,
            within,
            ..
        } => {
            let domain = within.iter().map(|alias| (alias.clone(), "new".into()));
            for index in 0..*count {
                let pool = match &task.placement.required {
                    Some(terms) if terms[0].labels[0].operator == Operator::In => "b",
                    _ => "a",
                };
                snapshot.nodes.push(Arc::new(Node {
                    name: format!("new-{index}"),
                    labels: domain
                        .clone()
                        .chain([("pool".into(), pool.into())])
                        .collect(),
                    taints: Vec::new(),
                    unschedulable: false,
                    ready: true,
                    allocatable: room.clone(),
                    speed: exact(1),
                    price: exact(1),
                    read_bandwidth: None,
                }));
                let mut free = room.clone();
                snapshot.share.cap(&mut free, room);
                snapshot.free.push(free);
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
            within,
        } => {
            let add = |count: u32, room: Resources| Fix::AddNodes {
                count,
                room,
                matching: *matching,
                within: within.clone(),
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
            Fix::AddNodes {
                within: Some(_), ..
            } => "add nodes in one domain",
            Fix::Admit { mends }
                if mends
                    .iter()
                    .any(|mend| matches!(mend, Mend::Label { key, .. } if key != "pool")) =>
            {
                "label a domain"
            }
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
        "add nodes in one domain",
        "label a domain",
        "free",
        "admit",
    ] {
        assert!(
            kinds.get(kind).is_some_and(|count| *count > 20),
            "{kind}: {kinds:?}"
        );
    }
}
