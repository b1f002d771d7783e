//! A proxy between an operator and the API server that cuts the line at a chosen write.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::ControlPlane;

/// On which side of a write the line is cut; writes count from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// The write does not arrive.
    Before(usize),
    /// The write arrives, its answer does not.
    After(usize),
}

/// A running proxy; dropping it closes it.
pub(crate) struct Proxy {
    line: Arc<Line>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Line {
    upstream: Client,
    cut: Cut,
    writes: AtomicUsize,
    is_cut: Notify,
}

impl Proxy {
    /// A proxy that cuts the line once.
    pub(crate) async fn start(cluster: &ControlPlane, cut: Cut) -> Result<Self> {
        let read = Kubeconfig::read_from(cluster.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        let line = Arc::new(Line {
            upstream: Client::try_from(config)?,
            cut,
            writes: AtomicUsize::new(0),
            is_cut: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(pass).with_state(line.clone());
        let server = tokio::spawn(async move {
            // It ends when the proxy is dropped; an error before that shows in the operator.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            line,
            address,
            server,
        })
    }

    /// A kubeconfig that leads through the proxy, with all rights.
    pub(crate) fn kubeconfig(&self, cluster: &ControlPlane) -> Result<PathBuf> {
        let direct = fs::read_to_string(cluster.kubeconfig())?;
        let mut config: serde_json::Value = serde_json::from_str(&direct)?;
        config["clusters"][0]["cluster"] =
            serde_json::json!({"server": format!("http://{}", self.address)});
        let path = cluster
            .folder()
            .join(format!("{}.kubeconfig", cluster.unique("proxy")));
        fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// Waits until the line is cut.
    pub(crate) async fn cut(&self) {
        self.line.is_cut.notified().await;
    }

    /// How many writes have come so far.
    pub(crate) fn writes(&self) -> usize {
        self.line.writes.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Leases are renewed by the clock and events may get lost, so neither counts.
fn is_counted(request: &Request) -> bool {
    let path = request.uri().path();
    let write = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    write && !path.contains("/leases") && !path.contains("/events")
}

async fn pass(State(line): State<Arc<Line>>, request: Request) -> Response {
    if !is_counted(&request) {
        return forward(&line, request).await;
    }
    let number = line.writes.fetch_add(1, Ordering::SeqCst) + 1;
    let (Cut::Before(last) | Cut::After(last)) = line.cut;
    if number < last {
        return forward(&line, request).await;
    }
    if number == last {
        if let Cut::After(_) = line.cut {
            forward(&line, request).await;
        }
        line.is_cut.notify_one();
    }
    std::future::pending().await
}

async fn forward(line: &Line, request: Request) -> Response {
    match exchange(&line.upstream, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

/// Passes a request on, with the rights of this client.
pub(super) async fn exchange(upstream: &Client, request: Request) -> Result<Response> {
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    head.headers.remove("authorization");
    let body = axum::body::to_bytes(body, usize::MAX).await?;
    let request = axum::http::Request::from_parts(head, kube::client::Body::from(body.to_vec()));
    let response = upstream.send(request).await.context("the API server")?;
    Ok(response.map(Body::new))
}
