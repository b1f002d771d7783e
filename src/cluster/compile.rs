//! Batches and a snapshot become a problem: tasks with modes, nodes in classes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use super::classes::{classify, slots};
use super::domains::{can_tell, have_room, is_labelled, levels, near, rounded_up};
use super::dominance::without_dominated;
use super::{explain, modes, snapshot};
use crate::model::{
    Batch, Exact, Fix, Fraction, Goal, Millis, Mode, Placement, PlannedBatch, PlannedTask, Problem,
    Reason, Resources, Run, Snapshot, Task, Tier, Unplaced,
};

/// Copies of one task that want a place.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// Index of the task in it.
    pub task: usize,
    /// Indices of the copies.
    pub copies: Vec<u32>,
    /// Earliest start.
    pub release: Millis,
    /// When they are due; may have passed.
    pub due: Option<Millis>,
}

impl Request<'_> {
    fn task(&self) -> &Task {
        &self.batch.tasks[self.task]
    }
}

/// Makes the problem of placing all requests together, with this goal. Copies that no node could ever
/// hold are set aside with the reason.
pub fn compile(snapshot: &Snapshot, requests: &[Request<'_>], goal: Goal) -> Problem {
    let held_still;
    let snapshot = if goal.is_static() {
        held_still = without_time(snapshot);
        &held_still
    } else {
        snapshot
    };
    let mut compiler = Compiler::new(snapshot, requests, goal);
    // Tasks know nothing of each other here, so that their modes can be made side by side.
    let modes = requests
        .par_iter()
        .map(|request| compiler.all_modes(request.task()));
    let mut modes: Vec<Vec<Mode>> = modes.collect();
    for index in dependency_order(requests) {
        compiler.add(&requests[index], std::mem::take(&mut modes[index]));
    }
    compiler.problem
}

/// For goals without a time axis: what our own pods hold is simply gone.
fn without_time(snapshot: &Snapshot) -> Snapshot {
    Snapshot {
        nodes: snapshot.nodes.clone(),
        free: snapshot::free_now(snapshot),
        holds: vec![Vec::new(); snapshot.nodes.len()],
        share: snapshot.share,
        topology: snapshot.topology.clone(),
    }
}

/// Indices of the requests, each after those that it depends on. Cycles were refused at intake.
fn dependency_order(requests: &[Request<'_>]) -> Vec<usize> {
    let all = 0..requests.len();
    if requests
        .iter()
        .all(|request| request.task().after.is_empty())
    {
        return all.collect();
    }
    let mut find: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (at, request) in requests.iter().enumerate() {
        let key = (request.batch.key.as_str(), request.task().name.as_str());
        find.entry(key).or_default().push(at);
    }
    let before = |at: usize| -> Vec<usize> {
        let (batch, task) = (requests[at].batch, requests[at].task());
        let names = task.after.iter();
        names
            .filter_map(|name| find.get(&(batch.key.as_str(), name.as_str())))
            .flatten()
            .copied()
            .collect()
    };
    let mut order = Vec::new();
    let mut seen = vec![false; requests.len()];
    for root in all {
        let mut stack = vec![(root, false)];
        while let Some((at, expanded)) = stack.pop() {
            if expanded {
                order.push(at);
            } else if !std::mem::replace(&mut seen[at], true) {
                stack.push((at, true));
                stack.extend(before(at).into_iter().map(|next| (next, false)));
            }
        }
    }
    order
}

/// Reason, message and fix.
type Explanation = (Reason, String, Option<Fix>);

/// So many explanations are kept for other tasks.
const MOST_EXPLAINED: usize = 64;

/// Whether two tasks ask the same of nodes, so that the same keeps them from a place.
fn asks_same(one: &Task, other: &Task) -> bool {
    one.own == other.own
        && one.ranges == other.ranges
        && one.sized == other.sized
        && one.shape == other.shape
        && one.placement == other.placement
        && one.workers == other.workers
        && one.together.wish == other.together.wish
        && one.flavors == other.flavors
}

struct Compiler<'a> {
    snapshot: &'a Snapshot,
    goal: Goal,
    /// Distinct placement rules, and for each class whether its nodes are admitted by them.
    placements: Vec<&'a Placement>,
    admitted: Vec<Vec<bool>>,
    /// Where each request of a task stands in the problem; `None` for those set aside.
    placed: HashMap<(&'a str, &'a str), Vec<Option<usize>>>,
    /// Tasks that can have no place, and why.
    explained: Vec<(&'a Task, Explanation)>,
    /// The largest allocatable amount of each resource on one node.
    largest: BTreeMap<String, i64>,
    problem: Problem,
}

impl<'a> Compiler<'a> {
    fn new(snapshot: &'a Snapshot, requests: &[Request<'a>], goal: Goal) -> Self {
        let mut placements: Vec<&Placement> = Vec::new();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for request in requests {
            let task = request.batch.tasks.get(request.task);
            for way in task.into_iter().flat_map(Task::ways) {
                if !placements.contains(&&way.placement) {
                    placements.push(&way.placement);
                }
                let shape = [
                    &way.own,
                    &way.shape.beside,
                    &way.shape.init_peak,
                    &way.shape.pod_level,
                ];
                let shape = shape.into_iter().flat_map(Resources::iter);
                names.extend(shape.map(|(name, _)| name));
                names.extend(way.ranges.keys().map(String::as_str));
            }
        }
        names.insert(crate::model::PODS);
        let resources: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let tasks = requests.iter().filter_map(|it| it.batch.tasks.get(it.task));
        let levels = levels(snapshot, tasks.clone());
        let told = tasks
            .flat_map(Task::ways)
            .any(|way| can_tell(way, goal, &snapshot.topology));
        let above_hosts = levels.iter().filter(|level| told && !level.is_host);
        let told: Vec<&Tier> = above_hosts.collect();
        let (classes, admitted) = classify(snapshot, &placements, &resources, &told);
        Self {
            snapshot,
            goal,
            placements,
            admitted,
            placed: HashMap::new(),
            explained: Vec::new(),
            largest: largest(snapshot, &resources),
            problem: Problem {
                goal,
                resources,
                nodes: snapshot
                    .nodes
                    .iter()
                    .map(|node| node.name.clone())
                    .collect(),
                classes,
                levels,
                ..Problem::default()
            },
        }
    }

    fn add(&mut self, request: &Request<'a>, modes: Vec<Mode>) {
        let task = &request.batch.tasks[request.task];
        let key = (request.batch.key.as_str(), task.name.as_str());
        let names = task.after.iter();
        let after: Vec<Option<usize>> = names
            .filter_map(|name| self.placed.get(&(key.0, name.as_str())))
            .flatten()
            .copied()
            .collect();
        let place = match after.iter().copied().collect::<Option<Vec<usize>>>() {
            _ if modes.is_empty() => {
                let (reason, message, fix) = self.explain(task);
                self.set_aside(request, reason, &message, fix);
                None
            }
            None => {
                let message = format!(
                    "depends on {}, and not all of that can be placed",
                    task.after.join(", ")
                );
                self.set_aside(
                    request,
                    Reason::DependencyUnplaced,
                    &message,
                    Some(Fix::PlaceDependencies),
                );
                None
            }
            Some(mut after) => {
                if self.goal.is_static() {
                    // Without a time axis nothing comes before anything else.
                    after.clear();
                }
                let batch = self.batch(request.batch);
                self.problem.tasks.push(PlannedTask {
                    batch,
                    name: task.name.clone(),
                    copies: request.copies.clone(),
                    weight: task.weight,
                    release: request.release,
                    due: request.due,
                    after,
                    near: near(task, &self.snapshot.topology),
                    modes,
                });
                Some(self.problem.tasks.len() - 1)
            }
        };
        self.placed.entry(key).or_default().push(place);
    }

    /// Why the task can have no place. Tasks that ask for the same get the same answer, without another look at
    /// all nodes.
    fn explain(&mut self, task: &'a Task) -> Explanation {
        let known = self
            .explained
            .iter()
            .find(|(other, _)| asks_same(other, task));
        if let Some((_, explanation)) = known {
            return explanation.clone();
        }
        let explanation = explain::unplaceable(self.snapshot, task);
        if self.explained.len() < MOST_EXPLAINED {
            self.explained.push((task, explanation.clone()));
        }
        explanation
    }

    fn batch(&mut self, batch: &Batch) -> usize {
        let known = &mut self.problem.batches;
        known
            .iter()
            .rposition(|one| one.key == batch.key)
            .unwrap_or_else(|| {
                known.push(PlannedBatch {
                    key: batch.key.clone(),
                    weight: batch.weight,
                });
                known.len() - 1
            })
    }

    fn set_aside(
        &mut self,
        request: &Request<'_>,
        reason: Reason,
        message: &str,
        fix: Option<Fix>,
    ) {
        let task = request.task();
        self.problem
            .unplaceable
            .extend(request.copies.iter().map(|copy| Unplaced {
                batch: request.batch.key.clone(),
                task: task.name.clone(),
                copy: *copy,
                reason,
                message: message.to_owned(),
                fix: fix.clone(),
            }));
    }

    /// All modes of a task that can run, on whatever hardware, without the dominated ones.
    fn all_modes(&self, task: &Task) -> Vec<Mode> {
        let ways = task.ways().iter();
        without_dominated(ways.flat_map(|way| self.modes(way)).collect(), self.goal)
    }

    /// The modes of a task on one kind of hardware.
    fn modes(&self, task: &Task) -> Vec<Mode> {
        let admitted = self
            .placements
            .iter()
            .position(|rules| **rules == task.placement);
        let Some(admitted) = admitted.map(|at| &self.admitted[at]) else {
            return Vec::new();
        };
        let sized = task.sized.as_deref().unwrap_or_default();
        let largest = self.largest.get(sized).copied();
        let mut found: Vec<Mode> = Vec::new();
        for size in modes::sizes(task).unwrap_or_default() {
            let Some(value) = modes::value(task, self.goal, &size, largest.unwrap_or(0)) else {
                continue;
            };
            let demand: Vec<i64> = self
                .problem
                .resources
                .iter()
                .map(|name| size.effective.get(name))
                .collect();
            let terms = match self.goal.is_static() {
                true => Vec::new(),
                false => modes::communication(task, size.pods, &self.snapshot.topology),
            };
            let runs: Vec<Run> = (0..self.problem.classes.len())
                .filter(|class| {
                    admitted[*class] && is_labelled(self.snapshot, task, self.first(*class))
                })
                .filter_map(|class| self.run(task, &size, &demand, &terms, class))
                .collect();
            let near = near(task, &self.snapshot.topology);
            if have_room(&self.problem, near, &runs, size.pods) {
                found.push(Mode {
                    flavor: task.flavor.clone(),
                    pods: size.pods,
                    requests: size.requests,
                    demand,
                    value,
                    communicate: terms.iter().map(rounded_up).collect(),
                    spends: Vec::new(),
                    runs,
                });
            }
        }
        found
    }

    /// The first node of a class.
    fn first(&self, class: usize) -> Option<usize> {
        self.problem.classes[class].nodes.first().copied()
    }

    fn run(
        &self,
        task: &Task,
        size: &modes::Size,
        demand: &[i64],
        terms: &[Fraction],
        class: usize,
    ) -> Option<Run> {
        let room = &self.problem.classes[class];
        let slots = slots(&room.free, demand);
        if slots == 0 {
            return None;
        }
        let node = &self.snapshot.nodes[*room.nodes.first()?];
        let length = modes::duration(task, &size.work, &node.speed)?;
        let hourly = task.price.as_ref().unwrap_or(&node.price);
        let price = modes::price(hourly, node, &size.effective);
        let cost = (price.clone() * Fraction::from(length.total)).ceil()?;
        Some(Run {
            class,
            duration: length.total,
            across: terms.iter().map(|term| length.with(term)).collect(),
            read: length.read,
            compute: length.compute,
            slots,
            price: Exact::from(price),
            cost,
        })
    }
}

/// The largest allocatable amount of each resource on one node; nothing where there is no node.
fn largest(snapshot: &Snapshot, resources: &[String]) -> BTreeMap<String, i64> {
    let most = |name: &String| {
        let amounts = snapshot.nodes.iter().map(|node| node.allocatable.get(name));
        Some((name.clone(), amounts.max()?))
    };
    resources.iter().filter_map(most).collect()
}
