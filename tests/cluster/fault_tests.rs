//! One operator follows another; an operator with nothing to do, and one that does not hear of the nodes any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PostParams};
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase, operator};
use crate::harness::{
    Call, Checker, Fault, Faults, Kind, Operator, Sandbox, Test, eventually, seconds,
};
use crate::lane::Lane;
use crate::scenario::SCENARIOS;
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_second_replica_takes_over_when_the_first_is_killed,
    a_second_replica_takes_over_at_once_when_the_first_stops,
    an_operator_with_nothing_to_do_writes_nothing,
    a_watch_that_is_silent_for_too_long_stops_all_writes,
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
    // The new operator waits 10 s for what the old one may have asked for.
    tokio::time::sleep(seconds(15)).await;
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

/// Watches of nodes are not answered while this is set.
struct Deaf(Arc<AtomicBool>);

impl Faults for Deaf {
    fn strike(&mut self, call: &Call) -> Fault {
        let is_struck = call.kind == Kind::Watch && call.resource == "nodes";
        match is_struck && self.0.load(Ordering::Relaxed) {
            true => Fault::Silence,
            false => Fault::None,
        }
    }
}

/// A list of nodes is believed for 105 s, and not longer.
async fn a_watch_that_is_silent_for_too_long_stops_all_writes(sandbox: Sandbox) -> Result<()> {
    let checker = Arc::new(Checker::start(&sandbox.cluster)?);
    let mut lane = Lane::open(&sandbox.cluster, &checker).await?;
    let is_deaf = Arc::new(AtomicBool::new(true));
    lane.proxy.go_wrong(Deaf(is_deaf.clone()));
    lane.operator.kill()?;
    lane.start_again()?;
    lane.operator.ready().await?;
    let early = started(&lane, "early").await?;
    lane.until(|noted| {
        ensure!(noted.was_complete(&early), "not complete");
        Ok(())
    })
    .await?;

    tokio::time::sleep(seconds(105)).await;
    let (before, _) = checker.writes(&lane.sandbox.namespace)?;
    let late = started(&lane, "late").await?;
    tokio::time::sleep(seconds(5)).await;
    let (after, newest) = checker.writes(&lane.sandbox.namespace)?;
    ensure!(after == before, "{} writes: {newest:#?}", after - before);

    is_deaf.store(false, Ordering::Relaxed);
    lane.until(|noted| {
        ensure!(noted.was_complete(&late), "not complete");
        Ok(())
    })
    .await?;
    lane.batches()
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    lane.until(|noted| {
        let left = [&early, &late].map(|uid| noted.books.pods_of(uid)).concat();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await?;
    lane.close().await
}

/// Creates a batch; its UID.
async fn started(lane: &Lane, name: &str) -> Result<String> {
    let batch = SCENARIOS[0].batch(name)?;
    let created = lane
        .batches()
        .create(&PostParams::default(), &batch)
        .await?;
    created.uid().context("a batch without a uid")
}
