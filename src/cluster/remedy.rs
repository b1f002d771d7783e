//! The smallest change that lets a task run: of its requests, of what is free, or of the rules between it and nodes.
//!
//! All of it is counted against what is free once nothing of our own runs, because only that ever comes. Sizes
//! grow in every resource and in pods, so a task fits if and only if its smallest size does.

use std::collections::BTreeMap;

use super::modes::Size;
use crate::constraint::{self, Rejection};
use crate::model::{
    Expression, Fix, Mend, Node, Operator, PODS, Placement, Resources, Snapshot, Taint, Task,
};

/// Nodes that are looked at for the fewest rules to mend.
const MOST_CANDIDATES: usize = 64;
/// The most mends that are told as one fix.
const MOST_MENDS: usize = 16;

/// Distinct free rooms of nodes, with the number of nodes that have them.
struct Rooms<'a>(BTreeMap<&'a Resources, u64>);

impl<'a> Rooms<'a> {
    fn of(snapshot: &'a Snapshot, nodes: &[usize]) -> Self {
        let mut rooms = BTreeMap::new();
        for &node in nodes {
            *rooms.entry(&snapshot.free[node]).or_default() += 1;
        }
        Self(rooms)
    }

    fn slots(&self, effective: &Resources) -> u64 {
        let fit =
            |(room, nodes): (&&Resources, &u64)| slots(room, effective).saturating_mul(*nodes);
        self.0.iter().map(fit).fold(0, u64::saturating_add)
    }

    /// How many nodes have room for a pod.
    fn nodes(&self, effective: &Resources) -> usize {
        let with = self.0.iter().filter(|(room, _)| slots(room, effective) > 0);
        with.map(|(_, nodes)| *nodes as usize).sum()
    }
}

/// How many pods of this request fit; one that needs nothing fits without end.
pub(super) fn slots(room: &Resources, effective: &Resources) -> u64 {
    let each = effective.iter().filter(|(_, needed)| *needed > 0);
    let least = each
        .map(|(name, needed)| (room.get(name) / needed).max(0))
        .min();
    u64::try_from(least.unwrap_or(i64::MAX)).unwrap_or(0)
}

/// For a task that the rules let onto these nodes, but that finds no room on them. `waits`: it would, if others
/// left.
pub(super) fn of_room(
    snapshot: &Snapshot,
    task: &Task,
    smallest: &Size,
    admitted: &[usize],
    waits: bool,
) -> Option<Fix> {
    let rooms = Rooms::of(snapshot, admitted);
    let fitting = u32::try_from(rooms.slots(&smallest.effective)).unwrap_or(u32::MAX);
    if smallest.pods > 1 && fitting > 0 {
        return Some(Fix::FewerPods { pods: fitting });
    }
    let freed = (waits && smallest.pods == 1).then(|| free_more(snapshot, smallest, admitted));
    freed
        .flatten()
        .or_else(|| lower_one(task, smallest, &rooms))
        .or_else(|| lower_several(task, smallest, &rooms))
        .or_else(|| add_nodes(task, smallest, fitting, false))
}

/// The largest amount of one resource with which all pods fit; of several resources the one that gives up least.
fn lower_one(task: &Task, smallest: &Size, rooms: &Rooms) -> Option<Fix> {
    let mut best: Option<(f64, Fix)> = None;
    for (name, amount) in smallest.requests.iter().filter(|(_, amount)| *amount > 0) {
        let with = |to: i64| effective(task, smallest, &[(name, to)]);
        let fits = |to: i64| {
            with(to).is_some_and(|effective| rooms.slots(&effective) >= u64::from(smallest.pods))
        };
        let Some(to) = largest(amount, fits) else {
            continue;
        };
        let loss = (amount - to) as f64 / amount as f64;
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            let nodes = with(to).map_or(0, |effective| rooms.nodes(&effective));
            let to = [(name, to)].into_iter().collect();
            best = Some((loss, Fix::Lower { to, nodes }));
        }
    }
    best.map(|(_, fix)| fix)
}

