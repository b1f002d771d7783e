//! Demands that share the keys of a timeline.

use std::collections::BTreeMap;

use crate::model::Millis;
use crate::solver::decoder::timeline::Group;

use super::TaskView;

/// The most groups of demands that a class keeps keys for; beyond it near ones share a key.
const MOST_GROUPS: usize = 32;

/// What pods ask of the nodes of one class, each with the shortest duration and its group.
type Demands = BTreeMap<Vec<i64>, (Millis, usize)>;

/// Gives every run its group of demands, and returns the groups of each class.
pub(super) fn group_demands(tasks: &mut [TaskView], classes: usize) -> Vec<Vec<Group>> {
    let mut demands: Vec<Demands> = vec![BTreeMap::new(); classes];
    let mut ask = |class: usize, need: &Vec<i64>, duration: Millis| {
        let known = demands[class].entry(need.clone()).or_insert((duration, 0));
        known.0 = known.0.min(duration);
    };
    for mode in tasks.iter().flat_map(|task| &task.modes) {
        for run in &mode.runs {
            ask(run.class, &mode.request.need, run.duration);
        }
        if let Some(packed) = &mode.packed {
            for run in packed.runs.iter().map(|own| &mode.runs[own.run]) {
                ask(run.class, &packed.request.need, run.duration);
            }
        }
    }
    let groups = demands.iter_mut().map(form_groups).collect();
    let group = |class: usize, need: &Vec<i64>| demands[class].get(need).map_or(0, |known| known.1);
    for mode in tasks.iter_mut().flat_map(|task| &mut task.modes) {
        for run in &mut mode.runs {
            run.group = group(run.class, &mode.request.need);
        }
        if let Some(packed) = &mut mode.packed {
            for own in &mut packed.runs {
                own.group = group(mode.runs[own.run].class, &packed.request.need);
            }
        }
    }
    groups
}

/// Demands in sorted order share a group with their neighbours where there are too many of them.
fn form_groups(demands: &mut Demands) -> Vec<Group> {
    let members = demands.len().div_ceil(MOST_GROUPS).max(1);
    let mut groups: Vec<Group> = Vec::new();
    for (position, (need, (duration, group))) in demands.iter_mut().enumerate() {
        *group = position / members;
        match groups.get_mut(*group) {
            None => groups.push(Group {
                need: need.clone(),
                duration: *duration,
            }),
            Some(shared) => {
                shared.duration = shared.duration.min(*duration);
                for (least, need) in shared.need.iter_mut().zip(need) {
                    *least = (*least).min(*need);
                }
            }
        }
    }
    groups
}
