//! What the tests of the operator take for granted about the control plane under them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Namespace, Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::harness::{Process, Sandbox, Test, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_node_told_not_to_be_ready_is_tainted,
    a_pod_fails_as_its_annotations_say,
    a_pod_of_kube_scheduler_runs_on_a_simulated_node_and_succeeds,
    a_pod_of_others_runs_until_it_is_deleted,
    a_process_is_measured_and_stopped_or_killed,
    a_sandbox_that_is_cleared_leaves_nothing_behind,
    a_service_account_may_do_what_its_role_says_and_nothing_else,
    a_time_out_says_what_was_wrong_last,
    everything_a_client_writes_is_in_the_audit_log,
    the_control_plane_is_one_version_and_small,
    the_tools_of_a_user_run,
];

async fn the_control_plane_is_one_version_and_small(sandbox: Sandbox) -> Result<()> {
    let server = sandbox.client().apiserver_version().await?.git_version;
    let kubectl = sandbox.kubectl(&["version", "--client"]).await?.ok()?;
    ensure!(kubectl.contains(&server[..6]), "{server} and {kubectl}");
    let mib = sandbox.cluster.memory()? >> 20;
    // Beside this one, other tests keep it busy.
    ensure!(mib < 2048, "the control plane takes {mib} MiB");
    Ok(())
}

async fn a_pod_of_kube_scheduler_runs_on_a_simulated_node_and_succeeds(
    sandbox: Sandbox,
) -> Result<()> {
    let node = sandbox
        .node("gpu")
        .cpu("4")
        .memory("16Gi")
        .gpu(2)
        .create()
        .await?;
    sandbox.node("small").cpu("500m").create().await?;
    let pod = sandbox
        .pod("worker")
        .cpu("2")
        .memory("1Gi")
        .gpu(1)
        .run_for("1500ms");
    pod.annotation("taskbatch.dev/test-message", "done")
        .create()
        .await?;

    let running = sandbox.pod_in_phase("worker", "Running").await?;
    ensure!(
        running.spec.and_then(|spec| spec.node_name) == Some(node),
        "bound to another node"
    );
    let ended = sandbox.pod_in_phase("worker", "Succeeded").await?;
    let state = terminated(&ended)?;
    ensure!(
        state.exit_code == 0 && state.message.as_deref() == Some("done"),
        "{state:?}"
    );
    let started = state.started_at.context("no start")?.0;
    let seconds = state
        .finished_at
        .context("no end")?
        .0
        .duration_since(started)
        .as_secs();
    ensure!((1..=4).contains(&seconds), "ran for {seconds} s");
    Ok(())
}

async fn a_pod_of_others_runs_until_it_is_deleted(sandbox: Sandbox) -> Result<()> {
    let node = sandbox.node("n").create().await?;
    let terminating = sandbox
        .pod("other")
        .on(&node)
        .annotation("taskbatch.dev/test-terminate-for", "1s");
    terminating.create().await?;
    let status = sandbox
        .pod_in_phase("other", "Running")
        .await?
        .status
        .context("no status")?;
    let conditions = status.conditions.unwrap_or_default();
    ensure!(
        !conditions
            .iter()
            .any(|c| c.type_ == "taskbatch.dev/test-run-ends"),
        "it has an end"
    );

    sandbox
        .pods()
        .delete("other", &DeleteParams::default())
        .await?;
    ensure!(
        sandbox
            .pods()
            .get("other")
            .await?
            .metadata
            .deletion_timestamp
            .is_some(),
        "not terminating"
    );
    eventually(seconds(10), async || {
        ensure!(
            sandbox.pods().get_opt("other").await?.is_none(),
            "still terminating"
        );
        Ok(())
    })
    .await
}

