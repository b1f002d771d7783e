//! From a recipe to a plan in which everything runs at once: the decoder of the static goals.
//!
//! Vector bin packing by best fit in the recipe's order (Panigrahy, Talwar, Uyeda and Wieder 2011), then
//! moves of single copies to modes of more value, as long as there is room. What stays unplaced fits in
//! none of its modes beside what is placed.

use std::cmp::Reverse;
use std::ops::Range;

use crate::model::{Millis, Near};
use crate::solver::goals::Score;
use crate::solver::instance::{Instance, ModeView, TaskView};
use crate::solver::schedule::{Placed, Recipe, Schedule};

/// Nodes in a block; blocks without room for a pod are passed over.
const BLOCK: usize = 64;

/// Passes over all copies in search of modes of more value.
const MOST_PASSES: usize = 8;

/// Copies look for a better mode on all nodes as long as modes x nodes is not more; else on their own one.
const MOST_LOOKS: usize = 10_000_000;

/// Decodes recipes for the static goals; keeps its memory from one to the next.
pub(in crate::solver) struct Packing<'a> {
    instance: &'a Instance<'a>,
    /// What is free on a node of the class with nothing placed.
    base: Vec<Vec<i64>>,
    /// Nodes of each class to look at: all that are touched and one more.
    known: Vec<usize>,
    /// What is free, by class and known node, `stride` amounts each.
    free: Vec<Vec<i64>>,
    /// For each block of nodes at least the most that is free of each resource on one of them.
    most: Vec<Vec<i64>>,
    stride: usize,
    /// Class and index in it of each node.
    position: Vec<(usize, usize)>,
    schedule: Schedule,
}

impl<'a> Packing<'a> {
    pub fn new(instance: &'a Instance<'a>) -> Self {
        let mut position = vec![(0, 0); instance.problem.nodes.len()];
        for (index, class) in instance.problem.classes.iter().enumerate() {
            for (at, &node) in class.nodes.iter().enumerate() {
                position[node] = (index, at);
            }
        }
        Self {
            instance,
            // A static plan has no end, so whatever is held at any time is not there.
            base: instance
                .classes
                .iter()
                .map(|class| class.base.least_free())
                .collect(),
            known: Vec::new(),
            free: Vec::new(),
            most: Vec::new(),
            stride: instance.problem.resources.len(),
            position,
            schedule: Schedule::default(),
        }
    }

    /// The plan that was decoded last.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Packs the copies of a recipe.
    pub fn decode(&mut self, recipe: &Recipe) -> Score {
        self.schedule.clear(self.instance.copies());
        self.known = self
            .instance
            .classes
            .iter()
            .map(|class| class.size.min(1))
            .collect();
        self.free.clone_from(&self.base);
        self.most.clone_from(&self.base);
        for &copy in &recipe.order {
            let wanted = match recipe.modes[copy] {
                Some(mode) => vec![mode],
                None => by_value(self.instance, self.instance.task(copy)),
            };
            self.place_any(copy, wanted);
        }
        self.place_the_rest(recipe);
        for _ in 0..MOST_PASSES {
            if !self.raise_values(recipe) {
                break;
            }
            self.place_the_rest(recipe);
        }
        Score::of(self.instance, &self.schedule)
    }

    /// Places what fits, in whatever mode, the smallest first.
    fn place_the_rest(&mut self, recipe: &Recipe) {
        // Room only shrinks in here: where one copy of a task finds none, its other copies find none.
        let mut full = vec![false; self.instance.tasks.len()];
        for &copy in &recipe.order {
            let task = self.instance.task_of[copy];
            if self.schedule.placed[copy].is_none() && !full[task] {
                full[task] = !self.place_any(copy, by_share(&self.instance.tasks[task]));
            }
        }
    }

    fn place_any(&mut self, copy: usize, modes: Vec<usize>) -> bool {
        modes.into_iter().any(|mode| self.place(copy, mode))
    }

    /// Moves copies to modes that are worth more, the most value for the room first; whether any moved.
    fn raise_values(&mut self, recipe: &Recipe) -> bool {
        let mut moved = false;
        let nodes: usize = self.known.iter().sum();
        let modes: usize = recipe
            .order
            .iter()
            .map(|&copy| self.instance.task(copy).modes.len())
            .sum();
        let may_roam = modes.saturating_mul(nodes) <= MOST_LOOKS;
        for &copy in &recipe.order {
            let Some(placed) = self.schedule.placed[copy].clone() else {
                continue;
            };
            let better = better_modes(self.instance, self.instance.task(copy), placed.mode);
            if better.is_empty() {
                continue;
            }
            self.change_room(copy, &placed, 1);
            self.schedule.placed[copy] = None;
            let found = better.into_iter().any(|mode| {
                if may_roam {
                    self.place(copy, mode)
                } else {
                    self.place_on_own_node(copy, &placed, mode)
                }
            });
            if !found {
                self.change_room(copy, &placed, -1);
                self.schedule.placed[copy] = Some(placed);
            }
            moved |= found;
        }
        moved
    }

