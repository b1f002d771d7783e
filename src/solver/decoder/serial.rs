//! Serial schedule generation for projects, forward and backward (Kelley 1963), and double justification: all
//! copies as late as possible without a later end, then all as soon as possible in the order of those starts.
//! It never lengthens a schedule and shortens most of them (Valls, Ballestin and Quintanilla 2005).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::Millis;
use crate::solver::instance::Instance;
use crate::solver::instance::project::{Activity, Project, Room};
use crate::solver::schedule::{Recipe, Schedule};

use super::allowance::{Allowance, afford};

/// Passes of [`Serial::justify`] together with the schedule that it starts from.
pub(in crate::solver) const PASSES: u64 = 3;

/// Makes schedules of a project; keeps its memory from one to the next.
pub(in crate::solver) struct Serial<'a> {
    instance: &'a Instance<'a>,
    project: &'a Project,
    allowance: Allowance,
    steps: Steps,
    rank: Vec<u32>,
    waits: Vec<u32>,
    eligible: BinaryHeap<Reverse<(u32, u32)>>,
    /// Modes of the copies; `None` where the earliest end decides.
    modes: Vec<Option<usize>>,
    starts: Vec<Millis>,
    ends: Vec<Millis>,
    order: Vec<usize>,
}

/// In which direction time runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    /// Mirrored: what comes behind is placed first, and time 0 is the end of the schedule.
    Backward,
}

impl<'a> Serial<'a> {
    pub fn new(instance: &'a Instance<'a>, project: &'a Project) -> Self {
        let copies = project.activities.len();
        Self {
            instance,
            project,
            allowance: Allowance::new(instance),
            steps: Steps::new(project.capacity),
            rank: vec![0; copies],
            waits: vec![0; copies],
            eligible: BinaryHeap::with_capacity(copies),
            modes: Vec::with_capacity(copies),
            starts: vec![0; copies],
            ends: vec![0; copies],
            order: (0..copies).collect(),
        }
    }

    /// Makes the schedule of a recipe that looks for the earliest end. Whether every copy has a place; where
    /// the budgets leave one without, there is no schedule.
    pub fn decode(&mut self, recipe: &Recipe) -> bool {
        self.modes.clone_from(&recipe.modes);
        afford(
            self.instance,
            &self.allowance,
            &recipe.order,
            &mut self.modes,
        );
        self.order.clone_from(&recipe.order);
        self.pass(Direction::Forward)
    }

    /// Moves the schedule as far to the end as it goes, and back to the start.
    pub fn justify(&mut self) {
        let ends = &self.ends;
        self.order.sort_by_key(|&copy| Reverse(ends[copy]));
        if self.pass(Direction::Backward) {
            let ends = &self.ends;
            self.order.sort_by_key(|&copy| Reverse(ends[copy]));
            self.pass(Direction::Forward);
        }
    }

    /// Writes the schedule down.
    pub fn write(&self, schedule: &mut Schedule) {
        schedule.clear(self.modes.len());
        for (copy, mode) in self.modes.iter().enumerate() {
            if let Some(mode) = *mode {
                let time = (self.starts[copy], self.ends[copy]);
                schedule.place(copy, mode, time, [self.project.node]);
            }
        }
    }

    /// Places every copy, of those whose turn it can be always the first of the order.
    fn pass(&mut self, direction: Direction) -> bool {
        let activities = &self.project.activities;
        for (position, &copy) in self.order.iter().enumerate() {
            self.rank[copy] = position as u32;
        }
        self.allowance.begin(self.instance, &self.modes);
        self.steps.clear(self.project.capacity);
        self.eligible.clear();
        for (copy, activity) in activities.iter().enumerate() {
            let (before, _) = neighbours(activity, direction);
            self.waits[copy] = before.len() as u32;
            self.starts[copy] = match direction {
                Direction::Forward => activity.release,
                Direction::Backward => 0,
            };
            if before.is_empty() {
                self.eligible.push(Reverse((self.rank[copy], copy as u32)));
            }
        }
        while let Some(Reverse((_, copy))) = self.eligible.pop() {
            let copy = copy as usize;
            if !self.place(copy) {
                return false;
            }
            let end = self.ends[copy];
            let (_, behind) = neighbours(&activities[copy], direction);
            for &next in behind {
                self.starts[next] = self.starts[next].max(end);
                self.waits[next] -= 1;
                if self.waits[next] == 0 {
                    self.eligible.push(Reverse((self.rank[next], next as u32)));
                }
            }
        }
        true
    }

