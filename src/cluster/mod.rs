//! Kubernetes objects in, model out.

pub mod binding;
mod classes;
pub mod compile;
#[cfg(test)]
mod compile_tests;
mod domains;
#[cfg(test)]
mod domains_tests;
mod dominance;
pub mod duration;
pub mod explain;
#[cfg(test)]
pub(crate) mod fixture;
pub mod intake;
pub mod ledger;
mod mend;
pub mod modes;
#[cfg(test)]
mod modes_tests;
pub mod node;
pub mod placement;
pub mod pod;
mod ports;
pub mod prediction;
pub mod protobuf;
pub mod quantity;
mod remedy;
#[cfg(test)]
mod remedy_tests;
pub mod repulsion;
pub mod requests;
pub mod snapshot;
mod sums;
pub mod template;
pub mod topology;
