//! A task that can run on several kinds of hardware runs on the chosen one, as it asks to.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::ListParams;
use taskbatch::api::{Phase, annotation};

use crate::batch::{Manifest, in_phase, operator, status};
use crate::harness::{Sandbox, Test};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![each_copy_runs_on_the_hardware_that_the_plan_chose];

const FLAVORS: &str = "count: 2
flavors:
- {name: gpu, nodeSelector: {pool: gpu}, tolerations: [{key: gpu, operator: Exists}], resources: {nvidia.com/gpu: {min: 4}}, rate: '4'}
- {name: cpu, resources: {cpu: {min: 2, max: 8, step: 2}}}
estimate: {process: 80s}";

/// One copy takes all GPUs; 8 CPUs are as fast, and are free.
async fn each_copy_runs_on_the_hardware_that_the_plan_chose(sandbox: Sandbox) -> Result<()> {
    let gpus = sandbox.node("gpus").cpu("1").gpu(4).label("pool", "gpu");
    let gpus = gpus.taint("gpu", "", "NoSchedule").create().await?;
    let plain = sandbox.node("plain").cpu("8").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").task("embed", FLAVORS, &[("run-for", "2s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    let pods = sandbox.pods().list(&ListParams::default()).await?;
    ensure!(pods.items.len() == 2, "{} pods", pods.items.len());
    for pod in &pods {
        let flavor = pod
            .annotations()
            .get(annotation::FLAVOR)
            .context("a flavor")?;
        let spec = pod.spec.as_ref().context("a spec")?;
        let resources = spec.containers[0].resources.clone().unwrap_or_default();
        let requests = resources.requests.unwrap_or_default();
        let asked: Vec<_> = requests
            .iter()
            .map(|(name, amount)| (name.as_str(), amount.0.as_str()))
            .collect();
        let selector = spec.node_selector.clone().unwrap_or_default();
        let (node, wanted, pool) = match flavor.as_str() {
            "gpu" => (&gpus, ("nvidia.com/gpu", "4"), Some("gpu")),
            _ => (&plain, ("cpu", "8"), None),
        };
        ensure!(
            spec.node_name.as_ref() == Some(node),
            "{flavor} on {:?}",
            spec.node_name
        );
        ensure!(asked == [wanted], "{flavor}: {asked:?}");
        ensure!(
            selector.get("pool").map(String::as_str) == pool,
            "{flavor}: {selector:?}"
        );
    }
    let flavors = pods
        .iter()
        .filter_map(|pod| pod.annotations().get(annotation::FLAVOR));
    let flavors: BTreeSet<&str> = flavors.map(String::as_str).collect();
    ensure!(flavors == ["cpu", "gpu"].into(), "{flavors:?}");
    let tasks = status(&sandbox, "demo").await?.tasks;
    let told = tasks
        .iter()
        .find_map(|task| task.assignment.as_ref()?.flavor.clone());
    let told = told.context("no flavor in the status")?;
    ensure!(flavors.contains(told.as_str()), "{told}");
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    Ok(())
}
