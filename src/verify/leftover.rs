//! No copy is left unplaced for which there is room.
//!
//! Under a static goal there is room if a mode fits beside everything that is placed. Under a timed goal holds
//! and planned pods all end, so there is room, however late, if a mode fits what is free once they have, and the
//! budgets.

use std::collections::BTreeMap;

use super::copies::Waiting;
use super::order::Progress;
use super::{Ground, Placed, Violation, amount, budgets, near, needs};
use crate::model::{Millis, Mode, Near, NodeClass, PlannedTask};

/// What is left on some nodes of one class that are in one domain of every level.
struct Room {
    class: usize,
    /// The domain at each level above the hosts.
    domains: Vec<Option<usize>>,
    left: Vec<i128>,
    /// How many nodes have exactly this left.
    nodes: usize,
}

/// The class of a node, and its domain at each level above the hosts.
type Kind = (usize, Vec<Option<usize>>);

/// Reports, of each task with room, the first copy that waits.
pub(super) fn check(
    ground: &Ground,
    placed: &[Placed],
    waiting: &[Waiting],
    found: &mut Vec<Violation>,
) {
    let progress = Progress::of(ground, placed);
    let mut candidates: BTreeMap<usize, u32> = BTreeMap::new();
    for copy in waiting {
        if may_run(ground, &progress, &ground.problem.tasks[copy.task]) {
            candidates.entry(copy.task).or_insert(copy.copy);
        }
    }
    if candidates.is_empty() {
        return;
    }
    let is_static = ground.problem.goal.is_static();
    let rooms = if is_static {
        rooms_beside(ground, placed)
    } else {
        rooms_at_last(ground)
    };
    let clear = all_clear(ground, placed);
    let left = budgets::left(ground, placed);
    let from = |task: &PlannedTask| {
        if is_static {
            0
        } else {
            clear.max(task.release)
        }
    };
    for (index, copy) in candidates {
        let task = &ground.problem.tasks[index];
        let Some(mode) = task.modes.iter().position(|mode| {
            budgets::allow(&left, mode) && fits(ground, (task.near, mode), &rooms, from(task))
        }) else {
            continue;
        };
        let copy = ground.copy_name(task, copy);
        let pods = task.modes[mode].pods;
        found.push(Violation::LeftOut { copy, mode, pods });
    }
}

/// Whether nothing but room can keep a copy of the task from a place.
fn may_run(ground: &Ground, progress: &Progress, task: &PlannedTask) -> bool {
    ground.problem.goal.is_static() || !task.after.iter().any(|&before| progress.is_open(before))
}

/// The first moment at which nothing of the plan and no hold is in force any more.
fn all_clear(ground: &Ground, placed: &[Placed]) -> Millis {
    let ends = placed.iter().map(|one| one.assignment.end);
    let holds = ground.problem.classes.iter().flat_map(|class| &class.holds);
    ends.chain(holds.map(|hold| hold.until))
        .fold(0, Millis::max)
}

/// What each class has free once nothing of our own runs.
fn rooms_at_last(ground: &Ground) -> Vec<Room> {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for node in 0..ground.problem.nodes.len() {
        if let Some((class, _)) = ground.class(node) {
            *counts.entry((class, domains(ground, node))).or_default() += 1;
        }
    }
    let room = |((class, domains), nodes): ((usize, _), usize)| Room {
        class,
        domains,
        left: ground.problem.classes[class]
            .free
            .iter()
            .copied()
            .map(i128::from)
            .collect(),
        nodes,
    };
    counts.into_iter().map(room).collect()
}

/// The domain of a node at each level above the hosts.
fn domains(ground: &Ground, node: usize) -> Vec<Option<usize>> {
    let levels = ground.problem.levels.iter().filter(|tier| !tier.is_host);
    levels.map(|tier| near::domain(tier, node)).collect()
}

