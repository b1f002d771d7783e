//! What the memo keeps of a node of the tree.

use crate::solver::instance::profile::Profile;

use super::super::memo::State;
use super::Tree;

impl Tree<'_, '_, '_> {
    /// Keeps the state of this node, unless one is known that covers it: then whether that one is clean.
    pub(super) fn remember(&mut self) -> Result<Option<u64>, bool> {
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
        let flat = |profile: &Profile| {
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
}
