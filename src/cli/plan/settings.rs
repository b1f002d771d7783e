//! How to plan: what the command line says, else what the batches say.

use std::fmt::Display;
use std::time::Duration;

use super::{Error, PlanArgs, earlier};
use crate::cli::manifest::Manifest;
use crate::cluster::duration as text;
use crate::model::{Algorithm, Earlier, Goal, ceil_i64};

/// When a search ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After this long.
    Time(Duration),
    /// After so many plans: for exact replay.
    Iterations(u64),
}

impl Display for Limit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Time(most) => out.write_str(&text::format(
                i64::try_from(most.as_millis()).unwrap_or(i64::MAX),
            )),
            Limit::Iterations(most) => write!(out, "{most} iterations"),
        }
    }
}

/// How to plan.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the plan is to be good at.
    pub goal: Goal,
    /// Which search.
    pub algorithm: Algorithm,
    /// When it ends.
    pub limit: Limit,
    /// Seed of the search.
    pub seed: u64,
    /// Number of threads; 0 is one for each core.
    pub threads: usize,
    /// The plan to start from.
    pub earlier: Option<Earlier>,
    /// Choices that were made for lack of an option.
    pub notes: Vec<String>,
}

impl Settings {
    /// The command line comes first. Batches that differ in their goal need one from there; of anything else
    /// the first batch's is taken, and a note says so.
    pub fn of(args: &PlanArgs, batches: &[Manifest]) -> Result<Self, Error> {
        let mut notes = Vec::new();
        let goal = match args.goal {
            Some(goal) => goal,
            None => common_goal(batches)?,
        };
        refuse_deadlines(goal, batches)?;
        let algorithm = |one: &Manifest| one.wire.spec.optimizer.algorithm;
        let seed = |one: &Manifest| u64::try_from(one.wire.spec.optimizer.seed).unwrap_or(0);
        let given = args
            .time_limit
            .map(Limit::Time)
            .or(args.iterations.map(Limit::Iterations));
        Ok(Self {
            goal,
            algorithm: first(
                "--algorithm",
                args.algorithm,
                batches,
                algorithm,
                &mut notes,
            ),
            limit: first(
                "--time-limit or --iterations",
                given,
                batches,
                limit,
                &mut notes,
            ),
            seed: first("--seed", args.seed, batches, seed, &mut notes),
            threads: args.threads.map_or(0, usize::from),
            earlier: args.from.as_deref().map(earlier::read).transpose()?,
            notes,
        })
    }
}

fn common_goal(batches: &[Manifest]) -> Result<Goal, Error> {
    let goal = |one: &Manifest| one.batch.goal;
    let first = batches.first().map(goal).unwrap_or_default();
    match batches.iter().find(|one| goal(one) != first) {
        None => Ok(first),
        Some(other) => Err(Error::Usage(format!(
            "the batches have different goals: {first} of {}, {} of {}; choose one with --goal",
            batches[0].batch.key,
            goal(other),
            other.batch.key
        ))),
    }
}

/// A goal of the command line may have no time axis although a batch has deadlines.
fn refuse_deadlines(goal: Goal, batches: &[Manifest]) -> Result<(), Error> {
    let has_deadline = |one: &&Manifest| one.batch.tasks.iter().any(|task| task.deadline.is_some());
    match batches.iter().find(has_deadline) {
        Some(one) if goal.is_static() => Err(Error::Usage(format!(
            "{} has deadlines, and {goal} has no time axis; take Makespan, FlowTime or Cost",
            one.batch.key
        ))),
        _ => Ok(()),
    }
}

fn limit(one: &Manifest) -> Limit {
    let optimizer = &one.wire.spec.optimizer;
    let iterations = optimizer
        .iterations
        .and_then(|most| u64::try_from(most).ok());
    match iterations {
        Some(most) => Limit::Iterations(most),
        None => Limit::Time(duration(&optimizer.time_limit).unwrap_or_default()),
    }
}

/// The option, else what the first batch says, with a note where another one says something else.
fn first<T: PartialEq + Copy + Display>(
    option: &str,
    given: Option<T>,
    batches: &[Manifest],
    of: impl Fn(&Manifest) -> T,
    notes: &mut Vec<String>,
) -> T {
    if let Some(value) = given {
        return value;
    }
    // There is at least one batch: a file without any is refused.
    let value = of(&batches[0]);
    if let Some(other) = batches.iter().find(|one| of(one) != value) {
        notes.push(format!(
            "{value} of {} is used, not {} of {}; {option} chooses",
            batches[0].batch.key,
            of(other),
            other.batch.key
        ));
    }
    value
}

/// Reads a duration such as `2s` or `1h30m`.
pub fn duration(given: &str) -> Result<Duration, String> {
    text::parse(given)
        .and_then(|millis| u64::try_from(ceil_i64(&millis)?).ok())
        .map(Duration::from_millis)
        .ok_or_else(|| "must be a duration such as 500ms, 2s or 1m30s".into())
}
