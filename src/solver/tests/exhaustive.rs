//! The exact optimum of tiny problems: every order, mode and set of nodes, each copy as early as it goes.

use crate::model::{Assignment, Problem};

use super::checker::{are_near, duration, objective, tardiness};

/// The most copies placed, and the best objective with so many.
pub struct Exact {
    pub placed: usize,
    pub objective: i64,
    pub tardiness: i128,
}

struct Enumeration<'p> {
    problem: &'p Problem,
    class_of: Vec<Option<usize>>,
    best: Option<Exact>,
    left: u64,
    /// Whether tardiness comes before the goal.
    in_time: bool,
}

/// The least goal whatever the tardiness; `None` where there are too many possibilities.
pub fn optimum(problem: &Problem) -> Option<Exact> {
    search(problem, false)
}

/// The least tardiness, and of those plans the least goal.
pub fn in_time(problem: &Problem) -> Option<Exact> {
    search(problem, true)
}

fn search(problem: &Problem, in_time: bool) -> Option<Exact> {
    let mut copies = Vec::new();
    for (index, task) in problem.tasks.iter().enumerate() {
        copies.extend(task.copies.iter().map(|&copy| (index, copy)));
    }
    if copies.len() > 4 {
        return None;
    }
    let mut all = Enumeration {
        problem,
        class_of: problem.class_of(),
        best: None,
        left: 60_000,
        in_time,
    };
    all.place(&mut copies, &mut Vec::new());
    all.best.filter(|_| all.left > 0)
}

impl Enumeration<'_> {
    fn place(&mut self, waiting: &mut Vec<(usize, u32)>, plan: &mut Vec<Assignment>) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return;
        }
        if waiting.is_empty() || self.problem.goal.is_static() {
            self.record(plan);
        }
        for next in 0..waiting.len() {
            let (task, copy) = waiting[next];
            let is_first_copy = waiting
                .iter()
                .all(|other| other.0 != task || other.1 >= copy);
            let after = &self.problem.tasks[task].after;
            let is_ready = self.problem.goal.is_static()
                || waiting.iter().all(|(other, _)| !after.contains(other));
            if !is_first_copy || !is_ready {
                continue;
            }
            waiting.remove(next);
            for mode in 0..self.problem.tasks[task].modes.len() {
                let pods = self.problem.tasks[task].modes[mode].pods as usize;
                self.spread(
                    waiting,
                    plan,
                    (task, copy, mode),
                    &mut Vec::with_capacity(pods),
                    pods,
                );
            }
            waiting.insert(next, (task, copy));
        }
    }

    fn spread(
        &mut self,
        waiting: &mut Vec<(usize, u32)>,
        plan: &mut Vec<Assignment>,
        what: (usize, u32, usize),
        nodes: &mut Vec<usize>,
        pods: usize,
    ) {
        if nodes.len() < pods {
            for node in nodes.last().copied().unwrap_or(0)..self.problem.nodes.len() {
                let mode = &self.problem.tasks[what.0].modes[what.2];
                if self.class_of[node].is_some_and(|class| mode.run_on(class).is_some()) {
                    nodes.push(node);
                    self.spread(waiting, plan, what, nodes, pods);
                    nodes.pop();
                }
            }
            return;
        }
        let near = self.problem.tasks[what.0].near;
        if !are_near(self.problem, near, nodes) {
            return;
        }
        if let Some(start) = self.earliest(plan, what, nodes) {
            let (task, copy, mode) = what;
            let end = start + self.duration(what, nodes);
            plan.push(Assignment {
                task,
                copy,
                mode,
                start,
                end,
                nodes: nodes.clone(),
            });
            self.place(waiting, plan);
            plan.pop();
        }
    }

    fn duration(&self, (task, _, mode): (usize, u32, usize), nodes: &[usize]) -> i64 {
        duration(self.problem, &self.problem.tasks[task].modes[mode], nodes)
    }

    fn earliest(
        &self,
        plan: &[Assignment],
        what: (usize, u32, usize),
        nodes: &[usize],
    ) -> Option<i64> {
        let task = &self.problem.tasks[what.0];
        if self.problem.goal.is_static() {
            return self.fits(plan, what, nodes, 0).then_some(0);
        }
        let ready = plan
            .iter()
            .filter(|entry| task.after.contains(&entry.task))
            .map(|entry| entry.end);
        let ready = ready.fold(task.release, i64::max);
        let classes = self
            .problem
            .classes
            .iter()
            .flat_map(|class| class.holds.iter().map(|hold| hold.until));
        let mut times: Vec<i64> = plan
            .iter()
            .map(|entry| entry.end)
            .chain(classes)
            .chain([ready])
            .collect();
        times.retain(|time| *time >= ready);
        times.sort_unstable();
        times
            .into_iter()
            .find(|&time| self.fits(plan, what, nodes, time))
    }

    fn fits(
        &self,
        plan: &[Assignment],
        what: (usize, u32, usize),
        nodes: &[usize],
        start: i64,
    ) -> bool {
        let is_static = self.problem.goal.is_static();
        let end = start + self.duration(what, nodes);
        let demand = &self.problem.tasks[what.0].modes[what.2].demand;
        let own = |node: usize| nodes.iter().filter(|&&other| other == node).count() as i64;
        if start == end && !is_static {
            return true;
        }
        nodes.iter().all(|&node| {
            let class = &self.problem.classes[self.class_of[node].expect("a class")];
            let starts = plan.iter().map(|entry| entry.start);
            let holds = class.holds.iter().map(|hold| hold.from.max(0));
            let inside = |time: &i64| is_static || (start..end).contains(time);
            starts
                .chain(holds)
                .chain([start])
                .filter(inside)
                .all(|time| {
                    (0..demand.len())
                        .filter(|&resource| demand[resource] > 0)
                        .all(|resource| {
                            let in_force = class
                                .holds
                                .iter()
                                .zip(&class.held)
                                .filter(|(hold, _)| hold.from <= time && time < hold.until);
                            let held: i64 = in_force.map(|(_, held)| held[resource]).sum();
                            let running = plan.iter().filter(|entry| {
                                is_static || (entry.start <= time && time < entry.end)
                            });
                            let used: i64 = running
                                .map(|entry| {
                                    let pods =
                                        entry.nodes.iter().filter(|&&other| other == node).count()
                                            as i64;
                                    pods * self.problem.tasks[entry.task].modes[entry.mode].demand
                                        [resource]
                                })
                                .sum();
                            held + used + own(node) * demand[resource] <= class.free[resource]
                        })
                })
        })
    }

    fn record(&mut self, plan: &[Assignment]) {
        let found = Exact {
            placed: plan.len(),
            objective: objective(self.problem, plan),
            tardiness: tardiness(self.problem, plan),
        };
        let sign = if self.problem.goal.is_maximised() {
            -1
        } else {
            1
        };
        let in_time = self.in_time;
        let key = |exact: &Exact| {
            let late = if in_time { exact.tardiness } else { 0 };
            (
                std::cmp::Reverse(exact.placed),
                late,
                sign * exact.objective,
            )
        };
        if self
            .best
            .as_ref()
            .is_none_or(|best| key(&found) < key(best))
        {
            self.best = Some(found);
        }
    }
}
