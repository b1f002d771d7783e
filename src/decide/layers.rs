//! Groups of tasks one after the other, the highest priority first: what an earlier group holds, now or later, is
//! fixed for the ones after it (conservative backfilling: Mu'alem and Feitelson 2001). A later group fills what is
//! left, and delays nothing that is planned before it.

use std::collections::HashMap;

use crate::api::TaskSpec;
use crate::cluster::compile::{self, Request};
use crate::model::{
    Batch, Fix, Goal, Hold, Millis, Priorities, Problem, Reason, Resources, Snapshot, Solution,
    Unplaced,
};

/// What earlier groups leave to the next one.
pub struct Layers {
    snapshot: Snapshot,
    /// When the last copy of each planned task ends, by batch and task; `None` where one has no place.
    ends: HashMap<(String, String), Option<Millis>>,
}

impl Layers {
    /// Nothing is planned yet.
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            ends: HashMap::new(),
        }
    }

    /// The nodes, with what all groups so far hold.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The problem of the next group. What waits for tasks of earlier groups starts when they have ended; behind one
    /// without a place it has none either.
    pub fn problem(&self, requests: &[Request<'_>], goal: Goal) -> Problem {
        let mut wanted = Vec::with_capacity(requests.len());
        let mut hopeless = Vec::new();
        for request in requests {
            match self.release(request) {
                Ok(release) => wanted.push(Request {
                    release,
                    ..request.clone()
                }),
                Err(before) => hopeless.push((request, before)),
            }
        }
        let mut problem = compile::compile(&self.snapshot, &wanted, goal);
        for (request, before) in hopeless {
            problem.unplaceable.extend(unplaced(request, before));
        }
        problem
    }

    /// From when on the copies may start; or the task of an earlier group that has no place.
    fn release<'r>(&self, request: &Request<'r>) -> Result<Millis, &'r str> {
        let mut release = request.release;
        for before in &request.batch.tasks[request.task].after {
            match self.ends.get(&(request.batch.key.clone(), before.clone())) {
                Some(Some(end)) => release = release.max(*end),
                Some(None) => return Err(before),
                None => {}
            }
        }
        Ok(release)
    }

    /// Goes on without a plan of a group: what waits for it has no place either.
    pub fn skip(&mut self, requests: &[Request<'_>]) {
        for request in requests {
            let name = &request.batch.tasks[request.task].name;
            self.ends
                .insert((request.batch.key.clone(), name.clone()), None);
        }
    }

    /// Adds the plan of a group.
    pub fn add(&mut self, problem: &Problem, solution: &Solution) {
        for one in &solution.plan.assignments {
            let task = &problem.tasks[one.task];
            let demand = task.modes[one.mode].demand.iter().copied();
            let demand: Resources = problem.resources.iter().cloned().zip(demand).collect();
            // Without a time axis everything runs at once, also what takes no time.
            let until = match problem.goal.is_static() {
                true => one.end.max(1),
                false => one.end,
            };
            for node in &one.nodes {
                self.snapshot.holds[*node].push(Hold {
                    from: one.start,
                    until,
                    demand: demand.clone(),
                });
            }
            let key = (problem.batches[task.batch].key.clone(), task.name.clone());
            let last = self.ends.entry(key).or_insert(Some(one.end));
            *last = last.map(|last| last.max(one.end));
        }
        for one in &solution.plan.unplaced {
            self.ends
                .insert((one.batch.clone(), one.task.clone()), None);
        }
        for holds in &mut self.snapshot.holds {
            holds.sort();
        }
    }
}

fn unplaced(request: &Request<'_>, before: &str) -> Vec<Unplaced> {
    let one = |&copy: &u32| Unplaced {
        batch: request.batch.key.clone(),
        task: request.batch.tasks[request.task].name.clone(),
        copy,
        reason: Reason::DependencyUnplaced,
        message: format!("waits for {before}, which has no place"),
        fix: Some(Fix::PlaceDependencies),
    };
    request.copies.iter().map(one).collect()
}

/// The priority at which each task is planned: that of its class, or that of the most important task that waits for it.
/// The API server refuses pods of a class that is not there.
pub fn priorities(tasks: &[TaskSpec], batch: &Batch, classes: &Priorities) -> Vec<i32> {
    let own = tasks.iter().map(|task| {
        let class = task.priority_class_name.as_deref();
        classes.of(class).unwrap_or(0)
    });
    inherited(batch, &own.collect::<Vec<_>>())
}

fn inherited(batch: &Batch, own: &[i32]) -> Vec<i32> {
    let mut priorities = own.to_vec();
    if own.iter().all(|priority| *priority == own[0]) {
        return priorities;
    }
    let at: HashMap<&str, usize> = batch
        .tasks
        .iter()
        .enumerate()
        .map(|(index, task)| (task.name.as_str(), index))
        .collect();
    let mut raised: Vec<usize> = (0..batch.tasks.len()).collect();
    while let Some(task) = raised.pop() {
        for before in batch.tasks[task]
            .after
            .iter()
            .filter_map(|name| at.get(name.as_str()))
        {
            if priorities[*before] < priorities[task] {
                priorities[*before] = priorities[task];
                raised.push(*before);
            }
        }
    }
    priorities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::intake;

    #[test]
    fn what_others_wait_for_is_as_important_as_they_are() {
        let task = |name: &str, after: &[&str]| {
            serde_json::json!({"name": name, "dependsOn": after,
                "template": {"spec": {"containers": [{"name": "main"}]}}})
        };
        let tasks = [
            task("report", &["train"]),
            task("train", &["prepare"]),
            task("prepare", &[]),
            task("other", &["prepare"]),
        ];
        let manifest = serde_json::json!({"apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch",
            "metadata": {"name": "b"}, "spec": {"tasks": tasks}});
        let batch = serde_json::from_value(manifest).expect("a batch");
        let batch = intake::read(&batch).expect("a good batch");
        assert_eq!(inherited(&batch, &[7, 0, -3, 9]), [7, 7, 9, 9]);
        assert_eq!(inherited(&batch, &[1, 1, 1, 1]), [1, 1, 1, 1]);
    }
}