    /// Places one copy as soon as it goes, in its mode or in the one that ends first.
    fn place(&mut self, copy: usize) -> bool {
        let activity = &self.project.activities[copy];
        let views = &self.instance.tasks[activity.task].modes;
        let fixed =
            self.modes[copy].filter(|&mode| self.allowance.allows(copy, &views[mode].spends));
        let choices = match &fixed {
            Some(mode) => std::slice::from_ref(mode),
            None => &activity.choices[..],
        };
        let ready = self.starts[copy];
        let mut best: Option<(Millis, Millis, usize)> = None;
        for &mode in choices {
            let way = &activity.modes[mode];
            if best.is_some_and(|(end, _, _)| ready + way.duration >= end) {
                break;
            }
            if fixed.is_none() && !self.allowance.allows(copy, &views[mode].spends) {
                continue;
            }
            let start = self
                .steps
                .earliest(way.need, self.project.guards, way.duration, ready);
            let end = start + way.duration;
            if best.is_none_or(|(best, _, _)| end < best) {
                best = Some((end, start, mode));
            }
        }
        let Some((end, start, mode)) = best else {
            return false;
        };
        self.steps.occupy(activity.modes[mode].need, start, end);
        self.allowance.spend(copy, &views[mode].spends);
        (self.starts[copy], self.ends[copy], self.modes[copy]) = (start, end, Some(mode));
        true
    }
}

/// The copies before and behind this one, as time runs.
fn neighbours(activity: &Activity, direction: Direction) -> (&[usize], &[usize]) {
    match direction {
        Direction::Forward => (&activity.before, &activity.behind),
        Direction::Backward => (&activity.behind, &activity.before),
    }
}

/// What is free on the node: `free[i]` holds in `[times[i], times[i + 1])`, the last step for ever.
struct Steps {
    times: Vec<Millis>,
    free: Vec<Room>,
}

impl Steps {
    fn new(capacity: Room) -> Self {
        Self {
            times: vec![0],
            free: vec![capacity],
        }
    }

    fn clear(&mut self, capacity: Room) {
        self.times.truncate(1);
        self.free.truncate(1);
        self.free[0] = capacity;
    }

    fn step_at(&self, time: Millis) -> usize {
        self.times.partition_point(|&from| from <= time) - 1
    }

    /// The earliest start, not before `from`, at which the need is free for so long. There is one: every need
    /// fits the empty node, as which the last step ends.
    fn earliest(&self, need: Room, guards: Room, duration: Millis, from: Millis) -> Millis {
        let mut start = from;
        if duration == 0 {
            return start;
        }
        let mut step = self.step_at(from);
        loop {
            let fits = self.free[step].holds(need, guards);
            step += 1;
            let Some(&next) = self.times.get(step) else {
                return start;
            };
            if !fits {
                start = next;
            } else if next - start >= duration {
                return start;
            }
        }
    }

    fn occupy(&mut self, need: Room, start: Millis, end: Millis) {
        if start < end {
            let first = self.split(start);
            let last = self.split(end);
            for free in &mut self.free[first..last] {
                *free = free.less(need);
            }
        }
    }

    /// Makes a step start at this time, and says which one it is.
    fn split(&mut self, time: Millis) -> usize {
        let at = self.step_at(time);
        if self.times[at] == time {
            return at;
        }
        self.times.insert(at + 1, time);
        self.free.insert(at + 1, self.free[at]);
        at + 1
    }
}
