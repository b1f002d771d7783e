//! A checker that takes every rule literally: all pods, all moments.

use std::collections::BTreeMap;

use crate::model::{
    Assignment, Exact, Goal, Mode, Near, NodeClass, Outcome, Problem, Solution, ceil_i64, exact,
};

/// Panics where the solution breaks a rule.
pub fn check(problem: &Problem, solution: &Solution) {
    let plan = &solution.plan;
    let total = problem.copies() + problem.unplaceable.len();
    assert_eq!(
        plan.assignments.len() + plan.unplaced.len(),
        total,
        "every copy once"
    );
    assert!(
        plan.assignments
            .windows(2)
            .all(|pair| (pair[0].task, pair[0].copy) < (pair[1].task, pair[1].copy))
    );
    for assignment in &plan.assignments {
        check_assignment(problem, assignment);
    }
    for class in &problem.classes {
        for &node in &class.nodes {
            check_node(problem, plan.assignments.as_slice(), class, node);
        }
    }
    if problem.goal.is_static() {
        check_nothing_fits_beside(problem, solution);
    } else {
        check_order(problem, &plan.assignments);
    }
    assert_eq!(
        solution.objective,
        objective(problem, &plan.assignments),
        "objective"
    );
    assert_eq!(
        solution.tardiness,
        tardiness(problem, &plan.assignments),
        "tardiness"
    );
    assert!(solution.tardiness_bound <= solution.tardiness);
    check_outcome(problem, solution, total);
}

fn class_of(problem: &Problem, node: usize) -> (usize, &NodeClass) {
    let found = problem
        .classes
        .iter()
        .enumerate()
        .find(|(_, class)| class.nodes.contains(&node));
    found.expect("a node of some class")
}

fn check_assignment(problem: &Problem, assignment: &Assignment) {
    let task = &problem.tasks[assignment.task];
    let mode = &task.modes[assignment.mode];
    assert!(task.copies.contains(&assignment.copy));
    assert_eq!(assignment.nodes.len(), mode.pods as usize, "pods");
    let duration = duration(problem, mode, &assignment.nodes);
    assert_eq!(assignment.end - assignment.start, duration, "duration");
    assert!(
        are_near(problem, task.near, &assignment.nodes),
        "too far from each other"
    );
    let release = if problem.goal.is_static() {
        0
    } else {
        task.release
    };
    assert!(assignment.start >= release, "release");
    assert!(
        !problem.goal.is_static() || assignment.start == 0,
        "static plans start at once"
    );
}

/// What a copy takes on these nodes: its slowest pod, with the outermost level that two pods have between them.
pub fn duration(problem: &Problem, mode: &Mode, nodes: &[usize]) -> i64 {
    let pairs = || {
        nodes
            .iter()
            .flat_map(|&one| nodes.iter().map(move |&other| (one, other)))
    };
    let level = problem
        .levels
        .iter()
        .position(|tier| pairs().any(|(one, other)| tier.domains[one] != tier.domains[other]));
    let run = |&node: &usize| {
        let run = mode.run_on(class_of(problem, node).0);
        let run = run.expect("a class that the mode runs on");
        match level {
            Some(level) if !run.across.is_empty() => run.across[level],
            _ => run.duration,
        }
    };
    nodes.iter().map(run).max().expect("a pod")
}

/// Whether pods on these nodes are as near each other as they must be.
pub fn are_near(problem: &Problem, near: Near, nodes: &[usize]) -> bool {
    let Near::Within(level) = near else {
        return true;
    };
    let domain = |node: usize| match problem.levels.get(level) {
        Some(tier) => tier.domains[node],
        None => node,
    };
    nodes.iter().all(|&node| domain(node) == domain(nodes[0]))
}

fn overlaps(problem: &Problem, time: i64, from: i64, until: i64) -> bool {
    problem.goal.is_static() || (from <= time && time < until)
}

fn check_node(problem: &Problem, assignments: &[Assignment], class: &NodeClass, node: usize) {
    let here: Vec<(&Assignment, i128)> = assignments
        .iter()
        .map(|entry| {
            (
                entry,
                entry.nodes.iter().filter(|&&other| other == node).count() as i128,
            )
        })
        .filter(|(_, pods)| *pods > 0)
        .collect();
    let starts = here.iter().map(|(entry, _)| entry.start);
    let times: Vec<i64> = starts
        .chain(class.holds.iter().map(|hold| hold.from.max(0)))
        .collect();
    for &time in &times {
        for resource in 0..problem.resources.len() {
            let held: i128 = class
                .holds
                .iter()
                .zip(&class.held)
                .filter(|(hold, _)| hold.from <= time && time < hold.until)
                .map(|(_, held)| i128::from(held[resource]))
                .sum();
            let running = here
                .iter()
                .filter(|(entry, _)| overlaps(problem, time, entry.start, entry.end));
            let used: i128 = running
                .map(|(entry, pods)| {
                    let demand = problem.tasks[entry.task].modes[entry.mode].demand[resource];
                    pods * i128::from(demand.max(0))
                })
                .sum();
            let room = i128::from(class.free[resource]) - held;
            assert!(
                used == 0 || used <= room,
                "{used} of resource {resource} in {room} at {time} on {node}"
            );
        }
    }
}

