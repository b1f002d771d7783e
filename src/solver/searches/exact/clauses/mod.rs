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
mod settle;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pumpkin_conflict_resolvers::resolvers::ResolutionResolver;
use pumpkin_core::predicate;
use pumpkin_core::results::SatisfactionResultUnderAssumptions as Found;
use pumpkin_core::results::{ProblemSolution, SolutionReference};
use pumpkin_core::termination::TerminationCondition;
use pumpkin_core::variables::DomainId;
use pumpkin_core::{DefaultBrancher, Solver};

use crate::model::Millis;
use crate::solver::instance::Instance;
use crate::solver::search::Search;

use super::jobs::{Jobs, Way};
use super::nodes::Pick;
use super::places::{Picks, Place};
use super::tariff::Tariff;
use model::{LARGEST, Model, Spot};
use settle::settled;

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

/// What came of an attempt.
pub(super) enum Answer {
    /// A plan within the limit, by job; without places where nodes are not told apart.
    Fits(Vec<Place>),
    /// There is none.
    Refuted,
    Unknown,
    /// The solver failed: nothing more will be known.
    Failed,
}

impl<'j> Clauses<'j> {
    /// All plans that end by `latest`, which is what the prices are for; `None` where numbers are too large or too many.
    pub fn new(jobs: &'j Jobs, tariff: &Tariff, latest: Millis) -> Option<Self> {
        let is_one = |way: &Way| way.lanes.len() == 1 && jobs.classes[way.lanes[0].class].size == 1;
        let has_nodes = !jobs.ways.iter().all(is_one);
        let pooled = has_nodes.then(|| Prover::new(jobs, tariff, latest, false));
        Some(Self {
            pooled: pooled.flatten(),
            whole: Prover::new(jobs, tariff, latest, true)?,
        })
    }

    /// Looks for a plan that ends by `latest`, in about so many steps. What is learnt is kept for the next time.
    pub fn end_by(&mut self, search: &mut Search, latest: Millis, most_steps: u64) -> Answer {
        let mut steps = FIRST_STEPS;
        loop {
            if let Some(pooled) = &mut self.pooled {
                match pooled.end_by(search, latest, steps.saturating_mul(POOLED)) {
                    Answer::Refuted => return Answer::Refuted,
                    Answer::Fits(_) | Answer::Failed => self.pooled = None,
                    Answer::Unknown => {}
                }
            }
            let answer = self.whole.end_by(search, latest, steps);
            let is_open = matches!(answer, Answer::Unknown);
            if !is_open || search.is_over() || steps >= most_steps {
                return answer;
            }
            steps = steps.saturating_mul(4);
        }
    }
}

/// A model, and what is learnt of it.
struct Prover<'j> {
    jobs: &'j Jobs,
    /// `None` after a failure of its own.
    solver: Option<Solver>,
    brancher: DefaultBrancher,
    resolver: ResolutionResolver,
    end: DomainId,
    starts: Vec<DomainId>,
    spots: Vec<Spot>,
}

impl<'j> Prover<'j> {
    fn new(jobs: &'j Jobs, tariff: &Tariff, latest: Millis, has_nodes: bool) -> Option<Self> {
        let longest = jobs.ways.iter().map(|way| way.duration).max()?;
        let all = latest.checked_add(longest)?.checked_add(1)?;
        if !(0..LARGEST).contains(&all) {
            return None;
        }
        let model = guarded(|| Model::build(jobs, tariff, latest as i32, has_nodes))??;
        Some(Self {
            jobs,
            brancher: model.solver.default_brancher(),
            solver: Some(model.solver),
            resolver: ResolutionResolver::default(),
            end: model.end,
            starts: model.starts,
            spots: model.spots,
        })
    }

    fn end_by(&mut self, search: &mut Search, latest: Millis, most_steps: u64) -> Answer {
        let (Some(mut solver), Ok(latest)) = (self.solver.take(), i32::try_from(latest)) else {
            return Answer::Failed;
        };
        let (end, instance) = (self.end, search.instance);
        let mut patience = Patience {
            search,
            left: most_steps,
            granted: 0,
        };
        let answer = guarded(|| {
            let found = solver.satisfy_under_assumptions(
                &mut self.brancher,
                &mut patience,
                &mut self.resolver,
                &[predicate!(end <= latest)],
            );
            match found {
                Found::Satisfiable(found) => {
                    let solution = found.solution();
                    let places = read(instance, self.jobs, &self.starts, &self.spots, solution);
                    Answer::Fits(places.map_or(Vec::new(), |places| settled(self.jobs, places)))
                }
                Found::Unsatisfiable(_) | Found::UnsatisfiableUnderAssumptions(_) => {
                    Answer::Refuted
                }
                Found::Unknown(_) => Answer::Unknown,
            }
        });
        self.solver = answer.is_some().then_some(solver);
        answer.unwrap_or(Answer::Failed)
    }
}

/// Runs what may fail in the solver, which asserts much of itself: a plan must not be lost by that, nor the program.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
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

/// The places in a solution. A gang that stands nearer together than its way says ends sooner.
fn read(
    instance: &Instance,
    jobs: &Jobs,
    starts: &[DomainId],
    spots: &[Spot],
    solution: SolutionReference,
) -> Option<Vec<Place>> {
    let mut taken: BTreeMap<usize, (usize, Vec<Pick>)> = BTreeMap::new();
    for spot in spots {
        if solution.get_literal_value(spot.is_taken) {
            let job = jobs.ways[spot.way].job;
            let (_, picks) = taken.entry(job).or_insert((spot.way, Vec::new()));
            picks.push(spot.pick);
        }
    }
    let place = |(job, start): (usize, &DomainId)| {
        let (way, picks) = taken.remove(&job)?;
        let start = Millis::from(solution.get_integer_value(*start));
        let view = &instance.task(jobs.jobs[job].copy).modes[jobs.ways[way].mode];
        let level = instance.spanned(picks.len(), picks.iter().map(|pick| pick.class));
        let lasting = |pick: &Pick| {
            let mut runs = view.runs.iter();
            runs.find(|run| run.class == pick.class)
                .map(|run| run.lasting(level))
        };
        let end = start + picks.iter().filter_map(lasting).max()?;
        let bound = 0.0;
        let picks = Picks::Many(picks);
        Some(Place {
            way,
            start,
            end,
            bound,
            picks,
        })
    };
    starts.iter().enumerate().map(place).collect()
}
