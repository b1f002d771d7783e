//! Room for several pods that start together.

use std::cmp::Reverse;

use crate::model::Millis;
use crate::solver::instance::{Gang, Instance, ModeView, Packed, Part};

use super::places::Latest;
use super::timeline::Timeline;

/// Some pods of a gang on one node.
#[derive(Clone, Copy, Debug)]
pub(in crate::solver) struct Pick {
    /// Index into `ModeView::runs`.
    pub run: usize,
    /// Index of the node in its class.
    pub node: usize,
    pub pods: u32,
}

/// Offers the earliest place of each spread: start, end and nodes. `within` are the soonest start and the latest end.
/// Where only the soonest end counts, what would end later is not looked for.
pub(super) fn offer_all(
    instance: &Instance,
    timelines: &mut [Timeline],
    mode: &ModeView,
    within: (Millis, Latest),
    is_soonest: bool,
    offer: &mut impl FnMut(Millis, Millis, Vec<Pick>),
) {
    let (from, mut latest) = within;
    // Spreads that only differ in their speed are alike but for the end.
    let is_alike = mode.packed.is_none() && !mode.talks();
    let narrows = is_soonest || is_alike && latest.is_moving;
    let mut tell = |start: Millis, picks: Vec<Pick>, latest: &mut Latest| {
        let end = start.saturating_add(lasting(instance, mode, &picks));
        if narrows {
            latest.end = latest.end.min(end);
        }
        offer(start, end, picks);
    };
    if let Some(packed) = &mode.packed {
        for (start, pick) in packed_places(timelines, mode, packed, (from, latest.end)) {
            tell(start, vec![pick], &mut latest);
        }
    }
    for gang in &mode.gangs {
        if soonest_end(timelines, mode, gang, from) > latest.end {
            continue;
        }
        let until = latest.end.saturating_sub(gang.duration);
        if let Some((start, picks)) = earliest(timelines, mode, gang, from, until) {
            tell(start, picks, &mut latest);
        }
    }
}

/// No pod of the spread ends before this.
fn soonest_end(timelines: &[Timeline], mode: &ModeView, gang: &Gang, from: Millis) -> Millis {
    let runs = gang.parts.iter().flat_map(|part| &part.runs);
    let soonest = runs.map(|&run| {
        let run = &mode.runs[run];
        timelines[run.class].soonest(run.group)
    });
    let soonest = soonest.min().unwrap_or(Millis::MAX);
    soonest.max(from).saturating_add(gang.duration)
}

/// How long the gang takes on these nodes: its slowest pod, with what it has to cross.
fn lasting(instance: &Instance, mode: &ModeView, picks: &[Pick]) -> Millis {
    let runs = picks.iter().map(|pick| &mode.runs[pick.run]);
    let level = instance.spanned(picks.len(), runs.clone().map(|run| run.class));
    runs.map(|run| run.lasting(level)).max().unwrap_or(0)
}

/// The earliest place of all pods on one node of each class, none of which ends later than one before.
fn packed_places(
    timelines: &mut [Timeline],
    mode: &ModeView,
    packed: &Packed,
    (from, mut latest): (Millis, Millis),
) -> Vec<(Millis, Pick)> {
    let mut places = Vec::new();
    for own in &packed.runs {
        let run = &mode.runs[own.run];
        let until = latest.saturating_sub(run.duration);
        let timeline = &mut timelines[run.class];
        if until < from || timeline.soonest(own.group) > until {
            continue;
        }
        let spot = timeline.earliest(own.group, &packed.request, run.duration, from, until);
        if let Some(spot) = spot {
            latest = latest.min(spot.start.saturating_add(run.duration));
            let pick = Pick {
                run: own.run,
                node: spot.node,
                pods: mode.pods,
            };
            places.push((spot.start, pick));
        }
    }
    places
}

/// The earliest start in `[from, latest]` at which all pods have room for the gang's duration, and the
/// nodes to take then: those with most room first, so that few are used, and the last as tight as it goes.
pub(in crate::solver) fn earliest(
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
        start = start.max(enough_for(timelines, mode, gang.duration, part, from)?);
    }
    Some(start)
}

/// A node, or several untouched ones, where no pod starts before `soonest`.
struct Prospect {
    soonest: Millis,
    run: usize,
    node: usize,
    slots: u64,
    is_exact: bool,
}

