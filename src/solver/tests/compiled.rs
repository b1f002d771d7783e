//! From nodes, pods and tasks through compile, search and check; and what waiting copies are told is true.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cluster::compile::{Request, compile};
use crate::cluster::fixture::{cases, snapshot, task};
use crate::model::{
    Algorithm, Batch, Fix, Goal, Hold, NodeClass, Plan, Problem, Resources, Run, Snapshot,
};
use crate::verify::{self, Violation};

use super::hostile::{End, Named, alone, judge, solved, some};

/// Nodes on which, now and then, pods of our own still run.
fn world(random: &mut ChaCha8Rng) -> Snapshot {
    let mut snapshot = snapshot(random);
    for holds in &mut snapshot.holds {
        if random.random_bool(0.2) {
            holds.push(Hold {
                from: 0,
                until: random.random_range(1..20_000),
                demand: [("cpu", random.random_range(0..4)), ("pods", 1)]
                    .into_iter()
                    .collect(),
            });
        }
    }
    snapshot
}

fn batch(goal: Goal, random: &mut ChaCha8Rng) -> Batch {
    let tasks = (0..random.random_range(1..=6)).map(|index| {
        let mut task = task(random);
        task.name = format!("t{index}");
        task.count = random.random_range(1..=3);
        task.weight = random.random_range(1..=3);
        if index > 0 && random.random_bool(0.2) {
            task.after
                .push(format!("t{}", random.random_range(0..index)));
        }
        task
    });
    Batch {
        key: "ns/b".into(),
        weight: 1,
        goal,
        tasks: tasks.collect(),
    }
}

fn problem(snapshot: &Snapshot, batch: &Batch) -> Problem {
    let request = |task: usize| Request {
        batch,
        task,
        copies: (0..batch.tasks[task].count).collect(),
        release: 0,
        due: None,
    };
    let requests: Vec<Request> = (0..batch.tasks.len()).map(request).collect();
    compile(snapshot, &requests, batch.goal)
}

/// The problem with so many more nodes with this room, on which everything runs as it does elsewhere.
fn with_nodes(problem: &Problem, count: u32, free: Vec<i64>, of: Option<usize>) -> Problem {
    let mut problem = problem.clone();
    let (class, first) = (problem.classes.len(), problem.nodes.len());
    let nodes: Vec<usize> = match of {
        Some(node) => vec![node],
        None => (first..first + count as usize).collect(),
    };
    if of.is_none() {
        let names = nodes.iter().map(|node| format!("new-{node}"));
        problem.nodes.extend(names);
        for tier in &mut problem.levels {
            let new = tier.domains.iter().max().map_or(0, |last| last + 1);
            let numbers = (0..nodes.len()).map(|at| if tier.is_host { new + at } else { new });
            tier.domains.extend(numbers);
        }
    }
    let mut like: Option<usize> = None;
    for (at, known) in problem.classes.iter_mut().enumerate() {
        if of.is_some_and(|node| known.nodes.contains(&node)) {
            known.nodes.retain(|node| Some(*node) != of);
            like = Some(at);
        }
    }
    problem.classes.push(NodeClass {
        nodes,
        free,
        holds: Vec::new(),
        held: Vec::new(),
    });
    for mode in problem.tasks.iter_mut().flat_map(|task| &mut task.modes) {
        let run = match like {
            Some(class) => mode.runs.iter().find(|run| run.class == class),
            None => mode.runs.first(),
        };
        mode.runs
            .extend(run.cloned().map(|run| Run { class, ..run }));
    }
    problem
}

fn applied(problem: &Problem, fix: &Fix) -> Option<Problem> {
    let amounts = |of: &Resources| problem.resources.iter().map(|name| of.get(name)).collect();
    match fix {
        Fix::AddNodes { count, room, .. } => Some(with_nodes(problem, *count, amounts(room), None)),
        Fix::Free { node, more } => {
            let at = problem.nodes.iter().position(|name| name == node)?;
            let class = problem
                .classes
                .iter()
                .find(|class| class.nodes.contains(&at))?;
            let more: Vec<i64> = amounts(more);
            let free = class
                .free
                .iter()
                .zip(more)
                .map(|(free, more)| free + more)
                .collect();
            Some(with_nodes(problem, 1, free, Some(at)))
        }
        _ => None,
    }
}

fn smaller(fix: &Fix) -> Vec<Fix> {
    let each = |of: &Resources| -> Vec<Resources> {
        let less = |(name, amount): (&str, i64)| {
            let mut other = of.clone();
            other.set(name, amount - 1);
            other
        };
        of.iter().map(less).collect()
    };
    match fix {
        Fix::AddNodes {
            count,
            room,
            matching,
            within,
        } => {
            let add = |count: u32, room: Resources| Fix::AddNodes {
                count,
                room,
                matching: *matching,
                within: within.clone(),
            };
            let rooms = each(room).into_iter().map(|room| add(*count, room));
            rooms.chain([add(count - 1, room.clone())]).collect()
        }
        Fix::Free { node, more } => {
            let free = |more| Fix::Free {
                node: node.clone(),
                more,
            };
            each(more).into_iter().map(free).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the check finds room for the task beside all that is planned.
fn has_room(problem: &Problem, plan: &Plan, task: &str) -> bool {
    let found = verify::check_plan(problem, plan).err().unwrap_or_default();
    found
        .iter()
        .any(|one| matches!(one, Violation::LeftOut { copy, .. } if copy.task == task))
}

#[test]
fn compiled_problems_get_valid_plans_and_true_fixes() {
    alone(|| {
        let mut fixes = 0;
        for seed in 0..cases(3_000) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let goal = some(&Goal::ALL, &mut random);
            let algorithm = some(&Algorithm::ALL, &mut random);
            let batch = batch(goal, &mut random);
            let problem = problem(&world(&mut random), &batch);
            let _named = Named(format!("case {seed}: {algorithm} for {goal}"));
            let solution = solved(
                &problem,
                algorithm,
                seed,
                End::Plans(random.random_range(1..40)),
            );
            judge(&problem, &solution);
            for unplaced in &solution.plan.unplaced {
                if problem.unplaceable.contains(unplaced) {
                    continue;
                }
                let fix = unplaced.fix.as_ref().expect("a fix");
                let mended = applied(&problem, fix).expect("more room");
                let name = unplaced.task.as_str();
                assert!(has_room(&mended, &solution.plan, name), "{unplaced:?}");
                for less in smaller(fix) {
                    let nearly = applied(&problem, &less).expect("more room");
                    assert!(
                        !has_room(&nearly, &solution.plan, name),
                        "{less} for {unplaced:?}"
                    );
                }
                fixes += 1;
            }
        }
        println!("{fixes} fixes of waiting copies");
        assert!(fixes > 100, "{fixes}");
    });
}
