//! Pods that kube-scheduler binds on the node of the plan, and what happens where it cannot.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use taskbatch::api::{Phase, TaskStatus, label};

use crate::batch::{Manifest, in_phase, operator, seen, status, with_reason};
use crate::harness::{Sandbox, Test, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    kube_scheduler_binds_where_the_plan_says,
    a_delegated_gang_starts_as_a_whole,
    a_volume_that_binds_late_goes_where_it_is,
    a_device_claim_goes_where_the_device_is,
    topology_spread_is_kept,
    topology_spread_over_selected_nodes_is_kept,
    a_stranger_that_may_not_be_near_is_kept_away_from,
    a_stranger_that_keeps_others_away_is_heard_also_by_direct_binding,
    a_pod_that_kube_scheduler_can_bind_nowhere_says_why_without_haste,
    direct_binding_refuses_a_rule_that_it_does_not_honour,
];

async fn kube_scheduler_binds_where_the_plan_says(sandbox: Sandbox) -> Result<()> {
    for name in ["a", "b"] {
        sandbox.node(name).create().await?;
    }
    let operator = operator(&sandbox).await?;
    let batch = Manifest::new("binding: Delegate").task(
        "work",
        "count: 6\nresources: {cpu: {min: 2}}\nestimate: {process: 2s}",
        &[],
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let assigned = done.tasks[0].assignment.as_ref().context("assigned")?;
    ensure!(
        assigned.binding.as_deref() == Some("Delegate"),
        "{assigned:?}"
    );
    for pod in pods(&sandbox, "work").await? {
        let spec = pod.spec.context("a spec")?;
        ensure!(spec.scheduler_name.as_deref() == Some("default-scheduler"));
        ensure!(spec.scheduling_gates.is_none_or(|gates| gates.is_empty()));
    }
    let all = seen(&sandbox).await?;
    ensure!(all.len() == 6, "{all:#?}");
    for pod in all {
        ensure!(pod.node.is_some() && pod.node == pod.meant_for, "{pod:?}");
    }
    let (_, metrics) = operator.get("/metrics").await?;
    ensure!(
        metrics.contains("taskbatch_releases_total{result=\"done\"} 6"),
        "{metrics}"
    );
    ensure!(
        !metrics.contains("taskbatch_binds_total{result=\"done\"}"),
        "{metrics}"
    );
    Ok(())
}

async fn a_delegated_gang_starts_as_a_whole(sandbox: Sandbox) -> Result<()> {
    for name in ["a", "b"] {
        sandbox.node(name).create().await?;
    }
    let _operator = operator(&sandbox).await?;
    let gang = "gang: {workers: {min: 3}}\nresources: {cpu: {min: 2}}\ncount: 2";
    let batch = Manifest::new("binding: Delegate").task("gang", gang, &[]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let all = seen(&sandbox).await?;
    ensure!(
        all.len() == 6 && all.iter().all(|pod| pod.attempt == "0"),
        "{all:#?}"
    );
    Ok(())
}

async fn a_volume_that_binds_late_goes_where_it_is(sandbox: Sandbox) -> Result<()> {
    for name in ["a", "b", "c"] {
        sandbox.node(name).create().await?;
    }
    let name = &sandbox.namespace;
    let volume = format!(
        "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: {name}}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  storageClassName: {name}
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  local: {{path: /data}}
  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{name}-c]}}]}}]}}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec: {{storageClassName: {name}, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
"
    );
    sandbox.apply(&volume).await?.ok()?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").pod(
        "work",
        "",
        "volumes: [{name: data, persistentVolumeClaim: {claimName: data}}], containers: [{name: main, image: busybox, volumeMounts: [{name: data, mountPath: /data}]}]",
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    runs_on(&sandbox, "work", &["c"]).await?;
    let claim = ["get", "pvc", "data", "-o", "jsonpath={.spec.volumeName}"];
    let bound = sandbox.kubectl(&claim).await?.ok()?;
    ensure!(bound == *name, "the claim is bound to {bound:?}");
    let cluster_wide = ["delete", "pv,storageclass", name, "--wait=false"];
    sandbox.kubectl(&cluster_wide).await?.ok()?;
    Ok(())
}

async fn a_device_claim_goes_where_the_device_is(sandbox: Sandbox) -> Result<()> {
    for name in ["a", "b"] {
        sandbox.node(name).create().await?;
    }
    let name = &sandbox.namespace;
    let devices = format!(
        "
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {{name: {name}}}
spec: {{selectors: [{{cel: {{expression: 'device.driver == \"{name}.example.com\"'}}}}]}}
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {{name: {name}}}
spec:
  driver: {name}.example.com
  nodeName: {name}-b
  pool: {{name: {name}-b, generation: 1, resourceSliceCount: 1}}
  devices: [{{name: one}}, {{name: two}}]
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {{name: device}}
spec: {{spec: {{devices: {{requests: [{{name: device, exactly: {{deviceClassName: {name}}}}}]}}}}}}
"
    );
    sandbox.apply(&devices).await?.ok()?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").pod(
        "work",
        "count: 2",
        "resourceClaims: [{name: device, resourceClaimTemplateName: device}], containers: [{name: main, image: busybox, resources: {claims: [{name: device}]}}]",
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    runs_on(&sandbox, "work", &["b", "b"]).await?;
    let cluster_wide = ["delete", "deviceclass,resourceslice", name, "--wait=false"];
    sandbox.kubectl(&cluster_wide).await?.ok()?;
    Ok(())
}

