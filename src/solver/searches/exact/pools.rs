//! Which nodes of a class a copy takes matters only where the rest then fits worse than if the class were one
//! large node.
//!
//! A tree node is *clean* where every way could start as soon on its own nodes as in the pooled room of their
//! class. A search below a choice is clean where all its nodes are, and of every (way, start) tried one choice
//! of nodes at least led to a clean search. Such a search saw all plans of the pooled problem that could be
//! better, and so all that other choices of nodes for the same way and start can lead to: these are left out.
//!
//! Under this rule equal starts are not ordered by index, so that whatever the pooled problem puts in place of
//! a plan that it leaves out lies below the same choice.

use crate::model::Millis;
use crate::solver::instance::profile::Profile;

use super::jobs::{Jobs, Way};
use super::nodes::Nodes;

/// The room of each class as if it were one node.
pub(super) struct Pools {
    stride: usize,
    /// For each class (begin, free amounts) of the steps, flat.
    steps: Vec<Vec<(Millis, Vec<i128>)>>,
}

impl Pools {
    /// `None` where gangs are rare or may use several classes.
    pub fn new(jobs: &Jobs) -> Option<Self> {
        let is_useful = jobs.ways.iter().any(|way| way.pods > 1);
        let has_one_class = jobs.ways.iter().all(|way| way.lanes.len() == 1);
        (is_useful && has_one_class).then(|| Self {
            stride: jobs.stride,
            steps: Vec::new(),
        })
    }

    /// Whether every way of the open copies starts as soon on its nodes as in the pool.
    pub fn are_like(
        &mut self,
        jobs: &Jobs,
        nodes: &Nodes,
        placed: u64,
        soonest: &[Millis],
        from: &[Millis],
    ) -> bool {
        let open = (0..jobs.jobs.len()).filter(|job| placed >> job & 1 == 0);
        let first = open.clone().map(|job| from[job]).min().unwrap_or(0);
        self.steps.clear();
        for (class, view) in jobs.classes.iter().enumerate() {
            self.steps.push(self.sum(nodes, class, &view.base, first));
        }
        open.into_iter().all(|job| {
            let ways = jobs.jobs[job].ways.clone();
            ways.into_iter()
                .all(|way| self.soonest(&jobs.ways[way], from[job]) >= soonest[way])
        })
    }

    fn sum(
        &self,
        nodes: &Nodes,
        class: usize,
        base: &Profile,
        from: Millis,
    ) -> Vec<(Millis, Vec<i128>)> {
        let touched = nodes.touched(class).iter().map(|profile| (profile, 1i128));
        let all: Vec<_> = touched
            .chain([(base, nodes.untouched(class) as i128)])
            .collect();
        let mut times: Vec<Millis> = all
            .iter()
            .flat_map(|(profile, _)| profile.steps_from(from).map(|(time, _)| time))
            .collect();
        times.sort_unstable();
        times.dedup();
        let free = |time: Millis| {
            let mut sum = vec![0i128; self.stride];
            for (profile, count) in &all {
                for (sum, free) in sum.iter_mut().zip(profile.free_at(time)) {
                    *sum += i128::from((*free).max(0)) * count;
                }
            }
            sum
        };
        times.into_iter().map(|time| (time, free(time))).collect()
    }

    fn soonest(&self, way: &Way, from: Millis) -> Millis {
        let steps = &self.steps[way.lanes[0].class];
        if way.duration == 0 {
            return from;
        }
        let mut start = from;
        for (index, (_, free)) in steps.iter().enumerate() {
            let until = steps.get(index + 1).map_or(Millis::MAX, |step| step.0);
            if until <= start {
                continue;
            }
            let needs = way.request.usage.iter().zip(free);
            if !needs
                .into_iter()
                .all(|(usage, free)| i128::from(*usage) * i128::from(way.pods) <= *free)
            {
                start = until;
            } else if until.saturating_sub(start) >= way.duration {
                return start;
            }
        }
        start
    }
}
