//! `taskbatch bench` on instances so small that it takes no time.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// Two jobs between source and sink; one has a fast way that uses up the budget.
const PROJECT: &str = "\
jobs (incl. supersource/sink ):  4
  - renewable                 :  1   R
  - nonrenewable              :  1   N
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          2           2   3
   2        2          1           4
   3        1          1           4
   4        1          0
****
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  N 1
----
  1      1     0       0    0
  2      1     3       2    9
         2     5       2    1
  3      1     4       2    0
  4      1     0       0    0
****
RESOURCEAVAILABILITIES:
  R 1  N 1
    3    8
****
";

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskbatch"));
    command.arg("bench").args(arguments);
    command.output().expect("the program")
}

fn rows(arguments: &[&str]) -> Vec<Value> {
    let output = bench(arguments);
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(document["threads"].as_u64() > Some(0));
    document["rows"].as_array().expect("rows").clone()
}

#[test]
fn every_family_is_solved_by_every_search_that_is_asked_for() {
    let rows = rows(&[
        "-n",
        "8",
        "-m",
        "4",
        "--seeds",
        "1..2",
        "--iterations",
        "40",
        "-o",
        "json",
        "--algorithm",
        "Greedy",
        "--algorithm",
        "RuinRecreate",
    ]);
    // Six families with two goals and five with one; two seeds, two algorithms.
    assert_eq!(rows.len(), (6 * 2 + 5) * 2 * 2);
    for row in &rows {
        assert!(
            row["firstPlanMs"].as_f64() <= row["elapsedMs"].as_f64(),
            "{row}"
        );
        assert!(row["iterations"].as_u64() > Some(0), "{row}");
        assert_eq!(row["limit"], "40 iterations");
        let is_tight = row["instance"]
            .as_str()
            .is_some_and(|name| name.starts_with("tight"));
        assert_eq!(row["unplaced"], if is_tight { 7 } else { 0 }, "{row}");
    }
    let seed_case = rows.iter().filter(|row| row["goal"] == "Shortfall");
    assert!(seed_case.clone().all(|row| row["outcome"] == "Optimal"));
}

#[test]
fn iterations_replay_a_plan_whatever_the_threads() {
    let objective = |threads| {
        let rows = rows(&[
            "--family",
            "moldable",
            "-n",
            "30",
            "-m",
            "2",
            "--goal",
            "FlowTime",
            "--iterations",
            "300",
            "--threads",
            threads,
            "--algorithm",
            "Genetic",
            "-o",
            "json",
        ]);
        rows[0]["objective"].clone()
    };
    assert_eq!(objective("1"), objective("2"));
}

#[test]
fn a_project_is_read_and_solved_within_its_budget() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-two-jobs.mm");
    std::fs::write(&path, PROJECT).expect("a file");
    let name = path.to_str().expect("a name");
    let rows = rows(&[
        "--file",
        name,
        "--iterations",
        "100",
        "--algorithm",
        "Genetic",
        "-o",
        "json",
    ]);
    // The fast way of job 2 costs 9 of 8, and both jobs together need 4 of 3: one after the other.
    assert_eq!(rows[0]["objective"], 9_000);
    assert_eq!(rows[0]["instance"], "bench-two-jobs");
}

#[test]
fn a_table_has_a_line_for_each_row() {
    let output = bench(&["--family", "seedcase", "--iterations", "20"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("INSTANCE"), "{text}");
    assert!(lines[1].starts_with("seedcase 5x4"), "{text}");
    assert!(lines[1].contains("Optimal"), "{text}");
}

#[test]
fn what_is_no_project_is_an_error_with_the_name_of_the_file() {
    for (arguments, word) in [
        (&["--file", "/nowhere.mm"][..], "/nowhere.mm"),
        (&["--file", "Cargo.toml"], "Cargo.toml: no number of"),
        (&["--data", "/nowhere"], "/nowhere"),
    ] {
        let output = bench(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(word),
            "{output:?}"
        );
    }
}
