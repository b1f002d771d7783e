//! Charts of a fixed plan, and of plans that nobody would draw by hand.

use proptest::prelude::*;

use super::chart::{Bar, Chart, Note, Row, WHOLE, ticks};
use super::gantt::{self, Screen};
use super::svg;
use crate::model::{
    Algorithm, Assignment, Goal, Millis, Mode, Near, NodeClass, Outcome, Plan, PlannedBatch,
    PlannedTask, Problem, Reason, Resources, Solution, Unplaced,
};

const MINUTE: Millis = 60_000;

/// Two nodes of 16 cores, and one of 8 GPUs and 64 cores.
fn problem() -> Problem {
    let class = |nodes: Vec<usize>, free: [i64; 3]| NodeClass {
        nodes,
        free: free.to_vec(),
        holds: vec![],
        held: vec![],
    };
    let mode = |cpu: i64, gpu: i64| Mode {
        communicate: Vec::new(),
        flavor: None,
        pods: 1,
        requests: Resources::from_iter(
            [("cpu", cpu), ("nvidia.com/gpu", gpu)]
                .into_iter()
                .filter(|(_, amount)| *amount > 0),
        ),
        demand: vec![cpu, gpu, 1],
        value: 0,
        spends: Vec::new(),
        runs: vec![],
    };
    let task = |name: &str, copies: u32, modes: Vec<Mode>| PlannedTask {
        near: Near::Anywhere,
        batch: 0,
        name: name.into(),
        copies: (0..copies).collect(),
        weight: 1,
        release: 0,
        due: None,
        after: vec![],
        modes,
    };
    Problem {
        goal: Goal::Makespan,
        levels: vec![],
        budgets: vec![],
        resources: ["cpu", "nvidia.com/gpu", "pods"]
            .map(str::to_owned)
            .to_vec(),
        nodes: ["cpu-1", "cpu-2", "gpu-1"].map(str::to_owned).to_vec(),
        classes: vec![
            class(vec![0, 1], [16_000, 0, 110]),
            class(vec![2], [64_000, 8, 110]),
        ],
        batches: vec![PlannedBatch {
            key: "team/<night & day>".into(),
            weight: 1,
        }],
        tasks: vec![
            task("decode", 3, vec![mode(8_000, 0)]),
            task("train", 1, vec![mode(16_000, 6)]),
            task("tiny", 2, vec![mode(500, 1)]),
        ],
        unplaceable: vec![],
    }
}

fn solution() -> Solution {
    let one = |task, copy, node, start: Millis, end: Millis| Assignment {
        task,
        copy,
        mode: 0,
        start: start * MINUTE,
        end: end * MINUTE,
        nodes: vec![node],
    };
    let unplaced = |copy| Unplaced {
        batch: "team/<night & day>".into(),
        task: "huge".into(),
        copy,
        reason: Reason::ExceedsCapacity,
        message: "needs 16 nvidia.com/gpu on one node, the largest of 3 nodes has 8".into(),
        fix: Some(crate::model::Fix::Lower {
            to: [("nvidia.com/gpu", 8)].into_iter().collect(),
            nodes: 1,
        }),
    };
    Solution {
        plan: Plan {
            assignments: vec![
                one(0, 0, 0, 0, 30),
                one(0, 1, 0, 0, 30),
                one(0, 2, 0, 30, 60),
                one(1, 0, 2, 0, 90),
                one(2, 0, 2, 0, 1),
                one(2, 1, 2, 10, 100),
            ],
            unplaced: vec![unplaced(0), unplaced(1)],
        },
        outcome: Outcome::Feasible,
        objective: 100 * MINUTE,
        bound: 95 * MINUTE,
        bound_name: "longest task",
        tardiness: 0,
        tardiness_bound: 0,
        earliest_ends: Vec::new(),
        algorithm: Algorithm::Auto,
        found_by: Algorithm::Genetic,
        seed: 7,
        iterations: 1000,
    }
}

#[test]
fn a_plan_in_characters() {
    let chart = Chart::of_plan(&problem(), &solution());
    insta::assert_snapshot!(
        "plain",
        gantt::render(
            &chart,
            Screen {
                width: 80,
                colour: false
            }
        )
    );
    insta::assert_snapshot!(
        "narrow",
        gantt::render(
            &chart,
            Screen {
                width: 40,
                colour: false
            }
        )
    );
    let coloured = gantt::render(
        &chart,
        Screen {
            width: 80,
            colour: true,
        },
    )
    .replace('\x1b', "␛");
    insta::assert_snapshot!("coloured", coloured);
}

