//! What is wrong with a file is said with file, line, field, and what would be right.

use crate::program::{BATCH, Done, Folder, NODE};

/// Plans the batch of the tests with one piece of its text in another's place.
fn with(test: &str, old: &str, new: &str) -> Done {
    assert!(BATCH.contains(old), "{old:?} does not stand in the batch");
    plan(test, &BATCH.replacen(old, new, 1))
}

fn plan(test: &str, batch: &str) -> Done {
    let folder = Folder::new(test);
    folder.write("batch.yaml", batch).write("nodes.yaml", NODE);
    folder.plan(&["--iterations", "1"])
}

#[test]
fn the_batch_of_the_tests_is_good() {
    let done = plan("good", BATCH);
    assert_eq!(
        (done.code, done.err.as_str()),
        (Some(0), ""),
        "{}",
        done.out
    );
}

/// (what is wrong, text to replace, its replacement, how the only line of errors begins, what it says)
const CASES: [(&str, &str, &str, &str, &str); 32] = [
    (
        "min above max",
        "min: 1\n        max: 4",
        "min: 5\n        max: 4",
        "batch.yaml:17: spec.tasks[0].resources[nvidia.com/gpu]:",
        "min must be at most max",
    ),
    (
        "step zero",
        "step: 1\n",
        "step: 0\n",
        "batch.yaml:19: spec.tasks[0].resources[nvidia.com/gpu]:",
        "step must be above 0",
    ),
    (
        "step negative",
        "step: 1\n",
        "step: -1\n",
        "batch.yaml:19: spec.tasks[0].resources[nvidia.com/gpu].step:",
        "greater than or equal to 0",
    ),
    (
        "quoted step negative",
        "step: 1\n",
        "step: \"-1\"\n",
        "batch.yaml:19: spec.tasks[0].resources[nvidia.com/gpu].step:",
        "should match",
    ),
    (
        "fractional devices",
        "max: 4\n",
        "max: \"1.5\"\n",
        "batch.yaml:16: spec.tasks[0].resources[nvidia.com/gpu]:",
        "whole numbers",
    ),
    (
        "half a device",
        "max: 4\n",
        "max: 1.5\n",
        "batch.yaml:18: spec.tasks[0].resources[nvidia.com/gpu].max:",
        "must be of type integer or string",
    ),
    (
        "flavor twice",
        "    count: 1",
        "    flavors: [{name: a}, {name: a}]",
        "batch.yaml:8: spec.tasks[0].flavors[1]:",
        "Duplicate value",
    ),
    (
        "rate of a flavor",
        "    count: 1",
        "    flavors: [{name: a, rate: \"0\"}]",
        "batch.yaml:8: spec.tasks[0].flavors[0].rate:",
        "and above 0",
    ),
    (
        "range of a flavor",
        "    count: 1",
        "    flavors: [{name: a, resources: {cpu: {min: 4, max: 2}}}]",
        "batch.yaml:8: spec.tasks[0].flavors[0].resources[cpu]:",
        "min must be at most max",
    ),
    (
        "host name of a gang",
        "    count: 1\n    template:\n      spec:\n",
        "    gang: {workers: {min: 2}}\n    template:\n      spec:\n        hostname: h\n",
        "batch.yaml:11: spec.tasks[0].template.spec.hostname:",
        "a host name of its own",
    ),
    (
        "negative estimate",
        "read: 20s",
        "read: -20s",
        "batch.yaml:21: spec.tasks[0].estimate.read:",
        "duration of at least 0 such as 1h30m",
    ),
    (
        "node name",
        "      spec:\n        containers",
        "      spec:\n        nodeName: n1\n        containers",
        "batch.yaml:11: spec.tasks[0].template.spec",
        "nodeName is reserved",
    ),
    (
        "scheduler name",
        "      spec:\n        containers",
        "      spec:\n        schedulerName: mine\n        containers",
        "batch.yaml:11: spec.tasks[0].template.spec",
        "schedulerName is reserved",
    ),
    (
        "scheduling gates",
        "      spec:\n        containers",
        "      spec:\n        schedulingGates: [{name: a}]\n        containers",
        "batch.yaml:11: spec.tasks[0].template.spec",
        "schedulingGates is reserved",
    ),
    (
        "restart policy",
        "      spec:\n        containers",
        "      spec:\n        restartPolicy: Always\n        containers",
        "batch.yaml:11: spec.tasks[0].template.spec",
        "restartPolicy must be Never",
    ),
    (
        "unknown field",
        "    count: 1",
        "    cuont: 1",
        "batch.yaml:8: spec.tasks[0].cuont:",
        "unknown field; known here: container, count,",
    ),
    (
        "unknown metadata",
        "  name: demo",
        "  name: demo\n  lables: {a: b}",
        "batch.yaml:5: metadata.lables:",
        "unknown field; known here: annotations,",
    ),
    (
        "syntax",
        "    count: 1",
        "    count: [1",
        "batch.yaml:9:",
        "is no YAML",
    ),
    (
        "key twice",
        "    count: 1",
        "    count: 1\n    count: 2",
        "batch.yaml:9:",
        "key \"count\" stands twice",
    ),
    (
        "wrong type",
        "count: 1",
        "count: \"1\"",
        "batch.yaml:8: spec.tasks[0].count:",
        "Invalid value: \"1\": must be of type integer: \"string\"",
    ),
    (
        "wrong type of metadata",
        "  name: demo",
        "  name: demo\n  labels: [a]",
        "batch.yaml:5: metadata.labels:",
        "invalid type: sequence, expected a map",
    ),
    (
        "label",
        "  name: demo",
        "  name: demo\n  labels:\n    example.com/a: 5",
        "batch.yaml:6: metadata.labels[example.com/a]:",
        "invalid type: integer `5`, expected a string",
    ),
    (
        "no copies",
        "count: 1",
        "count: 0",
        "batch.yaml:8: spec.tasks[0].count:",
        "Invalid value: 0: should be greater than or equal to 1",
    ),
    (
        "unknown goal",
        "spec:\n  tasks",
        "spec:\n  objective: {goal: Speed}\n  tasks",
        "batch.yaml:6: spec.objective.goal:",
        "Unsupported value: \"Speed\": supported values: \"Makespan\", \"FlowTime\"",
    ),
    (
        "name of a task",
        "name: train",
        "name: Train",
        "batch.yaml:7: spec.tasks[0].name:",
        "Invalid value: \"Train\": should match",
    ),
    (
        "required field",
        "        min: 1\n",
        "",
        "batch.yaml:16: spec.tasks[0].resources[nvidia.com/gpu].min:",
        "Required value: Smallest amount.",
    ),
    (
        "no name",
        "  name: demo",
        "  labels: {}",
        "batch.yaml:3: metadata.name:",
        "Required value",
    ),
    (
        "name of the batch",
        "name: demo",
        "name: My_Demo",
        "batch.yaml:4: metadata.name:",
        "lower case letters",
    ),
    (
        "old version",
        "v1alpha1",
        "v1",
        "batch.yaml:1: apiVersion:",
        "supported values: \"taskbatch.dev/v1alpha1\"",
    ),
    (
        "no version",
        "apiVersion: taskbatch.dev/v1alpha1\n",
        "",
        "batch.yaml:1: apiVersion:",
        "Required value: taskbatch.dev/v1alpha1",
    ),
    (
        "no kind",
        "kind: TaskBatch\n",
        "",
        "batch.yaml:1: kind:",
        "Required value",
    ),
    (
        "no such container",
        "    count: 1",
        "    container: other",
        "batch.yaml:8: spec.tasks[0].container:",
        "\"other\" is no container of the template; it has main",
    ),
];

