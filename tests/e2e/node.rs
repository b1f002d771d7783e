//! A real node: containerd, runc, a bridge between its pods, and the kubelet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::harness::{Process, eventually, seconds};
use crate::image::run;
use crate::names;

/// The name of the node; the token of its kubelet is good for no other.
pub(crate) const NAME: &str = "node";
/// Where pods look for the API server: the first address of the services.
pub(crate) const SERVICE_ADDRESS: &str = "10.0.0.1";
/// The address of the node.
pub(crate) const NODE_ADDRESS: &str = "10.0.1.1";
/// The bridge that the pods are on.
pub(crate) const BRIDGE: &str = "taskbatch0";

/// A folder for the node, in which it stores all that it has, and where its parts come from.
#[derive(Clone)]
pub(crate) struct Place {
    /// Logs; the state lies in `node` below it, which is memory.
    pub(crate) folder: PathBuf,
    /// The unpacked packages.
    pub(crate) packages: PathBuf,
    /// The topmost control group.
    pub(crate) cgroup: String,
}

impl Place {
    fn state(&self, name: &str) -> PathBuf {
        self.folder.join("node").join(name)
    }

    fn socket(&self) -> PathBuf {
        self.state("containerd.sock")
    }

    /// Manifests in here are run by the kubelet on its own authority.
    pub(crate) fn static_pods(&self) -> PathBuf {
        self.state("manifests")
    }

    /// `<namespace>_<pod>_<uid>` for every pod that the kubelet has taken.
    pub(crate) fn pod_logs(&self) -> PathBuf {
        self.folder.join("pods")
    }
}

/// A container runtime with images; dropping it kills it.
pub(crate) struct Runtime {
    containerd: Process,
    place: Place,
}

impl Runtime {
    /// Starts containerd and loads these archives.
    pub(crate) async fn start(place: &Place, archives: &[PathBuf]) -> Result<Self> {
        fs::create_dir_all(place.state("cni"))?;
        fs::write(place.state("cni/net.conflist"), network(place).to_string())?;
        fs::write(place.state("containerd.toml"), settings(place))?;
        let arguments = ["--config".into(), shown(&place.state("containerd.toml"))];
        let program = place.packages.join("usr/bin/containerd");
        let containerd = Process::spawn("containerd", &program, &arguments, &place.folder)?;
        let runtime = Self {
            containerd,
            place: place.clone(),
        };
        eventually(seconds(30), async || runtime.ctr(&["version"]).map(drop))
            .await
            .with_context(|| runtime.containerd.log_tail())?;
        for archive in archives {
            runtime.ctr(&["images", "import", &shown(archive)])?;
        }
        Ok(runtime)
    }

    /// Runs `ctr` in the namespace that the kubelet uses.
    fn ctr(&self, arguments: &[&str]) -> Result<String> {
        run(Command::new(self.place.packages.join("usr/bin/ctr"))
            .arg("--address")
            .arg(self.place.socket())
            .args(["--namespace", "k8s.io"])
            .args(arguments))
    }
}

/// Starts the kubelet; dropping it kills it, and leaves its containers running.
pub(crate) fn kubelet(place: &Place, program: &Path, kubeconfig: &Path) -> Result<Process> {
    fs::create_dir_all(place.static_pods())?;
    let config = place.state("kubelet.json");
    fs::write(&config, kubelet_settings(place).to_string())?;
    let flags = [
        format!("--config={}", config.display()),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-dir={}", place.state("kubelet").display()),
        format!("--cert-dir={}", place.state("certificates").display()),
        format!("--hostname-override={NAME}"),
        format!("--node-ip={NODE_ADDRESS}"),
        "--v=2".into(),
    ];
    Process::spawn("kubelet", program, &flags, &place.folder)
}

fn kubelet_settings(place: &Place) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", place.cgroup),
        "failCgroupV1": false,
        // In version 2 of the control groups, a container is otherwise killed as a whole.
        "singleProcessOOMKill": true,
        "containerRuntimeEndpoint": format!("unix://{}", place.socket().display()),
        "staticPodPath": place.static_pods(),
        "podLogsDir": place.pod_logs(),
        "volumePluginDir": place.state("volume-plugins"),
        "resolvConf": "",
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": names::DOMAIN,
        "address": NODE_ADDRESS,
        "healthzPort": 0,
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "makeIPTablesUtilChains": false,
        // There is nowhere to pull an image from again.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "24h",
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    })
}

/// AppArmor is left out because its profiles stay in the kernel.
fn settings(place: &Place) -> String {
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{cni}"
"#,
        root = place.state("containerd").display(),
        state = place.state("containerd-state").display(),
        socket = place.socket().display(),
        opt = place.state("opt").display(),
        plugins = place.packages.join("usr/lib/cni").display(),
        cni = place.state("cni").display(),
    )
}

fn network(place: &Place) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "e2e",
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": place.state("addresses"),
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
