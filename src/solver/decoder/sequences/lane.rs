//! The sequence of one node, and all of them.

use crate::model::{Goal, Millis};
use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;

use super::ground::{Choice, Ground, Slot, most_price};
use super::units::{Run, Units};

/// What each copy is to reach. Its energy is `weight` x how much later than `due` it ends; under Makespan, where
/// the latest copy counts, the square of it, in units of 2^`shift` ms; under Cost with deadlines what it costs. What
/// ends after the deadline of the user adds to that.
#[derive(Clone, Debug)]
pub struct Aim {
    copies: Vec<Target>,
    shift: Option<u32>,
    is_cost: bool,
}

/// How much a time beyond the deadline weighs, beside the same time of other energy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Until nothing is late that need not be: late copies may swap.
    Some,
    /// From then on: hardly any other gain is worth it.
    All,
}

impl Urgency {
    fn factor(self) -> i64 {
        match self {
            Urgency::Some => 16,
            Urgency::All => MOST_URGENCY,
        }
    }
}

/// The largest factor.
pub const MOST_URGENCY: i64 = 1 << 10;
/// Under Makespan squares of lateness are small enough for this one alone.
const SQUARE_URGENCY: i64 = 16;
/// And nothing is later than so many units.
const MOST_TARDY: i64 = 1 << 15;

/// The unit of lateness is at most a 2^15th of the last due time, and nothing counts as later than 2^18 units: so
/// no sum of squares x weights over all copies leaves 63 bits.
const MOST_LATE: i64 = 1 << 18;

fn shift_of(last: Millis) -> u32 {
    (64 - last.max(1).leading_zeros()).saturating_sub(15)
}

#[derive(Clone, Copy, Debug)]
struct Target {
    weight: i64,
    due: Millis,
    release: Millis,
    deadline: Millis,
    /// Weight of a time after the deadline.
    urgency: i64,
}

impl Aim {
    /// For FlowTime weighted ends; for Makespan how far each copy ends behind the due time of its batch.
    pub fn new(instance: &Instance, dues: &[Millis], urgency: Urgency) -> Self {
        let factor = match instance.problem.goal {
            Goal::Makespan => SQUARE_URGENCY,
            Goal::Cost => urgency.factor().saturating_mul(most_price(instance)),
            _ => urgency.factor(),
        };
        let target = |&task: &usize| {
            let view = &instance.tasks[task];
            let (weight, due) = match instance.problem.goal {
                Goal::Makespan => (
                    instance.problem.batches[view.batch].weight,
                    dues[view.batch],
                ),
                _ => (view.weight, 0),
            };
            Target {
                weight: weight.max(0),
                due,
                release: view.release,
                deadline: view.due.unwrap_or(Millis::MAX).max(0),
                urgency: factor.saturating_mul(view.weight),
            }
        };
        let last = dues.iter().copied().max().unwrap_or(0);
        Self {
            copies: instance.task_of.iter().map(target).collect(),
            shift: (instance.problem.goal == Goal::Makespan).then(|| shift_of(last)),
            is_cost: instance.problem.goal == Goal::Cost && instance.has_dues,
        }
    }

    fn energy(&self, target: Target, choice: &Choice, end: Millis) -> i64 {
        let late = (end - target.due).max(0);
        let tardy = (end - target.deadline).max(0);
        match self.shift {
            None if self.is_cost => choice.cost + target.urgency * tardy,
            None => target.weight * late + target.urgency * tardy,
            Some(shift) => {
                let units = |time: Millis, most| (time >> shift).min(most) + i64::from(time > 0);
                let (late, tardy) = (units(late, MOST_LATE), units(tardy, MOST_TARDY));
                target.weight * (late * late) + target.urgency * (tardy * tardy)
            }
        }
    }
}

/// A node and the copies on it, in the order in which they take what is free.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    pub class: usize,
    /// Index of the node in its class.
    pub node: usize,
    pub slots: Vec<Slot>,
    /// When each of them starts.
    pub starts: Vec<Millis>,
    pub energy: i64,
    marks: Marks,
}

