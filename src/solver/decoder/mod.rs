//! From a recipe to a schedule: serial schedule generation (Kelley 1963; Kolisch 1996).
//!
//! The copies are placed one after the other, each as early as what is already placed allows. Gaps are
//! filled, so every schedule is active, and for regular goals some order and modes give an optimum.

pub(super) mod allowance;
mod gang;
pub(super) mod packing;
mod places;
pub(super) mod preference;
pub(super) mod queue;
pub(super) mod reversed;
pub(super) mod sequences;
mod serial;
pub(super) mod timeline;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::Millis;

use super::goals::Score;
use super::instance::{Instance, ModeView, TaskView};
use super::schedule::{Recipe, Schedule};
use allowance::{Allowance, afford};
use places::{Latest, Picks, offer_all, soonest_end, strays};
use preference::{Preference, Rank};
use serial::Serial;
use timeline::Timeline;

/// Decodes recipes for the timed goals; keeps its memory from one to the next.
pub(super) struct Decoder<'a> {
    instance: &'a Instance<'a>,
    timelines: Vec<Timeline>,
    /// When the tasks that a task waits for have ended; `None` when one of them has no place.
    ready: Vec<Option<Millis>>,
    schedule: Schedule,
    /// Room for another schedule to compare with.
    spare: Schedule,
    allowance: Allowance,
    /// The quick way, for problems that are projects.
    serial: Option<Serial<'a>>,
    /// Whether the last schedule was made that way.
    was_quick: bool,
    /// Whether modes that no plan of everything needs are tried too.
    is_thorough: bool,
}

/// A place for one copy.
struct Place {
    rank: Rank,
    mode: usize,
    start: Millis,
    picks: Picks,
}

impl<'a> Decoder<'a> {
    pub fn new(instance: &'a Instance<'a>) -> Self {
        let timelines = instance.classes.iter().zip(&instance.problem.classes);
        let serial = |project| Serial::new(instance, project);
        Self {
            instance,
            timelines: timelines
                .map(|(view, class)| {
                    Timeline::new(view.size, view.base.clone(), &class.free, &view.groups)
                })
                .collect(),
            ready: Vec::new(),
            schedule: Schedule::default(),
            spare: Schedule::default(),
            allowance: Allowance::new(instance),
            serial: instance.project.as_ref().map(serial),
            was_quick: false,
            is_thorough: false,
        }
    }

    /// The schedule that was decoded last.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Plans that [`Decoder::refine`] decodes.
    pub fn passes(instance: &Instance) -> u64 {
        instance.project.as_ref().map_or(1, |_| serial::PASSES)
    }

    /// Makes the schedule of a recipe, and improves it where the problem is a project.
    pub fn refine(&mut self, recipe: &Recipe) -> Score {
        let score = self.decode(recipe);
        let was_quick = self.was_quick;
        let Some(serial) = self.serial.as_mut().filter(|_| was_quick) else {
            return score;
        };
        serial.justify();
        std::mem::swap(&mut self.schedule, &mut self.spare);
        serial.write(&mut self.schedule);
        let justified = Score::of(self.instance, &self.schedule);
        // Only the last end never comes later.
        if justified > score {
            std::mem::swap(&mut self.schedule, &mut self.spare);
        }
        justified.min(score)
    }

    /// Makes the schedule of a recipe. Every copy gets a place, however late; only what the budgets do not
    /// allow, or what would end after the last millisecond of 64 bits, stays without one.
    pub fn decode(&mut self, recipe: &Recipe) -> Score {
        let is_quick = matches!(recipe.preference, Preference::EarliestEnd);
        let serial = self.serial.as_mut().filter(|_| is_quick);
        let serial = serial.and_then(|serial| serial.decode(recipe).then_some(serial));
        self.was_quick = serial.is_some();
        if let Some(serial) = serial {
            serial.write(&mut self.schedule);
            return Score::of(self.instance, &self.schedule);
        }
        if self.instance.budgets.is_empty() {
            self.place_all(recipe);
        } else {
            let mut recipe = recipe.clone();
            afford(
                self.instance,
                &self.allowance,
                &recipe.order,
                &mut recipe.modes,
            );
            self.allowance.begin(self.instance, &recipe.modes);
            self.place_all(&recipe);
            self.place_the_rest(&recipe.preference);
        }
        Score::of(self.instance, &self.schedule)
    }

