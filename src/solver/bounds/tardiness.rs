//! Earliest ends. Each copy alone on the nodes, with nothing but what strangers and running pods hold: no plan ends
//! it sooner, since every other copy only takes room away. A task that waits for others starts at the latest of
//! their earliest ends, by induction along the dependencies. What is late even so is late in every plan.

use crate::model::Millis;
use crate::solver::decoder::Decoder;
use crate::solver::instance::Instance;

/// For each task before when none of its copies ends in any plan; empty where nothing is due.
pub(in crate::solver) fn earliest_ends(instance: &Instance) -> Vec<Millis> {
    if !instance.has_dues {
        return Vec::new();
    }
    let mut decoder = Decoder::new(instance);
    let mut ends: Vec<Millis> = Vec::with_capacity(instance.tasks.len());
    for task in &instance.tasks {
        // Nobody waits for a task without copies.
        let before = task
            .after
            .iter()
            .filter(|&&task| !instance.tasks[task].copies.is_empty());
        let head = before
            .map(|&task| ends[task])
            .fold(task.release, Millis::max);
        ends.push(decoder.earliest_end(task, head));
    }
    ends
}

/// Sum over the placed copies of weight x how late they are at their earliest ends.
pub(in crate::solver) fn tardiness(instance: &Instance, placed: &[u64]) -> i128 {
    let late = instance.tasks.iter().zip(&instance.earliest_ends);
    let each = late
        .zip(placed)
        .map(|((task, &end), &count)| task.tardiness(end).saturating_mul(i128::from(count)));
    each.fold(0, i128::saturating_add)
}
