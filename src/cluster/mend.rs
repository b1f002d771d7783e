//! The fewest rules between a task and nodes that must change so that it may run where there is room.

use std::borrow::Cow;

use super::domains;
use super::modes::Size;
use super::remedy::{add_nodes, slots};
use crate::constraint::{self, Rejection};
use crate::model::{
    Expression, Fix, Mend, Near, Node, Operator, PODS, Placement, Snapshot, Taint, Task,
    Toleration, Topology, exact,
};

/// Nodes that are looked at for the fewest rules to mend.
const MOST_CANDIDATES: usize = 64;
/// The most mends that are told as one fix.
const MOST_MENDS: usize = 16;

/// For a task that the rules keep off every node: the fewest rules to mend where there is room, else nodes to add.
pub(super) fn of_rules(snapshot: &Snapshot, task: &Task, smallest: &Size) -> Option<Fix> {
    let has_room = |node: &usize| slots(&snapshot.free[*node], &smallest.effective) > 0;
    let candidates = (0..snapshot.nodes.len())
        .filter(has_room)
        .take(MOST_CANDIDATES);
    let mut mended: Vec<(Vec<Mend>, usize)> = candidates
        .filter_map(|node| Some((mends(snapshot, task, node)?, node)))
        .collect();
    mended.sort_by_key(|(mends, node)| (mends.len(), *node));
    let mut chosen: Vec<Mend> = Vec::new();
    for (more, _) in mended {
        let fresh: Vec<Mend> = more
            .into_iter()
            .filter(|mend| !chosen.contains(mend))
            .collect();
        chosen.extend(fresh);
        if chosen.len() > MOST_MENDS {
            break;
        }
        if is_enough(snapshot, task, smallest, &chosen) {
            return Some(Fix::Admit {
                mends: without_idle(snapshot, task, smallest, chosen),
            });
        }
    }
    add_nodes(snapshot, task, smallest, 0, true)
}

/// Leaves out every mend without which the others are enough.
fn without_idle(
    snapshot: &Snapshot,
    task: &Task,
    smallest: &Size,
    mut mends: Vec<Mend>,
) -> Vec<Mend> {
    let mut at = 0;
    while at < mends.len() {
        let mend = mends.remove(at);
        if !is_enough(snapshot, task, smallest, &mends) {
            mends.insert(at, mend);
            at += 1;
        }
    }
    mends
}

