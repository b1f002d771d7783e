//! A batch that has changed a little, and its earlier plan in the words of the new problem.

use std::collections::BTreeMap;

use super::draw::Draw;
use super::families::moldable_task;
use super::world::World;
use crate::model::{Assignment, Plan, Problem};

/// One of so many tasks changes.
const SHARE: usize = 100;

/// The same world after 1 % of the tasks, at least one, were replaced by new ones.
pub(super) fn changed(world: &World, seed: u64) -> World {
    let mut after = world.clone();
    let draw = &mut Draw::new(seed ^ 0x5eed_c4a9_6e00);
    let tasks = after.batch.tasks.len();
    for round in 0..tasks.div_ceil(SHARE) {
        let index = draw.between(0, tasks as i64 - 1) as usize;
        // A new name: it is another task, and the earlier plan says nothing of it.
        let mut task = moldable_task(draw, index);
        task.name = format!("new{round:05}");
        after.batch.tasks[index] = task;
    }
    after
}

/// The part of a plan that still speaks of tasks in the new problem; tasks are known by their names.
pub(super) fn carried_over(plan: &Plan, before: &Problem, after: &Problem) -> Plan {
    let named = after.tasks.iter().enumerate();
    let place: BTreeMap<&str, usize> = named
        .map(|(index, task)| (task.name.as_str(), index))
        .collect();
    let carry = |one: &Assignment| {
        let task = *place.get(before.tasks[one.task].name.as_str())?;
        Some(Assignment {
            task,
            ..one.clone()
        })
    };
    Plan {
        assignments: plan.assignments.iter().filter_map(carry).collect(),
        unplaced: Vec::new(),
    }
}
