//! Plans groups by priority, the highest first, as the operator does, and makes one plan of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Error;
use super::settings::Settings;
use crate::cli::manifest::Input;
use crate::cluster::compile::{self, Request};
use crate::decide::layers::{Layers, priorities};
use crate::model::{Assignment, Mode, Plan, Problem, Snapshot, Solution};
use crate::solver;
use crate::verify;

/// Everything to plan, by priority, the highest first.
pub struct Groups<'a>(Vec<Vec<Request<'a>>>);

impl<'a> Groups<'a> {
    /// Of all batches that were read.
    pub fn of(input: &'a Input) -> Self {
        let mut groups: BTreeMap<Reverse<i32>, Vec<Request<'a>>> = BTreeMap::new();
        for manifest in &input.batches {
            let tasks = &manifest.wire.spec.tasks;
            let priorities = priorities(tasks, &manifest.batch, &input.priorities);
            for (task, (meant, priority)) in manifest.batch.tasks.iter().zip(priorities).enumerate()
            {
                groups.entry(Reverse(priority)).or_default().push(Request {
                    batch: &manifest.batch,
                    task,
                    copies: (0..meant.count).collect(),
                    release: 0,
                    due: meant.deadline,
                });
            }
        }
        Self(groups.into_values().collect())
    }
}

/// The problem of all groups together, with a verified plan in which no group is delayed by a later one.
///
/// Each group gets the whole limit, so that its plan is the same whatever comes after it.
pub fn plan(
    groups: &Groups<'_>,
    snapshot: Snapshot,
    settings: &Settings,
    mut search: impl FnMut(&Problem) -> Result<(Solution, Duration), Error>,
) -> Result<(Problem, Solution, Duration), Error> {
    if let [all] = &groups.0[..] {
        let problem = compile::compile(&snapshot, all, settings.goal);
        let (solution, elapsed) = search(&problem)?;
        check(&problem, &solution)?;
        return Ok((problem, solution, elapsed));
    }
    let all: Vec<Request<'_>> = groups.0.iter().flatten().cloned().collect();
    let whole = compile::compile(&snapshot, &all, settings.goal);
    let mut merged = Merged::new(&whole);
    let mut layers = Layers::new(snapshot);
    let (mut elapsed, mut iterations) = (Duration::ZERO, 0);
    let mut found_by = None;
    for group in &groups.0 {
        let problem = layers.problem(group, settings.goal);
        let (solution, took) = search(&problem)?;
        check(&problem, &solution)?;
        layers.add(&problem, &solution);
        merged.add(&problem, &solution.plan)?;
        elapsed += took;
        iterations += solution.iterations;
        found_by.get_or_insert(solution.found_by);
    }
    let solution =
        solver::judge(&whole, merged.into_plan(), settings.algorithm).ok_or_else(unreadable)?;
    let solution = Solution {
        seed: settings.seed,
        iterations,
        found_by: found_by.unwrap_or(settings.algorithm),
        ..solution
    };
    check(&whole, &solution)?;
    Ok((whole, solution, elapsed))
}

fn check(problem: &Problem, solution: &Solution) -> Result<(), Error> {
    verify::check(problem, solution).map_err(|violations| {
        let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
        Error::Unverified(lines.join("\n"))
    })
}

fn unreadable() -> Error {
    Error::Unverified("the plans of the groups are none of the whole problem".into())
}

/// The plans of groups, in terms of the problem of all of them.
struct Merged<'p> {
    whole: &'p Problem,
    tasks: HashMap<(&'p str, &'p str), usize>,
    plan: Plan,
}

impl<'p> Merged<'p> {
    fn new(whole: &'p Problem) -> Self {
        let names = whole.tasks.iter().enumerate().map(|(index, task)| {
            let batch = whole.batches[task.batch].key.as_str();
            ((batch, task.name.as_str()), index)
        });
        Self {
            whole,
            tasks: names.collect(),
            plan: Plan::default(),
        }
    }

    /// Adds the plan of a group; `Err` where the whole problem has no such task or mode.
    fn add(&mut self, problem: &Problem, plan: &Plan) -> Result<(), Error> {
        for one in &plan.assignments {
            let (task, mode) = self.find(problem, one).ok_or_else(unreadable)?;
            self.plan.assignments.push(Assignment {
                task,
                mode,
                ..one.clone()
            });
        }
        self.plan.unplaced.extend(plan.unplaced.iter().cloned());
        Ok(())
    }

    /// The task and mode of the whole problem that these are.
    fn find(&self, problem: &Problem, one: &Assignment) -> Option<(usize, usize)> {
        let task = &problem.tasks[one.task];
        let name = (problem.batches[task.batch].key.as_str(), task.name.as_str());
        let index = *self.tasks.get(&name)?;
        let mode = &task.modes[one.mode];
        let is_same = |other: &Mode| {
            (&other.flavor, other.pods, &other.requests)
                == (&mode.flavor, mode.pods, &mode.requests)
        };
        let mut modes = self.whole.tasks[index].modes.iter();
        Some((index, modes.position(is_same)?))
    }

