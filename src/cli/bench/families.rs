//! The families of instances: each a few lines that say what is hard about it.

use std::fmt;
use std::sync::Arc;

use clap::ValueEnum;

use super::draw::Draw;
use super::hidden;
use super::throughput::Curves;
use super::world::{GPU, TaskWords, World, any_scaling, gpu_nodes, node, task};
use crate::model::{
    CPU, Exact, Exchange, Expression, Goal, HOSTNAME, Level, MEMORY, NodeSelectorTerm, Operator,
    Scaling, Taint, TaintEffect, Task, Toleration, Topology, Workers, exact,
};

/// Racks of the gangs, and their label.
const RACKS: usize = 4;
const RACK: &str = "example.com/rack";

/// A family of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Family {
    /// Tasks of 1 to 8 GPUs with lognormal work; speed-up by a power law or Amdahl's
    Moldable,
    /// Tasks of one size each
    Rigid,
    /// Pools of two kinds of GPU nodes and of CPU nodes, with selectors, taints and zones
    Hetero,
    /// The same pools, where most tasks on GPUs wait for one on CPUs that prepares their data
    Pipeline,
    /// Some tasks that fit nowhere, and others that hold a part of every node
    Tight,
    /// Gangs of 1 to 8 workers on nodes of 8 GPUs in 4 racks, which talk across hosts and racks
    Gang,
    /// Moldable tasks, 20 to 100 on 3 to 12 nodes by seed, with deadlines that a hidden plan meets
    Deadlines,
    /// Static: training jobs with measured or modelled speed-ups share nodes of 4 GPUs
    Throughput,
    /// 10,000 tasks on 5,000 nodes of two shapes
    Big,
    /// Big, planned again in a 25th of the time, from the earlier plan, after 1 % of the tasks have changed
    Replan,
    /// Static: the five tasks on 4 nodes of 4 units whose best shortfall is 6.0
    Seedcase,
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        out.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Sizes are drawn apart from what the instance is made of.
const SIZES: u64 = 1 << 40;

/// Sizes of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) tasks: usize,
    pub(super) nodes: usize,
}

impl Family {
    /// The sizes where none are asked for.
    pub(super) fn sizes(self) -> Sizes {
        let (tasks, nodes) = match self {
            Family::Moldable | Family::Rigid => (200, 16),
            Family::Hetero | Family::Pipeline => (200, 24),
            Family::Tight => (16, 4),
            Family::Gang => (200, 32),
            Family::Deadlines => (60, 8),
            Family::Throughput => (160, 64),
            Family::Big | Family::Replan => (10_000, 5_000),
            Family::Seedcase => (5, 4),
        };
        Sizes { tasks, nodes }
    }

    /// The sizes of the instance of this seed, where none are asked for.
    pub(super) fn sizes_of(self, seed: u64) -> Sizes {
        match self {
            Family::Deadlines => {
                let draw = &mut Draw::new(seed ^ SIZES);
                Sizes {
                    tasks: draw.between(20, 100) as usize,
                    nodes: draw.between(3, 12) as usize,
                }
            }
            _ => self.sizes(),
        }
    }

    /// The goals where none is asked for.
    pub(super) fn goals(self) -> &'static [Goal] {
        match self {
            Family::Moldable
            | Family::Rigid
            | Family::Hetero
            | Family::Pipeline
            | Family::Gang
            | Family::Tight => &[Goal::FlowTime, Goal::Makespan],
            Family::Big | Family::Replan | Family::Deadlines => &[Goal::FlowTime],
            Family::Throughput => &[Goal::Throughput],
            Family::Seedcase => &[Goal::Shortfall],
        }
    }

    /// The instance of this seed.
    pub(super) fn generate(self, sizes: Sizes, goal: Goal, seed: u64, curves: &Curves) -> World {
        let draw = &mut Draw::new(seed);
        let Sizes { tasks, nodes } = sizes;
        match self {
            Family::Moldable => World::new(goal, gpu_nodes(nodes, 8), moldable(draw, tasks)),
            Family::Rigid => World::new(goal, gpu_nodes(nodes, 8), rigid(draw, tasks)),
            Family::Hetero => hetero(draw, goal, tasks, nodes),
            Family::Pipeline => pipeline(draw, goal, tasks, nodes),
            Family::Tight => tight(draw, goal, tasks, nodes),
            Family::Gang => gangs(draw, goal, tasks, nodes),
            Family::Deadlines => {
                let tasks = moldable(draw, tasks);
                let mut world = World::new(goal, gpu_nodes(nodes, 8), tasks);
                hidden::give_deadlines(&mut world, draw);
                world
            }
            Family::Throughput => {
                World::new(goal, gpu_nodes(nodes, 4), training(draw, tasks, curves))
            }
            Family::Big | Family::Replan => big(draw, goal, tasks, nodes),
            Family::Seedcase => World::new(goal, gpu_nodes(nodes, 4), seed_case(tasks)),
        }
    }
}

