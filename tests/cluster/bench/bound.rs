//! Counts the pods of a namespace that are bound, at the least cost for the API server.

use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use axum::body::{Body as Reply, Bytes};
use axum::http::{Request, header};
use futures::{Stream, StreamExt};
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;

/// Kubernetes' own components watch pods in this format too, so that the API server encodes each event once for all.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";
/// A watch event of this format begins with its type, field 1, of five letters.
const ADDED: &[u8] = b"\x0a\x05ADDED";

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, axum::Error>> + Send>>;

/// A watch of the bound pods of a namespace.
pub(crate) struct Bound {
    client: Client,
    namespace: String,
    chunks: Chunks,
    rest: Vec<u8>,
    seen: usize,
}

impl Bound {
    /// Begins to watch; returns when the API server does.
    pub(crate) async fn watch(client: &Client, namespace: &str) -> Result<Self> {
        Ok(Self {
            client: client.clone(),
            namespace: namespace.into(),
            chunks: open(client, namespace).await?,
            rest: Vec::new(),
            seen: 0,
        })
    }

    /// The moment at which so many pods are bound.
    pub(crate) async fn reach(&mut self, count: usize, patience: Duration) -> Result<Instant> {
        let reached = timeout(patience, async {
            while self.seen < count {
                self.next().await?;
            }
            Ok(Instant::now())
        });
        let reached = reached.await;
        reached.with_context(|| format!("{} of {count} bound after {patience:?}", self.seen))?
    }

    /// Takes in what comes next. A watch that ends, as those of a busy server do, begins again with all that is bound.
    async fn next(&mut self) -> Result<()> {
        match self.chunks.next().await {
            Some(Ok(chunk)) => self.rest.extend_from_slice(&chunk),
            Some(Err(_)) | None => {
                self.chunks = open(&self.client, &self.namespace).await?;
                self.rest.clear();
                self.seen = 0;
            }
        }
        while let Some(frame) = take_frame(&mut self.rest)? {
            self.seen += usize::from(frame.starts_with(ADDED));
        }
        Ok(())
    }
}

async fn open(client: &Client, namespace: &str) -> Result<Chunks> {
    let uri = format!(
        "/api/v1/namespaces/{namespace}/pods?watch=1&fieldSelector=spec.nodeName%21%3D&timeoutSeconds=3600"
    );
    let request = Request::get(uri).header(header::ACCEPT, PROTOBUF);
    let answer = client.send(request.body(Body::empty())?).await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    Ok(Box::pin(Reply::new(answer.into_body()).into_data_stream()))
}

/// The next whole frame: its length in four bytes, then the event.
fn take_frame(bytes: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    let Some((length, _)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > 16 << 20 {
        bail!("a watch event of {length} bytes");
    }
    if bytes.len() < 4 + length {
        return Ok(None);
    }
    let rest = bytes.split_off(4 + length);
    let frame = std::mem::replace(bytes, rest).split_off(4);
    Ok(Some(frame))
}
