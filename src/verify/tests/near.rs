//! Gangs and the network: what it costs to span a level, and what must not be spanned.

use super::*;
use crate::model::{Mode, Near, Tier};

/// Nodes 0 and 1 in one rack, 2 and 3 in another; each class is a rack.
fn two_racks() -> Problem {
    let mut problem = minimising(Goal::Makespan)
        .with_nodes(2, &[4, 0])
        .with_nodes(2, &[4, 0]);
    problem.levels = vec![
        Tier {
            alias: "rack".into(),
            is_host: false,
            domains: vec![0, 0, 1, 1],
        },
        Tier {
            alias: "node".into(),
            is_host: true,
            domains: vec![0, 1, 2, 3],
        },
    ];
    problem
}

/// Two pods: 10 ms on one node, 12 in a rack, 20 across racks.
fn talking() -> Mode {
    let mut mode = taking(&[2, 0]).pods(2).on(0, 10).on(1, 10);
    for run in &mut mode.runs {
        run.across = vec![20, 12];
    }
    mode
}

#[test]
fn a_gang_takes_what_the_widest_level_that_it_spans_takes() {
    let problem = two_racks().with(task("gang").running(talking()));
    let run = |end, nodes: &[usize]| plan().run(0, 0, 0..end, nodes);
    for (end, nodes) in [(10, [1, 1]), (12, [0, 1]), (12, [3, 2]), (20, [1, 2])] {
        assert_eq!(check_plan(&problem, &run(end, &nodes)), Ok(()));
    }
    // Across racks with the time of one rack, and in one rack with that of one node.
    assert_eq!(
        faults(&problem, &run(12, &[1, 2])),
        ["lab/first gang[0] runs from 0 to 12 ms, but takes 20 ms on node n2"]
    );
    assert_eq!(
        faults(&problem, &run(10, &[0, 1])),
        ["lab/first gang[0] runs from 0 to 10 ms, but takes 12 ms on node n1"]
    );
    assert_eq!(
        faults(&problem, &run(20, &[0, 1])),
        ["lab/first gang[0] runs from 0 to 20 ms, but takes 12 ms on node n1"]
    );
}

#[test]
fn pods_that_must_be_near_are() {
    let gang = |near| {
        let mut gang = task("gang").running(taking(&[2, 0]).pods(2).on(0, 10).on(1, 10));
        gang.near = near;
        two_racks().with(gang)
    };
    let on = |nodes: &[usize]| plan().run(0, 0, 0..10, nodes);
    assert_eq!(check_plan(&gang(Near::Within(0)), &on(&[0, 1])), Ok(()));
    assert_eq!(check_plan(&gang(Near::Within(2)), &on(&[0, 0])), Ok(()));
    assert_eq!(check_plan(&gang(Near::Rather(0)), &on(&[0, 2])), Ok(()));
    assert_eq!(
        faults(&gang(Near::Within(0)), &on(&[0, 2])),
        ["lab/first gang[0] is on nodes n0 and n2, but must be within one rack"]
    );
    assert_eq!(
        faults(&gang(Near::Within(2)), &on(&[0, 1])),
        ["lab/first gang[0] is on nodes n0 and n1, but must be within one host"]
    );
}

#[test]
fn there_is_room_only_where_it_is_near_enough() {
    let gang = |near, pods| {
        let mut gang = task("gang").running(taking(&[4, 0]).pods(pods).on(0, 10).on(1, 10));
        gang.near = near;
        two_racks().with(gang)
    };
    let left = plan().leave("gang", 0);
    let left_out = ["lab/first gang[0] is unplaced, but there is room for its mode 0 with 2 pods"];
    assert_eq!(faults(&gang(Near::Within(0), 2), &left), left_out);
    assert_eq!(check_plan(&gang(Near::Within(2), 2), &left), Ok(()));
    assert_eq!(check_plan(&gang(Near::Within(0), 3), &left), Ok(()));
    let left_out = ["lab/first gang[0] is unplaced, but there is room for its mode 0 with 3 pods"];
    assert_eq!(faults(&gang(Near::Rather(0), 3), &left), left_out);
}
