//! A proxy between an operator and the API server that can be shut. What came meanwhile is kept and passes, in its own
//! time, when it is opened again: a network that is slow beyond every limit, and loses nothing.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::watch;

use super::ControlPlane;
use super::listener::Listener;
use super::proxy::exchange;

/// What a dam lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Everything.
    Open,
    /// Everything but what the watch of pods tells.
    WithoutPods,
    /// Nothing.
    Shut,
}

/// A write that was held back, and how it was answered when it passed.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) answer: StatusCode,
}

/// A running dam; dropping it closes it.
pub(crate) struct Dam {
    line: Arc<Line>,
    listener: Listener,
}

struct Line {
    upstream: Client,
    gate: watch::Sender<Gate>,
    late: Mutex<Vec<Late>>,
    /// Bindings that pass before the gate falls by itself.
    bindings: AtomicUsize,
}

impl Dam {
    /// An open dam in front of the API server that this kubeconfig leads to, with the rights that it gives.
    pub(crate) async fn start(kubeconfig: &PathBuf) -> Result<Self> {
        let read = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        let line = Arc::new(Line {
            upstream: Client::try_from(config)?,
            gate: watch::channel(Gate::Open).0,
            late: Mutex::default(),
            bindings: AtomicUsize::new(usize::MAX),
        });
        let router = Router::new().fallback(pass).with_state(line.clone());
        let listener = Listener::start(router).await?;
        Ok(Self { line, listener })
    }

    /// A kubeconfig that leads through the dam.
    pub(crate) fn kubeconfig(&self, cluster: &ControlPlane) -> Result<PathBuf> {
        let direct = fs::read_to_string(cluster.kubeconfig())?;
        let mut config: serde_json::Value = serde_json::from_str(&direct)?;
        config["clusters"][0]["cluster"] =
            serde_json::json!({"server": format!("http://{}", self.listener.address)});
        let path = cluster
            .folder()
            .join(format!("{}.kubeconfig", cluster.unique("dam")));
        fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// Sets what passes from now on.
    pub(crate) fn set(&self, gate: Gate) {
        self.line.gate.send_replace(gate);
    }

    /// Lets so many bindings pass, and then shuts by itself.
    pub(crate) fn shut_after(&self, bindings: usize) {
        self.line.bindings.store(bindings, Ordering::SeqCst);
    }

    /// Waits until it is shut.
    pub(crate) async fn is_shut(&self) -> Result<()> {
        self.line
            .gate
            .subscribe()
            .wait_for(|gate| *gate == Gate::Shut)
            .await?;
        Ok(())
    }

    /// The writes that were held back and have passed since, leases aside.
    pub(crate) fn late(&self) -> Vec<Late> {
        let late = self.line.late.lock();
        late.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Line {
    /// Waits until this passes; whether it had to.
    async fn opens(&self, passes: impl Fn(Gate) -> bool) -> bool {
        let mut gate = self.gate.subscribe();
        let waits = !passes(*gate.borrow());
        // The dam outlives its tests, so an error is their end.
        let _ = gate.wait_for(|gate| passes(*gate)).await;
        waits
    }
}

/// A request passes even if nobody waits for its answer any more.
async fn pass(State(line): State<Arc<Line>>, request: Request) -> Response {
    let passing = tokio::spawn(carry(line, request));
    passing
        .await
        .unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

async fn carry(line: Arc<Line>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let is_watch = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch=true"));
    if path.ends_with("/binding") {
        let fewer = |left: usize| left.checked_sub(1);
        let counted = line
            .bindings
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
        if counted.is_err() {
            line.bindings.store(usize::MAX, Ordering::SeqCst);
            line.gate.send_replace(Gate::Shut);
        }
    }
    let held = line.opens(|gate| gate != Gate::Shut).await;
    let response = match exchange(&line.upstream, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    };
    if held && method != Method::GET && !path.contains("/leases") {
        let answer = response.status();
        let mut late = line.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.push(Late {
            method,
            path: path.clone(),
            answer,
        });
    }
    if is_watch {
        return slow(line, path.ends_with("/pods"), response);
    }
    response
}

/// The events of a watch pass as the gate lets them.
fn slow(line: Arc<Line>, of_pods: bool, response: Response) -> Response {
    response.map(|body| {
        let parts = body.into_data_stream().then(move |part| {
            let line = line.clone();
            async move {
                line.opens(|gate| gate == Gate::Open || (gate == Gate::WithoutPods && !of_pods))
                    .await;
                part
            }
        });
        Body::from_stream(parts)
    })
}
