//! The portfolio: greedy plans at once, then for each kind of problem the searches that do best on it, each for
//! a part of the budget and from the best plan so far (algorithm portfolios: Gomes and Selman 2001).
//!
//! It ends before the budget does when the gap is closed or branch and bound has seen everything.

use crate::model::Goal;

use super::search::Search;
use super::{annealing, backward, exact, genetic, greedy, priced, ruin_recreate};

/// A search, and the part of the whole budget at which it ends.
type Stage = (f64, fn(&mut Search));

/// Up to so many copies the tree of all plans may be seen to its end.
const FEW: usize = 12;
/// Up to so many it is worth a try.
const SOME: usize = 30;
/// Ranges of patterns begin one above.
const FEW_MORE: usize = FEW + 1;
const MANY: usize = SOME + 1;

/// Rounds of learning after which prices are good enough to tell how good an earlier plan still is.
const ROUNDS: usize = 20;

/// Runs the stages that suit the problem.
pub(super) fn run(search: &mut Search) {
    if search.is_warm && search.instance.copies() > SOME {
        for &(end, run) in warm_stages(search) {
            search.stage(end, run);
        }
    }
    search.stage(1.0, greedy::run);
    for &(end, run) in stages(search) {
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

fn stages(search: &Search) -> &'static [Stage] {
    let copies = search.instance.copies();
    let is_makespan = search.problem().goal == Goal::Makespan;
    match (annealing::suits(search.instance), copies) {
        _ if copies > SOME && backward::suits(search.instance) => &[
            (0.25, priced::branch),
            (0.6, backward::climb),
            (0.95, annealing::run),
            (1.0, ruin_recreate::run),
        ],
        (true, FEW_MORE..=SOME) if is_makespan => &[
            (0.2, genetic::run),
            (0.4, annealing::run),
            (0.8, exact::run),
            (1.0, ruin_recreate::run),
        ],
        (true, MANY..) if is_makespan => &[
            (0.25, genetic::run),
            (0.9, annealing::run),
            (1.0, ruin_recreate::run),
        ],
        (true, ..=FEW) => &[
            (0.05, annealing::run),
            (0.9, exact::run),
            (1.0, annealing::run),
        ],
        (true, ..=SOME) => &[
            (0.3, annealing::run),
            (0.8, exact::run),
            (1.0, annealing::run),
        ],
        (true, _) => &[(0.1, priced::sharpen), (1.0, annealing::run)],
        (false, ..=FEW) => &[
            (0.1, ruin_recreate::run),
            (0.9, exact::run),
            (1.0, genetic::run),
        ],
        (false, ..=SOME) => &[
            (0.3, genetic::run),
            (0.5, ruin_recreate::run),
            (0.8, exact::run),
            (1.0, genetic::run),
        ],
        (false, _) => &[(0.5, genetic::run), (1.0, ruin_recreate::run)],
    }
}
