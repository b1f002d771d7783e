//! A kubelet that admits as the real one does but runs nothing. KWOK admits everything, so what the operator does
//! about a rejection is tested on nodes of this kubelet. Its pods obey the annotations listed in `stages.yaml`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::admission::{self, Amounts, Rejection};
use super::node;
use super::wait::seconds;

/// The kubelets of some nodes. When dropped, the nodes fall silent, as if they had lost power.
pub(crate) struct FakeKubelet {
    rejections: Rejections,
    _nodes: JoinSet<()>,
}

/// What to say to the next pods, whatever they ask for.
type Rejections = Arc<Mutex<VecDeque<Rejection>>>;

impl FakeKubelet {
    /// Takes nodes created with `without_kubelet()` and returns when they are ready.
    pub(crate) async fn start(client: &Client, nodes: &[&str]) -> Result<Self> {
        let rejections = Rejections::default();
        let mut tasks = JoinSet::new();
        for name in nodes {
            let kubelet = NodeKubelet {
                client: client.clone(),
                node: (*name).to_owned(),
                rejections: rejections.clone(),
                admitted: BTreeMap::new(),
                listed: BTreeSet::new(),
                running: JoinSet::new(),
            };
            kubelet.heartbeat().await?;
            tasks.spawn(kubelet.run());
        }
        for name in nodes {
            node::ready(client, name).await?;
        }
        Ok(Self {
            rejections,
            _nodes: tasks,
        })
    }

    /// Rejects the next `count` pods, as `UnexpectedAdmissionError` for a GPU that is broken.
    pub(crate) fn reject_next(&self, count: usize, reason: &str, message: &str) {
        let rejection = Rejection {
            reason: reason.into(),
            message: message.into(),
        };
        let mut rejections = self
            .rejections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rejections.extend(std::iter::repeat_n(rejection, count));
    }
}

/// The kubelet of one node.
struct NodeKubelet {
    client: Client,
    node: String,
    rejections: Rejections,
    /// What each admitted pod that has not ended takes, by uid.
    admitted: BTreeMap<String, Amounts>,
    /// The uids of the list in progress.
    listed: BTreeSet<String>,
    running: JoinSet<()>,
}

impl NodeKubelet {
    async fn run(mut self) {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let ours = watcher::Config::default().fields(&format!("spec.nodeName={}", self.node));
        let mut events = std::pin::pin!(watch(pods, ours).default_backoff());
        // The grace period of a node is 50 s.
        let mut heartbeat = tokio::time::interval(seconds(10));
        loop {
            let done = tokio::select! {
                event = events.try_next() => match event {
                    Ok(Some(event)) => self.see(event).await,
                    Ok(None) => return,
                    Err(error) => Err(error.into()),
                },
                _ = heartbeat.tick() => self.heartbeat().await,
            };
            if let Err(error) = done {
                eprintln!("fake kubelet of {}: {error:?}", self.node);
            }
        }
    }

    async fn see(&mut self, event: Event<Pod>) -> Result<()> {
        match event {
            Event::Apply(pod) => self.sync(pod).await,
            Event::InitApply(pod) => {
                self.listed.extend(pod.uid());
                self.sync(pod).await
            }
            Event::Delete(pod) => {
                self.admitted.remove(&pod.uid().unwrap_or_default());
                Ok(())
            }
            // After a break of the watch, the list tells which pods have gone meanwhile.
            Event::Init => {
                self.listed.clear();
                Ok(())
            }
            Event::InitDone => {
                self.admitted.retain(|uid, _| self.listed.contains(uid));
                Ok(())
            }
        }
    }

    async fn sync(&mut self, pod: Pod) -> Result<()> {
        let uid = pod.uid().context("a pod without a uid")?;
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            .unwrap_or("Pending");
        if pod.metadata.deletion_timestamp.is_some() {
            self.admitted.remove(&uid);
            return self.confirm_deletion(&pod).await;
        }
        if matches!(phase, "Succeeded" | "Failed") {
            self.admitted.remove(&uid);
            return Ok(());
        }
        if self.admitted.contains_key(&uid) {
            return Ok(());
        }
        if let Some(rejection) = self.decide(&pod).await? {
            return report(&self.client, &pod, rejected(&rejection)).await;
        }
        self.admitted
            .insert(uid, admission::effective_requests(&pod)?);
        let script = Script::of(&pod)?;
        report(&self.client, &pod, started(&pod)).await?;
        self.running.spawn(play(self.client.clone(), pod, script));
        Ok(())
    }

    async fn decide(&self, pod: &Pod) -> Result<Option<Rejection>> {
        let told = self
            .rejections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        if told.is_some() {
            return Ok(told);
        }
        let node = Api::<Node>::all(self.client.clone())
            .get(&self.node)
            .await?;
        let admitted: Vec<Amounts> = self.admitted.values().cloned().collect();
        admission::admit(pod, &node, &admitted)
    }