/// The same for one part. The keys of the timelines tell which nodes come first; only these are looked at.
fn enough_for(
    timelines: &mut [Timeline],
    mode: &ModeView,
    duration: Millis,
    part: &Part,
    from: Millis,
) -> Option<Millis> {
    let mut prospects = Vec::new();
    for &index in &part.runs {
        let run = &mode.runs[index];
        let timeline = &timelines[run.class];
        let (first, slots) = (timeline.touched(), run.slots_for(duration));
        for node in 0..first {
            let soonest = timeline.soonest_known(run.group, node).max(from);
            prospects.push(Prospect {
                soonest,
                run: index,
                node,
                slots,
                is_exact: false,
            });
        }
        if timeline.untouched() > 0 {
            let slots = slots.saturating_mul(timeline.untouched() as u64);
            prospects.push(Prospect {
                soonest: from,
                run: index,
                node: first,
                slots,
                is_exact: false,
            });
        }
    }
    loop {
        prospects.sort_unstable_by_key(|prospect| (prospect.soonest, prospect.run, prospect.node));
        let mut slots = 0u64;
        let last = prospects.iter().position(|prospect| {
            slots = slots.saturating_add(prospect.slots);
            slots >= u64::from(part.pods)
        })?;
        let enough = prospects[last].soonest;
        if enough == Millis::MAX || prospects[..=last].iter().all(|prospect| prospect.is_exact) {
            return Some(enough);
        }
        for prospect in prospects[..=last]
            .iter_mut()
            .filter(|prospect| !prospect.is_exact)
        {
            let run = &mode.runs[prospect.run];
            let timeline = &mut timelines[run.class];
            if prospect.node < timeline.touched() {
                let soonest = timeline.soonest_on(run.group, prospect.node);
                prospect.soonest = prospect.soonest.max(soonest);
            }
            let profile = timeline.profile(prospect.node);
            let found = profile.earliest(&mode.request.need, duration, prospect.soonest);
            prospect.soonest = found.unwrap_or(Millis::MAX);
            prospect.is_exact = true;
        }
    }
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
    let mut rooms = rooms(timelines, mode, duration, part, start);
    rooms.sort_by_key(|room| (Reverse(room.pods), room.run, room.node));
    let mut left = part.pods;
    let mut picks = Vec::new();
    for (position, room) in rooms.iter().enumerate() {
        if room.pods < left {
            picks.push(*room);
            left -= room.pods;
            continue;
        }
        let enough = rooms[position..]
            .iter()
            .take_while(|room| room.pods >= left);
        let tightest = enough.min_by_key(|room| room.pods).unwrap_or(room);
        picks.push(Pick {
            pods: left,
            ..*tightest
        });
        return Some(picks);
    }
    None
}

/// The nodes with room at this start, each with the pods that fit; no more untouched ones than can be needed.
fn rooms(
    timelines: &[Timeline],
    mode: &ModeView,
    duration: Millis,
    part: &Part,
    start: Millis,
) -> Vec<Pick> {
    let mut rooms = Vec::new();
    for &index in &part.runs {
        let run = &mode.runs[index];
        let timeline = &timelines[run.class];
        let most = run.slots_for(duration).min(u64::from(part.pods));
        let pods = |node: usize| {
            let profile = timeline.profile(node);
            let free = if duration > 0 {
                profile.slots(&mode.request, start, duration, most)
            } else {
                most
            };
            u32::try_from(free).unwrap_or(u32::MAX)
        };
        let first = timeline.touched();
        let free = (0..first).filter(|&node| timeline.soonest_known(run.group, node) <= start);
        rooms.extend(free.map(|node| Pick {
            run: index,
            node,
            pods: pods(node),
        }));
        if timeline.untouched() > 0 {
            let pods = pods(first);
            let nodes = part.pods.div_ceil(pods.max(1)) as usize;
            let fresh = first..first + nodes.min(timeline.untouched());
            rooms.extend(fresh.map(|node| Pick {
                run: index,
                node,
                pods,
            }));
        }
    }
    rooms.retain(|room| room.pods > 0);
    rooms
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
        .flat_map(|part| part.runs.iter().map(|&run| &mode.runs[run]));
    let changes = runs.flat_map(|run| {
        let timeline = &timelines[run.class];
        let nodes = timeline.touched() + usize::from(timeline.untouched() > 0);
        (0..nodes).filter_map(move |node| timeline.profile(node).next_change(start))
    });
    changes.min()
}