    /// Gives back (1) or takes (-1) the room of a copy.
    fn change_room(&mut self, copy: usize, placed: &Placed, sign: i64) {
        let usage = &self.instance.task(copy).modes[placed.mode].request.usage;
        for &node in self.schedule.nodes(placed) {
            let (class, at) = self.position[node];
            let free = &mut self.free[class][at * self.stride..(at + 1) * self.stride];
            let most = &mut self.most[class][at / BLOCK * self.stride..];
            for ((free, usage), most) in free.iter_mut().zip(usage).zip(most) {
                *free = free.saturating_add(sign * usage);
                *most = (*free).max(*most);
            }
        }
    }

    fn place_on_own_node(&mut self, copy: usize, was: &Placed, mode: usize) -> bool {
        let view = &self.instance.task(copy).modes[mode];
        let &[node] = self.schedule.nodes(was) else {
            return false;
        };
        let (class, at) = self.position[node];
        let Some(run) = view
            .runs
            .iter()
            .position(|run| run.class == class)
            .filter(|_| view.pods == 1)
        else {
            return false;
        };
        let fits = view.request.slots(self.room(class, at), 1) == 1;
        if fits {
            self.put(copy, mode, &[(run, at, 1)]);
        }
        fits
    }

    fn room(&self, class: usize, node: usize) -> &[i64] {
        &self.free[class][node * self.stride..(node + 1) * self.stride]
    }

    /// Places a copy in this mode if it fits.
    fn place(&mut self, copy: usize, mode: usize) -> bool {
        let instance = self.instance;
        let view = &instance.task(copy).modes[mode];
        let picks = if view.pods == 1 {
            self.tightest(view)
        } else {
            self.nearest(instance.task(copy).near, view)
        };
        if let Some(picks) = &picks {
            self.put(copy, mode, picks);
        }
        picks.is_some()
    }

    /// Makes one more node of the class known.
    fn touch(&mut self, class: usize) {
        let (node, base) = (self.known[class], &self.base[class]);
        self.known[class] += 1;
        self.free[class].extend_from_slice(base);
        if node.is_multiple_of(BLOCK) {
            self.most[class].extend_from_slice(base);
        }
        let most = &mut self.most[class][node / BLOCK * self.stride..];
        most.iter_mut()
            .zip(base)
            .for_each(|(most, base)| *most = (*base).max(*most));
    }

    /// The node on which one pod leaves the least.
    fn tightest(&mut self, mode: &ModeView) -> Option<Vec<(usize, usize, u32)>> {
        let mut best: Option<(f64, usize, usize)> = None;
        for (index, run) in mode.runs.iter().enumerate() {
            let known = self.known[run.class];
            for block in 0..known.div_ceil(BLOCK) {
                let most = &self.most[run.class][block * self.stride..(block + 1) * self.stride];
                if mode.request.slots(most, 1) == 0 {
                    continue;
                }
                let nodes = block * BLOCK..known.min((block + 1) * BLOCK);
                match self.tightest_in(run.class, nodes.clone(), mode) {
                    Some((left, node)) if best.is_none_or(|(least, ..)| left < least) => {
                        best = Some((left, index, node));
                    }
                    Some(_) => {}
                    None => self.measure(run.class, block, nodes),
                }
            }
        }
        best.map(|(_, run, node)| vec![(run, node, 1)])
    }

