//! How near each other the pods of a gang stand: what it must, and what it has to cross.

use super::{Ground, Placed, Violation};
use crate::model::{Near, Tier};

/// Pods that must stand in one domain, or on one node, do.
pub(super) fn check(ground: &Ground, placed: &[Placed], found: &mut Vec<Violation>) {
    for one in placed {
        let Near::Within(level) = one.task.near else {
            continue;
        };
        let nodes = &one.assignment.nodes;
        let tier = ground.problem.levels.get(level);
        let domain = |node: usize| tier.map_or(Some(node), |tier| domain(tier, node));
        let first = domain(nodes[0]);
        if let Some(&other) = nodes.iter().find(|&&node| domain(node) != first) {
            found.push(Violation::Scattered {
                copy: ground.copy_name(one.task, one.assignment.copy),
                level: level_name(ground, level),
                one: ground.node_name(nodes[0]),
                other: ground.node_name(other),
            });
        }
    }
}

/// The outermost level at which two of these nodes are in different domains; the number of levels where none is.
pub(super) fn spanned(ground: &Ground, nodes: &[usize]) -> usize {
    let levels = &ground.problem.levels;
    let first = nodes.first().copied().unwrap_or_default();
    let differs = |tier: &Tier| {
        nodes
            .iter()
            .any(|&node| domain(tier, node) != domain(tier, first))
    };
    levels.iter().position(differs).unwrap_or(levels.len())
}

/// The domain of a node; `None` where the level says nothing of it.
pub(super) fn domain(tier: &Tier, node: usize) -> Option<usize> {
    tier.domains.get(node).copied()
}

fn level_name(ground: &Ground, level: usize) -> String {
    let tier = ground.problem.levels.get(level);
    tier.map_or_else(|| "host".into(), |tier| tier.alias.clone())
}
