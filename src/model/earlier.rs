//! An earlier plan in terms that outlive its problem: names, requests and the order of starts. Tasks and nodes
//! may come and go, and time may move on; whoever plans again finds what is still there by its name.

use std::collections::HashMap;

use super::{Millis, Plan, Problem, Resources};

/// Who was to run where, in what size and in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Earlier {
    /// Names of nodes.
    pub nodes: Vec<String>,
    /// The tasks with a place. Several may have the same name: each speaks of some of its copies.
    pub tasks: Vec<EarlierTask>,
}

/// A task of an earlier plan.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlierTask {
    /// `namespace/name` of the batch.
    pub batch: String,
    /// Name of the task.
    pub name: String,
    /// The sizes in which its copies were to run.
    pub sizes: Vec<Size>,
    /// The places of its copies.
    pub places: Vec<Place>,
}

/// A size of a copy.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// Name of the flavor, where the task has a choice.
    pub flavor: Option<String>,
    /// Number of pods.
    pub pods: u32,
    /// Complete requests of the sized container.
    pub requests: Resources,
}

/// The place of one copy.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Index of the copy.
    pub copy: u32,
    /// Index into `EarlierTask::sizes`.
    pub size: usize,
    /// Index into `Earlier::nodes` of each pod.
    pub nodes: Vec<usize>,
    /// Planned start. Only the order of starts matters, so that any moment may be 0.
    pub start: Millis,
}

impl Earlier {
    /// What a plan of this problem says.
    pub fn of(problem: &Problem, plan: &Plan) -> Self {
        let mut earlier = Self {
            nodes: problem.nodes.clone(),
            tasks: Vec::new(),
        };
        // The entry of each task, and the size of each of its modes there.
        let mut known: HashMap<usize, usize> = HashMap::new();
        let mut sizes: HashMap<(usize, usize), usize> = HashMap::new();
        for one in &plan.assignments {
            let task = &problem.tasks[one.task];
            let entry = *known.entry(one.task).or_insert_with(|| {
                earlier.tasks.push(EarlierTask {
                    batch: problem.batches[task.batch].key.clone(),
                    name: task.name.clone(),
                    sizes: Vec::new(),
                    places: Vec::new(),
                });
                earlier.tasks.len() - 1
            });
            let entry = &mut earlier.tasks[entry];
            let size = *sizes.entry((one.task, one.mode)).or_insert_with(|| {
                let mode = &task.modes[one.mode];
                entry.sizes.push(Size {
                    flavor: mode.flavor.clone(),
                    pods: mode.pods,
                    requests: mode.requests.clone(),
                });
                entry.sizes.len() - 1
            });
            entry.places.push(Place {
                copy: one.copy,
                size,
                nodes: one.nodes.clone(),
                start: one.start,
            });
        }
        earlier
    }

    /// Adds another plan, whose starts are counted from the same moment.
    pub fn extend(&mut self, other: Self) {
        let before = self.nodes.len();
        let Self { nodes, mut tasks } = other;
        let places = tasks.iter_mut().flat_map(|task| &mut task.places);
        for node in places.flat_map(|place| &mut place.nodes) {
            *node += before;
        }
        self.nodes.extend(nodes);
        self.tasks.append(&mut tasks);
    }
}
