//! The outside checker: keeps the books from its own watches and from the audit log of the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{Stream, TryStreamExt};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use taskbatch::api::{Phase, TaskBatch};
use tokio::sync::watch as signal;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ControlPlane;
use super::audit::Audit;
use super::books::Books;
use super::sandbox::TEST_LABEL;

/// A checker at work; it stops when dropped.
pub(crate) struct Checker {
    client: Client,
    sheet: Arc<Sheet>,
    changed: signal::Receiver<()>,
    _watches: JoinSet<()>,
}

struct Sheet {
    noted: Mutex<Noted>,
    changed: signal::Sender<()>,
}

/// What was noted so far.
pub(crate) struct Noted {
    pub(crate) books: Books,
    batches: BTreeMap<(String, String), TaskBatch>,
    /// The uids of batches that were seen complete, also of those that are gone.
    complete: BTreeSet<String>,
    audit: Audit,
    trouble: Option<String>,
}

impl Checker {
    /// Begins to look. What was written before is not judged.
    pub(crate) fn start(cluster: &ControlPlane) -> Result<Self> {
        let client = cluster.client().clone();
        let noted = Noted {
            books: Books::default(),
            batches: BTreeMap::new(),
            complete: BTreeSet::new(),
            audit: Audit::from_now(cluster)?,
            trouble: None,
        };
        let (sender, changed) = signal::channel(());
        let sheet = Arc::new(Sheet {
            noted: Mutex::new(noted),
            changed: sender,
        });
        let mut watches = JoinSet::new();
        let pods = watch(Api::all(client.clone()), watcher::Config::default());
        watches.spawn(pods_of(pods.default_backoff(), sheet.clone()));
        let batches = watch(Api::all(client.clone()), watcher::Config::default());
        watches.spawn(batches_of(batches.default_backoff(), sheet.clone()));
        Ok(Self {
            client,
            sheet,
            changed,
            _watches: watches,
        })
    }

    /// The nodes of a sandbox are those of its operator.
    pub(crate) async fn nodes_of(&self, namespace: &str) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let ours = ListParams::default().labels(&format!("{TEST_LABEL}={namespace}"));
        for node in nodes.list(&ours).await? {
            self.sheet.lock().books.node(&node)?;
        }
        Ok(())
    }

    /// Waits until `probe` is content with what was noted, and says what it said last when `patience` is over.
    pub(crate) async fn until<T>(
        &self,
        patience: Duration,
        mut probe: impl FnMut(&Noted) -> Result<T>,
    ) -> Result<T> {
        let mut changed = self.changed.clone();
        let mut last = None;
        let waiting = async {
            loop {
                changed.mark_unchanged();
                match probe(&self.sheet.lock()) {
                    Ok(found) => return found,
                    Err(error) => last = Some(error),
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match timeout(patience, waiting).await {
            Ok(found) => Ok(found),
            Err(_) => {
                let last = last.unwrap_or_else(|| anyhow::anyhow!("nothing was noted"));
                Err(last.context(format!("still not so after {patience:?}")))
            }
        }
    }

    /// An error if anything has gone wrong in this namespace, once all that was written so far is noted.
    pub(crate) async fn all_is_well(&self, namespace: &str) -> Result<()> {
        self.catch_up(namespace).await?;
        let noted = self.sheet.lock();
        let wrong = noted.books.wrong(namespace);
        ensure!(wrong.is_empty(), "{wrong:#?}");
        if let Some(trouble) = &noted.trouble {
            anyhow::bail!("the checker is blind: {trouble}");
        }
        Ok(())
    }

    /// Waits until the books have all pods of the namespace that the API server has now, and no others, and
    /// the audit log to its end.
    pub(crate) async fn catch_up(&self, namespace: &str) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        super::eventually(super::seconds(20), async || {
            let there = pods.list_metadata(&ListParams::default()).await?;
            let there: BTreeSet<String> = there.iter().filter_map(ResourceExt::uid).collect();
            let known = self.sheet.lock().books.uids();
            ensure!(there.is_subset(&known), "the watch of pods is late");
            Ok(())
        })
        .await?;
        self.sheet.lock().read_on()
    }

    /// How many writes a sender has made so far, leases aside, and the newest ones of them.
    pub(crate) fn writes(&self, sender: &str) -> Result<(usize, Vec<String>)> {
        let mut noted = self.sheet.lock();
        noted.read_on()?;
        let writes = noted.books.writes(sender);
        let newest = writes.iter().rev().take(5).map(|write| write.shown());
        Ok((writes.len(), newest.collect()))
    }

    /// Looks at what was noted.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Noted) -> T) -> T {
        look(&self.sheet.lock())
    }
}

