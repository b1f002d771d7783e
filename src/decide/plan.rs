//! Plans what waits: batches of equal priority, goal and algorithm are one problem; groups go in order
//! of priority, then age, and what an earlier group holds is fixed for the later ones.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;

use super::Memory;
use super::adopt::Answer;
use super::attempt::{after, ended_at, rejection, rejection_delay};
use super::group::{Group, groups};
use super::layers::Layers;
use super::track::{State, Tracked};
use super::world::{CopyId, Fact, Observed, Search, World};
use crate::api::PlanStatus;
use crate::cluster::pod::PredictedMillis;
use crate::cluster::snapshot;
use crate::model::{
    Algorithm, Earlier, Hold, Millis, Problem, Reason, Resources, Snapshot, Solution,
};
use crate::verify;

/// What the newest plans say.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// Copies that start now.
    pub launches: HashMap<CopyId, Launch>,
    /// Copies that wait.
    pub waits: HashMap<CopyId, Wait>,
    /// The plan that each batch is part of, by UID.
    pub plans: HashMap<String, PlanStatus>,
    /// When the plan expects the last waiting copy of each batch to end, by UID.
    pub ends: HashMap<String, Timestamp>,
    /// Copies that cannot end before they are due, and when they end at the earliest.
    pub unreachable: HashMap<CopyId, Timestamp>,
}

/// A copy that starts now.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Node of each pod.
    pub nodes: Vec<String>,
    /// The chosen flavor.
    pub flavor: Option<String>,
    /// The outermost level of the network that a gang spans.
    pub level: Option<String>,
    /// Complete requests of the sized container.
    pub requests: Resources,
    /// Expected end.
    pub end: Timestamp,
    /// Expected length.
    pub predicted: PredictedMillis,
    /// Revision of the plan.
    pub plan: i64,
}

/// A copy that waits.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Why.
    pub reason: Reason,
    /// Why, in words and numbers.
    pub message: String,
    /// Planned start, and expected length.
    pub planned: Option<(Timestamp, PredictedMillis)>,
}

/// Plans again if anything that a plan depends on has changed since the last one. Launches stand only in
/// the round that planned them.
pub async fn replan<W: World>(
    world: &mut W,
    observed: &Observed,
    batches: &[Tracked],
    memory: &mut Memory,
) {
    let (groups, held) = groups(observed, batches, memory);
    let now = observed.now;
    let mut snapshot = snapshot::take(&observed.nodes, &observed.pods, now, observed.share);
    snapshot.topology = memory.topology.clone();
    rest_nodes(&mut snapshot, batches, now);
    let fingerprint = fingerprint(
        (observed, memory),
        batches,
        &groups,
        &snapshot,
        &HashMap::new(),
    );
    if memory.fingerprint == Some(fingerprint) {
        memory.planned.launches.clear();
        return;
    }
    let mut planned = Planned {
        plans: memory.planned.plans.clone(),
        waits: held,
        unreachable: still_unreachable(&memory.planned, batches),
        ..Planned::default()
    };
    planned
        .plans
        .retain(|uid, _| batches.iter().any(|tracked| tracked.id.uid == *uid));
    let before = snapshot.clone();
    let mut layers = Layers::new(snapshot);
    let mut earlier = Earlier::default();
    for group in &groups {
        let requests = group.requests(now);
        let problem = layers.problem(&requests, group.goal);
        let search = group.search(memory);
        let Some((solution, elapsed)) = solve(world, &problem, &search, &memory.earlier).await
        else {
            layers.skip(&requests);
            continue;
        };
        earlier.extend(Earlier::of(&problem, &solution.plan));
        world.note(Fact::Planned {
            problem: &problem,
            solution: &solution,
            elapsed,
            batches: problem
                .batches
                .iter()
                .map(|batch| batch.key.clone())
                .collect(),
        });
        // First, so that a copy that waits is told what is free beside those that start now.
        layers.add(&problem, &solution);
        let answer = Answer {
            problem: &problem,
            solution: &solution,
            elapsed,
            snapshot: layers.snapshot(),
            now,
        };
        planned.adopt(group, &answer);
    }
    planned.keep_told(&memory.planned, now);
    planned.keep_setbacks(memory);
    memory.fingerprint = Some(self::fingerprint(
        (observed, memory),
        batches,
        &groups,
        &before,
        &planned.launches,
    ));
    memory.planned = planned;
    memory.earlier = earlier;
}

