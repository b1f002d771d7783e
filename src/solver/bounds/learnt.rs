//! Bounds that are learnt: the longer, the better.

use crate::model::{Goal, Millis};
use crate::solver::instance::Instance;

use super::ends::batches::{Batches, Proof};
use super::ends::corners::Corners;
use super::ends::frontier::Frontier;
use super::prices::price::PriceBound;
use super::prices::tariff::Prices;
use super::prices::window::Windows;
use super::{Bound, Relaxation};

/// A bound on all plans that place so many copies of each task, as far as it is learnt.
pub(in crate::solver) struct Learnt(Kind);

enum Kind {
    FlowTime(PriceBound),
    Makespan(Box<Ends>),
}

/// Rounds of the frontier for each of the others; they are as much quicker.
const FRONTIER: usize = 3;

/// Bounds on the ends of batches.
struct Ends {
    windows: Windows,
    batches: Vec<Batches>,
    proof: Option<Proof>,
    frontier: Option<Frontier>,
    corners: Option<Corners>,
    /// Number of tasks, and of classes.
    size: (usize, usize),
}

impl Learnt {
    /// Starts to learn; `None` for goals whose bounds need no learning.
    pub fn new(instance: &Instance, placed: &[u64]) -> Option<Self> {
        let relaxation = || Relaxation::new(instance, placed);
        match instance.problem.goal {
            Goal::FlowTime => Some(Self(Kind::FlowTime(PriceBound::new(&relaxation())))),
            Goal::Makespan => Some(Self(Kind::Makespan(Box::new(Ends::new(&relaxation()))))),
            Goal::Cost | Goal::Shortfall | Goal::Throughput => None,
        }
    }

    /// Goes on for so many rounds; `stop` is asked between them. A round looks at every mode about once; where
    /// there are more than some thousand, the first rounds look at a sample.
    pub fn improve(&mut self, rounds: usize, stop: impl Fn() -> bool) {
        match &mut self.0 {
            Kind::FlowTime(prices) => prices.improve(rounds, stop),
            Kind::Makespan(ends) => ends.improve(rounds, stop),
        }
    }

    /// Looks at so many boxes of the ends of several batches, or until it is told to stop. Whether there are more.
    pub fn branch(&mut self, boxes: usize, stop: impl Fn() -> bool) -> bool {
        match &mut self.0 {
            Kind::FlowTime(_) => false,
            Kind::Makespan(ends) => {
                let corners = ends.corners.as_mut();
                corners.is_some_and(|corners| corners.improve(boxes, stop))
            }
        }
    }

    /// What is proved so far.
    pub fn bound(&self) -> Bound {
        match &self.0 {
            Kind::FlowTime(prices) => Bound::new(prices.bound(), "prices"),
            Kind::Makespan(ends) => ends.bound(),
        }
    }

    /// For FlowTime the prices that prove it.
    pub fn prices(&self) -> Option<Prices> {
        match &self.0 {
            Kind::FlowTime(prices) => Some(prices.prices()),
            Kind::Makespan(_) => None,
        }
    }

    /// For several batches under Makespan, ends that leave more and more room, with their prices.
    pub fn frontier(&self) -> Vec<(Vec<Millis>, Prices)> {
        match &self.0 {
            Kind::FlowTime(_) => Vec::new(),
            Kind::Makespan(ends) => {
                let (tasks, classes) = ends.size;
                let frontier = ends.frontier.as_ref();
                frontier.map_or(Vec::new(), |frontier| frontier.found(tasks, classes))
            }
        }
    }

    /// For Makespan when each batch might end in a plan that is near the bound.
    pub fn ends(&self) -> Option<Vec<Millis>> {
        match &self.0 {
            Kind::FlowTime(_) => None,
            Kind::Makespan(ends) => Some(ends.ends()),
        }
    }
}

impl Ends {
    fn new(relaxation: &Relaxation) -> Self {
        let windows = Windows::new(relaxation);
        let instance = relaxation.instance;
        Self {
            batches: Batches::of_all(relaxation, &windows.ends()),
            frontier: Frontier::new(relaxation, &windows.ends()),
            corners: Corners::new(relaxation, &windows.ends()),
            windows,
            proof: None,
            size: (instance.tasks.len(), instance.classes.len()),
        }
    }

    fn improve(&mut self, rounds: usize, stop: impl Fn() -> bool) {
        self.windows.improve(rounds, &stop);
        if let Some(frontier) = &mut self.frontier {
            frontier.improve(rounds.saturating_mul(FRONTIER), &stop);
        }
        for batches in &mut self.batches {
            for _ in 0..rounds {
                if stop() {
                    break;
                }
                batches.step();
            }
            let found = batches.prove();
            if self
                .proof
                .as_ref()
                .is_none_or(|proof| found.bound > proof.bound)
            {
                self.proof = Some(found);
            }
        }
    }

    fn bound(&self) -> Bound {
        let windows = Bound::new(self.windows.bound(), "prices in a window");
        let batches = self
            .proof
            .as_ref()
            .map(|proof| Bound::new(proof.bound, "prices of time"));
        let corners = self
            .corners
            .as_ref()
            .map(|corners| Bound::new(corners.bound(), "prices of ends"));
        let more = batches.into_iter().chain(corners);
        more.fold(windows, |best, bound| {
            if bound.value > best.value {
                bound
            } else {
                best
            }
        })
    }

    fn ends(&self) -> Vec<Millis> {
        if let Some(frontier) = &self.frontier {
            return frontier.least();
        }
        let alone = self
            .windows
            .ends()
            .into_iter()
            .map(|end| Millis::try_from(end).unwrap_or(Millis::MAX));
        match &self.proof {
            Some(proof) => proof
                .ends
                .iter()
                .zip(alone)
                .map(|(end, alone)| alone.max(*end))
                .collect(),
            None => alone.collect(),
        }
    }
}
