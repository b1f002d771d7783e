//! A walk from plan to plan by single moves.

use rand_chacha::ChaCha8Rng;

use crate::solver::decoder::sequences::{accepted_rise, below};

use super::Queue;
use super::replay::{Change, Step};

/// Moves between two looks at the time.
const STRIDE: u64 = 20;
/// How far a copy mostly goes in the queue.
const NEAR: usize = 12;

impl Queue<'_> {
    /// Takes so many moves at one temperature, unless it is told to stop; how many it took.
    pub fn walk(
        &mut self,
        moves: u64,
        temperature: f64,
        random: &mut ChaCha8Rng,
        stop: impl Fn() -> bool,
    ) -> u64 {
        for taken in 0..moves {
            if self.energy == 0 || self.order.is_empty() {
                break;
            }
            if taken % STRIDE == STRIDE - 1 && stop() {
                return taken;
            }
            self.step(temperature, random);
        }
        moves
    }

    fn step(&mut self, temperature: f64, random: &mut ChaCha8Rng) {
        let limit = accepted_rise(temperature, random);
        let at = below(random, self.order.len());
        self.steps.clear();
        self.changes.clear();
        let is_move = match below(random, 10) {
            0..3 => self.resize(at, random),
            3..5 => self.trade(at, random),
            5..8 => self.relocate(at, random),
            _ => self.swap(at, random),
        };
        if !is_move {
            return;
        }
        let Some(gain) = self.replay(false, random) else {
            return;
        };
        if gain as f64 <= limit {
            if gain > 0 {
                self.write_down();
            }
            self.replay(true, random);
            self.energy += gain;
            self.note();
        }
    }

    /// Another mode in the same place.
    fn resize(&mut self, at: usize, random: &mut ChaCha8Rng) -> bool {
        let copy = self.order[at];
        let mode = self.other_mode(copy, random);
        if mode == self.items[copy as usize].mode && self.ground.instance().problem.nodes.len() < 2
        {
            return false;
        }
        self.change(0, copy, mode, random);
        self.steps.extend([
            Step::Leave(copy),
            Step::Enter(0, at + 1),
            Step::Stay(at + 1..self.order.len()),
        ]);
        true
    }

    /// A copy gets another mode, and so does one that comes soon after it.
    fn trade(&mut self, at: usize, random: &mut ChaCha8Rng) -> bool {
        let other = at + 1 + below(random, NEAR);
        if other >= self.order.len() {
            return false;
        }
        let (one, two) = (self.order[at], self.order[other]);
        let modes = (self.other_mode(one, random), self.other_mode(two, random));
        self.change(0, one, modes.0, random);
        self.change(1, two, modes.1, random);
        self.refill(at, other);
        true
    }

    /// Another position.
    fn relocate(&mut self, at: usize, random: &mut ChaCha8Rng) -> bool {
        let copy = self.order[at];
        let (first, last) = self.between(copy as usize);
        let to = match below(random, 4) {
            0 => first + below(random, last + 1 - first),
            _ => (at + below(random, 2 * NEAR + 1))
                .saturating_sub(NEAR)
                .clamp(first, last),
        };
        if to == at {
            return false;
        }
        let mode = match below(random, 3) {
            0 => self.other_mode(copy, random),
            _ => self.items[copy as usize].mode,
        };
        self.change(0, copy, mode, random);
        let end = self.order.len();
        if to < at {
            self.steps.extend([
                Step::Enter(0, to),
                Step::Stay(to..at),
                Step::Leave(copy),
                Step::Stay(at + 1..end),
            ]);
        } else {
            self.steps.extend([
                Step::Leave(copy),
                Step::Stay(at + 1..to + 1),
                Step::Enter(0, to + 1),
                Step::Stay(to + 1..end),
            ]);
        }
        true
    }

    /// Two copies take each other's position.
    fn swap(&mut self, at: usize, random: &mut ChaCha8Rng) -> bool {
        let other = at + 1 + below(random, 2 * NEAR);
        if other >= self.order.len() {
            return false;
        }
        let (one, two) = (self.order[at], self.order[other]);
        if self.between(one as usize).1 < other || self.between(two as usize).0 > at {
            return false;
        }
        let mode = |copy: u32| self.items[copy as usize].mode;
        let modes = (mode(two), mode(one));
        self.change(0, two, modes.0, random);
        self.change(1, one, modes.1, random);
        self.refill(at, other);
        true
    }

    /// The copies at these positions leave, and the two changes come in there.
    fn refill(&mut self, at: usize, other: usize) {
        self.steps.extend([
            Step::Leave(self.order[at]),
            Step::Enter(0, at + 1),
            Step::Stay(at + 1..other),
            Step::Leave(self.order[other]),
            Step::Enter(1, other + 1),
            Step::Stay(other + 1..self.order.len()),
        ]);
    }

    /// The copy comes in with this mode: mostly wherever it can start soonest, else where it was.
    fn change(&mut self, index: usize, copy: u32, mode: usize, random: &mut ChaCha8Rng) {
        self.changes.resize_with(index + 1, Change::default);
        let (change, was) = (&mut self.changes[index], &self.items[copy as usize]);
        change.copy = copy;
        change.item.mode = mode;
        change.is_open = mode != was.mode || below(random, 4) > 0;
        if !change.is_open {
            change.item.stands.clone_from(&was.stands);
            change.item.duration = was.duration;
        }
    }

    /// Another mode: half the time the next larger or smaller one.
    fn other_mode(&self, copy: u32, random: &mut ChaCha8Rng) -> usize {
        let was = self.items[copy as usize].mode;
        let modes = self.ground.instance().task(copy as usize).modes.len();
        match below(random, 4) {
            0 if was > 0 => was - 1,
            1 if was + 1 < modes => was + 1,
            _ => below(random, modes),
        }
    }

    /// The first and last position that a copy may have once it is taken out.
    fn between(&self, copy: usize) -> (usize, usize) {
        let instance = self.ground.instance();
        let task = instance.task(copy);
        let positions = |tasks: &[usize]| {
            let copies = tasks
                .iter()
                .map(|&task| instance.tasks[task].copies.clone());
            let at = copies.flatten().map(|copy| self.at[copy]);
            at.fold((usize::MAX, None), |(first, last), at| {
                (first.min(at), last.max(Some(at)))
            })
        };
        let (first, last) = match instance.is_ordered {
            true => (positions(&task.after).1, positions(&task.successors).0),
            false => (None, usize::MAX),
        };
        let first = first.map_or(0, |last| last + 1);
        (first, last.min(self.order.len()) - 1)
    }
}
