//! Everything that is known of the cluster: what the watches show, and what we wrote since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use kube::Client;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::kept::{Kept, Priority};
use super::source::Source;
use super::store::{Feed, lock};
use super::watch::{STALE, follow};
use crate::api::TaskBatch;
use crate::cluster::ledger::{Key, Ledger, revision};
use crate::cluster::pod::Pod;
use crate::cluster::snapshot::node_of;
use crate::decide::{ObjectId, Observed};
use crate::model::{Node, Priorities, Resources, Share};

/// The stores, and the ledger of our own writes beside them.
pub struct Caches {
    /// One store for each watched namespace, or one for all.
    batches: Vec<Arc<Feed<TaskBatch>>>,
    nodes: Arc<Feed<Node>>,
    pods: Arc<Feed<Pod>>,
    priorities: Arc<Feed<Priority>>,
    ledger: Mutex<Ledger>,
    /// Batches as the replies to our own status writes showed them, until the watch has caught up.
    written: Mutex<BTreeMap<Key, Arc<TaskBatch>>>,
    /// Labels that a node must have to be used.
    selector: BTreeMap<String, String>,
    /// The part of each node that batches may use together.
    share: Share,
    bell: Arc<Notify>,
    /// The watches; they end with the caches.
    _watches: JoinSet<()>,
}

/// An object that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreadable {
    /// Its kind.
    pub kind: &'static str,
    /// Namespace and name.
    pub key: Key,
    /// Why.
    pub trouble: String,
}

/// Why the cluster cannot be seen.
#[derive(Debug, thiserror::Error)]
pub enum Blind {
    /// A watch is silent for too long.
    #[error("the watch of {kind} is silent for more than {} s", STALE.as_secs())]
    Stale {
        /// What it watches.
        kind: &'static str,
    },
}

impl Caches {
    /// Begins to watch. Only the nodes with all the labels of the selector are used, each up to this share, and only
    /// the batches of the namespaces, where any are given. `since` is a resource version that the API server has
    /// reached: what is older is not believed.
    pub fn start(
        client: &Client,
        namespaces: &[String],
        (selector, share): (BTreeMap<String, String>, Share),
        since: &str,
    ) -> Self {
        let bell = Arc::new(Notify::new());
        let mut watches = JoinSet::new();
        let places = if namespaces.is_empty() {
            vec![None]
        } else {
            namespaces.iter().map(|name| Some(name.as_str())).collect()
        };
        let batches = places
            .into_iter()
            .map(|place| {
                fill(
                    &mut watches,
                    Source::new(client.clone(), place),
                    &bell,
                    since,
                )
            })
            .collect();
        Self {
            batches,
            nodes: fill(
                &mut watches,
                Source::new(client.clone(), None),
                &bell,
                since,
            ),
            pods: fill(
                &mut watches,
                Source::new(client.clone(), None),
                &bell,
                since,
            ),
            priorities: fill(
                &mut watches,
                Source::new(client.clone(), None),
                &bell,
                since,
            ),
            ledger: Mutex::default(),
            written: Mutex::default(),
            selector,
            share,
            bell,
            _watches: watches,
        }
    }

    /// Waits until something has changed.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Whether every kind was listed once.
    pub fn are_synced(&self) -> bool {
        self.batches.iter().all(|feed| feed.lock().is_synced())
            && self.nodes.lock().is_synced()
            && self.pods.lock().is_synced()
            && self.priorities.lock().is_synced()
    }

    /// Whether every watch is alive, as far as can be known.
    pub fn are_fresh(&self) -> Result<(), Blind> {
        for feed in &self.batches {
            fresh("TaskBatches", feed)?;
        }
        fresh("Nodes", &self.nodes)?;
        fresh("Pods", &self.pods)?;
        fresh("PriorityClasses", &self.priorities)
    }

