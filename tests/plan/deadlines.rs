//! Deadlines and priorities, as they are printed for programs.

use serde_json::{Value, json};

use crate::program::{Folder, NODE, example};

/// The plan of an example, with what was said on standard error.
fn planned(name: &str) -> (Value, String) {
    let folder = Folder::new(name);
    let batch = example(&format!("{name}.yaml"));
    let nodes = example(&format!("{name}-nodes.yaml"));
    let done = folder.run(&[
        "plan",
        "-f",
        &batch,
        "--nodes",
        &nodes,
        "--iterations",
        "300",
        "-o",
        "json",
    ]);
    assert_eq!(done.code, Some(0), "{done:?}");
    (done.json(), done.err.clone())
}

fn of_batch<'p>(plan: &'p Value, batch: &str) -> Vec<&'p Value> {
    let all = plan["assignments"].as_array().expect("assignments");
    all.iter().filter(|one| one["batch"] == batch).collect()
}

#[test]
fn the_examples_meet_their_deadlines_in_order_of_priority() {
    for (name, due) in [("trading-risk", 17), ("medical-imaging", 1_026)] {
        let (plan, err) = planned(name);
        assert_eq!(err, "", "{name}");
        assert_eq!(
            (&plan["tardinessMs"], &plan["tardinessBound"]),
            (&json!(0), &json!(0))
        );
        let all = plan["assignments"].as_array().expect("assignments");
        let met = all.iter().filter(|one| one["deadline"]["met"] == true);
        assert_eq!(met.count(), due, "{name}");
    }
    let (plan, _) = planned("medical-imaging");
    let emergency = of_batch(&plan, "default/emergency");
    assert!(
        emergency.iter().all(|one| one["startMs"] == 0),
        "{emergency:?}"
    );
    assert_eq!(of_batch(&plan, "default/retrospective").len(), 1_000);
}

const BATCH: &str = "apiVersion: taskbatch.dev/v1alpha1
kind: TaskBatch
metadata: {name: b}
spec:
  deadline: 1m
  tasks:
  - name: late
    estimate: {process: 90s}
    template: {spec: {containers: [{name: main, image: i}]}}
";

#[test]
fn a_deadline_that_no_plan_meets_is_told_with_the_earliest_end() {
    let folder = Folder::new("hopeless");
    folder.write("batch.yaml", BATCH);
    folder.write("nodes.yaml", NODE);
    let done = folder.plan(&["-o", "json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let told = "warning: default/b/late: due at 60.0s, planned to end at 90.0s; cannot be met: alone on these nodes it ends at 90.0s at the earliest\n";
    assert_eq!(done.err, told);
    let plan = done.json();
    assert_eq!(
        plan["assignments"][0]["deadline"],
        json!({"dueMs": 60_000, "met": false, "earliestEndMs": 90_000})
    );
    assert_eq!(
        (&plan["tardinessMs"], &plan["tardinessBound"]),
        (&json!(30_000), &json!(30_000))
    );
    assert_eq!(plan["outcome"], "Optimal");
}

#[test]
fn an_unknown_priority_class_is_refused() {
    let folder = Folder::new("class");
    let batch = BATCH.replace("name: late\n", "name: late\n    priorityClassName: none\n");
    folder.write("batch.yaml", &batch);
    folder.write("nodes.yaml", NODE);
    let done = folder.plan(&[]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let told = "batch.yaml:8: spec.tasks[0].priorityClassName: no PriorityClass \"none\": no PriorityClass is in the files";
    assert!(done.err.contains(told), "{}", done.err);
}
