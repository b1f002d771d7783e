//! The nodes of the tree that follow one: every place that may lead to a better plan.

use crate::model::Millis;

use super::super::places::{self, MOST_SPREADS, Place};
use super::{Level, Tree};

impl Tree<'_, '_, '_> {
    /// Fills in the children that may lead to a better plan, and keeps the state in the memo. Without any,
    /// whether that is clean.
    pub(super) fn find_children(&mut self, level: &mut Level) -> Result<Option<u64>, bool> {
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

    /// Visits the spreads of a gang that were left out, until one is clean; whether one was.
    pub(super) fn visit_others(&mut self, level: &Level, first: &Place) -> bool {
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
            MOST_SPREADS,
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
}