/// Whether all pods have room on the nodes that admit them after these mends.
fn is_enough(snapshot: &Snapshot, task: &Task, smallest: &Size, mends: &[Mend]) -> bool {
    let mut placement = task.placement.clone();
    mends
        .iter()
        .for_each(|mend| mend_rules(mend, &mut placement));
    let mut rooms: Vec<(Cow<'_, Node>, u64)> = Vec::new();
    for (node, free) in snapshot.nodes.iter().zip(&snapshot.free) {
        let slots = slots(free, &smallest.effective);
        if slots == 0 {
            continue;
        }
        let mut mended = Cow::Borrowed(node.as_ref());
        for mend in mends.iter().filter(|mend| concerns(mend, &node.name)) {
            mend_node(mend, mended.to_mut());
        }
        if constraint::admits(&placement, &mended).is_ok() {
            rooms.push((mended, slots));
        }
    }
    let rooms = rooms.iter().map(|(node, slots)| (node.as_ref(), *slots));
    domains::most_together(task, &snapshot.topology, rooms) >= u64::from(smallest.pods)
}

/// What must change so that the node admits the task.
fn mends(snapshot: &Snapshot, task: &Task, node: usize) -> Option<Vec<Mend>> {
    let (mut placement, mut mends) = (task.placement.clone(), Vec::new());
    let mut node = Node::clone(&snapshot.nodes[node]);
    while mends.len() < MOST_MENDS {
        let mend = match constraint::admits(&placement, &node) {
            Ok(()) => match unlabelled(&snapshot.topology, task, &node) {
                None => return Some(mends),
                Some(mend) => mend,
            },
            Err(rejection) => mend_for(rejection, &node.name)?,
        };
        mend_rules(&mend, &mut placement);
        mend_node(&mend, &mut node);
        mends.push(mend);
    }
    None
}

/// The label that a node lacks to be in a domain of the level that the task requires. Any value will do that all such
/// nodes get.
fn unlabelled(topology: &Topology, task: &Task, node: &Node) -> Option<Mend> {
    let Near::Within(level) = domains::near(task, topology) else {
        return None;
    };
    let of = topology.levels.get(level)?;
    let label = || Mend::Label {
        node: node.name.clone(),
        key: of.label.clone(),
        value: format!("{}-1", of.alias),
    };
    topology.domain(level, node).is_none().then(label)
}

fn mend_for(rejection: Rejection<'_>, node: &str) -> Option<Mend> {
    Some(match rejection {
        Rejection::NotReady => Mend::Ready(node.into()),
        Rejection::Cordoned => Mend::Uncordon(node.into()),
        Rejection::Taint { key, value, effect } => Mend::Tolerate(Taint {
            key: key.into(),
            value: value.into(),
            effect,
        }),
        Rejection::NodeSelector { key, wanted, .. } => Mend::Label {
            node: node.into(),
            key: key.into(),
            value: wanted.into(),
        },
        Rejection::Affinity => Mend::Affinity(node.into()),
        Rejection::NodeName(_) | Rejection::KeptOff => return None,
    })
}

fn concerns(mend: &Mend, name: &str) -> bool {
    match mend {
        Mend::Ready(node) | Mend::Uncordon(node) | Mend::Label { node, .. } => node == name,
        Mend::Tolerate(_) | Mend::Affinity(_) => false,
    }
}

fn mend_rules(mend: &Mend, placement: &mut Placement) {
    match mend {
        Mend::Tolerate(taint) => placement.tolerations.push(Toleration {
            key: Some(taint.key.clone()),
            exists: false,
            value: taint.value.clone(),
            effect: Some(taint.effect),
        }),
        Mend::Affinity(_) => placement.required = None,
        Mend::Ready(_) | Mend::Uncordon(_) | Mend::Label { .. } => {}
    }
}

fn mend_node(mend: &Mend, node: &mut Node) {
    let mut lift = |keys: &[&str]| {
        node.taints
            .retain(|taint| !keys.contains(&taint.key.as_str()))
    };
    match mend {
        Mend::Ready(_) => {
            lift(&[
                "node.kubernetes.io/not-ready",
                "node.kubernetes.io/unreachable",
            ]);
            node.ready = true;
        }
        Mend::Uncordon(_) => {
            lift(&["node.kubernetes.io/unschedulable"]);
            node.unschedulable = false;
        }
        Mend::Label { key, value, .. } => {
            node.labels.insert(key.clone(), value.clone());
        }
        Mend::Tolerate(_) | Mend::Affinity(_) => {}
    }
}

/// Whether some node, labelled as the rules ask, would pass them all.
pub(super) fn is_satisfiable(placement: &Placement) -> bool {
    let plain = Node {
        name: "new".into(),
        labels: placement.node_selector.clone(),
        taints: Vec::new(),
        unschedulable: false,
        ready: true,
        allocatable: [(PODS, 1)].into_iter().collect(),
        speed: exact(1),
        price: exact(1),
        read_bandwidth: None,
    };
    let terms = placement.required.iter().flatten();
    let labelled = terms.map(|term| {
        let mut node = plain.clone();
        term.fields
            .iter()
            .for_each(|field| rename(field, &mut node));
        term.labels
            .iter()
            .for_each(|label| relabel(label, &mut node));
        node
    });
    labelled
        .chain([plain.clone()])
        .any(|node| constraint::admits(placement, &node).is_ok())
}

fn rename(field: &Expression, node: &mut Node) {
    if let (Operator::In, Some(name)) = (field.operator, field.values.first()) {
        node.name.clone_from(name);
    }
}

fn relabel(label: &Expression, node: &mut Node) {
    let value = label.values.first().cloned().unwrap_or_default();
    let beside = |by: i64| Some(value.parse::<i64>().ok()?.checked_add(by)?.to_string());
    let value = match label.operator {
        Operator::In | Operator::Exists => Some(value),
        Operator::Gt => beside(1),
        Operator::Lt => beside(-1),
        Operator::NotIn | Operator::DoesNotExist => None,
    };
    match value {
        Some(value) => drop(node.labels.insert(label.key.clone(), value)),
        None => drop(node.labels.remove(&label.key)),
    }
}
