//! The nodes of one class over time, and the search for the earliest room on them.

use crate::model::Millis;
use crate::solver::instance::profile::{Profile, Request};

/// Nodes in a block of keys; the least key of each block is kept beside.
const BLOCK: usize = 64;

/// Of the nodes that could all start a pod at the same time, so many are compared for the best fit.
const MOST_TIES: usize = 8;

/// Demands that share their keys: a need and a duration that none of them is below.
#[derive(Clone, Debug)]
pub(in crate::solver) struct Group {
    pub need: Vec<i64>,
    pub duration: Millis,
}

/// A place for one pod.
#[derive(Clone, Copy, Debug)]
pub(in crate::solver) struct Spot {
    pub start: Millis,
    /// Index of the node in its class.
    pub node: usize,
    /// What stays free of the asked resources at the start, as shares of a whole node.
    pub leftover: f64,
}

/// Equal nodes are told apart only once something is planned on them: the touched ones are always the
/// first of the class, and all others look like `base`.
pub(in crate::solver) struct Timeline {
    size: usize,
    base: Profile,
    whole: Vec<f64>,
    touched: usize,
    profiles: Vec<Profile>,
    groups: Vec<(Group, Keys)>,
}

/// For each touched node a time before which no pod of the group can start there. Plans only grow while
/// they are decoded, so a key that is out of date is still a lower bound; it is raised when it is looked at.
#[derive(Clone, Debug, Default)]
struct Keys {
    first: Millis,
    each: Vec<Millis>,
    least: Vec<Millis>,
}

impl Keys {
    fn add(&mut self) {
        if self.each.len().is_multiple_of(BLOCK) {
            self.least.push(self.first);
        }
        self.each.push(self.first);
        if let Some(least) = self.least.last_mut() {
            *least = self.first.min(*least);
        }
    }

    fn raise(&mut self, node: usize, key: Millis) {
        let block = node / BLOCK;
        let was = std::mem::replace(&mut self.each[node], key);
        if was == self.least[block] && key > was {
            let end = self.each.len().min((block + 1) * BLOCK);
            self.least[block] = self.each[block * BLOCK..end]
                .iter()
                .copied()
                .min()
                .unwrap_or(key);
        }
    }

    /// The first node with the least key.
    fn most_promising(&self) -> Option<usize> {
        let (block, least) = self
            .least
            .iter()
            .enumerate()
            .min_by_key(|(_, least)| **least)?;
        let end = self.each.len().min((block + 1) * BLOCK);
        (block * BLOCK..end).find(|&node| self.each[node] == *least)
    }
}

impl Timeline {
    pub fn new(size: usize, base: Profile, free: &[i64], groups: &[Group]) -> Self {
        let keyed = |group: &Group| {
            let first = base
                .earliest(&group.need, group.duration, 0)
                .unwrap_or(Millis::MAX);
            (
                group.clone(),
                Keys {
                    first,
                    ..Keys::default()
                },
            )
        };
        let groups = groups.iter().map(keyed).collect();
        let whole = free.iter().map(|&free| 1.0 / free.max(1) as f64).collect();
        Self {
            size,
            base,
            whole,
            touched: 0,
            profiles: Vec::new(),
            groups,
        }
    }

    /// Forgets everything planned.
    pub fn clear(&mut self) {
        self.touched = 0;
        for (_, keys) in &mut self.groups {
            keys.each.clear();
            keys.least.clear();
        }
    }

    /// Number of nodes with something planned.
    pub fn touched(&self) -> usize {
        self.touched
    }

    /// Number of nodes with nothing planned.
    pub fn untouched(&self) -> usize {
        self.size - self.touched
    }

    /// The node, by index in the class; all untouched ones are one.
    pub fn profile(&self, node: usize) -> &Profile {
        if node < self.touched {
            &self.profiles[node]
        } else {
            &self.base
        }
    }

    /// No pod of the group starts on any node before this.
    pub fn soonest(&self, group: usize) -> Millis {
        let keys = &self.groups[group].1;
        let fresh = if self.touched < self.size {
            keys.first
        } else {
            Millis::MAX
        };
        keys.least.iter().copied().fold(fresh, Millis::min)
    }

