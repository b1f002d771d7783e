//! The problem as branch and bound reads it: few copies, the ways to run them, and only resources that can
//! be scarce.

use std::ops::Range;

use crate::model::{Goal, Millis};
use crate::solver::instance::gauge::Gauge;
use crate::solver::instance::profile::{Profile, Request};
use crate::solver::instance::{Gang, Instance, ModeView, RunView, TaskView};

use super::scarce::scarce;

/// A set of copies is one word.
pub(super) const MOST_JOBS: usize = 64;

/// Sums of weight x time stay below this, so that floats hold them exactly.
const LARGEST: i128 = 1 << 52;

/// At most [`MOST_JOBS`] copies of a timed problem that share nodes with no others.
pub(super) struct Jobs {
    /// Predecessors come first.
    pub jobs: Vec<Job>,
    /// All ways of the first job, then all of the second, ...
    pub ways: Vec<Way>,
    pub classes: Vec<Class>,
    /// Resources that can be scarce.
    pub stride: usize,
    /// What prices are put on: the curves of the first class, then those of the second, ...
    pub curves: Vec<Curve>,
    /// What all copies together may use up.
    pub budgets: Vec<i64>,
    /// Weights of the batches.
    pub batches: Vec<i64>,
    pub is_flow: bool,
}

/// A resource of a class, in one of the ways to measure it.
#[derive(Clone, Copy)]
pub(super) struct Curve {
    pub class: usize,
    pub resource: usize,
    pub gauge: Gauge,
}

/// One copy; what it waits for are indices of jobs.
#[derive(Clone)]
pub(super) struct Job {
    /// Index into `Instance::task_of`.
    pub copy: usize,
    pub batch: usize,
    pub weight: i64,
    /// No earlier start, whatever the others do.
    pub head: Millis,
    /// The copies that must have ended before, one bit each.
    pub before: u64,
    /// The copy before this one among equal copies; of these the first starts first.
    pub twin: Option<usize>,
    /// Range of `Jobs::ways`.
    pub ways: Range<usize>,
    /// The shortest of its ways.
    pub least: Millis,
}

/// A mode with its duration: on one class, or for a gang on several of which the slowest is used.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub job: usize,
    /// Index into `TaskView::modes`.
    pub mode: usize,
    pub pods: u32,
    pub request: Request,
    pub duration: Millis,
    /// What it uses up of each budget.
    pub spends: Vec<i64>,
    pub lanes: Vec<Lane>,
    /// Whether all pods are on one node.
    pub is_packed: bool,
}

/// A class that a way may use.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Lane {
    pub class: usize,
    /// Whether a pod alone takes as long as the whole way; one such class is always used.
    pub is_slowest: bool,
    /// How long a pod takes by the outermost level of the network that the gang spans, last where it spans none; empty
    /// where that makes no difference.
    pub lasting: Vec<Millis>,
    /// The domain of the class at each level above the hosts.
    pub domains: Vec<usize>,
}

/// Equal nodes.
#[derive(Clone)]
pub(super) struct Class {
    pub size: usize,
    pub base: Profile,
    /// Range of `Jobs::curves`.
    pub curves: Range<usize>,
}

/// Copies that have nothing to do with the copies of other parts: they share no class and no order.
pub(super) fn parts(instance: &Instance) -> Vec<Vec<usize>> {
    let classes = instance.problem.classes.len();
    let mut leader: Vec<usize> = (0..classes + instance.tasks.len()).collect();
    fn find(leader: &[usize], mut one: usize) -> usize {
        while leader[one] != one {
            one = leader[one];
        }
        one
    }
    for (index, task) in instance.tasks.iter().enumerate() {
        let pool = &instance.pools[task.pool].classes;
        let others = pool
            .iter()
            .copied()
            .chain(task.after.iter().map(|&before| classes + before));
        for other in others {
            let (one, other) = (find(&leader, classes + index), find(&leader, other));
            leader[one] = other;
        }
    }
    let mut parts = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (copy, &task) in instance.task_of.iter().enumerate() {
        parts
            .entry(find(&leader, classes + task))
            .or_default()
            .push(copy);
    }
    let mut parts: Vec<Vec<usize>> = parts.into_values().collect();
    parts.sort_by_key(|part| (part.len(), part[0]));
    parts
}

