//! Follows one kind of object: a list, then a watch from there, for ever.
//!
//! `kube::runtime::watcher` does the same but tells nothing of bookmarks and of connections made again.
//! Both are needed: bookmarks say how far the watch has come, which decides when our own writes have
//! been seen; and a cluster in which nothing happens must be told from one that is not heard any more.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use kube::api::{ListParams, WatchParams};
use kube::runtime::watcher::DefaultBackoff;
use tokio::time::{error::Elapsed, sleep, timeout};
use tracing::{debug, info, warn};

use super::kept::Kept;
use super::source::{CallError, Source};
use super::store::Feed;
use super::wire::Event;

/// Objects in a page of a list, as many as client-go asks for: 500 pods of a busy cluster are about 10 MB.
const PAGE: u32 = 500;
/// How long a page of a list may take.
const PAGE_LIMIT: Duration = Duration::from_secs(60);
/// Seconds after which the API server ends a watch, and we begin it again. It sends a bookmark before.
const WATCH_SECONDS: u32 = 60;
/// How long a watch may be silent before its connection counts as dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);
/// A watch that ends sooner and without an event is trouble, not the end of its time.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long at most a store may go without hearing of the API server, and still be believed.
pub const STALE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 45);

/// How often in a row a list may be older than what was seen of the API server, before it is believed: numbers
/// that went back for good are those of a restored backup, or of another store.
const MOST_OLD: u32 = 5;

/// Why a list or a watch broke off.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Call(CallError),
    #[error("no answer in time")]
    Timeout(#[from] Elapsed),
    #[error("the watch ended at once")]
    Empty,
    /// A replica of the API server, or a cache before it, that is behind.
    #[error("the list is older than what was seen before")]
    Old,
    /// The version to go on from is too old: list again.
    #[error("the history is gone")]
    Expired,
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(status) if status.code == 410 => Self::Expired,
            other => Self::Call(other),
        }
    }
}

/// Fills the store for ever.
pub async fn follow<K: Kept>(source: Source<K>, feed: &Feed<K>) {
    let kind = Source::<K>::kind();
    let mut backoff = DefaultBackoff::default();
    let mut from: Option<String> = None;
    let mut old = 0;
    loop {
        let outcome = match from.as_mut() {
            Some(version) => watch(&source, feed, version).await,
            None => {
                let listed = list(&source, feed, old >= MOST_OLD).await;
                listed.map(|version| from = Some(version))
            }
        };
        old = match outcome {
            Err(Trouble::Old) => old + 1,
            _ => 0,
        };
        match outcome {
            Ok(()) => {}
            Err(Trouble::Expired) => {
                debug!(%kind, "the history is gone; listing again");
                from = None;
            }
            Err(trouble) => {
                warn!(%kind, %trouble, "cannot follow");
                sleep(backoff.next().unwrap_or(SILENCE)).await;
            }
        }
    }
}

/// Lists all pages. A list without a resource version is a quorum read: never older than what was seen. One that
/// is older all the same would show work that is done as work to do, and is not taken over unless `believed`.
async fn list<K: Kept>(
    source: &Source<K>,
    feed: &Feed<K>,
    believed: bool,
) -> Result<String, Trouble> {
    let mut page = ListParams::default().limit(PAGE);
    feed.lock().begin();
    loop {
        let objects = timeout(PAGE_LIMIT, source.list(&page)).await??;
        feed.update(|store| {
            objects
                .items
                .into_iter()
                .for_each(|object| store.arrive(object));
            false
        });
        page.continue_token = Some(objects.metadata.token).filter(|token| !token.is_empty());
        if page.continue_token.is_none() {
            let version = objects.metadata.resource_version;
            if !believed && feed.lock().is_past(&version) {
                return Err(Trouble::Old);
            }
            feed.update(|store| store.complete(&version));
            let objects = feed.lock().objects().len();
            info!(kind = %Source::<K>::kind(), objects, "listed");
            return Ok(version);
        }
    }
}

/// Watches from a version on until the watch ends, and keeps the version up to date.
async fn watch<K: Kept>(
    source: &Source<K>,
    feed: &Feed<K>,
    version: &mut String,
) -> Result<(), Trouble> {
    let how = WatchParams {
        timeout: Some(WATCH_SECONDS),
        bookmarks: true,
        ..WatchParams::default()
    };
    let begun = Instant::now();
    let stream = timeout(PAGE_LIMIT, source.watch(&how, version)).await??;
    let mut stream = std::pin::pin!(stream);
    feed.update(|_| false);
    let mut events = 0u64;
    while let Some(event) = timeout(SILENCE, stream.try_next()).await?? {
        events += 1;
        match event {
            Event::Shown(object) => {
                object.version().clone_into(version);
                feed.update(|store| store.apply(object));
            }
            Event::Gone(object) => {
                object.version().clone_into(version);
                feed.update(|store| store.remove(&object));
            }
            Event::Bookmark(reached) => {
                feed.update(|store| {
                    store.reach(&reached);
                    false
                });
                *version = reached;
            }
            Event::Failed(status) => return Err(CallError::Refused(status).into()),
        }
    }
    if events == 0 && begun.elapsed() < SHORTEST {
        return Err(Trouble::Empty);
    }
    Ok(())
}
