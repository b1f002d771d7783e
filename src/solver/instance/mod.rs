//! The problem as searches and bounds read it: flat copies, modes that can run at all, and for each way to
//! run a copy what the timelines need to find room quickly.

pub(super) mod cheapest;
pub(super) mod gauge;
mod groups;
mod modes;
mod network;
pub(super) mod profile;
pub(super) mod project;
mod reduction;
mod spread;
pub(super) mod sums;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::{Goal, Millis, Mode, Near, NodeClass, Problem, Run};

use super::bounds::earliest_ends;
use super::decoder::timeline::Group;
use groups::group_demands;
use modes::usable_modes;
pub(super) use modes::{ModeView, RunView};
use profile::Profile;
use project::Project;
pub(super) use spread::{Gang, Packed, Part};
use spread::{above_hosts, domain_of};

/// A problem with everything derived from it that does not change while it is searched.
pub(super) struct Instance<'a> {
    pub problem: &'a Problem,
    /// The task of each copy; copies of a task are neighbours.
    pub task_of: Vec<usize>,
    pub tasks: Vec<TaskView>,
    pub classes: Vec<ClassView>,
    /// Distinct sets of classes that tasks are confined to.
    pub pools: Vec<Pool>,
    /// The class of each node; nodes without one are used by nothing.
    pub class_of: Vec<Option<usize>>,
    /// Whether some task waits for another, under a goal where that matters.
    pub is_ordered: bool,
    /// Whether some copy is due at some time, under a goal where that matters.
    pub has_dues: bool,
    /// For each task before when none of its copies ends in any plan; empty where nothing is due.
    pub earliest_ends: Vec<Millis>,
    /// What a plan may use up; empty under a goal without a time axis.
    pub budgets: Vec<i64>,
    /// The problem in the form of a project, where it has one.
    pub project: Option<Project>,
    /// Number of levels of the network above the hosts, and the domain of each class at each of them.
    above: usize,
    domains: Vec<Vec<usize>>,
}

/// A task, its copies and the modes that fit somewhere.
pub(super) struct TaskView {
    /// Index into `Instance::tasks`.
    pub index: usize,
    /// Its copies, as indices into `Instance::task_of`.
    pub copies: Range<usize>,
    pub batch: usize,
    pub weight: i64,
    pub release: Millis,
    pub due: Option<Millis>,
    /// After this its copies, or others that wait for them, are late at once; the last moment where nothing is due.
    pub latest_end: Millis,
    pub after: Vec<usize>,
    pub successors: Vec<usize>,
    /// The longest path of least durations from its end to the end of all that wait for it.
    pub tail: Millis,
    /// Modes with room for all their pods; for Cost only the cheapest, unless the time may not be enough.
    pub modes: Vec<ModeView>,
    /// Index into `Instance::pools`.
    pub pool: usize,
    /// How near each other the pods of a copy stand.
    pub near: Near,
}

impl TaskView {
    /// Weight x how late a copy is that ends at this time.
    pub fn tardiness(&self, end: Millis) -> i128 {
        let late = self
            .due
            .map_or(0, |due| (i128::from(end) - i128::from(due)).max(0));
        late.saturating_mul(i128::from(self.weight))
    }

    /// The least duration over all modes.
    pub fn least(&self) -> Millis {
        self.modes.iter().map(|mode| mode.least).min().unwrap_or(0)
    }
}

/// A class of nodes with nothing planned.
pub(super) struct ClassView {
    pub size: usize,
    /// What is free of one of them, as far as pods can take it.
    pub base: Profile,
    pub groups: Vec<Group>,
}

impl ClassView {
    /// Number of resources of all of these.
    pub fn resources(views: &[Self]) -> usize {
        views.first().map_or(0, |view| view.base.resources())
    }
}

/// A set of classes that some task is confined to.
pub(super) struct Pool {
    /// Ascending.
    pub classes: Vec<usize>,
    /// Capacity of each resource: no moment has more.
    pub capacity: Vec<i128>,
}

impl Pool {
    pub fn new(views: &[ClassView], classes: Vec<usize>) -> Self {
        let mut capacity = vec![0i128; ClassView::resources(views)];
        for view in classes.iter().map(|&class| &views[class]) {
            for (capacity, most) in capacity.iter_mut().zip(view.base.most_free()) {
                let more = i128::from(most.max(0)).saturating_mul(view.size as i128);
                *capacity = capacity.saturating_add(more);
            }
        }
        Self { classes, capacity }
    }
}

impl<'a> Instance<'a> {
    pub fn new(problem: &'a Problem) -> Self {
        Self::read(problem, false)
    }

    /// The same, where the plan is there already and may be in any mode.
    pub fn with_all_modes(problem: &'a Problem) -> Self {
        Self::read(problem, true)
    }

