//! The outside checker catches what it looks for: each error is made on a real cluster by a bad operator.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use taskbatch::api::{TaskBatch, annotation, label};

use crate::harness::{Checker, GANG_BOUND, Kill, Proxy, Sandbox, Test, eventually, seconds};
use crate::scenario::SCENARIOS;
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_pod_that_is_bound_twice_is_told,
    an_overfull_node_is_told,
    a_copy_that_is_created_twice_is_told,
    work_that_is_done_again_is_told,
    a_write_to_the_object_of_a_stranger_is_told,
    a_delete_that_could_hit_another_is_told,
    a_chatty_operator_is_told,
    what_is_left_behind_is_told,
    a_gang_that_is_bound_by_half_is_told,
    a_reply_is_lost_and_an_operator_killed_as_told,
];

/// An operator that does what it is told, good or bad, with nodes `a` of 4 CPUs and `b` of 2.
struct Bad {
    sandbox: Sandbox,
    checker: Arc<Checker>,
    proxy: Proxy,
    client: Client,
    batch: TaskBatch,
    nodes: [String; 2],
}

impl Bad {
    async fn start(sandbox: &Sandbox) -> Result<Self> {
        let nodes = [
            sandbox.node("a").create().await?,
            sandbox.node("b").cpu("2").create().await?,
        ];
        let checker = Arc::new(Checker::start(&sandbox.cluster)?);
        checker.nodes_of(&sandbox.namespace).await?;
        let proxy = Proxy::start(&sandbox.cluster, &sandbox.namespace).await?;
        let file = Kubeconfig::read_from(proxy.kubeconfig(&sandbox.cluster)?)?;
        let mut config =
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        let client = Client::try_from(config)?;
        let batches: Api<TaskBatch> = Api::namespaced(sandbox.client(), &sandbox.namespace);
        let batch = SCENARIOS[0].batch("demo")?;
        let batch = batches.create(&PostParams::default(), &batch).await?;
        Ok(Self {
            sandbox: sandbox.clone(),
            checker,
            proxy,
            client,
            batch,
            nodes,
        })
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.sandbox.namespace)
    }

    /// Creates a pod of one copy of the batch, with so many CPUs, that runs until it is deleted.
    async fn create(&self, name: &str, copy: &str, cpu: &str) -> Result<Pod> {
        self.worker(name, (copy, "0", 1), cpu, "1h").await
    }

    /// The same of a worker of a gang (copy, rank, and how many there are) that ends by itself after that time.
    async fn worker(
        &self,
        name: &str,
        which: (&str, &str, u32),
        cpu: &str,
        run_for: &str,
    ) -> Result<Pod> {
        let (copy, rank, workers) = which;
        let pod = json!({
            "metadata": {
                "name": name,
                "labels": {label::BATCH: "demo", label::TASK: "one", label::COPY: copy, label::ATTEMPT: "0", label::WORKER: rank},
                "annotations": {annotation::NODE: self.nodes[0], "taskbatch.dev/test-run-for": run_for},
                "ownerReferences": [{
                    "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch", "controller": true,
                    "name": "demo", "uid": self.batch.uid(),
                }],
            },
            "spec": {
                "schedulerName": "taskbatch", "restartPolicy": "Never",
                "containers": [{
                    "name": "main", "image": "i", "resources": {"requests": {"cpu": cpu}},
                    "env": [{"name": "TASKBATCH_WORKERS", "value": workers.to_string()}],
                }],
            },
        });
        let pod: Pod = serde_json::from_value(pod)?;
        Ok(self.pods().create(&PostParams::default(), &pod).await?)
    }

    /// Asks to bind a pod; whether that was done.
    async fn bind(&self, pod: &Pod, node: &str) -> Result<bool> {
        let binding = json!({
            "metadata": {"name": pod.name_any(), "uid": pod.uid()},
            "target": {"kind": "Node", "name": node},
        });
        let (name, how) = (pod.name_any(), PostParams::default());
        let bound = self
            .pods()
            .create_subresource::<Value, Value>("binding", &name, &how, &binding)
            .await;
        Ok(bound.is_ok())
    }

    /// Deletes a pod as the operator does it.
    async fn delete(&self, pod: &Pod) -> Result<()> {
        let read = self.pods().get(&pod.name_any()).await?;
        let preconditions = kube::api::Preconditions {
            uid: read.uid(),
            resource_version: read.resource_version(),
        };
        let exactly = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        self.pods().delete(&pod.name_any(), &exactly).await?;
        Ok(())
    }

    async fn is_well(&self) -> Result<()> {
        self.checker.all_is_well(&self.sandbox.namespace).await
    }

    /// What the checker has to say must have these words.
    async fn is_told(&self, words: &str) -> Result<()> {
        eventually(seconds(10), async || {
            let said = self
                .is_well()
                .await
                .err()
                .context("the checker saw nothing")?;
            let said = format!("{said:#}");
            ensure!(said.contains(words), "not said: {words:?}, but {said}");
            Ok(())
        })
        .await
    }
}

