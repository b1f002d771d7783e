//! Copies, indices, nodes, and copies that are left out.

use super::*;

/// One node of 4 cpu, and a task of two copies that take 2 cpu for 10 ms.
fn two_copies() -> Problem {
    minimising(Goal::Makespan)
        .with_nodes(1, &[4, 0])
        .with(task("a").copies(2).running(taking(&[2, 0]).on(0, 10)))
}

#[test]
fn every_copy_is_in_the_plan_exactly_once() {
    let both = plan().run(0, 0, 0..10, &[0]).run(0, 1, 0..10, &[0]);
    for (plan, expected) in [
        (both.clone(), vec![]),
        (
            plan().run(0, 0, 0..10, &[0]),
            vec!["lab/first a[1] is neither assigned nor unplaced"],
        ),
        (
            both.clone().run(0, 1, 10..20, &[0]),
            vec!["lab/first a[1] is 2 times in the plan"],
        ),
        (
            both.clone().leave("a", 0),
            vec!["lab/first a[0] is 2 times in the plan"],
        ),
        (
            both.clone().run(0, 2, 10..20, &[0]),
            vec!["lab/first a[2] is assigned, but is none of the copies to place"],
        ),
        (
            both.clone().run(1, 0, 10..20, &[0]),
            vec!["assignment 2 is of task 1, there are 1"],
        ),
        (
            both.clone().leave("b", 3),
            vec!["lab/first b[3] is unplaced, but not in the problem"],
        ),
    ] {
        assert_eq!(faults(&two_copies(), &plan), expected);
    }
}

#[test]
fn a_task_may_come_in_parts() {
    let mut late = task("a").released_at(50).running(taking(&[2, 0]).on(0, 10));
    late.copies = vec![2];
    let problem = two_copies().with(late);
    let good = plan()
        .run(0, 0, 0..10, &[0])
        .run(0, 1, 0..10, &[0])
        .run(1, 2, 50..60, &[0]);
    assert_eq!(check_plan(&problem, &good), Ok(()));
    let swapped = plan()
        .run(1, 0, 50..60, &[0])
        .run(0, 1, 0..10, &[0])
        .run(1, 2, 50..60, &[0]);
    assert_eq!(
        faults(&problem, &swapped),
        [
            "lab/first a[0] is assigned, but is none of the copies to place",
            "lab/first a[0] is neither assigned nor unplaced"
        ]
    );
}

#[test]
fn what_fits_nowhere_is_unplaced() {
    let problem = two_copies().without("huge", 4);
    let both = plan().run(0, 0, 0..10, &[0]).run(0, 1, 0..10, &[0]);
    assert_eq!(check_plan(&problem, &both.clone().leave("huge", 4)), Ok(()));
    assert_eq!(
        faults(&problem, &both),
        ["lab/first huge[4] is neither assigned nor unplaced"]
    );
}

#[test]
fn indices_point_to_something() {
    let problem = minimising(Goal::Makespan)
        .with_nodes(1, &[4, 0])
        .with_nodes(1, &[4, 0])
        .with(task("a").running(taking(&[1, 0]).on(0, 10)));
    let mut second_mode = plan().run(0, 0, 0..10, &[0]);
    second_mode.assignments[0].mode = 1;
    for (plan, expected) in [
        (second_mode, "lab/first a[0] runs in mode 1, the task has 1"),
        (
            plan().run(0, 0, 0..10, &[0, 0]),
            "lab/first a[0] has 1 pods on 2 nodes; each pod needs one",
        ),
        (
            plan().run(0, 0, 0..10, &[]),
            "lab/first a[0] has 1 pods on 0 nodes; each pod needs one",
        ),
        (
            plan().run(0, 0, 0..10, &[2]),
            "lab/first a[0] is on node 2, there are 2",
        ),
        (
            plan().run(0, 0, 0..10, &[1]),
            "lab/first a[0] is on node n1, where its mode 0 does not run",
        ),
    ] {
        assert_eq!(faults(&problem, &plan), [expected]);
    }
}

#[test]
fn a_node_without_a_class_takes_nothing() {
    let mut problem = two_copies();
    problem.nodes.push("stranger".into());
    let plan = plan().run(0, 0, 0..10, &[0]).run(0, 1, 0..10, &[1]);
    assert_eq!(
        faults(&problem, &plan),
        ["lab/first a[1] is on node stranger, where its mode 0 does not run"]
    );
}