impl Lane {
    /// Sum over its copies of weight x duration, or of their costs where these are the energy.
    pub fn weighted_durations(&self, ground: &Ground, aim: &Aim) -> f64 {
        let weighted = |&slot: &Slot| {
            let choice = ground.choice(slot);
            match aim.is_cost {
                true => choice.cost as f64,
                false => aim.copies[slot.copy as usize].weight as f64 * choice.duration as f64,
            }
        };
        self.slots.iter().map(weighted).sum()
    }

    /// What its copies take of the pool together, in billionths of it x ms, as an order of lanes.
    pub fn work(&self, ground: &Ground) -> u64 {
        let work = |&slot: &Slot| (ground.choice(slot).work() * 1e9) as u64;
        self.slots.iter().map(work).fold(0, u64::saturating_add)
    }
}

/// What was free before each copy was placed and after the last one, and the energy up to there: a changed sequence is
/// decoded from its first change on.
#[derive(Clone, Debug, Default)]
struct Marks {
    energies: Vec<i64>,
    /// For each copy and resource, where its runs begin.
    begins: Vec<usize>,
    runs: Vec<Run>,
}

impl Marks {
    fn cut(&mut self, at: usize, resources: usize) {
        self.energies.truncate(at);
        let begin = self.begins.get(at * resources).copied();
        self.runs.truncate(begin.unwrap_or(self.runs.len()));
        self.begins.truncate(at * resources);
    }

    fn runs(&self, at: usize, resource: usize, resources: usize) -> &[Run] {
        let index = at * resources + resource;
        let end = self.begins.get(index + 1).copied();
        &self.runs[self.begins[index]..end.unwrap_or(self.runs.len())]
    }
}

/// Decodes sequences; keeps its memory from one to the next.
#[derive(Default)]
pub struct Decoder {
    units: Vec<Units>,
}

impl Decoder {
    /// Decodes the sequence from the `first` copy on, before which nothing has changed.
    pub fn decode(&mut self, ground: &Ground, aim: &Aim, lane: &mut Lane, first: usize) {
        lane.energy = self.resume(ground, lane, first);
        lane.starts.truncate(first);
        lane.marks.cut(first, self.units.len());
        self.mark(lane);
        for at in first..lane.slots.len() {
            let (start, energy) = self.place(ground, aim, lane.slots[at]);
            lane.starts.push(start);
            lane.energy += energy;
            self.mark(lane);
        }
    }

    fn mark(&self, lane: &mut Lane) {
        let marks = &mut lane.marks;
        marks.energies.push(lane.energy);
        for units in &self.units {
            marks.begins.push(marks.runs.len());
            marks.runs.extend_from_slice(units.runs());
        }
    }

    /// The energy that the lane would have with these copies from `first` on.
    pub fn energy(
        &mut self,
        ground: &Ground,
        aim: &Aim,
        lane: &Lane,
        first: usize,
        slots: &[Slot],
    ) -> i64 {
        let mut energy = self.resume(ground, lane, first);
        for &slot in slots {
            energy += self.place(ground, aim, slot).1;
        }
        energy
    }

    /// The energy that one more copy at this position adds.
    pub fn added(&mut self, ground: &Ground, aim: &Aim, lane: &Lane, at: usize, slot: Slot) -> i64 {
        let mut energy = self.resume(ground, lane, at);
        for &slot in std::iter::once(&slot).chain(&lane.slots[at..]) {
            energy += self.place(ground, aim, slot).1;
        }
        energy - lane.energy
    }

