//! Nodes and tasks of generated instances, as the intake of manifests would make them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draw::Draw;
use crate::cluster::compile::{self, Request};
use crate::model::{
    Batch, CPU, Estimate, Exact, Goal, MEMORY, Node, PODS, Placement, PodShape, Problem, Range,
    Resources, Scaling, Snapshot, Task, Together, Workers, exact,
};

/// The device of the generated nodes.
pub(super) const GPU: &str = "nvidia.com/gpu";
const GIB: i64 = 1 << 30;

/// Nodes, what is free on them, and batches: everything that an instance is.
#[derive(Clone)]
pub(super) struct World {
    pub(super) snapshot: Snapshot,
    pub(super) batch: Batch,
}

impl World {
    pub(super) fn new(goal: Goal, mut nodes: Vec<Node>, tasks: Vec<Task>) -> Self {
        // A snapshot finds its nodes by name.
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            snapshot: Snapshot {
                free: nodes.iter().map(|node| node.allocatable.clone()).collect(),
                holds: vec![Vec::new(); nodes.len()],
                nodes: nodes.into_iter().map(Arc::new).collect(),
                ..Snapshot::default()
            },
            batch: Batch {
                key: "bench/batch".into(),
                weight: 1,
                goal,
                tasks,
            },
        }
    }

    /// Takes what pods of others use on every node.
    pub(super) fn hold(&mut self, cpu: i64, memory: i64) {
        let held = Resources::from_iter([(CPU, cpu), (MEMORY, memory), (PODS, 1)]);
        for free in &mut self.snapshot.free {
            // Nodes are far larger than what is held on them.
            let _ = free.subtract(&held);
        }
    }

    /// What the solver sees, made by the same steps as for users.
    pub(super) fn compile(&self) -> Problem {
        let tasks = self.batch.tasks.iter().enumerate();
        let requests: Vec<Request> = tasks
            .map(|(task, meant)| Request {
                batch: &self.batch,
                task,
                copies: (0..meant.count).collect(),
                release: 0,
                due: meant.deadline,
            })
            .collect();
        compile::compile(&self.snapshot, &requests, self.batch.goal)
    }
}

/// A node of so many cores, GiB and GPUs.
pub(super) fn node(name: String, cores: i64, gib: i64, gpus: i64) -> Node {
    let amounts = [
        (CPU, 1000 * cores),
        (MEMORY, gib * GIB),
        (PODS, 110),
        (GPU, gpus),
    ];
    Node {
        labels: BTreeMap::from([("kubernetes.io/hostname".into(), name.clone())]),
        name,
        taints: Vec::new(),
        unschedulable: false,
        ready: true,
        allocatable: amounts
            .into_iter()
            .filter(|(_, amount)| *amount > 0)
            .collect(),
        speed: exact(1),
        price: exact(1),
        read_bandwidth: None,
    }
}

/// Nodes of 64 cores, 512 GiB and so many GPUs.
pub(super) fn gpu_nodes(count: usize, gpus: i64) -> Vec<Node> {
    let node = |index| node(format!("gpu-{index:05}"), 64, 512, gpus);
    (0..count).map(node).collect()
}

/// A task of one copy without ranges: 8 GiB, no work.
pub(super) fn task(name: String) -> Task {
    Task {
        together: Together::default(),
        name,
        count: 1,
        weight: 1,
        container: "main".into(),
        own: [(MEMORY, 8 * GIB)].into_iter().collect(),
        ranges: BTreeMap::new(),
        sized: None,
        shape: PodShape::default(),
        placement: Placement::default(),
        delegated: false,
        estimate: Estimate {
            read: exact(0),
            process: exact(60_000),
            guessed: false,
            scaling: Scaling::Linear,
            overlap: exact(0),
        },
        workers: Workers(vec![1]),
        after: Vec::new(),
        deadline: None,
        rate: exact(1),
        price: None,
        flavor: None,
        flavors: Vec::new(),
    }
}

/// What may be said of a task.
pub(super) trait TaskWords: Sized {
    /// 1 to so many GPUs with 4 cores each, so that growing along is exact.
    fn sized(self, gpus: i64) -> Self;
    fn ranging(self, resource: &str, min: i64, max: i64, step: i64) -> Self;
    /// Exactly this amount.
    fn taking(self, resource: &str, amount: i64) -> Self;
    fn lasting(self, process: Exact, read: Exact) -> Self;
    fn scaling(self, scaling: Scaling) -> Self;
    fn weighing(self, weight: i64) -> Self;
}

impl TaskWords for Task {
    fn sized(self, gpus: i64) -> Self {
        let task = self.ranging(GPU, 1, gpus, 1);
        let mut task = task.ranging(CPU, 4000, 4000 * gpus, 4000);
        task.sized = Some(GPU.into());
        task
    }

    fn ranging(mut self, resource: &str, min: i64, max: i64, step: i64) -> Self {
        self.ranges
            .insert(resource.into(), Range { min, max, step });
        self.sized = Some(resource.into());
        self
    }

    fn taking(mut self, resource: &str, amount: i64) -> Self {
        self.own.set(resource, amount);
        self
    }

    fn lasting(mut self, process: Exact, read: Exact) -> Self {
        (self.estimate.process, self.estimate.read) = (process, read);
        self
    }

    fn scaling(mut self, scaling: Scaling) -> Self {
        self.estimate.scaling = scaling;
        self
    }

    fn weighing(mut self, weight: i64) -> Self {
        self.weight = weight;
        self
    }
}

/// Amdahl's law for three of ten tasks, a power law for the others.
pub(super) fn any_scaling(draw: &mut Draw) -> Scaling {
    if draw.chance(0.3) {
        Scaling::Amdahl(draw.thousandths(800, 990))
    } else {
        Scaling::Power(draw.between(600, 950) as f64 / 1000.0)
    }
}
