//! Counts the pods of a namespace that are bound, at the least cost for the API server.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::body::Body as Reply;
use axum::http::{Request, header};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};
use tokio_util::io::StreamReader;

/// Kubernetes' own components watch pods in this format too, so that the API server encodes each event once for all.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";
/// A watch event of this format begins with its type, field 1, of five letters.
const ADDED: &[u8] = b"\x0a\x05ADDED";

type Frames = BoxStream<'static, io::Result<BytesMut>>;

/// A watch of the bound pods of a namespace.
pub(crate) struct Bound {
    client: Client,
    namespace: String,
    frames: Frames,
    seen: usize,
}

impl Bound {
    /// Begins to watch; returns when the API server does.
    pub(crate) async fn watch(client: &Client, namespace: &str) -> Result<Self> {
        Ok(Self {
            client: client.clone(),
            namespace: namespace.into(),
            frames: open(client, namespace).await?,
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
        match self.frames.next().await {
            Some(Ok(frame)) => self.seen += usize::from(frame.starts_with(ADDED)),
            Some(Err(_)) | None => {
                self.frames = open(&self.client, &self.namespace).await?;
                self.seen = 0;
            }
        }
        Ok(())
    }
}

async fn open(client: &Client, namespace: &str) -> Result<Frames> {
    let uri = format!(
        "/api/v1/namespaces/{namespace}/pods?watch=1&fieldSelector=spec.nodeName%21%3D&timeoutSeconds=3600"
    );
    let request = Request::get(uri).header(header::ACCEPT, PROTOBUF);
    let answer = client.send(request.body(Body::empty())?).await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    let body = Reply::new(answer.into_body()).into_data_stream();
    let bytes = StreamReader::new(body.map_err(io::Error::other));
    // Before each event stands its length, in four bytes.
    Ok(FramedRead::new(bytes, LengthDelimitedCodec::new()).boxed())
}
