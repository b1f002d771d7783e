//! Where and when copies run, in the flat form that searches write over and over.

use crate::model::{Assignment, Millis};

use super::decoder::preference::Preference;
use super::instance::Instance;

/// A place for each copy, or none.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    pub placed: Vec<Option<Placed>>,
    nodes: Vec<usize>,
}

/// The place of one copy.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// Index into `TaskView::modes`.
    pub mode: usize,
    pub start: Millis,
    pub end: Millis,
    first: usize,
    pods: usize,
}

impl Schedule {
    /// Forgets all places, for so many copies.
    pub fn clear(&mut self, copies: usize) {
        self.nodes.clear();
        self.placed.clear();
        self.placed.resize(copies, None);
    }

    /// Places a copy: `nodes` holds the node of each pod.
    pub fn place(
        &mut self,
        copy: usize,
        mode: usize,
        (start, end): (Millis, Millis),
        nodes: impl IntoIterator<Item = usize>,
    ) {
        let first = self.nodes.len();
        self.nodes.extend(nodes);
        let pods = self.nodes.len() - first;
        self.placed[copy] = Some(Placed {
            mode,
            start,
            end,
            first,
            pods,
        });
    }

    /// The node of each pod.
    pub fn nodes(&self, placed: &Placed) -> &[usize] {
        &self.nodes[placed.first..placed.first + placed.pods]
    }

    /// How many copies of each task are placed.
    pub fn counts(&self, instance: &Instance) -> Vec<u64> {
        let placed = |copy: usize| self.placed[copy].is_some();
        instance
            .tasks
            .iter()
            .map(|task| task.copies.clone().filter(|&copy| placed(copy)).count() as u64)
            .collect()
    }

    /// The assignments of a plan, by task and copy.
    pub fn assignments(&self, instance: &Instance) -> Vec<Assignment> {
        let mut assignments = Vec::with_capacity(self.placed.len());
        for (copy, placed) in self.placed.iter().enumerate() {
            let Some(placed) = placed else { continue };
            let (index, task) = (instance.task_of[copy], instance.task(copy));
            assignments.push(Assignment {
                task: index,
                copy: instance.problem.tasks[index].copies[copy - task.copies.start],
                mode: task.modes[placed.mode].index,
                start: placed.start,
                end: placed.end,
                nodes: ranked(instance, self.nodes(placed).to_vec()),
            });
        }
        assignments.sort();
        assignments
    }
}

/// The nodes of a gang so that neighbours in rank are near each other: by their domains from the outermost level on.
fn ranked(instance: &Instance, mut nodes: Vec<usize>) -> Vec<usize> {
    let levels = &instance.problem.levels;
    if nodes.len() > 1 && !levels.is_empty() {
        nodes.sort_by_cached_key(|&node| {
            let domains = levels.iter().map(|tier| tier.domains[node]);
            (domains.collect::<Vec<usize>>(), node)
        });
    }
    nodes
}

/// What a decoder turns into a schedule.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// All copies, the one to place first in front.
    pub order: Vec<usize>,
    /// The mode of each copy, an index into `TaskView::modes`; `None` leaves it to the preference.
    pub modes: Vec<Option<usize>>,
    /// Which of several places is the best.
    pub preference: Preference,
}

impl Recipe {
    /// The recipe of a schedule: its order of starts and its modes.
    pub fn of_schedule(schedule: &Schedule, preference: &Preference) -> Self {
        let start = |copy: &usize| {
            let placed = schedule.placed[*copy].as_ref();
            placed.map_or(Millis::MAX, |placed| placed.start)
        };
        let mut order: Vec<usize> = (0..schedule.placed.len()).collect();
        order.sort_by_key(start);
        let modes = schedule.placed.iter();
        Self {
            order,
            modes: modes.map(|placed| Some(placed.as_ref()?.mode)).collect(),
            preference: preference.clone(),
        }
    }
}
