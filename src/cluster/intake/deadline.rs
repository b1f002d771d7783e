//! When the copies of each task are due.

use super::faults::Faults;
use crate::api::TaskBatchSpec;
use crate::model::{Millis, Task};

/// Gives each task the earlier of its own deadline and the batch's. A goal without a time axis has no ends.
pub fn read_deadlines(spec: &TaskBatchSpec, tasks: &mut [Task], faults: &mut Faults) {
    let all = faults.deadline("spec.deadline", spec.deadline.as_ref());
    let mut given: Vec<String> = Vec::new();
    given.extend(spec.deadline.as_ref().map(|_| "spec.deadline".into()));
    let mut own: Vec<Option<Millis>> = Vec::with_capacity(spec.tasks.len());
    for (index, task) in spec.tasks.iter().enumerate() {
        let field = format!("spec.tasks[{index}].deadline");
        own.push(faults.deadline(&field, task.deadline.as_ref()));
        given.extend(task.deadline.as_ref().map(|_| field));
    }
    let goal = spec.objective.goal;
    for field in given.iter().filter(|_| goal.is_static()) {
        let message = format!(
            "the goal {goal} has no time axis: take Makespan, FlowTime or Cost, or no deadline"
        );
        faults.add(field, message);
    }
    // Where a task could not be read the batch is refused anyhow.
    for (task, own) in tasks.iter_mut().zip(own) {
        task.deadline = own.into_iter().chain(all).min();
    }
}