async fn a_pod_that_is_bound_twice_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    let pod = bad.create("p", "0", "1").await?;
    ensure!(bad.bind(&pod, &bad.nodes[0]).await?);
    bad.is_well().await?;
    ensure!(
        !bad.bind(&pod, &bad.nodes[0]).await?,
        "the API server binds once"
    );
    bad.is_well()
        .await
        .context("after a lost reply it may be asked again")?;
    ensure!(!bad.bind(&pod, &bad.nodes[1]).await?);
    bad.is_told("a pod is bound twice").await
}

async fn an_overfull_node_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    let stranger = sandbox.pod("stranger").cpu("1500m").on(&bad.nodes[1]);
    stranger.create().await?;
    let (fits, over) = (
        bad.create("p", "0", "500m").await?,
        bad.create("q", "1", "1m").await?,
    );
    ensure!(bad.bind(&fits, &bad.nodes[1]).await?);
    bad.is_well().await?;
    let other = bad.create("elsewhere", "2", "1").await?;
    ensure!(bad.bind(&other, &bad.nodes[0]).await?);
    bad.is_well().await?;
    ensure!(bad.bind(&over, &bad.nodes[1]).await?);
    bad.is_told("where 2001 of cpu are used then, of 2000")
        .await
}

async fn a_copy_that_is_created_twice_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    let first = bad.create("p", "0", "1").await?;
    bad.create("of-another-copy", "1", "1").await?;
    bad.is_well().await?;
    bad.delete(&first).await?;
    bad.create("after-the-first", "0", "1").await?;
    bad.is_well().await?;
    bad.create("beside-it", "0", "1").await?;
    bad.is_told("beside-it is created although after-the-first of its copy lives")
        .await
}

async fn work_that_is_done_again_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    let pod = bad.worker("p", ("0", "0", 1), "1", "200ms").await?;
    ensure!(bad.bind(&pod, &bad.nodes[0]).await?);
    sandbox.pod_in_phase("p", "Succeeded").await?;
    bad.delete(&pod).await?;
    bad.is_well().await?;
    bad.create("again", "0", "1").await?;
    bad.is_told("again is created although its copy has succeeded")
        .await
}

async fn a_write_to_the_object_of_a_stranger_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    // It bears our labels, which anybody may write, but belongs to nobody.
    let stranger = sandbox
        .pod("stranger")
        .label(label::BATCH, "demo")
        .on(&bad.nodes[0]);
    let stranger = stranger.create().await?;
    bad.is_well().await?;
    bad.delete(&stranger).await?;
    bad.is_told("a write to a pod that is not its own: delete pods")
        .await?;
    let config: Api<k8s_openapi::api::core::v1::ConfigMap> =
        Api::namespaced(bad.client.clone(), &sandbox.namespace);
    let map = serde_json::from_value(json!({"metadata": {"name": "map"}}))?;
    config.create(&PostParams::default(), &map).await?;
    bad.is_told("a write to an object that is not its own: create configmaps")
        .await?;
    let elsewhere: Api<Pod> = Api::namespaced(bad.client.clone(), "default");
    let _ = elsewhere.delete("any", &DeleteParams::default()).await;
    bad.is_told("a write outside of its namespace: delete pods")
        .await
}