    fn into_plan(mut self) -> Plan {
        self.plan.assignments.sort();
        self.plan.unplaced.sort();
        self.plan
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::manifest::Manifest;
    use crate::cli::plan::settings::Limit;
    use crate::cluster::{intake, node, snapshot};
    use crate::model::Share;
    use crate::model::{Algorithm, Goal, Priorities};
    use crate::solver::{Budget, Improvement, Options};

    const CLASSES: [(&str, i32, bool); 3] =
        [("high", 9, false), ("usual", 0, true), ("low", -9, false)];

    /// A batch for each of the first classes.
    fn input(seed: u64, classes: usize) -> Input {
        let batches = CLASSES[..classes].iter().enumerate().map(|(index, (class, ..))| {
            let random = &mut ChaCha8Rng::seed_from_u64(seed * 3 + index as u64);
            let task = |task: usize, random: &mut ChaCha8Rng| {
                let cpu = random.random_range(1..=4);
                let after = match task > 0 && random.random_bool(0.3) {
                    true => vec![format!("t{}", task - 1)],
                    false => Vec::new(),
                };
                let mut fields = json!({
                    "name": format!("t{task}"), "count": random.random_range(1..=3), "dependsOn": after,
                    "weight": random.random_range(1..=4),
                    "template": {"spec": {"containers": [{"name": "main"}]}},
                    "resources": {"cpu": {"min": cpu, "max": cpu + random.random_range(0..=4)}},
                    "estimate": {"process": format!("{}s", random.random_range(1..=90))},
                });
                if random.random_bool(0.3) {
                    fields["deadline"] = json!(format!("{}s", random.random_range(1..=120)));
                }
                if *class != "usual" {
                    fields["priorityClassName"] = json!(class);
                }
                fields
            };
            let count = random.random_range(1..=5);
            let tasks: Vec<Value> = (0..count).map(|index| task(index, random)).collect();
            let wire = json!({"apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch",
                "metadata": {"name": class}, "spec": {"tasks": tasks}});
            let wire = serde_json::from_value(wire).expect("a batch");
            let batch = intake::read(&wire).expect("a good batch");
            Manifest { wire, batch }
        });
        let nodes = (0..2).map(|index| {
            let node = json!({"metadata": {"name": format!("n{index}")},
                "status": {"allocatable": {"cpu": "8", "pods": "20"}}});
            let node = serde_json::from_value(node).expect("a node");
            Arc::new(node::read(&node).expect("a good node"))
        });
        Input {
            batches: batches.collect(),
            nodes: nodes.collect(),
            pods: Vec::new(),
            priorities: CLASSES.into_iter().collect::<Priorities>(),
            topology: Arc::default(),
        }
    }

    /// Who runs where and when, as (batch, task, copy, start, end, nodes).
    type Places = BTreeSet<(String, String, u32, i64, i64, Vec<usize>)>;

    fn places(seed: u64, classes: usize, goal: Goal) -> (Places, Solution) {
        let input = input(seed, classes);
        let settings = Settings {
            goal,
            algorithm: Algorithm::Auto,
            limit: Limit::Iterations(120),
            seed,
            threads: 1,
            earlier: None,
            notes: Vec::new(),
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let nodes = snapshot::take(&input.nodes, &input.pods, now, Share::WHOLE);
        let search = |problem: &Problem| {
            let options = Options {
                algorithm: Algorithm::Auto,
                seed,
                budget: Budget::of_iterations(120),
            };
            let solution = solver::solve(problem, &options, None, &mut |_: &Improvement| {});
            Ok((solution, Duration::ZERO))
        };
        let planned = plan(&Groups::of(&input), nodes, &settings, search);
        // It has been verified in there, group by group and as a whole.
        let (problem, solution, _) = planned.unwrap_or_else(|error| panic!("{seed}: {error}"));
        let all = solution.plan.assignments.iter().map(|one| {
            let task = &problem.tasks[one.task];
            let batch = problem.batches[task.batch].key.clone();
            (
                batch,
                task.name.clone(),
                one.copy,
                one.start,
                one.end,
                one.nodes.clone(),
            )
        });
        (all.collect(), solution)
    }

    #[test]
    fn higher_priorities_are_planned_as_if_the_lower_ones_were_not_there() {
        let mut filled = 0;
        for seed in 0..60 {
            let goal = [Goal::FlowTime, Goal::Makespan, Goal::Cost][seed as usize % 3];
            let (all, _) = places(seed, 3, goal);
            for classes in [1, 2] {
                let (alone, solution) = places(seed, classes, goal);
                assert!(alone.is_subset(&all), "{seed} {classes}");
                assert_eq!(solution.plan.unplaced, [], "{seed}");
                let last = alone.iter().map(|place| place.3).max();
                let mut lower = all.difference(&alone);
                filled += usize::from(lower.any(|place| Some(place.3) < last));
            }
        }
        assert!(filled > 40, "only {filled} had something filled in");
    }
}
