//! Admission changes pods: what the API server returns is what must be honoured, without haste where that cannot be.

use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase, operator, seen};
use crate::harness::{Sandbox, Test, audit, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    the_rules_and_overhead_of_a_runtime_class_are_honoured,
    a_rule_that_admission_adds_is_not_broken,
];

/// How many pods of ours were created, refused tries included.
fn creates(sandbox: &Sandbox) -> Result<usize> {
    let events = audit(&sandbox.cluster, &sandbox.namespace)?;
    let is_create = |event: &&serde_json::Value| {
        let object = &event["objectRef"];
        event["verb"] == "create"
            && object["resource"] == "pods"
            && object["subresource"].is_null()
            && object["name"]
                .as_str()
                .is_some_and(|name| name.starts_with("demo-"))
    };
    Ok(events.iter().filter(is_create).count())
}

async fn the_rules_and_overhead_of_a_runtime_class_are_honoured(sandbox: Sandbox) -> Result<()> {
    // Neither the first node, which lacks the label, nor the second, which is too small for pod and overhead.
    sandbox.node("a").cpu("8").create().await?;
    sandbox
        .node("b")
        .cpu("2")
        .label("kata", "yes")
        .create()
        .await?;
    let meant = sandbox
        .node("c")
        .cpu("8")
        .label("kata", "yes")
        .create()
        .await?;
    let class = format!(
        "{{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {{name: {}}}, handler: kata, overhead: {{podFixed: {{cpu: 1}}}}, scheduling: {{nodeSelector: {{kata: 'yes'}}}}}}",
        sandbox.namespace
    );
    sandbox.apply(&class).await?.ok()?;
    let _operator = operator(&sandbox).await?;
    let spec = format!(
        "runtimeClassName: {}, containers: [{{name: main, image: busybox, resources: {{requests: {{cpu: 2}}}}}}]",
        sandbox.namespace
    );
    sandbox
        .apply(&Manifest::new("").pod("work", "", &spec).yaml())
        .await?
        .ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let pods = seen(&sandbox).await?;
    ensure!(
        pods.iter()
            .all(|pod| pod.node.as_ref().is_none_or(|node| *node == meant)),
        "{pods:?}"
    );
    ensure!(
        (2..=4).contains(&creates(&sandbox)?),
        "{} pods were created",
        creates(&sandbox)?
    );
    sandbox
        .kubectl(&["delete", "runtimeclass", &sandbox.namespace])
        .await?
        .ok()?;
    Ok(())
}

async fn a_rule_that_admission_adds_is_not_broken(sandbox: Sandbox) -> Result<()> {
    sandbox.node("a").create().await?;
    let name = &sandbox.namespace;
    let policy = format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}
    resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]
  reinvocationPolicy: Never
  failurePolicy: Fail
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: \"Object{{spec: Object.spec{{os: Object.spec.os{{name: 'linux'}}}}}}\"
---
{{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, metadata: {{name: {name}}}, spec: {{policyName: {name}}}}}
"
    );
    sandbox.apply(&policy).await?.ok()?;
    let probe = [
        "run",
        "probe",
        "--image=x",
        "--dry-run=server",
        "-o=jsonpath={.spec.os.name}",
    ];
    eventually(seconds(30), async || {
        let answer = sandbox.kubectl(&probe).await?.ok()?;
        ensure!(answer.contains("linux"), "{answer:?}");
        Ok(())
    })
    .await?;
    let _operator = operator(&sandbox).await?;
    let spec = "containers: [{name: main, image: busybox}]";
    sandbox
        .apply(&Manifest::new("").pod("work", "", spec).yaml())
        .await?
        .ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    // The first pod was taken back unbound, and kube-scheduler bound the next one.
    for pod in sandbox.pods().list(&ListParams::default()).await? {
        let spec = pod.spec.context("a spec")?;
        let scheduler = spec.scheduler_name.as_deref();
        ensure!(
            spec.node_name.is_none() || scheduler == Some("default-scheduler"),
            "{spec:?}"
        );
    }
    ensure!(
        (2..=3).contains(&creates(&sandbox)?),
        "{} pods were created",
        creates(&sandbox)?
    );
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        sandbox.kubectl(&["delete", kind, name]).await?.ok()?;
    }
    Ok(())
}
