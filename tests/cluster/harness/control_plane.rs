//! The processes of the control plane: how they are started, made ready and stopped.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::access::{self, Access};
use super::flags;
use super::node::NodeBuilder;
use super::process::{Process, Usage};
use super::tools::{self, Captured, Tools};
use super::wait::{answers, eventually, free_ports, seconds};

/// A running control plane; every test gets it through its sandbox.
pub(crate) struct ControlPlane {
    folder: PathBuf,
    tools: Tools,
    access: Access,
    client: Client,
    etcd: u16,
    parts: Mutex<Vec<Process>>,
    names: AtomicU32,
}

/// Where a control plane lives, and what it starts with.
pub(crate) struct Setup {
    /// An empty folder for its logs and what it stores.
    pub(crate) folder: PathBuf,
    /// Where the API server listens; a free port of 127.0.0.1 if nothing is said.
    pub(crate) api: Option<SocketAddrV4>,
    /// Whether the CRDs of `crds/` are there from the start.
    pub(crate) crds: bool,
    pub(crate) purpose: Purpose,
}

/// What a control plane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Tests: nodes live and die, pods run, and who wrote what is written down.
    Tests,
    /// Measurements: nothing happens on its own. Nodes are as they were created and pods stay as they were bound,
    /// without a heartbeat and without an audit log, since both would cost more than what is measured. Only with
    /// nodes that name their conditions.
    Measurements,
}

impl ControlPlane {
    /// Starts everything and returns when pods can be created; several may run side by side.
    pub(crate) async fn start(purpose: Purpose) -> Result<Arc<Self>> {
        let folder = fresh_folder()?;
        Self::start_with(Setup {
            folder,
            api: None,
            crds: true,
            purpose,
        })
        .await
    }

    /// The same in a place of one's own.
    pub(crate) async fn start_with(setup: Setup) -> Result<Arc<Self>> {
        let tools = Tools::ready()?;
        let (folder, purpose) = (setup.folder, setup.purpose);
        let [etcd, peer, free, manager, scheduler, kwok] = free_ports()?;
        let api = setup
            .api
            .unwrap_or(SocketAddrV4::new(Ipv4Addr::LOCALHOST, free));
        let server = format!("https://{api}");
        let access = Access::new(&folder, &server, &folder.join("api/apiserver.crt"))?;
        fs::write(folder.join("tokens.csv"), access::token_file())?;

        let mut launch = Launch {
            tools: &tools,
            folder: &folder,
            parts: Vec::new(),
        };
        launch.start("etcd", &flags::etcd(&folder, etcd, peer))?;
        launch
            .ready(&format!("http://127.0.0.1:{etcd}/health"))
            .await?;
        launch.start(
            "kube-apiserver",
            &flags::api_server(&folder, etcd, api, purpose),
        )?;
        launch.ready(&format!("{server}/readyz")).await?;
        let client = access::client(&access.kubeconfig("admin")).await?;

        launch.start(
            "kube-controller-manager",
            &flags::controller_manager(&access, &folder, manager, purpose),
        )?;
        launch.start("kube-scheduler", &flags::scheduler(&access, scheduler))?;
        if purpose == Purpose::Tests {
            launch.start("kwok", &flags::kwok(&access, kwok))?;
        }
        if setup.crds {
            apply_crds(&client).await?;
        }
        launch
            .ready(&format!("https://127.0.0.1:{manager}/healthz"))
            .await?;
        launch
            .ready(&format!("https://127.0.0.1:{scheduler}/healthz"))
            .await?;
        if purpose == Purpose::Tests {
            let kwok = format!("http://127.0.0.1:{kwok}/readyz");
            launch.ready(&kwok).await?;
        }

        let parts = Mutex::new(launch.parts);
        let plane = Self {
            folder,
            tools,
            access,
            client,
            etcd,
            parts,
            names: AtomicU32::new(0),
        };
        plane.service_account_exists("default").await?;
        Ok(Arc::new(plane))
    }

    /// Kills every component and removes what they stored; the logs are kept for a person if `keep_logs`.
    pub(crate) fn stop(&self, keep_logs: bool) {
        self.parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let removed = if keep_logs {
            self.folder.join("etcd")
        } else {
            self.folder.clone()
        };
        // A folder that stays is removed by the next start.
        let _ = fs::remove_dir_all(removed);
    }

