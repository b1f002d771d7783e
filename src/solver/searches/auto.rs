//! The portfolio: greedy plans at once, then for each kind of problem the searches that do best on it, each for
//! a part of the budget and from the best plan so far (algorithm portfolios: Gomes and Selman 2001).
//!
//! It ends before the budget does when the gap is closed or branch and bound has seen everything.

use crate::model::Goal;
use crate::solver::search::Search;

use super::{
    annealing, backward, exact, genetic, greedy, particle_swarm, priced, queues, ruin_recreate,
    target,
};

/// A search, and the part of the whole budget at which it ends.
type Stage = (f64, fn(&mut Search));

/// How much of the tree of all plans may be seen.
enum Size {
    /// All of it, also where each copy has several nodes.
    Few,
    /// All of it, where each copy has one node.
    Several,
    /// Perhaps; it is worth a try.
    Some,
    /// Next to nothing.
    Many,
}

impl Size {
    fn of(copies: usize) -> Self {
        match copies {
            0..=8 => Size::Few,
            9..=12 => Size::Several,
            13..=30 => Size::Some,
            _ => Size::Many,
        }
    }
}

/// Rounds of learning after which prices are good enough to tell how good an earlier plan still is.
const ROUNDS: usize = 20;

/// Runs the stages that suit the problem.
pub(super) fn run(search: &mut Search) {
    let size = Size::of(search.instance.copies());
    if search.is_warm && matches!(size, Size::Many) {
        for &(end, run) in warm_stages(search) {
            search.stage(end, run);
        }
    }
    search.stage(1.0, greedy::run);
    for &(end, run) in stages(search, &size) {
        search.stage(end, run);
    }
}

/// What is known of an earlier plan is not to be found again by the lists; they are tried only where no search goes
/// on to the end from that plan alone.
fn warm_stages(search: &Search) -> &'static [Stage] {
    if annealing::suits(search.instance) {
        &[
            (1.0, |search| priced::learn(search, ROUNDS)),
            (0.1, priced::sharpen),
            (1.0, annealing::run),
        ]
    } else {
        &[(0.3, ruin_recreate::run)]
    }
}

fn stages(search: &Search, size: &Size) -> &'static [Stage] {
    if search.instance.has_dues {
        return with_dues(search, size);
    }
    let has_batches = matches!(size, Size::Many) && backward::suits(search.instance);
    let is_makespan = search.problem().goal == Goal::Makespan;
    if !annealing::suits(search.instance) && !has_batches {
        return without_sequences(search, size);
    }
    match size {
        _ if has_batches => &[
            (0.25, priced::branch),
            (0.6, backward::climb),
            (0.95, annealing::run),
            (1.0, ruin_recreate::run),
        ],
        Size::Few | Size::Several => &[
            (0.05, annealing::run),
            (0.9, exact::run),
            (1.0, annealing::run),
        ],
        Size::Some if is_makespan => &[
            (0.2, genetic::run),
            (0.4, annealing::run),
            (0.8, exact::run),
            (1.0, ruin_recreate::run),
        ],
        Size::Some => &[
            (0.3, annealing::run),
            (0.8, exact::run),
            (1.0, annealing::run),
        ],
        Size::Many if is_makespan => &[
            (0.25, genetic::run),
            (0.9, annealing::run),
            (1.0, ruin_recreate::run),
        ],
        Size::Many => &[
            (0.1, priced::sharpen),
            (0.15, priced::run),
            (1.0, annealing::run),
        ],
    }
}

/// Branch and bound knows no deadlines, nor do plans that are made backwards in time.
fn with_dues(search: &Search, size: &Size) -> &'static [Stage] {
    let is_small = !matches!(size, Size::Many);
    match annealing::suits(search.instance) {
        true if is_small => &[
            (0.3, ruin_recreate::run),
            (0.9, annealing::run),
            (1.0, genetic::run),
        ],
        true => &[
            (0.1, priced::sharpen),
            (0.9, annealing::run),
            (1.0, ruin_recreate::run),
        ],
        false => &[(0.7, ruin_recreate::run), (1.0, genetic::run)],
    }
}

/// Gangs, dependencies and budgets do not fit into sequences.
fn without_sequences(search: &Search, size: &Size) -> &'static [Stage] {
    if search.instance.project.is_some() {
        return of_projects(size);
    }
    if target::suits(search.instance) {
        return to_the_end(search, size);
    }
    match size {
        Size::Few => &[
            (0.1, ruin_recreate::run),
            (0.9, exact::run),
            (1.0, particle_swarm::run),
        ],
        _ if queues::suits(search.instance) && !search.instance.has_gangs() => &[
            (0.25, priced::sharpen),
            (0.3, priced::run),
            (1.0, queues::run),
        ],
        _ => &[
            (0.1, priced::sharpen),
            (0.6, particle_swarm::run),
            (1.0, ruin_recreate::run),
        ],
    }
}

/// Where only the last ends count. A search that begins anew was seen to find more than one that goes on. A repair ends
/// at once where there is too much to tell the solver.
fn to_the_end(search: &Search, size: &Size) -> &'static [Stage] {
    let is_one = exact::has_one_batch(search.instance);
    match size {
        Size::Few => &[(0.1, target::run), (0.95, exact::run), (1.0, target::run)],
        Size::Several if is_one => &[
            (0.3, target::run),
            (0.8, exact::run),
            (0.98, exact::repair),
            (1.0, target::run),
        ],
        Size::Several => &[(0.3, target::run), (0.85, exact::run), (1.0, target::run)],
        Size::Some if is_one => &[
            (0.35, target::run),
            (0.7, target::run),
            (0.98, exact::repair),
            (1.0, target::run),
        ],
        Size::Some => &[
            (0.3, target::run),
            (0.6, target::run),
            (0.9, target::run),
            (1.0, exact::run),
        ],
        Size::Many => &[(0.2, genetic::run), (0.6, target::run), (1.0, target::run)],
    }
}

/// Projects have a decoder of their own, quick enough for a large population.
fn of_projects(size: &Size) -> &'static [Stage] {
    match size {
        Size::Few | Size::Several => &[
            (0.1, ruin_recreate::run),
            (0.9, exact::run),
            (1.0, genetic::run),
        ],
        Size::Some => &[
            (0.3, genetic::run),
            (0.5, ruin_recreate::run),
            (0.8, exact::run),
            (1.0, genetic::run),
        ],
        Size::Many => &[(0.05, genetic::run), (1.0, ruin_recreate::run)],
    }
}
