//! Which domains of the network nodes are in, and which tasks can tell.

use super::modes;
use crate::model::{Fraction, Goal, Level, Millis, Near, Snapshot, Task, Tier, Topology, Wish};

/// The levels of the network, if some task has several pods.
pub(super) fn levels<'t>(snapshot: &Snapshot, mut tasks: impl Iterator<Item = &'t Task>) -> Vec<Tier> {
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
    let is_above = |level: usize| topology.levels.get(level).is_some_and(|it| !it.is_host());
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

/// In whole ms, rounded up; the longest that 64 bits say where it is longer.
pub(super) fn rounded_up(time: &Fraction) -> Millis {
    time.ceil().unwrap_or(Millis::MAX)
}
