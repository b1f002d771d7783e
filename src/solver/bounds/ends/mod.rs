//! Several batches under Makespan: bounds on the weighted sum of their ends.

mod batch;
pub(super) mod batches;
pub(super) mod corners;
mod falling;
pub(super) mod frontier;
