//! The part of the control plane that belongs to one test.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};

use super::ControlPlane;
use super::node::NodeBuilder;
use super::pod::PodBuilder;
use super::tools::Captured;
use super::wait::{eventually, seconds};

/// The label of the nodes of a sandbox; its value is the namespace.
pub(crate) const TEST_LABEL: &str = "taskbatch.dev/test";

/// A namespace and nodes of one test. They are removed when the test ends, however it ends.
#[derive(Clone)]
pub(crate) struct Sandbox {
    /// What all tests share.
    pub(crate) cluster: Arc<ControlPlane>,
    /// The namespace of this test.
    pub(crate) namespace: String,
}

impl Sandbox {
    /// A sandbox whose namespace starts with `stem`.
    pub(crate) async fn new(cluster: Arc<ControlPlane>, stem: &str) -> Result<Self> {
        let namespace = cluster.namespace(stem).await?;
        Ok(Self { cluster, namespace })
    }

    /// Deletes nodes, pods and namespace, so that the next test finds the cluster empty.
    pub(crate) async fn clear(&self) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client());
        let ours = ListParams::default().labels(&format!("{TEST_LABEL}={}", self.namespace));
        nodes
            .delete_collection(&DeleteParams::default(), &ours)
            .await?;
        let namespaces: Api<Namespace> = Api::all(self.client());
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await?;
        // Without a node there is no kubelet that would confirm the end of a pod.
        let at_once = DeleteParams::default().grace_period(0);
        self.pods()
            .delete_collection(&at_once, &ListParams::default())
            .await?;
        Ok(())
    }

    /// A client that may do everything.
    pub(crate) fn client(&self) -> Client {
        self.cluster.client().clone()
    }

    /// A node of this test, called `<namespace>-<name>` and labelled with [`TEST_LABEL`].
    pub(crate) fn node(&self, name: &str) -> NodeBuilder {
        let name = format!("{}-{name}", self.namespace);
        self.cluster.node(&name).label(TEST_LABEL, &self.namespace)
    }

    /// A pod of this test; whoever schedules it is held to the nodes of this test.
    pub(crate) fn pod(&self, name: &str) -> PodBuilder {
        PodBuilder::new(self.client(), &self.namespace, name)
            .node_label(TEST_LABEL, &self.namespace)
    }

    /// The pods of this test.
    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// Waits until a pod is in this phase and returns it.
    pub(crate) async fn pod_in_phase(&self, name: &str, phase: &str) -> Result<Pod> {
        let pods = self.pods();
        eventually(seconds(30), async || {
            let pod = pods.get(name).await?;
            let now = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                .unwrap_or("without a phase");
            ensure!(now == phase, "pod {name} is {now} and not {phase}");
            Ok(pod)
        })
        .await
    }

    /// Runs `kubectl` in the namespace of this test.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<Captured> {
        self.cluster
            .run(
                "kubectl",
                &[&["--namespace", &self.namespace], arguments].concat(),
                "",
            )
            .await
    }

    /// Applies manifests with `kubectl apply`.
    pub(crate) async fn apply(&self, manifests: &str) -> Result<Captured> {
        let arguments = ["--namespace", &self.namespace, "apply", "--filename", "-"];
        self.cluster.run("kubectl", &arguments, manifests).await
    }

    /// A kubeconfig with a token of a service account of this namespace.
    pub(crate) async fn kubeconfig_of(&self, account: &str) -> Result<PathBuf> {
        self.cluster.kubeconfig_of(&self.namespace, account).await
    }
}
