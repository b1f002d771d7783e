//! Why a task does not run, in one reason with numbers, and what would make it fit.

use std::collections::BTreeMap;

use super::domains::{self, Within};
use super::quantity;
use super::{mend, modes, remedy, snapshot};
use crate::constraint;
use crate::model::{Fix, PODS, Reason, Resources, Share, Snapshot, Task};

/// Why no node could ever hold the task, as things stand: reason, message and the smallest fix known. Of several
/// flavors, the one that is nearest to a place.
pub fn unplaceable(snapshot: &Snapshot, task: &Task) -> (Reason, String, Option<Fix>) {
    let ways = task.ways().iter();
    let each = ways.map(|way| {
        let (reason, message, fix) = unplaceable_way(snapshot, way);
        (reason, of_flavor(way, message), fix)
    });
    let far = |reason: Reason| match reason {
        Reason::WaitingForCapacity => 0,
        Reason::ExceedsCapacity => 1,
        _ => 2,
    };
    let nearest = each.min_by_key(|(reason, ..)| far(*reason));
    nearest.unwrap_or_else(|| unplaceable_way(snapshot, task))
}

fn of_flavor(task: &Task, message: String) -> String {
    match &task.flavor {
        Some(name) => format!("flavor {name}: {message}"),
        None => message,
    }
}

fn unplaceable_way(snapshot: &Snapshot, task: &Task) -> (Reason, String, Option<Fix>) {
    let sizes = modes::sizes(task).unwrap_or_default();
    let Some(smallest) = sizes.first() else {
        let message = "the sum of its requests does not fit 64 bits".into();
        return (Reason::ExceedsCapacity, message, None);
    };
    let mut admitted = admitted(snapshot, task);
    if admitted.is_empty() {
        let fix = mend::of_rules(snapshot, task, smallest);
        return (
            Reason::NoMatchingNode,
            no_matching_node(snapshot, task),
            fix,
        );
    }
    if let Some(within) = domains::within(snapshot, task, &admitted) {
        if within.domains.is_empty() {
            let message = format!(
                "must be within one {}, and none of {} has the label {}",
                within.alias,
                nodes(admitted.len()),
                within.label.unwrap_or_default()
            );
            let fix = mend::of_rules(snapshot, task, smallest);
            return (Reason::NoMatchingNode, message, fix);
        }
        if smallest.pods > 1 {
            return not_within(snapshot, task, smallest, &within);
        }
        admitted = within.domains.concat();
    }
    let usable: Vec<_> = admitted.iter().map(|at| snapshot.usable(*at)).collect();
    let usable: Vec<&Resources> = usable.iter().map(AsRef::as_ref).collect();
    let free: Vec<&Resources> = admitted.iter().map(|at| &snapshot.free[*at]).collect();
    let (effective, pods) = (&smallest.effective, smallest.pods);
    let fits = |rooms: &[&Resources]| slots(rooms, effective) >= u64::from(pods);
    if fits(&free) {
        let message = "its duration, cost or value does not fit 64 bits".into();
        return (Reason::ExceedsCapacity, message, None);
    }
    let waits = fits(&usable);
    let fix = remedy::of_room(snapshot, task, smallest, &admitted, waits);
    if waits {
        let needs = needs(effective, pods, &free, &usable);
        let message = format!("{needs}; others hold it for good{}", capped(snapshot));
        return (Reason::WaitingForCapacity, message, fix);
    }
    let message = exceeds(effective, pods, &usable) + &capped(snapshot);
    (Reason::ExceedsCapacity, message, fix)
}

/// Why no domain holds all pods of a gang that must be within one.
fn not_within(
    snapshot: &Snapshot,
    task: &Task,
    smallest: &modes::Size,
    within: &Within<'_>,
) -> (Reason, String, Option<Fix>) {
    let (alias, effective) = (within.alias, &smallest.effective);
    let room = |domain: &Vec<usize>, of: &dyn Fn(usize) -> u64| -> u64 {
        domain
            .iter()
            .map(|node| of(*node))
            .fold(0, u64::saturating_add)
    };
    let free = |node: usize| remedy::slots(&snapshot.free[node], effective);
    let all = |node: usize| remedy::slots(&snapshot.usable(node), effective);
    let best = within.domains.iter().max_by_key(|domain| {
        let rooms = (room(domain, &free), room(domain, &all));
        (rooms, std::cmp::Reverse(domain.first().copied()))
    });
    let best = best.map_or(&[][..], Vec::as_slice);
    let most = |of: &dyn Fn(usize) -> u64| {
        let rooms = within.domains.iter().map(|domain| room(domain, of));
        rooms.max().unwrap_or(0)
    };
    let pods = u64::from(smallest.pods);
    if most(&free) >= pods {
        let message = "its duration, cost or value does not fit 64 bits".into();
        return (Reason::ExceedsCapacity, message, None);
    }
    let waits = most(&all) >= pods;
    let needs = format!(
        "needs {pods} pods of {} within one {alias}",
        list(effective)
    );
    let fix = remedy::of_domain(snapshot, task, smallest, best);
    let (count, capped) = (within.domains.len(), capped(snapshot));
    if waits {
        let message = format!(
            "{needs}; the freest of {count} has room for {}, and others hold the rest for good{capped}",
            most(&free)
        );
        return (Reason::WaitingForCapacity, message, fix);
    }
    let message = format!(
        "{needs}, the largest of {count} holds {}{capped}",
        most(&all)
    );
    (Reason::ExceedsCapacity, message, fix)
}

