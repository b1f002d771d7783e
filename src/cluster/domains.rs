//! Which domains of the network nodes are in, and which tasks can tell.

use std::collections::BTreeMap;

use super::modes;
use crate::model::{
    Fraction, Goal, Level, Millis, Near, Node, Problem, Run, Snapshot, Task, Tier, Topology, Wish,
};

/// The levels of the network, if some task has several pods.
pub(super) fn levels<'t>(
    snapshot: &Snapshot,
    mut tasks: impl Iterator<Item = &'t Task>,
) -> Vec<Tier> {
    let topology = &snapshot.topology;
    if topology.levels.is_empty() || !tasks.any(has_gangs) {
        return Vec::new();
    }
    let domains = topology.domains(&snapshot.nodes).into_iter();
    let tier = |(level, domains): (&Level, Vec<usize>)| Tier {
        alias: level.alias.clone(),
        is_host: level.is_host(),
        domains,
    };
    topology.levels.iter().zip(domains).map(tier).collect()
}

fn has_gangs(task: &Task) -> bool {
    task.workers.0.iter().any(|pods| *pods > 1)
}

/// Whether it matters to the task in which domains above the hosts its pods stand.
pub(super) fn can_tell(task: &Task, goal: Goal, topology: &Topology) -> bool {
    let is_above = |level: usize| topology.above_hosts(level).is_some();
    let by_wish = match near(task, topology) {
        Near::Anywhere => false,
        Near::Within(level) | Near::Rather(level) => is_above(level),
    };
    let talks = |pods: &u32| {
        let terms = modes::communication(task, *pods, topology);
        let mut above = (0..terms.len()).filter(|level| is_above(*level));
        above.any(|level| terms[level] > Fraction::from(0))
    };
    let mut workers = task.workers.0.iter();
    has_gangs(task) && (by_wish || !goal.is_static() && workers.any(talks))
}

/// How near each other the pods of the task stand. Aliases that are not known were refused before.
pub(super) fn near(task: &Task, topology: &Topology) -> Near {
    match &task.together.wish {
        Wish::None => Near::Anywhere,
        Wish::Required(alias) => topology.find(alias).map_or(Near::Anywhere, Near::Within),
        Wish::Preferred(alias) => topology.find(alias).map_or(Near::Anywhere, Near::Rather),
    }
}

/// Whether the node has a domain at the level that the task requires.
pub(super) fn is_labelled(snapshot: &Snapshot, task: &Task, node: Option<usize>) -> bool {
    let Near::Within(level) = near(task, &snapshot.topology) else {
        return true;
    };
    let domain = |node: usize| snapshot.topology.domain(level, &snapshot.nodes[node]);
    node.and_then(domain).is_some()
}

/// How many pods have room together, as near each other as the task requires, on nodes that have room for so many each.
pub(super) fn most_together<'n>(
    task: &Task,
    topology: &Topology,
    slots: impl Iterator<Item = (&'n Node, u64)>,
) -> u64 {
    let Near::Within(level) = near(task, topology) else {
        return slots.map(|(_, slots)| slots).fold(0, u64::saturating_add);
    };
    let mut rooms: BTreeMap<Vec<Option<&str>>, u64> = BTreeMap::new();
    for (node, slots) in slots {
        if let Some(domain) = topology.domain(level, node) {
            let room = rooms.entry(domain).or_default();
            *room = room.saturating_add(slots);
        }
    }
    rooms.into_values().max().unwrap_or(0)
}

/// Whether so many pods have room on these runs, as near each other as they must stand.
pub(super) fn have_room(problem: &Problem, near: Near, runs: &[Run], pods: u32) -> bool {
    let of_run = |run: &Run| {
        let nodes = problem.classes[run.class].nodes.len() as u64;
        u64::from(run.slots) * nodes
    };
    let wanted = u64::from(pods);
    let Near::Within(level) = near else {
        return runs.iter().map(of_run).sum::<u64>() >= wanted;
    };
    let Some(tier) = problem.levels.get(level) else {
        return runs.iter().any(|run| run.slots >= pods);
    };
    let mut rooms: BTreeMap<usize, u64> = BTreeMap::new();
    for run in runs {
        let node = problem.classes[run.class].nodes.first();
        let domain = node.map_or(0, |node| tier.domains[*node]);
        *rooms.entry(domain).or_default() += of_run(run);
    }
    rooms.into_values().any(|room| room >= wanted)
}

/// In whole ms, rounded up; the longest that 64 bits say where it is longer.
pub(super) fn rounded_up(time: &Fraction) -> Millis {
    time.ceil().unwrap_or(Millis::MAX)
}

/// Nodes by domain, of which pods must be within one; nodes without the label are in none.
pub(super) struct Within<'a> {
    /// What tasks call such a domain.
    pub alias: &'a str,
    /// The label of the level; `None` for a single node.
    pub label: Option<&'a str>,
    /// Indices of nodes.
    pub domains: Vec<Vec<usize>>,
}

/// The domains that these nodes are in, where the task requires one of a level.
pub(super) fn within<'a>(
    snapshot: &'a Snapshot,
    task: &'a Task,
    nodes: &[usize],
) -> Option<Within<'a>> {
    let Wish::Required(alias) = &task.together.wish else {
        return None;
    };
    let topology = &snapshot.topology;
    let Near::Within(index) = near(task, topology) else {
        return None;
    };
    let mut domains: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for &node in nodes {
        if let Some(domain) = topology.domain(index, &snapshot.nodes[node]) {
            domains.entry(domain).or_default().push(node);
        }
    }
    let level = topology.levels.get(index);
    Some(Within {
        alias,
        label: level.map(|level| level.label.as_str()),
        domains: domains.into_values().collect(),
    })
}