/// The largest whole amount from 1 to one below `most` for which it holds, if it holds for 1; what holds for an
/// amount holds for all smaller ones.
fn largest(most: i64, holds: impl Fn(i64) -> bool) -> Option<i64> {
    if most <= 1 || !holds(1) {
        return None;
    }
    let (mut low, mut high) = (1, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        (low, high) = if holds(middle) {
            (middle, high)
        } else {
            (low, middle)
        };
    }
    Some(low)
}

/// The largest amounts of all that is short on one node, for the node that asks for the least loss. No other
/// node allows as much of everything and more of something, so that none of the amounts can be larger.
fn lower_several(task: &Task, smallest: &Size, rooms: &Rooms) -> Option<Fix> {
    if smallest.pods != 1 {
        return None;
    }
    let mut best: Option<(f64, Vec<i64>)> = None;
    let amounts: Vec<(&str, i64)> = smallest.requests.iter().collect();
    for room in rooms.0.keys() {
        let Some(to) = amounts_in(task, smallest, &amounts, room) else {
            continue;
        };
        let part = |(to, (_, amount)): (&i64, &(&str, i64))| (amount - to) as f64 / *amount as f64;
        let changed = to
            .iter()
            .zip(&amounts)
            .filter(|(to, (_, amount))| *to < amount);
        let loss: f64 = changed.map(part).sum();
        let is_better = best.as_ref().is_none_or(|(least, best)| {
            let is_more = to.iter().zip(best).all(|(to, best)| to >= best) && to != *best;
            let is_less = best.iter().zip(&to).all(|(best, to)| best >= to);
            is_more || (loss < *least && !is_less)
        });
        if is_better {
            best = Some((loss, to));
        }
    }
    let (_, to) = best?;
    let changed = to
        .iter()
        .zip(&amounts)
        .filter(|(to, (_, amount))| *to < amount);
    let changed: Vec<(&str, i64)> = changed.map(|(to, (name, _))| (*name, *to)).collect();
    let nodes = rooms.nodes(&effective(task, smallest, &changed)?);
    let to = changed.into_iter().collect();
    Some(Fix::Lower { to, nodes })
}

/// How much of each of the container's amounts fits in this room; `None` where lowering them does not help.
fn amounts_in(
    task: &Task,
    smallest: &Size,
    amounts: &[(&str, i64)],
    room: &Resources,
) -> Option<Vec<i64>> {
    let mut to: Vec<i64> = amounts.iter().map(|(_, amount)| *amount).collect();
    for (name, needed) in smallest.effective.iter() {
        if needed <= 0 || needed <= room.get(name) {
            continue;
        }
        let at = amounts.iter().position(|(own, _)| *own == name)?;
        let fits = |to: i64| {
            effective(task, smallest, &[(name, to)])
                .is_some_and(|effective| effective.get(name) <= room.get(name))
        };
        to[at] = largest(amounts[at].1, fits)?;
    }
    Some(to)
}

/// The effective request of a pod whose container requests these amounts in the place of its own.
fn effective(task: &Task, smallest: &Size, to: &[(&str, i64)]) -> Option<Resources> {
    let mut requests = smallest.requests.clone();
    to.iter().for_each(|(name, to)| requests.set(*name, *to));
    task.shape.effective(&requests).ok()
}

/// What is missing on the node that could hold the pod, were it empty, and misses least.
fn free_more(snapshot: &Snapshot, smallest: &Size, admitted: &[usize]) -> Option<Fix> {
    let mut best: Option<(f64, usize, Resources)> = None;
    for &node in admitted {
        if !snapshot.nodes[node].allocatable.holds(&smallest.effective) {
            continue;
        }
        let Some(more) = missing(&snapshot.free[node], &smallest.effective) else {
            continue;
        };
        let part = |(name, more): (&str, i64)| more as f64 / smallest.effective.get(name) as f64;
        let loss: f64 = more.iter().map(part).sum();
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, node, more));
        }
    }
    let (_, node, more) = best?;
    let node = snapshot.nodes[node].name.clone();
    Some(Fix::Free { node, more })
}

