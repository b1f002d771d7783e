//! The cluster on which everything is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::http::Request;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};
use taskbatch::api::TaskBatch;
use tokio::time::sleep;

use super::load;
use crate::harness::{ControlPlane, Operator, Purpose, eventually, seconds};

/// How long to wait for anything that is not measured.
const PATIENCE: Duration = Duration::from_secs(300);
/// The part of one processor below which the control plane counts as quiet.
const QUIET: f64 = 0.12;

/// A control plane, its nodes and the namespace of what is measured.
pub(crate) struct Rig {
    /// The control plane.
    pub(crate) cluster: Arc<ControlPlane>,
    /// The namespace.
    pub(crate) namespace: String,
    /// Names of the nodes, in order.
    pub(crate) nodes: Vec<String>,
    /// Requests under way at once.
    pub(crate) connections: usize,
}

impl Rig {
    /// Starts the control plane, without nodes.
    pub(crate) async fn start(connections: usize) -> Result<Self> {
        let cluster = ControlPlane::start(Purpose::Measurements).await?;
        let namespace = cluster.namespace("bench").await?;
        Ok(Self {
            cluster,
            namespace,
            nodes: Vec::new(),
            connections,
        })
    }

    /// A client that may do everything.
    pub(crate) fn client(&self) -> &Client {
        self.cluster.client()
    }

    /// Adds nodes until there are so many.
    pub(crate) async fn grow(&mut self, count: usize) -> Result<()> {
        let missing = self.nodes.len()..count;
        let names: Vec<String> = missing.map(|index| format!("node-{index:05}")).collect();
        let nodes = names.iter().map(|name| load::node(name, 0));
        self.send_all(nodes.map(|node| ("/api/v1/nodes".to_owned(), node)))
            .await?;
        self.nodes.extend(names);
        self.quiet().await
    }

    /// Gives every node so many GPUs.
    pub(crate) async fn add_gpus(&self, count: u32) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client().clone());
        let amounts = json!({"nvidia.com/gpu": count.to_string()});
        let status = json!({"status": {"allocatable": amounts, "capacity": amounts}});
        let patch = Patch::Strategic(status);
        let how = PatchParams::default();
        let writes = self
            .nodes
            .iter()
            .map(|name| nodes.patch_status(name, &how, &patch));
        let writes = stream::iter(writes).buffer_unordered(self.connections);
        writes.try_for_each(|_| async { Ok(()) }).await?;
        self.quiet().await
    }

    /// Posts every object to its path, so many at once; what is answered is not looked at.
    pub(crate) async fn send_all(
        &self,
        objects: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<()> {
        let posts = objects
            .into_iter()
            .map(|(path, object)| self.post(path, object));
        let posts = stream::iter(posts).buffer_unordered(self.connections);
        posts.try_for_each(|()| async { Ok(()) }).await
    }

    /// Posts one object to a path.
    pub(crate) async fn post(&self, path: String, object: Value) -> Result<()> {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(serde_json::to_vec(&object)?)?;
        self.client().request_text(request).await?;
        Ok(())
    }

    /// The path of the objects of a kind in the namespace; `api` is `/api/v1` or `/apis/<group>/<version>`.
    pub(crate) fn path(&self, api: &str, plural: &str) -> String {
        format!("{api}/namespaces/{}/{plural}", self.namespace)
    }

    /// Starts the operator and waits until it has seen the cluster and has nothing to do.
    pub(crate) async fn operator(&self) -> Result<Operator> {
        let operator = self.launch()?;
        ready(&operator).await?;
        self.quiet().await?;
        Ok(operator)
    }

    /// Starts the operator and returns at once.
    pub(crate) fn launch(&self) -> Result<Operator> {
        let kubeconfig = self.cluster.kubeconfig();
        let arguments = ["--lease-namespace", &self.namespace];
        Operator::launch(&self.cluster, &kubeconfig, &arguments)
    }

    /// Deletes everything in the namespace: owners first, since they would make their pods anew.
    pub(crate) async fn clear(&self) -> Result<()> {
        let batches: Api<TaskBatch> = Api::namespaced(self.client().clone(), &self.namespace);
        empty(&batches, &DeleteParams::background()).await?;
        let kind = kube::core::GroupVersionKind::gvk("batch", "v1", "Job");
        let kind = ApiResource::from_gvk(&kind);
        let jobs: Api<DynamicObject> =
            Api::namespaced_with(self.client().clone(), &self.namespace, &kind);
        empty(&jobs, &DeleteParams::background()).await?;
        let pods: Api<Pod> = Api::namespaced(self.client().clone(), &self.namespace);
        let at_once = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default().grace_period(0)
        };
        empty(&pods, &at_once).await?;
        self.quiet().await
    }

    /// Waits until the control plane does next to nothing.
    pub(crate) async fn quiet(&self) -> Result<()> {
        let step = Duration::from_millis(250);
        let deadline = Instant::now() + PATIENCE;
        let mut before = self.cluster.processor_time()?;
        loop {
            sleep(step).await;
            let now = self.cluster.processor_time()?;
            let load = (now - before).as_secs_f64() / step.as_secs_f64();
            if load < QUIET {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the control plane does not come to rest: {load:.2} processors"
            );
            before = now;
        }
    }
}

/// Waits until `/readyz` answers with 200; however long a large cluster takes.
pub(crate) async fn ready(operator: &Operator) -> Result<()> {
    eventually(PATIENCE, async || {
        let (status, body) = operator.get("/readyz").await?;
        ensure!(status == 200, "/readyz answers {status}: {body}");
        Ok(())
    })
    .await
}

/// Stops an operator so that the next one need not wait for its lease.
pub(crate) async fn stop(mut operator: Operator) -> Result<()> {
    operator.terminate(seconds(30)).await.map(drop)
}

async fn empty<K>(api: &Api<K>, how: &DeleteParams) -> Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    api.delete_collection(how, &ListParams::default()).await?;
    eventually(PATIENCE, async || {
        let left = api.list_metadata(&ListParams::default().limit(1)).await?;
        ensure!(left.items.is_empty(), "some are still there");
        Ok(())
    })
    .await
}
