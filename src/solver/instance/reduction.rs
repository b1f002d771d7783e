//! Modes that no plan of everything needs, where there are budgets: Sprecher, Hartmann and Drexl, "An exact
//! algorithm for project scheduling with multiple modes", OR Spektrum 19 (1997).
//!
//! A mode is not executable if what it spends, and the least that every other copy spends, is together more
//! than a budget. It is inefficient if another mode of the task asks for no more in anything. Both kinds can
//! go without losing the best plan that places every copy; with them the least of a budget may rise, so that
//! it is done until nothing changes.

use crate::model::Goal;

use super::{ModeView, TaskView};

/// Marks the modes that can go, as long as some plan of everything may remain.
pub(super) fn mark_spare_modes(goal: Goal, budgets: &[i64], tasks: &mut [TaskView]) {
    if budgets.is_empty() {
        return;
    }
    // What asks for no more may still have the higher price.
    if goal != Goal::Cost {
        tasks.iter_mut().for_each(mark_inefficient);
    }
    while mark_unaffordable(budgets, tasks) {}
}

fn mark_inefficient(task: &mut TaskView) {
    for index in 0..task.modes.len() {
        let modes = &task.modes;
        let is_better = |(other, mode): (usize, &ModeView)| {
            // Of equal modes the first one stays.
            other != index
                && !mode.is_spare
                && asks_no_more(mode, &modes[index])
                && (other < index || !asks_no_more(&modes[index], mode))
        };
        let is_spare = modes.iter().enumerate().any(is_better);
        task.modes[index].is_spare = is_spare;
    }
}

fn asks_no_more(one: &ModeView, other: &ModeView) -> bool {
    let is_as_fast = other.runs.iter().all(|there| {
        let mut here = one.runs.iter().filter(|run| run.class == there.class);
        here.any(|here| {
            let levels = 0..=here.across.len().max(there.across.len());
            levels
                .into_iter()
                .all(|level| here.lasting(level) <= there.lasting(level))
        })
    });
    let no_more = |one: &[i64], other: &[i64]| one.iter().zip(other).all(|(a, b)| a <= b);
    is_as_fast
        && one.pods <= other.pods
        && no_more(&one.request.usage, &other.request.usage)
        && no_more(&one.spends, &other.spends)
}

/// Marks what is not executable; whether anything new was.
fn mark_unaffordable(budgets: &[i64], tasks: &mut [TaskView]) -> bool {
    let mut is_new = false;
    for (budget, &most) in budgets.iter().enumerate() {
        let least = |task: &TaskView| {
            let useful = task.modes.iter().filter(|mode| !mode.is_spare);
            i128::from(useful.map(|mode| mode.spends[budget]).min().unwrap_or(0))
        };
        let each = tasks
            .iter()
            .map(|task| least(task) * task.copies.len() as i128);
        let slack = i128::from(most) - each.sum::<i128>();
        if slack < 0 {
            // Not everything can be placed: nothing is said of what remains.
            continue;
        }
        for task in tasks.iter_mut().filter(|task| !task.copies.is_empty()) {
            let least = least(task);
            for mode in task.modes.iter_mut().filter(|mode| !mode.is_spare) {
                if i128::from(mode.spends[budget]) - least > slack {
                    mode.is_spare = true;
                    is_new = true;
                }
            }
        }
    }
    is_new
}