/// What a room lacks for one pod; `None` beyond 64 bits.
fn missing(room: &Resources, effective: &Resources) -> Option<Resources> {
    let short = effective
        .iter()
        .filter(|(name, needed)| *needed > 0 && *needed > room.get(name));
    short
        .map(|(name, needed)| Some((name, needed.checked_sub(room.get(name))?)))
        .collect()
}

/// Nodes that hold one pod each, for all pods that have no room yet.
fn add_nodes(task: &Task, smallest: &Size, fitting: u32, matching: bool) -> Option<Fix> {
    let needed = smallest.effective.iter().filter(|(_, needed)| *needed > 0);
    is_satisfiable(&task.placement).then(|| Fix::AddNodes {
        count: smallest.pods.saturating_sub(fitting),
        room: needed.collect(),
        matching,
    })
}

/// For a task that the rules keep off every node: the fewest rules to mend where there is room, else nodes to add.
pub(super) fn of_rules(snapshot: &Snapshot, task: &Task, smallest: &Size) -> Option<Fix> {
    let has_room = |node: &usize| slots(&snapshot.free[*node], &smallest.effective) > 0;
    let candidates = (0..snapshot.nodes.len())
        .filter(has_room)
        .take(MOST_CANDIDATES);
    let mut mended: Vec<(Vec<Mend>, usize)> = candidates
        .filter_map(|node| Some((mends(&task.placement, &snapshot.nodes[node])?, node)))
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
    add_nodes(task, smallest, 0, true)
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
    let mut total = 0u64;
    for (node, free) in snapshot.nodes.iter().zip(&snapshot.free) {
        let slots = slots(free, &smallest.effective);
        if slots == 0 {
            continue;
        }
        let mut changed = None;
        for mend in mends.iter().filter(|mend| concerns(mend, &node.name)) {
            mend_node(mend, changed.get_or_insert_with(|| Node::clone(node)));
        }
        if constraint::admits(&placement, changed.as_ref().unwrap_or(node)).is_ok() {
            total = total.saturating_add(slots);
        }
    }
    total >= u64::from(smallest.pods)
}

/// What must change so that the node admits the task.
fn mends(placement: &Placement, node: &Node) -> Option<Vec<Mend>> {
    let (mut placement, mut node, mut mends) = (placement.clone(), node.clone(), Vec::new());
    while mends.len() < MOST_MENDS {
        let mend = match constraint::admits(&placement, &node) {
            Ok(()) => return Some(mends),
            Err(rejection) => mend_for(rejection, &node.name),
        };
        mend_rules(&mend, &mut placement);
        mend_node(&mend, &mut node);
        mends.push(mend);
    }
    None
}

fn mend_for(rejection: Rejection<'_>, node: &str) -> Mend {
    match rejection {
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
    }
}

fn concerns(mend: &Mend, name: &str) -> bool {
    match mend {
        Mend::Ready(node) | Mend::Uncordon(node) | Mend::Label { node, .. } => node == name,
        Mend::Tolerate(_) | Mend::Affinity(_) => false,
    }
}

fn mend_rules(mend: &Mend, placement: &mut Placement) {
    match mend {
        Mend::Tolerate(taint) => placement.tolerations.push(crate::model::Toleration {
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
fn is_satisfiable(placement: &Placement) -> bool {
    let plain = Node {
        name: "new".into(),
        labels: placement.node_selector.clone(),
        taints: Vec::new(),
        unschedulable: false,
        ready: true,
        allocatable: [(PODS, 1)].into_iter().collect(),
        speed: crate::model::exact(1),
        price: crate::model::exact(1),
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