async fn a_pod_fails_as_its_annotations_say(sandbox: Sandbox) -> Result<()> {
    let node = sandbox.node("n").create().await?;
    let killed = sandbox
        .pod("killed")
        .on(&node)
        .run_for("100ms")
        .annotation("taskbatch.dev/test-exit-code", "137");
    killed
        .annotation("taskbatch.dev/test-exit-reason", "OOMKilled")
        .create()
        .await?;
    for attempt in ["1", "2"] {
        let pod = sandbox
            .pod(&format!("attempt-{attempt}"))
            .on(&node)
            .label("taskbatch.dev/attempt", attempt);
        pod.label("run", "once")
            .annotation("taskbatch.dev/test-fail-below-attempt", "2")
            .create()
            .await?;
    }
    let state = terminated(&sandbox.pod_in_phase("killed", "Failed").await?)?;
    ensure!(
        state.exit_code == 137 && state.reason.as_deref() == Some("OOMKilled"),
        "{state:?}"
    );
    ensure!(
        terminated(&sandbox.pod_in_phase("attempt-1", "Failed").await?)?.exit_code == 1,
        "attempt 1"
    );
    ensure!(
        terminated(&sandbox.pod_in_phase("attempt-2", "Succeeded").await?)?.exit_code == 0,
        "attempt 2"
    );
    Ok(())
}

async fn a_node_told_not_to_be_ready_is_tainted(sandbox: Sandbox) -> Result<()> {
    let name = sandbox
        .node("n")
        .taint("dedicated", "team", "NoSchedule")
        .create()
        .await?;
    let nodes: Api<Node> = Api::all(sandbox.client());
    let told = json!({"metadata": {"annotations": {"taskbatch.dev/test-ready": "False"}}});
    nodes
        .patch(&name, &PatchParams::default(), &Patch::Merge(told))
        .await?;
    eventually(seconds(20), async || {
        let taints = nodes
            .get(&name)
            .await?
            .spec
            .and_then(|spec| spec.taints)
            .unwrap_or_default();
        ensure!(
            taints.iter().any(|taint| taint.key == "dedicated"),
            "the taint of the test is gone"
        );
        ensure!(
            taints
                .iter()
                .any(|taint| taint.key == "node.kubernetes.io/not-ready"),
            "not tainted"
        );
        Ok(())
    })
    .await
}

async fn a_service_account_may_do_what_its_role_says_and_nothing_else(
    sandbox: Sandbox,
) -> Result<()> {
    sandbox
        .kubectl(&["create", "serviceaccount", "reader"])
        .await?
        .ok()?;
    sandbox
        .kubectl(&["create", "role", "reader", "--verb=list", "--resource=pods"])
        .await?
        .ok()?;
    let account = format!("--serviceaccount={}:reader", sandbox.namespace);
    sandbox
        .kubectl(&["create", "rolebinding", "reader", "--role=reader", &account])
        .await?
        .ok()?;

    let kubeconfig = sandbox.kubeconfig_of("reader").await?.display().to_string();
    let as_reader = ["--kubeconfig", &kubeconfig];
    eventually(seconds(10), async || {
        sandbox
            .kubectl(&[&as_reader[..], &["get", "pods"]].concat())
            .await?
            .ok()
    })
    .await?;
    let refused = sandbox
        .kubectl(&[&as_reader[..], &["get", "secrets"]].concat())
        .await?;
    ensure!(
        !refused.success && refused.stderr.contains("cannot list resource \"secrets\""),
        "{refused:?}"
    );
    Ok(())
}

async fn the_tools_of_a_user_run(sandbox: Sandbox) -> Result<()> {
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\n";
    let applied = sandbox.apply(manifest).await?.ok()?;
    ensure!(applied.contains("configmap/applied created"), "{applied}");
    let helm = sandbox
        .cluster
        .run("helm", &["list", "--namespace", &sandbox.namespace], "")
        .await?
        .ok()?;
    ensure!(helm.contains("NAME"), "{helm}");
    // Schemas are fetched over the network, so without one it can only tell a manifest from something else.
    let skip = ["-skip", "ConfigMap", "-summary"];
    let judged = sandbox
        .cluster
        .run("kubeconform", &skip, manifest)
        .await?
        .ok()?;
    ensure!(judged.contains("Skipped: 1"), "{judged}");
    Ok(())
}

