//! An answer to every input, the same verdict as a look at every millisecond, and large plans.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::{
    Assignment, Exact, Hold, Millis, Mode, Near, NodeClass, PlannedTask, Resources, Run,
};

fn wild_number() -> impl Strategy<Value = i64> {
    prop_oneof![
        -3..6i64,
        select(vec![
            i64::MIN,
            i64::MIN + 1,
            -1,
            0,
            1,
            i64::MAX - 1,
            i64::MAX
        ])
    ]
}

fn wild_index() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..3usize, 1 => select(vec![3, 9, usize::MAX])]
}

fn wild_mode() -> impl Strategy<Value = Mode> {
    let price = (wild_number(), wild_number())
        .prop_map(|(top, below)| Exact::new_raw(top.into(), below.into()));
    let run = (wild_index(), wild_number(), price).prop_map(|(class, duration, price)| Run {
        across: Vec::new(),
        class,
        duration,
        read: 0,
        compute: 0,
        slots: 1,
        price,
        cost: 0,
    });
    let pods = prop_oneof![0..3u32, Just(u32::MAX)];
    (
        pods,
        vec(wild_number(), 0..4),
        wild_number(),
        vec(run, 0..3),
        vec(wild_number(), 0..3),
    )
        .prop_map(|(pods, demand, value, runs, spends)| Mode {
            communicate: Vec::new(),
            flavor: None,
            pods,
            requests: Resources::default(),
            demand,
            value,
            spends,
            runs,
        })
}

fn wild_task() -> impl Strategy<Value = PlannedTask> {
    let numbers = (wild_number(), wild_number(), wild_index());
    (
        vec(0..3u32, 0..3),
        vec(wild_index(), 0..2),
        vec(wild_mode(), 0..3),
        numbers,
    )
        .prop_map(
            |(copies, after, modes, (weight, release, batch))| PlannedTask {
                near: Near::Anywhere,
                batch,
                name: "a".into(),
                copies,
                weight,
                release,
                due: (release % 2 == 0).then_some(weight),
                after,
                modes,
            },
        )
}

fn wild_class() -> impl Strategy<Value = NodeClass> {
    let hold = (wild_number(), wild_number()).prop_map(|(from, until)| Hold {
        from,
        until,
        demand: Resources::default(),
    });
    let held = vec(vec(wild_number(), 0..4), 0..3);
    (
        vec(wild_index(), 0..3),
        vec(wild_number(), 0..4),
        vec(hold, 0..3),
        held,
    )
        .prop_map(|(nodes, free, holds, held)| NodeClass {
            nodes,
            free,
            holds,
            held,
        })
}

fn wild_assignment() -> impl Strategy<Value = Assignment> {
    let times = (wild_number(), wild_number());
    (
        wild_index(),
        0..3u32,
        wild_index(),
        times,
        vec(wild_index(), 0..3),
    )
        .prop_map(|(task, copy, mode, (start, end), nodes)| Assignment {
            task,
            copy,
            mode,
            start,
            end,
            nodes,
        })
}

fn wild_case() -> impl Strategy<Value = (Problem, Plan)> {
    let parts = (
        vec(wild_class(), 0..3),
        vec(wild_task(), 0..4),
        vec(wild_assignment(), 0..4),
        vec(wild_number(), 0..3),
    );
    (
        select(Goal::ALL.to_vec()),
        0..4usize,
        parts,
        vec(0..4u32, 0..4),
    )
        .prop_map(
            |(goal, nodes, (classes, tasks, assignments, budgets), left)| {
                let mut problem = minimising(goal);
                problem.nodes = (0..nodes).map(|node| format!("n{node}")).collect();
                problem.classes = classes;
                problem.tasks = tasks;
                problem.budgets = budgets;
                let plan = left
                    .into_iter()
                    .fold(plan(), |plan, copy| plan.leave("a", copy));
                (
                    problem,
                    Plan {
                        assignments,
                        ..plan
                    },
                )
            },
        )
}

/// Demands, starts and durations of the copies of a case on one node, and its holds.
type Crowd = (
    Vec<(i64, i64, Millis, Millis)>,
    Vec<(i64, i64, Millis, Millis)>,
);

fn a_crowd() -> impl Strategy<Value = Crowd> {
    let stay = || (0..3i64, 0..3i64, 0..8i64, 1..5i64);
    (vec(stay(), 0..6), vec(stay(), 0..3))
}

proptest! {
    #[test]
    fn any_input_gets_an_answer((problem, plan) in wild_case(), objective in wild_number(), bound in wild_number()) {
        let alone = check_plan(&problem, &plan);
        let scored = check(&problem, &plan.scoring(objective, bound));
        prop_assert!(alone.is_ok() || scored.is_err());
        let _ = words(scored);
    }

    #[test]
    fn the_sweep_finds_what_every_millisecond_shows((copies, holds) in a_crowd(), free in (-1..5i64, -1..5i64)) {
        let mut problem = minimising(Goal::FlowTime).with_nodes(1, &[free.0, free.1]);
        for &(cpu, gpu, from, length) in &holds {
            problem = problem.holding(from..from + length, &[cpu, gpu]);
        }
        let mut plan = plan();
        for (index, &(cpu, gpu, start, length)) in copies.iter().enumerate() {
            problem = problem.with(task(&format!("t{index}")).running(taking(&[cpu, gpu]).on(0, length)));
            plan = plan.run(index, 0, start..start + length, &[0]);
        }
        let uses = |stays: &[(i64, i64, Millis, Millis)], now: Millis, gpu: bool| -> i64 {
            let here = stays.iter().filter(|stay| (stay.2..stay.2 + stay.3).contains(&now));
            here.map(|stay| if gpu { stay.1 } else { stay.0 }).sum()
        };
        let overloaded = (0..16).any(|now| {
            [(false, free.0), (true, free.1)].into_iter().any(|(gpu, free)| {
                let planned = uses(&copies, now, gpu);
                planned > 0 && planned + uses(&holds, now, gpu) > free
            })
        });
        prop_assert_eq!(check_plan(&problem, &plan).is_err(), overloaded);
    }
}

/// 1,000 tasks of 10 copies on 5,000 nodes in 10 classes.
fn a_large_problem(goal: Goal) -> Problem {
    let classes = (0..10).fold(minimising(goal), |problem, class| {
        problem.with_nodes(500, &[8 + class, 8])
    });
    (0..1_000).fold(classes, |problem, index| {
        let mode = (0..10).fold(taking(&[4, 3]).worth(1), |mode, class| {
            mode.on(class, 100).at_price(1, 7)
        });
        problem.with(task(&format!("task-{index}")).copies(10).running(mode))
    })
}

#[test]
fn a_large_plan_is_checked() {
    for goal in Goal::ALL {
        let large = (0..10_000).fold(plan(), |plan, index| {
            plan.run(index / 10, index as u32 % 10, 0..100, &[index % 5_000])
        });
        assert_eq!(check_plan(&a_large_problem(goal), &large), Ok(()), "{goal}");
    }
}
