//! Many pods of strangers. To create and bind 150,000 pods takes the API server ten minutes, so they are put into its
//! store; from there it serves them as it serves any other.

use anyhow::{Context, Result, ensure};
use axum::http::Request;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::load::Load;
use super::rig::Rig;
use crate::harness::{eventually, seconds};

/// Pods in one transaction; etcd takes at most 128 operations.
const AT_ONCE: usize = 100;

/// Pods of strangers in a namespace of their own.
pub(crate) struct Strangers {
    namespace: String,
    etcd: Client,
    sample: Value,
    count: usize,
}

impl Strangers {
    /// None yet. One pod is made by the API server: what it adds is what the others have too.
    pub(crate) async fn none(rig: &Rig) -> Result<Self> {
        let namespace = rig.cluster.namespace("strangers").await?;
        let address = format!("http://127.0.0.1:{}", rig.cluster.etcd());
        let mut pod = Load { gpus: 0 }.pod("sample", "default-scheduler");
        pod["spec"]["nodeName"] = json!(rig.nodes.first().context("no node")?);
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("100m");
        rig.post(format!("/api/v1/namespaces/{namespace}/pods"), pod)
            .await?;
        let pods = format!("/api/v1/namespaces/{namespace}/pods/sample");
        let made = Request::get(pods).body(Vec::new())?;
        let mut sample: Value = rig.client().request(made).await?;
        let meta = sample["metadata"].as_object_mut();
        meta.context("no metadata")?.remove("resourceVersion");
        let now = sample["metadata"]["creationTimestamp"].clone();
        let kinds = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
        let conditions =
            kinds.map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": now}));
        sample["status"] = json!({
            "phase": "Running",
            "startTime": now,
            "conditions": conditions,
            "containerStatuses": [{
                "name": "main", "image": "busybox", "imageID": "", "ready": true, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }],
            "qosClass": "Burstable",
        });
        Ok(Self {
            namespace,
            etcd: Client::try_from(Config::new(address.parse()?))?,
            sample,
            count: 1,
        })
    }

    /// Adds pods until there are so many, spread over all nodes.
    pub(crate) async fn grow(&mut self, rig: &Rig, count: usize) -> Result<()> {
        let missing: Vec<usize> = (self.count..count).collect();
        let writes = missing
            .chunks(AT_ONCE)
            .map(|chunk| self.put(&rig.nodes, chunk));
        let writes = stream::iter(writes).buffer_unordered(4);
        writes.try_for_each(|()| async { Ok(()) }).await?;
        self.count = self.count.max(count);
        let pods: Api<Pod> = Api::namespaced(rig.client().clone(), &self.namespace);
        eventually(seconds(60), async || {
            let page = pods.list_metadata(&ListParams::default().limit(1)).await?;
            let left = page.metadata.remaining_item_count.unwrap_or(0);
            let found = usize::try_from(left)? + page.items.len();
            ensure!(found == self.count, "the API server has {found} pods");
            Ok(())
        })
        .await?;
        rig.quiet().await
    }

    async fn put(&self, nodes: &[String], indices: &[usize]) -> Result<()> {
        let puts: Vec<Value> = indices
            .iter()
            .map(|index| {
                let name = format!("pod-{index:06}");
                let mut pod = self.sample.clone();
                pod["metadata"]["name"] = json!(name);
                pod["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{index:012}"));
                pod["spec"]["nodeName"] = json!(nodes[index % nodes.len()]);
                let key = format!("/registry/pods/{}/{name}", self.namespace);
                json!({"requestPut": {
                    "key": ByteString(key.into_bytes()),
                    "value": ByteString(pod.to_string().into_bytes()),
                }})
            })
            .collect();
        let request = Request::post("/v3/kv/txn").header("content-type", "application/json");
        let request = request.body(serde_json::to_vec(&json!({"success": puts}))?)?;
        let answer: Value = self.etcd.request(request).await?;
        ensure!(answer["succeeded"] == true, "{answer}");
        Ok(())
    }
}