fn check_order(problem: &Problem, assignments: &[Assignment]) {
    for entry in assignments {
        for &before in &problem.tasks[entry.task].after {
            let ends: Vec<i64> = assignments
                .iter()
                .filter(|other| other.task == before)
                .map(|other| other.end)
                .collect();
            assert_eq!(
                ends.len(),
                problem.tasks[before].copies.len(),
                "all predecessors are placed"
            );
            assert!(
                ends.iter().all(|end| *end <= entry.start),
                "after its predecessors"
            );
        }
    }
}

fn check_nothing_fits_beside(problem: &Problem, solution: &Solution) {
    let assignments = &solution.plan.assignments;
    let left = |node: usize| -> Vec<i128> {
        let (_, class) = class_of(problem, node);
        (0..problem.resources.len())
            .map(|resource| {
                let moments = class.holds.iter().map(|hold| hold.from.max(0)).chain([0]);
                let held = moments.map(|time| {
                    let in_force = class
                        .holds
                        .iter()
                        .zip(&class.held)
                        .filter(|(hold, _)| hold.from <= time && time < hold.until);
                    in_force
                        .map(|(_, held)| i128::from(held[resource]))
                        .sum::<i128>()
                });
                let used: i128 = assignments
                    .iter()
                    .map(|entry| {
                        let pods =
                            entry.nodes.iter().filter(|&&other| other == node).count() as i128;
                        pods * i128::from(
                            problem.tasks[entry.task].modes[entry.mode].demand[resource].max(0),
                        )
                    })
                    .sum();
                i128::from(class.free[resource]) - held.max().unwrap_or(0) - used
            })
            .collect()
    };
    for unplaced in &solution.plan.unplaced {
        let Some(task) = problem.tasks.iter().find(|task| task.name == unplaced.task) else {
            continue;
        };
        for mode in &task.modes {
            let nodes = mode.runs.iter().flat_map(|run| {
                problem.classes[run.class]
                    .nodes
                    .iter()
                    .map(|&node| (node, run.slots))
            });
            let mut slots = BTreeMap::<usize, i128>::new();
            for (node, own) in nodes.map(|(node, most)| {
                let left = left(node);
                let each = mode
                    .demand
                    .iter()
                    .zip(&left)
                    .filter(|(demand, _)| **demand > 0);
                let own = each
                    .map(|(demand, left)| (left / i128::from(*demand)).max(0))
                    .min()
                    .unwrap_or(i128::MAX)
                    .min(i128::from(most));
                (node, own)
            }) {
                let domain = match task.near {
                    Near::Within(level) => match problem.levels.get(level) {
                        Some(tier) => tier.domains[node],
                        None => node,
                    },
                    _ => 0,
                };
                *slots.entry(domain).or_default() += own;
            }
            assert!(
                slots.values().all(|slots| *slots < i128::from(mode.pods)),
                "{} fits beside all that is placed",
                task.name
            );
        }
    }
}

/// The weighted tardiness from the plan alone.
pub fn tardiness(problem: &Problem, assignments: &[Assignment]) -> i128 {
    let late = |entry: &Assignment| {
        let task = &problem.tasks[entry.task];
        let due = task.due.filter(|_| !problem.goal.is_static());
        due.map_or(0, |due| {
            (i128::from(entry.end) - i128::from(due)).max(0) * i128::from(task.weight)
        })
    };
    assignments.iter().map(late).fold(0, i128::saturating_add)
}

/// The objective from the plan alone.
pub fn objective(problem: &Problem, assignments: &[Assignment]) -> i64 {
    let value = |entry: &Assignment| -> i128 {
        let task = &problem.tasks[entry.task];
        match problem.goal {
            Goal::FlowTime => i128::from(task.weight) * i128::from(entry.end),
            Goal::Cost => entry
                .nodes
                .iter()
                .map(|&node| pod_cost(problem, entry, node))
                .sum(),
            _ => i128::from(task.modes[entry.mode].value),
        }
    };
    let total: i128 = if problem.goal == Goal::Makespan {
        let ends = |batch: usize| {
            assignments
                .iter()
                .filter(move |entry| problem.tasks[entry.task].batch == batch)
                .map(|entry| entry.end)
        };
        let batches = problem.batches.iter().enumerate();
        batches
            .map(|(index, batch)| {
                i128::from(batch.weight) * i128::from(ends(index).max().unwrap_or(0))
            })
            .fold(0, i128::saturating_add)
    } else {
        assignments.iter().map(value).fold(0, i128::saturating_add)
    };
    i64::try_from(total).unwrap_or(i64::MAX)
}

fn pod_cost(problem: &Problem, entry: &Assignment, node: usize) -> i128 {
    let mode = &problem.tasks[entry.task].modes[entry.mode];
    let run = mode.run_on(class_of(problem, node).0).expect("a run");
    let price: Exact = &run.price * exact(entry.end - entry.start);
    i128::from(ceil_i64(&price).unwrap_or(i64::MAX))
}

fn check_outcome(problem: &Problem, solution: &Solution, total: usize) {
    let placed = solution.plan.assignments.len();
    let expected = if total == 0 {
        Outcome::Unknown
    } else if placed == 0 {
        Outcome::Infeasible
    } else if solution.objective == solution.bound && solution.tardiness == solution.tardiness_bound
    {
        Outcome::Optimal
    } else {
        Outcome::Feasible
    };
    assert_eq!(solution.outcome, expected);
    let sign = if problem.goal.is_maximised() { -1 } else { 1 };
    assert!(
        sign * i128::from(solution.bound) <= sign * i128::from(solution.objective),
        "{} {} against {}",
        solution.bound_name,
        solution.bound,
        solution.objective
    );
}
