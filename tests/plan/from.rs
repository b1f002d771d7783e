//! `plan --from`: an earlier plan is where the next one starts.

use serde_json::Value;

use crate::program::{BATCH, Done, Folder, NODE};

const NAMES: [&str; 4] = ["n1", "n2", "n3", "n4"];

/// A folder with the batch of the tests, of eight copies, and four nodes.
fn folder(test: &str) -> Folder {
    let nodes = NAMES.map(|name| NODE.replace("name: n1", &format!("name: {name}")));
    let folder = Folder::new(test);
    folder
        .write("batch.yaml", &BATCH.replace("count: 1", "count: 8"))
        .write("nodes.yaml", &nodes.join("---\n"));
    folder
}

fn plan(folder: &Folder, more: &[&str]) -> Done {
    let usual = [
        "plan",
        "-f",
        "batch.yaml",
        "--nodes",
        "nodes.yaml",
        "--goal",
        "FlowTime",
    ];
    folder.run(&[&usual[..], more].concat())
}

/// Copy, node and requests of each assignment.
fn places(plan: &Value) -> Vec<(u64, String, String)> {
    let all = plan["assignments"].as_array().expect("assignments");
    let place = |one: &Value| {
        let pod = &one["pods"][0];
        let copy = one["copy"].as_u64().expect("a copy");
        (copy, pod["node"].to_string(), pod["requests"].to_string())
    };
    all.iter().map(place).collect()
}

#[test]
fn what_is_still_good_stays() {
    let folder = folder("from-good");
    let first = plan(&folder, &["-o", "json", "--iterations", "20000"]);
    folder.write("plan.json", &first.out);
    // A copy more, and one plan: that of the warm start.
    folder.write("batch.yaml", &BATCH.replace("count: 1", "count: 9"));
    let more = ["-o", "json", "--iterations", "1", "--from", "plan.json"];
    let second = plan(&folder, &more);
    assert_eq!(second.code, Some(0), "{}", second.err);
    let (before, after) = (places(&first.json()), places(&second.json()));
    assert_eq!(after.len(), 9);
    assert!(
        before.iter().all(|place| after.contains(place)),
        "{before:?} {after:?}"
    );
}

#[test]
fn a_plan_from_itself_is_no_worse() {
    let folder = folder("from-itself");
    let first = plan(&folder, &["-o", "json", "--iterations", "20000"]);
    folder.write("plan.json", &first.out);
    let more = ["-o", "json", "--iterations", "1", "--from", "plan.json"];
    let objective = |done: &Done| done.json()["objective"].as_i64().expect("an objective");
    assert!(objective(&plan(&folder, &more)) <= objective(&first));
}

/// (what is wrong, the file, how the only line of errors goes)
const FAULTS: [(&str, &str, &str); 5] = [
    (
        "no-json",
        "assignments: []",
        "plan.json:1: expected value; ",
    ),
    (
        "no-plan",
        "{\"kind\": \"List\"}",
        "plan.json:1: missing field `assignments`; ",
    ),
    (
        "no-node",
        "{\"assignments\": [{\"batch\": \"a/b\", \"task\": \"t\", \"copy\": 0, \"startMs\": 0,\n \"pods\": [{}]}]}",
        "plan.json:2: assignments[0].pods[0]: missing field `node`; ",
    ),
    (
        "no-pods",
        "{\"assignments\": [{\"batch\": \"a/b\", \"task\": \"t\", \"copy\": 0, \"startMs\": 0, \"pods\": []}]}",
        "plan.json: assignments[0].pods: must name a pod",
    ),
    (
        "no-quantity",
        "{\"assignments\": [{\"batch\": \"a/b\", \"task\": \"t\", \"copy\": 0, \"startMs\": 0, \"pods\": [{\"node\": \"n\", \"requests\": {\"cpu\": \"much\"}}]}]}",
        "plan.json: assignments[0].pods[0].requests[cpu]: ",
    ),
];

#[test]
fn what_is_wrong_with_an_earlier_plan_is_told_with_its_place() {
    for (name, text, wanted) in FAULTS {
        let folder = folder(&format!("from-{name}"));
        folder.write("plan.json", text);
        let done = plan(&folder, &["--from", "plan.json"]);
        assert_eq!((done.code, done.out.as_str()), (Some(1), ""), "{name}");
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
        assert!(done.err.contains(wanted), "{name}: {}", done.err);
    }
    let folder = folder("from-none");
    let done = plan(&folder, &["--from", "missing.json"]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.err.contains("missing.json: cannot be read: "),
        "{}",
        done.err
    );
}
