//! Makespan of single pods without order: once it is known which copies go to which node, the nodes have
//! nothing to do with one another.
//!
//! The nodes are filled one by one ("bin completion", Korf 2003): every set of the remaining copies whose load
//! fits into the node, and whose rest fits into the other nodes, is tried; the branch and bound over starts
//! then says whether the set can end in time on that node. Loads are areas, and what the copies pay at the
//! prices of the whole problem (for each node alone, what its copies pay at most is the price of its room).
//! Of equal nodes the one before has the copy with the least index.

use std::collections::HashMap;

use crate::model::Millis;
use crate::solver::schedule::Schedule;
use crate::solver::search::Search;

use super::jobs::{Job, Jobs};
use super::places::Place;
use super::tariff::Tariff;
use super::tree::{Task, Tree, write};

/// More nodes are not told apart.
const MOST_NODES: usize = 16;

pub(super) struct Loads<'j, 's, 'a> {
    jobs: &'j Jobs,
    search: &'s mut Search<'a>,
    /// The class of each node, equal ones side by side.
    nodes: Vec<usize>,
    measures: Vec<Measure>,
    /// The latest end wanted.
    latest: Millis,
    known: HashMap<(usize, u64), Fit>,
    chosen: Vec<u64>,
    is_stopped: bool,
    steps: u64,
}

/// What copies need and nodes have.
struct Measure {
    /// For each class and job.
    load: Vec<Vec<f64>>,
    /// The least load of each job over the classes.
    least: Vec<f64>,
    /// For each class the room of a node.
    room: Vec<f64>,
}

/// The node that is filled.
struct Turn {
    node: usize,
    class: usize,
    /// The copies that have no node yet.
    rest: u64,
    /// Its set begins with this job or a later one.
    first: usize,
    room: Vec<f64>,
    /// Room of all later nodes.
    spare: Vec<f64>,
}

enum Fit {
    /// A schedule of the set on one node, by job of the set.
    Until(Millis, Vec<Place>),
    /// No schedule ends by then.
    Never(Millis),
}

/// Whether this search applies.
pub(super) fn applies(jobs: &Jobs) -> bool {
    let nodes: usize = jobs.classes.iter().map(|class| class.size).sum();
    let is_free = jobs.jobs.iter().all(|job| job.before == 0);
    (2..=MOST_NODES).contains(&nodes) && is_free && jobs.ways.iter().all(|way| way.pods == 1)
}

impl<'j, 's, 'a> Loads<'j, 's, 'a> {
    pub fn new(
        jobs: &'j Jobs,
        tariff: &Tariff,
        search: &'s mut Search<'a>,
        latest: Millis,
    ) -> Self {
        let nodes = jobs
            .classes
            .iter()
            .enumerate()
            .flat_map(|(class, view)| vec![class; view.size]);
        let mut all = Self {
            jobs,
            search,
            nodes: nodes.collect(),
            measures: Vec::new(),
            latest,
            known: HashMap::new(),
            chosen: Vec::new(),
            is_stopped: false,
            steps: 0,
        };
        all.measures = all.measure(tariff);
        all
    }

    /// Lets the copies end as early as possible; whether nothing better is left. The schedule is replaced by
    /// better ones.
    pub fn search(mut self, schedule: &mut Schedule) -> bool {
        let everything = (0..self.jobs.jobs.len()).fold(0u64, |set, job| set | 1 << job);
        while self.fill(0, everything) {
            let end = self.take(schedule);
            self.chosen.clear();
            self.latest = end - 1;
        }
        !self.is_stopped
    }

    fn measure(&self, tariff: &Tariff) -> Vec<Measure> {
        let until = self.latest as f64 + 1.0;
        let mut measures = Vec::new();
        let curves = |class: usize| self.jobs.classes[class].curves.clone();
        for resource in 0..self.jobs.stride {
            let area = |way: usize| {
                let way = &self.jobs.ways[way];
                way.request.usage[resource] as f64 * way.duration as f64
            };
            let room =
                |free: f64, from: f64, to: f64, _: usize| free * (to.min(until) - from.min(until));
            // Single pods have one curve for each resource.
            let own = |class: usize| {
                let curve = curves(class).start + resource;
                curve..curve + 1
            };
            measures.push(self.measure_by(area, |class| self.room(own(class), room)));
        }
        let paid =
            |way: usize| tariff.floor(way, self.jobs.jobs[self.jobs.ways[way].job].head as f64);
        let price = |free: f64, from: f64, to: f64, curve: usize| {
            free * (tariff.paid(curve, to) - tariff.paid(curve, from))
        };
        measures.push(self.measure_by(paid, |class| self.room(curves(class), price)));
        measures
    }

    fn measure_by(&self, load: impl Fn(usize) -> f64, room: impl Fn(usize) -> f64) -> Measure {
        let on_class = |job: &Job, class: usize| {
            let here = job
                .ways
                .clone()
                .filter(|&way| self.jobs.ways[way].lanes[0].class == class);
            let in_time = here.filter(|&way| {
                job.head.saturating_add(self.jobs.ways[way].duration) <= self.latest
            });
            in_time.map(&load).fold(f64::INFINITY, f64::min)
        };
        let classes = 0..self.jobs.classes.len();
        let load: Vec<Vec<f64>> = classes
            .clone()
            .map(|class| {
                self.jobs
                    .jobs
                    .iter()
                    .map(|job| on_class(job, class))
                    .collect()
            })
            .collect();
        let least = |job: usize| {
            load.iter()
                .map(|load| load[job])
                .fold(f64::INFINITY, f64::min)
        };
        let least = (0..self.jobs.jobs.len()).map(least).collect();
        let room = classes
            .map(|class| room(class) * (1.0 + 1e-9) + 1e-9)
            .collect();
        Measure { load, least, room }
    }