/// Why a task that fits waits now: what its smallest size needs, on the flavor that the plan chose, and what is free
/// now.
pub fn waiting(snapshot: &Snapshot, task: &Task) -> String {
    of_flavor(task, waiting_way(snapshot, task))
}

fn waiting_way(snapshot: &Snapshot, task: &Task) -> String {
    let admitted = admitted(snapshot, task);
    let now = snapshot::free_now(snapshot);
    let free: Vec<&Resources> = admitted.iter().map(|at| &now[*at]).collect();
    let usable: Vec<_> = admitted.iter().map(|at| snapshot.usable(*at)).collect();
    let usable: Vec<&Resources> = usable.iter().map(AsRef::as_ref).collect();
    match modes::sizes(task).unwrap_or_default().first() {
        Some(size) => needs(&size.effective, size.pods, &free, &usable) + &capped(snapshot),
        None => "the sum of its requests does not fit 64 bits".into(),
    }
}

/// That amounts are not those of whole nodes, where they are not.
fn capped(snapshot: &Snapshot) -> String {
    match snapshot.share {
        Share::WHOLE => String::new(),
        share => format!("; batches may use {share} of each node"),
    }
}

fn admitted(snapshot: &Snapshot, task: &Task) -> Vec<usize> {
    (0..snapshot.nodes.len())
        .filter(|at| constraint::admits(&task.placement, &snapshot.nodes[*at]).is_ok())
        .collect()
}

fn no_matching_node(snapshot: &Snapshot, task: &Task) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in &snapshot.nodes {
        if let Err(rejection) = constraint::admits(&task.placement, node) {
            *counts.entry(rejection.to_string()).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return "there is no node".into();
    }
    let mut rows: Vec<(String, usize)> = counts.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let shown: Vec<String> = rows
        .iter()
        .take(5)
        .map(|(why, count)| format!("{count}: {why}"))
        .collect();
    let all = nodes(snapshot.nodes.len());
    format!("none of {all} matches; {}", shown.join("; "))
}

/// `needs 4 nvidia.com/gpu on one node; the freest of 12 nodes has 3 free, 8 in all`.
fn needs(
    effective: &Resources,
    pods: u32,
    free: &[&Resources],
    allocatable: &[&Resources],
) -> String {
    let count = match pods {
        1 => String::new(),
        _ => format!(
            "for each of {pods} pods at once, and there is room for {}",
            slots(free, effective)
        ),
    };
    match tightest(effective, free) {
        Some((name, freest)) => {
            let all = allocatable
                .iter()
                .map(|room| room.room(name))
                .max()
                .unwrap_or(0);
            let needed = show(name, effective.get(name));
            let free = quantity::format(name, freest.max(0));
            let all = quantity::format(name, all);
            let who = freest_of(allocatable.len());
            let gang = if count.is_empty() {
                count
            } else {
                format!(" {count}")
            };
            format!("needs {needed} on one node{gang}; {who} has {free} free, {all} in all")
        }
        None if pods > 1 && slots(free, effective) < u64::from(pods) => {
            format!("needs {} {count}", list(effective))
        }
        None if slots(free, effective) == 0 => {
            format!(
                "needs {} and one more pod on one node; none of {} has all of it free",
                list(effective),
                nodes(free.len())
            )
        }
        None => format!(
            "its smallest size, {}, would fit now; the plan puts others first",
            list(effective)
        ),
    }
}

fn exceeds(effective: &Resources, pods: u32, allocatable: &[&Resources]) -> String {
    match tightest(effective, allocatable) {
        Some((name, largest)) => format!(
            "needs {} on one node, the largest of {} has {}",
            show(name, effective.get(name)),
            nodes(allocatable.len()),
            quantity::format(name, largest),
        ),
        None if slots(allocatable, effective) > 0 => format!(
            "needs {pods} pods of {} at once, {} hold {}",
            list(effective),
            nodes(allocatable.len()),
            slots(allocatable, effective),
        ),
        None => format!(
            "needs {} on one node, none of {} has all of it",
            list(effective),
            nodes(allocatable.len())
        ),
    }
}

/// The resource of which even the node with the most has the least of what is needed, if it is too little.
fn tightest<'a>(effective: &'a Resources, rooms: &[&Resources]) -> Option<(&'a str, i64)> {
    let short = effective
        .iter()
        .filter(|(_, needed)| *needed > 0)
        .filter_map(|(name, needed)| {
            let most = rooms.iter().map(|room| room.room(name)).max().unwrap_or(0);
            (most < needed).then_some((name, most, most.max(0) as f64 / needed as f64))
        });
    short
        .min_by(|a, b| a.2.total_cmp(&b.2))
        .map(|(name, most, _)| (name, most))
}

fn slots(rooms: &[&Resources], effective: &Resources) -> u64 {
    let fit = |room: &&Resources| remedy::slots(room, effective);
    rooms.iter().map(fit).fold(0, u64::saturating_add)
}

fn show(name: &str, amount: i64) -> String {
    format!("{} {name}", quantity::format(name, amount))
}

fn list(effective: &Resources) -> String {
    let parts: Vec<String> = effective
        .iter()
        .filter(|(name, amount)| *amount > 0 && *name != PODS)
        .map(|(name, amount)| show(name, amount))
        .collect();
    if parts.is_empty() {
        "one pod".into()
    } else {
        parts.join(" and ")
    }
}

fn nodes(count: usize) -> String {
    if count == 1 {
        "1 node".into()
    } else {
        format!("{count} nodes")
    }
}

fn freest_of(count: usize) -> String {
    if count == 1 {
        "the only node".into()
    } else {
        format!("the freest of {count} nodes")
    }
}
