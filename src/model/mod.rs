//! The vocabulary of the pure core: no Kubernetes types, no clock, no randomness.
//!
//! Times are whole milliseconds from the moment of the plan, resources whole units
//! (milli-CPU, bytes, devices, pods), and exact values in between are rationals.

mod earlier;
mod exact;
mod fix;
mod fraction;
pub mod host_port;
mod node;
mod plan;
mod priorities;
mod problem;
mod reason;
mod resources;
mod share;
mod task;
mod topology;

pub use earlier::{Earlier, EarlierTask, Place, Size};
pub use exact::{Exact, ceil_i64, decimal, exact, floor_i64};
pub use fix::{Fix, Mend, quantity};
pub use fraction::Fraction;
pub use node::{Hold, Node, Snapshot, Taint, TaintEffect};
pub use plan::{Assignment, Outcome, Plan, Solution, Unplaced, gap};
pub use priorities::Priorities;
pub use problem::{Mode, Near, NodeClass, PlannedBatch, PlannedTask, Problem, Run, Tier};
pub use reason::Reason;
pub use resources::{CPU, MEMORY, Overflow, PODS, Resources, is_extended};
pub use share::Share;
pub use task::{
    Algorithm, Batch, Binding, Estimate, Expression, Goal, NAME_FIELD, NodeSelectorTerm, Operator,
    Placement, PodShape, Range, Scaling, Task, Toleration, Unit, Workers,
};
pub use topology::{Exchange, HOST, HOSTNAME, Level, Together, Topology, Wish};

/// A point in time or a length of time, in milliseconds. Plan time 0 is now.
pub type Millis = i64;
