//! Simulated annealing.

use super::search::Search;

/// Searches until the budget ends.
pub(super) fn run(_search: &mut Search) {}