impl Jobs {
    /// Reads a part; `None` where the numbers are too many or too large.
    pub fn read(instance: &Instance, part: &[usize]) -> Option<Self> {
        let is_empty = |&copy: &usize| instance.task(copy).modes.is_empty();
        if part.len() > MOST_JOBS || part.iter().any(is_empty) {
            return None;
        }
        let kept = scarce(instance, part);
        let mut all = Self {
            jobs: Vec::new(),
            ways: Vec::new(),
            classes: Vec::new(),
            stride: kept.len(),
            curves: Vec::new(),
            budgets: instance.budgets.clone(),
            batches: instance
                .problem
                .batches
                .iter()
                .map(|batch| batch.weight.max(0))
                .collect(),
            is_flow: instance.problem.goal == Goal::FlowTime,
        };
        for view in &instance.classes {
            let base = view.base.project(&kept);
            all.classes.push(Class {
                size: view.size,
                base,
                curves: 0..0,
            });
        }
        for &copy in part {
            all.read_copy(instance, copy, &kept);
        }
        all.link_twins(instance);
        all.add_curves();
        (all.horizon()?.checked_mul(all.weight())? < LARGEST).then_some(all)
    }

    /// Some of the jobs on one node of a class; none of them waits for another.
    pub fn on_one_node(&self, set: u64, class: usize) -> Self {
        let mut own = Self {
            jobs: Vec::new(),
            ways: Vec::new(),
            classes: self.classes.clone(),
            stride: self.stride,
            curves: self.curves.clone(),
            budgets: self.budgets.clone(),
            batches: self.batches.clone(),
            is_flow: self.is_flow,
        };
        for (index, view) in own.classes.iter_mut().enumerate() {
            view.size = usize::from(index == class);
        }
        let mut index = vec![None; self.jobs.len()];
        for job in (0..self.jobs.len()).filter(|job| set >> job & 1 == 1) {
            let first = own.ways.len();
            let is_here = |way: &&Way| way.lanes.iter().all(|lane| lane.class == class);
            let ways = self.ways[self.jobs[job].ways.clone()]
                .iter()
                .filter(is_here);
            own.ways.extend(ways.map(|way| Way {
                job: own.jobs.len(),
                ..way.clone()
            }));
            let mut twin = self.jobs[job].twin;
            while let Some(other) = twin.filter(|&other| index[other].is_none()) {
                twin = self.jobs[other].twin;
            }
            index[job] = Some(own.jobs.len());
            own.jobs.push(Job {
                twin: twin.and_then(|twin| index[twin]),
                ways: first..own.ways.len(),
                least: own.ways[first..]
                    .iter()
                    .map(|way| way.duration)
                    .min()
                    .unwrap_or(0),
                ..self.jobs[job].clone()
            });
        }
        own
    }

    /// The latest end of each copy if those of a batch have to end by then: what waits for it takes its least time.
    pub fn deadlines(&self, batch: impl Fn(usize) -> Millis) -> Vec<Millis> {
        let mut latest: Vec<Millis> = self.jobs.iter().map(|job| batch(job.batch)).collect();
        for (index, job) in self.jobs.iter().enumerate().rev() {
            let start = latest[index].saturating_sub(job.least);
            let mut rest = job.before;
            while rest != 0 {
                let before = rest.trailing_zeros() as usize;
                latest[before] = latest[before].min(start);
                rest &= rest - 1;
            }
        }
        latest
    }

