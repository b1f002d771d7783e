//! Which resources branch and bound has to look at.

use crate::solver::instance::{Instance, ModeView};

/// The resources that can be scarce. One is not where all copies together fit on any node, and not where
/// another one, x, is always as scarce: with c the largest ratio of what a pod uses of it and of x, the room
/// of x allows at most c x free(x) of it, which is free.
pub(super) fn scarce(instance: &Instance, part: &[usize]) -> Vec<usize> {
    let resources = instance.problem.resources.len();
    let mut kept: Vec<usize> = Vec::new();
    let mut open: Vec<usize> = (0..resources)
        .filter(|&resource| !is_plenty(instance, part, resource))
        .collect();
    while let Some(resource) = open.pop() {
        let mut others = kept.iter().chain(&open);
        if !others.any(|&other| follows(instance, part, resource, other)) {
            kept.push(resource);
        }
    }
    kept.sort_unstable();
    kept
}

fn is_plenty(instance: &Instance, part: &[usize], resource: usize) -> bool {
    let all = |mode: &ModeView| i128::from(mode.pods) * i128::from(mode.request.usage[resource]);
    let most = |&copy: &usize| instance.task(copy).modes.iter().map(all).max().unwrap_or(0);
    let total: i128 = part.iter().map(most).sum();
    let mut frees = instance
        .classes
        .iter()
        .flat_map(|class| class.base.steps_from(0));
    total == 0 || frees.all(|(_, free)| i128::from(free[resource]) >= total)
}

fn follows(instance: &Instance, part: &[usize], resource: usize, other: usize) -> bool {
    let (mut most, mut per) = (0i128, 1i128);
    for mode in part.iter().flat_map(|&copy| &instance.task(copy).modes) {
        let (usage, others) = (mode.request.usage[resource], mode.request.usage[other]);
        if usage > 0 && others == 0 {
            return false;
        }
        if usage > 0 && i128::from(usage) * per > most * i128::from(others) {
            (most, per) = (usage.into(), others.into());
        }
    }
    let mut frees = instance
        .classes
        .iter()
        .flat_map(|class| class.base.steps_from(0));
    frees.all(|(_, free)| {
        free[other] <= 0 || most * i128::from(free[other]) <= per * i128::from(free[resource])
    })
}
