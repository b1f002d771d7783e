//! The independent check of plans: a plan that it does not accept is never carried out.
//!
//! It reads the problem and the plan and shares nothing with the searches but [`crate::model`]. Nothing in
//! either is taken for granted: indices may be out of range and numbers at the ends of their range, and the
//! answer is still a list of violations. All sums are in 128 bits.

mod budgets;
mod capacity;
mod copies;
mod deadlines;
mod leftover;
mod near;
mod order;
mod placed;
mod score;
mod violation;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use violation::{CopyName, Violation};

use crate::model::{NodeClass, Plan, PlannedTask, Problem, Solution};
use placed::Placed;

/// Accepts a plan together with what is said of it: objective, bound, outcome, gap and tardiness.
pub fn check(problem: &Problem, solution: &Solution) -> Result<(), Vec<Violation>> {
    let ground = Ground::of(problem);
    let mut found = Vec::new();
    let placed = judge(&ground, &solution.plan, &mut found);
    // The objective of a plan that points to nothing is not defined.
    if placed.len() == solution.plan.assignments.len() {
        score::check(problem, solution, &placed, &mut found);
        deadlines::check(&ground, solution, &placed, &mut found);
    }
    accept(found)
}

/// Accepts a plan on its own.
pub fn check_plan(problem: &Problem, plan: &Plan) -> Result<(), Vec<Violation>> {
    let mut found = Vec::new();
    judge(&Ground::of(problem), plan, &mut found);
    accept(found)
}

fn accept(found: Vec<Violation>) -> Result<(), Vec<Violation>> {
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// Judges everything but the score, and hands back the assignments that can be read.
fn judge<'a>(ground: &Ground<'a>, plan: &'a Plan, found: &mut Vec<Violation>) -> Vec<Placed<'a>> {
    let waiting = copies::check(ground, plan, found);
    let placed = placed::read(ground, plan, found);
    placed::check_times(ground, &placed, found);
    near::check(ground, &placed, found);
    order::check(ground, &placed, found);
    capacity::check(ground, &placed, found);
    budgets::check(ground, &placed, found);
    leftover::check(ground, &placed, &waiting, found);
    placed
}

/// The problem, with its nodes looked up by index.
struct Ground<'a> {
    problem: &'a Problem,
    /// Index of the class of each node, if it has one.
    class_of: Vec<Option<usize>>,
}

impl<'a> Ground<'a> {
    fn of(problem: &'a Problem) -> Self {
        let mut class_of = vec![None; problem.nodes.len()];
        for (index, class) in problem.classes.iter().enumerate() {
            for &node in &class.nodes {
                if let Some(slot) = class_of.get_mut(node) {
                    *slot = Some(index);
                }
            }
        }
        Self { problem, class_of }
    }

    /// The class of a node, and its index.
    fn class(&self, node: usize) -> Option<(usize, &'a NodeClass)> {
        let class = (*self.class_of.get(node)?)?;
        Some((class, &self.problem.classes[class]))
    }

    fn node_name(&self, node: usize) -> String {
        self.problem
            .nodes
            .get(node)
            .map_or_else(|| format!("#{node}"), Clone::clone)
    }

    fn resource_name(&self, resource: usize) -> String {
        let names = &self.problem.resources;
        names
            .get(resource)
            .map_or_else(|| format!("resource #{resource}"), Clone::clone)
    }

    /// `namespace/name` of the task's batch; empty if it has none.
    fn batch_key(&self, task: &PlannedTask) -> &'a str {
        let batch = self.problem.batches.get(task.batch);
        batch.map_or("", |batch| batch.key.as_str())
    }

    fn copy_name(&self, task: &PlannedTask, copy: u32) -> CopyName {
        CopyName {
            batch: self.batch_key(task).to_owned(),
            task: task.name.clone(),
            copy,
        }
    }
}

/// An amount of a vector over the resources; nothing beyond its end.
fn amount(vector: &[i64], resource: usize) -> i64 {
    vector.get(resource).copied().unwrap_or(0)
}

/// The part of a demand that needs room, as `(resource, amount)`. Kubernetes does not compare a demand of 0,
/// which therefore fits even where the node is overfull.
fn needs(demand: &[i64]) -> impl Iterator<Item = (usize, i64)> + '_ {
    demand
        .iter()
        .copied()
        .enumerate()
        .filter(|&(_, amount)| amount > 0)
}
