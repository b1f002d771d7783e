//! One operator follows another; and an operator with nothing to do.

use std::sync::Arc;

use anyhow::{Result, ensure};
use kube::ResourceExt;
use kube::api::DeleteParams;
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase, operator};
use crate::harness::{Checker, Operator, Sandbox, Test, eventually, seconds};
use crate::lane::Lane;
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_second_replica_takes_over_when_the_first_is_killed,
    a_second_replica_takes_over_at_once_when_the_first_stops,
    an_operator_with_nothing_to_do_writes_nothing,
];

async fn a_second_replica_takes_over_when_the_first_is_killed(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").create().await?;
    let mut first = operator(&sandbox).await?;
    let batch = Manifest::new("").task(
        "work",
        "count: 3\nresources: {cpu: {min: 3}}",
        &[("run-for", "3s")],
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    let second = operator(&sandbox).await?;
    ensure!(is_leader(&first).await? && !is_leader(&second).await?);
    first.kill()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    ensure!(is_leader(&second).await?);
    Ok(())
}

async fn a_second_replica_takes_over_at_once_when_the_first_stops(sandbox: Sandbox) -> Result<()> {
    let mut first = operator(&sandbox).await?;
    let second = operator(&sandbox).await?;
    eventually(seconds(10), async || {
        ensure!(is_leader(&first).await?);
        Ok(())
    })
    .await?;
    let status = first.terminate(seconds(10)).await?;
    ensure!(status.success(), "{status}");
    eventually(seconds(6), async || {
        ensure!(is_leader(&second).await?, "not yet the leader");
        Ok(())
    })
    .await
}

async fn is_leader(operator: &Operator) -> Result<bool> {
    let (_, metrics) = operator.get("/metrics").await?;
    Ok(metrics
        .lines()
        .any(|line| line.starts_with("taskbatch_leader") && line.ends_with(" 1")))
}

/// What runs goes on running and what waits goes on waiting. A new start of the operator plans once what waits, and
/// says so in the status.
async fn an_operator_with_nothing_to_do_writes_nothing(sandbox: Sandbox) -> Result<()> {
    let checker = Arc::new(Checker::start(&sandbox.cluster)?);
    let mut lane = Lane::open(&sandbox.cluster, &checker).await?;
    let batch = Manifest::new("")
        .task("runs", "resources: {cpu: {min: 2}}", &[("run-for", "1h")])
        .task("waits", "resources: {cpu: {min: 2}}", &[]);
    lane.sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&lane.sandbox, "demo", Phase::Running).await?;
    tokio::time::sleep(seconds(4)).await;
    let (before, _) = checker.writes(&lane.sandbox.namespace)?;
    ensure!(before > 0, "the checker sees no writes at all");
    tokio::time::sleep(seconds(60)).await;
    let (after, newest) = checker.writes(&lane.sandbox.namespace)?;
    ensure!(after == before, "{} writes: {newest:#?}", after - before);
    let usage = lane.operator.usage()?;
    ensure!(usage.rss < 64 << 20, "{} MiB at rest", usage.rss >> 20);

    lane.operator.kill()?;
    lane.start_again()?;
    lane.operator.ready().await?;
    tokio::time::sleep(seconds(5)).await;
    let (after, newest) = checker.writes(&lane.sandbox.namespace)?;
    let is_new_plan = newest[0].starts_with("patch taskbatches/status");
    ensure!(
        after == before || (after == before + 1 && is_new_plan),
        "{} writes after a new start: {newest:#?}",
        after - before
    );
    let uid = lane.batches().get("demo").await?.uid().unwrap_or_default();
    lane.batches()
        .delete("demo", &DeleteParams::default())
        .await?;
    lane.until(|noted| {
        let left = noted.books.pods_of(&uid);
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await?;
    lane.close().await
}
