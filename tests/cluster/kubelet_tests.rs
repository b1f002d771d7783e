//! The fake kubelet, held to what the real one was seen to say and do.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::PodStatus;
use kube::api::DeleteParams;

use crate::harness::{FakeKubelet, Sandbox, Test};
use crate::harness_tests::terminated;
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    the_fake_kubelet_rejects_in_the_words_of_the_real_one,
    the_fake_kubelet_runs_a_pod_to_its_end,
];

async fn the_fake_kubelet_rejects_in_the_words_of_the_real_one(sandbox: Sandbox) -> Result<()> {
    let bare = sandbox
        .node("bare")
        .cpu("2")
        .memory("1Gi")
        .without_kubelet()
        .create()
        .await?;
    let empty = sandbox
        .node("empty")
        .resource("nvidia.com/gpu", "0")
        .without_kubelet()
        .create()
        .await?;
    let kubelet = FakeKubelet::start(&sandbox.client(), &[&bare, &empty]).await?;
    sandbox.pod("first").on(&bare).cpu("1500m").create().await?;
    sandbox.pod_in_phase("first", "Running").await?;

    sandbox.pod("cpu").on(&bare).cpu("1").create().await?;
    let out_of_cpu =
        "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000";
    rejected(&sandbox, "cpu", "OutOfcpu", out_of_cpu).await?;

    sandbox
        .pod("memory")
        .on(&bare)
        .memory("1.5Gi")
        .create()
        .await?;
    let out_of_memory = "Node didn't have enough resource: memory, requested: 1610612736, used: 0, capacity: 1073741824";
    rejected(&sandbox, "memory", "OutOfmemory", out_of_memory).await?;

    sandbox.pod("gpu").on(&empty).gpu(1).create().await?;
    let out_of_gpu =
        "Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: 0, capacity: 0";
    rejected(&sandbox, "gpu", "OutOfnvidia.com/gpu", out_of_gpu).await?;
    // The real one does not know what a resource is that its node does not list.
    sandbox.pod("unlisted").on(&bare).gpu(1).create().await?;
    sandbox.pod_in_phase("unlisted", "Running").await?;

    let broken = "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. \
                  Requested: 1, Available: 0, which is unexpected";
    kubelet.reject_next(1, "UnexpectedAdmissionError", broken);
    sandbox.pod("told").on(&bare).create().await?;
    rejected(&sandbox, "told", "UnexpectedAdmissionError", broken).await?;
    sandbox.pod("after").on(&bare).create().await?;
    sandbox.pod_in_phase("after", "Running").await.map(drop)
}

async fn rejected(sandbox: &Sandbox, name: &str, reason: &str, message: &str) -> Result<()> {
    let status = sandbox
        .pod_in_phase(name, "Failed")
        .await?
        .status
        .context("no status")?;
    let PodStatus {
        reason: Some(said),
        message: Some(explained),
        container_statuses: None,
        ..
    } = status
    else {
        anyhow::bail!("no rejection: {status:?}")
    };
    ensure!(
        said == reason && explained == format!("Pod was rejected: {message}"),
        "{said}: {explained}"
    );
    Ok(())
}

async fn the_fake_kubelet_runs_a_pod_to_its_end(sandbox: Sandbox) -> Result<()> {
    let node = sandbox
        .node("n")
        .cpu("1")
        .without_kubelet()
        .create()
        .await?;
    let _kubelet = FakeKubelet::start(&sandbox.client(), &[&node]).await?;
    // The second and third only fit after the one before has left: by its end, and by its deletion.
    for (name, run_for) in [("first", "1s"), ("second", "1h"), ("third", "100ms")] {
        let pod = sandbox.pod(name).cpu("1").run_for(run_for);
        pod.annotation("taskbatch.dev/test-exit-code", "3")
            .create()
            .await?;
        if name == "second" {
            sandbox.pod_in_phase("second", "Running").await?;
            sandbox
                .pods()
                .delete("second", &DeleteParams::default())
                .await?;
        } else {
            let state = terminated(&sandbox.pod_in_phase(name, "Failed").await?)?;
            ensure!(
                state.exit_code == 3 && state.reason.as_deref() == Some("Error"),
                "{state:?}"
            );
        }
    }
    Ok(())
}
