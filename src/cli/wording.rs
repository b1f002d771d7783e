//! Plans, amounts and times in a few words, for charts and the demo.

use std::collections::BTreeMap;

use super::number;
use crate::api::{TaskBatch, TaskPhase};
use crate::cluster::{duration, quantity};
use crate::model::{Goal, Millis, PODS, Reason, Resources, Solution, Unit, is_extended};

/// A time for people: whole seconds from a minute on, tenths from a second on.
pub fn clock(at: Millis) -> String {
    let grain = match at.abs() {
        0..1000 => 1,
        1000..60_000 => 100,
        _ => 1000,
    };
    // The half of a grain rounds away from zero.
    duration::format((at + grain / 2 * at.signum()) / grain * grain)
}

/// A number of things.
pub fn number_of(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn value(goal: Goal, value: i64) -> String {
    match goal.unit() {
        Unit::Ms => clock(value),
        unit => number::objective(unit, value),
    }
}

/// The search that was asked for, and the one that found the plan where that is another one.
pub fn found(solution: &Solution) -> String {
    if solution.found_by == solution.algorithm {
        solution.algorithm.to_string()
    } else {
        format!("{}, found by {}", solution.algorithm, solution.found_by)
    }
}

/// How good a plan is, and how it was found.
pub fn proof(goal: Goal, solution: &Solution) -> String {
    let side = if goal.is_maximised() {
        "upper"
    } else {
        "lower"
    };
    let gap = number::gap(solution.objective, solution.bound);
    let found = found(solution);
    let (objective, bound) = (value(goal, solution.objective), value(goal, solution.bound));
    let (name, seed) = (solution.bound_name, solution.seed);
    format!(
        "{goal} {objective}, {side} bound {bound} ({name}), gap {gap}; algorithm {found}, seed {seed}"
    )
}

/// The amount that people ask for first: devices where there are any, else CPU, else memory.
pub fn size(requests: &Resources) -> String {
    let device = requests
        .iter()
        .find(|(name, amount)| is_extended(name) && *amount > 0);
    let named = |name: &str| (requests.get(name) > 0).then(|| requests.get(name));
    match device {
        Some((name, amount)) => format!("{amount} {}", short(name)),
        None => match (named("cpu"), named("memory")) {
            (Some(cpu), _) => format!("{} cpu", quantity::format("cpu", cpu)),
            (None, Some(memory)) => quantity::format("memory", memory),
            (None, None) => String::new(),
        },
    }
}

/// Devices and CPU of a node.
pub fn summary(free: &Resources) -> String {
    let devices = free
        .iter()
        .filter(|(name, amount)| is_extended(name) && *amount > 0);
    let mut parts: Vec<String> = devices
        .map(|(name, amount)| format!("{amount} {}", short(name)))
        .collect();
    if free.contains("cpu") {
        parts.push(format!("{} cpu", quantity::format("cpu", free.get("cpu"))));
    }
    parts.join(", ")
}

/// All amounts, as `4 cpu, 16Gi memory`.
pub fn requests(requests: &Resources) -> String {
    let each = requests
        .iter()
        .filter(|(name, amount)| *name != PODS && *amount > 0);
    let each =
        each.map(|(name, amount)| format!("{} {}", quantity::format(name, amount), short(name)));
    each.collect::<Vec<_>>().join(", ")
}

/// The part of a device's name that people say.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A moment of the simulation as a clock shows it.
pub fn watch(at: Millis) -> String {
    let seconds = at / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// Numbers of copies by what they do.
pub fn counts(counts: &BTreeMap<(TaskPhase, Option<Reason>), u64>) -> String {
    let of = |wanted: TaskPhase| -> u64 {
        let same = counts.iter().filter(|((phase, _), _)| *phase == wanted);
        same.map(|(_, count)| *count).sum()
    };
    let running = of(TaskPhase::Running) + of(TaskPhase::Starting);
    let (waiting, done) = (of(TaskPhase::Waiting), of(TaskPhase::Succeeded));
    format!("{waiting} waiting, {running} running, {done} done")
}

/// What waits or has failed, with the reason that the status gives.
pub fn waiting(batch: &TaskBatch) -> Vec<String> {
    let tasks = batch.status.iter().flat_map(|status| &status.tasks);
    let lines = tasks.filter_map(|task| {
        let state = match task.phase {
            TaskPhase::Waiting => "waits",
            TaskPhase::Failed => "failed",
            _ => return None,
        };
        let (reason, message) = (task.reason.as_deref()?, task.message.as_deref()?);
        Some(format!("{} {state}: {reason}: {message}", task.name))
    });
    lines.collect()
}
