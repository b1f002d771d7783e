//! Problems to test with.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::model::{
    Exact, Goal, Hold, Mode, Near, NodeClass, PlannedBatch, PlannedTask, Problem, Resources, Run,
    Tier, ceil_i64, exact,
};

/// How large the numbers are, and how many there are.
#[derive(Clone, Copy, Debug)]
pub enum Sizes {
    /// So few that all plans can be enumerated.
    Tiny,
    /// Some nodes and tasks.
    Small,
    /// Amounts and times up to the limits of 64 bits.
    Huge,
}

/// A generated problem, from a seed, so that it shrinks to a number that names it.
pub fn problem(goal: Goal, sizes: Sizes) -> impl Strategy<Value = Problem> {
    // Small numbers do not make small problems here, so there is nothing to shrink.
    let make = move |seed| generate(goal, sizes, &mut ChaCha8Rng::seed_from_u64(seed));
    any::<u64>().no_shrink().prop_map(make)
}

struct Limits {
    classes: usize,
    nodes: usize,
    tasks: usize,
    copies: u32,
    modes: usize,
    pods: u32,
}

/// The problem of these random numbers.
pub fn generate(goal: Goal, sizes: Sizes, random: &mut ChaCha8Rng) -> Problem {
    let limits = match sizes {
        Sizes::Tiny => Limits {
            classes: 2,
            nodes: 2,
            tasks: 3,
            copies: 2,
            modes: 2,
            pods: 2,
        },
        _ => Limits {
            classes: 3,
            nodes: 4,
            tasks: 8,
            copies: 4,
            modes: 4,
            pods: 5,
        },
    };
    let resources = random.random_range(1..=2);
    let mut problem = Problem {
        goal,
        resources: (0..resources).map(|index| format!("r{index}")).collect(),
        batches: (0..random.random_range(1..=2))
            .map(|index| PlannedBatch {
                key: format!("ns/b{index}"),
                weight: random.random_range(1..=3),
            })
            .collect(),
        ..Problem::default()
    };
    for _ in 0..random.random_range(1..=limits.classes) {
        let class = class(&mut problem, &limits, sizes, random);
        problem.classes.push(class);
    }
    for index in 0..random.random_range(1..=limits.tasks) {
        if let Some(task) = task(&problem, index, &limits, sizes, random) {
            problem.tasks.push(task);
        }
    }
    problem
}

/// The same on nodes in racks and zones, with gangs that talk or must stand near each other.
pub fn problem_on_racks(goal: Goal, sizes: Sizes) -> impl Strategy<Value = Problem> {
    let make = move |seed| {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut problem = generate(goal, sizes, random);
        put_on_racks(&mut problem, sizes, random);
        problem
    };
    any::<u64>().no_shrink().prop_map(make)
}

fn put_on_racks(problem: &mut Problem, sizes: Sizes, random: &mut ChaCha8Rng) {
    let mut domain_of = vec![0; problem.nodes.len()];
    for level in 0..random.random_range(0..=2) {
        for class in &problem.classes {
            let own = random.random_range(0..2);
            class
                .nodes
                .iter()
                .for_each(|&node| domain_of[node] = 2 * domain_of[node] + own);
        }
        problem.levels.push(Tier {
            alias: format!("l{level}"),
            is_host: false,
            domains: domain_of.clone(),
        });
    }
    if random.random_bool(0.5) {
        problem.levels.push(Tier {
            alias: "host".into(),
            is_host: true,
            domains: (0..problem.nodes.len()).collect(),
        });
    }
    let (levels, above) = (
        problem.levels.len(),
        problem.levels.iter().filter(|tier| !tier.is_host).count(),
    );
    let mut tasks = std::mem::take(&mut problem.tasks);
    for task in &mut tasks {
        // The last level above the hosts and one node are the nearest.
        let level = match random.random_range(0..=above) {
            level if level == above => levels,
            level => level,
        };
        task.near = match random.random_range(0..4) {
            0 => Near::Within(level),
            1 => Near::Rather(level),
            _ => Near::Anywhere,
        };
        if !task
            .modes
            .iter()
            .any(|mode| fits_within(problem, task.near, mode))
        {
            task.near = Near::Anywhere;
        }
        for mode in task.modes.iter_mut().filter(|mode| mode.pods > 1) {
            if problem.goal.is_static() || random.random_bool(0.3) {
                continue;
            }
            let mut terms: Vec<i64> = (0..levels).map(|_| amount(sizes, 4, random)).collect();
            terms.sort_unstable_by_key(|term| std::cmp::Reverse(*term));
            for run in &mut mode.runs {
                let lasting = terms.iter().map(|term| run.duration.saturating_add(*term));
                run.across = lasting.collect();
            }
        }
    }
    problem.tasks = tasks;
}

