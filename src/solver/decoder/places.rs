//! Where a copy may run: the earliest place on each class of nodes, and of each spread of a gang.

use crate::model::{Millis, Near};
use crate::solver::instance::{Instance, ModeView, RunView};

use super::gang::{self, Pick};
use super::timeline::Timeline;

/// The nodes of a place.
pub(super) enum Picks {
    One { class: usize, node: usize },
    Many(Vec<Pick>),
}

impl Picks {
    /// (class, pods) of each node.
    pub fn pods<'p>(
        &'p self,
        mode: &'p ModeView,
    ) -> impl Iterator<Item = (usize, u32)> + Clone + 'p {
        let (one, many) = match self {
            Picks::One { class, .. } => (Some((*class, 1)), [].as_slice()),
            Picks::Many(picks) => (None, picks.as_slice()),
        };
        let of_pick = |pick: &Pick| (mode.runs[pick.run].class, pick.pods);
        one.into_iter().chain(many.iter().map(of_pick))
    }
}

/// Ends up to which places are looked for.
#[derive(Clone, Copy)]
pub(super) struct Latest {
    pub end: Millis,
    /// Whether a place on one class ends the search for later ones on others.
    pub is_moving: bool,
}

impl Latest {
    pub fn of_all() -> Self {
        Self {
            end: Millis::MAX,
            is_moving: true,
        }
    }

    pub fn reached(&mut self, end: Millis) {
        if self.is_moving {
            self.end = self.end.min(end);
        }
    }
}

/// Whether pods stand less near each other than they rather would.
pub(super) fn strays(instance: &Instance, near: Near, mode: &ModeView, picks: &Picks) -> bool {
    let Near::Rather(level) = near else {
        return false;
    };
    let classes = picks.pods(mode).map(|(class, _)| class);
    let nodes = classes.clone().count();
    if level < instance.problem.levels.len() {
        instance.spanned(nodes, classes) <= level
    } else {
        nodes > 1
    }
}

/// No pod of the mode ends before this.
pub(super) fn soonest_end(timelines: &[Timeline], mode: &ModeView, from: Millis) -> Millis {
    let end = |run: &RunView| {
        timelines[run.class]
            .soonest(run.group)
            .max(from)
            .saturating_add(run.duration)
    };
    mode.runs.iter().map(end).min().unwrap_or(Millis::MAX)
}

/// Offers the earliest places of a mode: start, end, what is left over there, and the nodes. `within` are the soonest
/// start and the latest end.
pub(super) fn offer_all(
    instance: &Instance,
    timelines: &mut [Timeline],
    mode: &ModeView,
    within: (Millis, Latest),
    is_soonest: bool,
    offer: &mut impl FnMut(Millis, Millis, f64, Picks),
) {
    if mode.pods == 1 {
        return single_pods(timelines, mode, within, offer);
    }
    let mut offer = |start, end, picks: Vec<Pick>| {
        offer(start, end, picks.len() as f64, Picks::Many(picks));
    };
    gang::offer_all(instance, timelines, mode, within, is_soonest, &mut offer);
}

/// Offers the earliest place on each class. The runs are sorted by duration, so the search ends where even
/// an immediate start would end too late.
fn single_pods(
    timelines: &mut [Timeline],
    mode: &ModeView,
    (from, mut latest): (Millis, Latest),
    offer: &mut impl FnMut(Millis, Millis, f64, Picks),
) {
    for run in &mode.runs {
        let timeline = &mut timelines[run.class];
        let until = latest.end.saturating_sub(run.duration);
        if from > until {
            break;
        }
        if timeline.soonest(run.group) > until {
            continue;
        }
        let Some(spot) = timeline.earliest(run.group, &mode.request, run.duration, from, until)
        else {
            continue;
        };
        let end = spot.start.saturating_add(run.duration);
        latest.reached(end);
        offer(
            spot.start,
            end,
            spot.leftover,
            Picks::One {
                class: run.class,
                node: spot.node,
            },
        );
    }
}
