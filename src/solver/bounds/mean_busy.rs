//! Mean busy time (Goemans 1997; for modes Schulz and Skutella 2002).
//!
//! A copy i that runs in [C - T, C) uses its area evenly in that time, on average at M = C - T / 2, so
//! C = M + T / 2 >= M + t / 2 for the least duration t. Of one resource of a pool, all areas together are a
//! preemptive schedule on a machine whose speed is the capacity K. Over such schedules, sum of w M is least when
//! the areas a follow one another by weight over area, falling (Smith 1956), and then it is
//! sum of w_i (sum of a_j before i + a_i / 2) / K. That grows with the areas (it is a sum of
//! min(w_i a_j, w_j a_i) over pairs), so least areas, clamped ones too, keep it valid.
//!
//! Tasks that use none of the resource count with their longest path. Pools without common nodes add up.

use std::collections::BTreeSet;

use crate::solver::instance::Pool;

use super::{Job, Relaxation, divide_up, is_within, longest};

/// Areas and weights are clamped so that their products fit 128 bits.
const MOST_AREA: i128 = 1 << 90;
const MOST_WEIGHT: i128 = 1 << 30;

/// Sum over separate parts of the nodes of the best bound of each.
pub(super) fn flow_time(relaxation: &Relaxation) -> i128 {
    parts(relaxation)
        .iter()
        .map(|part| part.bound)
        .fold(0, i128::saturating_add)
}

/// Tasks that no others share nodes with, and what limits them most.
pub(super) struct Limit<'r, 'a> {
    /// Tasks that use the scarcest resource of the scarcest pool, which nobody outside can relieve.
    pub users: Vec<&'r Job<'a>>,
    /// The others.
    pub others: Vec<&'r Job<'a>>,
    /// The mean busy time bound over all of them.
    pub bound: i128,
    /// The classes of the part.
    pub classes: Vec<usize>,
}

/// One limit for each separate part of the nodes.
pub(super) fn parts<'r, 'a>(relaxation: &'r Relaxation<'a>) -> Vec<Limit<'r, 'a>> {
    separate(relaxation)
        .into_iter()
        .map(|part| of_part(relaxation, part))
        .collect()
}

/// Sets of classes such that no task can use two of them: pools with a class in common grow together.
fn separate(relaxation: &Relaxation) -> Vec<BTreeSet<usize>> {
    let mut parts: Vec<BTreeSet<usize>> = Vec::new();
    for pool in &relaxation.instance.pools {
        let mut grown: BTreeSet<usize> = pool.classes.iter().copied().collect();
        parts.retain(|part| {
            let is_apart = part.is_disjoint(&grown);
            if !is_apart {
                grown.extend(part);
            }
            is_apart
        });
        parts.push(grown);
    }
    parts
}

/// The best over the resources, and over the pools that lie inside the part.
fn of_part<'r, 'a>(relaxation: &'r Relaxation<'a>, classes: BTreeSet<usize>) -> Limit<'r, 'a> {
    let classes: Vec<usize> = classes.into_iter().collect();
    let of = |job: &&Job| &relaxation.instance.pools[job.view.pool].classes;
    let jobs: Vec<&Job> = relaxation
        .tasks
        .iter()
        .filter(|job| is_within(of(job), &classes))
        .collect();
    let whole = Pool::new(&relaxation.instance.classes, classes.clone());
    let inside = relaxation
        .pools
        .iter()
        .filter(|pool| is_within(&pool.classes, &classes));
    let bound = paths(&jobs);
    let mut best = Limit {
        users: Vec::new(),
        others: jobs.clone(),
        bound,
        classes: classes.clone(),
    };
    for pool in inside.chain([&whole]) {
        for (resource, &capacity) in pool
            .capacity
            .iter()
            .enumerate()
            .filter(|(_, capacity)| **capacity > 0)
        {
            let uses = |job: &&Job| job.area(resource) > 0 && is_within(of(job), &pool.classes);
            let (users, others): (Vec<&Job>, Vec<&Job>) = jobs.iter().copied().partition(uses);
            let bound = paths(&others).saturating_add(mean_busy(&users, resource, capacity));
            if bound > best.bound || best.users.is_empty() {
                let bound = bound.max(best.bound);
                best = Limit {
                    users,
                    others,
                    bound,
                    classes: classes.clone(),
                };
            }
        }
    }
    best
}

/// Longest paths of these tasks.
pub(super) fn paths(jobs: &[&Job]) -> i128 {
    jobs.iter()
        .map(|job| longest::weighted_ends(job))
        .fold(0, i128::saturating_add)
}

/// ceil((sum w (2 before + a) + K x sum w t) / 2 K), over copies.
fn mean_busy(users: &[&Job], resource: usize, capacity: i128) -> i128 {
    let mut jobs: Vec<(i128, i128, i128)> = users
        .iter()
        .map(|job| {
            (
                job.area(resource).min(MOST_AREA),
                job.weight.min(MOST_WEIGHT),
                job.count,
            )
        })
        .filter(|(_, weight, _)| *weight > 0)
        .collect();
    jobs.sort_by(|(area, weight, _), (other, other_weight, _)| {
        (area * other_weight).cmp(&(other * weight))
    });
    let (mut before, mut twice) = (0i128, 0i128);
    for (area, weight, count) in jobs {
        // The copies follow one another: sum over k < count of (2 (before + k a) + a) = count (2 before + count a).
        let all = count.saturating_mul(area);
        let mean = before
            .saturating_mul(2)
            .saturating_add(all)
            .saturating_mul(count);
        twice = twice.saturating_add(weight.saturating_mul(mean));
        before = before.saturating_add(all);
    }
    let halves = |job: &&Job| {
        job.count
            .saturating_mul(job.weight)
            .saturating_mul(i128::from(job.least))
    };
    let least = users.iter().map(halves).fold(0, i128::saturating_add);
    divide_up(
        twice.saturating_add(least.saturating_mul(capacity)),
        capacity.saturating_mul(2),
    )
}
