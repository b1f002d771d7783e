//! Modes for a static goal by marginal gains on the concave envelope of each task (Fox 1966): every copy starts
//! in its smallest mode, and the room of the pool goes, step by step, to the copy that gains most for it.
//!
//! Were all nodes of a pool one, and sizes fractions, this would be the optimum of the pooled bound.

use std::collections::BinaryHeap;

use crate::solver::decoder::packing::{by_share, worth};
use crate::solver::instance::{Instance, TaskView};

/// A mode for each copy.
pub(super) fn modes(instance: &Instance) -> Vec<Option<usize>> {
    let envelopes: Vec<Vec<usize>> = instance
        .tasks
        .iter()
        .map(|task| envelope(instance, task))
        .collect();
    let mut left = vec![1.0 + 1e-9; instance.pools.len()];
    let mut steps = BinaryHeap::new();
    let mut chosen = vec![0; instance.copies()];
    for (copy, &task) in instance.task_of.iter().enumerate() {
        let view = &instance.tasks[task];
        if let Some(&mode) = envelopes[task].first() {
            left[view.pool] -= view.modes[mode].share;
            steps.extend(step(instance, view, &envelopes[task], 0).map(|rate| (rate, copy)));
        }
    }
    while let Some((_, copy)) = steps.pop() {
        let task = instance.task_of[copy];
        let (view, envelope) = (&instance.tasks[task], &envelopes[task]);
        let share = |at: usize| view.modes[envelope[at]].share;
        let more = share(chosen[copy] + 1) - share(chosen[copy]);
        if more <= left[view.pool] {
            left[view.pool] -= more;
            chosen[copy] += 1;
            steps.extend(step(instance, view, envelope, chosen[copy]).map(|rate| (rate, copy)));
        }
    }
    chosen
        .iter()
        .zip(&instance.task_of)
        .map(|(&at, &task)| envelopes[task].get(at).copied())
        .collect()
}

/// The gain for each additional share of the next mode of the envelope, as bits that sort as it does: the bits
/// of floats that are not negative are in the order of the floats.
fn step(instance: &Instance, task: &TaskView, envelope: &[usize], at: usize) -> Option<u64> {
    let (here, next) = (
        &task.modes[envelope[at]],
        &task.modes[*envelope.get(at + 1)?],
    );
    let gain = worth(instance, next).saturating_sub(worth(instance, here));
    Some((gain as f64 / (next.share - here.share).max(1e-12)).to_bits())
}

/// The modes on the upper concave envelope of worth over share, from the smallest to the one of most worth.
fn envelope(instance: &Instance, task: &TaskView) -> Vec<usize> {
    let point = |mode: usize| {
        let view = &task.modes[mode];
        (view.share, worth(instance, view) as f64)
    };
    let mut kept: Vec<usize> = Vec::new();
    for mode in by_share(task) {
        let (share, value) = point(mode);
        match kept.last().map(|&last| point(last)) {
            Some((_, most)) if value <= most => continue,
            Some((last, _)) if share <= last => drop(kept.pop()),
            _ => {}
        }
        while let [.., before, last] = kept[..] {
            let ((x0, y0), (x1, y1)) = (point(before), point(last));
            if (y1 - y0) * (share - x1) > (value - y1) * (x1 - x0) {
                break;
            }
            kept.pop();
        }
        kept.push(mode);
    }
    kept
}
