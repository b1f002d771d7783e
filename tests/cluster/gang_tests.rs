//! The workers of a gang find each other: the Service, the host names, and processes that are given the environment of
//! the pods and nothing else.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use taskbatch::api::{Phase, label};

use crate::batch::{Manifest, batches, in_phase, no_pods, operator, seen, with_reason};
use crate::harness::{Sandbox, Test, audit, capture, eventually, seconds, source};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_gang_starts_as_a_whole,
    the_workers_of_each_framework_add_up,
    the_service_of_a_batch_goes_with_it,
    a_service_of_a_stranger_is_left_alone,
    a_gang_of_which_the_quota_refuses_a_worker_holds_nothing,
];

const FRAMEWORKS: [&str; 4] = ["Generic", "Torch", "Jax", "TensorFlow"];
const WORKERS: usize = 3;

async fn a_gang_starts_as_a_whole(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").cpu("2").create().await?;
    sandbox.node("b").cpu("2").create().await?;
    let _operator = operator(&sandbox).await?;
    let gang = "count: 2\nresources: {cpu: {min: 2}}\ngang: {workers: {min: 2}}";
    let batch = Manifest::new("").task("train", gang, &[("run-for", "2s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    eventually(seconds(30), async || {
        let pods = seen(&sandbox).await?;
        let running = pods.iter().filter(|pod| pod.phase == "Running").count();
        ensure!(running == 2, "{pods:?}");
        ensure!(
            pods.iter().all(|pod| pod.copy == pods[0].copy),
            "one gang at a time: {pods:?}"
        );
        Ok(())
    })
    .await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    Ok(())
}

/// Where `TASKBATCH_PYTHON` names a Python that has JAX or PyTorch, the workers of those are real.
async fn the_workers_of_each_framework_add_up(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").cpu("8").create().await?;
    sandbox.node("b").cpu("8").create().await?;
    let _operator = operator(&sandbox).await?;
    let mut batch = Manifest::new("");
    for framework in FRAMEWORKS {
        let gang = format!("gang: {{workers: {{min: {WORKERS}}}, framework: {framework}}}");
        batch = batch.task(&framework.to_lowercase(), &gang, &[("run-for", "1h")]);
    }
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    for framework in FRAMEWORKS {
        let task = format!("{}={}", label::TASK, framework.to_lowercase());
        let pods = sandbox
            .pods()
            .list(&ListParams::default().labels(&task))
            .await?;
        ensure!(pods.items.len() == WORKERS, "{} workers", pods.items.len());
        let environments = pods.iter().map(environment).collect::<Result<Vec<_>>>()?;
        let sums = try_join_all(environments.iter().map(|env| work(framework, env))).await?;
        ensure!(sums == ["111"; WORKERS], "{framework}: {sums:?}");
    }
    Ok(())
}

/// The variables of a pod, with the addresses that the DNS of the cluster would give replaced: each host of the gang is
/// an address of the loopback device.
fn environment(pod: &Pod) -> Result<BTreeMap<String, String>> {
    let spec = pod.spec.as_ref().context("a spec")?;
    let (host, domain) = (&spec.hostname, &spec.subdomain);
    let (host, domain) = host.as_deref().zip(domain.as_deref()).context("a name")?;
    let (gang, own) = host.rsplit_once('-').context("a rank")?;
    let rank = pod.labels().get(label::WORKER).context("a rank")?;
    ensure!(
        own == rank && host == pod.name_any(),
        "{host} is rank {rank}"
    );
    let variables = spec.containers[0].env.iter().flatten();
    Ok(variables
        .map(|variable| {
            let mut value = variable.value.clone().unwrap_or_default();
            for rank in 0..WORKERS {
                let name = format!("{gang}-{rank}.{domain}");
                value = value.replace(&name, &format!("127.0.0.{}", rank + 1));
            }
            (variable.name.clone(), value)
        })
        .collect())
}

/// Starts a worker with this environment and no other; what it prints.
async fn work(framework: &str, environment: &BTreeMap<String, String>) -> Result<String> {
    let mut worker = Command::new("/usr/bin/timeout");
    match std::env::var("TASKBATCH_PYTHON") {
        Ok(python) if matches!(framework, "Torch" | "Jax") => {
            let script = source("all_reduce.py");
            worker.args(["100", &python]).arg(script).arg(framework)
        }
        _ => worker
            .arg("30")
            .arg(std::env::current_exe()?)
            .args(["worker", framework]),
    };
    worker.env_clear().envs(environment);
    let said = capture(worker, String::new()).await?.ok()?;
    // Gloo talks before.
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

fn services(sandbox: &Sandbox) -> Api<Service> {
    Api::namespaced(sandbox.client(), &sandbox.namespace)
}

fn two_workers() -> Manifest {
    let gang = "gang: {workers: {min: 2}}";
    Manifest::new("").task("train", gang, &[("run-for", "1s")])
}

async fn the_service_of_a_batch_goes_with_it(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").create().await?;
    let _operator = operator(&sandbox).await?;
    sandbox.apply(&two_workers().yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let service = services(&sandbox).get("demo-workers").await?;
    let spec = service.spec.context("a spec")?;
    ensure!(spec.cluster_ip.as_deref() == Some("None"), "{spec:?}");
    ensure!(spec.publish_not_ready_addresses == Some(true), "{spec:?}");
    batches(&sandbox)
        .delete("demo", &DeleteParams::default())
        .await?;
    eventually(seconds(30), async || {
        let left = services(&sandbox).get_opt("demo-workers").await?;
        ensure!(left.is_none(), "the Service is still there");
        Ok(())
    })
    .await
}

async fn a_service_of_a_stranger_is_left_alone(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").create().await?;
    let theirs = json!({"metadata": {"name": "demo-workers"}, "spec": {"ports": [{"port": 80}]}});
    let theirs = serde_json::from_value(theirs)?;
    let theirs = services(&sandbox)
        .create(&PostParams::default(), &theirs)
        .await?;
    let _operator = operator(&sandbox).await?;
    sandbox.apply(&two_workers().yaml()).await?.ok()?;
    let told = with_reason(&sandbox, "train", "PodRejected").await?;
    let message = told.message.unwrap_or_default();
    ensure!(message.contains("demo-workers already exists"), "{message}");
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let now = services(&sandbox).get("demo-workers").await?;
    ensure!(now.resource_version() == theirs.resource_version());
    let pods = sandbox.pods().list(&ListParams::default()).await?;
    let domain = |pod: &Pod| pod.spec.as_ref()?.subdomain.clone();
    let domain = pods.items.first().and_then(domain).context("a domain")?;
    services(&sandbox).get(&domain).await?;
    Ok(())
}

/// The quota takes one worker and refuses the other: the gang gives back what it holds, waits longer from time to time,
/// and starts when there is room for all.
async fn a_gang_of_which_the_quota_refuses_a_worker_holds_nothing(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").create().await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(sandbox.client(), &sandbox.namespace);
    let quota = |pods: u32| json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": pods.to_string()}}});
    let few = serde_json::from_value(quota(1))?;
    quotas.create(&PostParams::default(), &few).await?;
    eventually(seconds(20), async || {
        let counted = quotas
            .get("few")
            .await?
            .status
            .and_then(|status| status.used);
        ensure!(
            counted.is_some_and(|used| !used.is_empty()),
            "not counted yet"
        );
        Ok(())
    })
    .await?;
    let _operator = operator(&sandbox).await?;
    sandbox.apply(&two_workers().yaml()).await?.ok()?;
    let told = with_reason(&sandbox, "train", "PodRejected").await?;
    let message = told.message.unwrap_or_default();
    ensure!(message.contains("exceeded quota: few"), "{message}");
    no_pods(&sandbox).await?;
    tokio::time::sleep(seconds(6)).await;
    let creates = audit(&sandbox.cluster, &sandbox.namespace)?;
    let is_create = |entry: &&serde_json::Value| {
        entry["verb"] == "create" && entry["objectRef"]["resource"] == "pods"
    };
    let creates = creates.iter().filter(is_create).count();
    ensure!(creates <= 6, "{creates} creates in 6 s");
    let enough = Patch::Merge(quota(2));
    quotas
        .patch("few", &PatchParams::default(), &enough)
        .await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    Ok(())
}
