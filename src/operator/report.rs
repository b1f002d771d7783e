//! Statuses and events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as Object;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::{Client, Resource};
use serde_json::json;
use tracing::{debug, warn};

use super::act::batch_path;
use super::caches::Caches;
use super::call::{Answer, Content, send};
use super::lease::Freshness;
use super::wire;
use crate::api::TaskBatch;
use crate::decide::{Event, NewStatus, ObjectId};

/// How many statuses or events are under way at once.
const AT_ONCE: usize = 16;
/// The most events of one round: what thousands of batches have to say at once is not worth a flood.
const MOST_EVENTS: usize = 200;
/// The API server takes 1024 bytes at most.
const NOTE: usize = 1024;
/// How soon a status that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How soon a status that the server refuses is tried again.
const REFUSED: Duration = Duration::from_secs(60);

/// What reports need.
pub struct Reporter<'a> {
    /// Must not retry by itself.
    pub client: &'a Client,
    /// Whether we lead.
    pub freshness: &'a Freshness,
    /// Where the replies go.
    pub caches: &'a Caches,
    /// The name of this process, on events.
    pub instance: &'a str,
}

impl Reporter<'_> {
    /// Writes the statuses. Returns the batches whose status could not be written, and how long to wait before
    /// the next try; a later round makes the status anew, since it will still differ from what the cluster holds.
    pub async fn statuses(&self, statuses: Vec<NewStatus>) -> Vec<(ObjectId, Duration)> {
        let writes = stream::iter(statuses).map(|new| async move {
            let again = self.status(&new).await;
            again.map(|wait| (new.batch, wait))
        });
        let again = writes
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready);
        again.collect().await
    }

    /// Replaces the whole status of exactly this batch in exactly this version.
    async fn status(&self, new: &NewStatus) -> Option<Duration> {
        let NewStatus {
            batch,
            resource_version,
            status,
        } = new;
        if !self.freshness.may_write() {
            return Some(AGAIN);
        }
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": batch.uid},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/status", "value": status},
        ]);
        let path = format!("{}/status", batch_path(batch));
        match send(self.client, "PATCH", &path, Some(Content::patch(&patch))).await {
            Answer::Accepted(body) => {
                let written = wire::object::<TaskBatch>(&body);
                if let Some(batch) = written.ok().and_then(|batch| batch.reading.kept) {
                    self.caches.wrote(batch);
                }
                None
            }
            // It is gone, or changes right now: the watch tells. Another batch of the name fails the test.
            Answer::Missing | Answer::Conflict(_) => None,
            Answer::Refused(_) if !self.caches.shows(batch) => None,
            Answer::Refused(_) => {
                warn!(
                    namespace = batch.namespace,
                    batch = batch.name,
                    "the API server refuses the status"
                );
                Some(REFUSED)
            }
            Answer::Unclear { retry_after, why } => {
                debug!(
                    namespace = batch.namespace,
                    batch = batch.name,
                    why,
                    "the status could not be written"
                );
                Some(retry_after.max(AGAIN))
            }
        }
    }

    /// Publishes events, as far as the server takes them: they are a courtesy.
    pub async fn events(&self, events: &[Event]) {
        if events.len() > MOST_EVENTS {
            warn!(
                dropped = events.len() - MOST_EVENTS,
                "too many events in one round"
            );
        }
        let wanted = events.iter().take(MOST_EVENTS);
        let writes: Vec<_> = wanted.map(|event| self.event(event)).collect();
        let writes = stream::iter(writes).buffer_unordered(AT_ONCE);
        writes.collect::<()>().await;
    }

    async fn event(&self, event: &Event) {
        let namespace = &event.batch.namespace;
        if !self.freshness.may_write() {
            return;
        }
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        let content = Content::json(&self.object(event));
        let answer = send(self.client, "POST", &path, Some(content)).await;
        if !matches!(answer, Answer::Accepted(_)) {
            debug!(namespace, ?answer, "an event could not be published");
        }
    }

    fn object(&self, event: &Event) -> Object {
        let now = Timestamp::now();
        let batch = &event.batch;
        Object {
            metadata: ObjectMeta {
                name: Some(event_name(&batch.name, now)),
                namespace: Some(batch.namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some(event.action.into()),
            reason: Some(event.reason.as_str().into()),
            note: Some(cut(&event.note, NOTE).into()),
            type_: Some(if event.warning { "Warning" } else { "Normal" }.into()),
            event_time: Some(MicroTime(now)),
            regarding: Some(ObjectReference {
                api_version: Some(TaskBatch::api_version(&()).into_owned()),
                kind: Some(TaskBatch::kind(&()).into_owned()),
                name: Some(batch.name.clone()),
                namespace: Some(batch.namespace.clone()),
                uid: Some(batch.uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(format!("{}/operator", crate::api::GROUP)),
            reporting_instance: Some(cut(self.instance, 128).into()),
            ..Object::default()
        }
    }
}

/// A name that no other event has: the time and a count of this process.
fn event_name(batch: &str, now: Timestamp) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) & 0xffff;
    let batch = cut(batch, 200).trim_end_matches(['.', '-']);
    format!("{batch}.{:x}{count:04x}", now.as_nanosecond())
}

/// The beginning of a text, at most this many bytes of it.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        assert_eq!(cut("short", 1024), "short");
        assert_eq!(cut("grün", 3), "gr");
        assert_eq!(cut("grün", 4), "grü");
    }

    #[test]
    fn two_events_of_one_moment_have_two_names() {
        let now = Timestamp::UNIX_EPOCH;
        assert_ne!(event_name("b", now), event_name("b", now));
        assert!(event_name(&"b".repeat(253), now).len() <= 253);
    }
}
