//! What running pods hold of a pool, over time.
//!
//! On a node, what tasks use at a moment is at most max(0, free - held) = max(0, free) - min(max(0, free), held).
//! So a pool gives tasks in [0, L) at most capacity x L minus the integral of the clipped holds of its nodes.

use crate::model::{Millis, NodeClass, Problem};

/// The integral of what is held of one resource, as a function of time.
#[derive(Default)]
pub(in crate::solver) struct Held {
    /// (time, held until then, held from then on), by time; empty when nothing is held.
    steps: Vec<(Millis, i128, i128)>,
}

impl Held {
    /// What is held of each resource on the nodes of these classes.
    pub fn of(problem: &Problem, classes: &[usize]) -> Vec<Self> {
        (0..problem.resources.len())
            .map(|resource| {
                let mut changes: Vec<(Millis, i128)> = Vec::new();
                for &class in classes {
                    collect(&problem.classes[class], resource, &mut changes);
                }
                Self::sum(changes)
            })
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

/// Adds how the clipped holds of all nodes of a class change over time.
fn collect(class: &NodeClass, resource: usize, changes: &mut Vec<(Millis, i128)>) {
    let free = i128::from(class.free[resource].max(0));
    let mut events: Vec<(Millis, i128)> = Vec::new();
    for (hold, demand) in class.holds.iter().zip(&class.held) {
        let amount = i128::from(demand[resource].max(0));
        if amount > 0 && hold.from < hold.until {
            events.push((hold.from.max(0), amount));
            events.push((hold.until.max(0), -amount));
        }
    }
    events.sort_unstable();
    let (mut held, mut clipped) = (0i128, 0i128);
    for (time, change) in events {
        held += change;
        let now = held.clamp(0, free);
        let nodes = class.nodes.len() as i128;
        changes.push((time, (now - clipped).saturating_mul(nodes)));
        clipped = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Hold, Resources};

    #[test]
    fn holds_are_clipped_to_what_is_free_and_summed_over_time() {
        let hold = |from, until| Hold {
            from,
            until,
            demand: Resources::default(),
        };
        let problem = Problem {
            resources: vec!["cpu".into()],
            classes: vec![NodeClass {
                nodes: vec![0, 1],
                free: vec![4],
                holds: vec![hold(0, 10), hold(5, 20)],
                held: vec![vec![3], vec![2]],
            }],
            ..Problem::default()
        };
        let held = &Held::of(&problem, &[0])[0];
        let areas = [0, 5, 10, 20, 99].map(|time| held.until(time));
        // Two nodes: 3 each until 5, 4 (not 5) until 10, 2 until 20.
        assert_eq!(areas, [0, 30, 70, 110, 110]);
    }
}
