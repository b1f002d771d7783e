//! A walk from plan to plan over some of the nodes, by single moves.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::ground::{Ground, Slot};
use super::lane::{Aim, Decoder, Lane};

/// Moves between two looks at the time.
const STRIDE: u64 = 500;

/// A copy, its lane and its position there.
type Spot = (u32, usize, usize);

/// Some lanes, the best form of them seen so far, and what is needed to try moves.
pub struct Chain<'g> {
    ground: &'g Ground<'g>,
    aim: &'g Aim,
    pub lanes: Vec<Lane>,
    pub energy: i64,
    /// Sequences of the best plan, lane by lane, and its energy.
    best: Vec<Vec<Slot>>,
    pub best_energy: i64,
    /// Lanes that differ from the best.
    changed: Vec<u32>,
    is_changed: Vec<bool>,
    copies: Vec<u32>,
    /// Lane of each copy of the whole problem; of others it is not defined.
    lane_of: Vec<u32>,
    /// Lanes of each class.
    of_class: Vec<Vec<u32>>,
    decoder: Decoder,
    one: Tail,
    two: Tail,
}

impl<'g> Chain<'g> {
    /// A chain over these decoded lanes.
    pub fn new(ground: &'g Ground<'g>, aim: &'g Aim, lanes: Vec<Lane>) -> Self {
        let mut chain = Self {
            ground,
            aim,
            energy: lanes.iter().map(|lane| lane.energy).sum(),
            best: lanes.iter().map(|lane| lane.slots.clone()).collect(),
            best_energy: 0,
            changed: Vec::new(),
            is_changed: vec![false; lanes.len()],
            copies: Vec::new(),
            lane_of: vec![0; ground.instance.copies()],
            of_class: vec![Vec::new(); ground.classes.len()],
            lanes,
            decoder: Decoder::default(),
            one: Tail::default(),
            two: Tail::default(),
        };
        chain.best_energy = chain.energy;
        for (index, lane) in chain.lanes.iter().enumerate() {
            chain.of_class[lane.class].push(index as u32);
            for slot in &lane.slots {
                chain.lane_of[slot.copy as usize] = index as u32;
                chain.copies.push(slot.copy);
            }
        }
        chain.copies.sort_unstable();
        chain
    }

    /// The lanes of the best plan.
    pub fn best_lanes(&self) -> Vec<Lane> {
        let mut decoder = Decoder::default();
        let mut lanes = self.lanes.clone();
        for &lane in &self.changed {
            let lane = lane as usize;
            lanes[lane].slots.clone_from(&self.best[lane]);
            decoder.decode(self.ground, self.aim, &mut lanes[lane], 0);
        }
        lanes
    }

