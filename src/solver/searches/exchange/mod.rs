//! Exchange search for the goals without a time axis: simulated annealing (Kirkpatrick, Gelatt and Vecchi 1983)
//! over ejection moves, as in searches for generalised assignment (Yagiura, Ibaraki and Glover 2004).
//!
//! A move gives one copy another mode or node. Copies that stand in its way are put out, and go back in
//! whatever mode is worth most there, on the node that was left, or elsewhere: one copy is raised, others are
//! lowered, moved, or swapped for one that waits. Only what a move touches is counted again.

mod rooms;

use std::cmp::Ordering;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::model::Algorithm;
use crate::solver::decoder::packing::worth;
use crate::solver::goals::Score;
use crate::solver::instance::{Instance, ModeView, Pool, TaskView};
use crate::solver::schedule::Schedule;
use crate::solver::search::Search;

use rooms::{Place, Rooms, Value};

/// Moves between two looks at the budget; one takes about a microsecond.
const STRIDE: u64 = 32;
/// Most copies that are put out in one move.
const MOST_VICTIMS: usize = 4;
/// Nodes on which a copy that was put out looks for a place besides those of the move.
const LOOKS: usize = 3;
/// Nodes that are looked at for the pods of a gang.
const MOST_SPREAD: usize = 512;
/// The first temperature, in mean steps between neighbouring modes, and the last as a part of it.
const FIRST: f64 = 0.5;
const LAST: f64 = 0.002;
/// What one more copy without a place costs, and how much free room in one piece is worth, in mean steps.
const PENALTY: f64 = 4.0;
const PIECES: f64 = 0.05;
/// The best plan is handed in when so much of the budget was spent since the last one.
const REPORT: f64 = 0.1;

/// Searches until the budget ends or the gap is closed.
pub(super) fn run(search: &mut Search) {
    let instance = search.instance;
    let Some(incumbent) = search.incumbent() else {
        return;
    };
    let rooms = Rooms::of(instance, &incumbent.schedule);
    if rooms.waiting().is_empty() && instance.tasks.iter().all(|task| task.modes.len() < 2) {
        return;
    }
    let mut exchange = Exchange::new(instance, rooms, search.seed);
    let mut best = Best {
        value: exchange.rooms.value(),
        schedule: None,
    };
    // Copying a plan costs what it has copies, so that it is done no more often than so many moves are made.
    let pause = instance.copies() as u64 / 4;
    let (mut moves, mut reported) = (0, search.meter().progress());
    while !search.is_over() {
        let progress = search.meter().progress();
        let temperature = exchange.step * FIRST * LAST.powf(progress);
        let granted = search.meter().grant(STRIDE);
        (0..granted).for_each(|_| exchange.make_move(temperature));
        search.count(granted);
        moves += granted;
        if moves >= pause && best.take_over(&mut exchange.rooms) {
            moves = 0;
        }
        if progress - reported > REPORT || closes_gap(search, &best.value) {
            reported = progress;
            offer(search, best.schedule.take());
        }
    }
    best.take_over(&mut exchange.rooms);
    offer(search, best.schedule);
}

/// The best plan of the search, until it is handed in.
struct Best {
    value: Value,
    schedule: Option<Schedule>,
}

impl Best {
    /// Copies the plan if it is better, after all that has room beside it was placed; whether it is.
    fn take_over(&mut self, rooms: &mut Rooms) -> bool {
        let is_better = rooms.value().is_better_than(&self.value);
        if is_better {
            rooms.settle();
            self.value = rooms.value();
            self.schedule = Some(rooms.schedule());
        }
        is_better
    }
}

fn offer(search: &mut Search, found: Option<Schedule>) {
    if let Some(schedule) = found {
        let score = Score::of(search.instance, &schedule);
        search.offer(score, schedule, Algorithm::Annealing);
    }
}

