//! Why copies have no place, in words and numbers.

use crate::model::{CPU, MEMORY, Reason, Unplaced};

use super::allowance;
use super::instance::{Instance, ModeView, TaskView};
use super::schedule::Schedule;

/// The copies that the schedule leaves without a place.
pub(super) fn explain(instance: &Instance, schedule: &Schedule) -> Vec<Unplaced> {
    let missing: Vec<usize> = (0..instance.copies())
        .filter(|&copy| schedule.placed[copy].is_none())
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let free = free_beside(instance, schedule);
    let mut explained: Vec<(usize, Explanation)> = Vec::new();
    let mut unplaced = Vec::with_capacity(missing.len());
    for copy in missing {
        let task = instance.task_of[copy];
        if explained.last().is_none_or(|(of, _)| *of != task) {
            explained.push((task, explain_task(instance, schedule, task, &free)));
        }
        let Some((_, (reason, message, fix))) = explained.last() else {
            continue;
        };
        let planned = &instance.problem.tasks[task];
        unplaced.push(Unplaced {
            batch: instance.problem.batches[planned.batch].key.clone(),
            task: planned.name.clone(),
            copy: planned.copies[copy - instance.tasks[task].copies.start],
            reason: *reason,
            message: message.clone(),
            fix: fix.clone(),
        });
    }
    unplaced
}

type Explanation = (Reason, String, Option<String>);

fn explain_task(
    instance: &Instance,
    schedule: &Schedule,
    task: usize,
    free: &[Option<Vec<i64>>],
) -> Explanation {
    let view = &instance.tasks[task];
    let lacks = |&&before: &&usize| {
        instance.tasks[before]
            .copies
            .clone()
            .any(|copy| schedule.placed[copy].is_none())
    };
    if let Some(&before) = view.after.iter().find(|before| lacks(before)) {
        let message = format!(
            "waits for {}, which has no place",
            instance.problem.tasks[before].name
        );
        return (Reason::DependencyUnplaced, message, None);
    }
    if instance.problem.goal.is_static() {
        if let Some(mode) = view
            .modes
            .iter()
            .min_by(|one, other| one.share.total_cmp(&other.share))
        {
            return waiting(instance, mode, free);
        }
    } else if !instance.budgets.is_empty() && !view.modes.is_empty() {
        return (
            Reason::WaitingForCapacity,
            beyond_budget(instance, schedule, view),
            None,
        );
    } else if !view.modes.is_empty() {
        return (
            Reason::WaitingForCapacity,
            "would end after the last moment that can be counted".into(),
            None,
        );
    }
    (
        Reason::WaitingForCapacity,
        "no set of nodes has room for all its pods in any size".into(),
        None,
    )
}

/// Which budget has too little left for any mode, if one alone has.
fn beyond_budget(instance: &Instance, schedule: &Schedule, task: &TaskView) -> String {
    for (budget, left) in allowance::left(instance, schedule).into_iter().enumerate() {
        let least = task.modes.iter().map(|mode| mode.spends[budget]).min();
        if let Some(least) = least.filter(|least| *least > 0 && i128::from(*least) > left) {
            return format!("spends at least {least} of budget {budget}, of which {left} are left");
        }
    }
    "spends in every mode more of some budget than is left of it".into()
}

/// What the smallest mode lacks on the nodes that it may use.
fn waiting(instance: &Instance, mode: &ModeView, free: &[Option<Vec<i64>>]) -> Explanation {
    let classes = mode
        .runs
        .iter()
        .map(|run| &instance.problem.classes[run.class]);
    let nodes: Vec<usize> = classes
        .flat_map(|class| class.nodes.iter().copied())
        .collect();
    let freest = |resource: usize| {
        let free = nodes
            .iter()
            .filter_map(|&node| Some(free[node].as_ref()?[resource]));
        free.max().unwrap_or(0).max(0)
    };
    let resources = 0..instance.problem.resources.len();
    let plural = if nodes.len() == 1 { "node" } else { "nodes" };
    let short = resources
        .clone()
        .find(|&resource| mode.request.need[resource] > freest(resource));
    let Some(resource) = short else {
        let used = resources.filter(|&resource| mode.request.usage[resource] > 0);
        let all: Vec<String> = used
            .map(|resource| {
                amount(
                    &instance.problem.resources[resource],
                    mode.request.usage[resource],
                )
            })
            .collect();
        let pods = if mode.pods == 1 {
            String::new()
        } else {
            format!("{} pods, each with ", mode.pods)
        };
        let (all, count) = (all.join(", "), nodes.len());
        let message =
            format!("needs {pods}{all}; {count} {plural} have not all of it free at once");
        return (
            Reason::WaitingForCapacity,
            message,
            Some("one more node of that room".into()),
        );
    };
    let name = &instance.problem.resources[resource];
    let (need, most) = (mode.request.usage[resource], freest(resource));
    let (needs, has) = (amount(name, need), quantity(name, most));
    let message = format!(
        "needs {needs} on one node; the freest of {} {plural} has {has} free",
        nodes.len()
    );
    let fix = format!(
        "{} more on that node",
        amount(name, need.saturating_sub(most))
    );
    (Reason::WaitingForCapacity, message, Some(fix))
}

/// What is free on each node beside everything placed; only static goals ask for it.
fn free_beside(instance: &Instance, schedule: &Schedule) -> Vec<Option<Vec<i64>>> {
    let mut free: Vec<Option<Vec<i64>>> = vec![None; instance.problem.nodes.len()];
    if !instance.problem.goal.is_static() {
        return free;
    }
    for (node, class) in instance.class_of.iter().enumerate() {
        free[node] = class.map(|class| instance.classes[class].base.least_free());
    }
    for (copy, placed) in schedule.placed.iter().enumerate() {
        let Some(placed) = placed else { continue };
        let usage = &instance.task(copy).modes[placed.mode].request.usage;
        for &node in schedule.nodes(placed) {
            for (free, usage) in free[node].iter_mut().flatten().zip(usage) {
                *free = free.saturating_sub(*usage);
            }
        }
    }
    free
}

/// An amount with its resource, as people write it.
fn amount(name: &str, units: i64) -> String {
    format!("{} {name}", quantity(name, units))
}

/// An amount in the largest unit that divides it.
fn quantity(name: &str, units: i64) -> String {
    if name == CPU && units % 1000 != 0 {
        return format!("{units}m");
    }
    if name == CPU {
        return format!("{}", units / 1000);
    }
    let scales = [
        (1i64 << 40, "Ti"),
        (1 << 30, "Gi"),
        (1 << 20, "Mi"),
        (1 << 10, "Ki"),
    ];
    let scale = scales
        .iter()
        .find(|(scale, _)| units != 0 && units % scale == 0);
    match scale.filter(|_| name == MEMORY || name.starts_with("hugepages-")) {
        Some((scale, suffix)) => format!("{}{suffix}", units / scale),
        None => units.to_string(),
    }
}
