//! Pods that a test makes itself, as a user or another scheduler would.

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

/// A pod to be, with one container; the requests are those of the container.
pub(crate) struct PodBuilder {
    client: Client,
    namespace: String,
    pod: Value,
}

impl PodBuilder {
    /// A pod without requests that kube-scheduler schedules and that runs for ever.
    pub(crate) fn new(client: Client, namespace: &str, name: &str) -> Self {
        let pod = json!({
            "metadata": {"name": name, "labels": {}, "annotations": {}},
            "spec": {
                "restartPolicy": "Never",
                "nodeSelector": {},
                "containers": [{"name": "main", "image": "localhost/test", "resources": {"requests": {}, "limits": {}}}],
            },
        });
        Self {
            client,
            namespace: namespace.into(),
            pod,
        }
    }

    /// Requested CPUs.
    pub(crate) fn cpu(self, amount: &str) -> Self {
        self.container("requests", "cpu", amount)
    }

    /// Requested memory.
    pub(crate) fn memory(self, amount: &str) -> Self {
        self.container("requests", "memory", amount)
    }

    /// Requested GPUs; like every extended resource, also the limit.
    pub(crate) fn gpu(self, count: u32) -> Self {
        self.container("limits", "nvidia.com/gpu", &count.to_string())
    }

    fn container(mut self, part: &str, resource: &str, amount: &str) -> Self {
        self.pod["spec"]["containers"][0]["resources"][part][resource] = amount.into();
        self
    }

    /// A label.
    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.pod["metadata"]["labels"][key] = value.into();
        self
    }

    /// An annotation; those that steer the simulated kubelets are listed in `stages.yaml`.
    pub(crate) fn annotation(mut self, key: &str, value: &str) -> Self {
        self.pod["metadata"]["annotations"][key] = value.into();
        self
    }

    /// Succeeds after this Go duration.
    pub(crate) fn run_for(self, duration: &str) -> Self {
        self.annotation("taskbatch.dev/test-run-for", duration)
    }

    /// Only nodes with this label.
    pub(crate) fn node_label(mut self, key: &str, value: &str) -> Self {
        self.pod["spec"]["nodeSelector"][key] = value.into();
        self
    }

    /// Bound to this node from the start, past every scheduler.
    pub(crate) fn on(mut self, node: &str) -> Self {
        self.pod["spec"]["nodeName"] = node.into();
        self
    }

    /// Creates it.
    pub(crate) async fn create(self) -> Result<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client, &self.namespace);
        Ok(pods
            .create(&PostParams::default(), &serde_json::from_value(self.pod)?)
            .await?)
    }
}