#[test]
fn every_fault_has_its_line_and_field() {
    for (what, old, new, start, message) in CASES {
        let done = with("faults", old, new);
        assert_eq!(done.code, Some(1), "{what}: {done:?}");
        assert_eq!(done.err.lines().count(), 1, "{what}: {}", done.err);
        assert!(
            done.err.starts_with(start),
            "{what}: wanted {start:?}\n{}",
            done.err
        );
        assert!(
            done.err.contains(message),
            "{what}: wanted {message:?}\n{}",
            done.err
        );
        assert_eq!(done.out, "", "{what}");
    }
}

#[test]
fn a_batch_needs_tasks() {
    let head = BATCH.split("  tasks:").next().expect("a head");
    let done = plan("no-tasks", &format!("{head}  tasks: []\n"));
    assert_eq!(
        done.err,
        "batch.yaml:6: spec.tasks: Invalid value: 0: should have at least 1 items\n"
    );
    let done = plan("absent-tasks", &format!("{head}  suspend: false\n"));
    assert!(
        done.err
            .starts_with("batch.yaml:5: spec.tasks: Required value"),
        "{}",
        done.err
    );
}

#[test]
fn tasks_of_one_name_are_refused() {
    let task = BATCH.split("  tasks:\n").nth(1).expect("a task");
    let done = plan("same-name", &format!("{BATCH}{task}"));
    assert_eq!(
        done.err,
        "batch.yaml:23: spec.tasks[1]: Duplicate value: {\"name\":\"train\"}\n"
    );
}

#[test]
fn copies_are_counted_over_all_tasks() {
    let task = BATCH
        .split("  tasks:\n")
        .nth(1)
        .expect("a task")
        .replace("train", "more");
    let done = plan(
        "copies",
        &format!("{BATCH}{task}").replace("count: 1", "count: 6000"),
    );
    let sum = "batch.yaml:5: spec: a batch has at most 10000 copies in all; make several batches\n";
    assert_eq!(done.err, sum);
    let done = with("count", "count: 1", "count: 10001");
    let one = "batch.yaml:8: spec.tasks[0].count: Invalid value: 10001: should be less than or equal to 10000\n";
    assert_eq!(done.err, format!("{sum}{one}"));
}

