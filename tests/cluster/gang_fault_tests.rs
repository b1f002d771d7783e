//! What other schedulers are known to do to gangs, and ours must not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use taskbatch::api::{Phase, label};

use crate::batch::{
    Manifest, batches, in_phase, no_pods, operator, operator_with, seen, status, with_reason,
};
use crate::harness::{
    Call, Checker, FakeKubelet, Fault, Faults, Kind, Proxy, Sandbox, Test, audit, eventually,
    seconds,
};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    of_two_gangs_of_a_hundred_one_runs_whole_and_the_other_waits_whole,
    a_gang_runs_again_when_a_node_that_was_not_ready_is_repaired,
    a_gang_runs_again_when_a_node_that_was_deleted_is_back,
    workers_that_end_early_neither_end_nor_restart_their_gang,
    a_gang_that_is_meant_for_a_vanished_node_is_planned_again,
    a_pod_that_is_pinned_to_a_vanished_node_is_planned_again,
    a_gang_of_which_admission_refuses_a_worker_holds_nothing,
    a_gang_of_which_admission_refuses_a_binding_gives_the_rest_back,
];

/// All binds of a gang may take so long.
const START: Duration = Duration::from_secs(10);

async fn of_two_gangs_of_a_hundred_one_runs_whole_and_the_other_waits_whole(
    sandbox: Sandbox,
) -> Result<()> {
    let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    let nodes = names
        .iter()
        .map(|name| sandbox.node(name).cpu("1").create());
    try_join_all(nodes).await?;
    let checker = Checker::start(&sandbox.cluster)?;
    checker.nodes_of(&sandbox.namespace).await?;
    let _operator = operator(&sandbox).await?;
    let gang = "gang: {workers: {min: 100}}\nresources: {cpu: {min: 1}}";
    let batch = Manifest::new("").task("train", gang, &[("run-for", "8s")]);
    let both = ["one", "two"].map(|name| batch.yaml().replace("demo", name));
    sandbox.apply(&both.join("---\n")).await?.ok()?;

    let all_run = async || {
        let pods = seen(&sandbox).await?;
        let running = pods.iter().filter(|pod| pod.phase == "Running").count();
        ensure!(running == 100, "{running} of {} pods run", pods.len());
        ensure!(pods.len() == 100, "{} pods", pods.len());
        Ok(())
    };
    eventually(seconds(60), all_run).await?;
    let waits = async || {
        let tasks = [
            status(&sandbox, "one").await?,
            status(&sandbox, "two").await?,
        ];
        let reasons = tasks.map(|status| status.tasks[0].reason.clone().unwrap_or_default());
        let waiting = reasons
            .iter()
            .filter(|reason| *reason == "WaitingForCapacity");
        ensure!(waiting.count() == 1, "{reasons:?}");
        Ok(())
    };
    eventually(seconds(5), waits).await?;
    for name in ["one", "two"] {
        in_phase(&sandbox, name, Phase::Complete).await?;
    }

    checker.all_is_well(&sandbox.namespace).await?;
    let mut times = Vec::new();
    for name in ["one", "two"] {
        let uid = batches(&sandbox).get(name).await?.uid().unwrap_or_default();
        let busy = checker.look(|noted| noted.books.busy_times(&uid).to_vec());
        let [(from, Some(to))] = busy[..] else {
            anyhow::bail!("{name} ran {} times", busy.len())
        };
        times.push((from, to));
    }
    times.sort();
    ensure!(times[0].1 <= times[1].0, "both held nodes: {times:?}");
    let half = checker.look(|noted| noted.books.gangs.longest(&sandbox.namespace));
    eprintln!("two gangs of 100 pods: each whole after {half:.1?} at most");
    ensure!(half <= START, "held a part for {half:?}");
    Ok(())
}

/// Two workers on two nodes, which leave a node at once that is not ready. Without retries: an attempt that counted
/// would fail the batch.
fn on_two_nodes() -> Manifest {
    let tolerate = ["not-ready", "unreachable"].map(|state| {
        format!(
            "{{key: node.kubernetes.io/{state}, operator: Exists, effect: NoExecute, tolerationSeconds: 0}}"
        )
    });
    let spec = format!(
        "tolerations: [{}], containers: [{{name: main, image: busybox}}]",
        tolerate.join(", ")
    );
    let gang = "gang: {workers: {min: 2}}\nresources: {cpu: {min: 2}}\nretry: {limit: 0}";
    Manifest::new("").forever().pod("train", gang, &spec)
}

