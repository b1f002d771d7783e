//! A plan of a static goal that is changed copy by copy: who is on which node, what is free, what it is worth.
//!
//! Every change is counted as it is made and can be taken back, so that a search pays for what it touches,
//! not for the size of the plan.

use crate::model::Near;
use crate::solver::decoder::packing::{by_share, worth};
use crate::solver::instance::{Instance, ModeView};
use crate::solver::schedule::Schedule;

/// Copies on nodes, all at once.
pub(super) struct Rooms<'a> {
    instance: &'a Instance<'a>,
    stride: usize,
    /// What is free on each node of the problem, `stride` amounts each; nodes without a class have nothing.
    free: Vec<i64>,
    /// 1 / what is free with nothing placed, likewise.
    scale: Vec<f64>,
    /// The copies on each node; a gang stands there once for each pod.
    residents: Vec<Vec<usize>>,
    places: Vec<Option<Place>>,
    /// The copies without a place, and where each stands in that list.
    waiting: Vec<usize>,
    position: Vec<usize>,
    value: Value,
    changes: Vec<(usize, Option<Place>)>,
}

/// Where a copy is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Index into `TaskView::modes`.
    pub mode: usize,
    /// The node of each pod.
    pub nodes: Vec<usize>,
}

/// What the whole plan is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    pub unplaced: usize,
    /// Sum of the values of the modes, more being better.
    pub worth: i128,
    /// Sum over nodes of the square of the free shares: the more, the more the free room is in one piece.
    pub pieces: f64,
}

impl Value {
    /// By copies without a place, then by worth.
    pub fn is_better_than(&self, other: &Self) -> bool {
        (self.unplaced, -self.worth) < (other.unplaced, -other.worth)
    }
}

impl<'a> Rooms<'a> {
    /// The plan of a schedule.
    pub fn of(instance: &'a Instance<'a>, schedule: &Schedule) -> Self {
        let stride = instance.problem.resources.len();
        let nodes = instance.problem.nodes.len();
        let mut free = vec![0; nodes * stride];
        let bases: Vec<Vec<i64>> = instance
            .classes
            .iter()
            .map(|class| class.base.least_free())
            .collect();
        for (node, class) in instance.class_of.iter().enumerate() {
            if let Some(class) = class {
                free[node * stride..(node + 1) * stride].copy_from_slice(&bases[*class]);
            }
        }
        let mut rooms = Self {
            instance,
            stride,
            scale: free.iter().map(|&free| 1.0 / free.max(1) as f64).collect(),
            free,
            residents: vec![Vec::new(); nodes],
            places: vec![None; instance.copies()],
            waiting: (0..instance.copies()).collect(),
            position: (0..instance.copies()).collect(),
            value: Value {
                unplaced: instance.copies(),
                worth: 0,
                pieces: 0.0,
            },
            changes: Vec::new(),
        };
        rooms.value.pieces = (0..nodes).map(|node| rooms.piece(node)).sum();
        for (copy, placed) in schedule.placed.iter().enumerate() {
            if let Some(placed) = placed {
                rooms.put(copy, placed.mode, schedule.nodes(placed).to_vec());
            }
        }
        rooms.keep();
        rooms
    }

    pub fn value(&self) -> Value {
        self.value
    }

    /// The copies without a place.
    pub fn waiting(&self) -> &[usize] {
        &self.waiting
    }

    pub fn place_of(&self, copy: usize) -> Option<&Place> {
        self.places[copy].as_ref()
    }

    /// The copies with a pod on this node.
    pub fn residents(&self, node: usize) -> &[usize] {
        &self.residents[node]
    }

    /// How many pods of the mode fit on the node beside what is there, at most `most`.
    pub fn slots(&self, task: usize, mode: &ModeView, node: usize, most: u32) -> u32 {
        let Some(run) = self.instance.run(task, mode, node) else {
            return 0;
        };
        let most = if mode.pods == 1 {
            most
        } else {
            most.min(run.slots)
        };
        let free = &self.free[node * self.stride..(node + 1) * self.stride];
        u32::try_from(mode.request.slots(free, u64::from(most))).unwrap_or(most)
    }

    /// Gives a copy without a place one that has room for it.
    pub fn put(&mut self, copy: usize, mode: usize, nodes: Vec<usize>) {
        self.changes.push((copy, None));
        self.enter(copy, Place { mode, nodes });
    }

    /// Takes a copy out, and says where it was.
    pub fn take(&mut self, copy: usize) -> Option<Place> {
        let place = self.leave(copy)?;
        self.changes.push((copy, Some(place.clone())));
        Some(place)
    }

    /// Makes all changes since the last call of `keep` or `undo` final.
    pub fn keep(&mut self) {
        self.changes.clear();
    }

    /// Takes back all changes since the last call of `keep` or `undo`.
    pub fn undo(&mut self) {
        while let Some((copy, was)) = self.changes.pop() {
            match was {
                Some(place) => self.enter(copy, place),
                None => drop(self.leave(copy)),
            }
        }
    }

