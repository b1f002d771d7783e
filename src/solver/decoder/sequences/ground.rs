//! What does not change while sequences are searched.

use std::ops::Range;

use crate::model::{Goal, Millis, Mode, NodeClass, Problem};
use crate::solver::instance::Instance;

use super::lane::MOST_URGENCY;
use super::units::{Run, Units};

/// Beyond this, sums of ends are not searched, so that no sum overflows.
const MOST_ENERGY: i128 = 1 << 60;

/// Nor where the weights of all copies sum up to more: squares of lateness are bounded too, see `lane.rs`.
const MOST_WEIGHTS: i128 = 1 << 25;

/// A copy on a node, in one of the ways in which it may run there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Index of the copy.
    pub copy: u32,
    /// Index into `Ground::choices`.
    pub choice: u32,
}

/// A mode on a class.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Index into `TaskView::modes`.
    pub mode: usize,
    pub class: usize,
    pub duration: Millis,
    /// What it uses of the pool's capacity: the largest share over the resources.
    pub share: f64,
    /// What it costs, in millionths, under Cost.
    pub cost: i64,
    usage: Range<usize>,
}

impl Choice {
    /// What it takes of the pool: share x ms.
    pub fn work(&self) -> f64 {
        self.share * self.duration as f64
    }
}

/// A class, reduced to the resources that can be scarce on it.
pub struct ClassGround {
    pub units: Vec<Units>,
}

/// The problem, ready for sequences.
pub struct Ground<'a> {
    pub instance: &'a Instance<'a>,
    pub classes: Vec<ClassGround>,
    pub choices: Vec<Choice>,
    /// For each task the classes on which it can run, each with its choices.
    pub options: Vec<Vec<(usize, Range<u32>)>>,
    usages: Vec<i64>,
}

impl<'a> Ground<'a> {
    /// Whether copies meet only on their nodes (no gangs, dependencies or budgets), the goal has ends, and no
    /// number is so large that sums might not fit.
    pub fn suits(instance: &Instance) -> bool {
        let problem = instance.problem;
        !problem.goal.is_static()
            && !instance.is_ordered
            && problem.budgets.is_empty()
            && !instance.has_gangs()
            && Self::is_small(instance)
    }

    /// Whether every copy can run, and no number is so large that sums might not fit.
    pub fn is_small(instance: &Instance) -> bool {
        instance.tasks.iter().all(|task| !task.modes.is_empty())
            && has_small_ends(instance)
            && has_small_costs(instance)
    }

    /// `None` where this form does not suit.
    pub fn new(instance: &'a Instance<'a>) -> Option<Self> {
        Self::suits(instance).then(|| Self::read(instance))
    }

    /// The same of any problem with small numbers.
    pub fn read(instance: &'a Instance<'a>) -> Self {
        let mut ground = Self {
            instance,
            classes: Vec::new(),
            choices: Vec::new(),
            options: vec![Vec::new(); instance.tasks.len()],
            usages: Vec::new(),
        };
        for class in 0..instance.problem.classes.len() {
            ground.add_class(class);
        }
        ground
    }

    fn add_class(&mut self, class: usize) {
        let instance = self.instance;
        let of_class = &instance.problem.classes[class];
        let resources = scarce_resources(instance.problem, class);
        let units = |&resource: &usize| free_units(of_class, resource);
        self.classes.push(ClassGround {
            units: resources.iter().map(units).collect(),
        });
        for (index, task) in instance.tasks.iter().enumerate() {
            let first = self.choices.len() as u32;
            for (mode, view) in task.modes.iter().enumerate() {
                let Some(run) = view.runs.iter().find(|run| run.class == class) else {
                    continue;
                };
                let begin = self.usages.len();
                let used = resources
                    .iter()
                    .map(|&resource| view.request.usage[resource]);
                self.usages.extend(used);
                self.choices.push(Choice {
                    mode,
                    class,
                    duration: run.duration,
                    share: view.share,
                    cost: cost(instance, index, mode, class),
                    usage: begin..self.usages.len(),
                });
            }
            let last = self.choices.len() as u32;
            if first < last {
                self.options[index].push((class, first..last));
            }
        }
    }

    /// What a choice uses of the resources of its class.
    pub fn usage(&self, choice: &Choice) -> &[i64] {
        &self.usages[choice.usage.clone()]
    }

    pub fn choice(&self, slot: Slot) -> &Choice {
        &self.choices[slot.choice as usize]
    }

    /// The choices of a copy on a class; none where it cannot run there.
    pub fn choices_on(&self, copy: u32, class: usize) -> Range<u32> {
        let options = &self.options[self.instance.task_of[copy as usize]];
        options
            .iter()
            .find(|(known, _)| *known == class)
            .map_or(0..0, |(_, choices)| choices.clone())
    }
}

/// What a copy costs in this mode on a class; 0 under other goals.
fn cost(instance: &Instance, task: usize, mode: usize, class: usize) -> i64 {
    let problem = instance.problem;
    let mode = &problem.tasks[task].modes[instance.tasks[task].modes[mode].index];
    match problem.goal {
        Goal::Cost => mode.run_on(class).map_or(0, |run| run.cost),
        _ => 0,
    }
}

