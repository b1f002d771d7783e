//! Placing what a move changes, and whatever that changes.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use crate::model::Millis;
use crate::solver::decoder::sequences::Units;

use super::{Item, Lane, Queue, QueueGround};

/// A copy that a move takes out and puts in again.
#[derive(Default)]
pub(super) struct Change {
    pub copy: u32,
    pub item: Item,
    /// Whether nodes are to be found where it comes in.
    pub is_open: bool,
}

/// The queue after a move, piece by piece. Positions are those before the move.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// These stay.
    Stay(Range<usize>),
    /// The copy leaves the place that it had.
    Leave(u32),
    /// A change, by its index, comes in before what was at this position.
    Enter(usize, usize),
}

/// What differs from the plan while a move is tried.
pub(super) struct Work {
    /// Counts tries, so that nothing need be cleared.
    turn: u32,
    /// In which turn a lane was seen to differ, and what is free on it then.
    differs: Vec<u32>,
    free: Vec<Vec<Units>>,
    /// In which turn a copy got another start and end, and these.
    moved: Vec<(u32, Millis, Millis)>,
    /// In which turn a predecessor of a task got another end.
    is_due: Vec<u32>,
    /// Room for what the nodes of a gang offer.
    pub offers: Vec<(Millis, u32, u32)>,
}

impl Work {
    pub fn new(ground: &QueueGround, copies: usize) -> Self {
        let lanes = ground.empty_lanes();
        Self {
            turn: 0,
            differs: vec![0; lanes.len()],
            free: lanes.into_iter().map(|lane| lane.tail).collect(),
            moved: vec![(0, 0, 0); copies],
            is_due: vec![0; ground.instance().tasks.len()],
            offers: Vec::new(),
        }
    }

    pub fn differs(&self, lane: u32) -> bool {
        self.differs[lane as usize] == self.turn
    }

    /// A lane differs from now on: so much is free on it.
    fn differ(&mut self, lane: u32, free: &[Units]) {
        self.differs[lane as usize] = self.turn;
        for (own, free) in self.free[lane as usize].iter_mut().zip(free) {
            own.become_copy_of(free.runs());
        }
    }
}

/// What is free on a lane before what was at this position.
pub(super) fn free_at<'q>(
    work: &'q Work,
    (lanes, items, at): (&'q [Lane], &'q [Item], &[usize]),
    lane: u32,
    position: usize,
) -> &'q [Units] {
    if work.differs(lane) {
        return &work.free[lane as usize];
    }
    let view = &lanes[lane as usize];
    let next = view
        .copies
        .partition_point(|&copy| at[copy as usize] < position);
    let Some(&next) = view.copies.get(next) else {
        return &view.tail;
    };
    let item = &items[next as usize];
    let size = view.tail.len();
    let mut first = 0;
    // Stands may be on classes with other resources.
    for stand in &item.stands {
        if stand.lane == lane {
            return &item.marks[first..first + size];
        }
        first += lanes[stand.lane as usize].tail.len();
    }
    &view.tail
}

/// When the units of so many pods are free together.
pub(super) fn free_from(free: &[Units], usage: &[i64], pods: u32) -> Millis {
    let needs = free.iter().zip(usage).filter(|(_, need)| **need > 0);
    let from = needs.map(|(units, need)| units.free_from(need.saturating_mul(i64::from(pods))));
    from.max().unwrap_or(0)
}