    fn place_all(&mut self, recipe: &Recipe) {
        self.schedule.clear(self.instance.copies());
        self.timelines.iter_mut().for_each(Timeline::clear);
        self.ready.clear();
        self.ready
            .extend(self.instance.tasks.iter().map(|task| Some(task.release)));
        if self.instance.is_ordered {
            self.decode_ordered(recipe);
        } else {
            for &copy in &recipe.order {
                self.place(copy, recipe);
            }
        }
    }

    /// Of the copies that the budgets left without a place, places what they still allow in any mode. No copy
    /// that is left behind then fits: the budgets only shrink, and tasks come after those that they wait for.
    fn place_the_rest(&mut self, preference: &Preference) {
        let instance = self.instance;
        if self.schedule.placed.iter().all(Option::is_some) {
            return;
        }
        self.allowance.keep_nothing();
        self.is_thorough = true;
        for task in &instance.tasks {
            let before = task
                .after
                .iter()
                .flat_map(|&task| instance.tasks[task].copies.clone());
            let end = |copy: usize| self.schedule.placed[copy].as_ref().map(|placed| placed.end);
            let ready = before.map(end).collect::<Option<Vec<Millis>>>();
            let Some(ends) = ready else { continue };
            let from = ends.into_iter().fold(task.release, Millis::max);
            for copy in task.copies.clone() {
                if self.schedule.placed[copy].is_none()
                    && let Some(place) = self.best_place(copy, None, preference, from)
                {
                    self.commit(copy, task, place);
                }
            }
        }
        self.is_thorough = false;
    }

    /// Of the copies whose predecessors are all placed, the first in the recipe's order is next.
    fn decode_ordered(&mut self, recipe: &Recipe) {
        let instance = self.instance;
        let mut rank = vec![0; instance.copies()];
        for (position, &copy) in recipe.order.iter().enumerate() {
            rank[copy] = position;
        }
        let mut waits: Vec<usize> = instance.tasks.iter().map(|task| task.after.len()).collect();
        let mut left: Vec<usize> = instance
            .tasks
            .iter()
            .map(|task| task.copies.len())
            .collect();
        let mut eligible = BinaryHeap::new();
        let mut ended: Vec<usize> = Vec::new();
        let open = |task: usize, eligible: &mut BinaryHeap<_>, ended: &mut Vec<usize>| {
            let copies = instance.tasks[task].copies.clone();
            if copies.is_empty() {
                ended.push(task);
            }
            eligible.extend(copies.map(|copy| Reverse((rank[copy], copy))));
        };
        for task in (0..waits.len()).filter(|&task| waits[task] == 0) {
            open(task, &mut eligible, &mut ended);
        }
        loop {
            while let Some(task) = ended.pop() {
                for &next in &instance.tasks[task].successors {
                    waits[next] -= 1;
                    if waits[next] == 0 {
                        open(next, &mut eligible, &mut ended);
                    }
                }
            }
            let Some(Reverse((_, copy))) = eligible.pop() else {
                break;
            };
            self.place(copy, recipe);
            let task = instance.task_of[copy];
            left[task] -= 1;
            if left[task] == 0 {
                ended.push(task);
            }
        }
    }

    /// Places one copy, and tells the tasks that wait for it.
    fn place(&mut self, copy: usize, recipe: &Recipe) {
        let task = self.instance.task(copy);
        let index = self.instance.task_of[copy];
        // A mode that would end after the last millisecond must not keep the copy from one that does not.
        let place = self.ready[index].and_then(|from| {
            let mode = recipe.modes[copy];
            let wanted = self.best_place(copy, mode, &recipe.preference, from);
            let any = |_| self.best_place(copy, None, &recipe.preference, from);
            wanted.or_else(|| mode.and_then(any))
        });
        let end = place.as_ref().map(|place| place.rank.end);
        if let Some(place) = place {
            self.commit(copy, task, place);
        }
        for &next in &task.successors {
            self.ready[next] = self.ready[next].zip(end).map(|(ready, end)| ready.max(end));
        }
    }