    fn read_copy(&mut self, instance: &Instance, copy: usize, kept: &[usize]) {
        let task = instance.task(copy);
        let (index, first) = (self.jobs.len(), self.ways.len());
        let modes = task.modes.iter().enumerate();
        for (mode, view) in modes.filter(|(_, mode)| !mode.is_spare) {
            for way in ways_of(instance, index, mode, view, kept) {
                let mut known = self.ways[first..].iter();
                if !known.any(|other| other.is_no_worse(&way)) {
                    let kept = self.ways.split_off(first).into_iter();
                    self.ways
                        .extend(kept.filter(|other| !way.is_no_worse(other)));
                    self.ways.push(way);
                }
            }
        }
        let mut job = Job {
            copy,
            batch: task.batch,
            weight: task.weight,
            head: task.release,
            before: 0,
            twin: None,
            ways: first..self.ways.len(),
            least: self.ways[first..]
                .iter()
                .map(|way| way.duration)
                .min()
                .unwrap_or(0),
        };
        for (index, before) in self.jobs.iter().enumerate() {
            if task.after.contains(&instance.task_of[before.copy]) {
                job.before |= 1 << index;
                job.head = job.head.max(before.head.saturating_add(before.least));
            }
        }
        self.jobs.push(job);
    }

    /// Equal copies may change places in any plan, so one order of them is enough.
    fn link_twins(&mut self, instance: &Instance) {
        for copy in 0..self.jobs.len() {
            let twin = (0..copy)
                .rev()
                .find(|&other| self.are_equal(instance, other, copy));
            self.jobs[copy].twin = twin;
        }
    }

    fn are_equal(&self, instance: &Instance, one: usize, other: usize) -> bool {
        let links = |task: &TaskView| (task.after.clone(), task.successors.clone(), task.release);
        let (first, second) = (&self.jobs[one], &self.jobs[other]);
        let tasks = (instance.task_of[first.copy], instance.task_of[second.copy]);
        if tasks.0 == tasks.1 {
            return true;
        }
        let counts = if self.is_flow {
            first.weight == second.weight
        } else {
            first.batch == second.batch
        };
        let ways = (
            &self.ways[first.ways.clone()],
            &self.ways[second.ways.clone()],
        );
        counts
            && links(&instance.tasks[tasks.0]) == links(&instance.tasks[tasks.1])
            && ways.0.len() == ways.1.len()
            && ways
                .0
                .iter()
                .zip(ways.1)
                .all(|(one, other)| one.is_like(other))
    }

    /// Each resource as it is, and where gangs leave gaps on nodes also as they take it. For single pods alone,
    /// and for the sum of ends, that was seen to cost more time than it saves.
    fn add_curves(&mut self) {
        let has_gangs = !self.is_flow && self.ways.iter().any(|way| way.pods > 1);
        for class in 0..self.classes.len() {
            let first = self.curves.len();
            for resource in 0..self.stride {
                let steps = self.classes[class].base.steps_from(0);
                let peak = steps.map(|(_, free)| free[resource]).max().unwrap_or(0);
                let is_here = |way: &&Way| way.lanes.iter().any(|lane| lane.class == class);
                let ways = self.ways.iter().filter(is_here);
                let amounts: Vec<i64> = ways.map(|way| way.request.usage[resource]).collect();
                let gauges = Gauge::all(peak, &amounts).into_iter();
                let most = if has_gangs { usize::MAX } else { 1 };
                self.curves.extend(gauges.take(most).map(|gauge| Curve {
                    class,
                    resource,
                    gauge,
                }));
            }
            self.classes[class].curves = first..self.curves.len();
        }
    }

    /// No active plan ends later.
    fn horizon(&self) -> Option<i128> {
        let steps = self
            .classes
            .iter()
            .flat_map(|class| class.base.steps_from(0));
        let quiet = steps.map(|(time, _)| i128::from(time)).max().unwrap_or(0);
        let head = self
            .jobs
            .iter()
            .map(|job| i128::from(job.head))
            .max()
            .unwrap_or(0);
        let longest = |job: &Job| {
            self.ways[job.ways.clone()]
                .iter()
                .map(|way| i128::from(way.duration))
                .max()
        };
        self.jobs
            .iter()
            .map(longest)
            .sum::<Option<i128>>()?
            .checked_add(quiet.max(head) + 1)
    }

