//! Starts, ends, order and capacity.

use super::*;

#[test]
fn nothing_starts_before_its_time() {
    let problem = |release| {
        minimising(Goal::Makespan).with_nodes(1, &[4, 0]).with(
            task("a")
                .released_at(release)
                .running(taking(&[1, 0]).on(0, 10)),
        )
    };
    let at = |start| plan().run(0, 0, start..start + 10, &[0]);
    assert_eq!(check_plan(&problem(5), &at(5)), Ok(()));
    assert_eq!(
        faults(&problem(5), &at(4)),
        ["lab/first a[0] starts at 4 ms, before 5 ms"]
    );
    assert_eq!(
        faults(&problem(-5), &at(-1)),
        ["lab/first a[0] starts at -1 ms, before 0 ms"]
    );
}

#[test]
fn under_a_static_goal_everything_starts_at_once() {
    let problem = minimising(Goal::Shortfall)
        .with_nodes(1, &[4, 0])
        .with(task("a").running(taking(&[1, 0]).on(0, 10)))
        .with(
            task("b")
                .after(0)
                .released_at(5)
                .running(taking(&[1, 0]).on(0, 10)),
        );
    let at = |start| {
        plan()
            .run(0, 0, 0..10, &[0])
            .run(1, 0, start..start + 10, &[0])
    };
    assert_eq!(check_plan(&problem, &at(0)), Ok(()));
    assert_eq!(
        faults(&problem, &at(10)),
        ["lab/first b[0] starts at 10 ms, under Shortfall everything starts at 0"]
    );
}

#[test]
fn the_slowest_pod_gives_the_end() {
    let problem = minimising(Goal::Makespan)
        .with_nodes(1, &[4, 0])
        .with_nodes(1, &[4, 0])
        .with(task("gang").running(taking(&[1, 0]).pods(2).on(0, 10).on(1, 25)));
    let run = |end, nodes: &[usize]| plan().run(0, 0, 0..end, nodes);
    assert_eq!(check_plan(&problem, &run(25, &[0, 1])), Ok(()));
    assert_eq!(check_plan(&problem, &run(10, &[0, 0])), Ok(()));
    for (end, words) in [(10, "0 to 10"), (26, "0 to 26"), (-25, "0 to -25")] {
        assert_eq!(
            faults(&problem, &run(end, &[0, 1])),
            [format!(
                "lab/first gang[0] runs from {words} ms, but takes 25 ms on node n1"
            )]
        );
    }
}

#[test]
fn a_copy_waits_for_all_copies_of_the_task_before() {
    let problem = minimising(Goal::Makespan)
        .with_nodes(1, &[8, 0])
        .with(task("a").copies(2).running(taking(&[1, 0]).on(0, 10)))
        .with(task("b").after(0).running(taking(&[1, 0]).on(0, 10)));
    let first = plan().run(0, 0, 0..10, &[0]);
    let at = |start| {
        first
            .clone()
            .run(0, 1, 5..15, &[0])
            .run(1, 0, start..start + 10, &[0])
    };
    assert_eq!(check_plan(&problem, &at(15)), Ok(()));
    assert_eq!(
        faults(&problem, &at(14)),
        ["lab/first b[0] starts at 14 ms, but waits for a, which ends at 15 ms"]
    );
    let open = first.clone().run(1, 0, 20..30, &[0]).leave("a", 1);
    assert!(faults(&problem, &open).contains(
        &"lab/first b[0] is placed, but waits for a, of which 1 of 2 copies are".to_owned()
    ));
    let unplaceable = problem.without("a", 2);
    assert_eq!(
        faults(&unplaceable, &at(15).leave("a", 2)),
        ["lab/first b[0] is placed, but waits for a, of which 2 of 3 copies are"]
    );
}

#[test]
fn a_task_that_has_run_holds_nobody_up() {
    let problem = minimising(Goal::Makespan)
        .with_nodes(1, &[8, 0])
        .with(task("a").copies(0).running(taking(&[1, 0]).on(0, 10)))
        .with(task("b").after(0).running(taking(&[1, 0]).on(0, 10)));
    assert_eq!(check_plan(&problem, &plan().run(1, 0, 0..10, &[0])), Ok(()));
}