/// Whether nothing is better than a plan of this value.
fn closes_gap(search: &Search, best: &Value) -> bool {
    let is_maximised = search.problem().goal.is_maximised();
    let objective = if is_maximised {
        best.worth
    } else {
        -best.worth
    };
    search.incumbent().is_some_and(|incumbent| {
        best.unplaced == 0
            && incumbent.score.unplaced == 0
            && objective == i128::from(incumbent.bound.value)
    })
}

struct Exchange<'a> {
    instance: &'a Instance<'a>,
    rooms: Rooms<'a>,
    random: ChaCha8Rng,
    /// Mean distance of the worths of neighbouring modes.
    step: f64,
    /// For each pool the number of nodes in its first classes: 1, 2, ..., all.
    sizes: Vec<Vec<usize>>,
    /// The last gang that looked at each node, by a running number.
    seen: Vec<u64>,
    gangs: u64,
}

impl<'a> Exchange<'a> {
    fn new(instance: &'a Instance<'a>, rooms: Rooms<'a>, seed: u64) -> Self {
        let sizes = |pool: &Pool| -> Vec<usize> {
            let sizes = pool.classes.iter().scan(0, |sum, &class| {
                *sum += instance.classes[class].size;
                Some(*sum)
            });
            sizes.collect()
        };
        Self {
            instance,
            rooms,
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x0065_7863_6861_6e67),
            step: mean_step(instance),
            sizes: instance.pools.iter().map(sizes).collect(),
            seen: vec![0; instance.problem.nodes.len()],
            gangs: 0,
        }
    }

    /// Makes one move, and takes it back unless it is a gain or the temperature allows it.
    fn make_move(&mut self, temperature: f64) {
        let before = self.rooms.value();
        let copy = self.some_copy();
        if self.change(copy).is_some() && self.accepts(&before, temperature) {
            self.rooms.keep();
        } else {
            self.rooms.undo();
        }
    }

    fn some_copy(&mut self) -> usize {
        let waiting = self.rooms.waiting();
        if !waiting.is_empty() && self.random.random_bool(0.3) {
            waiting[self.random.random_range(0..waiting.len())]
        } else {
            self.random.random_range(0..self.instance.copies())
        }
    }

    /// Copies without a place come first, whatever the temperature; a copy is never given up for worth alone.
    fn accepts(&mut self, before: &Value, temperature: f64) -> bool {
        let after = self.rooms.value();
        let lost = (before.worth - after.worth) as f64;
        let pieces = (before.pieces - after.pieces) * PIECES * self.step;
        let cost = match after.unplaced.cmp(&before.unplaced) {
            Ordering::Less => return true,
            Ordering::Equal => lost + pieces,
            Ordering::Greater => {
                let more = (after.unplaced - before.unplaced) as f64;
                lost.max(0.0) + pieces.max(0.0) + more * PENALTY * self.step
            }
        };
        cost <= 0.0 || self.random.random::<f64>() < (-cost / temperature).exp()
    }

    /// Gives a copy another mode or node, and finds places for those that it puts out.
    fn change(&mut self, copy: usize) -> Option<()> {
        let task = self.instance.task_of[copy];
        let was = self.rooms.take(copy);
        let mode = self.some_mode(&self.instance.tasks[task], was.as_ref().map(|was| was.mode))?;
        let left: Vec<usize> = was.map_or_else(Vec::new, |was| was.nodes);
        let node = match left.first() {
            Some(&node) if self.random.random_bool(0.5) => node,
            _ => self.some_node(task)?,
        };
        let mut near = vec![node];
        near.extend(left.first().filter(|&&other| other != node));
        let victims = self.make_room(copy, mode, &near)?;
        for victim in victims {
            self.seat(victim, &near);
        }
        for node in near {
            self.fill(node);
        }
        Some(())
    }

    /// Mostly a neighbour of the mode that the copy has, else any.
    fn some_mode(&mut self, task: &TaskView, was: Option<usize>) -> Option<usize> {
        let modes = task.modes.len();
        if modes == 0 {
            return None;
        }
        let any = self.random.random_range(0..modes);
        Some(match was {
            Some(was) if self.random.random_bool(0.7) => {
                let reach = self.random.random_range(0..=2);
                if self.random.random_bool(0.5) {
                    (was + reach).min(modes - 1)
                } else {
                    was.saturating_sub(reach)
                }
            }
            Some(_) => any,
            None => any.min(self.random.random_range(0..modes)),
        })
    }

    /// Some node of the task's pool.
    fn some_node(&mut self, task: usize) -> Option<usize> {
        let nodes = *self.sizes[self.instance.tasks[task].pool].last()?;
        let at = self.random.random_range(0..nodes.max(1));
        self.node_at(task, at)
    }

    /// The node at this place in the list of all nodes of the task's pool.
    fn node_at(&self, task: usize, at: usize) -> Option<usize> {
        let pool = self.instance.tasks[task].pool;
        let sizes = &self.sizes[pool];
        let class = sizes.partition_point(|&until| until <= at);
        let first = class.checked_sub(1).map_or(0, |before| sizes[before]);
        let class = *self.instance.pools[pool].classes.get(class)?;
        self.instance.problem.classes[class]
            .nodes
            .get(at - first)
            .copied()
    }

    /// Puts the copy on the first of these nodes, for a gang also beside, after those that are in its way have
    /// left; says which these are. `None` where they are too many.
    fn make_room(&mut self, copy: usize, mode: usize, near: &[usize]) -> Option<Vec<usize>> {
        let task = self.instance.task_of[copy];
        let view = &self.instance.tasks[task].modes[mode];
        self.instance.run(task, view, near[0])?;
        let mut victims = Vec::new();
        loop {
            if let Some(nodes) = self.nodes_for(task, view, near) {
                self.rooms.put(copy, mode, nodes);
                return Some(victims);
            }
            let here = self.rooms.residents(near[0]);
            if here.is_empty() || victims.len() == MOST_VICTIMS {
                return None;
            }
            let victim = here[self.random.random_range(0..here.len())];
            self.rooms.take(victim);
            victims.push(victim);
        }
    }

    /// The first of these nodes, if it has room for one pod; for a gang these and others.
    fn nodes_for(&mut self, task: usize, mode: &ModeView, near: &[usize]) -> Option<Vec<usize>> {
        if mode.pods == 1 {
            return (self.rooms.slots(task, mode, near[0], 1) > 0).then(|| vec![near[0]]);
        }
        self.gangs += 1;
        let all = *self.sizes[self.instance.tasks[task].pool].last()?;
        let from = self.random.random_range(0..all.max(1));
        let closeness = self.instance.tasks[task].near;
        let mut nodes = Vec::new();
        for look in 0..near.len() + all.min(MOST_SPREAD) {
            let node = match near.get(look) {
                Some(&node) => node,
                None => self.node_at(task, (from + look) % all)?,
            };
            if std::mem::replace(&mut self.seen[node], self.gangs) == self.gangs {
                continue;
            }
            let left = mode.pods - nodes.len() as u32;
            let first = nodes.first().copied().unwrap_or(node);
            if !self.instance.are_near(closeness, first, node) {
                continue;
            }
            let pods = self.rooms.slots(task, mode, node, left);
            if pods < left && self.instance.is_one_node(closeness) {
                continue;
            }
            nodes.extend((0..pods).map(|_| node));
            if pods == left {
                return Some(nodes);
            }
        }
        None
    }

    /// Gives a copy that was put out the best place on these nodes or on a few others, if there is one.
    fn seat(&mut self, copy: usize, near: &[usize]) {
        let task = self.instance.task_of[copy];
        let mut nodes = near.to_vec();
        nodes.extend((0..LOOKS).filter_map(|_| self.some_node(task)));
        let single = nodes
            .iter()
            .filter_map(|&node| Some((self.best_on(copy, node)?, node)))
            .max_by_key(|((worth, _), _)| *worth);
        let gangs = self.better_gangs(copy, single.map(|((worth, _), _)| worth));
        for mode in gangs {
            let view = &self.instance.tasks[task].modes[mode];
            if let Some(nodes) = self.nodes_for(task, view, near) {
                self.rooms.put(copy, mode, nodes);
                return;
            }
        }
        if let Some(((_, mode), node)) = single {
            self.rooms.put(copy, mode, vec![node]);
        }
    }

    /// Some modes of several pods that are worth more than this, the best first.
    fn better_gangs(&mut self, copy: usize, least: Option<i64>) -> Vec<usize> {
        let task = self.instance.task(copy);
        let worth = |mode: usize| worth(self.instance, &task.modes[mode]);
        let mut modes: Vec<usize> = (0..task.modes.len())
            .filter(|&mode| {
                task.modes[mode].pods > 1 && least.is_none_or(|least| worth(mode) > least)
            })
            .collect();
        modes.sort_by_key(|&mode| std::cmp::Reverse(worth(mode)));
        let skip = modes.len().saturating_sub(MOST_VICTIMS);
        let from = if skip > 0 {
            self.random.random_range(0..=skip)
        } else {
            0
        };
        modes.into_iter().skip(from).take(MOST_VICTIMS).collect()
    }

    /// The mode of one pod that is worth most of those that fit on the node.
    fn best_on(&self, copy: usize, node: usize) -> Option<(i64, usize)> {
        let task = self.instance.task_of[copy];
        let modes = self.instance.tasks[task].modes.iter().enumerate();
        let fits =
            modes.filter(|(_, mode)| mode.pods == 1 && self.rooms.slots(task, mode, node, 1) > 0);
        fits.map(|(index, mode)| (worth(self.instance, mode), index))
            .max_by(|one, other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)))
    }

    /// Uses what is free on a node: for a copy that waits, else to raise one that is there.
    fn fill(&mut self, node: usize) {
        if !self.rooms.waiting().is_empty() {
            let waiting = self.rooms.waiting();
            let copy = waiting[self.random.random_range(0..waiting.len())];
            if let Some((_, mode)) = self.best_on(copy, node) {
                self.rooms.put(copy, mode, vec![node]);
                return;
            }
        }
        let here = self.rooms.residents(node);
        if here.is_empty() {
            return;
        }
        let copy = here[self.random.random_range(0..here.len())];
        let is_single = |place: &Place| place.nodes.len() == 1;
        if let Some(was) = self
            .rooms
            .place_of(copy)
            .filter(|place| is_single(place))
            .cloned()
        {
            self.rooms.take(copy);
            let mode = self.best_on(copy, node).map_or(was.mode, |(_, mode)| mode);
            self.rooms.put(copy, mode, was.nodes);
        }
    }
}

/// Mean distance of the worths of neighbouring modes; where no task has several, a part of the mean worth.
fn mean_step(instance: &Instance) -> f64 {
    let (mut steps, mut count, mut worths) = (0.0, 0.0, 0.0);
    for task in &instance.tasks {
        let worth = |mode: &ModeView| worth(instance, mode) as f64;
        let (least, most) = task
            .modes
            .iter()
            .map(worth)
            .fold((f64::MAX, f64::MIN), |(least, most), worth| {
                (worth.min(least), worth.max(most))
            });
        let copies = task.copies.len() as f64;
        if task.modes.len() > 1 {
            steps += copies * (most - least) / (task.modes.len() - 1) as f64;
            count += copies;
        }
        if !task.modes.is_empty() {
            worths += copies * most.abs();
        }
    }
    let step = if count > 0.0 {
        steps / count
    } else {
        worths / instance.copies().max(1) as f64 / 4.0
    };
    step.max(1e-3)
}
