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

use crate::model::Millis;

use super::super::instance::Instance;
use super::super::schedule::Schedule;
use super::super::search::Search;
use super::jobs::Jobs;
use super::memo::{Memo, State};
use super::nodes::Nodes;
use super::places::{self, Place};
use super::pools::Pools;
use super::tariff::Tariff;

/// Nodes of the tree between two looks at the budget.
const PACE: u64 = 64;

/// What is asked for.
pub(super) struct Task<'s> {
    /// Only plans with an objective up to this are of interest.
    pub limit: i64,
    /// Whether one such plan is enough.
    pub is_enough: bool,
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

/// Bounds on the open copies from a time on.
struct Outlook {
    time: Millis,
    /// For each copy the least cost.
    each: Vec<f64>,
    /// Their sum less the price of all free room.
    net: f64,
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
        if std::env::var("EXACT_DEBUG").is_ok() && self.task.schedule.is_some() {
            eprintln!(
                "visited {} complete {} stopped {} root {} limit {}",
                self.visited, self.is_complete, self.is_stopped, self.tariff.bound, self.task.limit
            );
        }
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
            if self.search.meter().exhausted() {
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

    /// Visits the spreads of a gang that were left out, until one is clean; whether one was.
    fn visit_others(&mut self, level: &Level, first: &Place) -> bool {
        let way = &self.jobs.ways[first.way];
        let mut others = Vec::new();
        let mut offer = |start: Millis, picks| {
            if start == first.start {
                others.push(Place {
                    picks,
                    ..first.clone()
                });
            }
        };
        let range = (level.from[way.job], first.start + 1);
        let found = places::each(
            &self.nodes,
            &level.kinds,
            way,
            range,
            places::MOST_SPREADS,
            &mut offer,
        );
        for other in others.iter().skip(1) {
            if self.is_hopeless(other.bound) {
                return true;
            }
            if self.descend(other, &level.counts) && self.pools.is_some() {
                return true;
            }
        }
        self.is_complete &= found.has_all;
        false
    }

    /// Whether a bound shows that no better plan is below.
    fn is_hopeless(&self, bound: f64) -> bool {
        let enough = if self.jobs.is_flow {
            self.task.limit as f64
        } else {
            0.0
        };
        bound > enough + self.tariff.margin
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

    /// Fills in the children that may lead to a better plan, and keeps the state in the memo. Without any,
    /// whether that is clean.
    fn find_children(&mut self, level: &mut Level) -> Result<Option<u64>, bool> {
        level.children.clear();
        level.kinds.resize(self.jobs.classes.len(), Vec::new());
        for (class, kinds) in level.kinds.iter_mut().enumerate() {
            self.nodes.kinds(class, self.last.0, kinds);
        }
        level.soonest.clear();
        level.cut.clear();
        level.from.clear();
        level.from.resize(self.jobs.jobs.len(), 0);
        level.soonest.resize(self.jobs.ways.len(), Millis::MAX);
        let cutoff = self.find_places(level);
        level.is_clean = self.pools.as_mut().is_some_and(|pools| {
            pools.are_like(
                self.jobs,
                &self.nodes,
                self.placed,
                &level.soonest,
                &level.from,
            )
        });
        if !self.set_deadlines(level) || self.is_hopeless(self.bound(level)) {
            return Err(level.is_clean);
        }
        let id = self.remember()?;
        let mut children = std::mem::take(&mut level.children);
        children.retain_mut(|place| place.start < cutoff && self.judge(level, place));
        level.children = children;
        Ok(id)
    }

    /// Collects all places, and returns the time at which the first copy could have ended: a start from then
    /// on leaves room idle in which that copy would end sooner.
    fn find_places(&mut self, level: &mut Level) -> Millis {
        let jobs = self.jobs;
        let mut cutoff = Millis::MAX;
        let mut least_end = vec![0; jobs.jobs.len()];
        for job in 0..jobs.jobs.len() {
            let view = &jobs.jobs[job];
            if let Some(place) = &self.places[job] {
                least_end[job] = place.end;
                continue;
            }
            let mut from = view.head.max(self.last.0);
            for before in (0..job).filter(|before| view.before >> before & 1 == 1) {
                from = from.max(least_end[before]);
            }
            level.from[job] = from;
            let is_second = view.twin.is_some_and(|twin| self.is_open(twin));
            let is_next = !is_second && view.before & !self.placed == 0;
            let mut ends = Millis::MAX;
            for index in view.ways.clone() {
                let way = &jobs.ways[index];
                let until = if is_next { cutoff } else { 0 };
                let (last, is_tied, children) =
                    (self.last, self.pools.is_none(), &mut level.children);
                let mut offer = |start: Millis, picks| {
                    if !is_tied || (start, job) > last || last == (0, 0) {
                        let end = start + way.duration;
                        children.push(Place {
                            way: index,
                            start,
                            end,
                            bound: 0.0,
                            picks,
                        });
                    }
                };
                let found = places::each(
                    &self.nodes,
                    &level.kinds,
                    way,
                    (from, until),
                    self.spreads,
                    &mut offer,
                );
                self.is_complete &= found.is_complete;
                if !found.has_all {
                    level.cut.push(index);
                }
                level.soonest[index] = found.soonest;
                ends = ends.min(found.soonest.saturating_add(way.duration));
            }
            least_end[job] = ends;
            if is_next {
                cutoff = cutoff.min(ends.saturating_add(Millis::from(view.least == 0)));
            }
        }
        cutoff
    }

    /// The latest end of each copy in a better plan, for Makespan; false where there is none.
    fn set_deadlines(&self, level: &mut Level) -> bool {
        level.latest.clear();
        level.latest.resize(self.jobs.jobs.len(), Millis::MAX);
        if self.jobs.is_flow {
            return true;
        }
        let mut ends = self.ends.clone();
        for job in self.open() {
            let view = &self.jobs.jobs[job];
            let end = |way: usize| level.soonest[way].saturating_add(self.jobs.ways[way].duration);
            let least = view.ways.clone().map(end).min().unwrap_or(Millis::MAX);
            ends[view.batch] = ends[view.batch].max(least);
        }
        let weighted = self
            .jobs
            .batches
            .iter()
            .zip(&ends)
            .map(|(&weight, &end)| i128::from(weight) * i128::from(end));
        let slack = i128::from(self.task.limit) - weighted.sum::<i128>();
        if slack < 0 {
            return false;
        }
        for job in self.open() {
            let batch = self.jobs.jobs[job].batch;
            let weight = i128::from(self.jobs.batches[batch]);
            if weight > 0 {
                let latest = i128::from(ends[batch]) + slack / weight;
                level.latest[job] = i64::try_from(latest).unwrap_or(Millis::MAX);
            }
        }
        true
    }

    /// What the placed copies cost, for the bound: with the price of what still waits for them.
    fn so_far(&self) -> f64 {
        let flow = if self.jobs.is_flow {
            self.flow as f64
        } else {
            0.0
        };
        let waits = self
            .tariff
            .waits
            .iter()
            .filter(|(_, after, _)| self.is_open(*after));
        let end = |before: usize| {
            self.places[before]
                .as_ref()
                .map_or(0.0, |place| place.end as f64)
        };
        flow + waits
            .map(|&(before, _, price)| price * end(before))
            .sum::<f64>()
    }

    /// The bound on everything below this node.
    fn bound(&self, level: &mut Level) -> f64 {
        level.outlooks.clear();
        let outlook = self.outlook(level, self.last.0);
        let bound = self.so_far() + outlook.net;
        level.outlooks.push(outlook);
        bound
    }

    fn outlook(&self, level: &Level, time: Millis) -> Outlook {
        let mut each = vec![0.0; self.jobs.jobs.len()];
        let mut net = -self.rent(time);
        for job in self.open() {
            let mut least = f64::INFINITY;
            for way in self.jobs.jobs[job].ways.clone() {
                let start = level.soonest[way].max(time);
                if start.saturating_add(self.jobs.ways[way].duration) <= level.latest[job] {
                    least = least.min(self.tariff.floor(way, start as f64));
                }
            }
            each[job] = least;
            net += least;
        }
        Outlook { time, each, net }
    }

    /// The price of all room that is free from a time on.
    fn rent(&self, time: Millis) -> f64 {
        let mut rent = 0.0;
        let stride = self.jobs.stride;
        for (class, view) in self.jobs.classes.iter().enumerate() {
            let touched = self
                .nodes
                .touched(class)
                .iter()
                .map(|profile| (profile, 1.0));
            let fresh = (&view.base, self.nodes.untouched(class) as f64);
            for (profile, count) in touched.chain([fresh]) {
                let mut steps = profile.steps_from(time).peekable();
                while let Some((from, free)) = steps.next() {
                    let until = steps.peek().map_or(f64::INFINITY, |(time, _)| *time as f64);
                    for (resource, &free) in free.iter().enumerate() {
                        if free > 0 {
                            let curve = class * stride + resource;
                            let price = self.tariff.paid(curve, until)
                                - self.tariff.paid(curve, from as f64);
                            rent += count * free as f64 * price;
                        }
                    }
                }
            }
        }
        rent
    }

    /// Sets the bound of a child; whether it is worth a visit.
    fn judge(&self, level: &mut Level, place: &mut Place) -> bool {
        let way = &self.jobs.ways[place.way];
        if place.end > level.latest[way.job] {
            return false;
        }
        let known = level
            .outlooks
            .iter()
            .position(|outlook| outlook.time == place.start);
        let outlook = known.unwrap_or_else(|| {
            let outlook = self.outlook(level, place.start);
            level.outlooks.push(outlook);
            level.outlooks.len() - 1
        });
        let outlook = &level.outlooks[outlook];
        let mut own = if self.jobs.is_flow {
            (self.jobs.jobs[way.job].weight * place.end) as f64
        } else {
            0.0
        };
        for &(before, after, price) in &self.tariff.waits {
            if before == way.job {
                own += price * place.end as f64;
            } else if after == way.job {
                own -= price
                    * self.places[before]
                        .as_ref()
                        .map_or(0.0, |place| place.end as f64);
            }
        }
        for pick in place.picks.each() {
            for (resource, &usage) in way
                .request
                .usage
                .iter()
                .enumerate()
                .filter(|(_, usage)| **usage > 0)
            {
                let curve = pick.class * self.jobs.stride + resource;
                let price = self.tariff.paid(curve, place.end as f64)
                    - self.tariff.paid(curve, place.start as f64);
                own += f64::from(pick.pods) * usage as f64 * price;
            }
        }
        let others = outlook.net - outlook.each[way.job];
        place.bound = if others.is_nan() {
            f64::NEG_INFINITY
        } else {
            self.so_far() + own + others
        };
        !self.is_hopeless(place.bound)
    }

    /// Keeps the state of this node, unless one is known that covers it: then whether that one is clean.
    fn remember(&mut self) -> Result<Option<u64>, bool> {
        if self.placed.count_ones() < 2 || self.open().count() < 2 {
            return Ok(None);
        }
        let state = self.state();
        match self.memo.covers(self.placed, self.jobs.stride, &state) {
            Some(is_clean) => Err(is_clean),
            None => Ok(Some(self.memo.keep(self.placed, state))),
        }
    }

    fn state(&self) -> State {
        let now = self.last.0;
        let mut state = State {
            last: (now, if self.pools.is_none() { self.last.1 } else { 0 }),
            cost: (0, self.sum_of_ends),
            ..State::default()
        };
        if self.jobs.is_flow {
            state.cost.0 = self.flow;
        } else {
            let mut has_more = vec![false; self.jobs.batches.len()];
            self.open()
                .for_each(|job| has_more[self.jobs.jobs[job].batch] = true);
            let ends = self.ends.iter().zip(has_more);
            state
                .ends
                .extend(ends.map(|(&end, more)| if more { end.max(now) } else { end }));
        }
        let awaited = self
            .open()
            .fold(0, |awaited, job| awaited | self.jobs.jobs[job].before);
        for (job, place) in self.places.iter().enumerate() {
            if let Some(place) = place
                && awaited >> job & 1 == 1
            {
                state.ends.push(place.end.max(now));
            }
        }
        for class in 0..self.jobs.classes.len() {
            self.describe(class, &mut state);
        }
        state
    }

    /// Adds the touched nodes of a class, in an order that depends on their contents alone.
    fn describe(&self, class: usize, state: &mut State) {
        let flat = |profile: &super::super::profile::Profile| {
            let mut flat = Vec::new();
            for (time, free) in profile.steps_from(self.last.0) {
                flat.push(time);
                flat.extend_from_slice(free);
            }
            flat
        };
        let mut all: Vec<Vec<i64>> = self.nodes.touched(class).iter().map(flat).collect();
        if self.jobs.classes[class].size <= 64 {
            let base = flat(&self.jobs.classes[class].base);
            all.resize(self.jobs.classes[class].size, base);
        }
        all.sort_unstable_by(|one, other| one[1..].cmp(&other[1..]));
        for node in all {
            state
                .steps
                .push((node.len() / (self.jobs.stride + 1)) as u32);
            state.nodes.extend(node);
        }
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