#[test]
fn all_faults_of_all_files_are_listed_and_then_counted() {
    let folder = Folder::new("all");
    folder.write(
        "b.yaml",
        &BATCH.replace("count: 1", "count: 0").replace("20s", "-20s"),
    );
    folder.write("a.yaml", &BATCH.replace("demo", "Demo"));
    folder.write("nodes.yaml", &NODE.replace("cpu: 8", "cpu: eight"));
    let done = folder.run(&["plan", "-f", "b.yaml", "a.yaml", "--nodes", "nodes.yaml"]);
    let starts: Vec<_> = done
        .err
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect();
    assert_eq!(
        starts,
        ["a.yaml:4:", "b.yaml:8:", "b.yaml:21:", "nodes.yaml:5:"],
        "{}",
        done.err
    );

    let task = BATCH
        .split("  tasks:\n")
        .nth(1)
        .expect("a task")
        .replace("count: 1", "count: 0");
    let many: String = (0..30)
        .map(|index| task.replace("train", &format!("t{index}")))
        .collect();
    let head = BATCH.split("  - name").next().expect("a head");
    let done = plan("many", &format!("{head}{many}"));
    assert_eq!(done.err.lines().count(), 21, "{}", done.err);
    assert!(done.err.ends_with("\nand 10 more\n"), "{}", done.err);
}

#[test]
fn json_faults_have_lines_too() {
    let folder = Folder::new("json-faults");
    let text = "{\"apiVersion\": \"taskbatch.dev/v1alpha1\",\n\"kind\": \"TaskBatch\",\n\"metadata\": {\"name\": \"a\"},\n\"spec\": {\"tasks\": [\n]}}";
    folder.write("batch.json", text).write("nodes.yaml", NODE);
    let done = folder.run(&["plan", "-f", "batch.json", "--nodes", "nodes.yaml"]);
    assert!(
        done.err.starts_with("batch.json:4: spec.tasks: "),
        "{}",
        done.err
    );
    folder.write(
        "batch.json",
        "{\"apiVersion\": \"taskbatch.dev/v1alpha1\",\n\"kind\": }",
    );
    let done = folder.run(&["plan", "-f", "batch.json", "--nodes", "nodes.yaml"]);
    assert!(
        done.err
            .starts_with("batch.json:2: is no JSON: expected value"),
        "{}",
        done.err
    );
}

#[test]
fn files_that_hold_something_else_are_named() {
    let folder = Folder::new("else");
    folder
        .write("batch.yaml", BATCH)
        .write("nodes.yaml", NODE)
        .write("empty.yaml", "# nothing\n");
    for (arguments, wanted) in [
        (
            ["-f", "nodes.yaml", "--nodes", "nodes.yaml"],
            "nodes.yaml: holds no TaskBatch but 1 Node\n",
        ),
        (
            ["-f", "batch.yaml", "--nodes", "empty.yaml"],
            "empty.yaml: holds no Node\n",
        ),
        (
            ["-f", "batch.yaml", "--nodes", "absent.yaml"],
            "absent.yaml: No such file or directory (os error 2)\n",
        ),
    ] {
        let done = folder.run(&[&["plan"], &arguments[..]].concat());
        assert_eq!((done.code, done.err.as_str()), (Some(1), wanted));
    }
}

#[test]
fn two_objects_of_one_name_are_refused() {
    let folder = Folder::new("twice");
    folder
        .write("a.yaml", BATCH)
        .write("b.yaml", BATCH)
        .write("nodes.yaml", &format!("{NODE}---\n{NODE}"));
    let done = folder.run(&[
        "plan",
        "-f",
        "a.yaml",
        "-f",
        "b.yaml",
        "--nodes",
        "nodes.yaml",
    ]);
    let wanted = "b.yaml:4: metadata.name: Duplicate value: \"default/demo\" is already in a.yaml\n\
                  nodes.yaml:9: metadata.name: Duplicate value: \"n1\" is already in nodes.yaml\n";
    assert_eq!(done.err, wanted);
}

#[test]
fn the_command_line_is_judged_with_code_two() {
    let folder = Folder::new("usage");
    folder.write("nodes.yaml", NODE).write("a.yaml", BATCH);
    folder.write(
        "b.yaml",
        &BATCH
            .replace("demo", "other")
            .replace("spec:\n  t", "spec:\n  objective: {goal: Cost}\n  t"),
    );
    for (arguments, wanted) in [
        (&["-f", "a.yaml"][..], "--nodes"),
        (
            &["-f", "a.yaml", "--nodes", "nodes.yaml", "--goal", "Speed"],
            "is none of Makespan, FlowTime, Cost, Shortfall, Throughput",
        ),
        (
            &[
                "-f",
                "a.yaml",
                "--nodes",
                "nodes.yaml",
                "--time-limit",
                "fast",
            ],
            "must be a duration such as 500ms",
        ),
        (
            &[
                "-f",
                "a.yaml",
                "--nodes",
                "nodes.yaml",
                "--time-limit",
                "1s",
                "--iterations",
                "5",
            ],
            "cannot be used with",
        ),
        (
            &["-f", "a.yaml", "b.yaml", "--nodes", "nodes.yaml"],
            "the batches have different goals: Makespan of default/demo, Cost of default/other; choose one with --goal",
        ),
    ] {
        let done = folder.run(&[&["plan"], arguments].concat());
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.err.contains(wanted), "wanted {wanted:?}\n{}", done.err);
    }
}
