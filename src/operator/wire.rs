//! Objects as the API server sends them: in JSON, or in Protobuf where it has it.

use axum::http::{HeaderValue, StatusCode};
use kube::core::Status;
use serde::Deserialize;
use serde_json::Value;

use super::kept::{Delivered, Kept};
use super::unmanaged::Unmanaged;
use crate::cluster::protobuf;

/// What to ask for. An API server has no Protobuf for custom resources, and others may have none at all.
pub const ACCEPT: HeaderValue =
    HeaderValue::from_static("application/vnd.kubernetes.protobuf, application/json");
/// The same for a watch.
pub const ACCEPT_WATCH: HeaderValue = HeaderValue::from_static(
    "application/vnd.kubernetes.protobuf;stream=watch, application/json;stream=watch",
);

/// Bytes that are no object.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not what they seem to be.
    #[error(transparent)]
    Protobuf(#[from] protobuf::Broken),
    /// An event of no type that there is.
    #[error("no event of a watch has the type {0:?}")]
    Event(String),
    /// Neither.
    #[error("no object in JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Reads an object of any kind; of one in Protobuf that is no pod, the metadata.
pub fn value(bytes: &[u8]) -> Result<Value, ReadError> {
    if protobuf::is_object(bytes) {
        return Ok(protobuf::object(bytes)?);
    }
    let Unmanaged(object) = serde_json::from_slice(bytes)?;
    Ok(object)
}

/// Reads an object.
pub fn object<K: Kept>(bytes: &[u8]) -> Result<Delivered<K>, ReadError> {
    value(bytes).map(Delivered::of)
}

/// Why a call failed; what is no `Status` is quoted.
pub fn status(body: &[u8], code: StatusCode) -> Status {
    let read = value(body).map(serde_json::from_value);
    match read {
        Ok(Ok(status)) => status,
        _ => {
            let text = String::from_utf8_lossy(body);
            let text: String = text.trim().chars().take(500).collect();
            Status::failure(&text, "").with_code(code.as_u16())
        }
    }
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(bound = "K: Kept")]
pub struct Page<K> {
    /// Where it is in time, and how it goes on.
    pub metadata: PageMeta,
    /// Its objects.
    pub items: Vec<Delivered<K>>,
}

/// What a page says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageMeta {
    /// The resource version at which the list is true.
    #[serde(default)]
    pub resource_version: String,
    /// What to ask the next page with; empty: there is none.
    #[serde(default, rename = "continue")]
    pub token: String,
}

/// Reads a page of a list.
pub fn page<K: Kept>(bytes: &[u8]) -> Result<Page<K>, ReadError> {
    if !protobuf::is_object(bytes) {
        return Ok(serde_json::from_slice(bytes)?);
    }
    let metadata = protobuf::object(bytes)?["metadata"].take();
    let items = protobuf::items(bytes)?.map(|item| Ok(Delivered::of(item?)));
    Ok(Page {
        metadata: serde_json::from_value(metadata)?,
        items: items.collect::<Result<_, ReadError>>()?,
    })
}

/// An event of a watch.
#[derive(Debug)]
pub enum Event<K> {
    /// There is an object, or it is another than it was.
    Shown(Delivered<K>),
    /// It is gone.
    Gone(Delivered<K>),
    /// Everything up to this version has been told.
    Bookmark(String),
    /// The watch cannot go on.
    Failed(Box<Status>),
}

/// Reads an event of a watch, in a frame of one of the two formats.
pub fn event<K: Kept>(frame: &[u8]) -> Result<Event<K>, ReadError> {
    #[derive(Deserialize)]
    struct InJson {
        #[serde(rename = "type")]
        kind: String,
        object: Unmanaged,
    }
    let (kind, object) = match frame.first() {
        Some(b'{') => {
            let InJson { kind, object } = serde_json::from_slice(frame)?;
            (kind, object.0)
        }
        _ => protobuf::event(frame)?,
    };
    Ok(match kind.as_str() {
        "DELETED" => Event::Gone(Delivered::of(object)),
        "BOOKMARK" => Event::Bookmark(version(&object).to_owned()),
        "ERROR" => Event::Failed(serde_json::from_value(object)?),
        "ADDED" | "MODIFIED" => Event::Shown(Delivered::of(object)),
        _ => return Err(ReadError::Event(kind)),
    })
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod::Pod;

    #[test]
    fn events_in_json_are_told_apart() {
        let pod = r#"{"metadata": {"name": "p", "namespace": "ns", "resourceVersion": "9"}, "spec": {"containers": []}}"#;
        let event = |kind: &str, object: &str| {
            let line = format!(r#"{{"type": "{kind}", "object": {object}}}"#);
            event::<Pod>(line.as_bytes()).expect("an event")
        };
        for kind in ["ADDED", "MODIFIED"] {
            assert!(matches!(event(kind, pod), Event::Shown(pod) if pod.version() == "9"));
        }
        assert!(matches!(event("DELETED", pod), Event::Gone(pod) if pod.key().1 == "p"));
        assert!(matches!(event("BOOKMARK", pod), Event::Bookmark(version) if version == "9"));
        let status = r#"{"kind": "Status", "code": 410, "message": "gone"}"#;
        assert!(matches!(event("ERROR", status), Event::Failed(status) if status.code == 410));
    }

    #[test]
    fn a_refusal_that_is_no_status_is_quoted() {
        let status = status(b" no upstream\n", StatusCode::BAD_GATEWAY);
        assert_eq!((status.message.as_str(), status.code), ("no upstream", 502));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bytes in [b"".as_slice(), b"k8s\0\x0a", b"<html>", b"\xff\xff"] {
            assert!(
                value(bytes).is_err() && event::<Pod>(bytes).is_err(),
                "{bytes:?}"
            );
            assert!(page::<Pod>(bytes).is_err(), "{bytes:?}");
        }
    }
}
