//! The critical path of a plan: the tasks, each waiting for the one before, that together take longest as planned.

use crate::model::{Millis, Problem, Solution};

/// Names of the tasks of the critical path, first to last, and how long they take together: each counts as long as its
/// longest copy. `None` where no task with a place waits for another one.
pub fn path<'a>(problem: &'a Problem, solution: &Solution) -> Option<(Vec<&'a str>, Millis)> {
    let mut own: Vec<Option<Millis>> = vec![None; problem.tasks.len()];
    for assignment in &solution.plan.assignments {
        let length = assignment.end - assignment.start;
        let longest = &mut own[assignment.task];
        *longest = (*longest).max(Some(length));
    }
    // Tasks stand behind those that they wait for.
    let mut paths: Vec<(Millis, Option<usize>)> = Vec::with_capacity(own.len());
    for (task, own) in problem.tasks.iter().zip(&own) {
        let before = task.after.iter().copied();
        let longest = before.max_by_key(|before| paths[*before].0);
        let head = longest.map_or(0, |before| paths[before].0);
        paths.push((head.saturating_add(own.unwrap_or(0)), longest));
    }
    let is_last = |task: &usize| own[*task].is_some() && paths[*task].1.is_some();
    let last = (0..paths.len())
        .filter(is_last)
        .max_by_key(|task| paths[*task].0)?;
    let mut names = Vec::new();
    let mut next = Some(last);
    while let Some(task) = next {
        names.push(problem.tasks[task].name.as_str());
        next = paths[task].1;
    }
    names.reverse();
    Some((names, paths[last].0))
}
