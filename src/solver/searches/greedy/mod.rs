//! List scheduling after a choice of modes: one good plan at once, and some others that start the searches.
//!
//! Modes: for Makespan each copy takes the least work that meets a deadline, and the deadline is raised until
//! all meet it (Hochbaum and Shmoys 1987; with modes Mounié, Rapine and Trystram 2007). For FlowTime each copy
//! takes the mode and place that it can best afford at the prices of the fluid schedule. Beside them, modes by
//! efficiency: the fastest one whose work is at most so many times the least (Turek, Wolf and Yu 1992).
//! Orders: weight over work (Smith 1956), longest path first (Graham 1969), largest demand first.
//! Static goals: modes by marginal gains, then those of most value less the price of their share, at the price at
//! which the pool is just full (Lagrangian relaxation, Fisher 1981); then best fit, the largest first.

mod due;
mod marginal;

use std::sync::Arc;

use crate::model::{Algorithm, Goal, Millis};
use crate::solver::bounds;
use crate::solver::decoder::packing::worth;
use crate::solver::decoder::preference::{Preference, Tariff};
use crate::solver::instance::{Instance, ModeView, TaskView};
use crate::solver::schedule::{Recipe, Schedule};
use crate::solver::search::Search;

use super::backward;
use super::priced;

/// Least efficiencies of the modes to take.
const EFFICIENCIES: [f64; 7] = [0.8, 1.0, 0.9, 0.7, 0.6, 0.5, 0.35];

/// Deadlines, as multiples of the bound.
const DEADLINES: [f64; 12] = [
    1.0, 1.0025, 1.005, 1.01, 1.015, 1.02, 1.03, 1.05, 1.08, 1.13, 1.2, 1.35,
];

/// Rounds of moving the deadlines of batches one by one.
const BATCH_ROUNDS: usize = 60;
/// Modes that all rounds of learning look at.
const MOST_MODES: usize = 60_000;

/// Decodes the greedy recipes, best guess first, as far as the budget goes.
pub(super) fn run(search: &mut Search) {
    if search.instance.has_dues {
        return due::run(search);
    }
    match search.problem().goal {
        Goal::Makespan => makespan(search),
        Goal::FlowTime => flow_time(search),
        // Only the cheapest modes are left, so that every order costs the same; one is enough.
        Goal::Cost => try_all(search, [list(search.instance, Order::Path)].into_iter()),
        Goal::Shortfall | Goal::Throughput => at_once(search),
    }
}

/// The part of the budget after which static goals go on with other searches.
const GREEDY_SHARE: f64 = 0.2;

/// In which order copies are placed.
#[derive(Clone, Copy)]
enum Order {
    /// Weight over work, falling.
    Weight,
    /// Length of the longest path to the end, falling.
    Path,
    /// Least work, falling.
    Work,
    /// Share of the smallest mode, falling, then length.
    Share,
    /// Batches by weight over work, within a batch the longest path first.
    Batch,
}

fn makespan(search: &mut Search) {
    let instance = search.instance;
    let several = instance.problem.batches.len() > 1;
    if several {
        try_all(search, [list(instance, Order::Batch)].into_iter());
    } else {
        deadlines(search, bounds::ends(instance));
    }
    if !search.is_over() && backward::suits(instance) {
        backward::run(search);
    } else if !search.is_over() {
        priced::learn(search, rounds(instance));
        let ends = priced::ends(search);
        deadlines(search, ends);
        if several {
            deadlines_by_batch(search);
        }
    }
    let order = if several { Order::Batch } else { Order::Path };
    let orders = [order, Order::Path, Order::Share];
    try_all(
        search,
        EFFICIENCIES
            .iter()
            .flat_map(|least| orders.map(|order| by_efficiency(instance, order, *least))),
    );
}

/// Rounds of learning before other plans are tried: as many as take about as long as these plans.
fn rounds(instance: &Instance) -> usize {
    let modes: usize = instance.tasks.iter().map(|task| task.modes.len()).sum();
    (MOST_MODES / modes.max(1)).clamp(30, 120)
}

/// Raises the deadlines of the batches until all copies meet them.
fn deadlines(search: &mut Search, ends: Vec<Millis>) {
    let weights = search
        .problem()
        .batches
        .iter()
        .map(|batch| batch.weight.max(0));
    let weights: Vec<i64> = weights.collect();
    for factor in DEADLINES {
        let ends: Arc<[Millis]> = ends
            .iter()
            .map(|&end| (end as f64 * factor) as Millis)
            .collect();
        let tries = [Order::Work, Order::Share].map(|order| {
            let mut recipe = list(search.instance, order);
            if weights.len() > 1 {
                recipe
                    .order
                    .sort_by_key(|&copy| latest_start(search.instance.task(copy), &ends));
            }
            Recipe {
                preference: Preference::Deadline(ends.clone()),
                ..recipe
            }
        });
        let scores = search.evaluate_leaders(tries.into(), Algorithm::Greedy);
        let target = weights.iter().zip(ends.iter());
        let target = target.fold(0i64, |sum, (weight, end)| {
            sum.saturating_add(weight.saturating_mul(*end))
        });
        if search.is_over() || scores.iter().flatten().any(|score| score.goal <= target) {
            break;
        }
    }
}

