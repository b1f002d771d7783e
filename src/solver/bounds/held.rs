//! What running pods hold of a pool, over time.
//!
//! On a node, what tasks use at a moment is at most what is free then: the most that is ever free less a *hold*.
//! So a pool gives tasks in [0, L) at most capacity x L minus the integral of the holds of its nodes.

use crate::model::Millis;
use crate::solver::instance::ClassView;
use crate::solver::instance::gauge::Gauge;

/// The integral of what is held of one resource, as a function of time.
#[derive(Default)]
pub(in crate::solver) struct Held {
    /// (time, held until then, held from then on), by time; empty when nothing is held.
    steps: Vec<(Millis, i128, i128)>,
}

impl Held {
    /// What is held of a resource on the nodes of these classes, as the gauge counts it.
    pub fn gauged(views: &[&ClassView], resource: usize, gauge: &Gauge) -> Self {
        let mut changes: Vec<(Millis, i128)> = Vec::new();
        for view in views {
            let most = i128::from(gauge.of(view.base.most_free()[resource]));
            let mut held = 0;
            for (time, free) in view.base.steps_from(0) {
                let now = most - i128::from(gauge.of(free[resource]));
                if now != held {
                    changes.push((time, (now - held).saturating_mul(view.size as i128)));
                }
                held = now;
            }
        }
        Self::sum(changes)
    }

    /// What is held of each resource on the nodes of these classes.
    pub fn of(views: &[ClassView], classes: &[usize]) -> Vec<Self> {
        let members: Vec<&ClassView> = classes.iter().map(|&class| &views[class]).collect();
        let as_it_is = Gauge::plain(i64::MAX);
        (0..ClassView::resources(views))
            .map(|resource| Self::gauged(&members, resource, &as_it_is))
            .collect()
    }

    /// Sums changes of what is held. Sums that do not fit count as nothing held, which only weakens bounds.
    fn sum(mut changes: Vec<(Millis, i128)>) -> Self {
        changes.sort_unstable();
        let (mut steps, mut time, mut area, mut rate) = (Vec::new(), 0, 0i128, 0i128);
        for (at, change) in changes {
            let length = i128::from(at) - i128::from(time);
            let next = rate
                .checked_mul(length)
                .and_then(|more| area.checked_add(more))
                .zip(rate.checked_add(change));
            let Some((grown, changed)) = next else {
                return Self::default();
            };
            (time, area, rate) = (at, grown, changed);
            steps.push((time, area, rate));
        }
        Self { steps }
    }

    /// The most that is held at any time.
    pub fn most(&self) -> i128 {
        self.steps.iter().map(|(.., rate)| *rate).max().unwrap_or(0)
    }

    /// What is held in [0, time).
    pub fn until(&self, time: i128) -> i128 {
        let after = self
            .steps
            .partition_point(|(at, ..)| i128::from(*at) <= time);
        let Some((at, area, rate)) = after.checked_sub(1).map(|step| self.steps[step]) else {
            return 0;
        };
        let more = rate.checked_mul(time - i128::from(at)).unwrap_or(0);
        area.saturating_add(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Hold, NodeClass, Resources};
    use crate::solver::instance::profile::Profile;

    #[test]
    fn holds_are_clipped_to_what_is_free_and_summed_over_time() {
        let hold = |from, until| Hold {
            from,
            until,
            demand: Resources::default(),
        };
        let class = NodeClass {
            nodes: vec![0, 1],
            free: vec![4],
            holds: vec![hold(0, 10), hold(5, 20)],
            held: vec![vec![3], vec![2]],
        };
        let view = ClassView {
            size: class.nodes.len(),
            base: Profile::of_class(&class),
            groups: Vec::new(),
        };
        let held = &Held::of(&[view], &[0])[0];
        let areas = [0, 5, 10, 20, 99].map(|time| held.until(time));
        // Two nodes: 3 each until 5, 4 (not 5) until 10, 2 until 20.
        assert_eq!(areas, [0, 30, 70, 110, 110]);
    }
}