    /// No pod of the group starts on this touched node before this; may be out of date, then it is too low.
    pub fn soonest_known(&self, group: usize, node: usize) -> Millis {
        self.groups[group].1.each[node]
    }

    /// No pod of the group starts on this touched node before this; exact for the group's own need.
    pub fn soonest_on(&mut self, group: usize, node: usize) -> Millis {
        let (group, keys) = &mut self.groups[group];
        let was = keys.each[node];
        let now = match self.profiles[node].earliest(&group.need, group.duration, was) {
            Some(start) => start,
            None => Millis::MAX,
        };
        if now > was {
            keys.raise(node, now);
        }
        now
    }

    /// The earliest place for one pod that starts in `[from, latest]`; of equal starts the tightest fit,
    /// then the node that comes first.
    pub fn earliest(
        &mut self,
        group: usize,
        request: &Request,
        duration: Millis,
        from: Millis,
        latest: Millis,
    ) -> Option<Spot> {
        let mut best = Best {
            spot: None,
            latest,
            ties: 0,
        };
        if self.touched < self.size {
            best.offer(self.spot(self.touched, request, duration, from));
        }
        if best.spot.is_none()
            && let Some(node) = self.groups[group].1.most_promising()
        {
            let soonest = self.soonest_on(group, node).max(from);
            if let Some(spot) = self.spot(node, request, duration, soonest) {
                best.latest = best.latest.min(spot.start);
            }
        }
        for block in 0..self.touched.div_ceil(BLOCK) {
            if self.groups[group].1.least[block] > best.latest {
                continue;
            }
            for node in block * BLOCK..self.touched.min((block + 1) * BLOCK) {
                if best.rules_out(self.groups[group].1.each[node].max(from)) {
                    continue;
                }
                let soonest = self.soonest_on(group, node).max(from);
                if !best.rules_out(soonest) {
                    best.offer(self.spot(node, request, duration, soonest));
                }
            }
            if best.rules_out(from) {
                break;
            }
        }
        best.spot
    }

    fn spot(&self, node: usize, request: &Request, duration: Millis, from: Millis) -> Option<Spot> {
        let profile = self.profile(node);
        let start = profile.earliest(&request.need, duration, from)?;
        let shares = request
            .usage
            .iter()
            .zip(profile.free_at(start))
            .zip(&self.whole);
        let leftover = shares
            .filter(|((usage, _), _)| **usage > 0)
            .map(|((usage, free), whole)| free.saturating_sub(*usage) as f64 * whole)
            .sum();
        Some(Spot {
            start,
            node,
            leftover,
        })
    }

    /// Plans so many equal pods on one node.
    pub fn occupy(&mut self, node: usize, usage: &[i64], pods: u32, start: Millis, end: Millis) {
        while self.touched <= node {
            self.touch();
        }
        self.profiles[node].occupy(usage, i64::from(pods), start, end);
    }

    fn touch(&mut self) {
        if self.profiles.len() == self.touched {
            self.profiles.push(self.base.clone());
        } else {
            self.profiles[self.touched].become_copy_of(&self.base);
        }
        for (_, keys) in &mut self.groups {
            keys.add();
        }
        self.touched += 1;
    }
}

/// The best spot so far; later starts than `latest` are of no interest.
struct Best {
    spot: Option<Spot>,
    latest: Millis,
    ties: usize,
}

impl Best {
    /// Whether a node that cannot start before this need not be looked at.
    fn rules_out(&self, soonest: Millis) -> bool {
        soonest > self.latest || (soonest == self.latest && self.ties >= MOST_TIES)
    }

    fn offer(&mut self, offer: Option<Spot>) {
        let Some(spot) = offer.filter(|spot| spot.start <= self.latest) else {
            return;
        };
        match self.spot {
            Some(best) if best.start == spot.start => {
                self.ties += 1;
                if spot.leftover < best.leftover {
                    self.spot = Some(spot);
                }
            }
            _ => {
                self.ties = 1;
                self.spot = Some(spot);
            }
        }
        self.latest = spot.start;
    }
}
