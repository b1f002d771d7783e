//! Equal nodes become one class: 5,000 nodes of two shapes cost what two shapes cost.

use std::collections::HashMap;

use crate::constraint;
use crate::model::{Exact, Hold, NodeClass, Placement, Resources, Snapshot};

/// How many pods of this demand fit together; a demand of 0 needs no room.
pub fn slots(free: &[i64], demand: &[i64]) -> u32 {
    let each = free.iter().zip(demand).filter(|(_, demand)| **demand > 0);
    let least = each.map(|(free, demand)| (free / demand).max(0)).min();
    u32::try_from(least.unwrap_or(i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

/// Groups nodes that no task can tell apart, and tells which rules admit each group. Nodes that
/// no rule admits are in no group.
pub fn classify(
    snapshot: &Snapshot,
    placements: &[&Placement],
    resources: &[String],
) -> (Vec<NodeClass>, Vec<Vec<bool>>) {
    type Signature<'a> = (
        Vec<bool>,
        Vec<i64>,
        Vec<i64>,
        &'a [Hold],
        [Option<&'a Exact>; 3],
    );
    let amounts =
        |of: &Resources| -> Vec<i64> { resources.iter().map(|name| of.get(name)).collect() };
    let rooms =
        |of: &Resources| -> Vec<i64> { resources.iter().map(|name| of.room(name)).collect() };
    let mut known: HashMap<Signature<'_>, usize> = HashMap::new();
    let mut classes: Vec<NodeClass> = Vec::new();
    let mut admitted: Vec<Vec<bool>> = vec![Vec::new(); placements.len()];
    for (index, node) in snapshot.nodes.iter().enumerate() {
        let open: Vec<bool> = placements
            .iter()
            .map(|rules| constraint::admits(rules, node).is_ok())
            .collect();
        if !open.contains(&true) {
            continue;
        }
        let holds = snapshot.holds[index].as_slice();
        let free = rooms(&snapshot.free[index]);
        let figures = [
            Some(&node.speed),
            Some(&node.price),
            node.read_bandwidth.as_ref(),
        ];
        let signature = (open, free, rooms(&node.allocatable), holds, figures);
        if let Some(&class) = known.get(&signature) {
            classes[class].nodes.push(index);
            continue;
        }
        for (rules, open) in admitted.iter_mut().zip(&signature.0) {
            rules.push(*open);
        }
        classes.push(NodeClass {
            nodes: vec![index],
            free: signature.1.clone(),
            holds: holds.to_vec(),
            held: holds.iter().map(|hold| amounts(&hold.demand)).collect(),
        });
        known.insert(signature, classes.len() - 1);
    }
    (classes, admitted)
}