async fn topology_spread_is_kept(sandbox: Sandbox) -> Result<()> {
    spreads(&sandbox, "").await
}

async fn topology_spread_over_selected_nodes_is_kept(sandbox: Sandbox) -> Result<()> {
    // The domains are those of the selected nodes: a third zone without a node to run on does not count.
    let zone = zone(&sandbox);
    sandbox.node("other").label(&zone, "c").create().await?;
    spreads(&sandbox, "nodeSelector: {example.com/pool: mine}, ").await
}

/// A topology key that no other test has.
fn zone(sandbox: &Sandbox) -> String {
    format!("example.com/{}", sandbox.namespace)
}

/// Four copies in two zones of one node each end up as two and two, although one node could hold them all.
async fn spreads(sandbox: &Sandbox, selector: &str) -> Result<()> {
    let zone = zone(sandbox);
    for name in ["a", "b"] {
        let node = sandbox.node(name).label(&zone, name);
        node.label("example.com/pool", "mine").create().await?;
    }
    let _operator = operator(sandbox).await?;
    let like = format!("labelSelector: {{matchLabels: {{{}: work}}}}", label::TASK);
    let batch = Manifest::new("").forever().pod(
        "work",
        "count: 4\nresources: {cpu: {min: 1}}\nestimate: {process: 1h}",
        &format!("{selector}topologySpreadConstraints: [{{maxSkew: 1, topologyKey: {zone}, whenUnsatisfiable: DoNotSchedule, {like}}}], containers: [{{name: main, image: busybox}}]"),
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    eventually(seconds(60), async || {
        let mut found = running(sandbox).await?;
        found.sort();
        ensure!(found == ["a", "a", "b", "b"], "running on {found:?}");
        Ok(())
    })
    .await
}

async fn a_stranger_that_may_not_be_near_is_kept_away_from(sandbox: Sandbox) -> Result<()> {
    for name in ["a", "b"] {
        sandbox.node(name).create().await?;
    }
    let first = format!("{}-a", sandbox.namespace);
    sandbox
        .pod("stranger")
        .label("app", "loud")
        .on(&first)
        .create()
        .await?;
    sandbox.pod_in_phase("stranger", "Running").await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").forever().pod(
        "work",
        "count: 1",
        "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: loud}}}]}}, containers: [{name: main, image: busybox}]",
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    let task = eventually(seconds(30), async || {
        let status = status(&sandbox, "demo").await?;
        let task = status.tasks.first().cloned().context("a task")?;
        ensure!(task.phase == taskbatch::api::TaskPhase::Running, "{task:?}");
        Ok(task)
    })
    .await?;
    ensure!(running(&sandbox).await? == ["b"], "{task:?}");
    // The node without the stranger is not always tried first; where it is not, its words are kept.
    let said = format!("tried before, {first}: ");
    says(&task, &[&said, "anti-affinity"])?;
    eventually(seconds(10), async || {
        let events = sandbox.kubectl(&["get", "events"]).await?.ok()?;
        let found = events.lines().find(|line| line.contains("Unschedulable"));
        let found = found.with_context(|| events.clone())?;
        ensure!(found.contains("anti-affinity"), "{found}");
        Ok(())
    })
    .await
}

/// The anti-affinity of a pod holds for whoever comes later: the stranger keeps us out of its zone, and the kubelet
/// would not.
async fn a_stranger_that_keeps_others_away_is_heard_also_by_direct_binding(
    sandbox: Sandbox,
) -> Result<()> {
    let zone = zone(&sandbox);
    for (name, value) in [("a", "one"), ("b", "one"), ("c", "two")] {
        sandbox.node(name).label(&zone, value).create().await?;
    }
    let node = format!("{}-a", sandbox.namespace);
    let lonely = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: lonely}}, spec: {{nodeName: {node}, containers: [{{name: main, image: busybox}}], affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: {zone}, labelSelector: {{matchExpressions: [{{key: {}, operator: Exists}}]}}}}]}}}}}}}}",
        label::TASK
    );
    sandbox.apply(&lonely).await?.ok()?;
    sandbox.pod_in_phase("lonely", "Running").await?;
    let _operator = operator(&sandbox).await?;
    let fields = "count: 3\nresources: {cpu: {min: 2}}\nestimate: {process: 2s}";
    let batch = Manifest::new("binding: Direct").task("work", fields, &[]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    runs_on(&sandbox, "work", &["c", "c", "c"]).await
}

