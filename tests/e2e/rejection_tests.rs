//! What the kubelet does not take.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use serde_json::json;
use taskbatch::api::Phase;
use taskbatch::cluster::quantity;

use crate::batch::{Manifest, in_phase, with_reason};
use crate::batch_tests::pod;
use crate::harness::{eventually, seconds};
use crate::node::NAME;
use crate::rig::Rig;
use crate::{Step, steps};

pub(crate) const STEPS: &[Step] = steps![a_rejected_attempt_is_replaced_and_uses_no_retry];

/// A static pod in a namespace that does not exist: the kubelet runs it, and can not tell the API server of it.
/// So the kubelet knows of less room than everybody else, as it does for a moment in each race.
async fn a_rejected_attempt_is_replaced_and_uses_no_retry(rig: Arc<Rig>) -> Result<()> {
    let sandbox = rig.sandbox("rejected").await?;
    let nodes: Api<Node> = Api::all(sandbox.client());
    let status = nodes.get(NAME).await?.status.context("no status")?;
    let allocatable = status.allocatable.context("nothing allocatable")?;
    let cpu = quantity::amount("cpu", &allocatable["cpu"].0)?;
    // The operator has 100m. It leaves 200m in the eyes of the kubelet, and far more in those of all others.
    let hidden = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hidden", "namespace": "nowhere"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
            "name": "main", "image": "localhost/worker:1", "command": ["sleep", "600"],
            "resources": {"requests": {"cpu": format!("{}m", cpu - 300)}},
        }]},
    });
    let manifest = rig.place.static_pods().join("hidden.json");
    fs::write(&manifest, hidden.to_string())?;
    eventually(seconds(30), async || {
        let taken = fs::read_dir(rig.place.pod_logs())?.any(|pod| {
            pod.is_ok_and(|pod| pod.file_name().to_string_lossy().starts_with("nowhere_"))
        });
        ensure!(taken, "the kubelet has not taken the static pod");
        Ok(())
    })
    .await?;

    let fields = "resources: {cpu: {min: 500m}}\nestimate: {process: 1s}\nretry: {limit: 0}";
    let batch = Manifest::new("").pod("work", fields, &pod("echo ran > /dev/termination-log"));
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let waiting = with_reason(&sandbox, "work", "NodeRejected").await?;
    let message = waiting.message.unwrap_or_default();
    let words = format!(
        "OutOfcpu Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: {}, capacity: {cpu}",
        cpu - 200
    );
    ensure!(message.contains(&words), "{message}");
    fs::remove_file(&manifest)?;

    let status = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let task = status.tasks.first().context("no task")?;
    ensure!(
        task.attempt > 0 && task.result.as_deref() == Some("ran"),
        "{task:#?}"
    );
    Ok(())
}
