//! A simulated cluster: nodes, kubelets, an API server and people who change things, under a virtual clock.
//!
//! [`Cluster`] is a [`World`](crate::decide::World): [`run`] drives the operator's own loop against it, so
//! `demo`, what-if answers and the tests of faults are one piece of code. Nothing here reads a clock or draws
//! ambient randomness: the same objects, seed and options give the same history, event by event.
//!
//! ```text
//! cluster  objects and the queue of what comes next        server   what the API server does with requests
//! kubelet  admission, start, end and loss of nodes         edit     what people change, and when
//! scheduler  kube-scheduler, for delegated pods
//! world    the seam to the operator                        writes   what becomes of its writes on their way
//! run      the loop                                        search   the search, by iterations and not by time
//! history  what happened, for observers                    invariants  what must never happen
//! faults   what goes wrong, by seed                        chance   luck that depends on seed and name alone
//! halves   gangs that hold room for a part
//! ```

mod chance;
mod cluster;
mod edit;
mod faults;
mod halves;
mod history;
mod invariants;
mod kubelet;
mod queue;
mod run;
mod scheduler;
mod search;
mod server;
mod world;
mod writes;

#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod examples_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod invariants_tests;
#[cfg(test)]
mod planted_tests;
#[cfg(test)]
mod priority_tests;
#[cfg(test)]
mod replan_tests;
#[cfg(test)]
mod scheduler_tests;

pub use cluster::{Cluster, Options};
pub use edit::Edit;
pub use faults::Faults;
pub use history::{Happening, Observer};
pub use invariants::Invariants;
pub use run::{End, Ran, run};
pub use world::Unreachable;