/// The price of a millisecond of the dearest mode, rounded up: at least 1.
pub fn most_price(instance: &Instance) -> i64 {
    let modes = instance.tasks.iter().flat_map(|task| &task.modes);
    let prices = modes.flat_map(|mode| mode.runs.iter().map(|run| run.price));
    prices.fold(0.0, f64::max).ceil().clamp(1.0, 1e9) as i64
}

/// Whether no sum of costs can come near the limits of 64 bits.
fn has_small_costs(instance: &Instance) -> bool {
    if instance.problem.goal != Goal::Cost || !instance.has_dues {
        return true;
    }
    let all = instance.problem.tasks.iter().map(|task| {
        let runs = task.modes.iter().flat_map(|mode| &mode.runs);
        let most = runs.map(|run| i128::from(run.cost)).max().unwrap_or(0);
        most.saturating_mul(task.copies.len() as i128)
    });
    all.fold(0, i128::saturating_add) < MOST_ENERGY
}

/// Whether no sum of weighted ends can come near the limits of 64 bits.
fn has_small_ends(instance: &Instance) -> bool {
    let holds = instance
        .problem
        .classes
        .iter()
        .flat_map(|class| &class.holds);
    let mut horizon = holds
        .map(|hold| i128::from(hold.until))
        .max()
        .unwrap_or(0)
        .max(0);
    let mut weights = 0i128;
    for task in &instance.tasks {
        let runs = task.modes.iter().flat_map(|mode| &mode.runs);
        let lasting = runs.map(|run| run.duration.max(run.lasting(0)));
        let longest = lasting.map(i128::from).max().unwrap_or(0);
        let copies = task.copies.len() as i128;
        horizon = horizon
            .saturating_add(longest.saturating_mul(copies))
            .max(i128::from(task.release));
        horizon = horizon.saturating_add(i128::from(task.release));
        let weight = instance.problem.batches[task.batch]
            .weight
            .max(task.weight)
            .max(1);
        weights = weights.saturating_add(copies.saturating_mul(i128::from(weight)));
    }
    let urgency = match (instance.has_dues, instance.problem.goal) {
        (false, _) => 1,
        (true, Goal::Cost) => i128::from(MOST_URGENCY) * i128::from(most_price(instance)),
        (true, _) => 1 + i128::from(MOST_URGENCY),
    };
    let energy = horizon.saturating_mul(weights).saturating_mul(urgency);
    energy < MOST_ENERGY && weights < MOST_WEIGHTS
}

/// The units that are free of a resource over time. What is held counts from the start, even where the hold
/// begins later.
fn free_units(class: &NodeClass, resource: usize) -> Units {
    let mut holds: Vec<(Millis, i128)> = class
        .holds
        .iter()
        .zip(&class.held)
        .filter(|(hold, held)| hold.from.max(0) < hold.until && held[resource] > 0)
        .map(|(hold, held)| (hold.until, i128::from(held[resource])))
        .collect();
    holds.sort_unstable();
    let mut free = i128::from(class.free[resource]);
    free -= holds.iter().map(|(_, held)| held).sum::<i128>();
    let mut runs: Vec<Run> = Vec::new();
    let mut given = 0i128;
    for (since, back) in std::iter::once((0, 0)).chain(holds) {
        free += back;
        let more = free.max(0) - given;
        if more > 0 {
            let amount = i64::try_from(more).unwrap_or(i64::MAX);
            given += i128::from(amount);
            match runs.last_mut() {
                Some(last) if last.since == since => last.amount += amount,
                _ => runs.push(Run { since, amount }),
            }
        }
    }
    Units::new(runs)
}

/// The resources of a class that can be scarce: not those of which everything that may run on it, or does,
/// takes at most the share that it takes of another one. If that other one suffices, so do these.
fn scarce_resources(problem: &Problem, class: usize) -> Vec<usize> {
    let of_class = &problem.classes[class];
    let modes = problem.tasks.iter().flat_map(|task| &task.modes);
    let runs_here = |mode: &&Mode| mode.run_on(class).is_some_and(|run| run.duration > 0);
    let mut items: Vec<&[i64]> = modes
        .filter(runs_here)
        .map(|mode| mode.demand.as_slice())
        .collect();
    items.extend(of_class.held.iter().map(Vec::as_slice));
    items.sort_unstable();
    items.dedup();
    let is_used = |resource: &usize| items.iter().any(|item| item[*resource] > 0);
    let used: Vec<usize> = (0..problem.resources.len()).filter(is_used).collect();
    let is_within = |inner: usize, outer: usize| {
        let (inner_free, outer_free) = (of_class.free[inner], of_class.free[outer]);
        let takes_less = |item: &&[i64]| {
            let inner_share = i128::from(item[inner].max(0)) * i128::from(outer_free);
            inner_share <= i128::from(item[outer].max(0)) * i128::from(inner_free)
        };
        inner_free > 0 && outer_free > 0 && items.iter().all(takes_less)
    };
    let is_scarce = |&resource: &usize| {
        !used.iter().any(|&other| {
            let is_first = other < resource || !is_within(other, resource);
            other != resource && is_first && is_within(resource, other)
        })
    };
    used.iter().copied().filter(is_scarce).collect()
}
