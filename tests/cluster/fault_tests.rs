//! The operator is killed at every write of a batch, and another one goes on from what the API server holds.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase, no_pods, operator, operator_with, seen};
use crate::harness::{Cut, Operator, Proxy, Sandbox, Test, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_batch_survives_a_kill_before_every_write,
    a_batch_survives_a_kill_after_every_write,
    a_second_replica_takes_over_when_the_first_is_killed,
    a_second_replica_takes_over_at_once_when_the_first_stops,
    an_operator_with_nothing_to_do_writes_nothing,
];

/// More writes than the batch takes.
const MOST_WRITES: usize = 40;

fn small_batch() -> Manifest {
    Manifest::new("")
        .task(
            "one",
            "count: 2\nresources: {cpu: {min: 1}}",
            &[("run-for", "300ms")],
        )
        .task(
            "two",
            "retry: {limit: 1, backoff: {initial: 0s}}",
            &[("run-for", "300ms"), ("fail-below-attempt", "1")],
        )
}

async fn a_batch_survives_a_kill_before_every_write(sandbox: Sandbox) -> Result<()> {
    kill_at_every_write(&sandbox, Cut::Before).await
}

async fn a_batch_survives_a_kill_after_every_write(sandbox: Sandbox) -> Result<()> {
    kill_at_every_write(&sandbox, Cut::After).await
}

async fn kill_at_every_write(sandbox: &Sandbox, cut: fn(usize) -> Cut) -> Result<()> {
    sandbox.node("a").create().await?;
    for write in 1..MOST_WRITES {
        let proxy = Proxy::start(&sandbox.cluster, cut(write)).await?;
        // Each operator has a lease of its own, since a killed one keeps its lease for a while.
        let through = proxy.kubeconfig(&sandbox.cluster)?;
        let mut first = operator_with(sandbox, &through, &format!("first-{write}")).await?;
        sandbox.apply(&small_batch().yaml()).await?.ok()?;
        let finished = tokio::select! {
            () = proxy.cut() => false,
            done = in_phase(sandbox, "demo", Phase::Complete) => done.map(|_| true)?,
        };
        first.kill()?;
        if !finished {
            let direct = sandbox.cluster.kubeconfig();
            let mut second = operator_with(sandbox, &direct, &format!("second-{write}")).await?;
            in_phase(sandbox, "demo", Phase::Complete)
                .await
                .with_context(|| {
                    let log = second.log().unwrap_or_default();
                    format!("killed at {:?}\n{log}", cut(write))
                })?;
            second.kill()?;
        }
        check_attempts(sandbox)
            .await
            .with_context(|| format!("killed at {:?}", cut(write)))?;
        sandbox.kubectl(&["delete", "tb", "demo"]).await?.ok()?;
        no_pods(sandbox).await?;
        if finished {
            let least = 3 + 3 + 2;
            ensure!(
                proxy.writes() >= least,
                "{} writes are fewer than creates and binds",
                proxy.writes()
            );
            return Ok(());
        }
    }
    anyhow::bail!("more than {MOST_WRITES} writes for a small batch")
}

/// Each copy succeeded once, where it was meant to be, and used no attempt more than it needed.
async fn check_attempts(sandbox: &Sandbox) -> Result<()> {
    let pods = seen(sandbox).await?;
    let mut succeeded: BTreeMap<(String, String), usize> = BTreeMap::new();
    for pod in &pods {
        ensure!(pod.node == pod.meant_for, "{pod:?}");
        let copy = (pod.task.clone(), pod.copy.clone());
        *succeeded.entry(copy).or_default() += usize::from(pod.phase == "Succeeded");
    }
    ensure!(
        succeeded.len() == 3 && succeeded.values().all(|times| *times == 1),
        "{pods:#?}"
    );
    ensure!(
        pods.len() == 4,
        "one failed attempt and three good ones: {pods:#?}"
    );
    Ok(())
}

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

async fn an_operator_with_nothing_to_do_writes_nothing(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").cpu("2").create().await?;
    let kubeconfig = {
        let account = "operator";
        sandbox
            .kubectl(&["create", "serviceaccount", account])
            .await?
            .ok()?;
        let subject = format!("{}:{account}", sandbox.namespace);
        let name = format!("quiet-{}", sandbox.namespace);
        let binding = [
            "create",
            "clusterrolebinding",
            &name,
            "--clusterrole=cluster-admin",
            &format!("--serviceaccount={subject}"),
        ];
        sandbox.kubectl(&binding).await?.ok()?;
        sandbox.kubeconfig_of(account).await?
    };
    let operator = operator_with(&sandbox, &kubeconfig, "taskbatch").await?;
    let batch = Manifest::new("")
        .task("runs", "resources: {cpu: {min: 2}}", &[("run-for", "1h")])
        .task("waits", "resources: {cpu: {min: 2}}", &[]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    tokio::time::sleep(seconds(4)).await;
    let before = writes(&sandbox)?;
    tokio::time::sleep(seconds(15)).await;
    let after = writes(&sandbox)?;
    ensure!(
        before == after,
        "{:#?}",
        after.difference(&before).collect::<Vec<_>>()
    );
    let usage = operator.usage()?;
    ensure!(usage.rss < 64 << 20, "{} MiB at rest", usage.rss >> 20);
    Ok(())
}

/// What the operator of this sandbox has written, leases aside, by the audit log.
fn writes(sandbox: &Sandbox) -> Result<BTreeSet<String>> {
    let log = std::fs::read_to_string(sandbox.cluster.folder().join("audit.log"))?;
    let user = format!("system:serviceaccount:{}:operator", sandbox.namespace);
    let mut found = BTreeSet::new();
    for line in log.lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let ours = entry["user"]["username"] == user.as_str();
        if ours && entry["objectRef"]["resource"] != "leases" {
            found.insert(format!(
                "{} {} {}",
                entry["auditID"], entry["verb"], entry["requestURI"]
            ));
        }
    }
    Ok(found)
}