    /// The ledger of our own writes.
    pub fn ledger<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        change(&mut lock(&self.ledger))
    }

    /// A pod as we know it.
    pub fn pod(&self, key: &Key) -> Option<Arc<Pod>> {
        let shown = self.pods.lock().objects().get(key).cloned();
        self.ledger(|ledger| ledger.look(key, shown.as_ref()))
    }

    /// A pod as the watch shows it.
    pub fn shown_pod(&self, key: &Key) -> Option<Arc<Pod>> {
        self.pods.lock().objects().get(key).cloned()
    }

    /// Whether the watch has shown every write of ours to a pod. Then it has also shown everything that happened to
    /// pods before them.
    pub fn have_seen_our_writes(&self) -> bool {
        let store = self.pods.lock();
        self.ledger(|ledger| ledger.confirm(store.objects(), store.progress()))
    }

    /// The newest revision up to which pods have been seen.
    pub fn progress(&self) -> Option<u64> {
        self.pods.lock().progress()
    }

    /// The reply to a status write: newer than what the watch has shown.
    pub fn wrote(&self, batch: TaskBatch) {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let key = (text(&batch.metadata.namespace), text(&batch.metadata.name));
        lock(&self.written).insert(key, Arc::new(batch));
    }

    /// Whether the watch shows this batch, and not another of its name.
    pub fn shows(&self, batch: &ObjectId) -> bool {
        let key = (batch.namespace.clone(), batch.name.clone());
        let is_it = |shown: &Arc<TaskBatch>| shown.metadata.uid.as_ref() == Some(&batch.uid);
        let mut feeds = self.batches.iter();
        feeds.any(|feed| feed.lock().objects().get(&key).is_some_and(is_it))
    }

    /// What the cluster holds now, our own writes included.
    pub fn observe(&self, now: Timestamp) -> Observed {
        let (pods, closed) = self.pods();
        let batches = self.batches();
        let nodes = self.nodes(&pods, &closed, &batches);
        Observed {
            now,
            batches,
            nodes,
            pods,
            priorities: self.priorities(),
            share: self.share,
        }
    }

    /// Everything that cannot be read.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        let mut found = Vec::new();
        for feed in &self.batches {
            troubles("TaskBatch", feed, &mut found);
        }
        troubles("Node", &self.nodes, &mut found);
        troubles("Pod", &self.pods, &mut found);
        troubles("PriorityClass", &self.priorities, &mut found);
        found
    }

    /// All pods, and the nodes of those whose requests cannot be read: nobody knows what is free there.
    fn pods(&self) -> (Vec<Arc<Pod>>, BTreeSet<String>) {
        let store = self.pods.lock();
        let pods = self.ledger(|ledger| ledger.overlay(store.objects(), store.progress()));
        let unread = store
            .troubles()
            .keys()
            .filter_map(|key| store.objects().get(key));
        let closed = unread
            .filter_map(|pod| node_of(pod))
            .map(str::to_owned)
            .collect();
        (pods, closed)
    }

    /// The nodes that may be used. Those that may not, but carry pods of ours or pods that keep others away, are there
    /// too, closed for more: the ones are not lost, and the others are heard in all of their zone.
    fn nodes(
        &self,
        pods: &[Arc<Pod>],
        closed: &BTreeSet<String>,
        batches: &[Arc<TaskBatch>],
    ) -> Vec<Arc<Node>> {
        let uids = batches
            .iter()
            .filter_map(|batch| batch.metadata.uid.as_deref());
        let uids: BTreeSet<&str> = uids.collect();
        let minded = pods.iter().filter(|pod| {
            let owner = pod.own.as_ref().map(|own| own.batch_uid.as_str());
            let is_ours = owner.is_some_and(|uid| uids.contains(uid));
            (is_ours || !pod.repels.is_empty()) && !pod.is_finished()
        });
        let carrying: BTreeSet<&str> = minded.filter_map(|pod| node_of(pod)).collect();
        let store = self.nodes.lock();
        let usable = |key: &Key, node: &Node| {
            !store.troubles().contains_key(key)
                && !closed.contains(&node.name)
                && self
                    .selector
                    .iter()
                    .all(|(label, value)| node.labels.get(label) == Some(value))
        };
        let mut nodes = Vec::with_capacity(store.objects().len());
        for (key, node) in store.objects() {
            if usable(key, node) {
                nodes.push(node.clone());
            } else if carrying.contains(node.name.as_str()) {
                let mut shut = Node::clone(node);
                shut.unschedulable = true;
                // Whatever a pod tolerates.
                shut.allocatable = Resources::default();
                nodes.push(Arc::new(shut));
            }
        }
        nodes
    }

    fn batches(&self) -> Vec<Arc<TaskBatch>> {
        let mut written = lock(&self.written);
        let mut batches = Vec::new();
        let mut waiting = BTreeSet::new();
        for feed in &self.batches {
            let store = feed.lock();
            for (key, shown) in store.objects() {
                let ours = written.get(key).filter(|ours| is_newer(ours, shown));
                if ours.is_some() {
                    waiting.insert(key.clone());
                }
                batches.push(ours.unwrap_or(shown).clone());
            }
        }
        written.retain(|key, _| waiting.contains(key));
        batches
    }

    fn priorities(&self) -> Priorities {
        let store = self.priorities.lock();
        let classes = store.objects().iter();
        classes
            .map(|((_, name), class)| (name.as_str(), class.value, class.is_default))
            .collect()
    }
}

/// Whether a batch that we wrote is newer than the one of the same name that the watch shows.
fn is_newer(ours: &TaskBatch, shown: &TaskBatch) -> bool {
    let version = |batch: &TaskBatch| {
        batch
            .metadata
            .resource_version
            .as_deref()
            .and_then(revision)
    };
    ours.metadata.uid == shown.metadata.uid
        && matches!((version(ours), version(shown)), (Some(ours), Some(shown)) if ours > shown)
}

fn fill<K: Kept>(
    watches: &mut JoinSet<()>,
    source: Source<K>,
    bell: &Arc<Notify>,
    since: &str,
) -> Arc<Feed<K>> {
    let feed = Arc::new(Feed::new(bell.clone()));
    feed.lock().reach(since);
    let filled = feed.clone();
    watches.spawn(async move { follow(source, &filled).await });
    feed
}

fn fresh<K: Kept>(kind: &'static str, feed: &Feed<K>) -> Result<(), Blind> {
    match feed.lock().silence() {
        Some(silence) if silence > STALE => Err(Blind::Stale { kind }),
        _ => Ok(()),
    }
}

fn troubles<K: Kept>(kind: &'static str, feed: &Feed<K>, found: &mut Vec<Unreadable>) {
    let store = feed.lock();
    found.extend(store.troubles().iter().map(|(key, trouble)| Unreadable {
        kind,
        key: key.clone(),
        trouble: trouble.clone(),
    }));
}
