//! One instance, one search, one limit: solved, checked and measured.

use std::time::{Duration, Instant};

use super::memory::{self, Peak};
use super::row::Row;
use super::{Case, Limit};
use crate::cli::Error;
use crate::model::{Algorithm, Assignment, Earlier, Problem, Solution};
use crate::solver::{self, Budget, Improvement, Options};
use crate::verify;

/// How to search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    pub(super) algorithm: Algorithm,
    pub(super) limit: Limit,
    pub(super) seed: u64,
}

/// A checked plan and what it took.
pub(super) struct Measured {
    pub(super) solution: Solution,
    /// From the start until the first plan; nothing without one.
    first: Option<Duration>,
    elapsed: Duration,
    peak: Option<Peak>,
}

impl Search {
    /// Searches in this thread pool, from an earlier plan where there is one. A plan that does not pass the
    /// check is an error: a mistake in this program.
    pub(super) fn run(
        self,
        pool: &rayon::ThreadPool,
        problem: &Problem,
        earlier: Option<&Earlier>,
    ) -> Result<Measured, Error> {
        let is_reset = memory::reset();
        let started = Instant::now();
        let (iterations, time) = match self.limit {
            Limit::Iterations(most) => (Some(most), None),
            Limit::Time(most) => (None, Some(most.as_secs_f64().max(f64::MIN_POSITIVE))),
        };
        let spent = || time.map_or(0.0, |most| started.elapsed().as_secs_f64() / most);
        let options = Options {
            algorithm: self.algorithm,
            seed: self.seed,
            budget: Budget {
                iterations,
                spent: &spent,
            },
        };
        let mut first = None;
        let mut listener = |_: &Improvement| {
            first.get_or_insert_with(|| started.elapsed());
        };
        let solution = pool.install(|| solver::solve(problem, &options, earlier, &mut listener));
        let elapsed = started.elapsed();
        let peak = memory::peak(is_reset);
        verify::check(problem, &solution).map_err(|violations| {
            let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
            Error::Unverified(lines.join("\n"))
        })?;
        Ok(Measured {
            solution,
            first,
            elapsed,
            peak,
        })
    }
}

impl Measured {
    /// The row that tells it.
    pub(super) fn row(
        &self,
        case: &Case,
        problem: &Problem,
        search: Search,
        compile: Duration,
    ) -> Row {
        let solution = &self.solution;
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        Row {
            instance: case.to_string(),
            tasks: problem.copies() + problem.unplaceable.len(),
            nodes: problem.nodes.len(),
            goal: problem.goal,
            seed: search.seed,
            algorithm: search.algorithm,
            limit: search.limit.to_string(),
            objective: solution.objective,
            bound: solution.bound,
            bound_name: solution.bound_name,
            gap: solution.gap(),
            unit: problem.goal.unit(),
            unplaced: solution.plan.unplaced.len(),
            late: late(problem, solution),
            compile_ms: millis(compile),
            first_plan_ms: self.first.map(millis),
            elapsed_ms: millis(self.elapsed),
            iterations: solution.iterations,
            iterations_per_second: (solution.iterations as f64 / seconds).round() as u64,
            peak_memory_bytes: self.peak.map(|peak| peak.bytes),
            peak_memory_of: self
                .peak
                .map(|peak| if peak.is_reset { "row" } else { "process" }),
            outcome: format!("{:?}", solution.outcome),
            found_by: solution.found_by,
        }
    }
}

/// Copies that end after they are due; nothing where none is due.
fn late(problem: &Problem, solution: &Solution) -> Option<usize> {
    let is_late = |one: &&Assignment| {
        let due = problem.due(&problem.tasks[one.task]);
        due.is_some_and(|due| one.end > due)
    };
    let late = solution.plan.assignments.iter().filter(is_late).count();
    problem.has_dues().then_some(late)
}

/// To the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}