/// Waits until two pods run, on a node each, and none of these; their uids.
async fn both_run(sandbox: &Sandbox, but: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    eventually(seconds(60), async || {
        let pods = sandbox.pods().list(&ListParams::default()).await?.items;
        let phase = |pod: &Pod| pod.status.clone()?.phase;
        let node = |pod: &Pod| pod.spec.clone()?.node_name;
        let all_run = pods
            .iter()
            .all(|pod| phase(pod).as_deref() == Some("Running"));
        let nodes: BTreeSet<_> = pods.iter().map(node).collect();
        let uids: BTreeSet<String> = pods.iter().filter_map(ResourceExt::uid).collect();
        let are_others = uids.is_disjoint(but);
        ensure!(
            all_run && are_others && uids.len() == 2 && nodes.len() == 2,
            "{:#?}",
            seen(sandbox).await?
        );
        Ok(uids)
    })
    .await
}

async fn a_gang_runs_again_when_a_node_that_was_not_ready_is_repaired(
    sandbox: Sandbox,
) -> Result<()> {
    let (client, mut nodes) = (sandbox.client(), Vec::new());
    for name in ["a", "b"] {
        nodes.push(
            sandbox
                .node(name)
                .cpu("2")
                .without_kubelet()
                .create()
                .await?,
        );
    }
    let _whole = FakeKubelet::start(&client, &[&nodes[0]]).await?;
    let broken = FakeKubelet::start(&client, &[&nodes[1]]).await?;
    let _operator = operator(&sandbox).await?;
    sandbox.apply(&on_two_nodes().yaml()).await?.ok()?;
    let before = both_run(&sandbox, &BTreeSet::new()).await?;

    drop(broken);
    let api: Api<Node> = Api::all(client.clone());
    let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}]}});
    let (how, patch) = (PatchParams::default(), Patch::Strategic(not_ready));
    api.patch_status(&nodes[1], &how, &patch).await?;
    // The pod on the broken node cannot go, since nobody there says that it has ended; the other one is given back.
    eventually(seconds(30), async || {
        let pods = seen(&sandbox).await?;
        ensure!(
            pods.len() == 1 && pods[0].node.as_ref() == Some(&nodes[1]),
            "{pods:#?}"
        );
        Ok(())
    })
    .await?;

    let _repaired = FakeKubelet::start(&client, &[&nodes[1]]).await?;
    both_run(&sandbox, &before).await.map(drop)
}

async fn a_gang_runs_again_when_a_node_that_was_deleted_is_back(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").cpu("2").create().await?;
    let lost = sandbox.node("b").cpu("2").create().await?;
    let _operator = operator(&sandbox).await?;
    sandbox.apply(&on_two_nodes().yaml()).await?.ok()?;
    let before = both_run(&sandbox, &BTreeSet::new()).await?;
    let nodes: Api<Node> = Api::all(sandbox.client());
    nodes.delete(&lost, &DeleteParams::default()).await?;
    // The garbage collector of pods waits for a minute before it believes that a node is gone.
    eventually(seconds(120), async || {
        let pods = seen(&sandbox).await?;
        ensure!(pods.iter().all(|pod| pod.phase != "Running"), "{pods:#?}");
        Ok(())
    })
    .await?;
    sandbox.node("b").cpu("2").create().await?;
    both_run(&sandbox, &before).await.map(drop)
}

