//! What a plan costs to make: the first one, one more, and the bounds.

use divan::Bencher;
use taskbatch::model::{
    Algorithm, Goal, Mode, Near, NodeClass, PlannedBatch, PlannedTask, Problem, Resources, Run,
    exact,
};
use taskbatch::solver::{Budget, Improvement, Options, solve};

fn main() {
    divan::main();
}

/// Tasks and nodes.
const SIZES: [(usize, usize); 4] = [(50, 4), (200, 16), (1_000, 64), (10_000, 5_000)];

/// The first plan, with everything derived from the problem and the bounds on it.
#[divan::bench(args = SIZES, sample_count = 5)]
fn first_flow_time_plan(bencher: Bencher, (tasks, nodes): (usize, usize)) {
    let problem = moldable(tasks, nodes, Goal::FlowTime);
    bencher.bench(|| plan(&problem, Algorithm::Greedy, 1));
}

/// The first plan for the last end.
#[divan::bench(args = SIZES, sample_count = 5)]
fn first_makespan_plan(bencher: Bencher, (tasks, nodes): (usize, usize)) {
    let problem = moldable(tasks, nodes, Goal::Makespan);
    bencher.bench(|| plan(&problem, Algorithm::Greedy, 1));
}

/// A thousand plans of a genetic search.
#[divan::bench(args = [(50, 4), (200, 16)], sample_count = 3)]
fn a_thousand_genetic_plans(bencher: Bencher, (tasks, nodes): (usize, usize)) {
    let problem = moldable(tasks, nodes, Goal::FlowTime);
    bencher.bench(|| plan(&problem, Algorithm::Genetic, 1_000));
}

/// A thousand plans of the other searches that go through the decoder.
#[divan::bench(args = [Algorithm::ParticleSwarm, Algorithm::RuinRecreate], sample_count = 3)]
fn a_thousand_plans(bencher: Bencher, algorithm: Algorithm) {
    let problem = moldable(200, 16, Goal::FlowTime);
    bencher.bench(|| plan(&problem, algorithm, 1_000));
}

/// Plans of a project of 30 activities on one node, with a budget: what a single schedule costs, times ten thousand.
#[divan::bench(args = [Algorithm::Genetic, Algorithm::ParticleSwarm, Algorithm::RuinRecreate], sample_count = 3)]
fn ten_thousand_plans_of_a_project(bencher: Bencher, algorithm: Algorithm) {
    let problem = project();
    bencher.bench(|| plan(&problem, algorithm, 10_000));
}

/// Everything at once.
#[divan::bench(args = [(160, 64), (10_000, 5_000)], sample_count = 3)]
fn first_throughput_plan(bencher: Bencher, (tasks, nodes): (usize, usize)) {
    let problem = moldable(tasks, nodes, Goal::Throughput);
    bencher.bench(|| plan(&problem, Algorithm::Greedy, 1));
}

fn plan(problem: &Problem, algorithm: Algorithm, iterations: u64) -> i64 {
    let budget = Budget::of_iterations(iterations);
    let options = Options {
        algorithm,
        seed: 1,
        budget,
    };
    solve(problem, &options, None, &mut |_: &Improvement| {}).objective
}

/// Thirty moldable tasks on one node, each after one or two earlier ones; using more devices uses up more.
fn project() -> Problem {
    let mut problem = moldable(30, 1, Goal::Makespan);
    problem.budgets = vec![100];
    for (index, task) in problem.tasks.iter_mut().enumerate().skip(3) {
        task.after = vec![index / 2, index - 3];
        for mode in &mut task.modes {
            mode.spends = vec![mode.demand[0]];
        }
    }
    problem
}

/// Tasks of 1 to 8 devices with 4 cores each and a power law of speed-up, on nodes of 8 devices and 64 cores.
fn moldable(tasks: usize, nodes: usize, goal: Goal) -> Problem {
    // A linear congruential generator: the instances need no better numbers, and stay the same for ever.
    let mut state = 1u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let mut task = |index: usize| {
        let normal = (0..12).map(|_| random()).sum::<f64>() - 6.0;
        let (work, read) = (
            300_000.0 * normal.exp().min(20.0),
            10_000.0 * (2.0 * random() - 1.0).exp(),
        );
        let exponent = 0.6 + 0.35 * random();
        let mode = |gpus: i64| {
            let speedup = (gpus as f64).powf(exponent);
            let duration = (read + work / speedup).ceil() as i64;
            Mode {
                communicate: Vec::new(),
                flavor: None,
                pods: 1,
                requests: Resources::default(),
                demand: vec![gpus, 4_000 * gpus, 8 << 30, 1],
                value: (1000.0 * speedup) as i64,
                spends: Vec::new(),
                runs: vec![Run {
                    across: Vec::new(),
                    class: 0,
                    duration,
                    read: read as i64,
                    compute: duration - read as i64,
                    slots: u32::try_from(8 / gpus).unwrap_or(0),
                    price: exact(1),
                    cost: duration,
                }],
            }
        };
        PlannedTask {
            near: Near::Anywhere,
            batch: 0,
            name: format!("t{index}"),
            copies: vec![0],
            weight: 1 + (5.0 * random()) as i64,
            release: 0,
            due: None,
            after: Vec::new(),
            modes: (1..=8).map(mode).collect(),
        }
    };
    Problem {
        goal,
        resources: ["nvidia.com/gpu", "cpu", "memory", "pods"]
            .map(String::from)
            .into(),
        nodes: (0..nodes).map(|node| format!("n{node}")).collect(),
        classes: vec![NodeClass {
            nodes: (0..nodes).collect(),
            free: vec![8, 64_000, 512 << 30, 110],
            holds: Vec::new(),
            held: Vec::new(),
        }],
        batches: vec![PlannedBatch {
            key: "ns/batch".into(),
            weight: 1,
        }],
        tasks: (0..tasks).map(&mut task).collect(),
        levels: Vec::new(),
        unplaceable: Vec::new(),
        budgets: Vec::new(),
    }
}