    /// The room of a node, all curves of its class together.
    fn room(
        &self,
        curves: std::ops::Range<usize>,
        value: impl Fn(f64, f64, f64, usize) -> f64,
    ) -> f64 {
        let mut room = 0.0;
        for curve in curves {
            let view = &self.jobs.curves[curve];
            let mut steps = self.jobs.classes[view.class].base.steps_from(0).peekable();
            while let Some((from, free)) = steps.next() {
                let to = steps.peek().map_or(f64::INFINITY, |(time, _)| *time as f64);
                room += value(view.room(free), from as f64, to, curve);
            }
        }
        room
    }

    /// Whether the remaining copies fit on the nodes from this one on.
    fn fill(&mut self, node: usize, rest: u64) -> bool {
        if rest == 0 {
            return true;
        }
        let Some(&class) = self.nodes.get(node) else {
            return false;
        };
        let later = |measure: &Measure| {
            self.nodes[node + 1..]
                .iter()
                .map(|&class| measure.room[class])
                .sum()
        };
        let is_like_last = node > 0 && self.nodes[node - 1] == class;
        let first = match self.chosen.last() {
            Some(set) if is_like_last => set.trailing_zeros() as usize,
            _ => 0,
        };
        let turn = Turn {
            node,
            class,
            rest,
            first,
            room: self
                .measures
                .iter()
                .map(|measure| measure.room[class])
                .collect(),
            spare: self.measures.iter().map(later).collect(),
        };
        let nothing = vec![0.0; self.measures.len()];
        self.choose(&turn, 0, 0, &nothing, &nothing)
    }

    /// Decides over the copies from `next` on whether they are in the set of the node. `inside` is the load of
    /// the set, `outside` that of the copies left for later nodes.
    fn choose(
        &mut self,
        turn: &Turn,
        set: u64,
        next: usize,
        inside: &[f64],
        outside: &[f64],
    ) -> bool {
        self.steps += 1;
        if self.steps.is_multiple_of(4096) {
            self.is_stopped |= self.search.meter().exhausted();
        }
        if self.is_stopped {
            return false;
        }
        let Some(job) = (next..self.jobs.jobs.len()).find(|job| turn.rest >> job & 1 == 1) else {
            self.chosen.push(set);
            let is_done = self.fits(turn.class, set) && self.fill(turn.node + 1, turn.rest & !set);
            if !is_done {
                self.chosen.pop();
            }
            return is_done;
        };
        let more = |load: &[f64], own: &dyn Fn(&Measure) -> f64| -> Vec<f64> {
            load.iter()
                .zip(&self.measures)
                .map(|(load, measure)| load + own(measure))
                .collect()
        };
        let fits =
            |load: &[f64], room: &[f64]| load.iter().zip(room).all(|(load, room)| load <= room);
        let with = more(inside, &|measure| measure.load[turn.class][job]);
        let without = more(outside, &|measure| measure.least[job]);
        let may_take = (set != 0 || job >= turn.first) && fits(&with, &turn.room);
        let may_leave = fits(&without, &turn.spare);
        (may_take && self.choose(turn, set | 1 << job, job + 1, &with, outside))
            || (may_leave && self.choose(turn, set, job + 1, inside, &without))
    }

    /// Whether the set can end in time on a node of the class.
    fn fits(&mut self, class: usize, set: u64) -> bool {
        if set == 0 {
            return true;
        }
        match self.known.get(&(class, set)) {
            Some(Fit::Until(end, _)) if *end <= self.latest => return true,
            Some(Fit::Never(latest)) if self.latest <= *latest => return false,
            _ => {}
        }
        let own = self.jobs.on_one_node(set, class);
        let weight = own.batches[own.jobs[0].batch];
        let Some(tariff) = super::deadline_prices(self.search, &own, self.latest, 80) else {
            self.is_stopped = true;
            return false;
        };
        let task = Task {
            limit: weight.saturating_mul(self.latest),
            is_enough: true,
            most_nodes: u64::MAX,
            schedule: None,
        };
        let found = Tree::new(&own, &tariff, self.search, task).search();
        self.is_stopped |= found.best.is_none() && !found.is_proved;
        let (fit, fits) = match found.best {
            Some(places) => {
                let end = places.iter().map(|place| place.end).max().unwrap_or(0);
                (Fit::Until(end, places), true)
            }
            None => (Fit::Never(self.latest), false),
        };
        if !self.is_stopped {
            self.known.insert((class, set), fit);
        }
        fits && !self.is_stopped
    }

    /// Writes the chosen sets into the schedule and offers it; returns the last end.
    fn take(&mut self, schedule: &mut Schedule) -> Millis {
        let mut last = 0;
        for (node, &set) in self.chosen.iter().enumerate() {
            let class = self.nodes[node];
            let index = self.nodes[..node]
                .iter()
                .filter(|&&other| other == class)
                .count();
            if let Some(Fit::Until(end, places)) = self.known.get(&(class, set)) {
                last = last.max(*end);
                let own = self.jobs.on_one_node(set, class);
                write(self.search.instance, schedule, &own, places, index);
            }
        }
        super::offer(self.search, schedule);
        last
    }
}