    /// What is free before the copy at this position; returns the energy up to there.
    fn resume(&mut self, ground: &Ground, lane: &Lane, first: usize) -> i64 {
        let base = &ground.classes[lane.class].units;
        self.units.resize_with(base.len(), Units::default);
        let is_marked = first < lane.marks.energies.len();
        for (resource, units) in self.units.iter_mut().enumerate() {
            units.become_copy_of(match is_marked {
                true => lane.marks.runs(first, resource, base.len()),
                false => base[resource].runs(),
            });
        }
        lane.marks.energies.get(first).copied().unwrap_or(0)
    }

    /// Places the next copy; returns its start and energy.
    fn place(&mut self, ground: &Ground, aim: &Aim, slot: Slot) -> (Millis, i64) {
        let choice = ground.choice(slot);
        let target = aim.copies[slot.copy as usize];
        let mut start = target.release;
        if choice.duration > 0 {
            let usage = ground.usage(choice);
            for (units, &need) in self.units.iter().zip(usage) {
                if need > 0 {
                    start = start.max(units.free_from(need));
                }
            }
            for (units, &need) in self.units.iter_mut().zip(usage) {
                if need > 0 {
                    units.take(need, start, start + choice.duration);
                }
            }
        }
        (start, aim.energy(target, choice, start + choice.duration))
    }
}

/// One lane for each node, filled as in the schedule; `None` if a copy has no place in it.
pub fn lanes_of(ground: &Ground, aim: &Aim, schedule: &Schedule) -> Option<Vec<Lane>> {
    let (lanes, left) = lanes_from(ground, aim, |copy| {
        let placed = schedule.placed[copy as usize].as_ref()?;
        let node = *schedule.nodes(placed).first()?;
        Some((node, placed.mode, placed.start))
    });
    left.is_empty().then_some(lanes)
}

/// One lane for each node, decoded, with each copy on the node that `place` tells, in its mode there and in the
/// order of its start; and the copies for which it tells none, or one that cannot be.
pub fn lanes_from(
    ground: &Ground,
    aim: &Aim,
    place: impl Fn(u32) -> Option<(usize, usize, Millis)>,
) -> (Vec<Lane>, Vec<u32>) {
    let instance = ground.instance;
    let (mut lanes, mut left): (Vec<Lane>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut lane_of = vec![usize::MAX; instance.problem.nodes.len()];
    for (class, of_class) in instance.problem.classes.iter().enumerate() {
        for (node, &index) in of_class.nodes.iter().enumerate() {
            lane_of[index] = lanes.len();
            lanes.push(Lane {
                class,
                node,
                ..Lane::default()
            });
        }
    }
    for copy in 0..instance.copies() as u32 {
        let found = place(copy).and_then(|(node, mode, start)| {
            let lane = *lane_of.get(node)?;
            let mut choices = ground.choices_on(copy, lanes.get(lane)?.class);
            let choice = choices.find(|&choice| ground.choices[choice as usize].mode == mode)?;
            Some((lane, choice, start))
        });
        let Some((lane, choice, start)) = found else {
            left.push(copy);
            continue;
        };
        lanes[lane].slots.push(Slot { copy, choice });
        lanes[lane].starts.push(start);
    }
    let mut decoder = Decoder::default();
    for lane in &mut lanes {
        let mut order: Vec<usize> = (0..lane.slots.len()).collect();
        order.sort_by_key(|&at| lane.starts[at]);
        lane.slots = order.into_iter().map(|at| lane.slots[at]).collect();
        decoder.decode(ground, aim, lane, 0);
    }
    (lanes, left)
}

/// The schedule of decoded lanes.
pub fn schedule_of(ground: &Ground, lanes: &[Lane]) -> Schedule {
    let instance = ground.instance;
    let mut schedule = Schedule::default();
    schedule.clear(instance.copies());
    for lane in lanes {
        let node = instance.problem.classes[lane.class].nodes[lane.node];
        for (slot, &start) in lane.slots.iter().zip(&lane.starts) {
            let choice = ground.choice(*slot);
            let end = start + choice.duration;
            schedule.place(slot.copy as usize, choice.mode, (start, end), [node]);
        }
    }
    schedule
}
