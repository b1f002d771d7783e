//! One call to the API server, with a time limit and an answer that says what is known after it.

use std::time::Duration;

use axum::body::{Body as ReplyBody, Bytes, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use kube::Client;
use kube::client::Body;
use kube::core::Status;

use super::wire;

/// How long the API server may work on a call. It is told so, so a call that we gave up on
/// is not carried out later.
pub const SERVER_LIMIT: Duration = Duration::from_secs(8);
/// How long we wait for the answer: longer than the API server works on it.
pub const PATIENCE: Duration = Duration::from_secs(9);
/// The most bytes of an object that are read. It has at most 1.5 MiB in etcd.
pub const MOST_BYTES: usize = 16 << 20;
/// How long to wait before a call whose outcome is not known is looked at again.
const SETTLE: Duration = Duration::from_secs(1);
/// The most that a server may ask us to wait.
const MOST_WAIT: Duration = Duration::from_secs(300);

/// What the API server said.
#[derive(Debug)]
pub enum Answer {
    /// It did it; this is the body.
    Accepted(Bytes),
    /// There is no such object (404).
    Missing,
    /// Something else came first (409).
    Conflict(Box<Status>),
    /// It will not do it (400, 403, 413, 422, ...), in its words.
    Refused(String),
    /// Nobody knows whether it did it (timeout, lost connection, 5xx), or it had no time to (429).
    Unclear {
        /// How long to wait before looking again.
        retry_after: Duration,
        /// What happened.
        why: String,
    },
}

/// Why a call did not do what it was to do.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// What happened.
    pub why: String,
    /// How long to wait before asking again.
    pub retry_after: Duration,
}

impl Answer {
    /// For whoever needed another answer than this.
    pub fn failure(self) -> Failure {
        let (why, retry_after) = match self {
            Answer::Accepted(_) => ("the answer cannot be read".into(), SETTLE),
            Answer::Missing => ("there is no such object".into(), SETTLE),
            Answer::Conflict(status) => (status.message, SETTLE),
            Answer::Refused(why) => (why, SETTLE),
            Answer::Unclear { retry_after, why } => (why, retry_after),
        };
        Failure { why, retry_after }
    }
}

/// A body to send.
pub struct Content {
    /// Its media type.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Content {
    /// A JSON document.
    pub fn json(value: &impl serde::Serialize) -> Self {
        Self::of("application/json", value)
    }

    /// A JSON Patch (RFC 6902).
    pub fn patch(value: &impl serde::Serialize) -> Self {
        Self::of("application/json-patch+json", value)
    }

    /// A strategic merge patch, which knows the keys of the lists of a built-in kind.
    pub fn merge(value: &impl serde::Serialize) -> Self {
        Self::of("application/strategic-merge-patch+json", value)
    }

    fn of(kind: &'static str, value: &impl serde::Serialize) -> Self {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        Self { kind, bytes }
    }
}

/// Sends one request; [`wire`] reads what comes back. The client must not retry by itself, since that would hide what
/// became of it.
pub async fn send(client: &Client, method: &str, path: &str, content: Option<Content>) -> Answer {
    let limit = SERVER_LIMIT.as_secs();
    // Warnings of fields that the server does not know would be read by nobody.
    let uri = format!("{path}?timeout={limit}s&fieldManager=taskbatch&fieldValidation=Ignore");
    let mut request = Request::builder().method(method).uri(uri);
    request = request.header(header::ACCEPT, wire::ACCEPT);
    if let Some(content) = &content {
        request = request.header(header::CONTENT_TYPE, content.kind);
    }
    let body = Body::from(content.map(|content| content.bytes).unwrap_or_default());
    match request.body(body) {
        Ok(request) => exchange(client, request).await,
        Err(error) => Answer::Refused(error.to_string()),
    }
}

async fn exchange(client: &Client, request: Request<Body>) -> Answer {
    let reply = async {
        let reply = client.send(request).await.map_err(|error| shown(&error))?;
        let (code, wait) = (reply.status(), retry_after(&reply));
        let body = to_bytes(ReplyBody::new(reply.into_body()), MOST_BYTES).await;
        Ok((code, wait, body.map_err(|error| chain(&error))?))
    };
    match tokio::time::timeout(PATIENCE, reply).await {
        Ok(Ok((code, wait, body))) => classify(code, wait, body),
        Ok(Err(why)) => unclear(None, why),
        Err(_) => unclear(None, format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn classify(code: StatusCode, wait: Option<Duration>, body: Bytes) -> Answer {
    if code.is_success() {
        return Answer::Accepted(body);
    }
    let status = wire::status(&body, code);
    match code {
        StatusCode::NOT_FOUND => Answer::Missing,
        StatusCode::CONFLICT => Answer::Conflict(Box::new(status)),
        // 401: our own credentials are out of date; they are read again by themselves.
        StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT => {
            unclear(wait, format!("{code}: {}", status.message))
        }
        code if code.is_client_error() => Answer::Refused(status.message),
        code => unclear(wait, format!("{code}: {}", status.message)),
    }
}

fn unclear(wait: Option<Duration>, why: String) -> Answer {
    let retry_after = wait.unwrap_or(SETTLE).clamp(SETTLE, MOST_WAIT);
    Answer::Unclear { retry_after, why }
}

fn retry_after<B>(reply: &Response<B>) -> Option<Duration> {
    let seconds = reply.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// An error of a client in one line; what the API server itself says stands alone.
pub fn shown(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{}: {}", status.code, status.message),
        other => chain(other),
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text += ": ";
            text += &next;
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, wait: Option<u64>, body: &str) -> Answer {
        let code = StatusCode::from_u16(code).expect("a code");
        classify(
            code,
            wait.map(Duration::from_secs),
            Bytes::from(body.to_owned()),
        )
    }

    #[test]
    fn what_is_refused_for_good_is_told_from_what_nobody_knows() {
        for code in [400, 403, 413, 422] {
            let said = answer(
                code,
                None,
                r#"{"status":"Failure","message":"exceeded quota","reason":"Forbidden"}"#,
            );
            assert!(
                matches!(said, Answer::Refused(message) if message == "exceeded quota"),
                "{code}"
            );
        }
        for code in [401, 408, 429, 500, 502, 503, 504] {
            assert!(
                matches!(answer(code, None, "gone wrong"), Answer::Unclear { .. }),
                "{code}"
            );
        }
        assert!(matches!(answer(404, None, "{}"), Answer::Missing));
        assert!(matches!(answer(409, None, "{}"), Answer::Conflict(_)));
        assert!(matches!(answer(201, None, "{}"), Answer::Accepted(_)));
    }

    #[test]
    fn a_server_may_ask_for_patience_but_not_for_ever() {
        let wait = |seconds| match answer(429, seconds, "Too many requests") {
            Answer::Unclear { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(Some(7)), Duration::from_secs(7));
        assert_eq!(wait(None), SETTLE);
        assert_eq!(wait(Some(1 << 40)), MOST_WAIT);
    }
}
