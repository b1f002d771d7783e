//! A leader that is none any more changes nothing, and nobody binds on an old view.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use taskbatch::api::Phase;

use crate::batch::{Manifest, account, in_phase, operator_with, seen, with_reason};
use crate::harness::{Dam, Gate, Sandbox, Test, audit, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_late_write_is_found_in_the_audit_log,
    a_paused_leader_writes_nothing_after_its_successor,
    what_a_leader_sent_into_a_slow_network_is_refused_after_its_successor,
    nothing_is_bound_while_the_watch_of_pods_stands_still,
];

/// Copies of the batch, enough that a leader is in the midst of its writes when it is stopped.
const COPIES: usize = 150;

fn large_batch() -> String {
    let fields = format!("count: {COPIES}\nresources: {{cpu: {{min: 10m}}}}");
    Manifest::new("")
        .task("work", &fields, &[("run-for", "1h")])
        .yaml()
}

/// Leaders are paused in turn while they create and while they bind, and go on once the next one has written.
async fn a_paused_leader_writes_nothing_after_its_successor(sandbox: Sandbox) -> Result<()> {
    for name in ["a", "b"] {
        sandbox.node(name).create().await?;
    }
    let mut leaders = Vec::new();
    for name in ["first", "second", "third"] {
        leaders.push((name, account(&sandbox, name).await?));
    }
    let mut operators = vec![operator_with(&sandbox, &leaders[0].1, "taskbatch").await?];
    sandbox.apply(&large_batch()).await?.ok()?;
    for (turn, (created, bound)) in [(20, 0), (COPIES, 20)].into_iter().enumerate() {
        eventually(seconds(120), async || {
            let pods = seen(&sandbox).await?;
            let on_nodes = pods.iter().filter(|pod| pod.node.is_some()).count();
            ensure!(
                pods.len() >= created && on_nodes >= bound,
                "{} pods",
                pods.len()
            );
            Ok(())
        })
        .await?;
        operators[turn].pause()?;
        let (name, kubeconfig) = &leaders[turn + 1];
        operators.push(operator_with(&sandbox, kubeconfig, "taskbatch").await?);
        eventually(seconds(120), async || {
            ensure!(
                !writes(&sandbox, name)?.is_empty(),
                "{name} has not written"
            );
            Ok(())
        })
        .await?;
        operators[turn].resume()?;
        let status = operators[turn].ended(seconds(60)).await?;
        ensure!(
            !status.success(),
            "a lease was lost, and the process ended with {status}"
        );
    }
    eventually(seconds(120), async || {
        let pods = seen(&sandbox).await?;
        let running = pods.iter().filter(|pod| pod.phase == "Running").count();
        ensure!(running == COPIES && pods.len() == COPIES, "{running} run");
        Ok(())
    })
    .await?;
    for pair in leaders.windows(2) {
        let (old, new) = (writes(&sandbox, pair[0].0)?, writes(&sandbox, pair[1].0)?);
        ensure!(!old.is_empty(), "{} led", pair[0].0);
        ensure!(!new.is_empty(), "{} led", pair[1].0);
        let late = late(&old, &new);
        ensure!(
            late.is_empty(),
            "{} of {} writes: {late:#?}",
            late.len(),
            old.len()
        );
    }
    bound_once(&sandbox)
}

/// The check of the test above, with a late write planted.
async fn a_late_write_is_found_in_the_audit_log(sandbox: Sandbox) -> Result<()> {
    for name in ["old", "new"] {
        let kubeconfig = account(&sandbox, name).await?;
        let kubeconfig = kubeconfig.display().to_string();
        let map = format!("{name}-map");
        let create = ["--kubeconfig", &kubeconfig, "create", "configmap", &map];
        sandbox.kubectl(&create).await?.ok()?;
    }
    let found = || Ok::<_, anyhow::Error>((writes(&sandbox, "old")?, writes(&sandbox, "new")?));
    let (old, new) = found()?;
    ensure!(
        old.len() == 1 && new.len() == 1 && late(&old, &new).is_empty(),
        "{old:?} {new:?}"
    );
    let kubeconfig = sandbox.kubeconfig_of("old").await?.display().to_string();
    let delete = [
        "--kubeconfig",
        &kubeconfig,
        "delete",
        "configmap",
        "old-map",
    ];
    sandbox.kubectl(&delete).await?.ok()?;
    let (old, new) = found()?;
    let verbs: Vec<&str> = late(&old, &new)
        .iter()
        .map(|write| write.verb.as_str())
        .collect();
    ensure!(verbs == ["delete"], "{old:?} {new:?}");
    Ok(())
}

