//! Why copies have no place, in words and numbers.

use crate::model::host_port::is_host_port;
use crate::model::{Fix, HOST, Near, Reason, Resources, Unplaced, quantity};

use super::decoder::allowance;
use super::instance::profile::Profile;
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

type Explanation = (Reason, String, Option<Fix>);

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
        let fix = Some(Fix::PlaceDependencies);
        return (Reason::DependencyUnplaced, message, fix);
    }
    let smallest = view
        .modes
        .iter()
        .min_by(|one, other| one.share.total_cmp(&other.share));
    match smallest {
        Some(mode) if instance.problem.goal.is_static() => waiting(instance, view.near, mode, free),
        Some(_) if !instance.budgets.is_empty() => {
            let message = beyond_budget(instance, schedule, view);
            (Reason::WaitingForCapacity, message, None)
        }
        Some(_) => {
            let message = "would end after the last moment that can be counted".into();
            (Reason::WaitingForCapacity, message, None)
        }
        None => {
            let message = "no set of nodes has room for all its pods in any size".into();
            (Reason::WaitingForCapacity, message, None)
        }
    }
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
fn waiting(
    instance: &Instance,
    near: Near,
    mode: &ModeView,
    free: &[Option<Vec<i64>>],
) -> Explanation {
    let classes = mode
        .runs
        .iter()
        .map(|run| &instance.problem.classes[run.class]);
    let nodes: Vec<(usize, &[i64])> = classes
        .flat_map(|class| &class.nodes)
        .filter_map(|&node| Some((node, free[node].as_deref()?)))
        .collect();
    let message = lack(instance, mode, &nodes);
    if let (Near::Within(level), 2..) = (near, mode.pods) {
        let tier = instance.problem.levels.get(level);
        let alias = tier.map_or(HOST, |tier| tier.alias.as_str());
        let message = format!("{message}; all pods must be within one {alias}");
        let fix = match most_within(instance, near, mode, &nodes) {
            0 if tier.is_none_or(|tier| tier.is_host) => {
                add_nodes(instance, mode, (1, mode.pods), None)
            }
            0 => add_nodes(instance, mode, (mode.pods, 1), Some(alias.to_owned())),
            pods => Some(Fix::FewerPods { pods }),
        };
        return (Reason::WaitingForCapacity, message, fix);
    }
    let fix = if mode.pods == 1 {
        free_more(instance, mode, &nodes)
    } else {
        let missing = mode.pods.saturating_sub(most(mode, &nodes)).max(1);
        add_nodes(instance, mode, (missing, 1), None)
    };
    (Reason::WaitingForCapacity, message, fix)
}

/// The numbers: what is needed, and the most that is free.
fn lack(instance: &Instance, mode: &ModeView, nodes: &[(usize, &[i64])]) -> String {
    let names = &instance.problem.resources;
    let freest = |resource: usize| {
        let free = nodes.iter().map(|(_, free)| free[resource]);
        free.max().unwrap_or(0).max(0)
    };
    let plural = if nodes.len() == 1 { "node" } else { "nodes" };
    let short = (0..names.len()).find(|&resource| mode.request.need[resource] > freest(resource));
    if let Some(resource) = short {
        let name = &names[resource];
        let needs = quantity(name, mode.request.usage[resource]);
        let has = quantity(name, freest(resource));
        let count = nodes.len();
        return format!(
            "needs {needs} {name} on one node; the freest of {count} {plural} has {has} free"
        );
    }
    let used = needed(mode).map(|(resource, usage)| {
        let name = &names[resource];
        format!("{} {name}", quantity(name, usage))
    });
    let (all, count) = (used.collect::<Vec<_>>().join(", "), nodes.len());
    let pods = match mode.pods {
        1 => String::new(),
        pods => format!("{pods} pods, each with "),
    };
    format!("needs {pods}{all}; {count} {plural} have not all of it free at once")
}

/// What is missing on the node that misses least, as a sum of shares of the need.
fn free_more(instance: &Instance, mode: &ModeView, nodes: &[(usize, &[i64])]) -> Option<Fix> {
    let mut best: Option<(f64, usize, &[i64])> = None;
    for &(node, free) in nodes {
        let mut short = missing(mode, free);
        let loss = short.try_fold(0.0, |loss, (resource, more)| {
            Some(loss + more? as f64 / mode.request.usage[resource] as f64)
        });
        // What does not fit 64 bits cannot be freed.
        let Some(loss) = loss else { continue };
        if best.is_none_or(|(least, ..)| loss < least) {
            best = Some((loss, node, free));
        }
    }
    let (_, node, free) = best?;
    let more = missing(mode, free).filter_map(|(resource, more)| {
        let name = instance.problem.resources[resource].clone();
        Some((name, more?))
    });
    Some(Fix::Free {
        node: instance.problem.nodes[node].clone(),
        more: more.collect(),
    })
}

/// What a pod needs beyond what is free, by resource; `None` beyond 64 bits.
fn missing(mode: &ModeView, free: &[i64]) -> impl Iterator<Item = (usize, Option<i64>)> {
    let short = needed(mode).filter(|(resource, usage)| *usage > free[*resource]);
    short.map(|(resource, usage)| (resource, usage.checked_sub(free[resource])))
}

/// How many pods have room as near each other as they must be.
fn most_within(instance: &Instance, near: Near, mode: &ModeView, nodes: &[(usize, &[i64])]) -> u32 {
    let around = |&(first, _): &(usize, &[i64])| -> u32 {
        let near = nodes
            .iter()
            .filter(|(node, _)| instance.are_near(near, first, *node));
        most(mode, near)
    };
    nodes.iter().map(around).max().unwrap_or(0)
}

/// How many pods have room on these nodes.
fn most<'n>(mode: &ModeView, nodes: impl IntoIterator<Item = &'n (usize, &'n [i64])>) -> u32 {
    let slots = |(_, free): &(usize, &[i64])| mode.request.slots(free, u64::from(mode.pods));
    let all: u64 = nodes.into_iter().map(slots).sum();
    u32::try_from(all).unwrap_or(u32::MAX)
}

/// So many nodes, each with room for so many pods; `None` where that is beyond 64 bits, or where a host port, of which
/// each node has one, keeps them apart.
fn add_nodes(
    instance: &Instance,
    mode: &ModeView,
    (count, each): (u32, u32),
    within: Option<String>,
) -> Option<Fix> {
    let name = |resource: usize| instance.problem.resources[resource].clone();
    let room = needed(mode).map(|(resource, usage)| {
        let name = name(resource);
        let amount = usage.checked_mul(i64::from(each))?;
        (each == 1 || !is_host_port(&name)).then_some((name, amount))
    });
    Some(Fix::AddNodes {
        count,
        room: room.collect::<Option<Resources>>()?,
        matching: false,
        within,
    })
}

/// The resources that a pod uses, and how much.
fn needed(mode: &ModeView) -> impl Iterator<Item = (usize, i64)> + '_ {
    let all = mode.request.usage.iter().copied().enumerate();
    all.filter(|(_, usage)| *usage > 0)
}

/// What is free on each node beside everything placed; only static goals ask for it.
fn free_beside(instance: &Instance, schedule: &Schedule) -> Vec<Option<Vec<i64>>> {
    let mut free: Vec<Option<Vec<i64>>> = vec![None; instance.problem.nodes.len()];
    if !instance.problem.goal.is_static() {
        return free;
    }
    for (node, class) in instance.class_of.iter().enumerate() {
        let of_class = |class| Profile::of_class(&instance.problem.classes[class]).least_free();
        free[node] = class.map(of_class);
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
