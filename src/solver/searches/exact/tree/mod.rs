//! Depth-first search over the order of starts.
//!
//! At a node of the tree some copies have a place; the next one starts no earlier than the last one, of equal
//! starts the copy with the smaller index comes first. Each starts as early as its way, its nodes and this
//! order allow. That is enough: take a plan with the best objective, among these one with the least sum of
//! ends, and place its copies in that order. None could start earlier, because at and after the start of the
//! copy before nothing but the copies placed so far is in the way; it would end sooner, the others as before.
//!
//! A node is left where its tariff proves that nothing better is below, where some copy could have run in the
//! room left idle (it would end sooner), and where the memo knows a state that is no worse.

mod children;
mod outlook;
mod state;

use crate::model::Millis;
use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;
use crate::solver::search::Search;

use super::jobs::Jobs;
use super::memo::Memo;
use super::nodes::Nodes;
use super::places::Place;
use super::pools::Pools;
use super::tariff::Tariff;
use outlook::Outlook;

/// Nodes of the tree between two looks at the budget.
const PACE: u64 = 64;

/// What is asked for.
pub(super) struct Task<'s> {
    /// Only plans with an objective up to this are of interest.
    pub limit: i64,
    /// Whether one such plan is enough.
    pub is_enough: bool,
    /// So many nodes are visited at most.
    pub most_nodes: u64,
    /// The best plan so far, with the copies of other parts: better ones replace it and are offered.
    pub schedule: Option<&'s mut Schedule>,
}

/// What came of it.
pub(super) struct Answer {
    /// The best plan within the limit, by job.
    pub best: Option<Vec<Place>>,
    /// Whether there is no better one.
    pub is_proved: bool,
}

pub(super) struct Tree<'t, 's, 'a> {
    jobs: &'t Jobs,
    search: &'s mut Search<'a>,
    task: Task<'s>,
    best: Option<Vec<Place>>,
    tariff: &'t Tariff,
    nodes: Nodes<'t>,
    memo: Memo,
    pools: Option<Pools>,
    /// So many spreads of a gang are looked at before the others.
    spreads: usize,
    /// The copies with a place, one bit each.
    placed: u64,
    places: Vec<Option<Place>>,
    /// Start of the last copy, and its index.
    last: (Millis, usize),
    /// Sum of weight x end.
    flow: i64,
    sum_of_ends: i64,
    /// The end of each batch so far.
    ends: Vec<Millis>,
    granted: u64,
    visited: u64,
    is_complete: bool,
    is_stopped: bool,
    levels: Vec<Level>,
}

/// What is known at one node of the tree.
#[derive(Default)]
struct Level {
    children: Vec<Place>,
    kinds: Vec<Vec<usize>>,
    /// No way starts earlier.
    soonest: Vec<Millis>,
    /// The latest end of each copy.
    latest: Vec<Millis>,
    /// No start of each copy is earlier, whatever the room.
    from: Vec<Millis>,
    /// Ways with places that were left out.
    cut: Vec<usize>,
    is_clean: bool,
    outlooks: Vec<Outlook>,
    counts: Vec<usize>,
}

impl<'t, 's, 'a> Tree<'t, 's, 'a> {
    pub fn new(
        jobs: &'t Jobs,
        tariff: &'t Tariff,
        search: &'s mut Search<'a>,
        task: Task<'s>,
    ) -> Self {
        Self {
            jobs,
            search,
            task,
            best: None,
            tariff,
            nodes: Nodes::new(jobs),
            memo: Memo::default(),
            pools: Pools::new(jobs),
            spreads: 1,
            placed: 0,
            places: vec![None; jobs.jobs.len()],
            last: (0, 0),
            flow: 0,
            sum_of_ends: 0,
            ends: vec![0; jobs.batches.len()],
            granted: 0,
            visited: 0,
            is_complete: true,
            is_stopped: false,
            levels: Vec::new(),
        }
    }

    /// Searches everything, or until the budget ends.
    pub fn search(mut self) -> Answer {
        self.expand();
        Answer {
            is_proved: self.is_complete && !self.is_stopped,
            best: self.best,
        }
    }

    /// Counts a node of the tree; whether there may be one more.
    fn may_go_on(&mut self) -> bool {
        if self.is_stopped {
            return false;
        }
        if self.granted == 0 {
            if self.visited >= self.task.most_nodes || self.search.meter().exhausted() {
                self.is_stopped = true;
                return false;
            }
            self.granted = self.search.meter().grant(PACE);
            self.search.count(self.granted);
        }
        self.granted -= 1;
        self.visited += 1;
        true
    }

