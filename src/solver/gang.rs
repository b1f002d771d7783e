//! Room for several pods that start together.

use std::cmp::Reverse;

use crate::model::Millis;

use super::instance::{Gang, ModeView, Part};
use super::timeline::Timeline;

/// Some pods of a gang on one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    /// Index into `ModeView::runs`.
    pub run: usize,
    /// Index of the node in its class.
    pub node: usize,
    pub pods: u32,
}

/// The earliest start in `[from, latest]` at which all pods have room for the gang's duration, and the
/// nodes to take then: those with most room first, so that few are used, and the last as tight as it goes.
pub(super) fn earliest(
    timelines: &mut [Timeline],
    mode: &ModeView,
    gang: &Gang,
    from: Millis,
    latest: Millis,
) -> Option<(Millis, Vec<Pick>)> {
    let mut start = from;
    loop {
        start = enough_nodes(timelines, mode, gang, start)?;
        start.checked_add(gang.duration)?;
        if start > latest {
            return None;
        }
        if let Some(picks) = pick_all(timelines, mode, gang, start) {
            return Some((start, picks));
        }
        start = next_change(timelines, mode, gang, start)?;
    }
}

/// A start before which the nodes with room for a pod cannot hold them all, however empty they are.
fn enough_nodes(
    timelines: &mut [Timeline],
    mode: &ModeView,
    gang: &Gang,
    from: Millis,
) -> Option<Millis> {
    let mut start = from;
    for part in &gang.parts {
        let mut room: Vec<(Millis, u64)> = Vec::new();
        for run in &mode.runs[part.runs.clone()] {
            let timeline = &mut timelines[run.class];
            let fresh = timeline.untouched();
            for node in 0..timeline.touched() + usize::from(fresh > 0) {
                let is_fresh = node == timeline.touched();
                let soonest = if is_fresh {
                    from
                } else {
                    timeline.soonest_on(run.group, node).max(from)
                };
                let nodes = if is_fresh { fresh as u64 } else { 1 };
                let found =
                    timeline
                        .profile(node)
                        .earliest(&mode.request.need, gang.duration, soonest);
                if let Some(start) = found {
                    room.push((start, u64::from(run.slots).saturating_mul(nodes)));
                }
            }
        }
        room.sort_unstable();
        let mut slots = 0u64;
        let (enough, _) = room.into_iter().find(|(_, more)| {
            slots = slots.saturating_add(*more);
            slots >= u64::from(part.pods)
        })?;
        start = start.max(enough);
    }
    Some(start)
}

fn pick_all(
    timelines: &[Timeline],
    mode: &ModeView,
    gang: &Gang,
    start: Millis,
) -> Option<Vec<Pick>> {
    let mut picks = Vec::new();
    for part in &gang.parts {
        picks.extend(pick(timelines, mode, gang.duration, part, start)?);
    }
    Some(picks)
}

/// Nodes for all pods of one part, if there are enough at this start.
fn pick(
    timelines: &[Timeline],
    mode: &ModeView,
    duration: Millis,
    part: &Part,
    start: Millis,
) -> Option<Vec<Pick>> {
    let mut rooms: Vec<Pick> = Vec::new();
    for index in part.runs.clone() {
        let run = &mode.runs[index];
        let timeline = &timelines[run.class];
        let most = u64::from(run.slots.min(part.pods));
        let slots = |node: usize| {
            let profile = timeline.profile(node);
            let free = if duration > 0 {
                profile.slots(&mode.request, start, duration, most)
            } else {
                most
            };
            u32::try_from(free).unwrap_or(u32::MAX)
        };
        let touched = (0..timeline.touched()).map(|node| Pick {
            run: index,
            node,
            pods: slots(node),
        });
        rooms.extend(touched.filter(|room| room.pods > 0));
        if timeline.untouched() > 0 {
            let (first, pods) = (timeline.touched(), slots(timeline.touched()));
            let nodes = part.pods.div_ceil(pods.max(1)) as usize;
            let fresh = first..first + nodes.min(timeline.untouched());
            rooms.extend(
                fresh
                    .map(|node| Pick {
                        run: index,
                        node,
                        pods,
                    })
                    .filter(|room| room.pods > 0),
            );
        }
    }
    rooms.sort_by_key(|room| (Reverse(room.pods), room.run, room.node));
    let mut left = part.pods;
    let mut picks = Vec::new();
    for (position, room) in rooms.iter().enumerate() {
        if room.pods < left {
            picks.push(*room);
            left -= room.pods;
            continue;
        }
        let tightest = rooms[position..]
            .iter()
            .take_while(|room| room.pods >= left)
            .min_by_key(|room| room.pods);
        picks.push(Pick {
            pods: left,
            ..*tightest.unwrap_or(room)
        });
        return Some(picks);
    }
    None
}

/// The first time after this one at which something changes on a node that the gang may use.
fn next_change(
    timelines: &[Timeline],
    mode: &ModeView,
    gang: &Gang,
    start: Millis,
) -> Option<Millis> {
    let runs = gang
        .parts
        .iter()
        .flat_map(|part| &mode.runs[part.runs.clone()]);
    let changes = runs.flat_map(|run| {
        let timeline = &timelines[run.class];
        let nodes = timeline.touched() + usize::from(timeline.untouched() > 0);
        (0..nodes).filter_map(move |node| timeline.profile(node).next_change(start))
    });
    changes.min()
}