    fn read(problem: &'a Problem, all_modes: bool) -> Self {
        let mut instance = Self {
            problem,
            task_of: Vec::new(),
            tasks: Vec::new(),
            classes: Vec::new(),
            pools: Vec::new(),
            class_of: problem.class_of(),
            is_ordered: false,
            has_dues: problem.has_dues(),
            earliest_ends: Vec::new(),
            budgets: if problem.goal.is_static() {
                Vec::new()
            } else {
                problem.budgets.clone()
            },
            project: None,
            above: above_hosts(problem),
            domains: Vec::new(),
        };
        let domains = |class: usize| {
            let levels = 0..instance.above;
            levels
                .map(|level| domain_of(problem, class, level))
                .collect()
        };
        instance.domains = (0..problem.classes.len()).map(domains).collect();
        instance.read_tasks(all_modes);
        instance.read_tails();
        let groups = group_demands(&mut instance.tasks, problem.classes.len());
        let view = |(class, groups): (&NodeClass, Vec<Group>)| ClassView {
            size: class.nodes.len(),
            base: Profile::of_class(class),
            groups,
        };
        instance.classes = problem.classes.iter().zip(groups).map(view).collect();
        sums::cut_to_sums(
            &instance.tasks,
            &mut instance.classes,
            problem.resources.len(),
        );
        instance.read_pools();
        reduction::mark_spare_modes(problem.goal, &instance.budgets, &mut instance.tasks);
        instance.project = Project::of(&instance);
        instance.read_latest_ends();
        instance.earliest_ends = earliest_ends(&instance);
        instance
    }

    fn read_tasks(&mut self, all_modes: bool) {
        let is_timed = !self.problem.goal.is_static();
        let only_cheapest = self.problem.goal == Goal::Cost
            && self.problem.budgets.is_empty()
            && !self.has_dues
            && !all_modes
            && !may_run_out_of_time(self.problem);
        for (index, task) in self.problem.tasks.iter().enumerate() {
            let first = self.task_of.len();
            self.task_of.extend(task.copies.iter().map(|_| index));
            let after = if is_timed {
                task.after.clone()
            } else {
                Vec::new()
            };
            for &before in &after {
                self.is_ordered = true;
                self.tasks[before].successors.push(index);
            }
            self.tasks.push(TaskView {
                index,
                copies: first..self.task_of.len(),
                batch: task.batch,
                weight: task.weight.max(0),
                release: if is_timed { task.release.max(0) } else { 0 },
                due: self.problem.due(task),
                latest_end: Millis::MAX,
                after,
                successors: Vec::new(),
                tail: 0,
                modes: usable_modes(self.problem, task, only_cheapest),
                pool: 0,
                near: task.near,
            });
        }
    }

    fn read_tails(&mut self) {
        for index in (0..self.tasks.len()).rev() {
            let behind = |&next: &usize| {
                let next = &self.tasks[next];
                next.tail.saturating_add(next.least())
            };
            let successors = self.tasks[index].successors.iter();
            self.tasks[index].tail = successors.map(behind).max().unwrap_or(0);
        }
    }

    /// What is due by itself, and what others that are due wait for.
    fn read_latest_ends(&mut self) {
        for index in (0..self.tasks.len()).rev() {
            let task = &self.tasks[index];
            let latest_start = |&next: &usize| {
                let next = &self.tasks[next];
                match next.latest_end {
                    Millis::MAX => Millis::MAX,
                    end => end.saturating_sub(next.least()),
                }
            };
            let behind = task.successors.iter().map(latest_start);
            self.tasks[index].latest_end =
                behind.fold(task.due.unwrap_or(Millis::MAX), Millis::min);
        }
    }

    /// Finds the pools and measures each mode by the capacity of its task's pool.
    fn read_pools(&mut self) {
        let mut known: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for task in &mut self.tasks {
            let mut classes: Vec<usize> = task
                .modes
                .iter()
                .flat_map(|mode| mode.runs.iter().map(|run| run.class))
                .collect();
            classes.sort_unstable();
            classes.dedup();
            task.pool = *known.entry(classes).or_insert_with_key(|classes| {
                self.pools.push(Pool::new(&self.classes, classes.clone()));
                self.pools.len() - 1
            });
            let capacity = &self.pools[task.pool].capacity;
            for mode in &mut task.modes {
                let shares = mode
                    .request
                    .usage
                    .iter()
                    .zip(capacity)
                    .filter(|(_, capacity)| **capacity > 0);
                let largest = shares.map(|(usage, capacity)| *usage as f64 / *capacity as f64);
                mode.share = f64::from(mode.pods) * largest.fold(0.0, f64::max);
                mode.work = mode.share * mode.least as f64;
            }
        }
    }

    /// Whether some copy may run as several pods.
    pub fn has_gangs(&self) -> bool {
        let mut modes = self.tasks.iter().flat_map(|task| &task.modes);
        modes.any(|mode| mode.pods > 1)
    }

    /// Number of copies.
    pub fn copies(&self) -> usize {
        self.task_of.len()
    }

    /// The task of a copy.
    pub fn task(&self, copy: usize) -> &TaskView {
        &self.tasks[self.task_of[copy]]
    }

    /// The run behind a mode of a task on a node.
    pub fn run(&self, task: usize, mode: &ModeView, node: usize) -> Option<&Run> {
        self.problem.tasks[task].modes[mode.index].run_on(self.class_of[node]?)
    }
}

/// Whether a copy might end after the last millisecond of 64 bits, were all of them to run one after the other.
fn may_run_out_of_time(problem: &Problem) -> bool {
    let longest = |modes: &[Mode]| {
        let runs = modes.iter().flat_map(|mode| &mode.runs);
        i128::from(runs.map(|run| run.lasting(0)).max().unwrap_or(0).max(0))
    };
    let tasks = problem.tasks.iter();
    let work = tasks.map(|task| longest(&task.modes).saturating_mul(task.copies.len() as i128));
    let holds = problem.classes.iter().flat_map(|class| &class.holds);
    let releases = problem.tasks.iter().map(|task| task.release);
    let first = holds
        .map(|hold| hold.until)
        .chain(releases)
        .max()
        .unwrap_or(0);
    work.fold(i128::from(first.max(0)), i128::saturating_add) > i128::from(Millis::MAX)
}
