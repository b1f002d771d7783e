//! The smallest change that lets a task run where the rules let it: of its requests, or of what is free.
//!
//! All of it is counted against what is free once nothing of our own runs, because only that ever comes. Sizes
//! grow in every resource and in pods, so a task fits if and only if its smallest size does.

use std::collections::BTreeMap;

use super::domains;
use super::mend::is_satisfiable;
use super::modes::Size;
use crate::model::{Fix, Near, Resources, Snapshot, Task, host_port};

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
        .map(|(name, needed)| (room.room(name) / needed).max(0))
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
        .or_else(|| add_nodes(snapshot, task, smallest, fitting, false))
}

/// The same for pods that must be in one domain, which finds most room on these nodes.
pub(super) fn of_domain(
    snapshot: &Snapshot,
    task: &Task,
    smallest: &Size,
    nodes: &[usize],
) -> Option<Fix> {
    let rooms = Rooms::of(snapshot, nodes);
    match u32::try_from(rooms.slots(&smallest.effective)).unwrap_or(u32::MAX) {
        0 => lower_one(task, smallest, &rooms)
            .or_else(|| add_nodes(snapshot, task, smallest, 0, false)),
        pods => Some(Fix::FewerPods { pods }),
    }
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
        if needed <= 0 || needed <= room.room(name) {
            continue;
        }
        let at = amounts.iter().position(|(own, _)| *own == name)?;
        let fits = |to: i64| {
            effective(task, smallest, &[(name, to)])
                .is_some_and(|effective| effective.get(name) <= room.room(name))
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
        if !snapshot.usable(node).holds(&smallest.effective) {
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
        .filter(|(name, needed)| *needed > 0 && *needed > room.room(name));
    short
        .map(|(name, needed)| Some((name, needed.checked_sub(room.room(name))?)))
        .collect()
}

/// Nodes that hold one pod each, for all pods that have no room yet; or, where all must be on one node, a node for
/// them.
pub(super) fn add_nodes(
    snapshot: &Snapshot,
    task: &Task,
    smallest: &Size,
    fitting: u32,
    matching: bool,
) -> Option<Fix> {
    let (count, each, within) = match domains::near(task, &snapshot.topology) {
        Near::Within(level) => match snapshot.topology.above_hosts(level) {
            Some(level) => (smallest.pods, 1, Some(level.alias.clone())),
            None => (1, smallest.pods, None),
        },
        _ => (smallest.pods.saturating_sub(fitting), 1, None),
    };
    let needed = smallest.effective.iter().filter(|(_, needed)| *needed > 0);
    let room = needed.map(|(name, needed)| {
        // Nodes have each host port once, without listing it, and those are not shared out.
        if host_port::is_host_port(name) {
            return (each == 1).then_some((name, needed));
        }
        let needed = needed.checked_mul(i64::from(each))?;
        Some((name, snapshot.share.whole_of(needed)))
    });
    let room = room.collect::<Option<Resources>>()?;
    is_satisfiable(&task.placement).then_some(Fix::AddNodes {
        count,
        room,
        matching,
        within,
    })
}
