//! How the pods of a gang may be spread: anywhere, within one domain of the network, or on one node.
//!
//! A spread is a set of runs and a duration that no pods on them exceed. Where the network matters, each domain of each
//! level has its own: the further in, the shorter. Of two spreads, one is left out if its runs are among those of
//! the other, and its duration is no shorter. So every set of nodes is in a spread of just the duration that the gang
//! has there: that of its narrowest domain, or of one outside that lasts no longer.

use std::collections::BTreeMap;

use crate::model::{Millis, Mode, Near, Problem};

use super::RunView;
use super::profile::Request;

/// One spread of a gang's pods: no pod takes longer than `duration`.
#[derive(Clone, Debug)]
pub(in crate::solver) struct Gang {
    pub duration: Millis,
    pub parts: Vec<Part>,
}

/// So many pods on nodes of these runs.
#[derive(Clone, Debug)]
pub(in crate::solver) struct Part {
    pub pods: u32,
    /// Indices into `ModeView::runs`.
    pub runs: Vec<usize>,
}

/// All pods of a gang on one node, where that makes a difference.
#[derive(Clone, Debug)]
pub(in crate::solver) struct Packed {
    /// What all pods ask of the node.
    pub request: Request,
    pub runs: Vec<PackedRun>,
}

/// A run whose nodes hold all pods.
#[derive(Clone, Debug)]
pub(in crate::solver) struct PackedRun {
    /// Index into `ModeView::runs`.
    pub run: usize,
    /// Index of the group of demands in the class's timeline.
    pub group: usize,
}

/// All spreads of a mode.
pub(super) struct Spreads {
    pub gangs: Vec<Gang>,
    pub packed: Option<Packed>,
}

impl Spreads {
    /// The spreads of a mode on these runs, which are sorted by duration. Each run learns the shortest spread
    /// that may use it. `None` where no set of nodes holds all pods.
    pub fn of(problem: &Problem, near: Near, mode: &Mode, runs: &mut [RunView]) -> Option<Self> {
        let talks = runs.iter().any(|run| !run.across.is_empty());
        if mode.pods > 1 && (talks || near != Near::Anywhere) {
            let room = Room {
                problem,
                runs,
                pods: mode.pods,
            };
            let found = room.by_domain(near, mode);
            found.teach(runs);
            return (!found.gangs.is_empty() || found.packed.is_some()).then_some(found);
        }
        let enough = first_with_room(problem, runs, mode.pods)?;
        let least = runs[enough].duration;
        runs.iter_mut()
            .for_each(|run| run.least = Some(run.duration.max(least)));
        let is_last_of_duration = |end: usize| {
            runs.get(end + 1)
                .is_none_or(|run| run.duration > runs[end].duration)
        };
        let ends = (enough..runs.len()).filter(|&end| mode.pods > 1 && is_last_of_duration(end));
        let gangs = ends.map(|end| Gang {
            duration: runs[end].duration,
            parts: vec![Part {
                pods: mode.pods,
                runs: (0..end + 1).collect(),
            }],
        });
        Some(Self {
            gangs: gangs.collect(),
            packed: None,
        })
    }

    /// Tells each run the shortest spread that may use it.
    fn teach(&self, runs: &mut [RunView]) {
        let lower = |run: &mut RunView, to: Millis| {
            run.least = Some(run.least.map_or(to, |least| least.min(to)));
        };
        for gang in &self.gangs {
            for &run in gang.parts.iter().flat_map(|part| &part.runs) {
                lower(&mut runs[run], gang.duration);
            }
        }
        for packed in self.packed.iter().flat_map(|packed| &packed.runs) {
            let run = &mut runs[packed.run];
            lower(run, run.duration);
        }
    }
}

/// The first run with which, and the faster ones, there is room for all pods.
fn first_with_room(problem: &Problem, runs: &[RunView], pods: u32) -> Option<usize> {
    let mut slots = 0u128;
    runs.iter().position(|run| {
        slots += u128::from(run.slots) * problem.classes[run.class].nodes.len() as u128;
        slots >= u128::from(pods)
    })
}

