//! Every copy of every task is exactly once in the plan: assigned, or unplaced.

use std::collections::BTreeMap;

use super::{CopyName, Ground, Violation};
use crate::model::Plan;

/// Batch, task and copy.
type Key<'a> = (&'a str, &'a str, u32);

/// What the problem asks for one copy, and how often the plan names it.
struct Entry {
    /// The task that it is a copy of; `None` if it fits nowhere and can only be unplaced.
    task: Option<usize>,
    assigned: usize,
    unplaced: usize,
}

/// A copy that the plan leaves unplaced although it could run at some time.
pub(super) struct Waiting {
    pub(super) task: usize,
    pub(super) copy: u32,
}

/// Counts the copies, and hands back those that wait without need, by name.
pub(super) fn check(ground: &Ground, plan: &Plan, found: &mut Vec<Violation>) -> Vec<Waiting> {
    let mut entries = asked(ground);
    count_assigned(ground, plan, &mut entries, found);
    count_unplaced(plan, &mut entries, found);
    let mut waiting = Vec::new();
    for (key, entry) in entries {
        match entry.assigned.saturating_add(entry.unplaced) {
            0 => found.push(Violation::Missing { copy: named(key) }),
            1 => {}
            times => found.push(Violation::Repeated {
                copy: named(key),
                times,
            }),
        }
        if let (Some(task), 0, 1..) = (entry.task, entry.assigned, entry.unplaced) {
            waiting.push(Waiting { task, copy: key.2 });
        }
    }
    waiting
}

fn asked<'a>(ground: &Ground<'a>) -> BTreeMap<Key<'a>, Entry> {
    let problem = ground.problem;
    let placeable = problem.tasks.iter().enumerate().flat_map(|(index, task)| {
        let batch = ground.batch_key(task);
        task.copies
            .iter()
            .map(move |&copy| ((batch, task.name.as_str(), copy), Some(index)))
    });
    let unplaceable = problem.unplaceable.iter();
    let unplaceable =
        unplaceable.map(|copy| ((copy.batch.as_str(), copy.task.as_str(), copy.copy), None));
    let entry = |task| Entry {
        task,
        assigned: 0,
        unplaced: 0,
    };
    placeable
        .chain(unplaceable)
        .map(|(key, task)| (key, entry(task)))
        .collect()
}

fn count_assigned<'a>(
    ground: &Ground<'a>,
    plan: &Plan,
    entries: &mut BTreeMap<Key<'a>, Entry>,
    found: &mut Vec<Violation>,
) {
    for (index, assignment) in plan.assignments.iter().enumerate() {
        let Some(task) = ground.problem.tasks.get(assignment.task) else {
            found.push(Violation::NoSuchTask {
                assignment: index,
                task: assignment.task,
                tasks: ground.problem.tasks.len(),
            });
            continue;
        };
        let key = (ground.batch_key(task), task.name.as_str(), assignment.copy);
        match entries.get_mut(&key) {
            Some(entry) if entry.task == Some(assignment.task) => entry.assigned += 1,
            _ => found.push(Violation::NoSuchCopy { copy: named(key) }),
        }
    }
}

fn count_unplaced<'a>(
    plan: &'a Plan,
    entries: &mut BTreeMap<Key<'a>, Entry>,
    found: &mut Vec<Violation>,
) {
    for unplaced in &plan.unplaced {
        let key = (
            unplaced.batch.as_str(),
            unplaced.task.as_str(),
            unplaced.copy,
        );
        match entries.get_mut(&key) {
            Some(entry) => entry.unplaced += 1,
            None => found.push(Violation::NotAsked { copy: named(key) }),
        }
    }
}

fn named((batch, task, copy): Key) -> CopyName {
    CopyName {
        batch: batch.to_owned(),
        task: task.to_owned(),
        copy,
    }
}
