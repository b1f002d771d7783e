//! A model in the hands of the solver.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use pumpkin_conflict_resolvers::resolvers::ResolutionResolver;
use pumpkin_core::Solver;
use pumpkin_core::branching::branchers::dynamic_brancher::DynamicBrancher;
use pumpkin_core::branching::{Brancher, BrancherEvent, SelectionContext};
use pumpkin_core::predicate;
use pumpkin_core::predicates::Predicate;
use pumpkin_core::results::SatisfactionResultUnderAssumptions as Found;
use pumpkin_core::results::{ProblemSolution, SolutionReference};
use pumpkin_core::termination::TerminationCondition;
use pumpkin_core::variables::DomainId;

use crate::model::Millis;
use crate::solver::instance::Instance;

use super::super::jobs::Jobs;
use super::super::nodes::Pick;
use super::super::places::{Picks, Place};
use super::super::tariff::Tariff;
use super::model::{LARGEST, Model, Scope, Spot};
use super::settle::settled;

/// What came of an attempt.
pub(in super::super) enum Answer {
    /// A plan within the limit, by job; without places where nodes are not told apart.
    Fits(Vec<Place>),
    /// There is none.
    Refuted,
    Unknown,
    /// The solver failed: nothing more will be known.
    Failed,
}

/// A model, and what is learnt of it.
pub(super) struct Prover<'j> {
    jobs: &'j Jobs,
    /// `None` after a failure of its own.
    solver: Option<Solver>,
    brancher: DynamicBrancher,
    /// Whether there was a conflict since this was last asked.
    conflict: Rc<Cell<bool>>,
    resolver: ResolutionResolver,
    end: DomainId,
    starts: Vec<DomainId>,
    pub spots: Vec<Spot>,
}

impl<'j> Prover<'j> {
    /// Plans that end by `latest`; `None` where numbers are too large or too many.
    pub fn new(jobs: &'j Jobs, tariff: &Tariff, latest: Millis, scope: Scope) -> Option<Self> {
        let longest = jobs.ways.iter().map(|way| way.duration).max()?;
        let all = latest.checked_add(longest)?.checked_add(1)?;
        if !(0..LARGEST).contains(&all) {
            return None;
        }
        let model = guarded(|| Model::build(jobs, tariff, latest as i32, scope))??;
        let conflict = Rc::new(Cell::new(false));
        let branchers: Vec<Box<dyn Brancher>> = vec![
            Box::new(Conflicts(conflict.clone())),
            Box::new(model.solver.default_brancher()),
        ];
        Some(Self {
            jobs,
            brancher: DynamicBrancher::new(branchers),
            conflict,
            solver: Some(model.solver),
            resolver: ResolutionResolver::default(),
            end: model.end,
            starts: model.starts,
            spots: model.spots,
        })
    }

    /// Looks for a plan that ends by `latest` and in which all of these hold.
    pub fn solve(
        &mut self,
        instance: &Instance,
        latest: Millis,
        these: &[Predicate],
        patience: &mut impl TerminationCondition,
    ) -> Answer {
        let (Some(mut solver), Ok(latest)) = (self.solver.take(), i32::try_from(latest)) else {
            return Answer::Failed;
        };
        let end = self.end;
        let mut pause = Pause {
            patience,
            conflict: &self.conflict,
            has_begun: false,
            is_over: false,
        };
        let mut all = vec![predicate!(end <= latest)];
        all.extend(these);
        let answer = guarded(|| {
            let found = solver.satisfy_under_assumptions(
                &mut self.brancher,
                &mut pause,
                &mut self.resolver,
                &all,
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

/// Makes no decision, and tells of conflicts.
#[derive(Debug)]
struct Conflicts(Rc<Cell<bool>>);

impl Brancher for Conflicts {
    fn next_decision(&mut self, _: &mut SelectionContext) -> Option<Predicate> {
        None
    }

    fn on_conflict(&mut self) {
        self.0.set(true);
    }

    fn subscribe_to_events(&self) -> Vec<BrancherEvent> {
        vec![BrancherEvent::Conflict]
    }
}

/// Ends after a decision only: a solver that was stopped before any, as it may be after a conflict, cannot go on.
struct Pause<'p, P> {
    patience: &'p mut P,
    conflict: &'p Cell<bool>,
    has_begun: bool,
    is_over: bool,
}

impl<P: TerminationCondition> TerminationCondition for Pause<'_, P> {
    fn should_stop(&mut self) -> bool {
        self.is_over = self.is_over || self.patience.should_stop();
        let has_decided = !self.conflict.take() && self.has_begun;
        self.has_begun = true;
        self.is_over && has_decided
    }
}

/// Runs what may fail in the solver, which asserts much of itself: a plan must not be lost by that, nor the program.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
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

#[cfg(test)]
mod tests {
    use super::super::super::tariff::Aim;
    use super::*;
    use crate::model::Goal;
    use crate::solver::tests::problems::gangs;

    struct Steps(u64);

    impl TerminationCondition for Steps {
        fn should_stop(&mut self) -> bool {
            self.0 = self.0.saturating_sub(1);
            self.0 == 0
        }
    }

    #[test]
    fn a_prover_goes_on_wherever_it_was_stopped() {
        let mut problem = gangs(6, 2, 1);
        problem.goal = Goal::Makespan;
        let instance = Instance::new(&problem);
        let copies: Vec<usize> = (0..instance.copies()).collect();
        let jobs = Jobs::read(&instance, &copies).expect("small numbers");
        let latest = 2_000_000;
        let aim = Aim {
            horizon: latest as f64,
            is_flow: false,
            latest: &vec![latest as f64; jobs.jobs.len()],
            target: 0.0,
            rounds: 20,
        };
        let tariff = Tariff::learn(&jobs, aim, || false).expect("time enough");
        for steps in 1..40 {
            let mut prover = Prover::new(&jobs, &tariff, latest, Scope::Nodes).expect("a model");
            for end in 0..40 {
                let end = latest * (40 - end) / 80;
                let answer = prover.solve(&instance, end, &[], &mut Steps(steps));
                assert!(!matches!(answer, Answer::Failed), "{steps} steps, by {end}");
            }
        }
    }
}
