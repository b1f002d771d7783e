//! States that were searched before: a state with the same copies placed, no later, no costlier and with no
//! less room than another one makes that one superfluous ("branch, bound and remember", Jouglet, Baptiste and
//! Carlier 2004; T'kindt, Della Croce and Esswein 2004).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

/// The most states that are kept.
const MOST_STATES: usize = 400_000;
/// The most numbers that are kept.
const MOST_NUMBERS: usize = 12_000_000;
/// The most states with the same copies placed.
const MOST_ALIKE: usize = 48;

/// What is planned after so many copies, as far as it matters for the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// (start of the last copy, its index)
    pub last: (i64, usize),
    /// Numbers that are better when they are smaller, and say all about the objective: compared in order.
    pub cost: (i64, i64),
    /// Ends that still matter.
    pub ends: Vec<i64>,
    /// For each class its nodes in order: (number of steps, then the steps as time and free amounts).
    pub nodes: Vec<i64>,
    pub steps: Vec<u32>,
}

/// A state that was kept, with what came of it.
struct Known {
    state: State,
    id: u64,
    is_clean: bool,
}

#[derive(Default)]
pub(super) struct Memo {
    states: HashMap<u64, Vec<Known>, BuildHasherDefault<DefaultHasher>>,
    count: usize,
    numbers: usize,
    next: u64,
}

impl Memo {
    /// Whether the state need not be searched: then whether the one that covers it is clean.
    pub fn covers(&self, placed: u64, stride: usize, state: &State) -> Option<bool> {
        let alike = self.states.get(&placed)?;
        let known = alike
            .iter()
            .find(|known| known.state.covers(state, stride))?;
        Some(known.is_clean)
    }

    /// Keeps a state that is going to be searched, and returns its number.
    pub fn keep(&mut self, placed: u64, state: State) -> u64 {
        let is_full = self.count >= MOST_STATES || self.numbers >= MOST_NUMBERS;
        let alike = self.states.entry(placed).or_default();
        self.next += 1;
        if alike.len() >= MOST_ALIKE || is_full {
            if alike.is_empty() {
                return self.next;
            }
            let old = alike.remove(0);
            self.numbers -= old.state.nodes.len() + old.state.ends.len();
            self.count -= 1;
        }
        self.count += 1;
        self.numbers += state.nodes.len() + state.ends.len();
        alike.push(Known {
            state,
            id: self.next,
            is_clean: false,
        });
        self.next
    }

    /// The state was searched, and the nodes of a class might have been one.
    pub fn is_clean(&mut self, placed: u64, id: u64) {
        let mut known = self.states.get_mut(&placed).into_iter().flatten();
        if let Some(known) = known.find(|known| known.id == id) {
            known.is_clean = true;
        }
    }
}

impl State {
    fn covers(&self, other: &Self, stride: usize) -> bool {
        self.last <= other.last
            && self.cost <= other.cost
            && self.steps.len() == other.steps.len()
            && self
                .ends
                .iter()
                .zip(&other.ends)
                .all(|(own, other)| *own <= *other)
            && self.has_room(other, stride)
    }

    /// Whether on each node, in order, at no time less is free.
    fn has_room(&self, other: &Self, stride: usize) -> bool {
        let width = stride + 1;
        let (mut own, mut others) = (self.nodes.as_slice(), other.nodes.as_slice());
        for (&steps, &other_steps) in self.steps.iter().zip(&other.steps) {
            let (mine, rest) = own.split_at(steps as usize * width);
            let (theirs, other_rest) = others.split_at(other_steps as usize * width);
            (own, others) = (rest, other_rest);
            if !has_room(mine, theirs, width, other.last.0) {
                return false;
            }
        }
        true
    }
}

/// Steps as (time, free amounts), from the time `now` on.
fn has_room(mut own: &[i64], mut other: &[i64], width: usize, now: i64) -> bool {
    while own.len() > width && own[width] <= now {
        own = &own[width..];
    }
    loop {
        if own[1..width]
            .iter()
            .zip(&other[1..width])
            .any(|(own, other)| own < other)
        {
            return false;
        }
        let next = |steps: &[i64]| steps.get(width).copied().unwrap_or(i64::MAX);
        let (mine, theirs) = (next(own), next(other));
        if mine == i64::MAX && theirs == i64::MAX {
            return true;
        }
        if mine <= theirs {
            own = &own[width..];
        }
        if theirs <= mine {
            other = &other[width..];
        }
    }
}