    /// Places what fits beside all others in some mode, the smallest first.
    pub fn settle(&mut self) {
        // Room only shrinks in here: what a class offers at first is never exceeded, and where one copy of a
        // task finds none, its other copies find none.
        let offers: Vec<Vec<i64>> = (0..self.instance.classes.len())
            .map(|class| self.most_free(class))
            .collect();
        let mut full = vec![false; self.instance.tasks.len()];
        let mut copies = self.waiting.clone();
        copies.sort_unstable();
        for copy in copies {
            let task = self.instance.task_of[copy];
            if full[task] {
                continue;
            }
            let modes = by_share(&self.instance.tasks[task]);
            let found = modes
                .into_iter()
                .find_map(|mode| Some((mode, self.first_fit(task, mode, &offers)?)));
            full[task] = found.is_none();
            if let Some((mode, nodes)) = found {
                self.put(copy, mode, nodes);
            }
        }
        self.keep();
    }

    /// The most that is free of each resource on a node of the class.
    fn most_free(&self, class: usize) -> Vec<i64> {
        let nodes = self.instance.problem.classes[class].nodes.iter();
        nodes.fold(vec![i64::MIN; self.stride], |mut most, node| {
            let free = &self.free[node * self.stride..(node + 1) * self.stride];
            most.iter_mut()
                .zip(free)
                .for_each(|(most, free)| *most = (*free).max(*most));
            most
        })
    }

    /// The first nodes with room for all pods, where the classes' offers promise some.
    fn first_fit(&self, task: usize, mode: usize, offers: &[Vec<i64>]) -> Option<Vec<usize>> {
        let view = &self.instance.tasks[task];
        let mode = &view.modes[mode];
        if view.near == Near::Anywhere || mode.pods == 1 {
            let runs = Vec::from_iter(0..mode.runs.len());
            return self.fit_in(task, mode, offers, &runs, 1);
        }
        mode.scopes().find_map(|(runs, on_one_node)| {
            let least = if on_one_node { mode.pods } else { 1 };
            self.fit_in(task, mode, offers, &runs, least)
        })
    }

    /// The same on nodes of these runs, each with room for so many pods at least.
    fn fit_in(
        &self,
        task: usize,
        mode: &ModeView,
        offers: &[Vec<i64>],
        runs: &[usize],
        least: u32,
    ) -> Option<Vec<usize>> {
        let mut nodes = Vec::new();
        for run in runs.iter().map(|&run| &mode.runs[run]) {
            if mode.request.slots(&offers[run.class], 1) == 0 {
                continue;
            }
            for &node in &self.instance.problem.classes[run.class].nodes {
                let left = mode.pods - nodes.len() as u32;
                let pods = self.slots(task, mode, node, left);
                if pods < least {
                    continue;
                }
                nodes.extend((0..pods).map(|_| node));
                if pods == left {
                    return Some(nodes);
                }
            }
        }
        None
    }

    /// The plan as a schedule: everything starts at once.
    pub fn schedule(&self) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.clear(self.places.len());
        for (copy, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let (task, mode) = (self.instance.task_of[copy], self.mode(copy, place.mode));
            let runs = place
                .nodes
                .iter()
                .filter_map(|&node| self.instance.run(task, mode, node));
            let end = runs.map(|run| run.duration.max(0)).max().unwrap_or(0);
            schedule.place(copy, place.mode, (0, end), place.nodes.iter().copied());
        }
        schedule
    }

    fn mode(&self, copy: usize, mode: usize) -> &'a ModeView {
        &self.instance.task(copy).modes[mode]
    }

    fn enter(&mut self, copy: usize, place: Place) {
        let mode = self.mode(copy, place.mode);
        for &node in &place.nodes {
            self.change_room(node, mode, -1);
            self.residents[node].push(copy);
        }
        let at = self.position[copy];
        self.waiting.swap_remove(at);
        if let Some(&moved) = self.waiting.get(at) {
            self.position[moved] = at;
        }
        self.value.worth += i128::from(worth(self.instance, mode));
        self.value.unplaced -= 1;
        self.places[copy] = Some(place);
    }

    fn leave(&mut self, copy: usize) -> Option<Place> {
        let place = self.places[copy].take()?;
        let mode = self.mode(copy, place.mode);
        for &node in &place.nodes {
            self.change_room(node, mode, 1);
            let here = &mut self.residents[node];
            if let Some(at) = here.iter().position(|&other| other == copy) {
                here.swap_remove(at);
            }
        }
        self.position[copy] = self.waiting.len();
        self.waiting.push(copy);
        self.value.worth -= i128::from(worth(self.instance, mode));
        self.value.unplaced += 1;
        Some(place)
    }

    /// Gives back (1) or takes (-1) the room of one pod.
    fn change_room(&mut self, node: usize, mode: &ModeView, sign: i64) {
        self.value.pieces -= self.piece(node);
        let free = &mut self.free[node * self.stride..(node + 1) * self.stride];
        for (free, usage) in free.iter_mut().zip(&mode.request.usage) {
            *free = free.saturating_add(sign * usage);
        }
        self.value.pieces += self.piece(node);
    }

    fn piece(&self, node: usize) -> f64 {
        let amounts = node * self.stride..(node + 1) * self.stride;
        let shares = self.free[amounts.clone()].iter().zip(&self.scale[amounts]);
        let free: f64 = shares
            .map(|(free, scale)| (*free).max(0) as f64 * scale)
            .sum();
        free * free
    }
}
