//! What is planned, and how it is printed for programs.

use serde_json::{Value, json};

use crate::program::{BATCH, Folder, NODE, example};

/// The plan without the one field that may differ from run to run.
fn timeless(mut plan: Value) -> Value {
    plan["elapsedMs"] = json!(0);
    plan
}

#[test]
fn the_seed_case_is_solved_to_its_optimum() {
    let folder = Folder::new("seed");
    let (batch, nodes) = (example("seed-case.yaml"), example("seed-case-nodes.yaml"));
    let done = folder.run(&[
        "plan",
        "-f",
        &batch,
        "--nodes",
        &nodes,
        "--seed",
        "7",
        "--iterations",
        "100",
        "-o",
        "json",
    ]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let plan = done.json();
    assert_eq!(
        [
            &plan["objective"],
            &plan["lowerBound"],
            &plan["gap"],
            &plan["unit"],
            &plan["outcome"]
        ],
        [
            &json!(6000),
            &json!(6000),
            &json!(0.0),
            &json!("milli"),
            &json!("Optimal")
        ],
    );
    insta::assert_snapshot!("seed_case", without_elapsed(&done.out));
}

#[test]
fn a_flavor_is_chosen_for_the_goal() {
    let folder = Folder::new("flavors");
    let (batch, nodes) = (
        example("any-hardware.yaml"),
        example("any-hardware-nodes.yaml"),
    );
    let chosen = |goal: &str| {
        let arguments = [
            "plan", "-f", &batch, "--nodes", &nodes, "--goal", goal, "-o", "json",
        ];
        let done = folder.run(&arguments);
        assert_eq!(done.code, Some(0), "{done:?}");
        let plan = done.json();
        assert_eq!(plan["outcome"], "Optimal", "{goal}");
        let assignments = plan["assignments"].as_array().expect("a list").clone();
        let name = |one: &Value| one["flavor"].as_str().expect("a flavor").to_owned();
        let flavors: std::collections::BTreeSet<String> = assignments.iter().map(name).collect();
        (plan["objective"].clone(), Vec::from_iter(flavors))
    };
    // 40 minutes on 4 of 32 CPUs of a node that costs 1 an hour, against 5 minutes on an eighth of one that costs 30.
    assert_eq!(chosen("Cost"), (json!(500_004), vec!["cpu".to_owned()]));
    // Two of the 8 GPUs for 157.5 s, then all four at once of the last two copies.
    assert_eq!(
        chosen("Makespan"),
        (json!(243_750), vec!["a100".to_owned()])
    );
}

#[test]
fn gangs_stand_in_racks() {
    let folder = Folder::new("topology");
    let [batch, nodes, topology] = [
        "distributed-training.yaml",
        "distributed-training-nodes.yaml",
        "topology.yaml",
    ]
    .map(example);
    let arguments = [
        "plan",
        "-f",
        &batch,
        "--nodes",
        &nodes,
        "--topology",
        &topology,
        "--iterations",
        "500",
        "-o",
    ];
    let with = |format| folder.run(&[&arguments[..], &[format]].concat());
    let done = with("json");
    assert_eq!(done.code, Some(0), "{done:?}");
    let plan = done.json();
    let all = plan["assignments"].as_array().expect("a list");
    for one in all {
        let pods = one["pods"].as_array().expect("pods");
        let nodes: Vec<&str> = pods.iter().filter_map(|pod| pod["node"].as_str()).collect();
        let racks: Vec<&str> = nodes.iter().map(|node| &node[..2]).collect();
        let (span, is_one) = (&one["topology"], racks.iter().all(|rack| *rack == racks[0]));
        // Each worker takes a whole node, so that no gang is on one.
        assert_eq!(span["level"], if is_one { "node" } else { "rack" }, "{one}");
        assert!(nodes.is_sorted(), "ranks go along the racks: {nodes:?}");
        let (task, w) = (one["task"].as_str().expect("a name"), pods.len() as f64);
        let (bytes, steps) = match task {
            "pretrain" => (28e9, 1000.0),
            "finetune" => (14e9, 500.0),
            _ => (0.0, 0.0),
        };
        assert!(task == "pretrain" || is_one, "{one}");
        let (bandwidth, latency) = if is_one { (50e9, 1e-5) } else { (12.5e9, 5e-5) };
        let seconds = steps * (2.0 * (w - 1.0) / w * bytes / bandwidth + 2.0 * (w - 1.0) * latency);
        let wanted = if bytes > 0.0 {
            (seconds * 1e3).ceil()
        } else {
            0.0
        };
        let found = span["communicateMs"].as_f64().expect("a time");
        assert!(
            (found - wanted).abs() <= 1.0,
            "{found}, not {wanted}: {one}"
        );
    }
    let wide = with("wide");
    for part in ["LOAD", "COMMUNICATE", "SPANS", "% communicating"] {
        assert!(
            wide.out.contains(part),
            "{part} is missing in\n{}",
            wide.out
        );
    }
    let unknown = folder.run(&["plan", "-f", &batch, "--nodes", &nodes]);
    assert_eq!(unknown.code, Some(1));
    let wanted =
        "spec.tasks[1].gang.topology.required: \"rack\" is no level of the network: it has host";
    assert!(unknown.err.contains(wanted), "{}", unknown.err);
}

#[test]
fn a_wrong_topology_is_told_with_file_line_and_field() {
    let folder = Folder::new("wrong-topology");
    folder.write(
        "levels.yaml",
        "levels:\n- nodeLabel: rack\n  alias: rack\n  bandwidth: fast\n",
    );
    let (batch, nodes) = (example("rigid.yaml"), example("nodes.yaml"));
    let done = folder.run(&[
        "plan",
        "-f",
        &batch,
        "--nodes",
        &nodes,
        "--topology",
        "levels.yaml",
    ]);
    assert_eq!(done.code, Some(1));
    let wanted = "levels.yaml:4: levels[0].bandwidth: \"fast\" must be bytes a second above 0";
    assert!(done.err.contains(wanted), "{}", done.err);
}

/// The text of a plan with `elapsedMs` 0; the order of the fields is part of the contract.
fn without_elapsed(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.split_once("\"elapsedMs\": ") {
            Some((before, _)) => format!("{before}\"elapsedMs\": 0,"),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_same_input_seed_and_iterations_give_the_same_bytes_on_any_number_of_threads() {
    let folder = Folder::new("same");
    folder
        .write("batch.yaml", &BATCH.replace("count: 1", "count: 40"))
        .write("nodes.yaml", NODE);
    let plan = |threads: &str| {
        let arguments = [
            "-f",
            "batch.yaml",
            "--nodes",
            "nodes.yaml",
            "--goal",
            "FlowTime",
            "--algorithm",
            "Genetic",
        ];
        let more = [
            "--iterations",
            "500",
            "--seed",
            "3",
            "--threads",
            threads,
            "-o",
            "json",
        ];
        let done = folder.run(&[&["plan"], &arguments[..], &more[..]].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        without_elapsed(&done.out)
    };
    let one = plan("1");
    assert_eq!(one, plan("1"));
    assert_eq!(one, plan("2"));
    assert_eq!(one, plan("7"));
}

#[test]
fn what_cannot_be_placed_has_reason_and_fix_and_code_three() {
    let folder = Folder::new("unplaced");
    folder.write(
        "batch.yaml",
        &BATCH.replace("min: 1\n        max: 4", "min: 16\n        max: 16"),
    );
    folder.write("nodes.yaml", NODE);
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
    let done = folder.run(&arguments);
    assert_eq!(done.code, Some(3), "{done:?}");
    let plan = done.json();
    assert_eq!(plan["outcome"], "Infeasible");
    assert_eq!(plan["assignments"], json!([]));
    let one = &plan["unplaced"][0];
    assert_eq!(
        [&one["batch"], &one["task"], &one["copy"], &one["reason"]],
        [
            &json!("default/demo"),
            &json!("train"),
            &json!(0),
            &json!("ExceedsCapacity")
        ]
    );
    assert!(
        one["message"]
            .as_str()
            .is_some_and(|text| text.contains("16 nvidia.com/gpu")),
        "{one}"
    );
    assert!(one["fix"].is_string(), "{one}");
}

#[test]
fn the_requests_are_complete_as_they_will_be_written() {
    let folder = Folder::new("requests");
    let batch = BATCH.replace(
        "          image: example/train:1",
        "          image: example/train:1\n          resources: {requests: {memory: 1.5Gi, cpu: 100m}}",
    );
    folder.write("batch.yaml", &batch).write("nodes.yaml", NODE);
    let plan = folder.plan(&["--iterations", "50", "-o", "json"]).json();
    let wanted = json!({"index": 0, "node": "n1", "requests": {"cpu": "8", "memory": "1536Mi", "nvidia.com/gpu": "4"}});
    assert_eq!(plan["assignments"][0]["pods"], json!([wanted]));
    // 20 s to read, then 30 min of work that four GPUs share.
    assert_eq!(plan["assignments"][0]["endMs"], 470_000);
}

#[test]
fn throughput_is_maximised_and_has_an_upper_bound() {
    let folder = Folder::new("throughput");
    folder.write("batch.yaml", BATCH).write("nodes.yaml", NODE);
    let arguments = [
        "-f",
        "batch.yaml",
        "--nodes",
        "nodes.yaml",
        "--goal",
        "Throughput",
        "--iterations",
        "50",
        "-o",
        "json",
    ];
    let plan = folder.run(&[&["plan"], &arguments[..]].concat()).json();
    assert_eq!(
        [&plan["objective"], &plan["upperBound"]],
        [&json!(4000), &json!(4000)]
    );
    assert_eq!(plan.get("lowerBound"), None);
}

#[test]
fn manifests_are_read_in_every_form_that_kubectl_reads() {
    let folder = Folder::new("forms");
    let indented = |text: &str| text.replace('\n', "\n  ");
    let other = BATCH.replace("demo", "other");
    let as_json = |text: &str| {
        let value: Value = serde_saphyr::from_str(text).expect("YAML");
        serde_json::to_string_pretty(&value).expect("JSON")
    };
    folder
        .write("nodes.yaml", NODE)
        .write("nodes.json", &as_json(NODE))
        .write("one.yaml", BATCH)
        .write("two.yaml", &other);
    folder.write(
        "documents.yaml",
        &format!("---\n{BATCH}---\n# nothing\n---\n{NODE}---\n{other}"),
    );
    folder.write(
        "list.yaml",
        &format!(
            "apiVersion: v1\nkind: List\nitems:\n- {}\n- {}\n",
            indented(BATCH),
            indented(&other)
        ),
    );
    folder.write(
        "documents.json",
        &format!("{}\n{}", as_json(BATCH), as_json(&other)),
    );
    let bare =
        |text: &str| text.replace("apiVersion: taskbatch.dev/v1alpha1\nkind: TaskBatch\n", "");
    let typed = format!(
        "apiVersion: taskbatch.dev/v1alpha1\nkind: TaskBatchList\nitems:\n- {}\n- {}\n",
        indented(&bare(BATCH)),
        indented(&bare(&other))
    );
    folder.write("typed.yaml", &typed);
    folder.write(
        "status.yaml",
        &format!("{BATCH}status: {{phase: FromTomorrow}}\n---\n{other}"),
    );
    let plan = |files: &[&str], input: &str| {
        let rest = ["--iterations", "20", "-o", "json"];
        let done = folder.run_with(&[&["plan"], files, &rest[..]].concat(), input);
        assert_eq!(
            (done.code, done.err.as_str()),
            (Some(0), ""),
            "{files:?} {}",
            done.out
        );
        timeless(done.json())
    };
    let wanted = plan(
        &["-f", "one.yaml", "-f", "two.yaml", "--nodes", "nodes.yaml"],
        "",
    );
    assert_eq!(wanted["assignments"].as_array().map(Vec::len), Some(2));
    let documents = format!("{BATCH}---\n{other}");
    for (files, input) in [
        (
            &["-f", "one.yaml", "two.yaml", "--nodes", "nodes.json"][..],
            "",
        ),
        (&["-f", "documents.yaml", "--nodes", "documents.yaml"], ""),
        (&["-f", "list.yaml", "--nodes", "nodes.yaml"], ""),
        (&["-f", "typed.yaml", "--nodes", "nodes.yaml"], ""),
        (&["-f", "documents.json", "--nodes", "nodes.yaml"], ""),
        (&["-f", "status.yaml", "--nodes", "nodes.yaml"], ""),
        (&["-f", "-", "--nodes", "nodes.yaml"], documents.as_str()),
    ] {
        assert_eq!(plan(files, input), wanted, "{files:?}");
    }
}

#[test]
fn pods_of_others_take_room_and_no_pods_take_none() {
    let folder = Folder::new("pods");
    folder.write("batch.yaml", BATCH).write("nodes.yaml", NODE);
    folder.write("none.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: other}\nspec:\n  nodeName: n1\n  containers:\n  - name: c\n    resources: {requests: {cpu: 7}}\n";
    folder.write("pods.yaml", pod);
    let plan = |pods: &str| {
        let arguments = [
            "plan",
            "-f",
            "batch.yaml",
            "--nodes",
            "nodes.yaml",
            "--iterations",
            "20",
            "-o",
            "json",
            "--pods",
            pods,
        ];
        folder.run(&arguments)
    };
    assert_eq!(plan("none.yaml").code, Some(0));
    let full = plan("pods.yaml");
    assert_eq!(full.code, Some(3), "{full:?}");
    assert_eq!(full.json()["unplaced"][0]["reason"], "WaitingForCapacity");
}

#[test]
fn what_the_batches_say_holds_unless_the_command_line_says_otherwise() {
    let folder = Folder::new("settings");
    let spec = |seed: u32| {
        format!(
            "spec:\n  objective: {{goal: FlowTime}}\n  optimizer: {{algorithm: Greedy, seed: {seed}, iterations: 5}}\n  t"
        )
    };
    folder.write("a.yaml", &BATCH.replace("spec:\n  t", &spec(11)));
    folder.write(
        "b.yaml",
        &BATCH
            .replace("demo", "other")
            .replace("spec:\n  t", &spec(12)),
    );
    folder.write("nodes.yaml", NODE);
    let done = folder.run(&[
        "plan",
        "-f",
        "a.yaml",
        "b.yaml",
        "--nodes",
        "nodes.yaml",
        "-o",
        "json",
    ]);
    let plan = done.json();
    assert_eq!(
        [&plan["goal"], &plan["algorithm"], &plan["seed"]],
        [&json!("FlowTime"), &json!("Greedy"), &json!(11)]
    );
    assert_eq!(
        done.err,
        "note: 11 of default/demo is used, not 12 of default/other; --seed chooses\n"
    );
    let done = folder.run(&[
        "plan",
        "-f",
        "a.yaml",
        "b.yaml",
        "--nodes",
        "nodes.yaml",
        "--seed",
        "5",
        "--goal",
        "cost",
        "-o",
        "json",
    ]);
    assert_eq!(done.err, "");
    assert_eq!(
        [&done.json()["goal"], &done.json()["seed"]],
        [&json!("Cost"), &json!(5)]
    );
}
