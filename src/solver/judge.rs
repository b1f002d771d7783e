//! What is known of a plan that was put together from the plans of several groups.

use std::collections::HashMap;

use crate::model::{Algorithm, Outcome, Plan, Problem, Solution};

use super::bounds::Learnt;
use super::goals::Score;
use super::incumbent::Incumbent;
use super::instance::Instance;
use super::schedule::Schedule;

/// Rounds of learning for the bound.
const ROUNDS: usize = 60;

/// A plan with its score, and bounds over all plans that place the same copies. `None` where the plan is none of
/// this problem.
pub fn judge(problem: &Problem, plan: Plan, algorithm: Algorithm) -> Option<Solution> {
    let instance = Instance::with_all_modes(problem);
    let schedule = schedule_of(&instance, &plan)?;
    let score = Score::of(&instance, &schedule);
    let mut judged = Incumbent::new(&instance, schedule, score, algorithm, None);
    if let Some(mut learnt) = Learnt::new(&instance, &judged.counts) {
        learnt.improve(ROUNDS, || false);
        let bound = learnt.bound();
        if bound.value > judged.bound.value {
            judged.bound = bound;
        }
    }
    let outcome = match plan.assignments.is_empty() {
        true if plan.unplaced.is_empty() => Outcome::Unknown,
        true => Outcome::Infeasible,
        false => judged.outcome(&instance),
    };
    Some(Solution {
        outcome,
        objective: judged.objective(&instance),
        bound: judged.bound.value,
        bound_name: judged.bound.name,
        tardiness: judged.score.tardiness,
        tardiness_bound: judged.tardiness_bound,
        earliest_ends: instance.earliest_ends.clone(),
        algorithm,
        found_by: algorithm,
        seed: 0,
        iterations: 0,
        plan,
    })
}

fn schedule_of(instance: &Instance, plan: &Plan) -> Option<Schedule> {
    let mut copies: HashMap<(usize, u32), usize> = HashMap::new();
    for (index, task) in instance.tasks.iter().enumerate() {
        let numbers = &instance.problem.tasks[index].copies;
        let each = numbers.iter().zip(task.copies.clone());
        copies.extend(each.map(|(&number, copy)| ((index, number), copy)));
    }
    let mut schedule = Schedule::default();
    schedule.clear(instance.copies());
    for one in &plan.assignments {
        let copy = *copies.get(&(one.task, one.copy))?;
        let mut modes = instance.task(copy).modes.iter();
        let mode = modes.position(|mode| mode.index == one.mode)?;
        schedule.place(copy, mode, (one.start, one.end), one.nodes.iter().copied());
    }
    Some(schedule)
}
