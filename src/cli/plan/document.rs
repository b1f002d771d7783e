//! A plan for programs: fields, their order and their types are a contract.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::deadlines::Standing;
use crate::cluster::quantity;
use crate::model::{
    Algorithm, Assignment, Binding, Goal, Millis, Outcome, Problem, Resources, Solution, Unit,
    Unplaced,
};

/// Tasks whose pods kube-scheduler binds: `namespace/name` of the batch, and the name of the task.
pub type Delegated<'a> = BTreeSet<(&'a str, &'a str)>;

/// A plan and its proof.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document<'a> {
    goal: Goal,
    algorithm: Algorithm,
    found_by: Algorithm,
    seed: u64,
    elapsed_ms: u64,
    outcome: Word,
    objective: i64,
    /// Of a goal that is minimised.
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_bound: Option<i64>,
    /// Of a goal that is maximised.
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_bound: Option<i64>,
    bound_name: &'static str,
    gap: Option<f64>,
    unit: Unit,
    /// Weighted; where something is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    tardiness_ms: Option<i64>,
    /// No plan has less.
    #[serde(skip_serializing_if = "Option::is_none")]
    tardiness_bound: Option<i64>,
    assignments: Vec<Placed<'a>>,
    unplaced: Vec<Waiting<'a>>,
}

/// An outcome by its name.
#[derive(Clone, Copy, Debug, Serialize)]
enum Word {
    Optimal,
    Feasible,
    Infeasible,
    Unknown,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Placed<'a> {
    batch: &'a str,
    task: &'a str,
    copy: u32,
    start_ms: Millis,
    end_ms: Millis,
    variant: Option<&'a str>,
    /// Who binds the pods, where that is kube-scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    flavor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binding: Option<Binding>,
    /// Where it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Deadline>,
    /// Of a gang, where the levels of the network are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    topology: Option<Span<'a>>,
    pods: Vec<Pod<'a>>,
}

/// The outermost level of the network that a gang spans, and what that costs it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    level: &'a str,
    communicate_ms: Millis,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Deadline {
    due_ms: Millis,
    met: bool,
    /// Before this it ends in no plan.
    earliest_end_ms: Millis,
}

impl Deadline {
    fn of(standing: &Standing) -> Self {
        Self {
            due_ms: standing.due,
            met: standing.is_met(),
            earliest_end_ms: standing.earliest,
        }
    }
}

#[derive(Debug, Serialize)]
struct Pod<'a> {
    index: usize,
    node: &'a str,
    requests: BTreeMap<&'a str, String>,
}

#[derive(Debug, Serialize)]
struct Waiting<'a> {
    batch: &'a str,
    task: &'a str,
    copy: u32,
    reason: &'a str,
    message: &'a str,
    fix: Option<String>,
}

impl<'a> Document<'a> {
    /// The document of a verified plan.
    pub fn new(
        problem: &'a Problem,
        solution: &'a Solution,
        elapsed: Duration,
        delegated: &Delegated<'_>,
    ) -> Self {
        let maximised = problem.goal.is_maximised();
        let mut assignments: Vec<_> = solution.plan.assignments.iter().collect();
        assignments.sort();
        let has_dues = problem.has_dues();
        Self {
            goal: problem.goal,
            algorithm: solution.algorithm,
            found_by: solution.found_by,
            seed: solution.seed,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            outcome: Word::of(solution.outcome),
            objective: solution.objective,
            lower_bound: (!maximised).then_some(solution.bound),
            upper_bound: maximised.then_some(solution.bound),
            bound_name: solution.bound_name,
            gap: solution.gap(),
            unit: problem.goal.unit(),
            tardiness_ms: has_dues.then(|| narrow(solution.tardiness)),
            tardiness_bound: has_dues.then(|| narrow(solution.tardiness_bound)),
            assignments: assignments
                .into_iter()
                .map(|one| Placed::new(problem, solution, one, delegated))
                .collect(),
            unplaced: solution.plan.unplaced.iter().map(Waiting::new).collect(),
        }
    }
}

impl Word {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Optimal => Word::Optimal,
            Outcome::Feasible => Word::Feasible,
            Outcome::Infeasible => Word::Infeasible,
            Outcome::Unknown => Word::Unknown,
        }
    }
}

impl<'a> Placed<'a> {
    fn new(
        problem: &'a Problem,
        solution: &Solution,
        one: &Assignment,
        delegated: &Delegated<'_>,
    ) -> Self {
        let task = &problem.tasks[one.task];
        let requests = quantities(&task.modes[one.mode].requests);
        let pod = |(index, node): (usize, &usize)| Pod {
            index,
            node: &problem.nodes[*node],
            requests: requests.clone(),
        };
        let batch = problem.batches[task.batch].key.as_str();
        let name = (batch, task.name.as_str());
        Self {
            batch,
            task: &task.name,
            copy: one.copy,
            start_ms: one.start,
            end_ms: one.end,
            variant: None,
            flavor: task.modes[one.mode].flavor.as_deref(),
            binding: delegated.contains(&name).then_some(Binding::Delegate),
            deadline: Standing::of(problem, solution, one)
                .as_ref()
                .map(Deadline::of),
            topology: problem.level_of(one).map(|level| Span {
                level,
                communicate_ms: problem.communication(one),
            }),
            pods: one.nodes.iter().enumerate().map(pod).collect(),
        }
    }
}

impl<'a> Waiting<'a> {
    fn new(one: &'a Unplaced) -> Self {
        Self {
            batch: &one.batch,
            task: &one.task,
            copy: one.copy,
            reason: one.reason.as_str(),
            message: &one.message,
            fix: one.fix.as_ref().map(ToString::to_string),
        }
    }
}

/// What does not fit 64 bits is the largest that does.
fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn quantities(requests: &Resources) -> BTreeMap<&str, String> {
    let written = |(name, amount)| (name, quantity::format(name, amount));
    requests.iter().map(written).collect()
}