    /// A pod leaves the API server when its kubelet says that nothing of it runs any more.
    async fn confirm_deletion(&self, pod: &Pod) -> Result<()> {
        let pods: Api<Pod> =
            Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let preconditions = Preconditions {
            uid: pod.uid(),
            resource_version: None,
        };
        let now = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        }
        .grace_period(0);
        match pods.delete(&pod.name_any(), &now).await {
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Ok(())
            }
            answer => Ok(answer.map(drop)?),
        }
    }

    async fn heartbeat(&self) -> Result<()> {
        let now = Timestamp::now();
        let ready = json!({"status": {"conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now,
            "message": "kubelet is posting ready status",
        }]}});
        let nodes: Api<Node> = Api::all(self.client.clone());
        let how = PatchParams::default();
        match nodes
            .patch_status(&self.node, &how, &Patch::Strategic(ready))
            .await
        {
            // Its test is over and has removed the node.
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            answer => Ok(answer.map(drop)?),
        }
    }
}

/// What the annotations of a pod tell its containers to do.
struct Script {
    run_for: Option<Duration>,
    exit_code: i32,
    reason: String,
    message: Option<String>,
}

impl Script {
    fn of(pod: &Pod) -> Result<Self> {
        let told = |name: &str| pod.annotations().get(&format!("taskbatch.dev/test-{name}"));
        let once = pod.labels().get("run").is_some_and(|run| run == "once")
            || pod
                .owner_references()
                .iter()
                .any(|owner| owner.kind == "TaskBatch");
        let run_for = match told("run-for") {
            Some(duration) => Some(duration.parse::<SignedDuration>()?.try_into()?),
            None => once.then_some(seconds(2)),
        };
        let attempt: u32 = pod
            .labels()
            .get("taskbatch.dev/attempt")
            .map_or(Ok(0), |attempt| attempt.parse())?;
        let below: u32 = told("fail-below-attempt").map_or(Ok(0), |below| below.parse())?;
        let exit_code = match told("exit-code") {
            _ if attempt < below => 1,
            Some(code) => code.parse()?,
            None => 0,
        };
        let usual = if exit_code == 0 { "Completed" } else { "Error" };
        let reason = told("exit-reason").map_or(usual, String::as_str).to_owned();
        Ok(Self {
            run_for,
            exit_code,
            reason,
            message: told("message").cloned(),
        })
    }
}

/// Lets a pod run and end; one without an end runs until it is deleted.
async fn play(client: Client, pod: Pod, script: Script) {
    let start = Timestamp::now();
    let Some(run_for) = script.run_for else {
        return;
    };
    tokio::time::sleep(run_for).await;
    if let Err(error) = report(&client, &pod, ended(&pod, &script, start)).await {
        eprintln!("fake kubelet, the end of {}: {error:?}", pod.name_any());
    }
}

/// Writes the status of exactly this pod; one that is gone, or another of the same name, is left alone.
async fn report(client: &Client, pod: &Pod, status: Value) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let patch = Patch::Strategic(json!({"metadata": {"uid": pod.uid()}, "status": status}));
    match pods
        .patch_status(&pod.name_any(), &PatchParams::default(), &patch)
        .await
    {
        Err(kube::Error::Api(status))
            if status.is_not_found()
                || status.is_conflict()
                || status.message.contains("metadata.uid") =>
        {
            Ok(())
        }
        answer => Ok(answer.map(drop)?),
    }
}

fn rejected(rejection: &Rejection) -> Value {
    let message = format!("Pod was rejected: {}", rejection.message);
    json!({"phase": "Failed", "reason": rejection.reason, "message": message})
}

fn started(pod: &Pod) -> Value {
    let now = Timestamp::now();
    json!({
        "phase": "Running",
        "startTime": now,
        "conditions": conditions(&["Initialized", "Ready", "ContainersReady"], "True"),
        "containerStatuses": container_statuses(pod, true, &json!({"running": {"startedAt": now}})),
    })
}

fn ended(pod: &Pod, script: &Script, start: Timestamp) -> Value {
    let state = json!({"terminated": {
        "exitCode": script.exit_code, "reason": script.reason, "message": script.message,
        "startedAt": start, "finishedAt": Timestamp::now(),
    }});
    json!({
        "phase": if script.exit_code == 0 { "Succeeded" } else { "Failed" },
        "conditions": conditions(&["Ready", "ContainersReady"], "False"),
        "containerStatuses": container_statuses(pod, false, &state),
    })
}

fn conditions(types: &[&str], status: &str) -> Value {
    let now = Timestamp::now();
    types
        .iter()
        .map(|kind| json!({"type": kind, "status": status, "lastTransitionTime": now}))
        .collect()
}

fn container_statuses(pod: &Pod, running: bool, state: &Value) -> Value {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let status = |name: &str, image: &Option<String>| {
        json!({
            "name": name, "image": image.as_deref().unwrap_or_default(), "imageID": "",
            "ready": running, "started": running, "restartCount": 0, "state": state,
        })
    };
    containers
        .map(|container| status(&container.name, &container.image))
        .collect()
}
