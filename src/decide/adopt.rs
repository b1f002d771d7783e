//! Takes over what a verified plan says: launches, waits, and what is told of the plan.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Memory;
use super::attempt::after;
use super::group::{Group, Member};
use super::plan::{Launch, Planned, Wait};
use super::track::Tracked;
use super::world::CopyId;
use crate::cluster::explain;
use crate::cluster::pod::PredictedMillis;
use crate::model::{Assignment, Problem, Reason, Snapshot, Solution};

/// A verified plan of one group.
pub struct Answer<'a> {
    pub problem: &'a Problem,
    pub solution: &'a Solution,
    pub elapsed: Duration,
    pub snapshot: &'a Snapshot,
    pub now: Timestamp,
}

impl Planned {
    /// Takes over what a verified plan says: launches, waits, and the plan's figures for each batch in it.
    pub fn adopt(&mut self, group: &Group<'_>, answer: &Answer<'_>) {
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
    pub fn keep_told(&mut self, old: &Planned, now: Timestamp) {
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

    /// A copy that finds no node because its task keeps off those that kube-scheduler refused is told what
    /// kube-scheduler said.
    pub fn keep_setbacks(&mut self, memory: &Memory) {
        for (copy, wait) in &mut self.waits {
            let refusal = memory.refusals.get(copy);
            let refusal = refusal.filter(|refusal| refusal.reason == Reason::Unschedulable);
            if let (Some(refusal), Reason::NoMatchingNode) = (refusal, wait.reason) {
                wait.reason = Reason::Unschedulable;
                wait.message.clone_from(&refusal.message);
            }
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
        let start = after(
            answer.now,
            Duration::from_millis(assignment.start.unsigned_abs()),
        );
        let end = after(start, Duration::from_millis(predicted.total.unsigned_abs()));
        if let (Some(due), Some(&earliest)) = (
            member.due,
            answer.solution.earliest_ends.get(assignment.task),
        ) {
            let earliest = after(answer.now, Duration::from_millis(earliest.unsigned_abs()));
            if earliest > due {
                self.unreachable.insert(id.clone(), earliest);
            }
        }
        let mode = &problem.tasks[assignment.task].modes[assignment.mode];
        if assignment.start == 0 {
            let launch = Launch {
                flavor: mode.flavor.clone(),
                level: problem.level_of(assignment).map(str::to_owned),
                nodes: assignment
                    .nodes
                    .iter()
                    .map(|node| problem.nodes[*node].clone())
                    .collect(),
                requests: mode.requests.clone(),
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
        let wait = self.waits.entry(id).or_insert_with(|| {
            let (reason, message) = if assignment.start == member.release {
                // Nothing else has been told of it: see `outlast_predecessor`.
                let message =
                    "the operator has just begun; what was asked for before may still come";
                (Reason::PlanPending, message.to_owned())
            } else {
                let task = &member.batch.tasks[member.task];
                let way = task.in_flavor(mode.flavor.as_deref());
                let message = explain::waiting(answer.snapshot, way);
                (Reason::WaitingForCapacity, message)
            };
            Wait {
                reason,
                message,
                planned: None,
            }
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
    let level = problem.spanned(&assignment.nodes);
    let slowest = runs.max_by_key(|run| run.lasting(level));
    PredictedMillis {
        read: slowest.map_or(0, |run| run.read),
        compute: slowest.map_or(0, |run| run.compute),
        communicate: problem.communication(assignment),
        total: assignment.end - assignment.start,
    }
}
