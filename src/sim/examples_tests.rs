//! Every example runs to its end on its nodes, whichever there are: `NAME.yaml` on those of `NAME-nodes.yaml`, else of
//! `nodes.yaml`, beside the pods of `NAME-pods.yaml`, with the share that its comment names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::cluster::{Cluster, Options};
use super::edit::Edit;
use super::fixture::object;
use super::invariants::Invariants;
use super::run::{End, run};
use crate::api::{Reason, TaskBatch, TaskPhase};
use crate::cluster::{node, topology};
use crate::decide::Memory;
use crate::model::{Millis, Share, Topology};

const YEAR: Millis = 365 * 24 * 3_600_000;
/// Plans that a search tries: what it finds is not what is tested here.
const ITERATIONS: u64 = 200;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The objects of a file by kind, those of lists too; none where there is no such file.
fn objects(name: &str) -> BTreeMap<String, Vec<Value>> {
    let text = std::fs::read_to_string(folder().join(name)).unwrap_or_default();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect(name);
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for document in documents {
        let items = document["items"].as_array().cloned();
        for item in items.unwrap_or_else(|| vec![document]) {
            let kind = item["kind"].as_str().unwrap_or_default().to_owned();
            found.entry(kind).or_default().push(item);
        }
    }
    found
}

/// The names of the files with batches.
fn examples() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("a folder");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.ends_with(".yaml") && objects(name).contains_key("TaskBatch"))
        .collect();
    names.sort();
    names
}

/// The network of the examples.
fn levels() -> Topology {
    let text = std::fs::read_to_string(folder().join("topology.yaml")).expect("levels");
    let levels: Value = serde_saphyr::from_str(&text).expect("levels");
    topology::read(&levels).expect("good levels")
}

/// Name and value of a PriorityClass, and whether it is the default.
fn class(class: &Value) -> Option<(&str, i32, bool)> {
    let value = i32::try_from(class["value"].as_i64()?).ok()?;
    let is_default = class["globalDefault"] == true;
    Some((class["metadata"]["name"].as_str()?, value, is_default))
}

fn cluster(name: &str) -> Cluster {
    let text = std::fs::read_to_string(folder().join(name)).expect(name);
    let share = text.split("--max-share ").nth(1);
    let share = share.and_then(|rest| Share::parse(rest.split_whitespace().next()?));
    let mut all = objects(name);
    let classes = all.remove("PriorityClass").unwrap_or_default();
    let mut cluster = Cluster::new(Options {
        startup: 1000,
        stop: 1000,
        iterations: ITERATIONS,
        priorities: classes.iter().filter_map(class).collect(),
        share: share.unwrap_or_default(),
        ..Options::default()
    });
    let beside = |what: &str| objects(&name.replace(".yaml", &format!("-{what}.yaml")));
    let own = beside("nodes").remove("Node");
    let nodes = own.or_else(|| objects("nodes.yaml").remove("Node"));
    for value in nodes.expect("nodes") {
        cluster.set_node(node::read(&object(value)).expect("a node"));
    }
    for value in beside("pods").remove("Pod").unwrap_or_default() {
        cluster.edit(Edit::AddPod(Box::new(object(value)), None));
    }
    for value in all.remove("TaskBatch").unwrap_or_default() {
        cluster.apply(object(value));
    }
    cluster
}

/// Tasks that have not succeeded although a node could hold them.
fn undone(batch: &TaskBatch) -> Vec<String> {
    let too_large = Some(Reason::ExceedsCapacity.as_str());
    let status = batch.status.clone().unwrap_or_default();
    let open = status
        .tasks
        .into_iter()
        .filter(|task| task.phase != TaskPhase::Succeeded && task.reason.as_deref() != too_large);
    open.map(|task| format!("{task:?}")).collect()
}

#[test]
fn every_example_runs_to_its_end() {
    let examples = examples();
    assert!(examples.len() > 5, "{examples:?}");
    for name in examples {
        let mut cluster = cluster(&name);
        let mut invariants = Invariants::with_share(cluster.options.share);
        let mut memory = Memory::of(Arc::new(levels()));
        let ran = run(&mut cluster, &mut memory, YEAR, &mut invariants);
        assert_eq!(ran.end, End::Settled, "{name}");
        assert_eq!(invariants.violations(), [""; 0], "{name}");
        for batch in cluster.batches() {
            let status = batch.status.as_ref().expect("a status");
            assert!(!status.tasks.is_empty(), "{name}: {:?}", status.conditions);
            assert_eq!(undone(batch), [""; 0], "{name}");
        }
    }
}

#[test]
fn every_example_is_told_of() {
    let readme = std::fs::read_to_string(folder().join("README.md")).expect("a README");
    for name in examples() {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in it");
    }
}
