//! One operator behind a proxy that makes things go wrong, with nodes and a namespace of its own, started again
//! whenever it has died, as a Deployment would; and what is asked of it under faults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use taskbatch::api::{TaskBatch, label};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::harness::{
    Checker, ControlPlane, FakeKubelet, Faults, Operator, Proxy, Sandbox, seconds,
};
use crate::scenario::Scenario;

/// How long after the last fault everything must be as without one.
pub(crate) const CONVERGED: Duration = Duration::from_secs(30);
/// Longer than any mix of faults, and what may be needed after it.
const PATIENCE: Duration = Duration::from_secs(100);

/// How many lanes are open at once, over all tests. Each of them waits most of the time, for pods and for what
/// it backs off from; more of them would have the API server too busy to be judged.
static ROOM: Semaphore = Semaphore::const_new(LANES);
pub(crate) const LANES: usize = 16;

/// Where batches run under faults.
pub(crate) struct Lane {
    _room: SemaphorePermit<'static>,
    _kubelet: FakeKubelet,
    pub(crate) sandbox: Sandbox,
    pub(crate) proxy: Proxy,
    pub(crate) checker: Arc<Checker>,
    pub(crate) operator: Operator,
    kubeconfig: PathBuf,
    /// How often the operator was started.
    pub(crate) starts: usize,
}

/// How a batch went.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// Writes of the operator, leases aside.
    pub(crate) writes: usize,
    /// How often each fault struck.
    pub(crate) hit: BTreeMap<&'static str, usize>,
    /// From the last fault to the end of the batch, less the time for which pods ran.
    pub(crate) converged: Duration,
}

impl Ran {
    /// How often the operator was killed.
    pub(crate) fn kills(&self) -> usize {
        let kills = self
            .hit
            .iter()
            .filter(|(name, _)| name.starts_with("killed"));
        kills.map(|(_, count)| count).sum()
    }
}

impl Lane {
    /// A lane with a node of 4 CPUs, of which a stranger's pod takes one. It bears our labels, and is not ours.
    pub(crate) async fn open(cluster: &Arc<ControlPlane>, checker: &Arc<Checker>) -> Result<Self> {
        let room = ROOM.acquire().await?;
        let sandbox = Sandbox::new(cluster.clone(), "lane").await?;
        // Not KWOK: it deletes by name, and hits the pod that follows one that it was to delete.
        let node = sandbox.node("a").without_kubelet().create().await?;
        let kubelet = FakeKubelet::start(cluster.client(), &[&node]).await?;
        let stranger = sandbox.pod("demo-work-0-0").on(&node).cpu("1");
        let stranger = stranger.label(label::TASK, "work").label(label::COPY, "0");
        stranger.label(label::BATCH, "demo").create().await?;
        checker.nodes_of(&sandbox.namespace).await?;
        let proxy = Proxy::start(cluster, &sandbox.namespace).await?;
        let kubeconfig = proxy.kubeconfig(cluster)?;
        let operator = launch(&sandbox, &kubeconfig)?;
        let mut lane = Self {
            _room: room,
            _kubelet: kubelet,
            sandbox,
            proxy,
            checker: checker.clone(),
            operator,
            kubeconfig,
            starts: 1,
        };
        lane.operator.ready().await?;
        Ok(lane)
    }

    /// Runs a batch to its end and deletes it, while things go wrong; an error tells what must not have happened.
    pub(crate) async fn run(
        &mut self,
        name: &str,
        scenario: &Scenario,
        faults: impl Faults + 'static,
    ) -> Result<Ran> {
        let outcome = self.try_run(name, scenario, faults).await;
        outcome.with_context(|| {
            let log = self.operator.log().unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            let (hit, space) = (self.proxy.hit(), &self.sandbox.namespace);
            format!(
                "{} as {space}/{name} after {hit:?}\n{}",
                scenario.name,
                tail.join("\n")
            )
        })
    }