    fn is_open(&self, job: usize) -> bool {
        self.placed >> job & 1 == 0
    }

    fn open(&self) -> impl Iterator<Item = usize> + use<> {
        let placed = self.placed;
        (0..self.jobs.jobs.len()).filter(move |job| placed >> job & 1 == 0)
    }

    /// Searches everything below this node. Whether that is clean: see [`Pools`].
    fn expand(&mut self) -> bool {
        if self.placed.count_ones() as usize == self.jobs.jobs.len() {
            self.record();
            return true;
        }
        if !self.may_go_on() {
            return false;
        }
        let mut level = self.levels.pop().unwrap_or_default();
        let is_clean = match self.find_children(&mut level) {
            Ok(id) => {
                let is_clean = self.visit_children(&mut level);
                if let Some(id) = id.filter(|_| is_clean) {
                    self.memo.is_clean(self.placed, id);
                }
                is_clean
            }
            Err(is_clean) => is_clean,
        };
        self.levels.push(level);
        is_clean
    }

    fn visit_children(&mut self, level: &mut Level) -> bool {
        level
            .children
            .sort_by(|one, other| one.bound.total_cmp(&other.bound));
        level.counts.clear();
        level.counts.extend(self.nodes.counts());
        let mut open: Vec<(usize, Millis)> = Vec::new();
        let mut closed: Vec<(usize, Millis)> = Vec::new();
        for child in &level.children {
            if self.is_hopeless(child.bound) {
                break;
            }
            let key = (child.way, child.start);
            if closed.contains(&key) {
                continue;
            }
            let mut is_clean = self.descend(child, &level.counts);
            if !is_clean && level.cut.contains(&child.way) {
                is_clean = self.visit_others(level, child);
            }
            if is_clean && self.pools.is_some() {
                closed.push(key);
                open.retain(|other| *other != key);
            } else if !open.contains(&key) {
                open.push(key);
            }
        }
        level.is_clean && open.is_empty()
    }

    fn descend(&mut self, place: &Place, counts: &[usize]) -> bool {
        let jobs = self.jobs;
        let way = &jobs.ways[place.way];
        let job = &jobs.jobs[way.job];
        let mark = self.nodes.mark();
        let was = (self.last, self.flow, self.sum_of_ends, self.ends[job.batch]);
        for &pick in place.picks.each() {
            self.nodes
                .occupy(pick, &way.request.usage, place.start, place.end);
        }
        self.placed |= 1 << way.job;
        self.places[way.job] = Some(place.clone());
        self.last = (place.start, way.job);
        self.flow += job.weight * place.end;
        self.sum_of_ends += place.end;
        self.ends[job.batch] = self.ends[job.batch].max(place.end);
        let is_clean = self.expand();
        self.placed &= !(1 << way.job);
        self.places[way.job] = None;
        (self.last, self.flow, self.sum_of_ends, self.ends[job.batch]) = was;
        self.nodes.back_to(mark, counts);
        is_clean
    }

    /// A complete plan: offers it where it is better.
    fn record(&mut self) {
        let weighted = |(&weight, &end): (&i64, &Millis)| weight * end;
        let objective = if self.jobs.is_flow {
            self.flow
        } else {
            self.jobs.batches.iter().zip(&self.ends).map(weighted).sum()
        };
        if objective > self.task.limit {
            return;
        }
        let places: Vec<Place> = self.places.iter().flatten().cloned().collect();
        if let Some(schedule) = &mut self.task.schedule {
            write(self.search.instance, schedule, self.jobs, &places, 0);
            super::offer(self.search, schedule);
        }
        self.best = Some(places);
        self.task.limit = objective - 1;
        self.is_stopped |= self.task.is_enough;
    }
}

/// Writes the places of all jobs into a schedule; `shift` is added to the nodes.
pub(super) fn write(
    instance: &Instance,
    schedule: &mut Schedule,
    jobs: &Jobs,
    places: &[Place],
    shift: usize,
) {
    for (job, place) in jobs.jobs.iter().zip(places) {
        let mut nodes = Vec::new();
        for pick in place.picks.each() {
            let node = instance.problem.classes[pick.class].nodes[pick.node + shift];
            nodes.extend((0..pick.pods).map(|_| node));
        }
        let mode = jobs.ways[place.way].mode;
        schedule.place(job.copy, mode, (place.start, place.end), nodes);
    }
}
