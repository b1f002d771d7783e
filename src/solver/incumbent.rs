//! The best plan so far, always feasible, and what is known of it.

use crate::model::{Algorithm, Outcome};

use super::bounds::{self, Bound};
use super::goals::Score;
use super::instance::Instance;
use super::schedule::Schedule;

/// A better plan was found, or a better bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Improvement {
    /// Value of the goal, in its unit.
    pub objective: i64,
    /// The bound on it.
    pub bound: i64,
    /// Which bound that is.
    pub bound_name: &'static str,
    /// How many copies have no place in it.
    pub unplaced: usize,
    /// Sum of weight x time after the copies are due, in ms.
    pub tardiness: i128,
    /// The search that found it.
    pub found_by: Algorithm,
    /// Plans decoded so far.
    pub iterations: u64,
}

/// Hears of every better plan and bound, in the order in which they are found.
pub trait Listener {
    /// A plan, or the bound, is better than all before it.
    fn improved(&mut self, event: &Improvement);
}

impl<F: FnMut(&Improvement)> Listener for F {
    fn improved(&mut self, event: &Improvement) {
        self(event)
    }
}

/// The best plan so far.
pub(super) struct Incumbent {
    pub schedule: Schedule,
    pub score: Score,
    pub found_by: Algorithm,
    pub bound: Bound,
    /// No plan that places the same copies has less tardiness.
    pub tardiness_bound: i128,
    /// Placed copies of each task.
    pub counts: Vec<u64>,
}

impl Incumbent {
    /// A plan, with the bound over the copies that it places; the bound of `last` is kept where those are
    /// the same.
    pub fn new(
        instance: &Instance,
        schedule: Schedule,
        score: Score,
        found_by: Algorithm,
        last: Option<&Self>,
    ) -> Self {
        let counts = schedule.counts(instance);
        let (bound, tardiness_bound) = match last.filter(|last| last.counts == counts) {
            Some(last) => (last.bound, last.tardiness_bound),
            None => (
                bounds::best(instance, &counts),
                bounds::tardiness(instance, &counts),
            ),
        };
        Self {
            schedule,
            score,
            found_by,
            bound,
            tardiness_bound,
            counts,
        }
    }

    pub fn objective(&self, instance: &Instance) -> i64 {
        self.score.objective(instance.problem.goal)
    }

    /// Whether no plan is better: everything is placed, and as well as the bounds allow.
    pub fn is_best(&self, instance: &Instance) -> bool {
        self.score.unplaced == 0 && self.is_at_bounds(instance)
    }

    /// Whether nothing is later than it must be.
    pub fn is_in_time(&self) -> bool {
        self.score.tardiness == self.tardiness_bound
    }

    fn is_at_bounds(&self, instance: &Instance) -> bool {
        self.is_in_time() && self.objective(instance) == self.bound.value
    }

    pub fn outcome(&self, instance: &Instance) -> Outcome {
        if self.score.unplaced == instance.copies() {
            Outcome::Infeasible
        } else if self.is_at_bounds(instance) {
            Outcome::Optimal
        } else {
            Outcome::Feasible
        }
    }
}