    /// A client that may do everything.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The folder of the logs: `<component>.log`, and `audit.log` as `audit.yaml` asks for.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The kubeconfig of the admin.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.access.kubeconfig("admin")
    }

    /// The kubeconfig of another user of the token file.
    pub(crate) fn kubeconfig_of_user(&self, user: &str) -> PathBuf {
        self.access.kubeconfig(user)
    }

    /// The path of a program of the control plane, as `kubectl`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.tools.path(name)
    }

    /// The port of etcd on 127.0.0.1, which speaks plain HTTP.
    pub(crate) fn etcd(&self) -> u16 {
        self.etcd
    }

    /// Processor time and memory of one component, as `kube-scheduler`.
    pub(crate) fn usage(&self, component: &str) -> Result<Usage> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.iter().find(|part| part.name() == component);
        part.with_context(|| format!("no {component} runs"))?
            .usage()
    }

    /// Lets the peak of the memory of one component begin anew.
    pub(crate) fn forget_peak(&self, component: &str) -> Result<()> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.iter().find(|part| part.name() == component);
        part.with_context(|| format!("no {component} runs"))?
            .forget_peak()
    }

    /// Processor time of all components together.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().map(|part| Ok(part.usage()?.cpu)).sum()
    }

    /// Resident memory of all components together, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().map(|part| Ok(part.usage()?.rss)).sum()
    }

    /// `stem`, made unique in this control plane.
    pub(crate) fn unique(&self, stem: &str) -> String {
        format!("{stem}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// A node of exactly this name; tests make theirs in their sandbox.
    pub(crate) fn node(&self, name: &str) -> NodeBuilder {
        NodeBuilder::new(self.client.clone(), name)
    }

    /// A new namespace that is ready for pods.
    pub(crate) async fn namespace(&self, stem: &str) -> Result<String> {
        let name = self.unique(stem);
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        Api::all(self.client.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        self.service_account_exists(&name).await?;
        Ok(name)
    }

    /// Pods are refused in a namespace until its service account `default` is there.
    async fn service_account_exists(&self, namespace: &str) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        eventually(seconds(30), async || {
            Ok(accounts.get("default").await.map(drop)?)
        })
        .await
    }

    /// A kubeconfig with a token of this service account, valid for an hour.
    pub(crate) async fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let wanted: TokenRequest =
            serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 3600}}))?;
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &wanted)
            .await?;
        let token = answer.status.and_then(|status| status.token);
        let token = token.context("no token")?;
        self.access.write_kubeconfig(
            &self.unique(&format!("{namespace}-{account}")),
            namespace,
            &token,
        )
    }

    /// Runs `kubectl`, `helm` or `kubeconform` as the admin, with `input` on the standard input.
    pub(crate) async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<Captured> {
        let mut command = Command::new(self.program(program));
        command.args(arguments).env("KUBECONFIG", self.kubeconfig());
        // Both programs keep files in the home folder; what they remember of another server on the same port is wrong.
        for variable in [
            "KUBECACHEDIR",
            "HELM_CACHE_HOME",
            "HELM_CONFIG_HOME",
            "HELM_DATA_HOME",
        ] {
            command.env(variable, self.folder.join("home"));
        }
        tools::capture(command, input.into()).await
    }
}

/// The components started so far; dropped on an error, they are killed.
struct Launch<'a> {
    tools: &'a Tools,
    folder: &'a Path,
    parts: Vec<Process>,
}

impl Launch<'_> {
    fn start(&mut self, name: &str, flags: &[String]) -> Result<()> {
        self.parts.push(Process::spawn(
            name,
            &self.tools.path(name),
            flags,
            self.folder,
        )?);
        Ok(())
    }

    /// Waits until `url` answers, and not longer than its component lives.
    async fn ready(&mut self, url: &str) -> Result<()> {
        let parts = &mut self.parts;
        let waiting = eventually(seconds(60), async || answers(url).await);
        tokio::pin!(waiting);
        loop {
            tokio::select! {
                answer = &mut waiting => return answer.with_context(|| logs(parts)),
                () = tokio::time::sleep(seconds(1)) => for part in parts.iter_mut() {
                    part.ensure_running()?;
                },
            }
        }
    }
}

fn logs(parts: &[Process]) -> String {
    parts.last().map(Process::log_tail).unwrap_or_default()
}

/// An empty folder under the target folder; those of runs that are over are removed.
fn fresh_folder() -> Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
    fs::create_dir_all(&all)?;
    for entry in fs::read_dir(&all)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let pid = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            // Another run may be removing it at the same time.
            let _ = fs::remove_dir_all(&path);
        }
    }
    let folder = all.join(format!(
        "{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Applies `crds/*.yaml` and waits until the server serves them.
async fn apply_crds(client: &Client) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let crd: serde_json::Value =
            serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
        let name = crd["metadata"]["name"]
            .as_str()
            .context("a CRD without a name")?;
        let applied = crds
            .patch(
                name,
                &PatchParams::apply("test").force(),
                &Patch::Apply(&crd),
            )
            .await;
        let name = applied
            .with_context(|| path.display().to_string())?
            .name_any();
        eventually(seconds(10), async || established(&crds.get(&name).await?)).await?;
    }
    Ok(())
}

fn established(crd: &CustomResourceDefinition) -> Result<()> {
    let conditions = crd
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let established = conditions
        .into_iter()
        .any(|c| c.type_ == "Established" && c.status == "True");
    ensure!(established, "{} is not established", crd.name_any());
    Ok(())
}
