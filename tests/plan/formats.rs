//! How plans are printed for people, and the small commands.

use std::process::Stdio;

use serde_json::Value;

use crate::program::{BATCH, Folder, NODE};

fn folder(test: &str) -> Folder {
    let folder = Folder::new(test);
    let guessed = BATCH
        .replace("demo", "guess")
        .replace("    estimate:\n      read: 20s\n      process: 30m\n", "");
    let too_large = BATCH
        .replace("demo", "large")
        .replace("count: 1", "count: 3")
        .replace("max: 4", "max: 9")
        .replace("min: 1\n", "min: 9\n");
    folder.write(
        "batch.yaml",
        &format!("{BATCH}---\n{guessed}---\n{too_large}"),
    );
    folder.write("nodes.yaml", NODE);
    folder
}

fn plan(test: &str, format: &str) -> String {
    let done = folder(test).plan(&["--iterations", "30", "-o", format]);
    assert_eq!(done.code, Some(3), "{done:?}");
    // The only part that may differ from run to run.
    match done.out.split_once("plans tried: 30 in ") {
        None => done.out,
        Some((before, after)) => {
            let rest = after.split_once('s').map_or("", |(_, rest)| rest);
            format!("{before}plans tried: 30 in 0.0s{rest}")
        }
    }
}

#[test]
fn a_table_has_plain_numbers_and_reasons() {
    insta::assert_snapshot!("table", plan("table", "table"));
}

#[test]
fn a_wide_table_has_the_parts_of_each_length() {
    insta::assert_snapshot!("wide", plan("wide", "wide"));
}

#[test]
fn yaml_says_what_json_says() {
    let without_time = |mut plan: Value| {
        plan["elapsedMs"] = Value::Null;
        plan
    };
    let yaml: Value = serde_saphyr::from_str(&plan("yaml", "yaml")).expect("YAML");
    let json: Value = serde_json::from_str(&plan("json", "json")).expect("JSON");
    assert_eq!(without_time(yaml), without_time(json));
}

#[test]
fn a_picture_is_a_picture() {
    let text = plan("svg", "svg");
    assert!(
        text.trim_start().starts_with("<svg") || text.starts_with("<?xml"),
        "{text}"
    );
}

#[test]
fn a_picture_for_terminals_has_nodes_and_time() {
    let text = plan("gantt", "gantt");
    for part in ["n1 ", "│[train", "└┬─", "0s ", "no place: train (x3)"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert!(!text.contains('\x1b'), "colours without a terminal: {text}");
}

#[test]
fn verbose_shows_the_way_to_the_plan_and_the_parts_of_each_length() {
    let arguments = [
        "plan",
        "-v",
        "-f",
        "batch.yaml",
        "--nodes",
        "nodes.yaml",
        "--iterations",
        "30",
    ];
    let done = folder("verbose").run(&arguments);
    let lines: Vec<&str> = done.err.lines().collect();
    assert!(
        lines[0].contains("LOWER BOUND") && lines[0].contains("FOUND BY"),
        "{done:?}"
    );
    let last = lines.last().expect("an improvement");
    for part in ["620.0s", "< 0.01 %", "Greedy", "prices of time"] {
        assert!(last.contains(part), "{part:?} in {last}");
    }
    assert!(
        done.out.contains("READ") && done.out.contains("COMPUTE"),
        "{done:?}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = folder("pipe");
    folder.write("batch.yaml", &BATCH.replace("count: 1", "count: 3000"));
    let arguments = [
        "plan",
        "-f",
        "batch.yaml",
        "--nodes",
        "nodes.yaml",
        "--iterations",
        "1",
        "-o",
        "json",
    ];
    let mut child = folder
        .command(&arguments)
        .stdin(Stdio::null())
        .spawn()
        .expect("the program");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("an end");
    assert_eq!(
        (done.status.code(), done.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn the_small_commands_print_what_they_should() {
    let folder = Folder::new("small");
    let crd = folder.run(&["crd"]).out;
    assert_eq!(Some(crd), taskbatch::api::crd_yaml().ok());
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.run(&["completion", shell]);
        assert_eq!(script.code, Some(0));
        assert!(
            script.out.contains("taskbatch") && script.out.contains("time-limit"),
            "{shell}"
        );
    }
    let version = folder.run(&["version", "-o", "json"]).json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["apiVersion"], "taskbatch.dev/v1alpha1");
    assert!(
        folder
            .run(&["version"])
            .out
            .starts_with(concat!("taskbatch ", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(folder.run(&["plan", "--nonsense"]).code, Some(2));
    assert_eq!(folder.run(&["--help"]).code, Some(0));
}

/// The picture of the README is a plan of today's program; `make picture` draws it again.
#[test]
fn the_picture_in_the_examples_is_the_generated_one() {
    let example = |name: &str| format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let done = folder("picture").run(&[
        "plan",
        "-f",
        &example("demo.yaml"),
        "--nodes",
        &example("demo-nodes.yaml"),
        "--iterations",
        "100000",
        "-o",
        "svg",
    ]);
    let kept = std::fs::read_to_string(example("plan.svg")).expect("the picture");
    assert!(done.out == kept, "run `make picture`");
}
