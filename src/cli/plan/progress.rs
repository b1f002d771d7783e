//! A line of progress on standard error, where a person looks on and waits longer than a second.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::settings::Limit;
use crate::cli::number;
use crate::model::Goal;
use crate::solver::Improvement;

/// Nobody wants to see less than this.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// The best plan so far, as the searching thread tells it and the drawing thread reads it.
#[derive(Default)]
pub struct Seen(Mutex<Option<Improvement>>);

impl Seen {
    /// A better plan was found.
    pub fn improved(&self, found: &Improvement) {
        if let Ok(mut last) = self.0.lock() {
            *last = Some(*found);
        }
    }

    fn last(&self) -> Option<Improvement> {
        self.0.lock().ok().and_then(|last| *last)
    }
}

/// Does the work, and shows how it goes until it is done.
pub fn shown<T>(goal: Goal, limit: Limit, work: impl FnOnce(&Seen) -> T) -> T {
    let seen = Seen::default();
    if !stderr().is_terminal() {
        return work(&seen);
    }
    std::thread::scope(|scope| {
        // Dropped when the work ends, be it by a panic: that ends the drawing.
        let (done, is_done) = mpsc::channel::<()>();
        scope.spawn(|| draw(goal, limit, &seen, is_done));
        let result = work(&seen);
        drop(done);
        result
    })
}

fn draw(goal: Goal, limit: Limit, seen: &Seen, is_done: mpsc::Receiver<()>) {
    let waits_on = |time| matches!(is_done.recv_timeout(time), Err(RecvTimeoutError::Timeout));
    if !waits_on(PATIENCE) {
        return;
    }
    let line =
        ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_elapsed(PATIENCE);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} of {prefix}  {msg}") {
        line.set_style(style);
    }
    line.set_prefix(limit.to_string());
    while waits_on(TICK) {
        if let Some(found) = seen.last() {
            line.set_message(message(goal, &found));
        }
        line.tick();
    }
    line.finish_and_clear();
}

fn message(goal: Goal, found: &Improvement) -> String {
    let value = |value| number::objective(goal.unit(), value);
    let side = if goal.is_maximised() {
        "upper"
    } else {
        "lower"
    };
    let gap = number::gap(found.objective, found.bound);
    format!(
        "{goal} {}, {side} bound {}, gap {gap}, {} plans",
        value(found.objective),
        value(found.bound),
        found.iterations
    )
}
