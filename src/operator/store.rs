//! What a watch has shown so far of one kind of object.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::kept::{Delivered, Kept};
use crate::cluster::ledger::{Key, revision};

/// The objects of one kind, as the newest list and the watch since then tell.
pub struct Store<K> {
    shown: Objects<K>,
    /// A list in the making: it takes the place of what is shown once it is complete.
    arriving: Option<Objects<K>>,
    progress: Option<u64>,
    heard: Option<Instant>,
    synced: bool,
}

struct Objects<K> {
    kept: BTreeMap<Key, Arc<K>>,
    troubles: BTreeMap<Key, String>,
}

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self {
            kept: BTreeMap::new(),
            troubles: BTreeMap::new(),
        }
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self {
            shown: Objects::default(),
            arriving: None,
            progress: None,
            heard: None,
            synced: false,
        }
    }
}

impl<K: Kept> Objects<K> {
    /// Puts an object in; whether that changed anything.
    fn put(&mut self, object: Delivered<K>) -> bool {
        let key = object.key().clone();
        let trouble = object.reading.trouble;
        let before = match &trouble {
            Some(trouble) => self.troubles.insert(key.clone(), trouble.clone()),
            None => self.troubles.remove(&key),
        };
        let same_trouble = before == trouble;
        let same = match (self.kept.get(&key), &object.reading.kept) {
            (Some(before), Some(kept)) => before.is_same(kept),
            (None, None) => true,
            _ => false,
        };
        match object.reading.kept {
            Some(kept) => self.kept.insert(key, Arc::new(kept)),
            None => self.kept.remove(&key),
        };
        !(same && same_trouble)
    }

    fn is_same(&self, other: &Self) -> bool {
        let mut pairs = self.kept.iter().zip(&other.kept);
        self.kept.len() == other.kept.len()
            && self.troubles == other.troubles
            && pairs.all(|((one, kept), (other, theirs))| one == other && kept.is_same(theirs))
    }
}

impl<K: Kept> Store<K> {
    /// A list begins.
    pub fn begin(&mut self) {
        self.arriving = Some(Objects::default());
    }

    /// An object of the list.
    pub fn arrive(&mut self, object: Delivered<K>) {
        self.arriving.get_or_insert_default().put(object);
    }

    /// The list is complete, as of this resource version; whether it changed anything.
    pub fn complete(&mut self, version: &str) -> bool {
        let arrived = self.arriving.take().unwrap_or_default();
        let changed = !self.synced || !self.shown.is_same(&arrived);
        self.shown = arrived;
        self.synced = true;
        // A list is the truth even where the numbers went back, as after a restored backup.
        self.progress = revision(version);
        changed
    }

    /// An object was created or changed; whether that matters.
    pub fn apply(&mut self, object: Delivered<K>) -> bool {
        self.reach(object.version());
        self.shown.put(object)
    }

    /// An object was deleted; whether that matters.
    pub fn remove(&mut self, object: &Delivered<K>) -> bool {
        self.reach(object.version());
        let key = object.key().clone();
        let known = self.shown.kept.remove(&key).is_some();
        self.shown.troubles.remove(&key).is_some() || known
    }

    /// The watch has reached this resource version.
    pub fn reach(&mut self, version: &str) {
        self.progress = self.progress.max(revision(version));
    }

    /// Whether the API server has been seen past this resource version.
    pub fn is_past(&self, version: &str) -> bool {
        matches!((self.progress, revision(version)), (Some(seen), Some(version)) if version < seen)
    }

    /// The API server was heard.
    pub fn hear(&mut self) {
        self.heard = Some(Instant::now());
    }

    /// Whether a list was complete once.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// How long the API server was not heard; `None`: never heard.
    pub fn silence(&self) -> Option<Duration> {
        self.heard.map(|last| last.elapsed())
    }

    /// The newest revision that the watch is known to have reached.
    pub fn progress(&self) -> Option<u64> {
        self.progress
    }

    /// The objects, by namespace and name.
    pub fn objects(&self) -> &BTreeMap<Key, Arc<K>> {
        &self.shown.kept
    }

    /// The objects that cannot be read, and why.
    pub fn troubles(&self) -> &BTreeMap<Key, String> {
        &self.shown.troubles
    }
}

/// A store that a watch fills, and the bell that it rings when something has changed.
pub struct Feed<K> {
    store: Mutex<Store<K>>,
    bell: Arc<Notify>,
}

impl<K: Kept> Feed<K> {
    /// An empty store.
    pub fn new(bell: Arc<Notify>) -> Self {
        Self {
            store: Mutex::default(),
            bell,
        }
    }

    /// The store, to read.
    pub fn lock(&self) -> MutexGuard<'_, Store<K>> {
        lock(&self.store)
    }

    /// Changes the store after the API server was heard; rings where that changed anything.
    pub fn update(&self, change: impl FnOnce(&mut Store<K>) -> bool) {
        let mut store = self.lock();
        store.hear();
        let changed = change(&mut store);
        drop(store);
        if changed {
            self.bell.notify_one();
        }
    }
}

/// Locks also after a panic elsewhere: every change of what is locked here is complete or not made.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::kept::Priority;
    use serde_json::json;

    fn class(name: &str, value: i64, version: &str) -> Delivered<Priority> {
        let object =
            json!({"metadata": {"name": name, "resourceVersion": version}, "value": value});
        serde_json::from_value(object).expect("delivered")
    }

    fn names(store: &Store<Priority>) -> Vec<&str> {
        store
            .objects()
            .keys()
            .map(|(_, name)| name.as_str())
            .collect()
    }

    #[test]
    fn a_list_takes_the_place_of_what_was_shown_only_when_it_is_complete() {
        let mut store = Store::default();
        store.begin();
        store.arrive(class("a", 1, "3"));
        assert!(!store.is_synced() && store.objects().is_empty());
        assert!(store.complete("4"));
        store.begin();
        store.arrive(class("b", 1, "6"));
        assert_eq!(names(&store), ["a"]);
        assert!(store.complete("7"));
        assert_eq!((names(&store), store.progress()), (vec!["b"], Some(7)));
    }

    #[test]
    fn what_is_older_than_anything_seen_of_the_server_is_told_from_what_is_not() {
        let mut store = Store::<Priority>::default();
        assert!(!store.is_past("4"), "nothing was seen");
        store.reach("7");
        assert!(store.is_past("4") && !store.is_past("7") && !store.is_past("8"));
        assert!(!store.is_past("x"), "no number tells nothing");
        store.complete("4");
        assert!(!store.is_past("4"), "it was believed in the end");
    }

    #[test]
    fn only_what_matters_rings() {
        let mut store = Store::default();
        store.begin();
        store.arrive(class("a", 1, "3"));
        store.complete("4");
        assert!(!store.apply(class("a", 1, "5")), "a new version alone");
        assert!(store.apply(class("a", 2, "6")));
        assert!(store.apply(class("b", 2, "7")));
        assert!(store.remove(&class("b", 2, "8")));
        assert!(!store.remove(&class("c", 2, "9")));
        assert_eq!(store.progress(), Some(9));
        store.begin();
        store.arrive(class("a", 2, "6"));
        assert!(!store.complete("10"), "a list that says the same");
    }

    #[test]
    fn an_object_that_cannot_be_read_is_remembered_until_it_can() {
        let mut store = Store::default();
        assert!(store.apply(class("a", 1 << 40, "5")));
        assert_eq!((store.troubles().len(), store.objects().len()), (1, 0));
        assert!(store.apply(class("a", 5, "6")));
        assert_eq!((store.troubles().len(), store.objects().len()), (0, 1));
    }
}
