//! Small problems and plans in words, for the tests of the check.

use std::ops::Range;

use crate::model::{
    Algorithm, Assignment, Exact, Goal, Hold, Millis, Mode, Near, NodeClass, Outcome, Plan,
    PlannedBatch, PlannedTask, Problem, Reason, Resources, Run, Solution, Unplaced,
};

/// The batch of every task that is not given another one.
pub(super) const BATCH: &str = "lab/first";

/// A problem with the resources cpu and gpu, the batches `lab/first` (weight 1) and `lab/second` (weight 2).
pub(super) fn minimising(goal: Goal) -> Problem {
    let batch = |key: &str, weight| PlannedBatch {
        key: key.into(),
        weight,
    };
    Problem {
        goal,
        resources: vec!["cpu".into(), "gpu".into()],
        batches: vec![batch(BATCH, 1), batch("lab/second", 2)],
        ..Problem::default()
    }
}

pub(super) trait ProblemWords {
    /// One more class of nodes `n0`, `n1`, ..., counted through all classes.
    fn with_nodes(self, count: usize, free: &[i64]) -> Self;
    /// Room that is held on each node of the last class.
    fn holding(self, time: Range<Millis>, demand: &[i64]) -> Self;
    fn with(self, task: PlannedTask) -> Self;
    /// A copy that fits nowhere.
    fn without(self, task: &str, copy: u32) -> Self;
}

impl ProblemWords for Problem {
    fn with_nodes(mut self, count: usize, free: &[i64]) -> Self {
        let first = self.nodes.len();
        let nodes: Vec<usize> = (first..first + count).collect();
        self.nodes
            .extend(nodes.iter().map(|node| format!("n{node}")));
        self.classes.push(NodeClass {
            nodes,
            free: free.to_vec(),
            holds: vec![],
            held: vec![],
        });
        self
    }

    fn holding(mut self, time: Range<Millis>, demand: &[i64]) -> Self {
        let class = self.classes.last_mut().expect("a class to hold room in");
        class.holds.push(Hold {
            from: time.start,
            until: time.end,
            demand: Resources::default(),
        });
        class.held.push(demand.to_vec());
        self
    }

    fn with(mut self, task: PlannedTask) -> Self {
        self.tasks.push(task);
        self
    }

    fn without(mut self, task: &str, copy: u32) -> Self {
        self.unplaceable.push(unplaced(task, copy));
        self
    }
}

/// A task of one copy of weight 1 without a mode.
pub(super) fn task(name: &str) -> PlannedTask {
    PlannedTask {
        near: Near::Anywhere,
        batch: 0,
        name: name.into(),
        copies: vec![0],
        weight: 1,
        release: 0,
        due: None,
        after: vec![],
        modes: vec![],
    }
}

pub(super) trait TaskWords {
    fn copies(self, count: u32) -> Self;
    fn weighing(self, weight: i64) -> Self;
    fn in_batch(self, batch: usize) -> Self;
    fn released_at(self, release: Millis) -> Self;
    fn after(self, task: usize) -> Self;
    fn running(self, mode: Mode) -> Self;
}

impl TaskWords for PlannedTask {
    fn copies(mut self, count: u32) -> Self {
        self.copies = (0..count).collect();
        self
    }

    fn weighing(mut self, weight: i64) -> Self {
        self.weight = weight;
        self
    }

    fn in_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    fn released_at(mut self, release: Millis) -> Self {
        self.release = release;
        self
    }

    fn after(mut self, task: usize) -> Self {
        self.after.push(task);
        self
    }

    fn running(mut self, mode: Mode) -> Self {
        self.modes.push(mode);
        self
    }
}

/// A mode of one pod that runs nowhere yet.
pub(super) fn taking(demand: &[i64]) -> Mode {
    Mode {
        communicate: Vec::new(),
        flavor: None,
        pods: 1,
        requests: Resources::default(),
        demand: demand.to_vec(),
        value: 0,
        spends: Vec::new(),
        runs: vec![],
    }
}

pub(super) trait ModeWords {
    fn pods(self, pods: u32) -> Self;
    fn worth(self, value: i64) -> Self;
    /// Runs on the nodes of the class for this long, free of charge; classes in ascending order.
    fn on(self, class: usize, duration: Millis) -> Self;
    /// The price of a pod on the last class, in millionths a ms.
    fn at_price(self, millionths: i64, per: i64) -> Self;
}

impl ModeWords for Mode {
    fn pods(mut self, pods: u32) -> Self {
        self.pods = pods;
        self
    }

    fn worth(mut self, value: i64) -> Self {
        self.value = value;
        self
    }

    fn on(mut self, class: usize, duration: Millis) -> Self {
        self.runs.push(Run {
            across: Vec::new(),
            class,
            duration,
            read: 0,
            compute: duration,
            slots: 1,
            price: Exact::default(),
            cost: 0,
        });
        self
    }

    fn at_price(mut self, millionths: i64, per: i64) -> Self {
        let run = self.runs.last_mut().expect("a class to have a price on");
        run.price = Exact::new(millionths.into(), per.into());
        self
    }
}

pub(super) fn unplaced(task: &str, copy: u32) -> Unplaced {
    Unplaced {
        batch: BATCH.into(),
        task: task.into(),
        copy,
        reason: Reason::WaitingForCapacity,
        message: "no room".into(),
        fix: None,
    }
}

pub(super) trait PlanWords {
    /// One more copy of the task, in its first mode.
    fn run(self, task: usize, copy: u32, time: Range<Millis>, nodes: &[usize]) -> Self;
    fn leave(self, task: &str, copy: u32) -> Self;
    /// The plan with what a search says of it: objective and bound, and the outcome they make.
    fn scoring(self, objective: i64, bound: i64) -> Solution;
}

impl PlanWords for Plan {
    fn run(mut self, task: usize, copy: u32, time: Range<Millis>, nodes: &[usize]) -> Self {
        self.assignments.push(Assignment {
            task,
            copy,
            mode: 0,
            start: time.start,
            end: time.end,
            nodes: nodes.to_vec(),
        });
        self
    }

    fn leave(mut self, task: &str, copy: u32) -> Self {
        self.unplaced.push(unplaced(task, copy));
        self
    }

    fn scoring(self, objective: i64, bound: i64) -> Solution {
        Solution {
            plan: self,
            outcome: if objective == bound {
                Outcome::Optimal
            } else {
                Outcome::Feasible
            },
            objective,
            bound,
            bound_name: "area",
            tardiness: 0,
            tardiness_bound: 0,
            earliest_ends: Vec::new(),
            algorithm: Algorithm::Auto,
            found_by: Algorithm::Greedy,
            seed: 0,
            iterations: 1,
        }
    }
}

pub(super) fn plan() -> Plan {
    Plan::default()
}
