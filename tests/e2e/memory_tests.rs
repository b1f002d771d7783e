//! Containers that want more memory than they may have.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use taskbatch::api::{Phase, TaskPhase};

use crate::batch::{Manifest, in_phase};
use crate::batch_tests::{pod, pods};
use crate::rig::Rig;
use crate::{Step, steps};

pub(crate) const STEPS: &[Step] = steps![
    a_container_that_is_killed_fails_as_out_of_memory,
    a_task_that_succeeds_says_that_a_part_of_it_was_killed,
];

/// A request for memory without a limit becomes the limit.
const FIELDS: &str = "resources: {cpu: {min: 100m}, memory: {min: 24Mi}}\nestimate: {process: 1s}\nretry: {limit: 0}";
/// Wants more than twice of that at once.
const GREEDY: &str = "dd if=/dev/zero of=/dev/null bs=64M count=1";

/// Where the end of a container overtakes the word that its memory ran out, the kubelet itself knows of an error only,
/// and another container is tried.
async fn a_container_that_is_killed_fails_as_out_of_memory(rig: Arc<Rig>) -> Result<()> {
    for attempt in 0..5 {
        let sandbox = rig.sandbox(&format!("killed-{attempt}")).await?;
        let batch = Manifest::new("").pod("work", FIELDS, &pod(&format!("exec {GREEDY}")));
        sandbox.apply(&batch.yaml()).await?.ok()?;
        let status = in_phase(&sandbox, "demo", Phase::Failed).await?;
        let task = status.tasks.first().context("no task")?;
        let pod = pods(&sandbox).await?.pop().context("no pod")?;
        let is_known = terminated(&pod)?.reason.as_deref() == Some("OOMKilled");
        let reason = if is_known {
            "OutOfMemory"
        } else {
            "TaskFailed"
        };
        ensure!(
            task.phase == TaskPhase::Failed
                && task.reason.as_deref() == Some(reason)
                && task.exit_code == Some(137),
            "{task:#?}"
        );
        if is_known {
            return Ok(());
        }
    }
    bail!("the kubelet told of no container that it was out of memory")
}

async fn a_task_that_succeeds_says_that_a_part_of_it_was_killed(rig: Arc<Rig>) -> Result<()> {
    let sandbox = rig.sandbox("survived").await?;
    let script = format!("{GREEDY}; echo $? > /dev/termination-log; exit 0");
    let batch = Manifest::new("").pod("work", FIELDS, &pod(&script));
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let status = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let pod = pods(&sandbox).await?.pop().context("no pod")?;
    let ended = terminated(&pod)?;
    ensure!(
        ended.exit_code == 0 && ended.reason.as_deref() == Some("OOMKilled"),
        "{ended:?}"
    );
    let task = status.tasks.first().context("no task")?;
    ensure!(
        task.phase == TaskPhase::Succeeded
            && task.reason.as_deref() == Some("OutOfMemory")
            && task.exit_code == Some(0)
            && task.result.as_deref() == Some("137"),
        "{task:#?}"
    );
    Ok(())
}

/// How the first container of a pod ended.
pub(crate) fn terminated(pod: &Pod) -> Result<ContainerStateTerminated> {
    let status = pod.status.clone().context("no status")?;
    let container = status.container_statuses.into_iter().flatten().next();
    let state = container.and_then(|container| container.state);
    state
        .and_then(|state| state.terminated)
        .context("it has not ended")
}
