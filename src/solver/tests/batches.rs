//! Several batches under Makespan.

use crate::model::{Algorithm, Goal, PlannedBatch, Problem};

use super::plan;
use super::problems::moldable;

/// Moldable tasks that are dealt out to batches of falling sizes.
fn several(tasks: usize, nodes: usize, seed: u64) -> Problem {
    let mut problem = moldable(tasks, nodes, seed);
    problem.goal = Goal::Makespan;
    let batch = |index: usize| PlannedBatch {
        key: format!("test/{index}"),
        weight: 1,
    };
    problem.batches = (0..3).map(batch).collect();
    for (index, task) in problem.tasks.iter_mut().enumerate() {
        task.batch = match index * 6 / tasks {
            0..3 => 0,
            3..5 => 1,
            _ => 2,
        };
    }
    problem
}

#[test]
fn batches_end_near_what_is_proved_to_be_the_least() {
    for seed in 1..=3 {
        let problem = several(180, 24, seed);
        let solution = plan(&problem, Algorithm::Auto, seed, 20_000);
        crate::verify::check(&problem, &solution).expect("a valid plan");
        let gap = solution.gap().expect("a gap");
        assert!(gap < 0.2, "seed {seed}: {gap}");
    }
}

#[test]
fn room_that_is_held_for_a_while_is_not_taken_backwards_either() {
    let mut problem = several(60, 4, 1);
    for class in &mut problem.classes {
        let demand = crate::model::Resources::default();
        class.holds.push(crate::model::Hold {
            from: 0,
            until: 50_000,
            demand,
        });
        class.held.push(vec![4]);
    }
    let solution = plan(&problem, Algorithm::Greedy, 1, 1_000);
    crate::verify::check(&problem, &solution).expect("a valid plan");
}