/// Whether some domain that is small enough holds all pods.
fn fits_within(problem: &Problem, near: Near, mode: &Mode) -> bool {
    let Near::Within(level) = near else {
        return true;
    };
    let mut rooms = std::collections::BTreeMap::<usize, u64>::new();
    for run in &mode.runs {
        for &node in &problem.classes[run.class].nodes {
            let domain = match problem.levels.get(level) {
                Some(tier) => tier.domains[node],
                None => node,
            };
            *rooms.entry(domain).or_default() += u64::from(run.slots);
        }
    }
    rooms.values().any(|room| *room >= u64::from(mode.pods))
}

/// An amount up to `most`, or some power of two in the huge case.
fn amount(sizes: Sizes, most: i64, random: &mut ChaCha8Rng) -> i64 {
    if matches!(sizes, Sizes::Huge) && random.random_bool(0.5) {
        return i64::MAX >> random.random_range(0..62);
    }
    random.random_range(0..=most)
}

fn class(
    problem: &mut Problem,
    limits: &Limits,
    sizes: Sizes,
    random: &mut ChaCha8Rng,
) -> NodeClass {
    let first = problem.nodes.len();
    let nodes = random.random_range(1..=limits.nodes);
    problem
        .nodes
        .extend((first..first + nodes).map(|node| format!("n{node}")));
    if random.random_bool(0.1) {
        problem.nodes.push("used-by-nothing".into());
    }
    let resources = problem.resources.len();
    let mut class = NodeClass {
        nodes: (first..first + nodes).collect(),
        free: (0..resources)
            .map(|_| amount(sizes, 5, random) - 1)
            .collect(),
        holds: Vec::new(),
        held: Vec::new(),
    };
    for _ in 0..random.random_range(0..=2) {
        let from = random.random_range(-2..=4);
        let until = from + amount(sizes, 6, random).min(i64::MAX / 2);
        class.holds.push(Hold {
            from,
            until,
            demand: Resources::default(),
        });
        class
            .held
            .push((0..resources).map(|_| amount(sizes, 2, random)).collect());
    }
    class
}

fn task(
    problem: &Problem,
    index: usize,
    limits: &Limits,
    sizes: Sizes,
    random: &mut ChaCha8Rng,
) -> Option<PlannedTask> {
    let price = Exact::new(
        random.random_range(0..5).into(),
        random.random_range(1..4).into(),
    );
    let modes = (0..random.random_range(1..=limits.modes)).map(|size| Mode {
        flavor: None,
        requests: size_named(size as i64),
        ..mode(problem, &price, limits, sizes, random)
    });
    let modes: Vec<Mode> = modes.filter(|mode| !mode.runs.is_empty()).collect();
    let has_room = |mode: &Mode| {
        let slots = mode
            .runs
            .iter()
            .map(|run| u64::from(run.slots) * problem.classes[run.class].nodes.len() as u64);
        slots.sum::<u64>() >= u64::from(mode.pods)
    };
    let known = problem.tasks.len();
    modes.iter().any(has_room).then(|| PlannedTask {
        near: Near::Anywhere,
        batch: random.random_range(0..problem.batches.len()),
        name: format!("t{index}"),
        copies: (0..random.random_range(1..=limits.copies)).collect(),
        weight: amount(sizes, 3, random).max(1),
        release: amount(sizes, 3, random),
        due: None,
        after: (0..known).filter(|_| random.random_bool(0.2)).collect(),
        modes,
    })
}

/// Requests that no other mode of the task has.
fn size_named(size: i64) -> Resources {
    Resources::from_iter([("size", size)])
}

fn mode(
    problem: &Problem,
    price: &Exact,
    limits: &Limits,
    sizes: Sizes,
    random: &mut ChaCha8Rng,
) -> Mode {
    let demand: Vec<i64> = problem
        .resources
        .iter()
        .map(|_| amount(sizes, 3, random))
        .collect();
    let mut runs = Vec::new();
    for (index, class) in problem.classes.iter().enumerate() {
        let each = demand
            .iter()
            .zip(&class.free)
            .filter(|(demand, _)| **demand > 0);
        let slots = each
            .map(|(demand, free)| free / demand)
            .min()
            .unwrap_or(110)
            .clamp(0, 110);
        let duration = amount(sizes, 5, random);
        if slots > 0 && random.random_bool(0.8) {
            let price = price * exact(index as i64 + 1);
            let cost = ceil_i64(&(&price * exact(duration))).unwrap_or(i64::MAX);
            let slots = u32::try_from(slots).unwrap_or(u32::MAX);
            runs.push(Run {
                across: Vec::new(),
                class: index,
                duration,
                read: 0,
                compute: duration,
                slots,
                price,
                cost,
            });
        }
    }
    let pods = if random.random_bool(0.3) {
        random.random_range(1..=limits.pods)
    } else {
        1
    };
    let value = if problem.goal.is_static() {
        amount(sizes, 9, random)
    } else {
        0
    };
    Mode {
        communicate: Vec::new(),
        flavor: None,
        pods,
        requests: Resources::default(),
        demand,
        value,
        spends: Vec::new(),
        runs,
    }
}