async fn a_sandbox_that_is_cleared_leaves_nothing_behind(sandbox: Sandbox) -> Result<()> {
    let second = Sandbox::new(sandbox.cluster.clone(), "second").await?;
    ensure!(
        second.namespace != sandbox.namespace,
        "two sandboxes share a namespace"
    );
    let node = second.node("n").create().await?;
    second.pod("pod").on(&node).create().await?;
    second.pod_in_phase("pod", "Running").await?;

    second.clear().await?;
    let nodes: Api<Node> = Api::all(sandbox.client());
    let namespaces: Api<Namespace> = Api::all(sandbox.client());
    eventually(seconds(20), async || {
        ensure!(
            nodes.get_opt(&node).await?.is_none(),
            "the node is still there"
        );
        ensure!(
            second.pods().get_opt("pod").await?.is_none(),
            "the pod is still there"
        );
        ensure!(
            namespaces.get_opt(&second.namespace).await?.is_none(),
            "the namespace is still there"
        );
        Ok(())
    })
    .await
}

async fn everything_a_client_writes_is_in_the_audit_log(sandbox: Sandbox) -> Result<()> {
    sandbox
        .kubectl(&["create", "configmap", "written", "--from-literal=key=value"])
        .await?
        .ok()?;
    eventually(seconds(10), async || {
        let log = fs::read_to_string(sandbox.cluster.folder().join("audit.log"))?;
        let mine =
            |line: &&str| line.contains(&sandbox.namespace) && line.contains(r#""name":"written""#);
        let line = log.lines().find(mine).context("not in the log")?;
        let event: serde_json::Value = serde_json::from_str(line)?;
        ensure!(
            event["verb"] == "create" && event["user"]["username"] == "admin",
            "{line}"
        );
        ensure!(event["requestObject"]["data"]["key"] == "value", "{line}");
        Ok(())
    })
    .await
}

async fn a_process_is_measured_and_stopped_or_killed(sandbox: Sandbox) -> Result<()> {
    const TERM: i32 = 15;
    const KILL: i32 = 9;
    let sleep = || {
        let name = sandbox.cluster.unique("sleep");
        Process::spawn(
            &name,
            Path::new("sleep"),
            &["60".into()],
            sandbox.cluster.folder(),
        )
    };
    let mut stopped = sleep()?;
    stopped.ensure_running()?;
    let usage = eventually(seconds(5), async || stopped.usage()).await?;
    ensure!(usage.rss > 0 && usage.cpu < seconds(1), "{usage:?}");
    ensure!(
        stopped
            .terminate(seconds(5))
            .await?
            .to_string()
            .contains(&format!("signal: {TERM}")),
        "not stopped"
    );
    let mut killed = sleep()?;
    ensure!(
        killed
            .kill()?
            .to_string()
            .contains(&format!("signal: {KILL}")),
        "not killed"
    );
    ensure!(
        !Path::new(&format!("/proc/{}", killed.pid())).exists(),
        "still there"
    );
    Ok(())
}

async fn a_time_out_says_what_was_wrong_last(_: Sandbox) -> Result<()> {
    let mut tries = 0;
    let outcome: Result<()> = eventually(seconds(0), async || {
        tries += 1;
        anyhow::bail!("try {tries} failed")
    })
    .await;
    let message = format!("{:?}", outcome.err().context("no time-out")?);
    ensure!(
        message.contains("still not so after 0ns") && message.contains("try 1 failed"),
        "{message}"
    );
    Ok(())
}

/// How the first container of a pod ended.
pub(crate) fn terminated(pod: &Pod) -> Result<ContainerStateTerminated> {
    let status = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref()?.first());
    let state = status.and_then(|status| status.state.as_ref()?.terminated.clone());
    state.with_context(|| format!("{} has not ended", pod.name_any()))
}
