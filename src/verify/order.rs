//! A copy starts after all copies of the tasks that it waits for. Static goals have no order.

use std::collections::BTreeSet;

use super::{Ground, Placed, Violation};
use crate::model::Millis;

/// How far each task of the problem is placed.
pub(super) struct Progress {
    tasks: Vec<Done>,
}

#[derive(Clone, Copy)]
struct Done {
    /// Placed copies.
    placed: usize,
    /// Copies to place, and such as fit nowhere.
    copies: usize,
    /// When the last placed copy ends.
    end: Option<Millis>,
}

impl Progress {
    pub(super) fn of(ground: &Ground, placed: &[Placed]) -> Self {
        let problem = ground.problem;
        let unplaceable = problem.unplaceable.iter();
        let unplaceable: BTreeSet<_> = unplaceable
            .map(|copy| (&copy.batch[..], &copy.task[..]))
            .collect();
        let mut tasks: Vec<_> = problem
            .tasks
            .iter()
            .map(|task| Done {
                placed: 0,
                copies: task.copies.len()
                    + usize::from(unplaceable.contains(&(ground.batch_key(task), &task.name[..]))),
                end: None,
            })
            .collect();
        for one in placed {
            let done = &mut tasks[one.assignment.task];
            done.placed += 1;
            done.end = done.end.max(Some(one.assignment.end));
        }
        Self { tasks }
    }

    /// Whether some copy of a task is unplaced. A task that is not in the problem never runs.
    pub(super) fn is_open(&self, task: usize) -> bool {
        self.tasks
            .get(task)
            .is_none_or(|done| done.placed < done.copies)
    }
}

pub(super) fn check(ground: &Ground, placed: &[Placed], found: &mut Vec<Violation>) {
    if ground.problem.goal.is_static() {
        return;
    }
    let progress = Progress::of(ground, placed);
    for one in placed {
        for &before in &one.task.after {
            found.extend(judge(ground, &progress, one, before));
        }
    }
}

fn judge(ground: &Ground, progress: &Progress, one: &Placed, before: usize) -> Option<Violation> {
    let copy = || ground.copy_name(one.task, one.assignment.copy);
    let start = one.assignment.start;
    let (Some(task), Some(done)) = (ground.problem.tasks.get(before), progress.tasks.get(before))
    else {
        return Some(Violation::DependencyUnplaced {
            copy: copy(),
            dependency: format!("task #{before}"),
            placed: 0,
            copies: 0,
        });
    };
    if progress.is_open(before) {
        return Some(Violation::DependencyUnplaced {
            copy: copy(),
            dependency: task.name.clone(),
            placed: done.placed,
            copies: done.copies,
        });
    }
    let end = done.end.filter(|&end| start < end)?;
    Some(Violation::BeforeDependency {
        copy: copy(),
        dependency: task.name.clone(),
        start,
        end,
    })
}
