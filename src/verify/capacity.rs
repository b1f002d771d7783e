//! At all times, on every node, for each resource: planned pods and holds together use at most what is free.
//!
//! Intervals are half open, so only the moments at which something changes are looked at. A resource counts only
//! while a planned pod uses some of it: what others hold already is not the plan's doing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ground, Placed, Violation, amount, needs};
use crate::model::{Millis, NodeClass};

/// Something begins or ceases to use a node.
struct Change<'a> {
    at: Millis,
    /// +1 at the start, -1 at the end.
    sign: i128,
    demand: &'a [i64],
    /// Whether it is a pod of the plan, or a hold.
    planned: bool,
}

pub(super) fn check(ground: &Ground, placed: &[Placed], found: &mut Vec<Violation>) {
    let mut changes: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
    for one in placed {
        if one.assignment.start >= one.assignment.end {
            check_alone(ground, one, found);
            continue;
        }
        for &node in &one.assignment.nodes {
            let list = changes.entry(node).or_default();
            add(
                list,
                one.assignment.start,
                one.assignment.end,
                &one.mode.demand,
                true,
            );
        }
    }
    for (node, mut list) in changes {
        let Some((_, class)) = ground.class(node) else {
            continue;
        };
        for (hold, demand) in class.holds.iter().zip(&class.held) {
            add(&mut list, hold.from, hold.until, demand, false);
        }
        list.sort_by_key(|change| change.at);
        sweep(ground, node, class, &list, found);
    }
}

fn add<'a>(
    list: &mut Vec<Change<'a>>,
    from: Millis,
    until: Millis,
    demand: &'a [i64],
    planned: bool,
) {
    if from < until {
        for (at, sign) in [(from, 1), (until, -1)] {
            list.push(Change {
                at,
                sign,
                demand,
                planned,
            });
        }
    }
}

/// What is in use of one resource.
#[derive(Clone, Copy, Default)]
struct Use {
    planned: i128,
    held: i128,
    reported: bool,
}

/// Goes through the changes of a node in time, and reports each resource the first time that it is overloaded.
fn sweep(
    ground: &Ground,
    node: usize,
    class: &NodeClass,
    changes: &[Change],
    found: &mut Vec<Violation>,
) {
    let width = changes
        .iter()
        .map(|change| change.demand.len())
        .max()
        .unwrap_or(0);
    let mut uses = vec![Use::default(); width];
    for moment in changes.chunk_by(|one, next| one.at == next.at) {
        for change in moment {
            for (resource, need) in needs(change.demand) {
                let used = &mut uses[resource];
                let side = if change.planned {
                    &mut used.planned
                } else {
                    &mut used.held
                };
                *side += change.sign * i128::from(need);
            }
        }
        for (resource, used) in uses.iter_mut().enumerate() {
            let free = amount(&class.free, resource);
            if used.planned > 0 && used.planned + used.held > i128::from(free) && !used.reported {
                used.reported = true;
                found.push(Violation::Overload {
                    node: ground.node_name(node),
                    resource: ground.resource_name(resource),
                    at: moment[0].at,
                    planned: used.planned,
                    held: used.held,
                    free,
                });
            }
        }
    }
}

/// A copy that takes no time holds nothing, so its pods do not disturb each other, but each must fit its node.
fn check_alone(ground: &Ground, one: &Placed, found: &mut Vec<Violation>) {
    let nodes: BTreeSet<usize> = one.assignment.nodes.iter().copied().collect();
    for node in nodes {
        let Some((_, class)) = ground.class(node) else {
            continue;
        };
        for (resource, demand) in needs(&one.mode.demand) {
            let free = amount(&class.free, resource);
            if demand > free {
                found.push(Violation::TooLarge {
                    copy: ground.copy_name(one.task, one.assignment.copy),
                    node: ground.node_name(node),
                    resource: ground.resource_name(resource),
                    demand,
                    free,
                });
            }
        }
    }
}
