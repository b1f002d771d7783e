//! A proxy between an operator and the API server, on which whatever can go wrong on the way goes wrong as told.
//!
//! It says who sent each request in the `User-Agent`, so that the audit log tells one operator from another.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kube::Client;
use serde_json::{Value, json};
use taskbatch::cluster::protobuf::MEDIA_TYPE;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::ControlPlane;
use super::access;
use super::disturbed::{disturbed, thawing};
use super::fault::{Call, Fault, Faults, Kind};
use super::listener::Listener;

/// A running proxy; dropping it closes it.
pub(crate) struct Proxy {
    line: Arc<Line>,
    listener: Listener,
}

struct Line {
    upstream: Client,
    agent: String,
    state: Mutex<Traffic>,
    killed: Notify,
}

/// What has passed, and what goes wrong next.
struct Traffic {
    faults: Box<dyn Faults>,
    /// No request is answered any more: the operator is about to be killed.
    is_cut: bool,
    writes: usize,
    hit: BTreeMap<&'static str, usize>,
    /// When the last fault was over.
    last_fault: Instant,
    /// A good answer to each list, to be served when it is old.
    lists: BTreeMap<String, Kept>,
    /// Until when the watches of a resource tell nothing.
    frozen: BTreeMap<String, Instant>,
    /// Before this nobody may ask for the same of the same object again.
    patience: BTreeMap<(String, String), Instant>,
    impatient: Vec<String>,
}

/// An answer to a list.
#[derive(Clone)]
struct Kept {
    since: Instant,
    kind: Option<HeaderValue>,
    body: Bytes,
}

impl Proxy {
    /// A proxy through which everything passes until told otherwise.
    pub(crate) async fn start(cluster: &ControlPlane, sender: &str) -> Result<Self> {
        let traffic = Traffic {
            faults: Box::new(()),
            is_cut: false,
            writes: 0,
            hit: BTreeMap::new(),
            last_fault: Instant::now(),
            lists: BTreeMap::new(),
            frozen: BTreeMap::new(),
            patience: BTreeMap::new(),
            impatient: Vec::new(),
        };
        let line = Arc::new(Line {
            upstream: access::client(&cluster.kubeconfig_of_user("operator")).await?,
            agent: agent(sender),
            state: Mutex::new(traffic),
            killed: Notify::new(),
        });
        let router = Router::new().fallback(pass).with_state(line.clone());
        let listener = Listener::start(router).await?;
        Ok(Self { line, listener })
    }

    /// A kubeconfig that leads through the proxy, with all rights.
    pub(crate) fn kubeconfig(&self, cluster: &ControlPlane) -> Result<PathBuf> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://{}", self.listener.address)}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        let path = cluster
            .folder()
            .join(format!("{}.kubeconfig", cluster.unique("proxy")));
        fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// From now on these go wrong; counts begin anew.
    pub(crate) fn go_wrong(&self, faults: impl Faults + 'static) {
        let mut traffic = self.line.lock();
        traffic.faults = Box::new(faults);
        traffic.writes = 0;
        traffic.hit.clear();
        traffic.last_fault = Instant::now();
    }

    /// Waits until the operator is to be killed.
    pub(crate) async fn kill(&self) {
        self.line.killed.notified().await;
    }

    /// The operator is dead; the line is whole again for the next one.
    pub(crate) fn mend(&self) {
        let mut traffic = self.line.lock();
        traffic.is_cut = false;
        traffic.last_fault = Instant::now();
        // The next one does not know what the dead one was told.
        traffic.patience.clear();
    }

    /// How many writes have come since the faults were set, leases aside.
    pub(crate) fn writes(&self) -> usize {
        self.line.lock().writes
    }

    /// How often each fault struck since they were set.
    pub(crate) fn hit(&self) -> BTreeMap<&'static str, usize> {
        self.line.lock().hit.clone()
    }

    /// When the last fault was over.
    pub(crate) fn last_fault(&self) -> Instant {
        self.line.lock().last_fault
    }

    /// Writes that came again before the time that a `Retry-After` had named.
    pub(crate) fn impatient(&self) -> Vec<String> {
        self.line.lock().impatient.clone()
    }
}

/// How the requests of this sender call themselves.
pub(crate) fn agent(sender: &str) -> String {
    format!("taskbatch-test/{sender}")
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Traffic> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operator is told nothing any more, and whoever waits for it kills it.
    async fn die(&self) -> ! {
        self.lock().is_cut = true;
        self.killed.notify_one();
        silence().await
    }
}

impl Traffic {
    /// What becomes of a request.
    fn judge(&mut self, request: &Sent) -> (Call, Fault) {
        let mut call = Call::of(request.method(), request.uri());
        if call.is_counted() {
            self.writes += 1;
            call.number = self.writes;
        }
        let now = Instant::now();
        let asked = (
            call.method.clone(),
            format!("{} {}", call.path, name_in(request.body())),
        );
        if self
            .patience
            .remove(&asked)
            .is_some_and(|until| now < until)
        {
            self.impatient.push(format!("{} {}", asked.0, asked.1));
        }
        let fault = match self.is_cut {
            true => Fault::Silence,
            false => self.faults.strike(&call),
        };
        if let Some(name) = fault.name() {
            *self.hit.entry(name).or_default() += 1;
            self.last_fault = self.last_fault.max(now + fault.lasting());
        }
        // Lists and watches back off by themselves: the client hides from them what a server asked for.
        if let (Fault::Refuse(_, Some(wait)), Kind::Write) = (fault, call.kind) {
            self.patience.insert(asked, now + Duration::from_secs(wait));
        }
        (call, fault)
    }
}

