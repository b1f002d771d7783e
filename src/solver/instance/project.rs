//! Problems of one node in the form that project scheduling knows (Kolisch and Hartmann 1999): single pods with
//! modes, an order between them, budgets, and nothing else on the node. What is free of all resources is one
//! word here, so that a schedule takes microseconds, and schedules can be read backwards in time.

use crate::model::{Goal, Millis};

use super::{Instance, ModeView};

/// The most copies and relations between copies of a project; more go to the general decoder.
const MOST_COPIES: usize = 1_000;
const MOST_RELATIONS: usize = 20_000;

/// A problem of one node.
pub(in crate::solver) struct Project {
    /// Index of the node in the problem.
    pub node: usize,
    /// All of the node, with every guard bit set.
    pub capacity: Room,
    /// All guard bits.
    pub guards: Room,
    /// By copy.
    pub activities: Vec<Activity>,
}

/// A copy.
pub(in crate::solver) struct Activity {
    pub task: usize,
    pub release: Millis,
    /// Copies that must have ended before, and copies that wait for this one.
    pub before: Vec<usize>,
    pub behind: Vec<usize>,
    /// By mode of the task.
    pub modes: Vec<Way>,
    /// The modes worth a try when none is fixed, the fastest first.
    pub choices: Vec<usize>,
}

/// A mode.
pub(in crate::solver) struct Way {
    pub duration: Millis,
    pub need: Room,
}

/// Amounts of all resources, each in a lane of its own with a guard bit above it.
///
/// What is free has every guard bit set. Taking a need away clears the guard bit of exactly those lanes in which
/// the need is larger, because a lane borrows from its own guard bit only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::solver) struct Room(u128);

impl Room {
    /// Whether the need is free; `guards` are all guard bits.
    pub fn holds(self, need: Room, guards: Room) -> bool {
        (self.0 - need.0) & guards.0 == guards.0
    }

    /// What is left beside the need, which must be free.
    pub fn less(self, need: Room) -> Room {
        Room(self.0 - need.0)
    }
}

/// Where each resource has its lane.
struct Lanes {
    /// First bit of each resource, and how many bits its capacity has.
    lanes: Vec<(u32, u32)>,
    guards: u128,
}

impl Lanes {
    fn of(capacity: &[i64]) -> Option<Self> {
        let (mut lanes, mut guards, mut bit) = (Vec::new(), 0u128, 0u32);
        for &amount in capacity {
            let bits = i64::BITS - amount.max(0).leading_zeros();
            lanes.push((bit, bits));
            bit = bit.checked_add(bits + 1).filter(|end| *end <= u128::BITS)?;
            guards |= 1u128 << (bit - 1);
        }
        Some(Self { lanes, guards })
    }

    /// Amounts that are at most the capacity.
    fn pack(&self, amounts: &[i64]) -> u128 {
        let each = self.lanes.iter().zip(amounts);
        each.map(|((bit, _), amount)| (*amount as u128) << bit)
            .sum()
    }
}

impl Project {
    /// The project that the problem is, if it is one.
    pub fn of(instance: &Instance) -> Option<Self> {
        let problem = instance.problem;
        let [class] = &problem.classes[..] else {
            return None;
        };
        let is_small = class.nodes.len() == 1 && instance.copies() <= MOST_COPIES;
        let is_free = class.holds.is_empty() && class.free.iter().all(|free| *free >= 0);
        if problem.goal.is_static()
            || problem.goal == Goal::Cost
            || instance.has_dues
            || !is_small
            || !is_free
        {
            return None;
        }
        let lanes = Lanes::of(&class.free)?;
        let mut activities = Vec::with_capacity(instance.copies());
        let mut relations = 0;
        for &index in &instance.task_of {
            let task = &instance.tasks[index];
            let copies = |tasks: &[usize]| -> Vec<usize> {
                let each = tasks
                    .iter()
                    .map(|&task| instance.tasks[task].copies.clone());
                each.flatten().collect()
            };
            let (before, behind) = (copies(&task.after), copies(&task.successors));
            relations += before.len();
            if relations > MOST_RELATIONS || task.modes.is_empty() {
                return None;
            }
            let modes = task.modes.iter().map(|mode| way(&lanes, mode));
            let modes = modes.collect::<Option<Vec<Way>>>()?;
            let mut choices: Vec<usize> = (0..modes.len())
                .filter(|&mode| !task.modes[mode].is_spare)
                .collect();
            choices.sort_by_key(|&mode| modes[mode].duration);
            activities.push(Activity {
                task: index,
                release: task.release,
                before,
                behind,
                modes,
                choices,
            });
        }
        // No schedule is longer than everything one after the other, so that no sum of times overflows.
        let longest = |activity: &Activity| {
            let modes = activity.modes.iter().map(|way| i128::from(way.duration));
            modes.max().unwrap_or(0) + i128::from(activity.release)
        };
        let longest: i128 = activities.iter().map(longest).sum();
        (longest < i128::from(i64::MAX / 4)).then(|| Self {
            node: class.nodes[0],
            capacity: Room(lanes.pack(&class.free) | lanes.guards),
            guards: Room(lanes.guards),
            activities,
        })
    }
}

/// `None` for what is no single pod on the node.
fn way(lanes: &Lanes, mode: &ModeView) -> Option<Way> {
    let [run] = &mode.runs[..] else {
        return None;
    };
    (mode.pods == 1).then(|| Way {
        duration: run.duration,
        need: Room(lanes.pack(&mode.request.usage)),
    })
}