/// Moves the deadline of each batch by how far it was missed, or its end lay before it.
fn deadlines_by_batch(search: &mut Search) {
    let instance = search.instance;
    let bound = priced::ends(search);
    let mut ends: Vec<Millis> = bound.clone();
    for _ in 0..BATCH_ROUNDS {
        if search.is_over() {
            break;
        }
        let deadlines: Arc<[Millis]> = ends.iter().copied().collect();
        let tries = [Order::Work, Order::Share].map(|order| {
            let mut recipe = list(instance, order);
            recipe
                .order
                .sort_by_key(|&copy| latest_start(instance.task(copy), &deadlines));
            Recipe {
                preference: Preference::Deadline(deadlines.clone()),
                ..recipe
            }
        });
        let found = search.refine(&tries, Algorithm::Greedy);
        let Some((_, schedule)) = found.into_iter().flatten().min_by_key(|(score, _)| *score)
        else {
            break;
        };
        let reached = batch_ends(instance, &schedule);
        let missed = reached.iter().zip(&ends).any(|(end, due)| end > due);
        for ((due, end), bound) in ends.iter_mut().zip(&reached).zip(&bound) {
            if *end > *due {
                *due += ((*end - *due) / 3).clamp(1, (*due / 50).max(1));
            } else if !missed {
                *due = bound + (*end - bound) / 5 * 4;
            }
        }
    }
}

/// When the last copy of each batch ends.
pub(super) fn batch_ends(instance: &Instance, schedule: &Schedule) -> Vec<Millis> {
    let mut ends = vec![0; instance.problem.batches.len()];
    for (copy, placed) in schedule.placed.iter().enumerate() {
        let end = &mut ends[instance.task(copy).batch];
        *end = placed.as_ref().map_or(*end, |placed| placed.end.max(*end));
    }
    ends
}

/// When a copy has to start in the mode of least work that would meet its deadline from the beginning.
fn latest_start(task: &TaskView, ends: &[Millis]) -> Millis {
    let end = ends[task.batch];
    let in_time = task
        .modes
        .iter()
        .filter(|mode| task.release.saturating_add(mode.least) <= end);
    let least = in_time.min_by(|one, other| one.work.total_cmp(&other.work));
    end.saturating_sub(least.map_or(end, |mode| mode.least))
}

fn flow_time(search: &mut Search) {
    let instance = search.instance;
    let fluid = |factor: f64| Recipe {
        preference: Preference::Price(Arc::new(Tariff::fluid(instance, factor))),
        ..list(instance, Order::Weight)
    };
    search.evaluate_leaders(vec![fluid(1.0)], Algorithm::Greedy);
    if !search.is_over() {
        priced::run(search);
    }
    let prices = [1.25, 0.8].into_iter().map(fluid);
    let lists = EFFICIENCIES
        .iter()
        .map(|least| by_efficiency(instance, Order::Weight, *least));
    try_all(search, prices.chain(lists));
}

fn at_once(search: &mut Search) {
    let instance = search.instance;
    let priced = |factor: f64| {
        let modes = priced_modes(instance, factor);
        instance.task_of.iter().map(|&task| modes[task]).collect()
    };
    let choices = std::iter::once_with(|| marginal::modes(instance)).chain(
        [1.0, 0.0, f64::INFINITY, 0.8, 1.25, 0.5, 2.0]
            .into_iter()
            .map(priced),
    );
    let recipes = choices.flat_map(|modes: Vec<Option<usize>>| {
        [false, true].map(|smallest_first| by_size(instance, modes.clone(), smallest_first))
    });
    for recipe in recipes {
        search.evaluate_leaders(vec![recipe], Algorithm::Greedy);
        if search.is_over() || search.meter().progress() > GREEDY_SHARE {
            break;
        }
    }
}

/// These modes, one for each copy, the largest or the smallest first, of equal ones that of most worth: where not
/// all have room, it is had by those that are worth most.
fn by_size(instance: &Instance, modes: Vec<Option<usize>>, smallest_first: bool) -> Recipe {
    let key = |copy: usize| {
        let chosen = modes[copy].and_then(|mode| instance.task(copy).modes.get(mode));
        let share = chosen.map_or(0.0, |mode| mode.share);
        let size = if smallest_first { share } else { -share };
        (size, chosen.map_or(i64::MIN, |mode| worth(instance, mode)))
    };
    let mut order: Vec<usize> = (0..instance.copies()).collect();
    order.sort_by(|&one, &other| {
        let (one, other) = (key(one), key(other));
        one.0.total_cmp(&other.0).then(other.1.cmp(&one.1))
    });
    Recipe {
        order,
        modes,
        preference: Preference::EarliestEnd,
    }
}

/// Decodes recipes, a few at a time, until the search is over.
fn try_all(search: &mut Search, recipes: impl Iterator<Item = Recipe>) {
    let mut recipes = recipes.peekable();
    while recipes.peek().is_some() && !search.is_over() {
        let some = recipes.by_ref().take(4).collect();
        search.evaluate_leaders(some, Algorithm::Greedy);
    }
}