/// A request whose body has arrived.
type Sent = axum::http::Request<Bytes>;

/// The name of the object in a body; a create does not have it in its path.
fn name_in(body: &Bytes) -> String {
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn pass(State(line): State<Arc<Line>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let request = Sent::from_parts(head, body);
    let (call, fault) = line.lock().judge(&request);
    match fault {
        Fault::None => forward(&line, &call, request).await,
        Fault::KillBefore => line.die().await,
        Fault::KillAfter => {
            forward(&line, &call, request).await;
            line.die().await
        }
        Fault::LoseReply => {
            forward(&line, &call, request).await;
            reset()
        }
        Fault::Reset => reset(),
        Fault::Refuse(code, wait) => refuse(code, wait),
        Fault::Delay(by) => {
            sleep(by).await;
            forward(&line, &call, request).await
        }
        Fault::Old(frozen) => old(&line, &call, frozen, request).await,
        Fault::Watch(broken) => {
            let response = forward(&line, &call, request).await;
            let in_protobuf = is_protobuf(&response);
            response.map(|body| Body::from_stream(disturbed(body, broken, in_protobuf)))
        }
        Fault::Silence => silence().await,
    }
}

/// Never answers.
async fn silence() -> ! {
    std::future::pending::<Infallible>().await;
    unreachable!("nobody waits so long")
}

/// Closes the connection without an answer: the server drops a connection whose task unwinds. This unwinds
/// without the message of a panic.
fn reset() -> ! {
    std::panic::resume_unwind(Box::new("the connection is reset"))
}

/// An answer that the API server has not given, in its form.
fn refuse(code: u16, wait: Option<u64>) -> Response {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "made up by the test", "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (code, kind, status.to_string()).into_response();
    if let Some(wait) = wait {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, wait.into());
    }
    response
}

/// An answer that was good some time ago, after which the watches of the resource are frozen for a while.
async fn old(line: &Line, call: &Call, frozen: Duration, request: Sent) -> Response {
    let kept = line.lock().lists.get(&call.path).cloned();
    let Some(Kept { kind, body, .. }) = kept else {
        return forward(line, call, request).await;
    };
    let until = Instant::now() + frozen;
    line.lock().frozen.insert(call.resource.clone(), until);
    let mut response = body.into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

async fn forward(line: &Line, call: &Call, request: Sent) -> Response {
    let begun = Instant::now();
    let response = match send(line, request).await {
        Ok(response) => {
            // An API server that is starved by others is a fault too.
            if begun.elapsed() > SLOW {
                line.lock().last_fault = Instant::now();
            }
            response
        }
        Err(error) => return (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    };
    match call.kind {
        Kind::List if response.status().is_success() => keep(line, call, response).await,
        Kind::Watch => {
            let until = line.lock().frozen.get(&call.resource).copied();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => response.map(|body| Body::from_stream(thawing(body, until))),
                None => response,
            }
        }
        _ => response,
    }
}

/// Passes a request on in the name of the sender.
async fn send(line: &Line, request: Sent) -> Result<Response> {
    let (mut head, body) = request.into_parts();
    // So that lists can be kept as they are.
    head.headers.remove(header::ACCEPT_ENCODING);
    head.headers.insert(header::USER_AGENT, line.agent.parse()?);
    let request = Request::from_parts(head, Body::from(body));
    exchange(&line.upstream, request).await
}

/// Passes a request on, with the rights of this client.
pub(super) async fn exchange(upstream: &Client, request: Request) -> Result<Response> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(header::HOST);
    head.headers.remove(header::AUTHORIZATION);
    let body = axum::body::to_bytes(body, usize::MAX).await?;
    let request = axum::http::Request::from_parts(head, kube::client::Body::from(body.to_vec()));
    let response = upstream.send(request).await.context("the API server")?;
    Ok(response.map(Body::new))
}

fn is_protobuf(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(MEDIA_TYPE.as_bytes()))
}

/// An answer that takes longer than this is one that the machine had no time for.
const SLOW: Duration = Duration::from_secs(1);
/// A kept list is at least so old before another takes its place.
const AGE: Duration = Duration::from_secs(4);

/// Keeps an answer to a list, unless the one that is kept is still young: what is served later is old.
async fn keep(line: &Line, call: &Call, response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    // From now on its length is known.
    head.headers.remove(header::TRANSFER_ENCODING);
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let since = Instant::now();
    let mut traffic = line.lock();
    let kept = traffic.lists.get(&call.path);
    if kept.is_none_or(|kept| since.duration_since(kept.since) >= AGE) {
        let (kind, body) = (
            head.headers.get(header::CONTENT_TYPE).cloned(),
            bytes.clone(),
        );
        let kept = Kept { since, kind, body };
        traffic.lists.insert(call.path.clone(), kept);
    }
    drop(traffic);
    Response::from_parts(head, Body::from(bytes))
}