async fn a_delete_that_could_hit_another_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    bad.create("p", "0", "1").await?;
    bad.pods().delete("p", &DeleteParams::default()).await?;
    bad.is_told("a delete of a pod that may have changed meanwhile")
        .await
}

async fn a_chatty_operator_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    let batches: Api<TaskBatch> = Api::namespaced(bad.client.clone(), &sandbox.namespace);
    let (before, _) = bad.checker.writes(&sandbox.namespace)?;
    batches.get("demo").await?;
    ensure!(
        bad.checker.writes(&sandbox.namespace)?.0 == before,
        "a read is no write"
    );
    let status = json!({"status": {"observedGeneration": 1}});
    let patch = kube::api::Patch::Merge(status);
    batches
        .patch_status("demo", &Default::default(), &patch)
        .await?;
    let (after, newest) = bad.checker.writes(&sandbox.namespace)?;
    ensure!(after == before + 1, "{newest:?}");
    ensure!(
        newest[0].starts_with("patch taskbatches/status"),
        "{newest:?}"
    );
    Ok(())
}

async fn what_is_left_behind_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    bad.create("p", "0", "1").await?;
    let uid = bad.batch.uid().context("a uid")?;
    bad.checker.catch_up(&sandbox.namespace).await?;
    ensure!(bad.checker.look(|noted| noted.books.pods_of(&uid)) == ["p"]);
    let ended = bad.checker.look(|noted| SCENARIOS[0].is_ended(noted, &uid));
    ensure!(ended.is_err(), "nothing has ended");
    Ok(())
}

/// Of two gangs each holds half; one of them gives it back in time.
async fn a_gang_that_is_bound_by_half_is_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    let mut halves = Vec::new();
    for copy in ["0", "1"] {
        for rank in ["0", "1"] {
            let name = format!("p-{copy}-{rank}");
            let pod = bad.worker(&name, (copy, rank, 2), "1", "1h").await?;
            if rank == "0" {
                ensure!(bad.bind(&pod, &bad.nodes[0]).await?);
                halves.push(pod);
            }
        }
    }
    tokio::time::sleep(GANG_BOUND / 2).await;
    bad.delete(&halves[0]).await?;
    bad.is_well().await.context("it is not too late yet")?;
    tokio::time::sleep(GANG_BOUND / 2).await;
    let words = "attempt 0 of copy 1 of one held room for a part of its 2 workers";
    bad.is_told(words).await?;
    let said = bad.is_well().await.err().context("nothing")?;
    ensure!(!format!("{said:#}").contains("copy 0"), "{said:#}");
    Ok(())
}

async fn a_reply_is_lost_and_an_operator_killed_as_told(sandbox: Sandbox) -> Result<()> {
    let bad = Bad::start(&sandbox).await?;
    for (name, kill, is_there) in [("p", Kill::Before(1), false), ("q", Kill::After(1), true)] {
        bad.proxy.go_wrong(kill);
        tokio::select! {
            created = bad.create(name, name, "1") => ensure!(created.is_err(), "an answer came"),
            () = bad.proxy.kill() => {}
        }
        let found = sandbox.pods().get_opt(name).await?;
        ensure!(found.is_some() == is_there, "{name}");
        bad.proxy.mend();
        ensure!(
            bad.create(&format!("{name}-2"), &format!("{name}-2"), "1")
                .await
                .is_ok()
        );
    }
    Ok(())
}