/// The worst network: what the old leader sent arrives when its successor has long acted.
async fn what_a_leader_sent_into_a_slow_network_is_refused_after_its_successor(
    sandbox: Sandbox,
) -> Result<()> {
    for name in ["a", "b"] {
        sandbox.node(name).create().await?;
    }
    let dam = Dam::start(&account(&sandbox, "first").await?).await?;
    let through = dam.kubeconfig(&sandbox.cluster)?;
    let mut first = operator_with(&sandbox, &through, "taskbatch").await?;
    dam.shut_after(COPIES / 3);
    sandbox.apply(&large_batch()).await?.ok()?;
    dam.is_shut().await?;
    // What had passed the gate is answered meanwhile.
    tokio::time::sleep(seconds(2)).await;
    let left = seen(&sandbox).await?;
    let unbound = left.iter().filter(|pod| pod.node.is_none()).count();
    first.ended(seconds(60)).await?;
    let second = account(&sandbox, "second").await?;
    let _second = operator_with(&sandbox, &second, "taskbatch").await?;
    eventually(seconds(120), async || {
        let pods = seen(&sandbox).await?;
        let running = pods.iter().filter(|pod| pod.phase == "Running").count();
        ensure!(running == COPIES && pods.len() == COPIES, "{running} run");
        Ok(())
    })
    .await?;
    takes_over_first(&writes(&sandbox, "second")?, unbound)?;
    dam.set(Gate::Open);
    tokio::time::sleep(seconds(2)).await;
    let late = eventually(seconds(20), async || {
        let late = dam.late();
        let binds = late
            .iter()
            .filter(|write| write.path.ends_with("/binding"))
            .count();
        ensure!(binds > 0, "{late:#?}");
        Ok(late)
    })
    .await?;
    println!("{} writes came late", late.len());
    let done: Vec<_> = late
        .iter()
        .filter(|write| write.answer.is_success())
        .collect();
    ensure!(done.is_empty(), "{done:#?}");
    ensure!(late.iter().all(|write| write.method != "GET"), "{late:#?}");
    bound_once(&sandbox)
}

/// A new leader first gives every pod that is not bound another version.
fn takes_over_first(writes: &[Write], unbound: usize) -> Result<()> {
    let first: Vec<&Write> = writes
        .iter()
        .take_while(|write| write.verb == "patch")
        .collect();
    ensure!(
        unbound > 0 && first.len() >= unbound,
        "{unbound} unbound: {writes:#?}"
    );
    let taken_over = first[..unbound].iter().map(|write| write.done).max();
    let others = writes.iter().filter(|write| write.verb != "patch");
    ensure!(
        taken_over < others.map(|write| write.received).min(),
        "{writes:#?}"
    );
    Ok(())
}

/// A pod is bound only on a view that is newer than the pod: here a stranger takes the room unseen.
async fn nothing_is_bound_while_the_watch_of_pods_stands_still(sandbox: Sandbox) -> Result<()> {
    let node = sandbox.node("a").cpu("4").create().await?;
    let dam = Dam::start(&account(&sandbox, "operator").await?).await?;
    let through = dam.kubeconfig(&sandbox.cluster)?;
    let _operator = operator_with(&sandbox, &through, "taskbatch").await?;
    dam.set(Gate::WithoutPods);
    sandbox.pod("stranger").cpu("3").on(&node).create().await?;
    sandbox.pod_in_phase("stranger", "Running").await?;
    let batch = Manifest::new("").task("work", "resources: {cpu: {min: 2}}", &[]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    eventually(seconds(20), async || {
        ensure!(seen(&sandbox).await?.len() == 1, "no pod yet");
        Ok(())
    })
    .await?;
    tokio::time::sleep(seconds(5)).await;
    let held = seen(&sandbox).await?;
    ensure!(held.len() == 1 && held[0].node.is_none(), "{held:#?}");
    dam.set(Gate::Open);
    with_reason(&sandbox, "work", "WaitingForCapacity").await?;
    ensure!(seen(&sandbox).await?.is_empty(), "the pod is given back");
    sandbox
        .kubectl(&["delete", "pod", "stranger", "--grace-period=0", "--force"])
        .await?
        .ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    Ok(())
}

/// A write that was not refused: when the API server received it, and when it was done. What ends as a timeout may have
/// been carried out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Write {
    received: Timestamp,
    done: Timestamp,
    verb: String,
    path: String,
}

/// The writes of an old leader that were done after its successor began with its own.
fn late<'a>(old: &'a [Write], new: &[Write]) -> Vec<&'a Write> {
    let first = new.iter().map(|write| write.received).min();
    let is_late = |write: &&Write| first.is_some_and(|first| write.done > first);
    old.iter().filter(is_late).collect()
}

/// What an account of this sandbox has written, or may have, leases aside, by the audit log.
fn writes(sandbox: &Sandbox, account: &str) -> Result<Vec<Write>> {
    let user = format!("system:serviceaccount:{}:{account}", sandbox.namespace);
    let mut found = Vec::new();
    for entry in audit(&sandbox.cluster, &sandbox.namespace)? {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let good = entry["responseStatus"]["code"]
            .as_i64()
            .is_some_and(|code| !(300..500).contains(&code));
        let writes = !matches!(text("verb").as_str(), "get" | "list" | "watch");
        let ours = entry["user"]["username"] == user.as_str();
        if good && writes && ours && entry["objectRef"]["resource"] != "leases" {
            found.push(Write {
                received: text("requestReceivedTimestamp").parse()?,
                done: text("stageTimestamp").parse()?,
                verb: text("verb"),
                path: text("requestURI"),
            });
        }
    }
    found.sort();
    Ok(found)
}

/// No pod of this sandbox was bound twice, by anybody. One that was bound by a call that got no answer stands in the
/// log as a failure.
fn bound_once(sandbox: &Sandbox) -> Result<()> {
    let mut bound: BTreeMap<String, usize> = BTreeMap::new();
    for entry in audit(&sandbox.cluster, &sandbox.namespace)? {
        let of = &entry["objectRef"];
        let good = entry["responseStatus"]["code"]
            .as_i64()
            .is_some_and(|code| code < 300);
        if good && of["subresource"] == "binding" && of["namespace"] == sandbox.namespace.as_str() {
            *bound.entry(of["name"].to_string()).or_default() += 1;
        }
    }
    ensure!(bound.len() > COPIES / 2, "{} pods were bound", bound.len());
    let twice: Vec<_> = bound.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(twice.is_empty(), "{twice:?}");
    Ok(())
}
