//! What becomes of an earlier plan when the problem has changed.

use std::collections::HashMap;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::model::{Algorithm, Assignment, Earlier, Goal, Problem, Solution};
use crate::solver::decoder::sequences::Ground;
use crate::solver::instance::Instance;
use crate::solver::{Budget, Improvement, Options, solve};

use super::problems::{self, Sizes, problem};
use super::{any_goal, cases, checker, plan, sign};

/// Plans from an earlier plan; one iteration is what is left of that alone.
fn replan(problem: &Problem, earlier: &Earlier, iterations: u64) -> Solution {
    let options = Options {
        algorithm: Algorithm::Auto,
        seed: 2,
        budget: Budget::of_iterations(iterations),
    };
    solve(problem, &options, Some(earlier), &mut |_: &Improvement| {})
}

/// Assignments by what outlives a problem.
fn by_name<'p>(
    problem: &'p Problem,
    solution: &'p Solution,
) -> HashMap<(&'p str, u32), &'p Assignment> {
    let named = |one: &'p Assignment| ((problem.tasks[one.task].name.as_str(), one.copy), one);
    solution.plan.assignments.iter().map(named).collect()
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn an_earlier_plan_is_never_made_worse(problem in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Small))) {
        let first = plan(&problem, Algorithm::Auto, 1, 60);
        let earlier = Earlier::of(&problem, &first.plan);
        let second = replan(&problem, &earlier, 100);
        checker::check(&problem, &second);
        // Sequences leave the room before a late hold empty.
        let mut holds = problem.classes.iter().flat_map(|class| &class.holds);
        if Ground::suits(&Instance::new(&problem)) && holds.all(|hold| hold.from <= 0) {
            let alone = replan(&problem, &earlier, 1);
            checker::check(&problem, &alone);
            prop_assert!(alone.objective <= first.objective, "{} > {}", alone.objective, first.objective);
            prop_assert!(second.objective <= first.objective);
        }
    }

    #[test]
    fn what_an_earlier_plan_of_another_problem_says_does_no_harm(
        one in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Small)),
        other in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Small)),
    ) {
        let earlier = Earlier::of(&one, &plan(&one, Algorithm::Auto, 1, 30).plan);
        let solution = replan(&other, &earlier, 60);
        checker::check(&other, &solution);
    }

    #[test]
    fn huge_numbers_of_an_earlier_plan_neither_overflow_nor_hang(
        one in any_goal().prop_flat_map(|goal| problem(goal, Sizes::Huge)),
    ) {
        let earlier = Earlier::of(&one, &plan(&one, Algorithm::Auto, 1, 10).plan);
        checker::check(&one, &replan(&one, &earlier, 30));
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn copies_start_no_later_when_others_are_gone(seed in any::<u64>().no_shrink()) {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let before = timed(30, random);
        let first = plan(&before, Algorithm::Annealing, 1, 500);
        let mut after = before.clone();
        after.tasks.retain(|_| random.random_bool(0.8));
        // Names say which task is which, not their order.
        after.tasks.reverse();
        let second = replan(&after, &Earlier::of(&before, &first.plan), 1);
        checker::check(&after, &second);
        let earlier = by_name(&before, &first);
        for (name, now) in by_name(&after, &second) {
            let then = earlier[&name];
            prop_assert_eq!((&now.nodes, now.mode), (&then.nodes, then.mode));
            prop_assert!(now.start <= then.start, "{name:?} starts at {}, not {}", now.start, then.start);
        }
    }

    #[test]
    fn copies_stay_on_their_nodes_when_tasks_and_nodes_come_and_go(seed in any::<u64>().no_shrink()) {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let before = timed(60, random);
        let first = plan(&before, Algorithm::Annealing, 1, 500);
        let mut after = changed(&before, random);
        after.goal = before.goal;
        let earlier = Earlier::of(&before, &first.plan);
        let second = replan(&after, &earlier, 1);
        checker::check(&after, &second);
        let then = by_name(&before, &first);
        let class_of = after.class_of();
        for (name, now) in by_name(&after, &second) {
            let Some(then) = then.get(&name) else { continue };
            let node = |problem: &Problem, one: &Assignment| problem.nodes[one.nodes[0]].clone();
            let name_then = node(&before, then);
            let is_there = after.nodes.iter().position(|name| *name == name_then);
            if is_there.is_some_and(|node| class_of[node].is_some()) {
                prop_assert_eq!((node(&after, now), now.mode), (name_then, then.mode));
            }
        }
        checker::check(&after, &replan(&after, &earlier, 200));
    }
}

/// Moldable tasks of a goal with ends.
fn timed(tasks: usize, random: &mut ChaCha8Rng) -> Problem {
    let mut problem = problems::moldable(tasks, 4, random.random());
    problem.goal = [Goal::FlowTime, Goal::Makespan][random.random_range(0..2)];
    problem
}

/// Some tasks and a node are gone, others are new, and every node has another index.
fn changed(before: &Problem, random: &mut ChaCha8Rng) -> Problem {
    let mut after = before.clone();
    after.tasks.retain(|_| random.random_bool(0.9));
    for (index, task) in problems::moldable(4, 1, random.random())
        .tasks
        .into_iter()
        .enumerate()
    {
        let name = format!("new{index}");
        after.tasks.push(crate::model::PlannedTask { name, ..task });
    }
    let count = after.nodes.len();
    after.nodes.reverse();
    after.nodes.push("new".into());
    after.classes[0].nodes = (0..=count).filter(|&node| node != count / 2).collect();
    after
}

#[test]
fn a_warm_start_beats_a_cold_one_of_the_same_budget() {
    let random = &mut ChaCha8Rng::seed_from_u64(5);
    let mut before = problems::moldable(300, 20, 1);
    before.goal = Goal::FlowTime;
    let first = plan(&before, Algorithm::Auto, 1, 400_000);
    let mut after = changed(&before, random);
    after.goal = before.goal;
    let warm = replan(&after, &Earlier::of(&before, &first.plan), 100);
    let cold = plan(&after, Algorithm::Auto, 2, 100);
    assert!(
        sign(after.goal) * i128::from(warm.objective) < i128::from(cold.objective),
        "{} {}",
        warm.objective,
        cold.objective
    );
}
