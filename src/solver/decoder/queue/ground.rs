//! What does not change while queues are searched.

use std::ops::Range;

use crate::model::{Goal, Millis};
use crate::solver::decoder::sequences::{Choice, Ground, Units};
use crate::solver::instance::{Instance, ModeView};

use super::{Lane, Stand};

/// The problem, ready for queues.
pub(in crate::solver) struct QueueGround<'a> {
    pub(super) ground: Ground<'a>,
    /// (class, node) of each lane.
    lanes: Vec<(usize, usize)>,
    of_class: Vec<Range<u32>>,
    /// The lane of each node.
    lane_of: Vec<Option<u32>>,
    /// For each task and mode.
    ways: Vec<Vec<Way>>,
}

/// How the pods of a mode may stand.
pub(super) struct Way {
    pub pods: u32,
    /// The choice of each run.
    pub choices: Vec<u32>,
    /// Sets of runs, and whether all pods stand on one node of them.
    pub scopes: Vec<(Vec<usize>, bool)>,
}

impl<'a> QueueGround<'a> {
    /// Whether only the ends of copies count, and they meet on nodes and where they wait.
    pub fn suits(instance: &Instance) -> bool {
        instance.problem.goal == Goal::FlowTime
            && !instance.has_dues
            && instance.problem.budgets.is_empty()
            && instance.project.is_none()
            && Ground::is_small(instance)
    }

    /// `None` where this form does not suit.
    pub fn new(instance: &'a Instance<'a>) -> Option<Self> {
        if !Self::suits(instance) {
            return None;
        }
        let ground = Ground::read(instance);
        let (mut lanes, mut of_class) = (Vec::new(), Vec::new());
        let mut lane_of = vec![None; instance.problem.nodes.len()];
        for (class, of) in instance.problem.classes.iter().enumerate() {
            let first = lanes.len() as u32;
            for &node in &of.nodes {
                lane_of[node] = Some(lanes.len() as u32);
                lanes.push((class, node));
            }
            of_class.push(first..lanes.len() as u32);
        }
        let ways = instance.tasks.iter().enumerate().map(|(task, view)| {
            let modes = view.modes.iter().enumerate();
            modes
                .map(|(mode, view)| way(&ground, task, mode, view))
                .collect()
        });
        let ways = ways.collect();
        Some(Self {
            ground,
            lanes,
            of_class,
            lane_of,
            ways,
        })
    }

    pub fn instance(&self) -> &'a Instance<'a> {
        self.ground.instance
    }

    pub(super) fn way(&self, copy: usize, mode: usize) -> &Way {
        &self.ways[self.instance().task_of[copy]][mode]
    }

    pub(super) fn mode(&self, copy: usize, mode: usize) -> &'a ModeView {
        &self.instance().task(copy).modes[mode]
    }

    pub(super) fn choice(&self, choice: u32) -> &Choice {
        &self.ground.choices[choice as usize]
    }

    /// What one pod takes of each resource.
    pub(super) fn usage(&self, choice: u32) -> &[i64] {
        self.ground.usage(self.choice(choice))
    }

    pub(super) fn class(&self, lane: u32) -> usize {
        self.lanes[lane as usize].0
    }

    pub(super) fn node(&self, lane: u32) -> usize {
        self.lanes[lane as usize].1
    }

    pub(super) fn lanes_of(&self, class: usize) -> Range<u32> {
        self.of_class[class].clone()
    }

    pub(super) fn empty_lanes(&self) -> Vec<Lane> {
        let lane = |&(class, _): &(usize, usize)| Lane {
            copies: Vec::new(),
            tail: self.units(class).to_vec(),
        };
        self.lanes.iter().map(lane).collect()
    }

    /// What is free on an empty node of the class.
    pub(super) fn units(&self, class: usize) -> &[Units] {
        &self.ground.classes[class].units
    }

    /// Pods on these nodes; `None` where the mode does not run on one of them.
    pub(super) fn stands(&self, copy: usize, mode: usize, nodes: &[usize]) -> Option<Vec<Stand>> {
        let view = self.mode(copy, mode);
        let way = self.way(copy, mode);
        let mut stands: Vec<Stand> = Vec::new();
        for &node in nodes {
            let lane = (*self.lane_of.get(node)?)?;
            if let Some(stand) = stands.iter_mut().find(|stand| stand.lane == lane) {
                stand.pods += 1;
                continue;
            }
            let class = self.class(lane);
            let run = view.runs.iter().position(|run| run.class == class)?;
            stands.push(Stand {
                lane,
                pods: 1,
                choice: way.choices[run],
            });
        }
        Some(stands)
    }

    /// How long the copy takes there: its slowest pod, with what it has to cross.
    pub(super) fn lasting(&self, copy: usize, mode: usize, stands: &[Stand]) -> Millis {
        if let [stand] = stands {
            return self.choice(stand.choice).duration;
        }
        let view = self.mode(copy, mode);
        let classes = stands.iter().map(|stand| self.class(stand.lane));
        let level = self.instance().spanned(stands.len(), classes.clone());
        let lasting = classes.map(|class| {
            let run = view.runs.iter().find(|run| run.class == class);
            run.map_or(0, |run| run.lasting(level))
        });
        lasting.max().unwrap_or(0)
    }
}

fn way(ground: &Ground, task: usize, mode: usize, view: &ModeView) -> Way {
    let choice = |class: usize| {
        let mut options = ground.options[task].iter();
        let of_class = options.find(|(known, _)| *known == class);
        let mut choices = of_class.map_or(0..0, |(_, choices)| choices.clone());
        choices.find(|&choice| ground.choices[choice as usize].mode == mode)
    };
    let scopes = match view.pods {
        1 => vec![((0..view.runs.len()).collect(), false)],
        _ => view.scopes().collect(),
    };
    Way {
        pods: view.pods,
        // Every run of a mode has a choice.
        choices: view
            .runs
            .iter()
            .map(|run| choice(run.class).unwrap_or_default())
            .collect(),
        scopes,
    }
}