#[test]
fn a_plan_in_vectors() {
    insta::assert_snapshot!("svg", svg::svg(&problem(), &solution()));
}

#[test]
fn nothing_to_draw_is_drawn_too() {
    let nothing = Chart {
        end: 1,
        ..Chart::default()
    };
    assert!(
        gantt::render(
            &nothing,
            Screen {
                width: 0,
                colour: false
            }
        )
        .contains("0s")
    );
    assert!(svg::render(&nothing).ends_with("</svg>\n"));
}

#[test]
fn large_plans_stay_small_pictures() {
    let mut chart = Chart {
        tasks: (0..50).map(|task| format!("task-{task}")).collect(),
        ..Chart::default()
    };
    chart.rows = (0..250)
        .map(|node| Row {
            node: format!("node-{node:03}"),
            capacity: "8 gpu".into(),
            ..Row::default()
        })
        .collect();
    for index in 0..1000usize {
        chart.rows[index % 200].bars.push(Bar {
            task: index % 50,
            label: format!("task-{}-{index}", index % 50),
            start: (index / 200) as Millis * MINUTE,
            end: (index / 200 + 2) as Millis * MINUTE,
            share: 250,
            ..Bar::default()
        });
    }
    chart.finish();
    assert_eq!((chart.rows.len(), chart.idle), (200, 50));
    let picture = svg::render(&chart);
    assert_eq!(picture.matches("<rect class=\"c").count(), 1000 + 50);
    assert!(picture.len() < 500_000, "{} bytes", picture.len());
}

#[test]
fn nodes_are_sorted_with_their_numbers_by_value() {
    let names = ["gpu-10", "gpu-9", "cpu-2", "gpu-9-b", "10", "gpu-010", "9"];
    let row = |name: &str| Row {
        node: name.into(),
        ..Row::default()
    };
    let mut chart = Chart {
        rows: names.map(row).into(),
        ..Chart::default()
    };
    chart.finish();
    let sorted: Vec<_> = chart.rows.iter().map(|row| row.node.as_str()).collect();
    assert_eq!(
        sorted,
        ["cpu-2", "gpu-9", "gpu-9-b", "gpu-10", "gpu-010", "9", "10"]
    );
}

#[test]
fn an_axis_has_few_marks_at_round_distances() {
    let marks = |end: Millis| ticks(end, 6).collect::<Vec<_>>();
    assert_eq!(
        marks(100 * MINUTE),
        [0, 30 * MINUTE, 60 * MINUTE, 90 * MINUTE]
    );
    assert_eq!(marks(4), [0, 1, 2, 3, 4]);
    assert!(marks(Millis::MAX).len() <= 6);
}

/// Bars whose shares may ask for more than the node at a time.
fn bars() -> impl Strategy<Value = Vec<Bar>> {
    let bar = (0..1000i64, 0..500i64, 1..=WHOLE, "\\PC{0,12}");
    let bar = bar.prop_map(|(start, length, share, label)| Bar {
        start,
        end: start + length,
        share,
        label,
        ..Bar::default()
    });
    prop::collection::vec(bar, 0..30)
}

proptest! {
    #[test]
    fn bars_that_run_together_never_overlap(bars in bars()) {
        let mut chart = Chart { rows: vec![Row { bars, ..Row::default() }], ..Chart::default() };
        chart.finish();
        let row = &chart.rows[0];
        for (index, one) in row.bars.iter().enumerate() {
            prop_assert!(one.lane < row.lanes && one.top + one.share <= row.height);
            for other in &row.bars[index + 1..] {
                let together = one.start < other.end && other.start < one.end;
                let apart = one.top + one.share <= other.top || other.top + other.share <= one.top;
                prop_assert!(!together || (one.lane != other.lane && apart), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn any_text_is_drawn_within_the_screen_and_escaped(bars in bars(), text in "\\PC{0,40}", width in 0usize..200) {
        let note = Note { label: text.clone(), text: text.clone() };
        let row = Row { node: text.clone(), capacity: text.clone(), bars, ..Row::default() };
        let mut chart = Chart { title: text.clone(), tasks: vec![text], rows: vec![row], unplaced: vec![note], ..Chart::default() };
        chart.finish();
        let drawn = gantt::render(&chart, Screen { width, colour: false });
        for line in drawn.lines().filter(|line| line.contains('│')) {
            prop_assert!(line.chars().count() <= width.max(40), "{line}");
        }
        let picture = svg::render(&chart);
        prop_assert!(picture.chars().all(|letter| letter == '\n' || !letter.is_control()));
        prop_assert_eq!(picture.matches('<').count(), picture.matches('>').count());
    }
}