fn name(index: usize) -> String {
    format!("t{index:05}")
}

/// One moldable task on up to so many GPUs.
fn moldable_task(draw: &mut Draw, index: usize) -> Task {
    let overlap = draw.pick(&[0, 0, 500, 1000]).copied().unwrap_or(0);
    let mut task = task(name(index))
        .sized(8)
        .lasting(draw.length(300_000.0), draw.length(10_000.0))
        .scaling(any_scaling(draw))
        .weighing(draw.between(1, 5));
    task.estimate.overlap = draw.thousandths(overlap, overlap);
    task
}

fn moldable(draw: &mut Draw, tasks: usize) -> Vec<Task> {
    (0..tasks).map(|index| moldable_task(draw, index)).collect()
}

fn rigid(draw: &mut Draw, tasks: usize) -> Vec<Task> {
    let rigid = |index| {
        let gpus = draw.pick(&[1, 1, 2, 4, 8]).copied().unwrap_or(1);
        task(name(index))
            .taking(GPU, gpus)
            .taking(CPU, 1000 * draw.between(1, 16))
            .lasting(draw.length(120_000.0), exact(0))
            .weighing(draw.between(1, 5))
    };
    (0..tasks).map(rigid).collect()
}

fn hetero(draw: &mut Draw, goal: Goal, tasks: usize, nodes: usize) -> World {
    let pools = [("a100", 8), ("t4", 4), ("cpu", 0)];
    let build = |index: usize| {
        let (pool, gpus) = pools[index % 3];
        let cores = if gpus > 0 { 64 } else { 32 };
        let mut node = node(format!("{pool}-{index:05}"), cores, 256, gpus);
        node.labels.insert("pool".into(), pool.into());
        node.labels.insert("zone".into(), format!("z{}", index % 2));
        if gpus > 0 {
            node.taints.push(Taint {
                key: GPU.into(),
                value: "present".into(),
                effect: TaintEffect::NoSchedule,
            });
        }
        node.unschedulable = index + 1 == nodes && nodes > 5;
        node.ready = index != 3 || nodes <= 7;
        node
    };
    let tasks = (0..tasks).map(|index| hetero_task(draw, index)).collect();
    let mut world = World::new(goal, (0..nodes).map(build).collect(), tasks);
    world.hold(1_100, 1 << 30);
    world
}

/// Three of five GPU tasks wait for some CPU task.
fn pipeline(draw: &mut Draw, goal: Goal, tasks: usize, nodes: usize) -> World {
    let mut world = hetero(draw, goal, tasks, nodes);
    let all = &mut world.batch.tasks;
    let on_cpus = all.iter().filter(|task| !task.ranges.contains_key(GPU));
    let names: Vec<String> = on_cpus.map(|task| task.name.clone()).collect();
    for task in all.iter_mut().filter(|task| task.ranges.contains_key(GPU)) {
        if draw.chance(0.6) {
            task.after.extend(draw.pick(&names).cloned());
        }
    }
    world
}

/// For any GPU pool, for one of them, or for CPUs; a fifth of those for no one pool wants zone z0.
fn hetero_task(draw: &mut Draw, index: usize) -> Task {
    let kind = draw.unit();
    let in_zone = draw.chance(0.2) && !(0.35..0.6).contains(&kind);
    let (pool, most) = draw
        .pick(&[("a100", 8), ("t4", 4)])
        .copied()
        .unwrap_or(("t4", 4));
    let task = task(name(index))
        .lasting(draw.length(200_000.0), exact(5_000))
        .weighing(draw.between(1, 5));
    let mut task = match kind {
        0.0..0.35 => task.sized(4).scaling(any_scaling(draw)),
        0.35..0.6 => task.sized(most).scaling(any_scaling(draw)),
        _ => task.ranging(CPU, 2_000, 16_000, 2_000),
    };
    if kind < 0.6 {
        task.placement.tolerations.push(Toleration {
            key: Some(GPU.into()),
            exists: true,
            value: String::new(),
            effect: Some(TaintEffect::NoSchedule),
        });
    }
    if (0.35..0.6).contains(&kind) {
        task.placement
            .node_selector
            .insert("pool".into(), pool.into());
    }
    if in_zone {
        let zone = Expression {
            key: "zone".into(),
            operator: Operator::In,
            values: vec!["z0".into()],
        };
        task.placement.required = Some(vec![NodeSelectorTerm {
            labels: vec![zone],
            fields: Vec::new(),
        }]);
    }
    task
}