/// Two tasks of 3 cpu for 10 ms on one node of 5 cpu.
fn two_big_tasks() -> Problem {
    let big = |name| task(name).running(taking(&[3, 0]).on(0, 10));
    minimising(Goal::Makespan)
        .with_nodes(1, &[5, -1])
        .with(big("a"))
        .with(big("b"))
}

#[test]
fn pods_that_overlap_fit_together() {
    let at = |start| {
        plan()
            .run(0, 0, 0..10, &[0])
            .run(1, 0, start..start + 10, &[0])
    };
    assert_eq!(
        check_plan(&two_big_tasks(), &at(10)),
        Ok(()),
        "intervals are half open"
    );
    assert_eq!(
        faults(&two_big_tasks(), &at(9)),
        ["node n0 has 5 cpu free, but at 9 ms planned pods use 6 and others hold 0"]
    );
}

#[test]
fn pods_fit_beside_the_holds_in_force() {
    let problem = two_big_tasks()
        .holding(10..15, &[3, 0])
        .holding(30..40, &[2, 9]);
    let at = |start| {
        plan()
            .run(0, 0, 0..10, &[0])
            .run(1, 0, start..start + 10, &[0])
    };
    assert_eq!(check_plan(&problem, &at(15)), Ok(()));
    assert_eq!(check_plan(&problem, &at(35)), Ok(()), "it takes no gpu");
    assert_eq!(
        faults(&problem, &at(14)),
        ["node n0 has 5 cpu free, but at 14 ms planned pods use 3 and others hold 3"]
    );
}

#[test]
fn an_overfull_node_takes_what_asks_for_nothing_more() {
    let problem = |gpu| {
        minimising(Goal::Makespan)
            .with_nodes(1, &[1, -2])
            .holding(0..50, &[0, 1])
            .with(task("a").running(taking(&[1, gpu]).on(0, 10)))
    };
    let now = plan().run(0, 0, 0..10, &[0]);
    assert_eq!(check_plan(&problem(0), &now), Ok(()));
    assert_eq!(
        faults(&problem(1), &now),
        ["node n0 has -2 gpu free, but at 0 ms planned pods use 1 and others hold 1"]
    );
}

#[test]
fn a_gang_on_one_node_needs_room_for_all_its_pods() {
    let problem = minimising(Goal::Makespan)
        .with_nodes(2, &[3, 0])
        .with(task("gang").running(taking(&[2, 0]).pods(2).on(0, 10)));
    assert_eq!(
        check_plan(&problem, &plan().run(0, 0, 0..10, &[0, 1])),
        Ok(())
    );
    assert_eq!(faults(&problem, &plan().run(0, 0, 0..10, &[1, 1])).len(), 1);
}

#[test]
fn a_run_of_no_time_holds_nothing_but_must_fit() {
    let problem = |cpu| {
        minimising(Goal::Makespan)
            .with_nodes(1, &[4, 0])
            .holding(0..10, &[4, 0])
            .with(task("a").copies(2).running(taking(&[cpu, 0]).on(0, 0)))
    };
    let both = plan().run(0, 0, 5..5, &[0]).run(0, 1, 5..5, &[0]);
    assert_eq!(check_plan(&problem(4), &both), Ok(()));
    let expected =
        |copy| format!("lab/first a[{copy}] asks for 5 cpu on node n0, which has 4 free");
    assert_eq!(faults(&problem(5), &both), [expected(0), expected(1)]);
    let mut gang = problem(3);
    gang.tasks[0].modes[0].pods = 2;
    let together = plan().run(0, 0, 5..5, &[0, 0]).run(0, 1, 5..5, &[0, 0]);
    assert_eq!(check_plan(&gang, &together), Ok(()));
}

#[test]
fn each_resource_of_a_node_is_reported_once() {
    let problem = minimising(Goal::Makespan)
        .with_nodes(1, &[1, 1])
        .with(task("a").copies(3).running(taking(&[2, 2]).on(0, 10)));
    let apart = plan()
        .run(0, 0, 0..10, &[0])
        .run(0, 1, 10..20, &[0])
        .run(0, 2, 20..30, &[0]);
    assert_eq!(faults(&problem, &apart).len(), 2);
}
