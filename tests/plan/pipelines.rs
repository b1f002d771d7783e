//! Tasks that wait for each other.

use crate::program::{Folder, NODE};

/// A batch of tasks, each with those that it waits for and the minutes that it takes.
fn plan(test: &str, tasks: &[(&str, &str, u32)], output: &str) -> crate::program::Done {
    let tasks: String = tasks
        .iter()
        .map(|(name, after, minutes)| {
            format!(
                "  - name: {name}\n    dependsOn: [{after}]\n    estimate: {{process: {minutes}m}}\n    template: {{spec: {{containers: [{{name: main, image: x, resources: {{requests: {{cpu: 2}}}}}}]}}}}\n"
            )
        })
        .collect();
    let batch = format!(
        "apiVersion: taskbatch.dev/v1alpha1\nkind: TaskBatch\nmetadata: {{name: b}}\nspec:\n  tasks:\n{tasks}"
    );
    let folder = Folder::new(&format!("pipelines-{test}"));
    folder.write("batch.yaml", &batch).write("nodes.yaml", NODE);
    folder.plan(&["--iterations", "50", "-o", output])
}

const DIAMOND: [(&str, &str, u32); 5] = [
    ("report", "train, check", 1),
    ("train", "prepare", 30),
    ("check", "prepare", 5),
    ("prepare", "", 10),
    ("alone", "", 20),
];

#[test]
fn the_plan_tells_its_critical_path_which_is_the_bound_too() {
    let done = plan("path", &DIAMOND, "table");
    assert_eq!(done.code, Some(0), "{done:?}");
    for words in [
        "Makespan 2460.0s, lower bound 2460.0s (longest path), gap 0 %",
        "critical path: prepare -> train -> report, 2460.0s",
    ] {
        assert!(done.out.contains(words), "{words:?} in {}", done.out);
    }
    let alone = plan("alone", &[("one", "", 1), ("two", "", 2)], "table");
    assert!(!alone.out.contains("critical path"), "{}", alone.out);
}

#[test]
fn the_pictures_tell_what_waits_for_what() {
    let svg = plan("svg", &DIAMOND, "svg").out;
    assert_eq!(svg.matches("<path class=\"arrow\"").count(), 3, "{svg}");
    assert_eq!(
        svg.matches("<path class=\"arrow slack\"").count(),
        1,
        "{svg}"
    );
    assert!(
        svg.contains("<title>report waits for check</title>"),
        "{svg}"
    );
    let gantt = plan("gantt", &DIAMOND, "gantt").out;
    assert!(gantt.contains("[>train 2 cpu"), "{gantt}");
    let legend = format!(" {}", gantt.lines().last().expect("a legend"));
    let letter = |name: &str| {
        let (before, _) = legend.split_once(&format!(" {name} ")).expect("a name");
        before.chars().last().expect("a letter")
    };
    let after = format!("report (after {}{})", letter("train"), letter("check"));
    let swapped = format!("report (after {}{})", letter("check"), letter("train"));
    assert!(
        legend.contains(&after) || legend.contains(&swapped),
        "{gantt}"
    );
}

#[test]
fn a_circle_is_named_with_all_its_tasks_in_order() {
    let circle = [
        ("outside", "a", 1),
        ("a", "b", 1),
        ("b", "c", 1),
        ("c", "a", 1),
    ];
    let done = plan("circle", &circle, "table");
    assert_eq!(done.code, Some(1), "{done:?}");
    let words = "spec.tasks: dependsOn goes in a circle: a -> b -> c -> a";
    assert!(done.err.contains(words), "{}", done.err);
    let itself = plan("itself", &[("a", "a", 1)], "table");
    assert!(itself.err.contains("a -> a"), "{}", itself.err);
}

#[test]
fn a_name_that_is_no_task_is_told_with_its_place() {
    let done = plan("unknown", &[("a", "", 1), ("b", "a, nobody", 1)], "table");
    assert_eq!(done.code, Some(1), "{done:?}");
    let words = "spec.tasks[1].dependsOn[1]: \"nobody\" is no task of this batch";
    assert!(done.err.contains(words), "{}", done.err);
}

/// A gang of five workers on three nodes, and a task that waits for it.
fn gang(output: &str) -> String {
    let nodes: Vec<String> = [(1, 2), (2, 2), (3, 1)]
        .map(|(number, cpu)| {
            NODE.replace("n1", &format!("n{number}"))
                .replace("cpu: 8", &format!("cpu: {cpu}"))
        })
        .into();
    let task = |name: &str, fields: &str| {
        format!(
            "  - name: {name}\n    {fields}\n    estimate: {{process: 30m}}\n    template: {{spec: {{containers: [{{name: main, image: x, resources: {{requests: {{cpu: 1}}}}}}]}}}}\n"
        )
    };
    let batch = format!(
        "apiVersion: taskbatch.dev/v1alpha1\nkind: TaskBatch\nmetadata: {{name: b}}\nspec:\n  tasks:\n{}{}",
        task(
            "train",
            "gang: {workers: {min: 5}}\n    flavors: [{name: spot}]"
        ),
        task("evaluate", "dependsOn: [train]"),
    );
    let folder = Folder::new(&format!("gang-{output}"));
    folder.write("batch.yaml", &batch);
    folder.write("nodes.yaml", &nodes.join("---\n"));
    let plan = ["plan", "-f", "batch.yaml", "--nodes", "nodes.yaml"];
    folder
        .run(&[&plan[..], &["--iterations", "20", "-o", output]].concat())
        .out
}

#[test]
fn a_gang_is_one_bar_over_its_nodes() {
    let svg = gang("svg");
    assert_eq!(svg.matches(" gang\" x=").count(), 3, "{svg}");
    assert_eq!(svg.matches("class=\"tie ").count(), 2, "{svg}");
    assert_eq!(
        svg.matches(">train x5 spot 1 cpu</text>").count(),
        1,
        "{svg}"
    );
    assert!(
        svg.contains("spot: 1 cpu each, 2 of 5 workers here"),
        "{svg}"
    );
    let gantt = gang("gantt");
    let rows: Vec<&str> = gantt.lines().filter(|line| line.contains("│")).collect();
    assert!(rows[0].contains("│┏train x5 spot 1 cpu━"), "{gantt}");
    assert!(rows[1].contains("│┃ "), "{gantt}");
    assert!(rows[2].contains("│┗━"), "{gantt}");
    assert!(gantt.contains("evaluate (after A)"), "{gantt}");
}
