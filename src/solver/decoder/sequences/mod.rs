//! Plans as one sequence of copies for each node: the form in which single moves are cheap.
//!
//! Copies that run as one pod and wait for no other task meet only on their node. So the ends on a node
//! depend on its own sequence alone, and after a move only the touched nodes are decoded again. Each copy
//! starts as soon as units of every resource are free that those before it in the sequence have left; that is
//! no later than in any schedule that starts the copies in this order, so some sequences give an optimum.

mod chain;
mod ground;
mod lane;
mod units;

pub(in crate::solver) use chain::{Chain, accepted_rise, below};
pub(in crate::solver) use ground::{Choice, Ground, Slot};
pub(in crate::solver) use lane::{Aim, Decoder, Lane, Urgency, lanes_from, lanes_of, schedule_of};
pub(in crate::solver) use units::Units;
