//! Makespan by lazy clause generation (Ohrimenko, Stuckey and Codish 2009; for schedules Schutt, Feydt, Stuckey and
//! Wallace 2011), with the solver Pumpkin: whenever a choice of ways, nodes and starts fails, the reason is kept
//! and never tried again. It proves what the tree, which forgets its failures, cannot: gangs that leave gaps on
//! nodes, and chains of copies.
//!
//! A copy has a start, and each of its ways a start of its own: that of the copy where it is taken, else the *exit*,
//! a time at which no copy runs any more. The same for so many pods of a way on a node. Then every node has a
//! `cumulative` constraint for each resource, and so has each class as if it were one node, for each gauge: that
//! follows from the nodes, but knows of no places that the solver would have to try. What is not there to be used
//! is a task that nobody can move; at the exit there is room for all ways that are not taken.
//!
//! What cannot be even if each class is one node is found out much sooner by a model without nodes. So there are two,
//! and they take turns.

mod model;
mod prover;
mod repair;
mod room;
mod settle;

use pumpkin_core::termination::TerminationCondition;

use crate::model::Millis;
use crate::solver::search::Search;

use super::jobs::{Jobs, Way};
use super::tariff::Tariff;
use model::Scope;
pub(super) use prover::Answer;
use prover::Prover;
pub(super) use repair::repair;

/// Steps of the first turn.
const FIRST_STEPS: u64 = 2_000;
/// The model without nodes makes so many steps for each of the other one.
const POOLED: u64 = 32;
/// Steps between two looks at the budget; one is a choice or a failure.
const PACE: u64 = 64;
/// A step takes about as long as so many plans, and counts as these.
const PLANS: u64 = 8;

/// All plans of some jobs that end by a time.
pub(super) struct Clauses<'j> {
    /// Without nodes. `None` once that was seen not to be what limits.
    pooled: Option<Prover<'j>>,
    whole: Prover<'j>,
}

impl<'j> Clauses<'j> {
    /// All plans that end by `latest`, which is what the prices are for; `None` where numbers are too large or too
    /// many.
    pub fn new(jobs: &'j Jobs, tariff: &Tariff, latest: Millis) -> Option<Self> {
        let is_one = |way: &Way| way.lanes.len() == 1 && jobs.classes[way.lanes[0].class].size == 1;
        let has_nodes = !jobs.ways.iter().all(is_one);
        let pooled = has_nodes.then(|| Prover::new(jobs, tariff, latest, Scope::Classes));
        Some(Self {
            pooled: pooled.flatten(),
            whole: Prover::new(jobs, tariff, latest, Scope::Nodes)?,
        })
    }

    /// Looks for a plan that ends by `latest`, in about so many steps. What is learnt is kept for the next time.
    pub fn end_by(&mut self, search: &mut Search, latest: Millis, most_steps: u64) -> Answer {
        let mut steps = FIRST_STEPS;
        loop {
            if let Some(pooled) = &mut self.pooled {
                match end_by(pooled, search, latest, steps.saturating_mul(POOLED)) {
                    Answer::Refuted => return Answer::Refuted,
                    Answer::Fits(_) | Answer::Failed => self.pooled = None,
                    Answer::Unknown => {}
                }
            }
            let answer = end_by(&mut self.whole, search, latest, steps);
            let is_open = matches!(answer, Answer::Unknown);
            if !is_open || search.is_over() || steps >= most_steps {
                return answer;
            }
            steps = steps.saturating_mul(4);
        }
    }
}

fn end_by(prover: &mut Prover, search: &mut Search, latest: Millis, most_steps: u64) -> Answer {
    let instance = search.instance;
    let mut patience = Patience {
        search,
        left: most_steps,
        granted: 0,
    };
    prover.solve(instance, latest, &[], &mut patience)
}

/// Ends when the budget does, or so many steps are made.
struct Patience<'p, 'a> {
    search: &'p mut Search<'a>,
    left: u64,
    granted: u64,
}

impl TerminationCondition for Patience<'_, '_> {
    fn should_stop(&mut self) -> bool {
        if self.granted == 0 {
            if self.left == 0 || self.search.meter().exhausted() {
                return true;
            }
            let wanted = PACE.min(self.left);
            let plans = self.search.meter().grant(wanted * PLANS);
            self.search.count(plans);
            self.granted = plans.div_ceil(PLANS);
            self.left -= self.granted;
            if self.granted == 0 {
                return true;
            }
        }
        self.granted -= 1;
        false
    }
}