/// What is left on each node beside the most that holds ever use of it and all that is placed there; equal rooms
/// of a class are counted together.
fn rooms_beside(ground: &Ground, placed: &[Placed]) -> Vec<Room> {
    let classes = ground.problem.classes.iter();
    let empty: Vec<Vec<i128>> = classes.map(left_by_holds).collect();
    let mut nodes: BTreeMap<usize, Vec<i128>> = BTreeMap::new();
    for one in placed {
        for &node in &one.assignment.nodes {
            let Some((class, _)) = ground.class(node) else {
                continue;
            };
            let left = nodes.entry(node).or_insert_with(|| empty[class].clone());
            for (resource, need) in needs(&one.mode.demand) {
                if let Some(left) = left.get_mut(resource) {
                    *left -= i128::from(need);
                }
            }
        }
    }
    let mut counts: BTreeMap<(Kind, &[i128]), usize> = BTreeMap::new();
    for node in 0..ground.problem.nodes.len() {
        if let Some((class, _)) = ground.class(node) {
            let left = nodes.get(&node).unwrap_or(&empty[class]);
            let key = ((class, domains(ground, node)), left.as_slice());
            *counts.entry(key).or_default() += 1;
        }
    }
    let room = |(((class, domains), left), nodes): ((Kind, &[i128]), usize)| Room {
        class,
        domains,
        left: left.to_vec(),
        nodes,
    };
    counts.into_iter().map(room).collect()
}

/// What a class has free beside the most that its holds ever use of each resource.
fn left_by_holds(class: &NodeClass) -> Vec<i128> {
    let peak = |resource: usize| {
        let holds = class.holds.iter().zip(&class.held);
        let mut changes: Vec<(Millis, i128)> = holds
            .filter(|(hold, _)| hold.from < hold.until && hold.until > 0)
            .flat_map(|(hold, demand)| {
                let need = i128::from(amount(demand, resource).max(0));
                [(hold.from, need), (hold.until, -need)]
            })
            .collect();
        // Of one moment the ends come first: their change is negative.
        changes.sort_unstable();
        let sums = changes.iter().scan(0i128, |sum, (_, change)| {
            *sum += change;
            Some(*sum)
        });
        sums.fold(0, i128::max)
    };
    let free = class.free.iter().enumerate();
    free.map(|(resource, &free)| i128::from(free) - peak(resource))
        .collect()
}

/// Whether one copy fits in this mode: on one node, or in one domain of some level that is near enough, or anywhere;
/// each with an end that 64 bits can say if it starts there.
fn fits(ground: &Ground, (near, mode): (Near, &Mode), rooms: &[Room], start: Millis) -> bool {
    let wanted = u128::from(mode.pods);
    let ends = |room: &Room, level: usize| {
        let run = mode.run_on(room.class);
        run.is_some_and(|run| start.checked_add(run.lasting(level)).is_some())
    };
    let (levels, above) = (
        ground.problem.levels.len(),
        ground
            .problem
            .levels
            .iter()
            .filter(|tier| !tier.is_host)
            .count(),
    );
    let on_one_node = |room: &Room| ends(room, levels) && slots_in(room, mode) >= wanted;
    if rooms.iter().any(|room| room.nodes > 0 && on_one_node(room)) {
        return wanted > 0;
    }
    let outermost = match near {
        Near::Within(level) if level >= levels => return false,
        Near::Within(level) => level + 1,
        Near::Anywhere | Near::Rather(_) => 0,
    };
    // In one domain of the first `depth` levels; pods then span no level but those further in.
    (outermost..=above).any(|depth| {
        let mut slots: BTreeMap<&[Option<usize>], u128> = BTreeMap::new();
        for room in rooms.iter().filter(|room| ends(room, depth)) {
            let own = slots_in(room, mode).saturating_mul(room.nodes as u128);
            let sum = slots.entry(&room.domains[..depth]).or_default();
            *sum = sum.saturating_add(own);
        }
        wanted > 0 && slots.into_values().any(|slots| slots >= wanted)
    })
}

/// How many pods of the mode go into each node of the room; at most as many as there are.
fn slots_in(room: &Room, mode: &Mode) -> u128 {
    needs(&mode.demand).fold(u128::from(mode.pods), |slots, (resource, need)| {
        let left = room.left.get(resource).copied().unwrap_or(0).max(0);
        slots.min((left / i128::from(need)).unsigned_abs())
    })
}
