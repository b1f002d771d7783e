//! Checks what the tasks of a batch say of each other: names and dependencies.

use std::collections::{BTreeMap, BTreeSet};

use super::faults::Faults;
use crate::api::TaskSpec;

pub fn check_names(tasks: &[TaskSpec], faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    for (index, task) in tasks.iter().enumerate() {
        if !seen.insert(&task.name) {
            faults.add(
                format!("spec.tasks[{index}]"),
                format!(
                    "Duplicate value: {:?}; names of tasks are unique",
                    task.name
                ),
            );
        }
    }
}

pub fn check_dependencies(tasks: &[TaskSpec], faults: &mut Faults) {
    let index: BTreeMap<&str, usize> = tasks
        .iter()
        .enumerate()
        .map(|(at, task)| (task.name.as_str(), at))
        .collect();
    for (at, task) in tasks.iter().enumerate() {
        for (place, name) in task.depends_on.iter().enumerate() {
            if !index.contains_key(name.as_str()) {
                faults.add(
                    format!("spec.tasks[{at}].dependsOn[{place}]"),
                    format!("{name:?} is no task of this batch"),
                );
            }
        }
    }
    if let Some(cycle) = find_cycle(tasks, &index) {
        faults.add(
            "spec.tasks",
            format!("dependsOn goes in a circle: {}", cycle.join(" -> ")),
        );
    }
}

/// The names along a cycle, its first one repeated at the end. Iterative: a chain may be 1,000 tasks long.
fn find_cycle(tasks: &[TaskSpec], index: &BTreeMap<&str, usize>) -> Option<Vec<String>> {
    let next = |task: usize, place: usize| {
        let name = tasks[task].depends_on.get(place)?;
        Some(index.get(name.as_str()).copied())
    };
    let mut done = vec![false; tasks.len()];
    for root in 0..tasks.len() {
        let mut path: Vec<(usize, usize)> = vec![(root, 0)];
        while let Some(&mut (task, ref mut place)) = path.last_mut() {
            let step = if done[task] { None } else { next(task, *place) };
            *place += 1;
            match step {
                None => {
                    done[task] = true;
                    path.pop();
                }
                Some(None) => {}
                Some(Some(after)) => {
                    if let Some(start) = path.iter().position(|(on_path, _)| *on_path == after) {
                        let names = path[start..]
                            .iter()
                            .map(|(on_path, _)| tasks[*on_path].name.clone());
                        return Some(names.chain([tasks[after].name.clone()]).collect());
                    }
                    path.push((after, 0));
                }
            }
        }
    }
    None
}