    /// Before when no copy of the task ends that starts at `from` or later, with nothing planned; the last moment
    /// where it cannot run.
    pub fn earliest_end(&mut self, task: &TaskView, from: Millis) -> Millis {
        self.timelines.iter_mut().for_each(Timeline::clear);
        let mut least = Millis::MAX;
        let mut offer = |_, end: Millis, _, _| least = least.min(end);
        for mode in &task.modes {
            let within = (from, Latest::of_all());
            offer_all(
                self.instance,
                &mut self.timelines,
                mode,
                within,
                true,
                &mut offer,
            );
        }
        least
    }

    fn best_place(
        &mut self,
        copy: usize,
        mode: Option<usize>,
        preference: &Preference,
        from: Millis,
    ) -> Option<Place> {
        let instance = self.instance;
        let task = instance.task(copy);
        let is_allowed = |mode: usize| {
            let spends = &task.modes[mode].spends;
            self.allowance.allows(copy, spends)
        };
        let fixed = mode.filter(|mode| *mode < task.modes.len() && is_allowed(*mode));
        let modes = match fixed {
            Some(mode) => mode..mode + 1,
            None => 0..task.modes.len(),
        };
        let mut best: Option<Place> = None;
        for index in modes {
            let mode = &task.modes[index];
            if mode.is_spare && !self.is_thorough && fixed.is_none() {
                continue;
            }
            if !self.allowance.allows(copy, &mode.spends) {
                continue;
            }
            if self.is_hopeless(task, mode, preference, from, best.as_ref()) {
                continue;
            }
            // Where the earliest end is the best, later ends need not be looked for.
            let known = best
                .as_ref()
                .filter(|_| matches!(preference, Preference::EarliestEnd));
            let latest = Latest {
                end: known.map_or(Millis::MAX, |best| best.rank.end),
                is_moving: !preference.is_by_class(),
            };
            let mut offer = |start: Millis, end: Millis, leftover: f64, picks: Picks| {
                let cost = preference.cost(task, mode, start, end, picks.pods(mode));
                let rank = Rank {
                    cost,
                    end,
                    strays: strays(instance, task.near, mode, &picks),
                    work: mode.work,
                    leftover,
                };
                if best.as_ref().is_none_or(|best| rank.is_before(&best.rank)) {
                    best = Some(Place {
                        rank,
                        mode: index,
                        start,
                        picks,
                    });
                }
            };
            let is_soonest = matches!(preference, Preference::EarliestEnd);
            offer_all(
                instance,
                &mut self.timelines,
                mode,
                (from, latest),
                is_soonest,
                &mut offer,
            );
        }
        best
    }

    /// Whether even the soonest place of the mode would be worse than the best one known.
    fn is_hopeless(
        &self,
        task: &TaskView,
        mode: &ModeView,
        preference: &Preference,
        from: Millis,
        best: Option<&Place>,
    ) -> bool {
        best.is_some_and(|best| {
            let soonest = soonest_end(&self.timelines, mode, from);
            preference.floor(task, mode, soonest) > best.rank.cost
        })
    }

    fn commit(&mut self, copy: usize, task: &TaskView, place: Place) {
        let mode = &task.modes[place.mode];
        self.allowance.spend(copy, &mode.spends);
        let usage = &mode.request.usage;
        let (start, end) = (place.start, place.rank.end);
        let classes = &self.instance.problem.classes;
        match place.picks {
            Picks::One { class, node } => {
                self.timelines[class].occupy(node, usage, 1, start, end);
                self.schedule
                    .place(copy, place.mode, (start, end), [classes[class].nodes[node]]);
            }
            Picks::Many(picks) => {
                let mut nodes = Vec::with_capacity(mode.pods as usize);
                for pick in picks {
                    let class = mode.runs[pick.run].class;
                    self.timelines[class].occupy(pick.node, usage, pick.pods, start, end);
                    nodes.extend((0..pick.pods).map(|_| classes[class].nodes[pick.node]));
                }
                self.schedule.place(copy, place.mode, (start, end), nodes);
            }
        }
    }
}
