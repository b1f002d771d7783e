//! What belongs together in a chart: the parts of a gang on its nodes, and which bar waits for which.

use std::collections::BTreeMap;

use super::{Bar, Chart, Row};
use crate::model::{Millis, Problem, Solution};

/// Which part of its gang a bar is, from the first of the gang's rows to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// The first one, which carries the label.
    First,
    /// One between.
    Middle,
    /// The last one.
    Last,
}

/// A task that waits for another one, between the two copies that decide when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The copy that ends last of the task that is waited for; a `Bar::copy`.
    pub from: usize,
    /// The copy that starts first of the task that waits.
    pub to: usize,
    /// Whether the one starts in the moment in which the other one ends: waiting is all that holds it up.
    pub is_tight: bool,
}

impl Chart {
    /// Tells each bar which part of its gang it is. Rows must be in their order.
    pub(super) fn tell_parts(&mut self) {
        let mut left: BTreeMap<usize, usize> = BTreeMap::new();
        for (_, bar) in bars(&self.rows) {
            if let Some(copy) = bar.copy {
                *left.entry(copy).or_default() += 1;
            }
        }
        let all = left.clone();
        for bar in self.rows.iter_mut().flat_map(|row| &mut row.bars) {
            let Some(left) = bar.copy.and_then(|copy| left.get_mut(&copy)) else {
                continue;
            };
            let count = bar.copy.and_then(|copy| all.get(&copy)).copied();
            bar.part = match (count, *left) {
                (Some(1) | None, _) => Part::Whole,
                (Some(count), left) if left == count => Part::First,
                (_, 1) => Part::Last,
                _ => Part::Middle,
            };
            *left -= 1;
        }
    }
}

fn bars(rows: &[Row]) -> impl Iterator<Item = (usize, &Bar)> {
    let rows = rows.iter().enumerate();
    rows.flat_map(|(index, row)| row.bars.iter().map(move |bar| (index, bar)))
}

/// A link for each task and each one that it waits for, where both have a place; in the order of the tasks.
pub(super) fn links(problem: &Problem, solution: &Solution) -> Vec<Link> {
    type Moment = (Millis, usize);
    let mut first: BTreeMap<usize, Moment> = BTreeMap::new();
    let mut last: BTreeMap<usize, Moment> = BTreeMap::new();
    for (copy, assignment) in solution.plan.assignments.iter().enumerate() {
        let (start, end) = ((assignment.start, copy), (assignment.end, copy));
        let known = first.entry(assignment.task).or_insert(start);
        *known = (*known).min(start);
        let known = last.entry(assignment.task).or_insert(end);
        *known = (*known).max(end);
    }
    let mut found = Vec::new();
    for (task, planned) in problem.tasks.iter().enumerate() {
        for before in &planned.after {
            if let (Some((end, from)), Some((start, to))) = (last.get(before), first.get(&task)) {
                found.push(Link {
                    from: *from,
                    to: *to,
                    is_tight: start == end,
                });
            }
        }
    }
    found
}
