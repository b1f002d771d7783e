//! Plans what waits: batches of equal priority, goal and algorithm are one problem; groups go in order
//! of priority, then age, and what an earlier group holds is fixed for the later ones (DESIGN 4).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;

use super::Memory;
use super::track::{self, Copy, State, Tracked, rejection, rejection_delay};
use super::world::{CopyId, Fact, Observed, Search, World};
use crate::api::PlanStatus;
use crate::cluster::compile::{self, Request};
use crate::cluster::pod::PredictedMillis;
use crate::cluster::{duration, explain, snapshot};
use crate::model::{
    Algorithm, Assignment, Batch, Goal, Hold, Millis, Problem, Reason, Resources, Snapshot,
    Solution, ceil_i64,
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
}

/// A copy that starts now.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Node of each pod.
    pub nodes: Vec<String>,
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
    let mut snapshot = snapshot::take(&observed.nodes, &observed.pods, now);
    rest_nodes(&mut snapshot, batches, now);
    let fingerprint = fingerprint(observed, batches, &groups, &snapshot, &HashMap::new());
    if memory.fingerprint == Some(fingerprint) {
        memory.planned.launches.clear();
        return;
    }
    let mut planned = Planned {
        plans: memory.planned.plans.clone(),
        waits: held,
        ..Planned::default()
    };
    planned
        .plans
        .retain(|uid, _| batches.iter().any(|tracked| tracked.id.uid == *uid));
    let before = snapshot.clone();
    for group in &groups {
        let problem = compile::compile(&snapshot, &group.requests(), group.goal);
        let (solution, elapsed) = world.solve(&problem, &group.search(memory)).await;
        if let Err(violations) = verify::check(&problem, &solution) {
            let shown: Vec<String> = violations.iter().take(5).map(ToString::to_string).collect();
            let violations = shown.join("; ");
            world.note(Fact::Unverified { violations });
            continue;
        }
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
        reserve(&mut snapshot, &problem, &solution);
        let answer = Answer {
            problem: &problem,
            solution: &solution,
            elapsed,
            snapshot: &snapshot,
            now,
        };
        planned.adopt(group, &answer);
    }
    planned.keep_told(&memory.planned, now);
    memory.fingerprint = Some(self::fingerprint(
        observed,
        batches,
        &groups,
        &before,
        &planned.launches,
    ));
    memory.planned = planned;
}

/// Tasks that are planned together.
struct Group<'a> {
    goal: Goal,
    algorithm: Algorithm,
    members: Vec<Member<'a>>,
}

/// Copies of one task that want a place.
struct Member<'a> {
    tracked: &'a Tracked,
    batch: &'a Batch,
    task: usize,
    copies: Vec<&'a Copy>,
    release: Millis,
}

impl<'a> Group<'a> {
    fn requests(&self) -> Vec<Request<'a>> {
        let request = |member: &Member<'a>| Request {
            batch: member.batch,
            task: member.task,
            copies: member.copies.iter().map(|copy| copy.copy).collect(),
            release: member.release,
        };
        self.members.iter().map(request).collect()
    }

    /// The oldest batch says how to search. A first plan gets the whole time limit; what changes later is
    /// planned again in a tenth of it, since most of it is known.
    fn search(&self, memory: &Memory) -> Search {
        let oldest = self
            .members
            .first()
            .map(|member| &member.tracked.object.spec.optimizer);
        let optimizer = oldest.cloned().unwrap_or_default();
        let millis = duration::parse(&optimizer.time_limit)
            .and_then(|exact| ceil_i64(&exact))
            .unwrap_or(2000);
        let limit = Duration::from_millis(millis.unsigned_abs());
        let known = |member: &Member<'_>| memory.planned.plans.contains_key(&member.tracked.id.uid);
        Search {
            algorithm: self.algorithm,
            seed: optimizer.seed.unsigned_abs(),
            time_limit: if self.members.iter().all(known) {
                limit / 10
            } else {
                limit
            },
            iterations: optimizer.iterations.map(i64::unsigned_abs),
        }
    }
}

/// Whether tasks of the batch may be planned at all.
pub fn is_active(tracked: &Tracked) -> bool {
    let failed_fast = || {
        tracked.object.spec.failure_policy == crate::api::FailurePolicy::FailFast
            && tracked
                .copies
                .iter()
                .any(|copy| matches!(copy.state, State::Failed { .. }))
    };
    tracked.batch.is_ok()
        && !tracked.is_deleting()
        && !tracked.object.spec.suspend
        && !super::status::is_finished(&tracked.object)
        && !failed_fast()
}

