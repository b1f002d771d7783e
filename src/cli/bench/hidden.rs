//! Deadlines that can all be met: a plan is made that nobody sees, and each task is due at its end there or up to
//! 30 % later.

use std::collections::HashMap;

use super::draw::Draw;
use super::world::World;
use crate::model::{Millis, Mode, Problem};

/// How much later than in the hidden plan a copy may be due, in thousandths.
const LATER: (i64, i64) = (1_000, 1_300);
/// A mode may take so many times the least work of its task.
const WASTE: f64 = 1.25;

/// What runs on a node: start, end and demand.
type Running = Vec<(Millis, Millis, Vec<i64>)>;

/// Gives each task of one copy its deadline.
pub(super) fn give_deadlines(world: &mut World, draw: &mut Draw) {
    let problem = world.compile();
    let mut ends: HashMap<&str, Millis> = HashMap::new();
    let mut nodes: Vec<Running> = vec![Running::new(); problem.nodes.len()];
    for task in shuffled(problem.tasks.len(), draw) {
        let modes = frugal(&problem, task);
        let Some(&mode) = draw.pick(&modes) else {
            continue;
        };
        if let Some(end) = place(&problem, mode, &mut nodes) {
            ends.insert(&problem.tasks[task].name, end);
        }
    }
    for task in &mut world.batch.tasks {
        let end = ends.get(task.name.as_str());
        task.deadline = end.map(|end| end * draw.between(LATER.0, LATER.1) / 1_000);
    }
}

fn shuffled(count: usize, draw: &mut Draw) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, draw.between(0, last as i64) as usize);
    }
    order
}

/// The modes of one pod that waste little of the GPUs.
fn frugal(problem: &Problem, task: usize) -> Vec<&Mode> {
    let work = |mode: &Mode| {
        let shares = mode.demand.iter().zip(&problem.classes[0].free);
        let share = shares.map(|(demand, free)| *demand as f64 / (*free).max(1) as f64);
        let least = mode.runs.iter().map(|run| run.duration).min();
        share.fold(0.0, f64::max) * least.unwrap_or(0) as f64
    };
    let modes = problem.tasks[task].modes.iter();
    let single: Vec<&Mode> = modes.filter(|mode| mode.pods == 1).collect();
    let least = single
        .iter()
        .map(|mode| work(mode))
        .fold(f64::INFINITY, f64::min);
    let frugal = single
        .into_iter()
        .filter(|mode| work(mode) <= WASTE * least);
    frugal.collect()
}

/// Runs a pod where it ends first beside what runs there already; its end.
fn place(problem: &Problem, mode: &Mode, nodes: &mut [Running]) -> Option<Millis> {
    let places = mode.runs.iter().flat_map(|run| {
        let class = &problem.classes[run.class];
        class
            .nodes
            .iter()
            .map(move |&node| (run, &class.free, node))
    });
    let starts = places.map(|(run, free, node)| {
        let start = earliest(&nodes[node], free, &mode.demand, run.duration);
        (start + run.duration, start, node)
    });
    let (end, start, node) = starts.min()?;
    nodes[node].push((start, end, mode.demand.clone()));
    Some(end)
}

/// The first moment from which on there is room for so long: now, or when something ends.
fn earliest(running: &Running, free: &[i64], demand: &[i64], duration: Millis) -> Millis {
    let fits = |start: Millis| {
        let begins = running.iter().map(|(begin, ..)| *begin);
        let moments = begins.filter(|begin| (start..start + duration).contains(begin));
        moments.chain([start]).all(|time| {
            let at = |(begin, end, _): &&(Millis, Millis, Vec<i64>)| (*begin..*end).contains(&time);
            let used = |resource: usize| -> i64 {
                running
                    .iter()
                    .filter(at)
                    .map(|(.., demand)| demand[resource])
                    .sum()
            };
            let mut all = (0..free.len()).filter(|resource| demand[*resource] > 0);
            all.all(|resource| used(resource) + demand[resource] <= free[resource])
        })
    };
    let ends = running.iter().map(|(_, end, _)| *end);
    let mut moments: Vec<Millis> = ends.chain([0]).collect();
    moments.sort_unstable();
    let found = moments.iter().copied().find(|&start| fits(start));
    found.unwrap_or_else(|| moments.last().copied().unwrap_or(0))
}