/// Moldable tasks beside some that cannot run: too many GPUs, too much memory, no such pool, too large a gang,
/// a node held by others, a lost predecessor.
fn tight(draw: &mut Draw, goal: Goal, tasks: usize, nodes: usize) -> World {
    let mut all = moldable(draw, tasks);
    let mut elsewhere = task("no-such-pool".into()).taking(CPU, 1_000);
    elsewhere
        .placement
        .node_selector
        .insert("pool".into(), "tpu".into());
    let mut gang = task("gang-too-large".into()).taking(GPU, 8);
    gang.workers = Workers(vec![u32::try_from(nodes + 1).unwrap_or(u32::MAX)]);
    let mut held = task("cpu-held-by-others".into()).taking(CPU, 62_000);
    held.count = 2;
    let mut behind = task("after-hopeless".into()).taking(CPU, 1_000);
    behind.after = vec!["too-many-gpus".into()];
    all.extend([
        task("too-many-gpus".into()).taking(GPU, 16),
        task("too-much-memory".into()).taking(MEMORY, 2 << 40),
        elsewhere,
        gang,
        held,
        behind,
    ]);
    let mut world = World::new(goal, gpu_nodes(nodes, 8), all);
    world.hold(3_500, 1 << 30);
    world
}

/// Training in 1, 2, 4 or 8 workers of 1, 2, 4 or 8 GPUs each, with gradients of 100 MB to 2 GB: 25 GB/s and 10 us
/// between the hosts of a rack, 5 GB/s and 50 us between racks.
fn gangs(draw: &mut Draw, goal: Goal, tasks: usize, nodes: usize) -> World {
    let gang = |index: usize| {
        let gpus = draw.pick(&[1, 2, 4, 8]).copied().unwrap_or(1);
        let mut task = task(name(index))
            .taking(GPU, gpus)
            .taking(CPU, 4_000 * gpus)
            .lasting(draw.length(300_000.0), exact(2_000))
            .scaling(any_scaling(draw))
            .weighing(draw.between(1, 5));
        let least = draw.pick(&[1, 1, 2]).copied().unwrap_or(1);
        let numbers = std::iter::successors(Some(least), |number| Some(number * 2));
        task.workers = Workers(numbers.take_while(|number| *number <= 8).collect());
        task.together.exchange = Some(Exchange {
            bytes: exact(1_000_000 * draw.between(100, 2_000)),
            steps: draw.between(10, 100),
        });
        task
    };
    let gangs = (0..tasks).map(gang).collect();
    let mut all = gpu_nodes(nodes, 8);
    for (index, node) in all.iter_mut().enumerate() {
        let rack = format!("r{}", index * RACKS / nodes.max(1));
        node.labels.insert(RACK.into(), rack);
    }
    let level = |alias: &str, label: &str, gigabytes: i64, microseconds: i64| Level {
        alias: alias.into(),
        label: label.into(),
        bandwidth: Some(exact(1_000_000_000 * gigabytes)),
        latency: Exact::new(microseconds.into(), 1000.into()),
    };
    let mut world = World::new(goal, all, gangs);
    let levels = vec![level("rack", RACK, 5, 50), level("node", HOSTNAME, 25, 10)];
    world.snapshot.topology = Arc::new(Topology { levels });
    world
}

fn training(draw: &mut Draw, tasks: usize, curves: &Curves) -> Vec<Task> {
    let job = |index| {
        let table = Scaling::Table(curves.draw(draw));
        task(name(index))
            .sized(4)
            .scaling(table)
            .weighing(draw.between(1, 5))
    };
    (0..tasks).map(job).collect()
}

/// Three of ten nodes have 8 GPUs, three of five tasks want some; five copies of each.
fn big(draw: &mut Draw, goal: Goal, tasks: usize, nodes: usize) -> World {
    let gpus = nodes * 3 / 10;
    let mut all = gpu_nodes(gpus, 8);
    all.extend((gpus..nodes).map(|index| node(format!("cpu-{index:05}"), 32, 128, 0)));
    let copies = 5.min(tasks.max(1));
    let build = |index: usize| {
        let mut task = if index % 5 < 3 {
            moldable_task(draw, index)
        } else {
            task(name(index))
                .ranging(CPU, 4_000, 32_000, 4_000)
                .lasting(draw.length(300_000.0), exact(5_000))
                .weighing(draw.between(1, 5))
        };
        task.count = copies as u32;
        task
    };
    World::new(goal, all, (0..tasks / copies).map(build).collect())
}

/// Tasks (R, D, P) = (2,1,2) (3,2,3) (2,3,4) (1,4,5) (4,5,6), again and again where more are asked for.
fn seed_case(tasks: usize) -> Vec<Task> {
    let build = |index: usize| {
        let read = 1 + index as i64 % 5;
        task(name(index))
            .ranging(GPU, 1, 4, 1)
            .lasting(exact(1000 * (read + 1)), exact(1000 * read))
    };
    (0..tasks).map(build).collect()
}
