//! What can be wrong with a plan.

use std::fmt;

use crate::model::{Goal, Millis, Outcome};

/// One copy of a task, by its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyName {
    /// `namespace/name` of the batch.
    pub batch: String,
    /// Name of the task.
    pub task: String,
    /// Index of the copy.
    pub copy: u32,
}

impl fmt::Display for CopyName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}[{}]", self.batch, self.task, self.copy)
    }
}

/// A rule that a plan breaks. Times are in ms, amounts in the unit of the resource.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum Violation {
    /// An assignment points to a task that is not there.
    #[error("assignment {assignment} is of task {task}, there are {tasks}")]
    NoSuchTask {
        assignment: usize,
        task: usize,
        tasks: usize,
    },
    /// A copy is assigned that does not want a place.
    #[error("{copy} is assigned, but is none of the copies to place")]
    NoSuchCopy { copy: CopyName },
    /// A copy is said to be unplaced that is not in the problem.
    #[error("{copy} is unplaced, but not in the problem")]
    NotAsked { copy: CopyName },
    /// A copy is neither assigned nor unplaced.
    #[error("{copy} is neither assigned nor unplaced")]
    Missing { copy: CopyName },
    /// A copy is in the plan more than once.
    #[error("{copy} is {times} times in the plan")]
    Repeated { copy: CopyName, times: usize },
    /// An assignment points to a mode that the task does not have.
    #[error("{copy} runs in mode {mode}, the task has {modes}")]
    NoSuchMode {
        copy: CopyName,
        mode: usize,
        modes: usize,
    },
    /// A copy has more or fewer nodes than pods.
    #[error("{copy} has {pods} pods on {nodes} nodes; each pod needs one")]
    PodCount {
        copy: CopyName,
        pods: u32,
        nodes: usize,
    },
    /// An assignment points to a node that is not there.
    #[error("{copy} is on node {node}, there are {nodes}")]
    NoSuchNode {
        copy: CopyName,
        node: usize,
        nodes: usize,
    },
    /// A pod is on a node that its mode cannot run on.
    #[error("{copy} is on node {node}, where its mode {mode} does not run")]
    NodeNotAllowed {
        copy: CopyName,
        node: String,
        mode: usize,
    },
    /// A copy starts in the past or before its release.
    #[error("{copy} starts at {start} ms, before {earliest} ms")]
    TooEarly {
        copy: CopyName,
        start: Millis,
        earliest: Millis,
    },
    /// A copy under a static goal does not start at 0.
    #[error("{copy} starts at {start} ms, under {goal} everything starts at 0")]
    NotAtOnce {
        copy: CopyName,
        start: Millis,
        goal: Goal,
    },
    /// The end is not start plus duration.
    #[error("{copy} runs from {start} to {end} ms, but takes {duration} ms on node {node}")]
    WrongEnd {
        copy: CopyName,
        start: Millis,
        end: Millis,
        duration: Millis,
        node: String,
    },
    /// Pods that must be in one domain of the network are in two.
    #[error("{copy} is on nodes {one} and {other}, but must be within one {level}")]
    Scattered {
        copy: CopyName,
        level: String,
        one: String,
        other: String,
    },
    /// A copy is placed behind a task that is not.
    #[error(
        "{copy} is placed, but waits for {dependency}, of which {placed} of {copies} copies are"
    )]
    DependencyUnplaced {
        copy: CopyName,
        dependency: String,
        placed: usize,
        copies: usize,
    },
    /// A copy starts before a task that it waits for has ended.
    #[error("{copy} starts at {start} ms, but waits for {dependency}, which ends at {end} ms")]
    BeforeDependency {
        copy: CopyName,
        dependency: String,
        start: Millis,
        end: Millis,
    },
    /// More is used on a node than is free.
    #[error(
        "node {node} has {free} {resource} free, but at {at} ms planned pods use {planned} and others hold {held}"
    )]
    Overload {
        node: String,
        resource: String,
        at: Millis,
        planned: i128,
        held: i128,
        free: i64,
    },
    /// A pod of a copy that takes no time asks for more than is free.
    #[error("{copy} asks for {demand} {resource} on node {node}, which has {free} free")]
    TooLarge {
        copy: CopyName,
        node: String,
        resource: String,
        demand: i64,
        free: i64,
    },
    /// More is used up than a budget allows.
    #[error("the plan uses up {spent} of budget {budget}, which allows {most}")]
    OverBudget {
        budget: usize,
        spent: i128,
        most: i128,
    },
    /// A copy is unplaced although there is room for it.
    #[error("{copy} is unplaced, but there is room for its mode {mode} with {pods} pods")]
    LeftOut {
        copy: CopyName,
        mode: usize,
        pods: u32,
    },
    /// The objective cannot be counted in 128 bits.
    #[error("the value of {goal} does not fit 128 bits")]
    Uncountable { goal: Goal },
    /// The objective is another one.
    #[error("the objective is said to be {stated}, {goal} counts {counted}")]
    WrongObjective {
        goal: Goal,
        stated: i64,
        counted: i128,
    },
    /// The bound is on the wrong side of the objective.
    #[error("the bound of {goal} is said to be {bound}, the plan has {objective}")]
    WrongBound {
        goal: Goal,
        bound: i64,
        objective: i128,
    },
    /// The tardiness is another one.
    #[error("the tardiness is said to be {stated} ms, it is {counted} ms")]
    WrongTardiness { stated: i128, counted: i128 },
    /// The bound on the tardiness is above it, or below 0.
    #[error("the bound of the tardiness is said to be {bound} ms, the plan has {tardiness} ms")]
    WrongTardinessBound { bound: i128, tardiness: i128 },
    /// There is not one earliest end for each task, or some although nothing is due.
    #[error("there are earliest ends of {stated} tasks, there should be {expected}")]
    WrongEarliestEnds { stated: usize, expected: usize },
    /// A copy ends before its earliest end.
    #[error("{copy} ends at {end} ms, but its earliest end is said to be {earliest} ms")]
    SoonerThanEarliest {
        copy: CopyName,
        end: Millis,
        earliest: Millis,
    },
    /// The outcome is not what objective and bound say.
    #[error("the outcome is said to be {stated:?}, it is {expected:?}")]
    WrongOutcome { stated: Outcome, expected: Outcome },
    /// The gap is not what objective and bound say.
    #[error("the gap is said to be {stated:?} with objective {objective} and bound {bound}")]
    WrongGap {
        stated: Option<f64>,
        objective: i64,
        bound: i64,
    },
}