fn recipe(instance: &Instance, order: Vec<usize>, mode: impl Fn(usize) -> Option<usize>) -> Recipe {
    let modes = instance.task_of.iter().map(|&task| mode(task)).collect();
    Recipe {
        order,
        modes,
        preference: Preference::EarliestEnd,
    }
}

/// Every copy in whatever mode ends first.
fn list(instance: &Instance, order: Order) -> Recipe {
    recipe(instance, sorted(instance, order), |_| None)
}

/// Every copy in its fastest mode of at least this efficiency: least work over work.
fn by_efficiency(instance: &Instance, order: Order, least: f64) -> Recipe {
    let choose = |task: &TaskView| {
        let work = least_work(task);
        let efficient = |mode: &&(usize, &ModeView)| mode.1.work * least <= work * (1.0 + 1e-9);
        let modes = task.modes.iter().enumerate();
        let fastest = modes
            .filter(|mode| efficient(&mode))
            .min_by_key(|(_, mode)| mode.least);
        fastest.map(|(index, _)| index)
    };
    let modes: Vec<Option<usize>> = instance.tasks.iter().map(choose).collect();
    recipe(instance, sorted(instance, order), |task| modes[task])
}

fn least_work(task: &TaskView) -> f64 {
    task.modes
        .iter()
        .map(|mode| mode.work)
        .reduce(f64::min)
        .unwrap_or(0.0)
}

fn sorted(instance: &Instance, order: Order) -> Vec<usize> {
    let batches = batch_ratios(instance);
    let key = |index: usize| {
        let task = &instance.tasks[index];
        let path = -(task.least().saturating_add(task.tail) as f64);
        let share = task
            .modes
            .iter()
            .map(|mode| mode.share)
            .reduce(f64::min)
            .unwrap_or(0.0);
        match order {
            Order::Weight => (ratio(least_work(task), task.weight), path),
            Order::Path => (path, -share),
            Order::Work => (-least_work(task), path),
            Order::Share => (-share, path),
            Order::Batch => (batches[task.batch], path),
        }
    };
    let keys: Vec<(f64, f64)> = (0..instance.tasks.len()).map(key).collect();
    let mut copies: Vec<usize> = (0..instance.copies()).collect();
    copies.sort_by(|&one, &other| {
        let (one, other) = (keys[instance.task_of[one]], keys[instance.task_of[other]]);
        one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
    });
    copies
}

fn ratio(work: f64, weight: i64) -> f64 {
    if weight > 0 {
        work / weight as f64
    } else {
        f64::INFINITY
    }
}

/// Work over weight of each batch.
fn batch_ratios(instance: &Instance) -> Vec<f64> {
    let mut work = vec![0.0; instance.problem.batches.len()];
    for task in &instance.tasks {
        work[task.batch] += least_work(task) * task.copies.len() as f64;
    }
    work.iter()
        .zip(&instance.problem.batches)
        .map(|(work, batch)| ratio(*work, batch.weight))
        .collect()
}

/// For each task the mode of most value less `factor` times the price of its share, at the price at which
/// the tasks of the pool together use all of it; of equal modes the smallest.
fn priced_modes(instance: &Instance, factor: f64) -> Vec<Option<usize>> {
    let usage = |pool: usize, price: f64| -> f64 {
        let tasks = instance.tasks.iter().filter(|task| task.pool == pool);
        tasks
            .map(|task| {
                task.copies.len() as f64
                    * best_at(instance, task, price).map_or(0.0, |(_, mode)| mode.share)
            })
            .sum()
    };
    let prices: Vec<f64> = (0..instance.pools.len())
        .map(|pool| {
            let (mut low, mut high) = (-60.0, 120.0);
            if usage(pool, 0.0) <= 1.0 {
                return 0.0;
            }
            for _ in 0..50 {
                let middle: f64 = (low + high) / 2.0;
                (low, high) = if usage(pool, middle.exp2()) > 1.0 {
                    (middle, high)
                } else {
                    (low, middle)
                };
            }
            high.exp2()
        })
        .collect();
    let price = |task: &TaskView| {
        if factor.is_finite() {
            prices[task.pool] * factor
        } else {
            factor
        }
    };
    instance
        .tasks
        .iter()
        .map(|task| best_at(instance, task, price(task)).map(|(index, _)| index))
        .collect()
}

/// The mode of most value less price, of equal ones the smallest.
fn best_at<'t>(
    instance: &Instance,
    task: &'t TaskView,
    price: f64,
) -> Option<(usize, &'t ModeView)> {
    let net = |mode: &ModeView| {
        if price.is_infinite() {
            -mode.share
        } else {
            worth(instance, mode) as f64 - price * mode.share
        }
    };
    task.modes.iter().enumerate().max_by(|one, other| {
        let by_size = other
            .1
            .share
            .total_cmp(&one.1.share)
            .then(other.0.cmp(&one.0));
        net(one.1).total_cmp(&net(other.1)).then(by_size)
    })
}