    /// Of these nodes the one on which the pod leaves the least, and how much, as a sum of shares.
    fn tightest_in(
        &self,
        class: usize,
        nodes: Range<usize>,
        mode: &ModeView,
    ) -> Option<(f64, usize)> {
        let left = |node: usize| -> f64 {
            let shares = self
                .room(class, node)
                .iter()
                .zip(&mode.request.usage)
                .zip(&self.base[class]);
            let used = shares.filter(|((_, usage), _)| **usage > 0);
            used.map(|((free, usage), whole)| (free - usage) as f64 / (*whole).max(1) as f64)
                .sum()
        };
        let fits = |node: &usize| mode.request.slots(self.room(class, *node), 1) > 0;
        let rooms = nodes.filter(fits).map(|node| (left(node), node));
        rooms.min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)))
    }

    /// Looks up the most that is free in a block, after it promised too much.
    fn measure(&mut self, class: usize, block: usize, nodes: Range<usize>) {
        let most = &mut self.most[class][block * self.stride..(block + 1) * self.stride];
        for (resource, most) in most.iter_mut().enumerate() {
            let free = nodes
                .clone()
                .map(|node| self.free[class][node * self.stride + resource]);
            *most = free.max().unwrap_or(*most);
        }
    }

    /// Nodes for all pods of a gang, as near each other as they must or would rather be.
    fn nearest(&self, near: Near, mode: &ModeView) -> Option<Vec<(usize, usize, u32)>> {
        if near == Near::Anywhere {
            return self.roomiest(mode, &Vec::from_iter(0..mode.runs.len()), 1);
        }
        mode.scopes().find_map(|(runs, on_one_node)| {
            let least = if on_one_node { mode.pods } else { 1 };
            self.roomiest(mode, &runs, least)
        })
    }

    /// Nodes of these runs for all pods of a gang, those with most room first, each with room for so many at least.
    fn roomiest(
        &self,
        mode: &ModeView,
        runs: &[usize],
        least: u32,
    ) -> Option<Vec<(usize, usize, u32)>> {
        let mut rooms: Vec<(usize, usize, u32)> = Vec::new();
        for &index in runs {
            let run = &mode.runs[index];
            let size = self.instance.classes[run.class].size;
            let known = self.known[run.class];
            let most = u64::from(run.slots.min(mode.pods));
            let slots =
                |room: &[i64]| u32::try_from(mode.request.slots(room, most)).unwrap_or(u32::MAX);
            rooms.extend((0..known).map(|node| (index, node, slots(self.room(run.class, node)))));
            let fresh = slots(&self.base[run.class]);
            let needed = mode.pods.div_ceil(fresh.max(1)) as usize;
            rooms.extend((known..size.min(known + needed)).map(|node| (index, node, fresh)));
        }
        rooms.retain(|(.., pods)| *pods >= least);
        rooms.sort_by_key(|&(run, node, pods)| (Reverse(pods), run, node));
        let mut left = mode.pods;
        for (taken, room) in rooms.iter_mut().enumerate() {
            room.2 = room.2.min(left);
            left -= room.2;
            if left == 0 {
                rooms.truncate(taken + 1);
                return Some(rooms);
            }
        }
        None
    }

    fn put(&mut self, copy: usize, mode: usize, picks: &[(usize, usize, u32)]) {
        let instance = self.instance;
        let view = &instance.task(copy).modes[mode];
        let mut nodes = Vec::with_capacity(view.pods as usize);
        let mut duration: Millis = 0;
        for &(run, node, pods) in picks {
            let run = &view.runs[run];
            let class = &instance.problem.classes[run.class].nodes;
            while self.known[run.class] < class.len().min(node + 2) {
                self.touch(run.class);
            }
            duration = duration.max(run.duration);
            nodes.extend((0..pods).map(|_| class[node]));
        }
        self.schedule.place(copy, mode, (0, duration), nodes);
        if let Some(placed) = self.schedule.placed[copy].clone() {
            self.change_room(copy, &placed, -1);
        }
    }
}

/// What a mode is worth, more being better.
pub(in crate::solver) fn worth(instance: &Instance, mode: &ModeView) -> i64 {
    if instance.problem.goal.is_maximised() {
        mode.value
    } else {
        mode.value.saturating_neg()
    }
}

/// All modes, the smallest first.
pub(in crate::solver) fn by_share(task: &TaskView) -> Vec<usize> {
    let mut modes: Vec<usize> = (0..task.modes.len()).collect();
    modes.sort_by(|&one, &other| task.modes[one].share.total_cmp(&task.modes[other].share));
    modes
}

/// All modes, the one of most value first, of equal ones the smaller.
fn by_value(instance: &Instance, task: &TaskView) -> Vec<usize> {
    let mut modes = by_share(task);
    modes.sort_by_key(|&mode| Reverse(worth(instance, &task.modes[mode])));
    modes
}

/// Modes worth more than this one, the most gain for each additional share first.
fn better_modes(instance: &Instance, task: &TaskView, mode: usize) -> Vec<usize> {
    let (share, value) = (task.modes[mode].share, worth(instance, &task.modes[mode]));
    let gain = |mode: usize| worth(instance, &task.modes[mode]).saturating_sub(value);
    let rate = |mode: usize| gain(mode) as f64 / (task.modes[mode].share - share).max(1e-12);
    let mut modes: Vec<usize> = (0..task.modes.len())
        .filter(|&mode| gain(mode) > 0)
        .collect();
    modes.sort_by(|&one, &other| rate(other).total_cmp(&rate(one)));
    modes
}
