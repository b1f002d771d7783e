//! Assignments with all their indices followed, and whether their times are right.

use super::{Ground, Violation, near};
use crate::model::{Assignment, Mode, Plan, PlannedTask, Run};

/// An assignment that points to a task, a mode, and as many nodes that the mode runs on as it has pods.
pub(super) struct Placed<'a> {
    pub(super) assignment: &'a Assignment,
    pub(super) task: &'a PlannedTask,
    pub(super) mode: &'a Mode,
    /// How the mode runs on the node of each pod.
    pub(super) runs: Vec<&'a Run>,
}

/// Follows the indices of every assignment, and leaves out those that point to nothing.
pub(super) fn read<'a>(
    ground: &Ground<'a>,
    plan: &'a Plan,
    found: &mut Vec<Violation>,
) -> Vec<Placed<'a>> {
    let mut placed = Vec::with_capacity(plan.assignments.len());
    for assignment in &plan.assignments {
        // A task that is not there has been reported where the copies are counted.
        let Some(task) = ground.problem.tasks.get(assignment.task) else {
            continue;
        };
        match follow(ground, assignment, task) {
            Ok(one) => placed.push(one),
            Err(violation) => found.push(*violation),
        }
    }
    placed
}

fn follow<'a>(
    ground: &Ground<'a>,
    assignment: &'a Assignment,
    task: &'a PlannedTask,
) -> Result<Placed<'a>, Box<Violation>> {
    let copy = || ground.copy_name(task, assignment.copy);
    let mode = task.modes.get(assignment.mode).ok_or_else(|| {
        Box::new(Violation::NoSuchMode {
            copy: copy(),
            mode: assignment.mode,
            modes: task.modes.len(),
        })
    })?;
    if u64::from(mode.pods) != assignment.nodes.len() as u64 || assignment.nodes.is_empty() {
        return Err(Box::new(Violation::PodCount {
            copy: copy(),
            pods: mode.pods,
            nodes: assignment.nodes.len(),
        }));
    }
    let run = |&node| {
        run_on(ground, mode, node).ok_or_else(|| Box::new(stray(ground, assignment, task, node)))
    };
    let runs = assignment.nodes.iter().map(run).collect::<Result<_, _>>()?;
    Ok(Placed {
        assignment,
        task,
        mode,
        runs,
    })
}

fn run_on<'a>(ground: &Ground, mode: &'a Mode, node: usize) -> Option<&'a Run> {
    let (class, _) = ground.class(node)?;
    mode.run_on(class)
}

/// What is wrong with a node that the mode of the assignment does not run on.
fn stray(ground: &Ground, assignment: &Assignment, task: &PlannedTask, node: usize) -> Violation {
    let copy = ground.copy_name(task, assignment.copy);
    let nodes = ground.problem.nodes.len();
    if node < nodes {
        let (node, mode) = (ground.node_name(node), assignment.mode);
        Violation::NodeNotAllowed { copy, node, mode }
    } else {
        Violation::NoSuchNode { copy, node, nodes }
    }
}

/// Starts are neither in the past nor before the release, and the end follows from the slowest node and from the
/// outermost level of the network that the pods span. A static goal has no time axis: everything starts at 0, whatever
/// its release.
pub(super) fn check_times(ground: &Ground, placed: &[Placed], found: &mut Vec<Violation>) {
    let goal = ground.problem.goal;
    for one in placed {
        let Assignment {
            start, end, copy, ..
        } = *one.assignment;
        let copy = || ground.copy_name(one.task, copy);
        let earliest = one.task.release.max(0);
        if goal.is_static() && start != 0 {
            let copy = copy();
            found.push(Violation::NotAtOnce { copy, start, goal });
        } else if !goal.is_static() && start < earliest {
            let copy = copy();
            found.push(Violation::TooEarly {
                copy,
                start,
                earliest,
            });
        }
        let pods = one.runs.iter().zip(&one.assignment.nodes);
        let level = near::spanned(ground, &one.assignment.nodes);
        let Some((slowest, &node)) = pods.max_by_key(|(run, _)| run.lasting(level)) else {
            continue;
        };
        if i128::from(end) - i128::from(start) != i128::from(slowest.lasting(level)) {
            found.push(Violation::WrongEnd {
                copy: copy(),
                start,
                end,
                duration: slowest.lasting(level),
                node: ground.node_name(node),
            });
        }
    }
}