impl Noted {
    /// A batch as the API server holds it.
    pub(crate) fn batch(&self, namespace: &str, name: &str) -> Option<&TaskBatch> {
        self.batches.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Whether the batch of this uid was ever seen complete.
    pub(crate) fn was_complete(&self, uid: &str) -> bool {
        self.complete.contains(uid)
    }

    fn batch_seen(&mut self, batch: TaskBatch) {
        let phase = batch.status.as_ref().and_then(|status| status.phase);
        if phase == Some(Phase::Complete) {
            self.complete.extend(batch.uid());
        }
        let key = (batch.namespace().unwrap_or_default(), batch.name_any());
        self.batches.insert(key, batch);
    }

    fn read_on(&mut self) -> Result<()> {
        for write in self.audit.news()? {
            self.books.write(write);
        }
        Ok(())
    }
}

impl Sheet {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Noted) -> Result<()>) {
        let mut noted = self.lock();
        if let Err(error) = change(&mut noted) {
            noted.trouble = Some(format!("{error:#}"));
        }
        drop(noted);
        self.changed.send_replace(());
    }
}

async fn pods_of(events: impl Stream<Item = watcher::Result<Event<Pod>>>, sheet: Arc<Sheet>) {
    let mut events = std::pin::pin!(events);
    let mut list = Vec::new();
    loop {
        match events.try_next().await {
            Ok(Some(Event::Apply(pod))) => sheet.note(|noted| noted.books.pod(&pod)),
            Ok(Some(Event::Delete(pod))) => sheet.note(|noted| {
                noted.books.gone(&pod.uid().context("a pod without a uid")?);
                Ok(())
            }),
            Ok(Some(Event::Init)) => list.clear(),
            Ok(Some(Event::InitApply(pod))) => list.push(pod),
            Ok(Some(Event::InitDone)) => sheet.note(|noted| take_over(noted, &list)),
            Ok(None) => return sheet.note(|_| anyhow::bail!("the watch of pods has ended")),
            // It begins again by itself.
            Err(_) => {}
        }
    }
}

/// What changed between two watches is told in no order: first what sets room free, then what takes it.
fn take_over(noted: &mut Noted, list: &[Pod]) -> Result<()> {
    let there: BTreeSet<String> = list.iter().filter_map(ResourceExt::uid).collect();
    for uid in noted.books.uids().difference(&there) {
        noted.books.gone(uid);
    }
    let is_over = |pod: &&Pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    let (over, live): (Vec<&Pod>, Vec<&Pod>) = list.iter().partition(is_over);
    over.into_iter()
        .chain(live)
        .try_for_each(|pod| noted.books.pod(pod))
}

async fn batches_of(
    events: impl Stream<Item = watcher::Result<Event<TaskBatch>>>,
    sheet: Arc<Sheet>,
) {
    let mut events = std::pin::pin!(events);
    let key = |batch: &TaskBatch| (batch.namespace().unwrap_or_default(), batch.name_any());
    loop {
        match events.try_next().await {
            Ok(Some(Event::Apply(batch) | Event::InitApply(batch))) => sheet.note(|noted| {
                noted.batch_seen(batch);
                Ok(())
            }),
            Ok(Some(Event::Delete(batch))) => sheet.note(|noted| {
                noted.batches.remove(&key(&batch));
                Ok(())
            }),
            Ok(Some(Event::Init | Event::InitDone)) => {}
            Ok(None) => return sheet.note(|_| anyhow::bail!("the watch of batches has ended")),
            Err(_) => {}
        }
    }
}
