//! Control plane, node and operator together, as the tests find them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::ListParams;

use crate::cgroup::Cgroups;
use crate::harness::{
    ControlPlane, KUBELET, Process, Purpose, Sandbox, Setup, eventually, seconds,
};
use crate::names::Names;
use crate::node::{self, NAME, NODE_ADDRESS, Place, Runtime, SERVICE_ADDRESS};
use crate::{image, process};

/// The namespace that the chart is installed in.
pub(crate) const NAMESPACE: &str = "taskbatch-system";
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/taskbatch");

/// What the tests share.
pub(crate) struct Rig {
    pub(crate) cluster: Arc<ControlPlane>,
    pub(crate) place: Place,
    pub(crate) cgroups: Cgroups,
    /// All objects before the chart was installed.
    pub(crate) before: BTreeSet<String>,
    /// The namespaces of the tests.
    pub(crate) namespaces: Mutex<BTreeSet<String>>,
    _names: Names,
    _kubelet: Process,
    _runtime: Runtime,
}

impl Rig {
    /// Starts everything and installs the chart with its own values.
    pub(crate) async fn start(place: Place) -> Result<Self> {
        let images = place.folder.join("node/images");
        let busybox = place.packages.join("bin/busybox");
        let archives = [
            image::pause(&images, &busybox)?,
            image::worker(&images, &busybox)?,
            image::operator(&images)?,
        ];
        let setup = Setup {
            folder: place.folder.clone(),
            api: Some(SocketAddrV4::new(SERVICE_ADDRESS.parse::<Ipv4Addr>()?, 443)),
            crds: false,
            purpose: Purpose::Tests,
        };
        let (runtime, cluster) = tokio::join!(
            Runtime::start(&place, &archives),
            ControlPlane::start_with(setup)
        );
        let (runtime, cluster) = (runtime?, cluster?);
        std::fs::remove_dir_all(&images)?;
        let names = Names::start(NODE_ADDRESS, cluster.client().clone()).await?;
        let kubelet = node::kubelet(
            &place,
            &cluster.program("kubelet"),
            &cluster.kubeconfig_of_user(KUBELET),
        )?;
        ready(&cluster).await.with_context(|| kubelet.log_tail())?;
        let before = objects(&cluster).await?;
        let cgroups = Cgroups {
            name: place.cgroup.clone(),
        };
        let rig = Self {
            cluster,
            place,
            cgroups,
            before,
            namespaces: Mutex::default(),
            _names: names,
            _kubelet: kubelet,
            _runtime: runtime,
        };
        rig.install().await?;
        Ok(rig)
    }

    async fn install(&self) -> Result<()> {
        let install = [
            "install",
            "taskbatch",
            CHART,
            "--namespace",
            NAMESPACE,
            "--create-namespace",
            "--wait",
            "--timeout=60s",
        ];
        let installed = self.cluster.run("helm", &install, "").await?.ok();
        if installed.is_err() {
            let pods = ["describe", "pods", "--namespace", NAMESPACE];
            let told = self.cluster.run("kubectl", &pods, "").await?;
            return installed.map(drop).context(told.stdout);
        }
        Ok(())
    }

    /// A namespace for one test.
    pub(crate) async fn sandbox(&self, stem: &str) -> Result<Sandbox> {
        let sandbox = Sandbox::new(self.cluster.clone(), stem).await?;
        let mut known = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.insert(sandbox.namespace.clone());
        drop(known);
        Ok(sandbox)
    }

    /// The pod of the operator.
    pub(crate) async fn operator(&self) -> Result<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client().clone(), NAMESPACE);
        let list = pods.list(&ListParams::default()).await?;
        let mut items = list.items;
        ensure!(items.len() == 1, "{} pods of the operator", items.len());
        items.pop().context("no pod")
    }

    /// The processes of the first container of a pod.
    pub(crate) fn processes(&self, pod: &Pod) -> Result<Vec<process::Seen>> {
        let (uid, container) = ids(pod)?;
        let pids = self.cgroups.processes(&uid, &container)?;
        pids.into_iter().map(process::Seen::read).collect()
    }
}

/// The uid of a pod, and the id of its first container in the runtime.
pub(crate) fn ids(pod: &Pod) -> Result<(String, String)> {
    let uid = pod.metadata.uid.clone().context("no uid")?;
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let status = statuses
        .and_then(|all| all.first())
        .context("no container")?;
    let id = status.container_id.as_deref().context("no container id")?;
    let id = id.strip_prefix("containerd://").context("not containerd")?;
    Ok((uid, id.to_owned()))
}

/// Waits until the kubelet says that its node is ready.
async fn ready(cluster: &ControlPlane) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client().clone());
    let leases: Api<Lease> = Api::namespaced(cluster.client().clone(), "kube-node-lease");
    eventually(seconds(60), async || {
        let status = nodes.get(NAME).await?.status.context("no status")?;
        let mut conditions = status.conditions.into_iter().flatten();
        let ready = conditions.any(|one| one.type_ == "Ready" && one.status == "True");
        ensure!(ready, "the node is not ready");
        // The kubelet makes it a moment later, and it is none of ours.
        leases.get(NAME).await?;
        Ok(())
    })
    .await
}

/// Every object on the API server but events, as `Kind namespace name`.
pub(crate) async fn objects(cluster: &ControlPlane) -> Result<BTreeSet<String>> {
    let kinds = ["api-resources", "--verbs=list,delete", "--output=name"];
    let kinds = cluster.run("kubectl", &kinds, "").await?.ok()?;
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !kind.starts_with("events"))
        .collect();
    let columns = "--output=custom-columns=:.kind,:.metadata.namespace,:.metadata.name";
    let list = [
        "get",
        &kinds.join(","),
        "--all-namespaces",
        "--no-headers",
        columns,
    ];
    let told = cluster.run("kubectl", &list, "").await?.ok()?;
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(told.lines().map(words).collect())
}