/// What was proved of copies whose pods exist by now.
fn still_unreachable(planned: &Planned, batches: &[Tracked]) -> HashMap<CopyId, Timestamp> {
    if planned.unreachable.is_empty() {
        return HashMap::new();
    }
    let copies = batches.iter().flat_map(|tracked| {
        let started = tracked
            .copies
            .iter()
            .filter(|copy| !copy.is_ended() && !matches!(copy.state, State::Waiting { .. }));
        started.map(|copy| tracked.copy_id(copy))
    });
    let known = |id: CopyId| {
        let earliest = planned.unreachable.get(&id).copied()?;
        Some((id, earliest))
    };
    copies.filter_map(known).collect()
}

/// A verified plan, from the earlier one. A search whose plan does not pass the check is not asked again; the simplest
/// one is.
async fn solve<W: World>(
    world: &mut W,
    problem: &Problem,
    search: &Search,
    earlier: &Earlier,
) -> Option<(Solution, Duration)> {
    let tries = [(search.algorithm, Some(earlier)), (Algorithm::Greedy, None)];
    for (algorithm, earlier) in tries {
        let search = Search {
            algorithm,
            ..*search
        };
        let (solution, elapsed) = world.solve(problem, &search, earlier).await;
        let Err(violations) = verify::check(problem, &solution) else {
            return Some((solution, elapsed));
        };
        let shown: Vec<String> = violations.iter().take(5).map(ToString::to_string).collect();
        world.note(Fact::Unverified {
            violations: shown.join("; "),
        });
    }
    None
}

/// A node that rejected a pod rests for a while: the longer, the more often the same copy was rejected.
fn rest_nodes(snapshot: &mut Snapshot, batches: &[Tracked], now: Timestamp) {
    for (name, until) in resting(batches, now) {
        if let Some(at) = snapshot.find(&name) {
            let all = snapshot.free[at]
                .iter()
                .filter(|(_, free)| *free > 0)
                .collect();
            snapshot.holds[at].push(Hold {
                from: 0,
                until: millis_until(until, now),
                demand: all,
            });
            snapshot.holds[at].sort();
        }
    }
}

/// The nodes that rest, and until when.
pub fn resting(batches: &[Tracked], now: Timestamp) -> BTreeMap<String, Timestamp> {
    let mut found: BTreeMap<String, Timestamp> = BTreeMap::new();
    let copies = batches.iter().flat_map(|tracked| &tracked.copies);
    for pod in copies.flat_map(|copy| copy.pods.iter().chain(&copy.leftover)) {
        let (Some(node), Some(own)) = (&pod.node, &pod.own) else {
            continue;
        };
        if own.exit.is_none() && rejection(pod).is_some() {
            let end = ended_at(pod).unwrap_or(now);
            let until = after(end, rejection_delay(own.rejections + 1));
            if until > now {
                let known = found.entry(node.clone()).or_insert(until);
                *known = (*known).max(until);
            }
        }
    }
    found
}

pub fn millis_until(time: Timestamp, now: Timestamp) -> Millis {
    (time.as_millisecond() - now.as_millisecond()).max(0)
}

/// What a plan depends on, in one number. `launched` are copies that are about to have their pods.
fn fingerprint(
    (observed, memory): (&Observed, &Memory),
    batches: &[Tracked],
    groups: &[Group<'_>],
    snapshot: &Snapshot,
    launched: &HashMap<CopyId, Launch>,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    for node in &snapshot.nodes {
        node.hash(&mut hasher);
    }
    snapshot.free.hash(&mut hasher);
    for name in resting(batches, observed.now).keys() {
        name.hash(&mut hasher);
    }
    memory.kept_off_now(observed.now).hash(&mut hasher);
    // Pods whose batch is gone already still hold what they hold.
    let mut live: Vec<(CopyId, u32, u32, String)> = Vec::new();
    for pod in observed.pods.iter().filter(|pod| !pod.is_finished()) {
        if let Some(own) = &pod.own {
            let id = CopyId {
                batch_uid: own.batch_uid.clone(),
                task: own.task.clone(),
                copy: own.copy,
            };
            let node = snapshot::node_of(pod).unwrap_or_default();
            let leaving = if pod.terminating { "-" } else { "" };
            live.push((id, own.attempt, own.worker, format!("{leaving}{node}")));
        }
    }
    let mut waiting: Vec<(CopyId, u32, bool, i64)> = Vec::new();
    for member in groups.iter().flat_map(|group| &group.members) {
        for copy in &member.copies {
            let id = member.tracked.copy_id(copy);
            if let Some(launch) = launched.get(&id) {
                let pods = launch.nodes.iter().enumerate();
                live.extend(
                    pods.map(|(worker, node)| {
                        (id.clone(), copy.attempt, worker as u32, node.clone())
                    }),
                );
            } else {
                let generation = member.tracked.object.metadata.generation.unwrap_or(0);
                waiting.push((id, copy.attempt, member.release > 0, generation));
            }
        }
    }
    live.sort();
    waiting.sort();
    (live, waiting).hash(&mut hasher);
    hasher.finish()
}
