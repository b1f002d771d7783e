//! One operator follows another; and an operator with nothing to do.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase, operator, operator_with};
use crate::harness::{Operator, Sandbox, Test, eventually, seconds};
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
    let more: Vec<&String> = after.difference(&before).take(3).collect();
    ensure!(more.is_empty(), "{more:#?}");
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