    async fn try_run(
        &mut self,
        name: &str,
        scenario: &Scenario,
        faults: impl Faults + 'static,
    ) -> Result<Ran> {
        self.proxy.go_wrong(faults);
        let created = self
            .batches()
            .create(&PostParams::default(), &scenario.batch(name)?)
            .await?;
        let uid = created.uid().context("a batch without a uid")?;
        let mut last_step = Instant::now();
        if scenario.is_stopped {
            self.stop_once(name, &uid).await?;
            last_step = Instant::now();
        }
        self.until(|noted| {
            ensure!(noted.was_complete(&uid), "not complete");
            if scenario.expires {
                ensure!(
                    noted
                        .batch(&created.namespace().unwrap_or_default(), name)
                        .is_none()
                );
            }
            Ok(())
        })
        .await?;
        let end = Instant::now();
        // A fault that began before the end may go on after it.
        let last_fault = self.proxy.last_fault().max(last_step);
        let busy = self
            .checker
            .look(|noted| noted.books.busy(&uid, last_fault, end));
        let converged = end
            .saturating_duration_since(last_fault)
            .saturating_sub(busy);
        ensure!(
            converged <= CONVERGED,
            "converged only {converged:?} after the last fault"
        );
        self.checker.catch_up(&self.sandbox.namespace).await?;
        self.checker.look(|noted| scenario.is_ended(noted, &uid))?;
        if !scenario.expires {
            self.batches()
                .delete(name, &DeleteParams::default())
                .await?;
        }
        self.until(|noted| {
            let left = noted.books.pods_of(&uid);
            ensure!(left.is_empty(), "left after the delete: {left:?}");
            Ok(())
        })
        .await?;
        self.checker.all_is_well(&self.sandbox.namespace).await?;
        let impatient = self.proxy.impatient();
        ensure!(impatient.is_empty(), "asked again too soon: {impatient:?}");
        Ok(Ran {
            writes: self.proxy.writes(),
            hit: self.proxy.hit(),
            converged,
        })
    }

    /// The user stops the batch when a pod of it runs, and lets it go on when none is left.
    async fn stop_once(&mut self, name: &str, uid: &str) -> Result<()> {
        self.until(|noted| {
            ensure!(noted.books.running(uid) > 0, "nothing runs");
            Ok(())
        })
        .await?;
        self.suspend(name, true).await?;
        self.until(|noted| {
            let left = noted.books.running(uid);
            ensure!(left == 0, "{left} pods still run");
            Ok(())
        })
        .await?;
        self.suspend(name, false).await
    }

    async fn suspend(&self, name: &str, suspend: bool) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
        self.batches()
            .patch(name, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// Waits for what the checker sees, and brings the operator back whenever it has died.
    pub(crate) async fn until<T>(
        &mut self,
        probe: impl FnMut(&crate::harness::Noted) -> Result<T>,
    ) -> Result<T> {
        let checker = self.checker.clone();
        let mut seen = std::pin::pin!(checker.until(PATIENCE, probe));
        loop {
            tokio::select! {
                found = &mut seen => return found,
                () = self.proxy.kill() => {
                    self.operator.kill()?;
                    self.start_again()?;
                }
                () = tokio::time::sleep(Duration::from_millis(250)) => {
                    if self.operator.has_ended() {
                        self.start_again()?;
                    }
                }
            }
        }
    }

    /// Starts the operator again after its death.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.proxy.mend();
        self.operator = launch(&self.sandbox, &self.kubeconfig)?;
        self.starts += 1;
        Ok(())
    }

    /// The batches of this lane.
    pub(crate) fn batches(&self) -> Api<TaskBatch> {
        Api::namespaced(self.sandbox.client(), &self.sandbox.namespace)
    }

    /// Ends it: a stranger's pod is where it was, and nothing of ours is left.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.operator.terminate(seconds(20)).await?;
        let left = self.sandbox.pods().list(&Default::default()).await?;
        let left: Vec<String> = left.iter().map(ResourceExt::name_any).collect();
        ensure!(left == ["demo-work-0-0"], "{left:?}");
        self.checker.all_is_well(&self.sandbox.namespace).await?;
        self.sandbox.clear().await
    }
}

/// Starts the operator of a lane; always under the same name, so that it takes its own lease over at once.
fn launch(sandbox: &Sandbox, kubeconfig: &Path) -> Result<Operator> {
    let mut arguments = crate::batch::arguments(sandbox);
    arguments.extend(["--identity", "operator-0", "--log-level", "debug"].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Operator::launch(&sandbox.cluster, kubeconfig, &arguments)
}
