//! A write that comes long after its operator has given it up, while the watch that would tell of it is late too.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::Value;
use taskbatch::api::Phase;
use tokio::time::{Instant, sleep_until};

use crate::batch::{Manifest, in_phase, operator_with};
use crate::harness::{
    Broken, Call, Fault, Faults, Kind, Proxy, Sandbox, Test, audit, eventually, seconds,
};
use crate::tests;

pub(crate) const TESTS: &[Test] =
    tests![a_worker_that_comes_late_goes_before_the_next_attempt_comes];

/// When watches of pods fall silent after their start, and for how long, in s. A gang that has lost a worker starts
/// again 10 s after the last one that is left was created.
const SILENT: (u64, u64) = (8, 10);

/// Watches of pods fall silent.
struct Silent;

impl Faults for Silent {
    fn strike(&mut self, call: &Call) -> Fault {
        let (after, lasting) = (seconds(SILENT.0), seconds(SILENT.1));
        match call.kind == Kind::Watch && call.resource == "pods" {
            true => Fault::Watch(Broken::Freezes { after, lasting }),
            false => Fault::None,
        }
    }
}

async fn a_worker_that_comes_late_goes_before_the_next_attempt_comes(
    sandbox: Sandbox,
) -> Result<()> {
    sandbox.node("a").create().await?;
    let proxy = Proxy::start(&sandbox.cluster, &sandbox.namespace).await?;
    proxy.go_wrong(Silent);
    let through = proxy.kubeconfig(&sandbox.cluster)?;
    let _operator = operator_with(&sandbox, &through, "taskbatch").await?;
    let begun = Instant::now();
    let gang = "gang: {workers: {min: 2}}\nretry: {limit: 1, backoff: {initial: 1s}}";
    let once = [("run-for", "1s"), ("fail-below-attempt", "1")];
    let batch = Manifest::new("").task("train", gang, &once);
    sandbox.apply(&batch.yaml()).await?.ok()?;

    let name = "demo-train-0-0-1";
    let lost = eventually(seconds(7), async || {
        let pod = sandbox.pods().get(name).await?;
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        ensure!(phase == Some("Failed"), "{phase:?}");
        Ok(pod)
    })
    .await?;
    let at_once = DeleteParams::default().grace_period(0);
    sandbox.pods().delete(name, &at_once).await?;
    sleep_until(begun + seconds(SILENT.0 + 1)).await;
    let late = as_created(&lost);
    sandbox.pods().create(&PostParams::default(), &late).await?;

    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let log = audit(&sandbox.cluster, &sandbox.namespace)?;
    let of_pods = log.iter().filter(|entry| {
        let object = &entry["objectRef"];
        object["resource"] == "pods" && object["subresource"].is_null()
    });
    let writes: Vec<(&Value, &Value)> = of_pods
        .map(|entry| (&entry["verb"], &entry["objectRef"]["name"]))
        .collect();
    let gone = writes
        .iter()
        .rposition(|write| *write == (&"delete".into(), &name.into()));
    let next = writes.iter().position(|(verb, name)| {
        *verb == "create"
            && name
                .as_str()
                .is_some_and(|name| name.starts_with("demo-train-0-1-"))
    });
    let (gone, next) = (gone.context("no delete")?, next.context("no next attempt")?);
    ensure!(gone < next, "{writes:#?}");
    Ok(())
}

/// The pod as it was asked for.
fn as_created(pod: &Pod) -> Pod {
    let mut created = Pod {
        metadata: pod.metadata.clone(),
        spec: pod.spec.clone(),
        status: None,
    };
    created.metadata.resource_version = None;
    created.metadata.uid = None;
    created.managed_fields_mut().clear();
    if let Some(spec) = &mut created.spec {
        spec.node_name = None;
    }
    created
}
