//! Gangs stand in racks as they ask to, and rank along them.

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::ListParams;
use taskbatch::api::{Phase, label};

use crate::batch::{Manifest, batches, in_phase, operator_near, status};
use crate::harness::{Operator, Sandbox, Test, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    gangs_stand_in_racks_as_they_ask_to,
    a_level_that_is_not_known_is_refused_at_once,
];

const RACK: &str = "example.com/rack";
const LEVELS: &str = "levels:
- {nodeLabel: example.com/rack, alias: rack, bandwidth: 1G}
- {nodeLabel: kubernetes.io/hostname, alias: node, bandwidth: 10G}
";

async fn operator(sandbox: &Sandbox) -> Result<Operator> {
    let path = std::env::temp_dir().join(format!("topology-{}.yaml", sandbox.namespace));
    std::fs::write(&path, LEVELS)?;
    operator_near(sandbox, &path).await
}

/// The rack of the node of each worker of the task, by rank.
async fn racks(sandbox: &Sandbox, task: &str) -> Result<Vec<(String, String)>> {
    let of_task = ListParams::default().labels(&format!("{}={task}", label::TASK));
    let mut ranked = Vec::new();
    for pod in sandbox.pods().list(&of_task).await? {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let node = node.context("a node")?;
        let rack = node.rsplit('-').next().unwrap_or_default();
        let rack = rack.split("of").nth(1).unwrap_or_default().to_owned();
        let rank: u32 = pod.labels().get(label::WORKER).context("a rank")?.parse()?;
        ranked.push((rank, rack, node));
    }
    ranked.sort();
    Ok(ranked
        .into_iter()
        .map(|(_, rack, node)| (rack, node))
        .collect())
}

/// Three nodes in each of two racks, in turn, with room for two workers each. Three workers must be in one rack, and
/// two would rather be; seven that talk need both, and rank along them.
async fn gangs_stand_in_racks_as_they_ask_to(sandbox: Sandbox) -> Result<()> {
    for (name, rack) in [
        ("aof1", "1"),
        ("bof2", "2"),
        ("cof1", "1"),
        ("dof2", "2"),
        ("eof1", "1"),
        ("fof2", "2"),
    ] {
        let node = sandbox.node(name).cpu("4").label(RACK, rack);
        node.create().await?;
    }
    let _operator = operator(&sandbox).await?;
    let each = "resources: {cpu: {min: 2}}\nestimate: {process: 10s}";
    let gang =
        |workers: u32, more: &str| format!("{each}\ngang: {{workers: {{min: {workers}}}, {more}}}");
    let mut batch = Manifest::new("");
    batch = batch.task(
        "required",
        &gang(3, "topology: {required: rack}"),
        &[("run-for", "1h")],
    );
    batch = batch.task(
        "preferred",
        &gang(2, "topology: {preferred: rack}"),
        &[("run-for", "1h")],
    );
    batch = batch.task(
        "talking",
        &gang(7, "comm: {bytesPerStep: 100M, steps: 10}"),
        &[("run-for", "1h")],
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    for task in ["required", "preferred"] {
        let found = racks(&sandbox, task).await?;
        ensure!(
            found.iter().all(|(rack, _)| *rack == found[0].0),
            "{task}: {found:?}"
        );
    }
    let found = racks(&sandbox, "talking").await?;
    ensure!(found.len() == 7, "{found:?}");
    ensure!(
        found.is_sorted(),
        "ranks do not go along the racks: {found:?}"
    );
    let tasks = status(&sandbox, "demo").await?.tasks;
    for task in &tasks {
        let assignment = task.assignment.as_ref().context("an assignment")?;
        let found = racks(&sandbox, &task.name).await?;
        let mut nodes: Vec<&String> = found.iter().map(|(_, node)| node).collect();
        nodes.dedup();
        let wanted = match nodes.len() {
            1 => "host",
            _ if found.iter().all(|(rack, _)| *rack == found[0].0) => "node",
            _ => "rack",
        };
        ensure!(
            assignment.level.as_deref() == Some(wanted),
            "{}: {assignment:?}",
            task.name
        );
        let predicted = task.predicted.as_ref().context("a prediction")?;
        let talks = predicted.communicate.is_some();
        ensure!(
            talks == (task.name == "talking" && wanted != "host"),
            "{}: {predicted:?}",
            task.name
        );
    }
    Ok(())
}

async fn a_level_that_is_not_known_is_refused_at_once(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").cpu("4").create().await?;
    let _operator = operator(&sandbox).await?;
    let gang = "gang: {workers: {min: 2}, topology: {required: room}}";
    let batch = Manifest::new("").task("far", gang, &[]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let message = eventually(seconds(20), async || {
        let found = batches(&sandbox).get("demo").await?;
        let conditions = found.status.map(|status| status.conditions);
        let mut refused = conditions.into_iter().flatten();
        let refused = refused.find(|it| it.type_ == "Accepted" && it.status == "False");
        refused.map(|it| it.message).context("it is not refused")
    })
    .await?;
    let wanted = "spec.tasks[0].gang.topology.required: \"room\" is no level of the network: it has rack, node, host";
    ensure!(message.contains(wanted), "{message}");
    // One of both kinds, or nothing: the schema holds that.
    let both = "gang: {workers: {min: 2}, topology: {required: rack, preferred: rack}}";
    let batch = Manifest::new("").task("near", both, &[]);
    let answer = sandbox.apply(&batch.yaml()).await?;
    ensure!(!answer.success, "both kinds were taken");
    Ok(())
}