#[test]
fn under_a_timed_goal_only_what_never_fits_waits() {
    let waiting = plan().run(0, 0, 0..10, &[0]).leave("a", 1);
    assert_eq!(
        faults(&two_copies(), &waiting),
        ["lab/first a[1] is unplaced, but there is room for its mode 0 with 1 pods"]
    );
    let held = two_copies().holding(0..1_000, &[4, 0]);
    assert_eq!(
        faults(&held, &plan().leave("a", 0).leave("a", 1)).len(),
        1,
        "holds end"
    );
    let forever = two_copies().holding(0..i64::MAX, &[4, 0]);
    assert_eq!(
        check_plan(&forever, &plan().leave("a", 0).leave("a", 1)),
        Ok(())
    );
}

#[test]
fn a_copy_behind_an_unplaced_task_may_wait() {
    let problem = minimising(Goal::FlowTime)
        .with_nodes(1, &[4, 0])
        .with(task("a").running(taking(&[5, 0]).on(0, 10)))
        .with(task("b").after(0).running(taking(&[1, 0]).on(0, 10)));
    assert_eq!(
        check_plan(&problem, &plan().leave("a", 0).leave("b", 0)),
        Ok(())
    );
}

#[test]
fn under_a_static_goal_nothing_waits_that_fits_beside_the_others() {
    let problem = |big: i64, small: i64| {
        minimising(Goal::Throughput)
            .with_nodes(2, &[4, 1])
            .holding(0..5, &[1, 0])
            .with(task("a").running(taking(&[2, 1]).on(0, 10)))
            .with(
                task("b")
                    .running(taking(&[big, 0]).on(0, 10))
                    .running(taking(&[small, 1]).on(0, 10)),
            )
    };
    let waiting = plan().run(0, 0, 0..10, &[0]).leave("b", 0);
    for (big, small, room) in [
        (4, 4, None),
        (3, 4, Some(0)),
        (4, 3, Some(1)),
        (4, 1, Some(1)),
    ] {
        let mode = |mode| {
            format!("lab/first b[0] is unplaced, but there is room for its mode {mode} with 1 pods")
        };
        let expected: Vec<String> = room.map(mode).into_iter().collect();
        assert_eq!(
            faults(&problem(big, small), &waiting),
            expected,
            "{big} {small}"
        );
    }
}

#[test]
fn a_gang_fits_in_what_is_left_on_several_nodes() {
    let gang = |pods| {
        minimising(Goal::Shortfall)
            .with_nodes(3, &[4, 0])
            .with(task("a").running(taking(&[3, 0]).on(0, 10)))
            .with(task("gang").running(taking(&[2, 0]).pods(pods).on(0, 10)))
    };
    let waiting = plan().run(0, 0, 0..10, &[1]).leave("gang", 0);
    assert_eq!(faults(&gang(4), &waiting).len(), 1);
    assert_eq!(check_plan(&gang(5), &waiting), Ok(()));
}

#[test]
fn holds_that_follow_each_other_use_the_same_room() {
    let problem = minimising(Goal::Shortfall)
        .with_nodes(1, &[4, 0])
        .holding(5..9, &[2, 0])
        .holding(0..5, &[2, 0])
        .with(task("a").running(taking(&[2, 0]).on(0, 10)));
    assert_eq!(check_plan(&problem, &plan().run(0, 0, 0..10, &[0])), Ok(()));
    assert_eq!(faults(&problem, &plan().leave("a", 0)).len(), 1);
}

#[test]
fn budgets_hold_for_the_whole_plan_and_leave_nobody_out() {
    let mut problem = two_copies();
    problem.budgets = vec![9, 5];
    problem.tasks[0].modes[0].spends = vec![4, 3];
    let both = plan().run(0, 0, 0..10, &[0]).run(0, 1, 0..10, &[0]);
    assert_eq!(
        faults(&problem, &both),
        ["the plan uses up 6 of budget 1, which allows 5"]
    );
    let one = plan().run(0, 0, 0..10, &[0]).leave("a", 1);
    assert_eq!(faults(&problem, &one), Vec::<String>::new());
    problem.budgets = vec![9, 6];
    assert_eq!(faults(&problem, &both), Vec::<String>::new());
    assert_eq!(
        faults(&problem, &one),
        ["lab/first a[1] is unplaced, but there is room for its mode 0 with 1 pods"]
    );
}

#[test]
fn budgets_say_nothing_of_what_has_no_time() {
    let mut problem = two_copies();
    problem.goal = Goal::Throughput;
    problem.budgets = vec![0];
    problem.tasks[0].modes[0].spends = vec![1];
    let both = plan().run(0, 0, 0..10, &[0]).run(0, 1, 0..10, &[0]);
    assert_eq!(faults(&problem, &both), Vec::<String>::new());
}
