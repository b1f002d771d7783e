//! Nodes that exist only as objects.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::wait::{eventually, seconds};

/// A node to be; it reads as a sentence and ends with [`create`](Self::create).
pub(crate) struct NodeBuilder {
    client: Client,
    name: String,
    labels: BTreeMap<String, String>,
    allocatable: BTreeMap<String, Quantity>,
    taints: Vec<Value>,
    simulated: bool,
}

impl NodeBuilder {
    /// A node run by KWOK, with 4 CPUs, 16Gi of memory and room for 110 pods.
    pub(crate) fn new(client: Client, name: &str) -> Self {
        let labels = [
            ("kubernetes.io/hostname", name),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
        ];
        let labels = labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let node = Self {
            client,
            name: name.into(),
            labels,
            allocatable: BTreeMap::new(),
            taints: Vec::new(),
            simulated: true,
        };
        node.cpu("4").memory("16Gi").resource("pods", "110")
    }

    /// Allocatable CPUs.
    pub(crate) fn cpu(self, amount: &str) -> Self {
        self.resource("cpu", amount)
    }

    /// Allocatable memory.
    pub(crate) fn memory(self, amount: &str) -> Self {
        self.resource("memory", amount)
    }

    /// Allocatable GPUs, as `nvidia.com/gpu`.
    pub(crate) fn gpu(self, count: u32) -> Self {
        self.resource("nvidia.com/gpu", &count.to_string())
    }

    /// Any allocatable resource, also `pods` and extended ones.
    pub(crate) fn resource(mut self, name: &str, amount: &str) -> Self {
        self.allocatable
            .insert(name.into(), Quantity(amount.into()));
        self
    }

    /// One more label.
    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// One more taint; `effect` is `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub(crate) fn taint(mut self, key: &str, value: &str, effect: &str) -> Self {
        self.taints
            .push(json!({"key": key, "value": value, "effect": effect}));
        self
    }

    /// Not run by KWOK: nothing happens to its pods, and it is not ready, until a
    /// [`FakeKubelet`](super::FakeKubelet) takes it.
    pub(crate) fn without_kubelet(mut self) -> Self {
        self.simulated = false;
        self
    }

    /// Creates it, waits until it is ready (if KWOK runs it), and returns its name.
    pub(crate) async fn create(self) -> Result<String> {
        let annotations = if self.simulated {
            json!({"kwok.x-k8s.io/node": "fake"})
        } else {
            json!({})
        };
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": self.name, "labels": self.labels, "annotations": annotations},
            "spec": {"taints": self.taints},
            "status": {"allocatable": self.allocatable, "capacity": self.allocatable},
        }))?;
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.create(&PostParams::default(), &node).await?;
        if self.simulated {
            ready(&self.client, &self.name).await?;
        }
        Ok(self.name)
    }
}

/// Waits until a node is ready and the taint that every new node gets is gone.
pub(crate) async fn ready(client: &Client, name: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    eventually(seconds(30), async || {
        let node = nodes.get(name).await?;
        let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
        let conditions = node
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        ensure!(
            conditions
                .iter()
                .any(|c| c.type_ == "Ready" && c.status == "True"),
            "{name} is not ready"
        );
        ensure!(
            !taints
                .iter()
                .any(|t| t.key == "node.kubernetes.io/not-ready"),
            "{name} is tainted as not ready"
        );
        Ok(())
    })
    .await
}
