//! Batches whose containers really run: what they compute, and what they may use.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use taskbatch::api::{Phase, label};

use crate::batch::{Manifest, in_phase, status};
use crate::cgroup::Limits;
use crate::harness::{Sandbox, eventually, seconds};
use crate::node::NAME;
use crate::rig::{Rig, ids};
use crate::{Step, steps};

pub(crate) const STEPS: &[Step] = steps![
    containers_compute_and_their_results_stand_in_the_status,
    kube_scheduler_binds_what_is_delegated,
    computed_requests_and_limits_are_what_the_kernel_enforces,
];

/// How many numbers each copy looks at.
const BLOCK: u32 = 500;

/// Counts the primes of the block that its index names.
const PRIMES: &str = "awk 'BEGIN { block = 500; i = ENVIRON[\"TASKBATCH_INDEX\"]; \
     for (n = i * block; n < (i + 1) * block; n++) { p = n > 1; for (d = 2; d * d <= n; d++) if (n % d == 0) p = 0; c += p } \
     print c }' > /dev/termination-log";

async fn containers_compute_and_their_results_stand_in_the_status(rig: Arc<Rig>) -> Result<()> {
    let sandbox = rig.sandbox("primes").await?;
    let fields =
        "count: 3\nresources: {cpu: {min: 100m, max: 300m, step: 100m}}\nestimate: {process: 2s}";
    let batch = Manifest::new("").pod("count", fields, &pod(PRIMES));
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let status = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let [task] = &status.tasks[..] else {
        anyhow::bail!("{status:#?}")
    };
    ensure!(task.succeeded == "0-2", "{task:#?}");
    let result = task.result.clone().context("no result")?;
    let shown = u32::try_from(task.copy)?;
    ensure!(result == primes(shown).to_string(), "{task:#?}");
    let assignment = task.assignment.clone().context("no assignment")?;
    ensure!(assignment.nodes == [NAME], "{assignment:?}");
    // The status shows one copy; the others have their results in their pods.
    for pod in pods(&sandbox).await? {
        let index: u32 = pod.labels()[label::COPY].parse()?;
        let said = termination_message(&pod)?;
        let right = primes(index).to_string();
        ensure!(said.trim() == right, "copy {index}: {said} and not {right}");
    }
    let printed = sandbox.kubectl(&["get", "tb", "demo"]).await?.ok()?;
    ensure!(printed.contains("3/3"), "{printed}");
    Ok(())
}

fn primes(block: u32) -> usize {
    let is_prime = |n: &u32| *n > 1 && (2..*n).all(|divisor| !n.is_multiple_of(divisor));
    (block * BLOCK..(block + 1) * BLOCK)
        .filter(is_prime)
        .count()
}

async fn kube_scheduler_binds_what_is_delegated(rig: Arc<Rig>) -> Result<()> {
    let sandbox = rig.sandbox("delegated").await?;
    let fields = "resources: {cpu: {min: 100m}}\nestimate: {process: 1s}";
    let batch = Manifest::new("binding: Delegate").pod(
        "work",
        fields,
        &pod("echo $((6 * 7)) > /dev/termination-log"),
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let status = in_phase(&sandbox, "demo", Phase::Complete).await?;
    ensure!(
        status.tasks[0].result.as_deref() == Some("42"),
        "{status:#?}"
    );
    for pod in pods(&sandbox).await? {
        let scheduler = pod.spec.and_then(|spec| spec.scheduler_name);
        ensure!(
            scheduler.as_deref() == Some("default-scheduler"),
            "{scheduler:?}"
        );
    }
    Ok(())
}

async fn computed_requests_and_limits_are_what_the_kernel_enforces(rig: Arc<Rig>) -> Result<()> {
    let sandbox = rig.sandbox("limits").await?;
    // Limits of the template that equal its requests move along; it runs until it is deleted.
    let resources =
        "resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 100m, memory: 16Mi}}";
    let spec = format!(
        "terminationGracePeriodSeconds: 0, containers: [{{name: main, image: 'localhost/worker:1', command: [sleep, '600'], {resources}}}]"
    );
    let fields = "resources: {cpu: {min: 100m, max: 300m, step: 100m}, memory: {min: 16Mi, max: 64Mi, step: 16Mi}}";
    let batch = Manifest::new("").pod("work", fields, &spec);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let computed = eventually(seconds(60), async || {
        let status = status(&sandbox, "demo").await?;
        let task = status.tasks.first().context("no task")?;
        ensure!(
            status.phase == Some(Phase::Running) && task.reason.is_none(),
            "{status:#?}"
        );
        let assignment = task.assignment.clone();
        Ok(assignment.context("no assignment")?.requests)
    })
    .await?;
    // The largest size is the fastest, and the node has room for it: 3 x 100m, and memory grows along.
    let text = |name: &str| computed.get(name).map(String::as_str);
    ensure!(
        (text("cpu"), text("memory")) == (Some("300m"), Some("48Mi")),
        "{computed:?}"
    );
    let expected = Limits {
        cpu: Some(300),
        memory: Some(48 << 20),
        shares: None,
    };
    let pod = pods(&sandbox).await?.pop().context("no pod")?;
    let (uid, container) = ids(&pod)?;
    for container in [Some(container.as_str()), None] {
        let enforced = rig.cgroups.limits(&uid, container)?;
        // 1,024 shares stand for one processor.
        let shares = enforced.shares.map(|_| 300 * 1024 / 1000);
        ensure!(
            enforced == Limits { shares, ..expected },
            "{container:?}: {enforced:?}"
        );
    }
    sandbox.kubectl(&["delete", "tb", "demo"]).await?.ok()?;
    crate::batch::no_pods(&sandbox).await
}

/// The spec of a pod that runs this in a shell, in the flow style of YAML without the braces.
pub(crate) fn pod(script: &str) -> String {
    let script = serde_json::Value::from(script);
    format!(
        "containers: [{{name: main, image: 'localhost/worker:1', command: [sh, -c, {script}]}}]"
    )
}

/// The pods of the batches of a sandbox.
pub(crate) async fn pods(sandbox: &Sandbox) -> Result<Vec<Pod>> {
    let ours = ListParams::default().labels(label::BATCH);
    Ok(sandbox.pods().list(&ours).await?.items)
}

fn termination_message(pod: &Pod) -> Result<String> {
    let message = crate::memory_tests::terminated(pod)?.message;
    message.context("no message")
}
