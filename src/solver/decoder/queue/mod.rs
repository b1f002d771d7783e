//! Plans as one queue of copies on fixed nodes: the form in which single moves are cheap where there are gangs and
//! dependencies.
//!
//! In the order of the queue each copy takes units of what is free on its nodes, as early as those before it and the
//! copies that it waits for allow. That is no later than in any schedule that starts the copies in this order on these
//! nodes, so some queue gives an optimum. After a move only those copies are placed anew of which a node is not as it
//! was, or a predecessor: each copy remembers what was free before it.

mod ground;
mod moves;
mod nodes;
mod replay;
#[cfg(test)]
mod tests;

use crate::model::Millis;
use crate::solver::schedule::Schedule;

use super::sequences::Units;
pub(in crate::solver) use ground::QueueGround;
use replay::{Change, Step};

/// A copy in its mode on its nodes.
#[derive(Clone, Debug, Default)]
struct Item {
    /// Index into `TaskView::modes`.
    mode: usize,
    duration: Millis,
    stands: Vec<Stand>,
    start: Millis,
    end: Millis,
    /// What was free before it, for each stand and resource.
    marks: Vec<Units>,
}

/// Pods of a copy on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stand {
    lane: u32,
    pods: u32,
    /// Index into `Ground::choices`.
    choice: u32,
}

/// A node, with its copies in the order of the queue.
#[derive(Clone, Debug, Default)]
struct Lane {
    copies: Vec<u32>,
    /// What is free after the last one.
    tail: Vec<Units>,
}

/// A plan that changes by moves, and the best form of it.
pub(in crate::solver) struct Queue<'g> {
    ground: &'g QueueGround<'g>,
    order: Vec<u32>,
    /// The position of each copy in the order.
    at: Vec<usize>,
    items: Vec<Item>,
    lanes: Vec<Lane>,
    /// Sum of weight x end.
    energy: i64,
    pub best: Schedule,
    pub best_energy: i64,
    /// Whether this plan is the best one, and not yet written down.
    is_best: bool,
    /// What a move changes, and in which order the copies come then.
    changes: Vec<Change>,
    steps: Vec<Step>,
    work: replay::Work,
}

impl<'g> Queue<'g> {
    /// The queue of a schedule in which every copy has a place.
    pub fn new(ground: &'g QueueGround<'g>, schedule: &Schedule) -> Option<Self> {
        let instance = ground.instance();
        let mut items = Vec::with_capacity(instance.copies());
        let mut starts = Vec::with_capacity(instance.copies());
        for (copy, placed) in schedule.placed.iter().enumerate() {
            let placed = placed.as_ref()?;
            let stands = ground.stands(copy, placed.mode, schedule.nodes(placed))?;
            starts.push(placed.start);
            items.push(Item {
                mode: placed.mode,
                duration: ground.lasting(copy, placed.mode, &stands),
                stands,
                ..Item::default()
            });
        }
        let mut order: Vec<u32> = (0..items.len() as u32).collect();
        // Tasks come after those that they wait for, and so they do where these take no time.
        order.sort_by_key(|&copy| starts[copy as usize]);
        let mut at = vec![0; order.len()];
        for (position, &copy) in order.iter().enumerate() {
            at[copy as usize] = position;
        }
        let mut queue = Self {
            work: replay::Work::new(ground, items.len()),
            lanes: ground.empty_lanes(),
            ground,
            order,
            at,
            items,
            energy: 0,
            best: Schedule::default(),
            best_energy: i64::MAX,
            is_best: false,
            changes: Vec::new(),
            steps: Vec::new(),
        };
        queue.place_all()?;
        queue.note();
        Some(queue)
    }

    /// Sum of weight x duration.
    pub fn weighted_durations(&self) -> f64 {
        let items = self.items.iter().enumerate();
        items
            .map(|(copy, item)| self.weight(copy) as f64 * item.duration as f64)
            .sum()
    }

    fn weight(&self, copy: usize) -> i64 {
        self.ground.instance().task(copy).weight
    }

    /// Notes that the plan is the best one so far, if it is.
    fn note(&mut self) {
        if self.energy < self.best_energy {
            self.best_energy = self.energy;
            self.is_best = true;
        }
    }

    /// Writes the best plan down before it is left.
    pub fn write_down(&mut self) {
        if !std::mem::take(&mut self.is_best) {
            return;
        }
        self.best.clear(self.items.len());
        for (copy, item) in self.items.iter().enumerate() {
            let pods = item.stands.iter().flat_map(|stand| {
                let node = self.ground.node(stand.lane);
                (0..stand.pods).map(move |_| node)
            });
            self.best
                .place(copy, item.mode, (item.start, item.end), pods);
        }
    }
}