/// Where the pods of a mode have room.
struct Room<'r> {
    problem: &'r Problem,
    runs: &'r [RunView],
    pods: u32,
}

impl Room<'_> {
    /// The spreads over these runs of pods that span no level outside of this one: for each duration the runs that last
    /// no longer.
    fn prefixes(&self, level: usize, mut members: Vec<usize>) -> Vec<Gang> {
        members.sort_by_key(|&run| self.runs[run].lasting(level));
        let lasting = |at: usize| self.runs[members[at]].lasting(level);
        let mut slots = 0u128;
        let mut gangs = Vec::new();
        for (at, &run) in members.iter().enumerate() {
            let nodes = self.problem.classes[self.runs[run].class].nodes.len();
            let own = self.runs[run].slots_for(lasting(at));
            slots += u128::from(own) * nodes as u128;
            let is_last_of_duration = at + 1 == members.len() || lasting(at + 1) > lasting(at);
            if is_last_of_duration && slots >= u128::from(self.pods) {
                gangs.push(Gang {
                    duration: lasting(at),
                    parts: vec![Part {
                        pods: self.pods,
                        runs: members[..=at].to_vec(),
                    }],
                });
            }
        }
        gangs
    }

    /// The spreads of each domain that is near enough, the innermost first.
    fn by_domain(&self, near: Near, mode: &Mode) -> Spreads {
        let levels = self.problem.levels.len();
        let above = above_hosts(self.problem);
        let (outermost, wished) = match near {
            Near::Anywhere => (0, None),
            Near::Within(level) => (level.saturating_add(1), None),
            Near::Rather(level) => (0, Some(level.saturating_add(1))),
        };
        let is_same = |one: usize, other: usize| {
            let mut runs = self.runs.iter();
            runs.all(|run| run.lasting(one) == run.lasting(other))
        };
        let mut found = Spreads {
            gangs: Vec::new(),
            packed: None,
        };
        let needs_packed = outermost > above
            || !is_same(levels, above)
            || wished.is_some_and(|depth| depth > above);
        if needs_packed {
            found.packed = self.packed(mode);
        }
        // In one domain of the first `depth` levels, pods span none but those further in.
        for depth in (outermost..=above).rev() {
            let is_wished = wished == Some(depth);
            if depth > outermost && !is_wished && is_same(depth, depth - 1) {
                continue;
            }
            let mut domains: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
            for (run, view) in self.runs.iter().enumerate() {
                let domain = depth.checked_sub(1);
                let domain = domain.map(|level| domain_of(self.problem, view.class, level));
                domains.entry(domain).or_default().push(run);
            }
            for members in domains.into_values() {
                found.gangs.extend(self.prefixes(depth, members));
            }
        }
        found
    }

    fn packed(&self, mode: &Mode) -> Option<Packed> {
        let holds_all = |run: &usize| {
            let run = &self.runs[*run];
            run.slots_for(run.duration) >= u64::from(self.pods)
        };
        let runs = (0..self.runs.len()).filter(holds_all);
        let runs: Vec<PackedRun> = runs.map(|run| PackedRun { run, group: 0 }).collect();
        let all = |amount: &i64| amount.saturating_mul(i64::from(self.pods));
        let demand: Vec<i64> = mode.demand.iter().map(all).collect();
        (!runs.is_empty()).then(|| Packed {
            request: Request::new(&demand),
            runs,
        })
    }
}

/// The number of levels above the hosts.
pub(super) fn above_hosts(problem: &Problem) -> usize {
    problem.levels.iter().filter(|tier| !tier.is_host).count()
}

/// The domain of the nodes of a class at a level above the hosts.
pub(super) fn domain_of(problem: &Problem, class: usize, level: usize) -> usize {
    let node = problem.classes[class].nodes.first();
    node.map_or(0, |node| problem.levels[level].domains[*node])
}