/// One after the other ends, as told by the kubelet; the rest goes on, and nothing is started again.
async fn workers_that_end_early_neither_end_nor_restart_their_gang(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").create().await?;
    let _operator = operator(&sandbox).await?;
    let gang = "gang: {workers: {min: 3}}";
    let batch = Manifest::new("").task("train", gang, &[("run-for", "1h")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let before = eventually(seconds(30), async || {
        let pods = sandbox.pods().list(&ListParams::default()).await?.items;
        let phase = |pod: &Pod| pod.status.clone()?.phase;
        let all_run = pods
            .iter()
            .all(|pod| phase(pod).as_deref() == Some("Running"));
        ensure!(pods.len() == 3 && all_run, "{} pods", pods.len());
        Ok(pods)
    })
    .await?;
    let uids =
        |pods: &[Pod]| -> BTreeSet<Option<String>> { pods.iter().map(ResourceExt::uid).collect() };
    let done = Patch::Strategic(json!({"status": {"phase": "Succeeded"}}));
    for (ended, pod) in before.iter().enumerate() {
        let how = PatchParams::default();
        sandbox
            .pods()
            .patch_status(&pod.name_any(), &how, &done)
            .await?;
        if ended == 2 {
            break;
        }
        tokio::time::sleep(seconds(3)).await;
        let now = sandbox.pods().list(&ListParams::default()).await?.items;
        ensure!(
            uids(&now) == uids(&before),
            "{ended}: {:#?}",
            seen(&sandbox).await?
        );
        let leaving = now
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_some());
        ensure!(leaving.count() == 0, "the rest is being deleted");
        let status = status(&sandbox, "demo").await?;
        ensure!(status.phase == Some(Phase::Running), "{status:#?}");
    }
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    ensure!(done.progress.is_some_and(|it| it.succeeded == 1));
    Ok(())
}

/// No pod is bound while this is set.
struct NoBinding(Arc<AtomicBool>);

impl Faults for NoBinding {
    fn strike(&mut self, call: &Call) -> Fault {
        let is_struck = call.kind == Kind::Write && call.path.contains("/binding");
        match is_struck && self.0.load(Ordering::Relaxed) {
            true => Fault::Refuse(503, None),
            false => Fault::None,
        }
    }
}

/// The node goes after the pods were created for it, and before they are bound.
async fn a_gang_that_is_meant_for_a_vanished_node_is_planned_again(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").cpu("2").create().await?;
    let lost = sandbox.node("b").cpu("2").create().await?;
    let checker = Checker::start(&sandbox.cluster)?;
    checker.nodes_of(&sandbox.namespace).await?;
    let proxy = Proxy::start(&sandbox.cluster, &sandbox.namespace).await?;
    let is_held = Arc::new(AtomicBool::new(true));
    proxy.go_wrong(NoBinding(is_held.clone()));
    let through = proxy.kubeconfig(&sandbox.cluster)?;
    let _operator = operator_with(&sandbox, &through, "taskbatch").await?;
    let gang = "gang: {workers: {min: 2}}\nresources: {cpu: {min: 2}}\nretry: {limit: 0}";
    let batch = Manifest::new("").task("train", gang, &[("run-for", "1s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    eventually(seconds(30), async || {
        let pods = seen(&sandbox).await?;
        ensure!(pods.len() == 2 && pods.iter().any(|pod| pod.meant_for.as_ref() == Some(&lost)));
        Ok(())
    })
    .await?;
    let nodes: Api<Node> = Api::all(sandbox.client());
    nodes.delete(&lost, &DeleteParams::default()).await?;
    no_pods(&sandbox).await?;
    let other = sandbox.node("c").cpu("2").create().await?;
    checker.nodes_of(&sandbox.namespace).await?;
    is_held.store(false, Ordering::Relaxed);
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let assigned = done.tasks[0].assignment.clone().context("an assignment")?;
    ensure!(assigned.nodes.contains(&other), "{assigned:?}");
    checker.all_is_well(&sandbox.namespace).await
}

/// kube-scheduler could never bind a pod whose affinity names a node that is gone.
async fn a_pod_that_is_pinned_to_a_vanished_node_is_planned_again(sandbox: Sandbox) -> Result<()> {
    let lost = sandbox.node("a").create().await?;
    let _operator = operator(&sandbox).await?;
    // It waits, pinned, for a neighbour.
    let near = "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: neighbour}}}]}}";
    let spec = format!("{near}, containers: [{{name: main, image: busybox}}]");
    let batch = Manifest::new("").pod("work", "retry: {limit: 0}", &spec);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    eventually(seconds(30), async || {
        let pods = sandbox.pods().list(&ListParams::default()).await?;
        let pod = pods.items.first().context("no pod")?;
        let pinned = serde_json::to_string(&pod.spec)?;
        ensure!(
            pinned.contains("matchFields") && pinned.contains(&lost),
            "{pinned}"
        );
        Ok(())
    })
    .await?;
    let nodes: Api<Node> = Api::all(sandbox.client());
    nodes.delete(&lost, &DeleteParams::default()).await?;
    let other = sandbox.node("b").create().await?;
    let neighbour = sandbox.pod("neighbour").label("app", "neighbour");
    neighbour.on(&other).create().await?;
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let assigned = done.tasks[0].assignment.clone().context("an assignment")?;
    ensure!(assigned.nodes == [other], "{assigned:?}");
    Ok(())
}

/// A policy of the cluster that refuses what the expression denies, in this namespace.
async fn refuse(sandbox: &Sandbox, resource: &str, expression: &str) -> Result<()> {
    let name = &sandbox.namespace;
    let policy = format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}
    resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [{resource}]}}]
  failurePolicy: Fail
  validations: [{{expression: \"{expression}\", message: not this one}}]
---
{{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {{name: {name}}}, spec: {{policyName: {name}, validationActions: [Deny]}}}}
"
    );
    sandbox.apply(&policy).await?.ok()?;
    Ok(())
}

async fn refuse_no_longer(sandbox: &Sandbox) -> Result<()> {
    for kind in [
        "validatingadmissionpolicybinding",
        "validatingadmissionpolicy",
    ] {
        let delete = ["delete", kind, &sandbox.namespace];
        sandbox.kubectl(&delete).await?.ok()?;
    }
    Ok(())
}

/// A gang of two.
fn pair() -> String {
    let gang = "gang: {workers: {min: 2}}\nresources: {cpu: {min: 2}}\nretry: {limit: 0}";
    let batch = Manifest::new("").task("train", gang, &[("run-for", "2s")]);
    batch.yaml()
}

async fn a_gang_of_which_admission_refuses_a_worker_holds_nothing(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").create().await?;
    let expression = format!(
        "!has(object.metadata.labels) || !('{0}' in object.metadata.labels) || object.metadata.labels['{0}'] != '1'",
        label::WORKER
    );
    refuse(&sandbox, "pods", &expression).await?;
    let probe = format!(
        "run probe --image=x --dry-run=server --labels={}=1",
        label::WORKER
    );
    let probe: Vec<&str> = probe.split(' ').collect();
    eventually(seconds(30), async || {
        let answer = sandbox.kubectl(&probe).await?;
        ensure!(answer.ok().is_err(), "not refused yet");
        Ok(())
    })
    .await?;
    let checker = Checker::start(&sandbox.cluster)?;
    let _operator = operator(&sandbox).await?;
    sandbox.apply(&pair()).await?.ok()?;
    given_back(&sandbox).await?;
    refuse_no_longer(&sandbox).await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    never_held_a_part(&checker, &sandbox, seconds(2))
}

/// The first worker is bound when the API server refuses the binding of the second.
async fn a_gang_of_which_admission_refuses_a_binding_gives_the_rest_back(
    sandbox: Sandbox,
) -> Result<()> {
    let node = sandbox.node("a").create().await?;
    refuse(
        &sandbox,
        "pods/binding",
        "!object.metadata.name.endsWith('-1')",
    )
    .await?;
    let binding =
        json!({"metadata": {"name": "probe-1"}, "target": {"kind": "Node", "name": node}});
    let unscheduled = "{apiVersion: v1, kind: Pod, metadata: {name: probe-1}, spec: {schedulerName: nobody, containers: [{name: main, image: x}]}}";
    sandbox.apply(unscheduled).await?.ok()?;
    let dry = kube::api::PostParams {
        dry_run: true,
        ..Default::default()
    };
    eventually(seconds(30), async || {
        let pods = sandbox.pods();
        let bound =
            pods.create_subresource::<_, serde_json::Value>("binding", "probe-1", &dry, &binding);
        ensure!(bound.await.is_err(), "not refused yet");
        Ok(())
    })
    .await?;
    let checker = Checker::start(&sandbox.cluster)?;
    let _operator = operator(&sandbox).await?;
    sandbox.apply(&pair()).await?.ok()?;
    given_back(&sandbox).await?;
    // Each further try waits longer than the one before.
    tokio::time::sleep(seconds(20)).await;
    let log = audit(&sandbox.cluster, &sandbox.namespace)?;
    let is_create = |entry: &&serde_json::Value| {
        let object = &entry["objectRef"];
        entry["verb"] == "create"
            && object["resource"] == "pods"
            && object["subresource"].is_null()
            && object["name"] != "probe-1"
    };
    let creates = log.iter().filter(is_create).count();
    ensure!(creates <= 2 * 4, "{creates} creates in 20 s");
    refuse_no_longer(&sandbox).await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    never_held_a_part(&checker, &sandbox, START)
}

/// The refusal is told, and no pod is left.
async fn given_back(sandbox: &Sandbox) -> Result<()> {
    let told = with_reason(sandbox, "train", "PodRejected").await?;
    let message = told.message.unwrap_or_default();
    ensure!(message.contains("not this one"), "{message}");
    no_pods(sandbox).await
}

fn never_held_a_part(checker: &Checker, sandbox: &Sandbox, bound: Duration) -> Result<()> {
    let half = checker.look(|noted| noted.books.gangs.longest(&sandbox.namespace));
    ensure!(half <= bound, "held a part for {half:?}");
    Ok(())
}