    fn weight(&self) -> i128 {
        let jobs = self.jobs.iter().map(|job| i128::from(job.weight) + 1);
        jobs.chain(self.batches.iter().map(|&weight| i128::from(weight)))
            .sum()
    }
}

impl Curve {
    /// What a way takes of it while it runs on the class.
    pub fn share(&self, way: &Way) -> f64 {
        let (pods, usage) = (i64::from(way.pods), way.request.usage[self.resource]);
        if way.is_packed {
            return self.gauge.of(usage.saturating_mul(pods)) as f64;
        }
        self.gauge.of(usage) as f64 * pods as f64
    }

    /// What is there where so much is free on a node.
    pub fn room(&self, free: &[i64]) -> f64 {
        self.gauge.of(free[self.resource]) as f64
    }
}

impl Way {
    fn is_like(&self, other: &Self) -> bool {
        self.pods == other.pods
            && self.duration == other.duration
            && self.request == other.request
            && self.spends == other.spends
            && self.is_packed == other.is_packed
            && self.lanes == other.lanes
    }

    /// Whether wherever and whenever the other one runs, this one could run instead and end no later: so it is if of
    /// its pods so many together ask for no more than one of the other's that all find room in place of those.
    fn is_no_worse(&self, other: &Self) -> bool {
        let in_one = u64::from(self.pods).div_ceil(u64::from(other.pods.max(1)));
        let usage = self.request.usage.iter().zip(&other.request.usage);
        let mut spends = self.spends.iter().zip(&other.spends);
        self.duration <= other.duration
            && spends.all(|(own, other)| own <= other)
            && self.is_packed == other.is_packed
            && self.lanes == other.lanes
            && usage
                .into_iter()
                .all(|(own, other)| i128::from(*own) * i128::from(in_one) <= i128::from(*other))
    }
}

fn ways_of(
    instance: &Instance,
    job: usize,
    mode: usize,
    view: &ModeView,
    kept: &[usize],
) -> Vec<Way> {
    let project = |amounts: &[i64]| kept.iter().map(|&resource| amounts[resource]).collect();
    let way = |duration: Millis, lanes: Vec<Lane>| Way {
        job,
        mode,
        pods: view.pods,
        request: Request {
            need: project(&view.request.need),
            usage: project(&view.request.usage),
        },
        duration,
        spends: view.spends.clone(),
        lanes,
        is_packed: false,
    };
    let alone = |run: &RunView| Lane {
        class: run.class,
        is_slowest: true,
        lasting: Vec::new(),
        domains: Vec::new(),
    };
    if view.pods == 1 {
        let single = |run: &RunView| way(run.duration, vec![alone(run)]);
        return view.runs.iter().map(single).collect();
    }
    let talks = view.talks();
    let lasting = |run: &RunView| {
        let levels = 0..=instance.problem.levels.len();
        levels.map(|level| run.lasting(level)).collect()
    };
    let spread = |gang: &Gang| {
        let runs = gang
            .parts
            .iter()
            .flat_map(|part| part.runs.iter().map(|&run| &view.runs[run]));
        let lane = |run: &RunView| Lane {
            class: run.class,
            is_slowest: run.duration == gang.duration,
            lasting: if talks { lasting(run) } else { Vec::new() },
            domains: if talks {
                instance.domains(run.class).to_vec()
            } else {
                Vec::new()
            },
        };
        way(gang.duration, runs.map(lane).collect())
    };
    let packed = view.packed.iter().flat_map(|packed| &packed.runs);
    let packed = packed.map(|packed| {
        let run = &view.runs[packed.run];
        Way {
            is_packed: true,
            ..way(run.duration, vec![alone(run)])
        }
    });
    packed.chain(view.gangs.iter().map(spread)).collect()
}
