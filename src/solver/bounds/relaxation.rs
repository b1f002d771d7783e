//! What all bounds relax to: tasks with their least areas, and pools that are one large node each.

use std::collections::BTreeSet;

use crate::model::Millis;
use crate::solver::instance::{Instance, Pool, TaskView};

use super::held::Held;

/// What the bounds know of the problem.
pub(in crate::solver::bounds) struct Relaxation<'a> {
    pub instance: &'a Instance<'a>,
    pub tasks: Vec<Job<'a>>,
    /// The pools that tasks are confined to, each with its classes, and all classes together.
    pub pools: Vec<Pool>,
    /// What running pods hold of each resource, pool by pool.
    held: Vec<Vec<Held>>,
}

/// A task with placed copies.
pub(in crate::solver::bounds) struct Job<'a> {
    pub view: &'a TaskView,
    /// Number of placed copies.
    pub count: i128,
    pub weight: i128,
    /// No copy starts before this.
    pub head: Millis,
    /// Least duration over all modes.
    pub least: Millis,
    /// For each resource (duration, area), by duration: no mode of at most this duration has less area.
    /// The area of a copy is what all its pods use together x its least duration.
    pub steps: Vec<Vec<(Millis, i128)>>,
}

/// At most so many pools are looked at, the largest ones first; leaving some out only weakens bounds.
const MOST_POOLS: usize = 24;

impl<'a> Relaxation<'a> {
    pub fn new(instance: &'a Instance<'a>, placed: &[u64]) -> Self {
        let mut tasks: Vec<Job> = Vec::new();
        let mut ends: Vec<Millis> = Vec::with_capacity(instance.tasks.len());
        for (view, &count) in instance.tasks.iter().zip(placed) {
            let head = view
                .after
                .iter()
                .map(|&before| ends[before])
                .fold(view.release, Millis::max);
            let least = view.modes.iter().map(|mode| mode.least).min().unwrap_or(0);
            // Nobody waits for a task without copies, nor through it for others.
            ends.push(if view.copies.is_empty() {
                0
            } else {
                head.saturating_add(least)
            });
            if count > 0 {
                let steps = (0..instance.problem.resources.len())
                    .map(|resource| steps(view, resource))
                    .collect();
                let (count, weight) = (i128::from(count), i128::from(view.weight));
                tasks.push(Job {
                    view,
                    count,
                    weight,
                    head,
                    least,
                    steps,
                });
            }
        }
        let pools = pools(instance);
        let held = pools
            .iter()
            .map(|pool| Held::of(&instance.classes, &pool.classes))
            .collect();
        Self {
            instance,
            tasks,
            pools,
            held,
        }
    }

    /// The tasks of one batch.
    pub fn batch(&self, batch: usize) -> impl Iterator<Item = &Job<'a>> + Clone {
        self.tasks.iter().filter(move |job| job.view.batch == batch)
    }

    /// For each task the longest path of least durations from its end to the end of a task of this batch.
    pub fn tails(&self, batch: usize) -> Vec<Millis> {
        let tasks = &self.instance.tasks;
        let mut tails: Vec<Option<Millis>> = vec![None; tasks.len()];
        // What is not placed does not have to follow, and nobody waits through a task without copies.
        let mut is_placed = vec![false; tasks.len()];
        for job in &self.tasks {
            is_placed[job.view.index] = true;
        }
        for (index, task) in tasks.iter().enumerate().rev() {
            let least = task.modes.iter().map(|mode| mode.least).min().unwrap_or(0);
            let own = (task.batch == batch).then_some(0);
            let path = tails[index].max(own).map(|tail| tail.saturating_add(least));
            for &before in task.after.iter().filter(|_| is_placed[index]) {
                tails[before] = tails[before].max(path);
            }
        }
        tails.into_iter().map(|tail| tail.unwrap_or(0)).collect()
    }

    /// Sum over batches of weight x a bound on when the batch ends.
    pub fn sum_over_batches(&self, mut end: impl FnMut(usize) -> i128) -> i128 {
        let weights = self
            .instance
            .problem
            .batches
            .iter()
            .map(|batch| i128::from(batch.weight.max(0)));
        weights
            .enumerate()
            .map(|(index, weight)| weight.saturating_mul(end(index)))
            .fold(0, i128::saturating_add)
    }

    /// Every pool and resource with the tasks that are confined to the pool: these share the capacity.
    pub fn shares<'s>(
        &'s self,
        jobs: impl Iterator<Item = &'s Job<'a>> + Clone + 's,
    ) -> impl Iterator<Item = Share<'s, 'a>> + 's {
        self.pools
            .iter()
            .zip(&self.held)
            .flat_map(move |(pool, held)| {
                let confined = |job: &&Job| {
                    is_within(&self.instance.pools[job.view.pool].classes, &pool.classes)
                };
                let jobs: Vec<&Job> = jobs.clone().filter(confined).collect();
                let resources = pool
                    .capacity
                    .iter()
                    .enumerate()
                    .filter(|(_, capacity)| **capacity > 0);
                resources.map(move |(resource, &capacity)| Share {
                    resource,
                    capacity,
                    held: &held[resource],
                    jobs: jobs.clone(),
                })
            })
    }
}

/// Tasks and the capacity of one resource that they share.
pub(in crate::solver::bounds) struct Share<'s, 'a> {
    pub resource: usize,
    /// Above 0.
    pub capacity: i128,
    /// What of it running pods hold.
    pub held: &'s Held,
    pub jobs: Vec<&'s Job<'a>>,
}

impl Job<'_> {
    /// The least area of one copy; 0 for a task that cannot run.
    pub fn area(&self, resource: usize) -> i128 {
        self.steps[resource].last().map_or(0, |(_, area)| *area)
    }
}

/// Smaller durations first; a longer mode without less area is left out.
fn steps(view: &TaskView, resource: usize) -> Vec<(Millis, i128)> {
    let mut areas: Vec<(Millis, i128)> = view
        .modes
        .iter()
        .map(|mode| {
            let pods =
                i128::from(mode.pods).saturating_mul(i128::from(mode.request.usage[resource]));
            (mode.least, pods.saturating_mul(i128::from(mode.least)))
        })
        .collect();
    areas.sort_unstable();
    let mut least = i128::MAX;
    areas.retain(|(_, area)| {
        let is_less = *area < least;
        least = least.min(*area);
        is_less
    });
    areas
}

fn pools(instance: &Instance) -> Vec<Pool> {
    let mut tasks = vec![0usize; instance.pools.len()];
    for task in &instance.tasks {
        tasks[task.pool] += task.copies.len();
    }
    let mut largest: Vec<usize> = (0..instance.pools.len()).collect();
    largest.sort_by_key(|&pool| std::cmp::Reverse(tasks[pool]));
    let all: Vec<usize> = (0..instance.classes.len()).collect();
    let some = largest
        .iter()
        .take(MOST_POOLS)
        .map(|&pool| instance.pools[pool].classes.clone());
    let distinct: BTreeSet<Vec<usize>> = some.chain([all]).collect();
    distinct
        .into_iter()
        .map(|classes| Pool::new(&instance.classes, classes))
        .collect()
}

/// Whether all of an ascending list is in another one.
pub(in crate::solver::bounds) fn is_within(part: &[usize], whole: &[usize]) -> bool {
    let mut whole = whole.iter();
    part.iter()
        .all(|class| whole.by_ref().any(|other| other == class))
}