/// Tasks (R, D, P) = (2,1,2) (3,2,3) (2,3,4) (1,4,5) (4,5,6) on 4 nodes of 4 units, 1 to 4 units each.
pub fn seed_case() -> Problem {
    let value = |r: i64, d: i64, p: i64| {
        1000 * r + (250 * d - 1000 * r).max(0) + (250 * p - 1000 * r).max(0)
    };
    let mode = |r: i64, d: i64, p: i64| Mode {
        communicate: Vec::new(),
        flavor: None,
        pods: 1,
        requests: Resources::default(),
        demand: vec![r],
        value: value(r, d, p),
        spends: Vec::new(),
        runs: vec![run(
            0,
            1000 * (d + p) / r,
            u32::try_from(4 / r).unwrap_or(0),
        )],
    };
    let task = |(index, (d, p)): (usize, (i64, i64))| PlannedTask {
        near: Near::Anywhere,
        batch: 0,
        name: format!("t{index}"),
        copies: vec![0],
        weight: 1,
        release: 0,
        due: None,
        after: Vec::new(),
        modes: (1..=4).map(|r| mode(r, d, p)).collect(),
    };
    Problem {
        goal: Goal::Shortfall,
        tasks: [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6)]
            .into_iter()
            .enumerate()
            .map(task)
            .collect(),
        ..nodes(4, 4)
    }
}

pub fn nodes(count: usize, gpus: i64) -> Problem {
    Problem {
        resources: vec!["example.com/gpu".into()],
        nodes: (0..count).map(|node| format!("n{node}")).collect(),
        classes: vec![NodeClass {
            nodes: (0..count).collect(),
            free: vec![gpus],
            holds: Vec::new(),
            held: Vec::new(),
        }],
        batches: vec![PlannedBatch {
            key: "ns/batch".into(),
            weight: 1,
        }],
        ..Problem::default()
    }
}

pub fn run(class: usize, duration: i64, slots: u32) -> Run {
    Run {
        across: Vec::new(),
        class,
        duration,
        read: 0,
        compute: duration,
        slots,
        price: exact(1),
        cost: duration,
    }
}

/// Tasks of 1 to 8 GPUs with a power law of speed-up, on nodes of 8.
pub fn moldable(tasks: usize, count: usize, seed: u64) -> Problem {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut task = |index: usize| {
        let work = 10_000.0 * f64::from(random.random_range(1..100u32));
        let exponent = f64::from(random.random_range(60..96u32)) / 100.0;
        let mode = |gpus: i64| Mode {
            communicate: Vec::new(),
            flavor: None,
            pods: 1,
            requests: size_named(gpus),
            demand: vec![gpus],
            value: 0,
            spends: Vec::new(),
            runs: vec![run(
                0,
                (work / (gpus as f64).powf(exponent)) as i64,
                u32::try_from(8 / gpus).unwrap_or(0),
            )],
        };
        PlannedTask {
            near: Near::Anywhere,
            batch: 0,
            name: format!("t{index}"),
            copies: vec![0],
            weight: random.random_range(1..=5),
            release: 0,
            due: None,
            after: Vec::new(),
            modes: (1..=8).map(mode).collect(),
        }
    };
    Problem {
        tasks: (0..tasks).map(&mut task).collect(),
        ..nodes(count, 8)
    }
}

/// The same, every other one a gang of 2 to 8 pods of 1 to 3 GPUs, on nodes of 4; some wait for the one before.
pub fn gangs(tasks: usize, count: usize, seed: u64) -> Problem {
    let mut problem = moldable(tasks, count, seed);
    problem.classes[0].free = vec![4];
    for (index, task) in problem.tasks.iter_mut().enumerate() {
        task.modes.retain(|mode| mode.demand[0] <= 3);
        if index % 4 == 3 {
            task.after = vec![index - 1];
        }
        if index % 2 == 0 {
            let gang = |pods: u32, mode: &Mode| Mode {
                pods,
                runs: vec![run(0, mode.runs[0].duration * 2 / i64::from(pods), 0)],
                ..mode.clone()
            };
            let modes = [2, 4, 8].map(|pods| task.modes.iter().map(move |mode| gang(pods, mode)));
            task.modes = modes.into_iter().flatten().collect();
        }
        let of_four = |mode: &mut Mode| {
            mode.runs[0].slots = u32::try_from(4 / mode.demand[0]).unwrap_or(0);
        };
        task.modes.iter_mut().for_each(of_four);
    }
    problem
}