async fn a_pod_that_kube_scheduler_can_bind_nowhere_says_why_without_haste(
    sandbox: Sandbox,
) -> Result<()> {
    for name in ["a", "b"] {
        sandbox.node(name).create().await?;
    }
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").pod(
        "work",
        "",
        "volumes: [{name: data, persistentVolumeClaim: {claimName: nowhere}}], containers: [{name: main, image: busybox}]",
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let task = with_reason(&sandbox, "work", "Unschedulable").await?;
    says(&task, &["persistentvolumeclaim \"nowhere\" not found"])?;
    // Tries end after 3 s at the soonest and are 2, 4, 8, ... s apart, or as far as a node is kept off: 10 s.
    tokio::time::sleep(seconds(20)).await;
    let creates = creates(&sandbox)?;
    ensure!((2..=5).contains(&creates), "{creates} pods were created");
    let claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: nowhere}, spec: {storageClassName: '', volumeName: V, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    let volume = "{apiVersion: v1, kind: PersistentVolume, metadata: {name: V}, spec: {storageClassName: '', capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /data}}}";
    let both =
        format!("{claim}\n---\n{volume}").replace(": V", &format!(": {}", sandbox.namespace));
    sandbox.apply(&both).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    sandbox
        .kubectl(&["delete", "pv", &sandbox.namespace, "--wait=false"])
        .await?
        .ok()?;
    Ok(())
}

async fn direct_binding_refuses_a_rule_that_it_does_not_honour(sandbox: Sandbox) -> Result<()> {
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("binding: Direct").pod(
        "work",
        "",
        "volumes: [{name: v, persistentVolumeClaim: {claimName: c}}], containers: [{name: main, image: busybox}]",
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let rejected = in_phase(&sandbox, "demo", Phase::Rejected).await?;
    let accepted = rejected
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Accepted")
        .context("Accepted")?;
    ensure!(accepted.reason == "UnsupportedTemplate", "{accepted:?}");
    for words in [
        "spec.tasks[0].template.spec.volumes[0].persistentVolumeClaim",
        "binding must be Auto or Delegate",
    ] {
        ensure!(accepted.message.contains(words), "{accepted:?}");
    }
    // What is mutable can be put right in place.
    crate::batch::change(&sandbox, serde_json::json!({"binding": "Auto"})).await?;
    sandbox.node("a").create().await?;
    with_reason(&sandbox, "work", "Unschedulable").await?;
    Ok(())
}

/// The pods of a task of ours.
async fn pods(sandbox: &Sandbox, task: &str) -> Result<Vec<Pod>> {
    let of_task = ListParams::default().labels(&format!("{}={task}", label::TASK));
    Ok(sandbox.pods().list(&of_task).await?.items)
}

/// The short names of the nodes on which pods of ours are bound and not over.
async fn running(sandbox: &Sandbox) -> Result<Vec<String>> {
    let prefix = format!("{}-", sandbox.namespace);
    let all = seen(sandbox).await?.into_iter();
    let running = all.filter(|pod| pod.phase == "Running");
    let nodes = running.filter_map(|pod| pod.node);
    Ok(nodes.map(|node| node.replace(&prefix, "")).collect())
}

/// Checks on which nodes the pods that ended well ran.
async fn runs_on(sandbox: &Sandbox, task: &str, nodes: &[&str]) -> Result<()> {
    let mut found: Vec<String> = Vec::new();
    for pod in pods(sandbox, task).await? {
        let phase = pod
            .status
            .and_then(|status| status.phase)
            .unwrap_or_default();
        ensure!(phase == "Succeeded", "{task} is {phase}");
        found.extend(pod.spec.and_then(|spec| spec.node_name));
    }
    let wanted: Vec<String> = nodes
        .iter()
        .map(|node| format!("{}-{node}", sandbox.namespace))
        .collect();
    ensure!(found == wanted, "{task} ran on {found:?}");
    Ok(())
}

fn says(task: &TaskStatus, words: &[&str]) -> Result<()> {
    let message = task.message.as_deref().unwrap_or_default();
    for word in words {
        ensure!(message.contains(word), "{word:?} is not in {message:?}");
    }
    Ok(())
}

/// How many pods of the task `work` were created, by the audit log.
fn creates(sandbox: &Sandbox) -> Result<usize> {
    let log = std::fs::read_to_string(sandbox.cluster.folder().join("audit.log"))?;
    let created = |line: &&str| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        entry["verb"] == "create"
            && entry["objectRef"]["resource"] == "pods"
            && entry["objectRef"]["subresource"].is_null()
            && entry["objectRef"]["namespace"] == sandbox.namespace.as_str()
    };
    Ok(log.lines().filter(created).count())
}