impl Queue<'_> {
    /// Places all copies from nothing; `None` where one finds no room.
    pub(super) fn place_all(&mut self) -> Option<()> {
        self.lanes = self.ground.empty_lanes();
        self.energy = 0;
        // What was tried before is forgotten.
        self.work.turn += 1;
        for position in 0..self.order.len() {
            let copy = self.order[position] as usize;
            let ready = self.ready(copy);
            let item = &mut self.items[copy];
            item.marks.clear();
            let mut start = ready;
            for stand in &item.stands {
                let free = &self.lanes[stand.lane as usize].tail;
                item.marks.extend_from_slice(free);
                if item.duration > 0 {
                    let usage = self.ground.usage(stand.choice);
                    start = start.max(free_from(free, usage, stand.pods));
                }
            }
            (item.start, item.end) = (start, start.checked_add(item.duration)?);
            for stand in &item.stands {
                let lane = &mut self.lanes[stand.lane as usize];
                lane.copies.push(copy as u32);
                let usage = self.ground.usage(stand.choice);
                take(&mut lane.tail, usage, stand.pods, (item.start, item.end));
            }
            self.energy += self.items[copy].end * self.weight(copy);
        }
        Some(())
    }

    /// The energy that the move adds; `None` where a copy finds no place. With `for_good` the plan is changed.
    pub(super) fn replay(&mut self, for_good: bool, random: &mut ChaCha8Rng) -> Option<i64> {
        self.work.turn = self.work.turn.checked_add(1).unwrap_or_else(|| {
            self.work.differs.fill(0);
            self.work.is_due.fill(0);
            self.work.moved.fill((0, 0, 0));
            1
        });
        let mut gain = 0;
        for index in 0..self.steps.len() {
            match self.steps[index].clone() {
                Step::Stay(positions) => {
                    for position in positions {
                        let copy = self.order[position] as usize;
                        if self.is_touched(copy) {
                            gain += self.place_again(copy, position, for_good, random)?;
                        }
                    }
                }
                Step::Leave(copy) => self.leave(copy as usize),
                Step::Enter(change, position) => gain += self.enter(change, position, random)?,
            }
        }
        if for_good {
            self.settle();
        }
        Some(gain)
    }

    fn is_touched(&self, copy: usize) -> bool {
        let instance = self.ground.instance();
        let mut stands = self.items[copy].stands.iter();
        instance.is_ordered && self.work.is_due[instance.task_of[copy]] == self.work.turn
            || stands.any(|stand| self.work.differs(stand.lane))
    }

    /// When all that the copy waits for has ended.
    pub(super) fn ready(&self, copy: usize) -> Millis {
        let instance = self.ground.instance();
        let task = instance.task(copy);
        let before = task
            .after
            .iter()
            .flat_map(|&task| instance.tasks[task].copies.clone());
        let end = |copy: usize| match self.work.moved[copy] {
            (turn, _, end) if turn == self.work.turn => end,
            _ => self.items[copy].end,
        };
        before.map(end).fold(task.release, Millis::max)
    }

    /// Its room is there for others.
    fn leave(&mut self, copy: usize) {
        let mut first = 0;
        for stand in &self.items[copy].stands {
            let size = self.lanes[stand.lane as usize].tail.len();
            if !self.work.differs(stand.lane) {
                let marks = &self.items[copy].marks[first..first + size];
                self.work.differ(stand.lane, marks);
            }
            first += size;
        }
    }

    /// Places a copy that has not moved; the energy that this adds.
    fn place_again(
        &mut self,
        copy: usize,
        position: usize,
        for_good: bool,
        random: &mut ChaCha8Rng,
    ) -> Option<i64> {
        let ready = self.ready(copy);
        if for_good && let Some(change) = self.known_change(copy) {
            self.leave(copy);
            return self.enter(change, position + 1, random);
        }
        let mut start = ready;
        let (work, item) = (&mut self.work, &self.items[copy]);
        let mut first = 0;
        for stand in &item.stands {
            let size = self.lanes[stand.lane as usize].tail.len();
            let marks = &item.marks[first..first + size];
            first += size;
            let mut free = marks;
            if work.differs(stand.lane) {
                if work.free[stand.lane as usize] == marks {
                    work.differs[stand.lane as usize] = 0;
                } else {
                    free = &work.free[stand.lane as usize];
                }
            }
            if item.duration > 0 {
                let usage = self.ground.usage(stand.choice);
                start = start.max(free_from(free, usage, stand.pods));
            }
        }
        let (was, end) = (item.end, start + item.duration);
        if start > item.start
            && !for_good
            && let Some(change) = self.other_nodes(copy, position, (ready, end), random)
        {
            self.leave(copy);
            return self.enter(change, position + 1, random);
        }
        let item = &self.items[copy];
        let is_same = start == item.start;
        let mut first = 0;
        for index in 0..item.stands.len() {
            let stand = self.items[copy].stands[index];
            let size = self.lanes[stand.lane as usize].tail.len();
            let work = &mut self.work;
            if work.differs(stand.lane) {
                if for_good {
                    let marks = &mut self.items[copy].marks[first..first + size];
                    for (mark, free) in marks.iter_mut().zip(&work.free[stand.lane as usize]) {
                        mark.become_copy_of(free.runs());
                    }
                }
            } else if !is_same {
                work.differ(stand.lane, &self.items[copy].marks[first..first + size]);
            }
            first += size;
            if work.differs(stand.lane) {
                let usage = self.ground.usage(stand.choice);
                let free = &mut work.free[stand.lane as usize];
                take(free, usage, stand.pods, (start, end));
            }
        }
        if is_same {
            return Some(0);
        }
        self.tell(copy, start, end);
        if for_good {
            (self.items[copy].start, self.items[copy].end) = (start, end);
        }
        Some((end - was) * self.weight(copy))
    }

    fn known_change(&self, copy: usize) -> Option<usize> {
        self.changes
            .iter()
            .position(|change| change.copy as usize == copy)
    }

    /// Other nodes on which the copy ends sooner.
    fn other_nodes(
        &mut self,
        copy: usize,
        position: usize,
        (ready, end): (Millis, Millis),
        random: &mut ChaCha8Rng,
    ) -> Option<usize> {
        let change = self.changes.len();
        self.changes.push(Change {
            copy: copy as u32,
            item: Item {
                mode: self.items[copy].mode,
                ..Item::default()
            },
            is_open: false,
        });
        let found = self.find_nodes(change, (ready, position), false, random);
        if found.is_none_or(|found| found >= end) {
            self.changes.pop();
            return None;
        }
        Some(change)
    }

    /// Remembers new times, and tells the tasks that wait.
    fn tell(&mut self, copy: usize, start: Millis, end: Millis) {
        let work = &mut self.work;
        work.moved[copy] = (work.turn, start, end);
        let instance = self.ground.instance();
        if instance.is_ordered {
            for &next in &instance.task(copy).successors {
                work.is_due[next] = work.turn;
            }
        }
    }

    /// Places a copy that has moved.
    fn enter(&mut self, change: usize, position: usize, random: &mut ChaCha8Rng) -> Option<i64> {
        let copy = self.changes[change].copy as usize;
        let ready = self.ready(copy);
        if self.changes[change].is_open {
            self.find_nodes(change, (ready, position), true, random)?;
            self.changes[change].is_open = false;
        }
        let item = &mut self.changes[change].item;
        let plan = (
            self.lanes.as_slice(),
            self.items.as_slice(),
            self.at.as_slice(),
        );
        item.marks.clear();
        let mut start = ready;
        for stand in &item.stands {
            let free = free_at(&self.work, plan, stand.lane, position);
            item.marks.extend_from_slice(free);
            if item.duration > 0 {
                let usage = self.ground.usage(stand.choice);
                start = start.max(free_from(free, usage, stand.pods));
            }
        }
        if start == Millis::MAX {
            return None;
        }
        let end = start + item.duration;
        (item.start, item.end) = (start, end);
        let mut first = 0;
        for stand in &item.stands {
            let size = self.lanes[stand.lane as usize].tail.len();
            if !self.work.differs(stand.lane) {
                self.work
                    .differ(stand.lane, &item.marks[first..first + size]);
            }
            first += size;
            let free = &mut self.work.free[stand.lane as usize];
            take(
                free,
                self.ground.usage(stand.choice),
                stand.pods,
                (start, end),
            );
        }
        self.tell(copy, start, end);
        Some((end - self.items[copy].end) * self.weight(copy))
    }

    /// The rest of a move that is for good: items, lanes and the order.
    fn settle(&mut self) {
        for change in &mut self.changes {
            let item = &mut self.items[change.copy as usize];
            for stand in &item.stands {
                let copies = &mut self.lanes[stand.lane as usize].copies;
                copies.retain(|&copy| copy != change.copy);
            }
            std::mem::swap(item, &mut change.item);
        }
        self.reorder();
        for change in &self.changes {
            for stand in &self.items[change.copy as usize].stands {
                let copies = &mut self.lanes[stand.lane as usize].copies;
                let position = self.at[change.copy as usize];
                let place = copies.partition_point(|&copy| self.at[copy as usize] < position);
                copies.insert(place, change.copy);
            }
        }
        for (lane, view) in self.lanes.iter_mut().enumerate() {
            if self.work.differs(lane as u32) {
                for (tail, free) in view.tail.iter_mut().zip(&self.work.free[lane]) {
                    tail.become_copy_of(free.runs());
                }
            }
        }
    }

    /// The order after the steps.
    fn reorder(&mut self) {
        let first = |step: &Step| match step {
            Step::Stay(positions) => positions.start,
            Step::Leave(copy) => self.at[*copy as usize],
            Step::Enter(_, position) => *position,
        };
        let Some(from) = self.steps.iter().map(first).min() else {
            return;
        };
        let was = self.order[from..].to_vec();
        let mut place = from;
        for step in &self.steps {
            match step {
                Step::Stay(positions) => {
                    for position in positions.clone() {
                        self.order[place] = was[position - from];
                        place += 1;
                    }
                }
                Step::Leave(_) => {}
                Step::Enter(change, _) => {
                    self.order[place] = self.changes[*change].copy;
                    place += 1;
                }
            }
        }
        for place in from..self.order.len() {
            self.at[self.order[place] as usize] = place;
        }
    }
}

fn take(free: &mut [Units], usage: &[i64], pods: u32, (start, end): (Millis, Millis)) {
    if start == end {
        return;
    }
    for (units, &need) in free.iter_mut().zip(usage) {
        if need > 0 {
            units.take(need.saturating_mul(i64::from(pods)), start, end);
        }
    }
}
