//! How a search went on: a line on standard error for each better plan and bound, when it is found.

use std::io::{Write, stderr};
use std::time::{Duration, Instant};

use crate::cli::number;
use crate::model::Goal;
use crate::solver::Improvement;

/// The first lines are all written.
const ALL_OF_THE_FIRST: usize = 16;
/// A later one if the distance to the bound is at most this part of what it was, or if another search or another
/// bound comes in: thousands of small steps are some dozens of lines.
const WORTH_A_LINE: f64 = 0.95;

/// Writes the lines, with the last one in any case.
pub struct Convergence {
    goal: Goal,
    started: Instant,
    lines: usize,
    written: Option<Improvement>,
    left_out: Option<(Duration, Improvement)>,
}

impl Convergence {
    /// Of a search that starts now; writes the head.
    pub fn new(goal: Goal, started: Instant) -> Self {
        let side = if goal.is_maximised() {
            "UPPER BOUND"
        } else {
            "LOWER BOUND"
        };
        write_line(&format!(
            "{:>9}  {:>14}  {side:>14}  {:>8}  {:>9}  {:13}  PROVED BY",
            "TIME",
            goal.to_string().to_uppercase(),
            "GAP",
            "PLANS",
            "FOUND BY"
        ));
        Self {
            goal,
            started,
            lines: 0,
            written: None,
            left_out: None,
        }
    }

    /// A better plan or bound was found.
    pub fn improved(&mut self, found: &Improvement) {
        let at = self.started.elapsed();
        if self.is_worth_a_line(found) {
            self.write(at, found);
        } else {
            self.left_out = Some((at, *found));
        }
    }

    /// The search has ended.
    pub fn end(mut self) {
        if let Some((at, found)) = self.left_out.take() {
            self.write(at, &found);
        }
    }

    fn is_worth_a_line(&self, found: &Improvement) -> bool {
        let distance = |one: &Improvement| (one.objective as f64 - one.bound as f64).abs();
        self.written.as_ref().is_none_or(|last| {
            self.lines < ALL_OF_THE_FIRST
                || distance(found) <= WORTH_A_LINE * distance(last)
                || (found.found_by, found.bound_name, found.unplaced)
                    != (last.found_by, last.bound_name, last.unplaced)
        })
    }

    fn write(&mut self, at: Duration, found: &Improvement) {
        let value = |value| number::objective(self.goal.unit(), value);
        let waiting = match found.unplaced {
            0 => String::new(),
            some => format!("; {some} not placed"),
        };
        write_line(&format!(
            "{:>8.3}s  {:>14}  {:>14}  {:>8}  {:>9}  {:13}  {}{waiting}",
            at.as_secs_f64(),
            value(found.objective),
            value(found.bound),
            number::gap(found.objective, found.bound),
            found.iterations,
            found.found_by.to_string(),
            found.bound_name,
        ));
        self.lines += 1;
        self.written = Some(*found);
        self.left_out = None;
    }
}

/// A reader of standard error that has gone away is no reason to stop planning.
fn write_line(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
