//! Lists and watches of one kind of object, in the format that costs the API server least.

use std::borrow::Cow;
use std::io;
use std::marker::PhantomData;

use axum::body::{Body as ReplyBody, Bytes, to_bytes};
use axum::http::{HeaderValue, Request, Response, header};
use futures::{Stream, StreamExt, TryStreamExt, future};
use kube::api::{ListParams, WatchParams};
use kube::client::Body;
use kube::core::Status;
use kube::{Client, Resource};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec, LinesCodec};
use tokio_util::io::StreamReader;

use super::call::{MOST_BYTES, shown};
use super::kept::Kept;
use super::wire::{self, Event, Page, ReadError};
use crate::cluster::protobuf;

/// All objects of a kind, or those of one namespace.
pub struct Source<K> {
    client: Client,
    requests: kube::core::Request,
    kind: PhantomData<fn() -> K>,
}

/// Why an answer did not come, or is none.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody answered.
    #[error("{}", shown(.0))]
    Client(#[from] kube::Error),
    /// The API server will not.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Box<Status>),
    /// The answer broke off.
    #[error("the answer broke off: {0}")]
    Broken(#[from] io::Error),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no such request.
    #[error(transparent)]
    Request(#[from] kube::core::request::Error),
}

impl<K: Kept> Source<K> {
    /// Of all namespaces where none is given.
    pub fn new(client: Client, namespace: Option<&str>) -> Self {
        Self {
            client,
            requests: kube::core::Request::new(K::Wire::url_path(&(), namespace)),
            kind: PhantomData,
        }
    }

    /// The kind.
    pub fn kind() -> Cow<'static, str> {
        K::Wire::kind(&())
    }

    /// A page of all.
    pub async fn list(&self, page: &ListParams) -> Result<Page<K>, CallError> {
        let answer = self.ask(self.requests.list(page)?, &wire::ACCEPT).await?;
        Ok(wire::page(&whole(answer).await?)?)
    }

    /// What happens after this version.
    pub async fn watch(
        &self,
        how: &WatchParams,
        version: &str,
    ) -> Result<impl Stream<Item = Result<Event<K>, CallError>> + use<K>, CallError> {
        let request = self.requests.watch(how, version)?;
        let answer = self.ask(request, &wire::ACCEPT_WATCH).await?;
        Ok(frames(answer).and_then(|frame| future::ready(wire::event(&frame).map_err(Into::into))))
    }

    async fn ask(
        &self,
        request: Request<Vec<u8>>,
        accept: &HeaderValue,
    ) -> Result<Response<ReplyBody>, CallError> {
        let mut request = request.map(Body::from);
        if K::IN_PROTOBUF {
            request.headers_mut().insert(header::ACCEPT, accept.clone());
        }
        let answer = self.client.send(request).await?.map(ReplyBody::new);
        let code = answer.status();
        if code.is_success() {
            return Ok(answer);
        }
        let body = whole(answer).await?;
        Err(CallError::Refused(Box::new(wire::status(&body, code))))
    }
}

async fn whole(answer: Response<ReplyBody>) -> Result<Bytes, CallError> {
    let body = to_bytes(answer.into_body(), usize::MAX).await;
    body.map_err(|error| io::Error::other(error).into())
}

/// The frames of a watch: lines of JSON, or Protobuf behind a length of four bytes.
fn frames(answer: Response<ReplyBody>) -> impl Stream<Item = Result<Bytes, CallError>> {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let in_protobuf =
        kind.is_some_and(|kind| kind.as_bytes().starts_with(protobuf::MEDIA_TYPE.as_bytes()));
    let body = answer.into_body().into_data_stream();
    let bytes = StreamReader::new(body.map_err(io::Error::other));
    let frames = if in_protobuf {
        let codec = LengthDelimitedCodec::builder()
            .max_frame_length(MOST_BYTES)
            .new_codec();
        let frames = FramedRead::new(bytes, codec);
        frames.map_ok(|frame| frame.freeze()).boxed()
    } else {
        let codec = LinesCodec::new_with_max_length(MOST_BYTES);
        let frames = FramedRead::new(bytes, codec);
        frames.map_ok(Bytes::from).map_err(io::Error::other).boxed()
    };
    frames.map_err(CallError::from)
}
