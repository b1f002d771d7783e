//! Modes that nobody would choose.

use crate::model::{Exact, Goal, Mode, Run, exact};

/// Price of a pod of a gang that spans this level, in exact millionths.
fn cost(run: &Run, level: usize) -> Exact {
    &run.price * exact(run.lasting(level))
}

/// Drops each mode for which another one is at least as good in every respect, wherever it runs.
pub(super) fn without_dominated(modes: Vec<Mode>, goal: Goal) -> Vec<Mode> {
    let at_least = |a: &Mode, b: &Mode| {
        let value = if goal.is_maximised() {
            a.value >= b.value
        } else {
            a.value <= b.value
        };
        value
            && a.pods <= b.pods
            && a.demand.iter().zip(&b.demand).all(|(a, b)| a <= b)
            && b.runs.iter().all(|there| {
                a.run_on(there.class).is_some_and(|here| {
                    here.duration <= there.duration
                        && here.cost <= there.cost
                        && (0..there.across.len().max(here.across.len())).all(|level| {
                            here.lasting(level) <= there.lasting(level)
                                && cost(here, level) <= cost(there, level)
                        })
                })
            })
    };
    let mut kept: Vec<Mode> = Vec::new();
    for mode in modes {
        if !kept.iter().any(|other| at_least(other, &mode)) {
            kept.retain(|other| !at_least(&mode, other));
            kept.push(mode);
        }
    }
    kept
}
