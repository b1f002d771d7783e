//! What a search works on: tasks with modes, and nodes in classes, with dense vectors for resources.

use super::{Assignment, Exact, Goal, HOST, Hold, Millis, Resources, Unplaced};

/// A planning problem. Every demand and every free amount is a vector over `resources`.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    /// What to minimise (Throughput: maximise).
    pub goal: Goal,
    /// Names of the resources.
    pub resources: Vec<String>,
    /// Names of the nodes; a node is its index here.
    pub nodes: Vec<String>,
    /// Nodes that no task can tell apart. Every usable node is in exactly one class.
    pub classes: Vec<NodeClass>,
    /// Levels of the network, outermost first; empty without gangs, or where none are configured.
    pub levels: Vec<Tier>,
    /// The batches of the tasks.
    pub batches: Vec<PlannedBatch>,
    /// The tasks that can be placed at some time.
    pub tasks: Vec<PlannedTask>,
    /// Amounts that a whole plan may use up, such as GPU hours. Goals without a time axis use up nothing.
    pub budgets: Vec<i64>,
    /// Copies that fit nowhere however long they wait, with the reason.
    pub unplaceable: Vec<Unplaced>,
}

/// A level of the network between the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// What tasks call it.
    pub alias: String,
    /// Whether each node is a domain of its own; only of the last level.
    pub is_host: bool,
    /// The domain of each node. Nodes in one domain are in one of every level outside.
    pub domains: Vec<usize>,
}

/// How near each other the pods of a gang stand: in one domain of a level, by its index in `Problem::levels`, or,
/// where that is their number, on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Near {
    /// It does not matter.
    #[default]
    Anywhere,
    /// They must. No run of the task is on a node without the label.
    Within(usize),
    /// They do where that makes no difference to the goal.
    Rather(usize),
}

/// A batch, as far as a plan needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBatch {
    /// `namespace/name`.
    pub key: String,
    /// Weight of its end in Makespan.
    pub weight: i64,
}

/// Equal nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeClass {
    /// Indices into `Problem::nodes`, ascending.
    pub nodes: Vec<usize>,
    /// What is free on each node once nothing of our own runs; may be negative.
    pub free: Vec<i64>,
    /// What our own pods use of it until they end, on each node.
    pub holds: Vec<Hold>,
    /// The same demands as vectors over `Problem::resources`, hold by hold.
    pub held: Vec<Vec<i64>>,
}

/// A task with the copies that still want a place.
#[derive(Clone, Debug)]
pub struct PlannedTask {
    /// Index into `Problem::batches`.
    pub batch: usize,
    /// Name of the task.
    pub name: String,
    /// Indices of the copies.
    pub copies: Vec<u32>,
    /// Weight of each copy.
    pub weight: i64,
    /// Earliest start.
    pub release: Millis,
    /// When each copy is due; may have passed. Goals without a time axis do not look at it.
    pub due: Option<Millis>,
    /// Indices into `Problem::tasks` of the tasks that must have ended before; always smaller than the own one.
    pub after: Vec<usize>,
    /// How near each other the pods of a copy stand. Unless it does not matter, nodes of one class are in one domain of
    /// every level above the hosts.
    pub near: Near,
    /// Ways to run one copy; never empty, none dominated by another.
    pub modes: Vec<Mode>,
}

/// One way to run one copy of a task.
#[derive(Clone, Debug)]
pub struct Mode {
    /// Name of the flavor, where the task has a choice.
    pub flavor: Option<String>,
    /// Number of pods, each with the same requests; they start and end together.
    pub pods: u32,
    /// Complete requests of the sized container, as they will be written.
    pub requests: Resources,
    /// Effective request of one pod.
    pub demand: Vec<i64>,
    /// What the copy adds to a static goal, in thousandths; 0 for timed goals.
    pub value: i64,
    /// Part of the duration that communicates, in ms, rounded up, by the outermost level that the pods span.
    pub communicate: Vec<Millis>,
    /// What one copy uses up of each of `Problem::budgets`; nothing beyond its end.
    pub spends: Vec<i64>,
    /// The classes that can hold at least one of its pods, by class.
    pub runs: Vec<Run>,
}

impl Run {
    /// The duration of a pod of a gang that spans this level; beyond the levels, of one that spans none.
    pub fn lasting(&self, level: usize) -> Millis {
        self.across.get(level).copied().unwrap_or(self.duration)
    }
}

impl Mode {
    /// How the mode runs on nodes of this class, if it can.
    pub fn run_on(&self, class: usize) -> Option<&Run> {
        self.runs
            .binary_search_by_key(&class, |run| run.class)
            .ok()
            .map(|index| &self.runs[index])
    }
}

/// A mode on the nodes of one class.
#[derive(Clone, Debug)]
pub struct Run {
    /// Index into `Problem::classes`.
    pub class: usize,
    /// Duration of a pod, in ms; a gang takes that of its slowest pod.
    pub duration: Millis,
    /// The same with what the gang communicates, by the outermost level that its pods span, none shorter than the next;
    /// empty where that takes no time. Unless it is, nodes of one class are in one domain of every level above the
    /// hosts.
    pub across: Vec<Millis>,
    /// Part of it that reads data, in ms.
    pub read: Millis,
    /// Part of it that computes, in ms.
    pub compute: Millis,
    /// How many pods of this mode an otherwise unplanned node holds, at least 1.
    pub slots: u32,
    /// Price of one pod, in millionths for each millisecond.
    pub price: Exact,
    /// Price of one pod for `duration`, in millionths, rounded up.
    pub cost: i64,
}

impl Problem {
    /// When copies of the task are due, where the goal has a time axis.
    pub fn due(&self, task: &PlannedTask) -> Option<Millis> {
        task.due.filter(|_| !self.goal.is_static())
    }

    /// Whether some copy is due at some time.
    pub fn has_dues(&self) -> bool {
        self.tasks.iter().any(|task| self.due(task).is_some())
    }

    /// Number of copies to place.
    pub fn copies(&self) -> usize {
        self.tasks.iter().map(|task| task.copies.len()).sum()
    }

    /// The outermost level that pods on these nodes span; the number of levels where they span none.
    pub fn spanned(&self, nodes: &[usize]) -> usize {
        let is_spanned = |tier: &Tier| {
            nodes
                .windows(2)
                .any(|two| tier.domains[two[0]] != tier.domains[two[1]])
        };
        let found = self.levels.iter().position(is_spanned);
        found.unwrap_or(self.levels.len())
    }

    /// The alias of the outermost level that a gang spans, `host` where it spans none; `None` for a single pod, and
    /// where no levels are known.
    pub fn level_of(&self, assignment: &Assignment) -> Option<&str> {
        if self.levels.is_empty() || assignment.nodes.len() < 2 {
            return None;
        }
        let tier = self.levels.get(self.spanned(&assignment.nodes));
        Some(tier.map_or(HOST, |tier| tier.alias.as_str()))
    }

    /// How long a gang communicates, in ms, rounded up.
    pub fn communication(&self, assignment: &Assignment) -> Millis {
        let mode = &self.tasks[assignment.task].modes[assignment.mode];
        let level = self.spanned(&assignment.nodes);
        mode.communicate.get(level).copied().unwrap_or(0)
    }

    /// The class of each node; `None` for nodes that no task can use.
    pub fn class_of(&self) -> Vec<Option<usize>> {
        let mut found = vec![None; self.nodes.len()];
        for (index, class) in self.classes.iter().enumerate() {
            for &node in &class.nodes {
                found[node] = Some(index);
            }
        }
        found
    }
}
