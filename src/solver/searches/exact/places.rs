//! The places that a copy may take next: every choice of way and nodes, each at its earliest start.

use std::collections::BTreeSet;

use crate::model::Millis;

use super::jobs::Way;
use super::nodes::{Nodes, Pick};

/// Beyond so many spreads of one way of a gang the enumeration is not complete.
pub(super) const MOST_SPREADS: usize = 4096;
/// So many steps are made at most to find them.
const MOST_STEPS: usize = 20_000;

/// One choice.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub way: usize,
    pub start: Millis,
    pub end: Millis,
    /// No plan below is better, or in units of the tariff.
    pub bound: f64,
    pub picks: Picks,
}

#[derive(Clone, Debug)]
pub(super) enum Picks {
    One(Pick),
    Many(Vec<Pick>),
}

impl Picks {
    pub fn each(&self) -> &[Pick] {
        match self {
            Picks::One(pick) => std::slice::from_ref(pick),
            Picks::Many(picks) => picks,
        }
    }
}

/// What was found for one way.
pub(super) struct Found {
    /// The earliest start of all.
    pub soonest: Millis,
    /// Whether every start with a place has one at least.
    pub is_complete: bool,
    /// Whether no place is missing.
    pub has_all: bool,
}

/// Offers all places of a way that start at `from` or later and before `until`.
pub(super) fn each(
    nodes: &Nodes,
    kinds: &[Vec<usize>],
    way: &Way,
    (from, until): (Millis, Millis),
    spreads: usize,
    offer: &mut impl FnMut(Millis, Picks),
) -> Found {
    if way.pods > 1 {
        return gang(nodes, kinds, way, (from, until), spreads, offer);
    }
    let class = way.lanes[0].class;
    let mut soonest = Millis::MAX;
    let firsts = kinds[class]
        .iter()
        .enumerate()
        .filter(|(node, kind)| node == *kind);
    for (node, _) in firsts {
        let profile = nodes.profile(class, node);
        if let Some(start) = profile.earliest(&way.request.need, way.duration, from) {
            soonest = soonest.min(start);
            if start < until {
                offer(
                    start,
                    Picks::One(Pick {
                        class,
                        node,
                        pods: 1,
                    }),
                );
            }
        }
    }
    Found {
        soonest,
        is_complete: true,
        has_all: true,
    }
}

/// A node with the pods that fit on it at each of the starts looked at.
struct Room {
    class: usize,
    node: usize,
    /// Index into `Way::lanes`.
    lane: usize,
    /// The class and the first node in it that is the same.
    kind: (usize, usize),
    pods: Vec<u32>,
}

/// A gang may start when something changes. At each such time every spread is offered that does not fit at
/// an earlier one; on nodes of one kind the pods do not increase from node to node.
fn gang(
    nodes: &Nodes,
    kinds: &[Vec<usize>],
    way: &Way,
    (from, until): (Millis, Millis),
    spreads: usize,
    offer: &mut impl FnMut(Millis, Picks),
) -> Found {
    let mut rooms = rooms(nodes, kinds, way);
    let mut times = BTreeSet::from([from]);
    for room in &rooms {
        let steps = nodes.profile(room.class, room.node).steps_from(from);
        times.extend(steps.map(|(time, _)| time));
    }
    let mut found = Found {
        soonest: Millis::MAX,
        is_complete: true,
        has_all: true,
    };
    for (index, &time) in times.iter().enumerate() {
        let mut total = 0u64;
        for room in &mut rooms {
            let most = u64::from(way.pods);
            let profile = nodes.profile(room.class, room.node);
            let pods = if way.duration > 0 {
                profile.slots(&way.request, time, way.duration, most)
            } else {
                most
            };
            let pods = if way.is_packed && pods < most {
                0
            } else {
                pods
            };
            total += pods;
            room.pods.push(u32::try_from(pods).unwrap_or(0));
        }
        if total < u64::from(way.pods) {
            continue;
        }
        found.soonest = found.soonest.min(time);
        if time >= until {
            break;
        }
        // The tightest nodes first, so that large room is kept.
        let mut order: Vec<usize> = (0..rooms.len())
            .filter(|&room| rooms[room].pods[index] > 0)
            .collect();
        order.sort_by_key(|&room| (rooms[room].pods[index], rooms[room].kind, room));
        let mut all = Spreads {
            way,
            rooms: &rooms,
            order: &order,
            at: index,
            picked: Vec::new(),
            left: spreads,
            steps: MOST_STEPS,
        };
        all.spread(0, way.pods, &mut |picks| offer(time, Picks::Many(picks)));
        let (is_all, is_some) = (all.left > 0 && all.steps > 0, all.left < spreads);
        found.has_all &= is_all;
        found.is_complete &= is_all || is_some;
    }
    found
}

