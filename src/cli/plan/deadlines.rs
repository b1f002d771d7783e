//! Which deadlines a plan misses, and which no plan can meet.

use crate::cli::number::seconds;
use crate::model::{Assignment, Millis, Problem, Solution};

/// How a copy stands to its deadline.
pub struct Standing {
    /// When it is due.
    pub due: Millis,
    /// When it is planned to end.
    pub end: Millis,
    /// Before this it ends in no plan.
    pub earliest: Millis,
}

impl Standing {
    /// Of a placed copy; `None` where it is not due.
    pub fn of(problem: &Problem, solution: &Solution, one: &Assignment) -> Option<Self> {
        Some(Self {
            due: problem.due(&problem.tasks[one.task])?,
            end: one.end,
            earliest: solution.earliest_ends.get(one.task).copied()?,
        })
    }

    /// Whether it is planned to end in time.
    pub fn is_met(&self) -> bool {
        self.end <= self.due
    }

    /// Whether some plan may end it in time.
    pub fn is_possible(&self) -> bool {
        self.earliest <= self.due
    }

    /// For the table: `600.0s, met`.
    pub fn words(&self) -> String {
        let due = seconds(self.due);
        let late = || seconds(self.end.saturating_sub(self.due));
        match (self.is_met(), self.is_possible()) {
            (true, _) => format!("{due}, met"),
            (false, true) => format!("{due}, late {}", late()),
            (false, false) => format!("{due}, late {}, cannot be met", late()),
        }
    }
}

/// A line for each task with late copies.
pub fn warnings(problem: &Problem, solution: &Solution) -> Vec<String> {
    let late = |one: &&Assignment| {
        Standing::of(problem, solution, one).is_some_and(|standing| !standing.is_met())
    };
    let late: Vec<&Assignment> = solution.plan.assignments.iter().filter(late).collect();
    let of_tasks = late.chunk_by(|one, other| one.task == other.task);
    of_tasks
        .filter_map(|of_task| {
            let last = of_task.iter().max_by_key(|one| one.end)?;
            let task = &problem.tasks[last.task];
            let standing = Standing::of(problem, solution, last)?;
            let name = format!("{}/{}", problem.batches[task.batch].key, task.name);
            let which = match (of_task.len(), task.copies.len()) {
                (1, 1) => String::new(),
                (some, all) => format!(", {some} of {all} copies"),
            };
            let (due, end) = (seconds(standing.due), seconds(standing.end));
            let why = match standing.is_possible() {
                false => format!(
                    "cannot be met: alone on these nodes it ends at {} at the earliest",
                    seconds(standing.earliest)
                ),
                true => "whether another plan can meet it is not known".into(),
            };
            Some(format!(
                "{name}{which}: due at {due}, planned to end at {end}; {why}"
            ))
        })
        .collect()
}
