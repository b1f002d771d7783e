//! One set of nodes for kube-scheduler and for us: what races cost, and how nodes are kept for us alone.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::{TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase, operator, seen, with_reason};
use crate::harness::{FakeKubelet, Sandbox, Test, audit, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    races_with_kube_scheduler_lose_nothing,
    nodes_without_the_labels_are_left_to_others,
];

/// Our pods, one CPU each.
const OURS: usize = 120;
/// Pods for kube-scheduler, the same.
const THEIRS: usize = 240;
/// Nodes of eight CPUs.
const NODES: usize = 5;
/// The most attempts of one copy that may be lost to races.
const MOST_AT_FAULT: u32 = 3;

/// Both sides fill the same nodes at once, nine times over; kubelets that admit as real ones do are the judge.
async fn races_with_kube_scheduler_lose_nothing(sandbox: Sandbox) -> Result<()> {
    let mut nodes = Vec::new();
    for index in 0..NODES {
        let node = sandbox
            .node(&format!("n{index}"))
            .cpu("8")
            .without_kubelet();
        nodes.push(node.create().await?);
    }
    let names: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let _kubelets = FakeKubelet::start(&sandbox.client(), &names).await?;
    let _operator = operator(&sandbox).await?;
    let fields =
        format!("count: {OURS}\nresources: {{cpu: {{min: 1}}}}\nestimate: {{process: 1s}}");
    let batch = Manifest::new("").task("work", &fields, &[("run-for", "1s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let begun = Instant::now();
    let theirs = stream::iter((0..THEIRS).map(Ok)).try_for_each_concurrent(16, |index| {
        let pod = sandbox
            .pod(&format!("theirs-{index}"))
            .label("side", "theirs");
        async { pod.cpu("1").run_for("1s").create().await.map(drop) }
    });
    theirs.await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let ours = begun.elapsed();
    let lost = eventually(seconds(60), async || {
        let theirs = ListParams::default().labels("side=theirs");
        let pods = sandbox.pods().list(&theirs).await?.items;
        let over = pods
            .iter()
            .filter(|pod| matches!(phase(pod), "Succeeded" | "Failed"));
        ensure!(over.count() == THEIRS, "pods of kube-scheduler still run");
        Ok(pods.iter().filter(|pod| phase(pod) == "Failed").count())
    })
    .await?;

    let attempts = attempts(&sandbox)?;
    let bound: u32 = attempts.values().sum();
    let rejected = bound as usize - OURS;
    println!(
        "races at full speed, {NODES} nodes, {rejected} of our {bound} bindings rejected ({:.1} %), \
         {lost} of kube-scheduler's {THEIRS} ({:.1} %); at most {} attempts at fault; ours were done after {ours:.1?}",
        100.0 * rejected as f64 / f64::from(bound),
        100.0 * lost as f64 / THEIRS as f64,
        attempts.values().max().map_or(0, |most| most - 1),
    );
    ensure!(
        attempts.len() == OURS,
        "{} copies were bound",
        attempts.len()
    );
    let unlucky: Vec<_> = attempts
        .iter()
        .filter(|(_, count)| **count > 1 + MOST_AT_FAULT)
        .collect();
    ensure!(unlucky.is_empty(), "{unlucky:?}");
    let all = seen(&sandbox).await?;
    let succeeded = all.iter().filter(|pod| pod.phase == "Succeeded").count();
    ensure!(succeeded == OURS, "{succeeded} copies succeeded");
    Ok(())
}

fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// How often each copy of the batch was bound, by the audit log.
fn attempts(sandbox: &Sandbox) -> Result<BTreeMap<String, u32>> {
    let mut found = BTreeMap::new();
    for entry in audit(&sandbox.cluster, &sandbox.namespace)? {
        let of = &entry["objectRef"];
        let good = entry["responseStatus"]["code"]
            .as_i64()
            .is_some_and(|code| code < 300);
        let name = of["name"].as_str().unwrap_or_default();
        if good && of["subresource"] == "binding" && name.starts_with("demo-work-") {
            let (copy, _) = name.rsplit_once('-').context("a name with an attempt")?;
            *found.entry(copy.to_owned()).or_default() += 1;
        }
    }
    Ok(found)
}

async fn nodes_without_the_labels_are_left_to_others(sandbox: Sandbox) -> Result<()> {
    let mine = sandbox.node("mine").cpu("2").create().await?;
    // The operator of a sandbox uses the nodes with the label of the sandbox alone.
    let other = sandbox
        .cluster
        .node(&format!("{}-other", sandbox.namespace));
    let other = other
        .cpu("64")
        .label("example.com/other", &sandbox.namespace)
        .create()
        .await?;
    let _operator = operator(&sandbox).await?;
    let fields = "count: 3\nresources: {cpu: {min: 2}}\nestimate: {process: 2s}";
    for binding in ["Direct", "Delegate"] {
        let spec = format!("binding: {binding}");
        let batch = Manifest::new(&spec).task("work", fields, &[("run-for", "2s")]);
        sandbox.apply(&batch.yaml()).await?.ok()?;
        let waits = with_reason(&sandbox, "work", "WaitingForCapacity").await?;
        let message = waits.message.unwrap_or_default();
        ensure!(
            message.contains("the only node has 0 free, 2 in all"),
            "{message}"
        );
        in_phase(&sandbox, "demo", Phase::Complete).await?;
        for pod in seen(&sandbox).await? {
            ensure!(pod.node.as_ref() == Some(&mine), "{pod:?}");
        }
        sandbox.kubectl(&["delete", "tb", "demo"]).await?.ok()?;
        crate::batch::no_pods(&sandbox).await?;
    }
    sandbox.kubectl(&["delete", "node", &other]).await?.ok()?;
    Ok(())
}
