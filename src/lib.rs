//! TaskBatch.
