//! Equal nodes become one class: 5,000 nodes of two shapes cost what two shapes cost.

use std::collections::HashMap;

use crate::constraint;
use crate::model::{Exact, Hold, NodeClass, Placement, Resources, Snapshot, Tier};

/// How many pods of this demand fit together; a demand of 0 needs no room.
pub fn slots(free: &[i64], demand: &[i64]) -> u32 {
    let each = free.iter().zip(demand).filter(|(_, demand)| **demand > 0);
    let least = each.map(|(free, demand)| (free / demand).max(0)).min();
    u32::try_from(least.unwrap_or(i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

/// What tasks can tell of a node.
#[derive(PartialEq, Eq, Hash)]
struct Signature<'a> {
    /// Whether each of the rules admits it, and whether their pods had better run elsewhere.
    open: Vec<(bool, bool)>,
    free: Vec<i64>,
    allocatable: Vec<i64>,
    holds: &'a [Hold],
    figures: [Option<&'a Exact>; 3],
    /// The domain at each level of the network above the hosts, where a task can tell.
    domains: Vec<usize>,
}

/// Groups nodes that no task can tell apart, and tells which rules admit each group. Nodes that
/// no rule admits are in no group. Groups that fewer rules shun come first: of places that are equally good, searches
/// take the first. `levels` are those of the network at which a task can tell domains apart.
pub fn classify(
    snapshot: &Snapshot,
    placements: &[&Placement],
    resources: &[String],
    levels: &[&Tier],
) -> (Vec<NodeClass>, Vec<Vec<bool>>) {
    let mut known: HashMap<Signature<'_>, usize> = HashMap::new();
    let mut found: Vec<(Vec<(bool, bool)>, NodeClass)> = Vec::new();
    for index in 0..snapshot.nodes.len() {
        let signature = sign(snapshot, index, placements, resources, levels);
        if !signature.open.iter().any(|(admitted, _)| *admitted) {
            continue;
        }
        if let Some(&class) = known.get(&signature) {
            found[class].1.nodes.push(index);
            continue;
        }
        let amounts = |hold: &Hold| resources.iter().map(|name| hold.demand.get(name)).collect();
        let class = NodeClass {
            nodes: vec![index],
            free: signature.free.clone(),
            holds: signature.holds.to_vec(),
            held: signature.holds.iter().map(amounts).collect(),
        };
        found.push((signature.open.clone(), class));
        known.insert(signature, found.len() - 1);
    }
    found.sort_by_key(|(open, _)| open.iter().filter(|(_, shunned)| *shunned).count());
    let admitted = |rules: usize| found.iter().map(|(open, _)| open[rules].0).collect();
    let admitted = (0..placements.len()).map(admitted).collect();
    (
        found.into_iter().map(|(_, class)| class).collect(),
        admitted,
    )
}

fn sign<'a>(
    snapshot: &'a Snapshot,
    index: usize,
    placements: &[&Placement],
    resources: &[String],
    levels: &[&Tier],
) -> Signature<'a> {
    let node = &snapshot.nodes[index];
    let open = |rules: &&Placement| {
        let admitted = constraint::admits(rules, node).is_ok();
        (admitted, admitted && constraint::shuns(rules, node))
    };
    let room = |of: &Resources| resources.iter().map(|name| of.room(name)).collect();
    Signature {
        open: placements.iter().map(open).collect(),
        free: room(&snapshot.free[index]),
        allocatable: room(&node.allocatable),
        holds: &snapshot.holds[index],
        figures: [
            Some(&node.speed),
            Some(&node.price),
            node.read_bandwidth.as_ref(),
        ],
        domains: levels.iter().map(|level| level.domains[index]).collect(),
    }
}