fn rooms(nodes: &Nodes, kinds: &[Vec<usize>], way: &Way) -> Vec<Room> {
    let mut rooms: Vec<Room> = Vec::new();
    for (index, lane) in way.lanes.iter().enumerate() {
        let touched = nodes.touched(lane.class).len();
        let fresh = nodes.untouched(lane.class).min(way.pods as usize);
        for node in 0..touched + fresh {
            let kind = (lane.class, kinds[lane.class][node.min(touched)]);
            rooms.push(Room {
                class: lane.class,
                node,
                lane: index,
                kind,
                pods: Vec::new(),
            });
        }
    }
    rooms
}

struct Spreads<'r> {
    way: &'r Way,
    rooms: &'r [Room],
    /// Rooms with room, equal ones side by side.
    order: &'r [usize],
    /// Index of the start.
    at: usize,
    picked: Vec<(usize, u32)>,
    left: usize,
    steps: usize,
}

impl Spreads<'_> {
    fn spread(&mut self, next: usize, pods: u32, offer: &mut impl FnMut(Vec<Pick>)) {
        if self.left == 0 || self.steps == 0 {
            return;
        }
        self.steps -= 1;
        if pods == 0 {
            self.finish(offer);
            return;
        }
        let Some(&index) = self.order.get(next) else {
            return;
        };
        let room = &self.rooms[index];
        let pods_of = |&room: &usize| u64::from(self.rooms[room].pods[self.at]);
        let rest: u64 = self.order[next..].iter().map(pods_of).sum();
        if rest < u64::from(pods) {
            return;
        }
        let same_kind = next > 0 && self.rooms[self.order[next - 1]].kind == room.kind;
        let before = match self.picked.last() {
            Some(&(last, pods)) if next > 0 && last == self.order[next - 1] => pods,
            _ => 0,
        };
        let most = room.pods[self.at]
            .min(pods)
            .min(if same_kind { before } else { u32::MAX });
        for own in (0..=most).rev() {
            if self.way.is_packed && own > 0 && own < pods {
                continue;
            }
            if own > 0 {
                self.picked.push((index, own));
            }
            self.spread(next + 1, pods - own, offer);
            if own > 0 {
                self.picked.pop();
            }
        }
    }

    /// Whether the pods on the picked nodes take as long as the way.
    fn lasts_as_long(&self) -> bool {
        let mut lanes = self
            .picked
            .iter()
            .map(|&(room, _)| &self.way.lanes[self.rooms[room].lane]);
        let Some(first) = lanes.clone().next().filter(|lane| !lane.lasting.is_empty()) else {
            return lanes.any(|lane| lane.is_slowest);
        };
        let domains = 0..first.domains.len();
        let is_spanned = |level: &usize| {
            let mut others = lanes.clone();
            others.any(|lane| lane.domains[*level] != first.domains[*level])
        };
        let level = match self.picked.len() {
            1 => first.lasting.len() - 1,
            _ => domains.clone().find(is_spanned).unwrap_or(domains.end),
        };
        lanes.map(|lane| lane.lasting[level]).max() == Some(self.way.duration)
    }

    /// Offers the spread unless it lasts less long or fits earlier: then it is offered elsewhere.
    fn finish(&mut self, offer: &mut impl FnMut(Vec<Pick>)) {
        let fits = |at: usize| {
            self.picked
                .iter()
                .all(|&(room, pods)| self.rooms[room].pods[at] >= pods)
        };
        if !self.lasts_as_long() || (0..self.at).any(fits) {
            return;
        }
        self.left -= 1;
        let pick = |&(room, pods): &(usize, u32)| Pick {
            class: self.rooms[room].class,
            node: self.rooms[room].node,
            pods,
        };
        offer(self.picked.iter().map(pick).collect());
    }
}