    /// Takes so many moves at one temperature, unless it is told to stop; how many it took. Where no move can
    /// gain anything, all of them count as taken.
    pub fn walk(
        &mut self,
        moves: u64,
        temperature: f64,
        random: &mut ChaCha8Rng,
        stop: impl Fn() -> bool,
    ) -> u64 {
        for taken in 0..moves {
            if self.energy == 0 || self.copies.is_empty() {
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
        let copy = self.copies[below(random, self.copies.len())];
        let from = self.lane_of[copy as usize] as usize;
        let Some(at) = self.lanes[from]
            .slots
            .iter()
            .position(|slot| slot.copy == copy)
        else {
            return;
        };
        let limit = accepted_rise(temperature, random);
        match below(random, 10) {
            0..2 => self.resize((copy, from, at), limit, random),
            2..4 => self.trade((copy, from, at), limit, random),
            4 => self.cross((copy, from, at), limit, random),
            5..8 => self.relocate((copy, from, at), limit, random),
            _ => self.swap((copy, from, at), limit, random),
        }
    }

    /// Another choice in the same place.
    fn resize(&mut self, (copy, from, at): Spot, limit: f64, random: &mut ChaCha8Rng) {
        let lane = &self.lanes[from];
        let slot = lane.slots[at];
        let choices = self.ground.choices_on(copy, lane.class);
        let choice = other_choice(slot.choice, &choices, random);
        if choice != slot.choice {
            self.one
                .take(&[Slot { copy, choice }], &lane.slots[at + 1..]);
            self.judge_one((from, at), limit);
        }
    }

    /// A copy grows and another one that runs at about the same time shrinks as much.
    fn trade(&mut self, (copy, from, at): Spot, limit: f64, random: &mut ChaCha8Rng) {
        let lane = &self.lanes[from];
        let other = (at + 1 + below(random, 3)).min(lane.slots.len() - 1);
        if other == at {
            return;
        }
        let ground = self.ground;
        let (mine, theirs) = (lane.slots[at], lane.slots[other]);
        let choice = other_choice(mine.choice, &ground.choices_on(copy, lane.class), random);
        let share = |choice: u32| ground.choices[choice as usize].share;
        let wanted = share(theirs.choice) + share(mine.choice) - share(choice);
        let answer = self.nearest(theirs.copy, lane.class, wanted);
        if choice == mine.choice || answer == theirs.choice {
            return;
        }
        self.one.take(&lane.slots[at..], &[]);
        self.one.0[0].choice = choice;
        self.one.0[other - at].choice = answer;
        self.judge_one((from, at), limit);
    }

    /// The choice of a copy on a class whose share is nearest.
    fn nearest(&self, copy: u32, class: usize, share: f64) -> u32 {
        let choices = self.ground.choices_on(copy, class);
        let of_class = &self.ground.choices[choices.start as usize..choices.end as usize];
        let after = of_class.partition_point(|choice| choice.share < share);
        let is_below = after > 0
            && of_class
                .get(after)
                .is_none_or(|above| above.share - share > share - of_class[after - 1].share);
        choices.start + (after - usize::from(is_below)) as u32
    }

    /// Another place, on the same node or another one.
    fn relocate(&mut self, (copy, from, at): Spot, limit: f64, random: &mut ChaCha8Rng) {
        let Some(to) = self.any_lane(copy, random) else {
            return;
        };
        let place = self.place(to, self.lanes[from].starts[at], random);
        if to == from {
            self.shift((from, at, place), limit, random);
            return;
        }
        let slot = self.lanes[from].slots[at];
        let choice = self.choice_for(slot, to, random);
        self.one.take(&[], &self.lanes[from].slots[at + 1..]);
        self.two
            .take(&[Slot { copy, choice }], &self.lanes[to].slots[place..]);
        if self.judge_two((from, at), (to, place), limit) {
            self.lane_of[copy as usize] = to as u32;
        }
    }

    /// Another place on the same node.
    fn shift(
        &mut self,
        (lane, at, place): (usize, usize, usize),
        limit: f64,
        random: &mut ChaCha8Rng,
    ) {
        let slots = &self.lanes[lane].slots;
        let mut slot = slots[at];
        if below(random, 4) == 0 {
            let choices = self.ground.choices_on(slot.copy, self.lanes[lane].class);
            slot.choice = other_choice(slot.choice, &choices, random);
        }
        if place <= at {
            self.one.take(&[slot], &slots[place..at]);
            self.one.0.extend_from_slice(&slots[at + 1..]);
        } else {
            self.one.take(&slots[at + 1..place], &[slot]);
            self.one.0.extend_from_slice(&slots[place..]);
        }
        self.judge_one((lane, at.min(place)), limit);
    }

    /// Two copies take each other's place.
    fn swap(&mut self, (copy, from, at): Spot, limit: f64, random: &mut ChaCha8Rng) {
        let Some(to) = self.any_lane(copy, random) else {
            return;
        };
        let Some(last) = self.lanes[to].slots.len().checked_sub(1) else {
            return;
        };
        let place = self
            .place(to, self.lanes[from].starts[at], random)
            .min(last);
        let (mine, theirs) = (self.lanes[from].slots[at], self.lanes[to].slots[place]);
        if to == from {
            let (low, high) = (at.min(place), at.max(place));
            self.one.take(&self.lanes[from].slots[low..], &[]);
            self.one.0.swap(0, high - low);
            if low < high {
                if below(random, 2) == 0 {
                    let class = self.lanes[from].class;
                    let share = |slot: Slot| self.ground.choice(slot).share;
                    let (first, last) = (self.one.0[0], self.one.0[high - low]);
                    let (a, b) = (
                        self.nearest(first.copy, class, share(last)),
                        self.nearest(last.copy, class, share(first)),
                    );
                    self.one.0[0].choice = a;
                    self.one.0[high - low].choice = b;
                }
                self.judge_one((from, low), limit);
            }
            return;
        }
        if self
            .ground
            .choices_on(theirs.copy, self.lanes[from].class)
            .is_empty()
        {
            return;
        }
        let (here, there) = if below(random, 2) == 0 {
            let share = |slot: Slot| self.ground.choice(slot).share;
            (
                self.nearest(theirs.copy, self.lanes[from].class, share(mine)),
                self.nearest(copy, self.lanes[to].class, share(theirs)),
            )
        } else {
            (
                self.choice_for(theirs, from, random),
                self.choice_for(mine, to, random),
            )
        };
        let slot = |copy, choice| [Slot { copy, choice }];
        self.one
            .take(&slot(theirs.copy, here), &self.lanes[from].slots[at + 1..]);
        self.two
            .take(&slot(copy, there), &self.lanes[to].slots[place + 1..]);
        if self.judge_two((from, at), (to, place), limit) {
            self.lane_of[copy as usize] = to as u32;
            self.lane_of[theirs.copy as usize] = from as u32;
        }
    }

    /// Two lanes of a class exchange what comes after some moment (2-opt*: Potvin and Rousseau 1995).
    fn cross(&mut self, (copy, from, at): Spot, limit: f64, random: &mut ChaCha8Rng) {
        let Some(to) = self.any_lane(copy, random) else {
            return;
        };
        let (mine, theirs) = (&self.lanes[from], &self.lanes[to]);
        if to == from || mine.class != theirs.class {
            return;
        }
        let place = self.place(to, mine.starts[at], random);
        self.one.take(&theirs.slots[place..], &[]);
        self.two.take(&mine.slots[at..], &[]);
        if self.judge_two((from, at), (to, place), limit) {
            for (lane, first) in [(from, at), (to, place)] {
                for slot in &self.lanes[lane].slots[first..] {
                    self.lane_of[slot.copy as usize] = lane as u32;
                }
            }
        }
    }

    /// A lane on which the copy can run.
    fn any_lane(&self, copy: u32, random: &mut ChaCha8Rng) -> Option<usize> {
        let options = &self.ground.options[self.ground.instance.task_of[copy as usize]];
        let all: usize = options
            .iter()
            .map(|(class, _)| self.of_class[*class].len())
            .sum();
        if all == 0 {
            return None;
        }
        let mut index = below(random, all);
        for (class, _) in options {
            let lanes = &self.of_class[*class];
            match lanes.get(index) {
                Some(&lane) => return Some(lane as usize),
                None => index -= lanes.len(),
            }
        }
        None
    }

    /// A position in a lane: mostly near what starts at the same time.
    fn place(&self, lane: usize, start: i64, random: &mut ChaCha8Rng) -> usize {
        let starts = &self.lanes[lane].starts;
        if below(random, 5) == 0 {
            return below(random, starts.len() + 1);
        }
        let near = starts
            .iter()
            .position(|&other| other >= start)
            .unwrap_or(starts.len());
        (near + below(random, 5))
            .saturating_sub(2)
            .min(starts.len())
    }

    /// The choice of the same mode on the class of another lane, or one near it.
    fn choice_for(&self, slot: Slot, to: usize, random: &mut ChaCha8Rng) -> u32 {
        let class = self.lanes[to].class;
        let ground = self.ground;
        let was = ground.choice(slot);
        let choices = ground.choices_on(slot.copy, class);
        let same = if was.class == class {
            slot.choice
        } else {
            let mode = |&choice: &u32| ground.choices[choice as usize].mode >= was.mode;
            choices.clone().find(mode).unwrap_or(choices.end - 1)
        };
        if below(random, 3) > 0 {
            return same;
        }
        other_choice(same, &choices, random)
    }

    fn judge_one(&mut self, (lane, first): (usize, usize), limit: f64) {
        let was = self.lanes[lane].energy;
        let gain = self.energy_of((lane, first), false) - was;
        if gain as f64 <= limit {
            self.change((lane, first), false);
            self.moved(gain, [lane, lane]);
        }
    }

    fn judge_two(&mut self, one: (usize, usize), two: (usize, usize), limit: f64) -> bool {
        let was = self.lanes[one.0].energy + self.lanes[two.0].energy;
        let mut gain = self.energy_of(one, false) - was;
        if gain as f64 > limit {
            return false;
        }
        gain += self.energy_of(two, true);
        if gain as f64 > limit {
            return false;
        }
        self.change(one, false);
        self.change(two, true);
        self.moved(gain, [one.0, two.0]);
        true
    }

    fn energy_of(&mut self, (lane, first): (usize, usize), second: bool) -> i64 {
        let tail = if second { &self.two } else { &self.one };
        self.decoder
            .energy(self.ground, self.aim, &self.lanes[lane], first, &tail.0)
    }

    fn change(&mut self, (lane, first): (usize, usize), second: bool) {
        let tail = if second { &self.two } else { &self.one };
        let lane = &mut self.lanes[lane];
        lane.slots.truncate(first);
        lane.slots.extend_from_slice(&tail.0);
        self.decoder.decode(self.ground, self.aim, lane, first);
    }

    fn moved(&mut self, gain: i64, lanes: [usize; 2]) {
        self.energy += gain;
        for lane in lanes {
            if !std::mem::replace(&mut self.is_changed[lane], true) {
                self.changed.push(lane as u32);
            }
        }
        if self.energy < self.best_energy {
            self.best_energy = self.energy;
            self.keep_best();
        }
    }

    fn keep_best(&mut self) {
        for &lane in &self.changed {
            let lane = lane as usize;
            self.is_changed[lane] = false;
            self.best[lane].clone_from(&self.lanes[lane].slots);
        }
        self.changed.clear();
    }
}

/// What follows the first change of a sequence.
#[derive(Default)]
struct Tail(Vec<Slot>);

impl Tail {
    fn take(&mut self, front: &[Slot], back: &[Slot]) {
        self.0.clear();
        self.0.extend_from_slice(front);
        self.0.extend_from_slice(back);
    }
}

/// Another choice: half the time the next larger or smaller one.
fn other_choice(was: u32, choices: &std::ops::Range<u32>, random: &mut ChaCha8Rng) -> u32 {
    let count = choices.len();
    if count < 2 {
        return was;
    }
    let any = choices.start + below(random, count) as u32;
    match below(random, 4) {
        0 if was > choices.start => was - 1,
        1 if was + 1 < choices.end => was + 1,
        _ => any,
    }
}

/// An energy that is this much higher is still accepted (Metropolis 1953).
pub fn accepted_rise(temperature: f64, random: &mut ChaCha8Rng) -> f64 {
    let unit = (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
    match temperature > 0.0 {
        true => -temperature * libm::log(unit),
        false => 0.0,
    }
}

/// A number below `most`, which is above 0.
pub fn below(random: &mut ChaCha8Rng, most: usize) -> usize {
    ((u64::from(random.next_u32()) * most as u64) >> 32) as usize
}
