//! The stream of a watch with something wrong with it.

use std::time::Instant;

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::time::{sleep, sleep_until, timeout_at};

use super::fault::{Broken, LATE_FOR};

const TOO_OLD: &str = "too old resource version";

type Chunk = Result<Bytes, axum::Error>;

/// The body after this moment.
pub(super) fn thawing(body: Body, until: Instant) -> impl Stream<Item = Chunk> {
    let wait = async move {
        sleep_until(until.into()).await;
        body.into_data_stream()
    };
    stream::once(wait).flatten()
}

/// The body of a watch, in JSON or in Protobuf, with something wrong with it.
pub(super) fn disturbed(
    body: Body,
    broken: Broken,
    in_protobuf: bool,
) -> impl Stream<Item = Chunk> {
    let begun = Instant::now();
    let state = (body.into_data_stream(), false);
    stream::unfold(state, move |(mut body, mut is_over)| async move {
        let at = (begun + broken.after()).into();
        let next = match is_over {
            true => body.next().await,
            false => match timeout_at(at, body.next()).await {
                Ok(next) => next,
                Err(_) => {
                    is_over = true;
                    break_off(&mut body, broken, in_protobuf).await
                }
            },
        };
        if let Broken::Late(by) = broken
            && begun.elapsed() < LATE_FOR
        {
            sleep(by).await;
        }
        next.map(|chunk| (chunk, (body, is_over)))
    })
}

/// What a watch tells when its time has come.
async fn break_off(
    body: &mut (impl Stream<Item = Chunk> + Unpin),
    broken: Broken,
    in_protobuf: bool,
) -> Option<Chunk> {
    match broken {
        Broken::Ends(_) => None,
        Broken::Drops(_) => Some(Err(axum::Error::new("the connection is reset"))),
        Broken::Expires(_) if in_protobuf => Some(Ok(expired_in_protobuf().into())),
        Broken::Expires(_) => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": TOO_OLD, "reason": "Expired", "code": 410,
            });
            let event = json!({"type": "ERROR", "object": status});
            Some(Ok(format!("{event}\n").into()))
        }
        Broken::Freezes { lasting, .. } => {
            sleep(lasting).await;
            body.next().await
        }
        Broken::Late(_) => body.next().await,
    }
}

/// The frame of an event `ERROR` with a `Status` of code 410.
fn expired_in_protobuf() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let code = [6 << 3, 0x9a, 3];
    let status = [
        field(3, TOO_OLD.as_bytes()).as_slice(),
        &field(4, b"Expired"),
        &code,
    ]
    .concat();
    let types = [field(1, b"v1"), field(2, b"Status")].concat();
    let object = [b"k8s\0".as_slice(), &field(1, &types), &field(2, &status)].concat();
    let event = [field(1, b"ERROR"), field(2, &field(1, &object))].concat();
    [&(event.len() as u32).to_be_bytes(), event.as_slice()].concat()
}
