//! Batches use a share of each node together, and the rest is free at once for whoever comes.

use anyhow::{Result, ensure};
use taskbatch::api::Phase;

use crate::batch::{Manifest, arguments, in_phase, seen, with_reason};
use crate::harness::{Operator, Sandbox, Test, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![batches_leave_a_share_of_each_node_to_others];

/// A node of 4 CPUs with a stranger of one, and 0.5 of it for batches: two copies of one CPU run at a time.
async fn batches_leave_a_share_of_each_node_to_others(sandbox: Sandbox) -> Result<()> {
    let node = sandbox.node("a").create().await?;
    sandbox.pod("first").cpu("1").on(&node).create().await?;
    let mut words = arguments(&sandbox);
    words.extend(["--max-share", "0.5"].map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let kubeconfig = sandbox.cluster.kubeconfig();
    let _operator = Operator::start(&sandbox.cluster, &kubeconfig, &words).await?;
    let batch = Manifest::new("")
        .task(
            "work",
            "count: 4\nresources: {cpu: {min: 1}}\nestimate: {process: 10m}",
            &[("run-for", "8s")],
        )
        .task("large", "resources: {cpu: {min: 3}}", &[]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let share = "batches may use 0.5 of each node";
    let large = with_reason(&sandbox, "large", "ExceedsCapacity").await?;
    let said = large.message.unwrap_or_default();
    ensure!(
        said.contains("the largest of 1 node has 2") && said.contains(share),
        "{said}"
    );
    let running = async || {
        let pods = seen(&sandbox).await?;
        let running = pods.iter().filter(|pod| pod.phase == "Running").count();
        ensure!(running == 2 && pods.len() == 2, "{pods:#?}");
        Ok(())
    };
    eventually(seconds(30), running).await?;
    let waits = with_reason(&sandbox, "work", "WaitingForCapacity").await?;
    let said = waits.message.unwrap_or_default();
    ensure!(
        said.contains("0 free, 2 in all") && said.contains(share),
        "{said}"
    );
    // A CPU is free for others meanwhile.
    sandbox.pod("second").cpu("1").create().await?;
    sandbox.pod_in_phase("second", "Running").await?;
    running().await?;
    let all_ran = async || {
        let pods = seen(&sandbox).await?;
        let done = pods.iter().filter(|pod| pod.phase == "Succeeded").count();
        ensure!(done == 4, "{pods:#?}");
        Ok(())
    };
    eventually(seconds(60), all_ran).await?;
    in_phase(&sandbox, "demo", Phase::Running).await.map(drop)
}
