//! Batches of the tests, and what is asked of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use taskbatch::api::{Phase, TaskBatch, TaskBatchStatus, TaskStatus, annotation, label};

use crate::harness::{Operator, Sandbox, eventually, seconds};

/// Starts an operator for the batches and nodes of this sandbox alone.
pub(crate) async fn operator(sandbox: &Sandbox) -> Result<Operator> {
    operator_with(sandbox, &sandbox.cluster.kubeconfig(), "taskbatch").await
}

/// The same with this kubeconfig, and a lease of this name in the sandbox.
pub(crate) async fn operator_with(
    sandbox: &Sandbox,
    kubeconfig: &Path,
    lease: &str,
) -> Result<Operator> {
    let mut arguments = arguments(sandbox);
    arguments.extend(["--lease-name".to_owned(), lease.to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Operator::start(&sandbox.cluster, kubeconfig, &arguments).await
}

/// The same where the levels of the network are in this file.
pub(crate) async fn operator_near(sandbox: &Sandbox, levels: &Path) -> Result<Operator> {
    let mut all = arguments(sandbox);
    all.extend(["--topology".to_owned(), levels.display().to_string()]);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Operator::start(&sandbox.cluster, &sandbox.cluster.kubeconfig(), &all).await
}

/// A kubeconfig of a service account that may do everything, so that the audit log tells who wrote what.
pub(crate) async fn account(sandbox: &Sandbox, name: &str) -> Result<PathBuf> {
    sandbox
        .kubectl(&["create", "serviceaccount", name])
        .await?
        .ok()?;
    let binding = [
        "create",
        "clusterrolebinding",
        &format!("{name}-{}", sandbox.namespace),
        "--clusterrole=cluster-admin",
        &format!("--serviceaccount={}:{name}", sandbox.namespace),
    ];
    sandbox.kubectl(&binding).await?.ok()?;
    sandbox.kubeconfig_of(name).await
}

/// What holds an operator to the batches and nodes of this sandbox.
pub(crate) fn arguments(sandbox: &Sandbox) -> Vec<String> {
    let namespace = &sandbox.namespace;
    [
        "--watch-namespace",
        namespace,
        "--lease-namespace",
        namespace,
        "--node-selector",
        &format!("taskbatch.dev/test={namespace}"),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A batch called `demo`: fields of the spec, and tasks of which only what is special is said. Pods run
/// for 2 s unless `run_for` says otherwise.
pub(crate) struct Manifest {
    spec: String,
    tasks: String,
    notes: &'static str,
}

impl Manifest {
    /// A batch with these further fields of the spec, as YAML.
    pub(crate) fn new(spec: &str) -> Self {
        Self {
            spec: indented(spec, 2),
            tasks: String::new(),
            notes: "",
        }
    }

    /// One more task: fields as YAML, and annotations that steer the simulated kubelet.
    pub(crate) fn task(mut self, name: &str, fields: &str, annotations: &[(&str, &str)]) -> Self {
        let notes: Vec<String> = annotations
            .iter()
            .map(|(key, value)| format!("taskbatch.dev/test-{key}: \"{value}\""))
            .collect();
        self.tasks += &format!(
            "  - name: {name}\n{}    template:\n      metadata: {{annotations: {{{}}}}}\n      spec: {{containers: [{{name: main, image: busybox}}]}}\n",
            indented(fields, 4),
            notes.join(", "),
        );
        self
    }

    /// One more task with this pod spec, in the flow style of YAML without the braces.
    pub(crate) fn pod(mut self, name: &str, fields: &str, spec: &str) -> Self {
        self.tasks += &format!(
            "  - name: {name}\n{}    template:\n      metadata: {{annotations: {{{}}}}}\n      spec: {{{spec}}}\n",
            indented(fields, 4),
            self.notes,
        );
        self
    }

    /// Pods of the tasks that [`pod`](Self::pod) adds run until they are deleted, or for an hour.
    pub(crate) fn forever(mut self) -> Self {
        self.notes = "taskbatch.dev/test-run-for: 1h";
        self
    }

    /// The whole manifest.
    pub(crate) fn yaml(&self) -> String {
        format!(
            "apiVersion: taskbatch.dev/v1alpha1\nkind: TaskBatch\nmetadata: {{name: demo}}\nspec:\n  optimizer: {{timeLimit: 200ms}}\n{}  tasks:\n{}",
            self.spec, self.tasks
        )
    }
}

fn indented(text: &str, by: usize) -> String {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| format!("{}{line}\n", " ".repeat(by)))
        .collect()
}

/// The batches of this sandbox.
pub(crate) fn batches(sandbox: &Sandbox) -> Api<TaskBatch> {
    Api::namespaced(sandbox.client(), &sandbox.namespace)
}

/// The status of a batch.
pub(crate) async fn status(sandbox: &Sandbox, name: &str) -> Result<TaskBatchStatus> {
    let batch = batches(sandbox).get(name).await?;
    batch.status.context("no status yet")
}

/// Waits until the batch is in this phase, and returns its status.
pub(crate) async fn in_phase(
    sandbox: &Sandbox,
    name: &str,
    phase: Phase,
) -> Result<TaskBatchStatus> {
    eventually(seconds(60), async || {
        let status = status(sandbox, name).await?;
        ensure!(status.phase == Some(phase), "{name} is {status:#?}");
        Ok(status)
    })
    .await
}

/// Waits until a task has this reason, and returns its status.
pub(crate) async fn with_reason(sandbox: &Sandbox, task: &str, reason: &str) -> Result<TaskStatus> {
    eventually(seconds(30), async || {
        let status = status(sandbox, "demo").await?;
        let found = status.tasks.iter().find(|one| one.name == task);
        let found = found.context("no such task in the status")?;
        ensure!(found.reason.as_deref() == Some(reason), "{found:#?}");
        Ok(found.clone())
    })
    .await
}

/// Changes fields of the spec of `demo`.
pub(crate) async fn change(sandbox: &Sandbox, spec: serde_json::Value) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": spec}));
    batches(sandbox)
        .patch("demo", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// A pod as the tests look at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) task: String,
    pub(crate) copy: String,
    pub(crate) attempt: String,
    pub(crate) phase: String,
    pub(crate) node: Option<String>,
    pub(crate) meant_for: Option<String>,
}

/// The pods of our batches in this sandbox.
pub(crate) async fn seen(sandbox: &Sandbox) -> Result<Vec<Seen>> {
    let pods = sandbox
        .pods()
        .list(&ListParams::default().labels(label::BATCH))
        .await?;
    let mut found: Vec<Seen> = pods
        .into_iter()
        .map(|pod| {
            let labels = pod.metadata.labels.unwrap_or_default();
            let notes = pod.metadata.annotations.unwrap_or_default();
            let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
            Seen {
                task: label(label::TASK),
                copy: label(label::COPY),
                attempt: label(label::ATTEMPT),
                phase: pod
                    .status
                    .and_then(|status| status.phase)
                    .unwrap_or_default(),
                node: pod.spec.and_then(|spec| spec.node_name),
                meant_for: notes.get(annotation::NODE).cloned(),
            }
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Waits until no pod of ours is left.
pub(crate) async fn no_pods(sandbox: &Sandbox) -> Result<()> {
    eventually(seconds(30), async || {
        let left = seen(sandbox).await?;
        ensure!(left.is_empty(), "{left:#?}");
        Ok(())
    })
    .await
}