/// Everything that waits, in groups by priority, goal and algorithm, highest priority and oldest first;
/// and the copies that wait for something else than a place.
fn groups<'a>(
    observed: &Observed,
    batches: &'a [Tracked],
    memory: &Memory,
) -> (Vec<Group<'a>>, HashMap<CopyId, Wait>) {
    let mut groups: BTreeMap<(std::cmp::Reverse<i32>, usize), Group<'a>> = BTreeMap::new();
    let mut kinds: Vec<(i32, Goal, Algorithm)> = Vec::new();
    let mut held = HashMap::new();
    for tracked in batches.iter().filter(|tracked| is_active(tracked)) {
        let Ok(batch) = &tracked.batch else { continue };
        let optimizer = &tracked.object.spec.optimizer;
        for (task, releases) in waiting(tracked, batch, memory, observed.now, &mut held) {
            let class = tracked.object.spec.tasks[task].priority_class_name.as_ref();
            let priority = class
                .and_then(|name| observed.priorities.get(name))
                .copied()
                .unwrap_or(0);
            let kind = (priority, batch.goal, optimizer.algorithm);
            let place = kinds
                .iter()
                .position(|known| *known == kind)
                .unwrap_or_else(|| {
                    kinds.push(kind);
                    kinds.len() - 1
                });
            let group = groups
                .entry((std::cmp::Reverse(priority), place))
                .or_insert_with(|| Group {
                    goal: batch.goal,
                    algorithm: optimizer.algorithm,
                    members: Vec::new(),
                });
            group
                .members
                .extend(releases.into_iter().map(|(release, copies)| Member {
                    tracked,
                    batch,
                    task,
                    copies,
                    release,
                }));
        }
    }
    (groups.into_values().collect(), held)
}

type Releases<'a> = BTreeMap<Millis, Vec<&'a Copy>>;

/// What a task means for the tasks behind it.
#[derive(Clone, Debug, PartialEq)]
enum Gate {
    /// All copies have succeeded, or are planned in the same problem: nothing more to ask.
    Open,
    /// Some copies run; the last is expected to end then, in ms.
    From(Millis),
    /// Nobody can say when.
    Closed,
}

/// The gate that each task is.
fn gates(tracked: &Tracked, batch: &Batch, now: Timestamp) -> Vec<Gate> {
    let mut gates = vec![Gate::Open; batch.tasks.len()];
    for copy in &tracked.copies {
        let gate = &mut gates[copy.task];
        match &copy.state {
            State::Succeeded => {}
            State::Waiting { .. } if !batch.goal.is_static() => {}
            State::Starting | State::Running | State::Ending { .. } if !batch.goal.is_static() => {
                let end = copy.own().and_then(|own| own.predicted_end);
                let end = end.map_or(1, |end| millis_until(end, now).max(1));
                *gate = match gate {
                    Gate::Open => Gate::From(end),
                    Gate::From(other) => Gate::From(end.max(*other)),
                    Gate::Closed => Gate::Closed,
                };
            }
            _ => *gate = Gate::Closed,
        }
    }
    gates
}

/// The waiting copies of each task, by their earliest start; those that wait for something else than a
/// place are told in `held` why.
fn waiting<'a>(
    tracked: &'a Tracked,
    batch: &Batch,
    memory: &Memory,
    now: Timestamp,
    held: &mut HashMap<CopyId, Wait>,
) -> BTreeMap<usize, Releases<'a>> {
    let gates = gates(tracked, batch, now);
    let class = |task: usize| &tracked.object.spec.tasks[task].priority_class_name;
    let mut found: BTreeMap<usize, Releases<'a>> = BTreeMap::new();
    for copy in &tracked.copies {
        let State::Waiting { not_before, cause } = &copy.state else {
            continue;
        };
        let id = tracked.copy_id(copy);
        let refusal = memory.refusals.get(&id);
        let not_before = (*not_before).max(refusal.map(|refusal| refusal.until));
        let mut release = not_before.map_or(0, |time| millis_until(time, now));
        let cause = refusal
            .map(|refusal| (Reason::PodRejected, refusal.message.clone()))
            .or_else(|| cause.clone());
        let mut wait = (release > 0).then_some(cause).flatten();
        let mut closed = false;
        for (before, task) in batch.tasks.iter().enumerate() {
            if !batch.tasks[copy.task].after.contains(&task.name) {
                continue;
            }
            let message = || {
                (
                    Reason::WaitingForDependency,
                    format!("waits until all of {} has succeeded", task.name),
                )
            };
            match gates[before] {
                Gate::Open if class(before) == class(copy.task) => {}
                Gate::From(end) => {
                    release = release.max(end);
                    wait.get_or_insert_with(message);
                }
                Gate::Open | Gate::Closed => {
                    closed = closed || gates[before] == Gate::Closed || !is_done(tracked, before);
                    wait.get_or_insert_with(message);
                }
            }
        }
        if let Some((reason, message)) = wait {
            let planned = None;
            held.insert(
                id,
                Wait {
                    reason,
                    message,
                    planned,
                },
            );
        }
        // A goal without a time axis would start it at once.
        let too_early = release > 0 && batch.goal.is_static();
        if !closed && !too_early {
            found
                .entry(copy.task)
                .or_default()
                .entry(release)
                .or_default()
                .push(copy);
        }
    }
    found
}

