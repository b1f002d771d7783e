//! TaskBatch plans, sizes, places and runs batches of AI tasks on Kubernetes.
//!
//! ```text
//! main -> cli -> {operator, sim} -> decide -> {cluster, solver, verify} -> {api, constraint} -> model
//! ```
//!
//! Only `operator` talks to an API server. Everything below it is pure: the clock, the seed
//! and the budget are handed in, so the same code runs in a cluster, offline and in the tests.
//! `tests/arrows.rs` keeps the arrows.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod constraint;
pub mod decide;
pub mod model;
#[cfg(feature = "cluster")]
pub mod operator;
pub mod sim;
pub mod solver;
pub mod verify;