fn is_done(tracked: &Tracked, task: usize) -> bool {
    let mut copies = tracked.copies.iter().filter(|copy| copy.task == task);
    copies.all(|copy| copy.state == State::Succeeded)
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
            let end = track::ended_at(pod).unwrap_or(now);
            let until = track::after(end, rejection_delay(own.rejections + 1));
            if until > now {
                let known = found.entry(node.clone()).or_insert(until);
                *known = (*known).max(until);
            }
        }
    }
    found
}

fn millis_until(time: Timestamp, now: Timestamp) -> Millis {
    (time.as_millisecond() - now.as_millisecond()).max(0)
}

/// What a plan depends on, in one number. `launched` are copies that are about to have their pods.
fn fingerprint(
    observed: &Observed,
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
    let mut live: Vec<(CopyId, u32, u32, String)> = Vec::new();
    for tracked in batches {
        for copy in &tracked.copies {
            for pod in copy.live() {
                let own = pod.own.as_deref();
                let worker = own.map_or(0, |own| own.worker);
                let node = snapshot::node_of(pod).unwrap_or_default();
                let leaving = if pod.terminating { "-" } else { "" };
                live.push((
                    tracked.copy_id(copy),
                    own.map_or(0, |own| own.attempt),
                    worker,
                    format!("{leaving}{node}"),
                ));
            }
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

/// A verified plan of one group.
struct Answer<'a> {
    problem: &'a Problem,
    solution: &'a Solution,
    elapsed: Duration,
    snapshot: &'a Snapshot,
    now: Timestamp,
}

impl Planned {
    /// Takes over what a verified plan says: launches, waits, and the plan's figures for each batch in it.
    fn adopt(&mut self, group: &Group<'_>, answer: &Answer<'_>) {
        let Answer {
            problem, solution, ..
        } = answer;
        let mut members: HashMap<(&str, &str), &Member<'_>> = HashMap::new();
        for member in &group.members {
            let task = &member.batch.tasks[member.task];
            members.insert((member.batch.key.as_str(), task.name.as_str()), member);
        }
        let batches: BTreeMap<&str, &Tracked> = group
            .members
            .iter()
            .map(|member| (member.tracked.id.uid.as_str(), member.tracked))
            .collect();
        for (uid, tracked) in batches {
            let told = tracked
                .object
                .status
                .as_ref()
                .and_then(|status| status.plan.as_ref());
            let last = self.plans.get(uid).or(told).map_or(0, |plan| plan.revision);
            let plan = super::status::plan_status(solution, problem.goal, last + 1, answer.elapsed);
            self.plans.insert(uid.to_owned(), plan);
        }
        for assignment in &solution.plan.assignments {
            let task = &problem.tasks[assignment.task];
            if let Some(member) =
                members.get(&(problem.batches[task.batch].key.as_str(), task.name.as_str()))
            {
                self.adopt_assignment(member, assignment, answer);
            }
        }
        for unplaced in &solution.plan.unplaced {
            if let Some(member) = members.get(&(unplaced.batch.as_str(), unplaced.task.as_str())) {
                let fix = unplaced
                    .fix
                    .as_ref()
                    .map(|fix| format!("; {fix}"))
                    .unwrap_or_default();
                let wait = Wait {
                    reason: unplaced.reason,
                    message: format!("{}{fix}", unplaced.message),
                    planned: None,
                };
                self.waits.insert(copy_id(member, unplaced.copy), wait);
            }
        }
    }

    /// A batch of which nothing starts now, and whose copies wait for the same reasons as before, keeps what
    /// was told of it until a planned start has passed: strangers come and go, and nobody wants to read that.
    fn keep_told(&mut self, old: &Planned, now: Timestamp) {
        let started: HashSet<&str> = self
            .launches
            .keys()
            .map(|copy| copy.batch_uid.as_str())
            .collect();
        let mut changed: HashSet<&str> = started;
        for (copy, wait) in &old.waits {
            let passed = wait.planned.is_some_and(|(start, _)| start <= now);
            if passed || self.waits.get(copy).map(|new| new.reason) != Some(wait.reason) {
                changed.insert(&copy.batch_uid);
            }
        }
        for copy in self
            .waits
            .keys()
            .filter(|copy| !old.waits.contains_key(copy))
        {
            changed.insert(&copy.batch_uid);
        }
        let kept: Vec<String> = old
            .plans
            .keys()
            .filter(|uid| self.plans.contains_key(*uid) && !changed.contains(uid.as_str()))
            .cloned()
            .collect();
        for uid in kept {
            let told = old.waits.iter().filter(|(copy, _)| copy.batch_uid == uid);
            self.waits
                .extend(told.map(|(copy, wait)| (copy.clone(), wait.clone())));
            self.plans.insert(uid.clone(), old.plans[&uid].clone());
            match old.ends.get(&uid) {
                Some(end) => self.ends.insert(uid, *end),
                None => self.ends.remove(&uid),
            };
        }
    }

    fn adopt_assignment(
        &mut self,
        member: &Member<'_>,
        assignment: &Assignment,
        answer: &Answer<'_>,
    ) {
        let problem = answer.problem;
        let uid = &member.tracked.id.uid;
        let id = copy_id(member, assignment.copy);
        let predicted = predicted(problem, assignment);
        let start = track::after(
            answer.now,
            Duration::from_millis(assignment.start.unsigned_abs()),
        );
        let end = track::after(start, Duration::from_millis(predicted.total.unsigned_abs()));
        if assignment.start == 0 {
            let launch = Launch {
                nodes: assignment
                    .nodes
                    .iter()
                    .map(|node| problem.nodes[*node].clone())
                    .collect(),
                requests: problem.tasks[assignment.task].modes[assignment.mode]
                    .requests
                    .clone(),
                end,
                predicted,
                plan: self.plans.get(uid).map_or(1, |plan| plan.revision),
            };
            self.waits.remove(&id);
            self.launches.insert(id, launch);
            return;
        }
        let last = self.ends.entry(uid.clone()).or_insert(end);
        *last = (*last).max(end);
        let wait = self.waits.entry(id).or_insert_with(|| Wait {
            reason: Reason::WaitingForCapacity,
            message: explain::waiting(answer.snapshot, &member.batch.tasks[member.task]),
            planned: None,
        });
        wait.planned = Some((start, predicted));
    }
}

fn copy_id(member: &Member<'_>, copy: u32) -> CopyId {
    CopyId {
        batch_uid: member.tracked.id.uid.clone(),
        task: member.batch.tasks[member.task].name.clone(),
        copy,
    }
}

fn predicted(problem: &Problem, assignment: &Assignment) -> PredictedMillis {
    let mode = &problem.tasks[assignment.task].modes[assignment.mode];
    let class_of = |node: &usize| {
        problem
            .classes
            .iter()
            .position(|class| class.nodes.binary_search(node).is_ok())
    };
    let runs = assignment
        .nodes
        .iter()
        .filter_map(|node| mode.run_on(class_of(node)?));
    let slowest = runs.max_by_key(|run| run.duration);
    PredictedMillis {
        read: slowest.map_or(0, |run| run.read),
        compute: slowest.map_or(0, |run| run.compute),
        total: assignment.end - assignment.start,
    }
}

/// What this plan holds is fixed for the groups after it.
fn reserve(snapshot: &mut Snapshot, problem: &Problem, solution: &Solution) {
    for assignment in &solution.plan.assignments {
        let demand: Resources = problem
            .resources
            .iter()
            .cloned()
            .zip(
                problem.tasks[assignment.task].modes[assignment.mode]
                    .demand
                    .iter()
                    .copied(),
            )
            .collect();
        for node in &assignment.nodes {
            snapshot.holds[*node].push(Hold {
                from: assignment.start,
                until: assignment.end,
                demand: demand.clone(),
            });
        }
    }
    for holds in &mut snapshot.holds {
        holds.sort();
    }
}
