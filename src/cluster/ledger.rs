//! What we wrote to pods and the watch has not shown yet, so that a round sees its own writes.
//!
//! An entry holds until the watch has caught up with it. Resource versions of one kind are compared as
//! numbers (KEP-5504); where they are none, the lookup of entries that grow old takes their place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::pod::Pod;

/// Namespace and name.
pub type Key = (String, String);

/// How long an entry may wait for the watch before it is looked up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What we know of pods beyond what the watch has shown.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<Key, Entry>,
    doubted: Option<Timestamp>,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    since: Timestamp,
}

#[derive(Debug)]
enum Known {
    /// The pod as a write or a lookup left it.
    Present(Arc<Pod>),
    /// The pod of this uid is gone.
    Absent(String),
    /// A write may have been carried out or not; only a lookup tells.
    Doubtful,
}

impl Ledger {
    /// The server holds this pod: it answered a create or a lookup with it.
    pub fn present(&mut self, pod: Arc<Pod>, now: Timestamp) {
        self.put(key(&pod), Known::Present(pod), now);
    }

    /// The server has bound this pod.
    pub fn bound(&mut self, pod: &Pod, node: &str, now: Timestamp) {
        let mut bound = pod.clone();
        bound.node = Some(node.to_owned());
        self.present(Arc::new(bound), now);
    }

    /// The server deletes this pod.
    pub fn deleted(&mut self, pod: &Pod, now: Timestamp) {
        let mut going = pod.clone();
        going.terminating = true;
        self.present(Arc::new(going), now);
    }

    /// The server does not hold the pod of this uid any more.
    pub fn absent(&mut self, key: Key, uid: String, now: Timestamp) {
        self.put(key, Known::Absent(uid), now);
    }

    /// What became of a write to this pod is not known.
    pub fn doubt(&mut self, key: Key, now: Timestamp) {
        self.doubted = Some(now);
        self.put(key, Known::Doubtful, now);
    }

    /// When the last write was given up of which nobody knows what became: it may be carried out later, even where a
    /// lookup has found nothing.
    pub fn doubted(&self) -> Option<Timestamp> {
        self.doubted
    }

    /// Forgets what is known beyond the watch.
    pub fn forget(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// What must be looked up before anything is planned: doubtful entries, and those that the watch
    /// should have shown long ago.
    pub fn overdue(&self, now: Timestamp) -> Vec<Key> {
        let is_due = |entry: &Entry| {
            matches!(entry.known, Known::Doubtful)
                || now.duration_since(entry.since).unsigned_abs() >= PATIENCE
        };
        let due = self.entries.iter().filter(|(_, entry)| is_due(entry));
        due.map(|(key, _)| key.clone()).collect()
    }

    /// Forgets what the watch has caught up with; whether that is all. `progress` is the newest revision that the
    /// watch is known to have reached.
    pub fn confirm(&mut self, shown: &BTreeMap<Key, Arc<Pod>>, progress: Option<u64>) -> bool {
        self.entries
            .retain(|key, entry| !entry.known.is_caught_up(shown.get(key), progress));
        self.entries.is_empty()
    }

    /// The pod of this name as we know it, given what the watch shows of it.
    pub fn look(&self, key: &Key, shown: Option<&Arc<Pod>>) -> Option<Arc<Pod>> {
        match self.entries.get(key) {
            Some(entry) => entry.known.over(shown),
            None => shown.cloned(),
        }
    }

    /// Forgets what the watch has caught up with, and lays the rest over what the watch shows.
    pub fn overlay(
        &mut self,
        shown: &BTreeMap<Key, Arc<Pod>>,
        progress: Option<u64>,
    ) -> Vec<Arc<Pod>> {
        self.confirm(shown, progress);
        let mut pods: Vec<Arc<Pod>> = Vec::with_capacity(shown.len() + self.entries.len());
        for (key, pod) in shown {
            pods.extend(self.look(key, Some(pod)));
        }
        let unseen = self
            .entries
            .iter()
            .filter(|(key, _)| !shown.contains_key(*key));
        pods.extend(unseen.filter_map(|(_, entry)| entry.known.over(None)));
        pods
    }

    fn put(&mut self, key: Key, known: Known, since: Timestamp) {
        self.entries.insert(key, Entry { known, since });
    }
}

impl Known {
    fn is_caught_up(&self, shown: Option<&Arc<Pod>>, progress: Option<u64>) -> bool {
        match self {
            Known::Doubtful => false,
            Known::Absent(uid) => shown.is_none_or(|pod| pod.uid != *uid),
            Known::Present(pod) => match shown {
                Some(shown) if shown.uid == pod.uid => {
                    is_as_new(shown, pod)
                        && (pod.node.is_none() || shown.node.is_some())
                        && (!pod.terminating || shown.terminating)
                }
                // Nothing, or another pod of that name: is the watch past our pod, or not there yet?
                _ => match (progress, revision(&pod.resource_version)) {
                    (Some(reached), Some(wanted)) => reached >= wanted,
                    _ => false,
                },
            },
        }
    }

    /// What the pod is, given what the watch shows of it and what it has not shown yet.
    fn over(&self, shown: Option<&Arc<Pod>>) -> Option<Arc<Pod>> {
        match self {
            Known::Doubtful => shown.cloned(),
            Known::Absent(uid) => shown.filter(|pod| pod.uid != *uid).cloned(),
            Known::Present(pod) => match shown {
                Some(shown) if shown.uid == pod.uid && is_as_new(shown, pod) => {
                    let mut newer = Pod::clone(shown);
                    newer.node = newer.node.or_else(|| pod.node.clone());
                    newer.terminating |= pod.terminating;
                    Some(Arc::new(newer))
                }
                _ => Some(pod.clone()),
            },
        }
    }
}

/// The number in a resource version.
pub fn revision(resource_version: &str) -> Option<u64> {
    resource_version.parse().ok()
}

/// Whether one state of a pod is at least as new as another. Versions that are no numbers tell nothing:
/// then the watch is believed.
fn is_as_new(one: &Pod, other: &Pod) -> bool {
    match (
        revision(&one.resource_version),
        revision(&other.resource_version),
    ) {
        (Some(one), Some(other)) => one >= other,
        _ => true,
    }
}

/// Namespace and name of a pod.
pub fn key(pod: &Pod) -> Key {
    (pod.namespace.clone(), pod.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod::PodPhase;
    use crate::model::Resources;

    fn pod(uid: &str, version: &str) -> Arc<Pod> {
        Arc::new(Pod {
            namespace: "ns".into(),
            name: "p".into(),
            uid: uid.into(),
            resource_version: version.into(),
            node: None,
            nominated: None,
            repels: Vec::new(),
            requests: Resources::default(),
            phase: PodPhase::Pending,
            terminating: false,
            created: None,
            own: None,
        })
    }

    fn on(node: &str, pod: &Arc<Pod>) -> Arc<Pod> {
        let mut bound = Pod::clone(pod);
        bound.node = Some(node.into());
        Arc::new(bound)
    }

    fn showing(pods: &[&Arc<Pod>]) -> BTreeMap<Key, Arc<Pod>> {
        pods.iter().map(|pod| (key(pod), Arc::clone(pod))).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_created_pod_is_there_before_the_watch_shows_it_and_once_only_after() {
        let mut ledger = Ledger::default();
        let mine = pod("a", "10");
        ledger.present(mine.clone(), at(0));
        assert_eq!(
            ledger.overlay(&showing(&[]), Some(9)),
            std::slice::from_ref(&mine)
        );
        assert_eq!(
            ledger.overlay(&showing(&[&mine]), Some(10)),
            std::slice::from_ref(&mine)
        );
        assert!(ledger.entries.is_empty());
    }

    #[test]
    fn a_created_pod_that_was_deleted_before_the_watch_got_here_is_gone() {
        let mut ledger = Ledger::default();
        ledger.present(pod("a", "10"), at(0));
        assert!(ledger.overlay(&showing(&[]), Some(12)).is_empty());
    }

    #[test]
    fn an_older_pod_of_the_same_name_gives_way_and_a_newer_one_stays() {
        let mut ledger = Ledger::default();
        let (old, mine, newer) = (pod("old", "5"), pod("a", "10"), pod("new", "14"));
        ledger.present(mine.clone(), at(0));
        assert_eq!(ledger.overlay(&showing(&[&old]), Some(9)), [mine]);
        assert_eq!(ledger.overlay(&showing(&[&newer]), Some(14)), [newer]);
        assert!(ledger.entries.is_empty());
    }

    #[test]
    fn a_bound_pod_keeps_its_node_until_the_watch_shows_one() {
        let mut ledger = Ledger::default();
        let (seen, touched) = (pod("a", "10"), pod("a", "11"));
        ledger.bound(&seen, "n1", at(0));
        assert_eq!(
            ledger.overlay(&showing(&[&seen]), Some(10)),
            [on("n1", &seen)]
        );
        // A change that came before the binding: newer than what we bound, still without a node.
        assert_eq!(
            ledger.overlay(&showing(&[&touched]), Some(11)),
            [on("n1", &touched)]
        );
        let bound = on("n1", &pod("a", "12"));
        assert_eq!(ledger.overlay(&showing(&[&bound]), Some(12)), [bound]);
        assert!(ledger.entries.is_empty());
    }

    #[test]
    fn a_deleted_pod_is_terminating_until_the_watch_shows_it_so_or_not_at_all() {
        let mut ledger = Ledger::default();
        let seen = pod("a", "10");
        ledger.deleted(&seen, at(0));
        assert!(ledger.overlay(&showing(&[&seen]), Some(10))[0].terminating);
        assert!(ledger.overlay(&showing(&[]), Some(11)).is_empty());
        assert!(ledger.entries.is_empty());
    }

    #[test]
    fn a_pod_that_a_lookup_did_not_find_is_hidden_until_the_watch_loses_it() {
        let mut ledger = Ledger::default();
        let seen = pod("a", "10");
        ledger.absent(key(&seen), "a".into(), at(0));
        assert!(ledger.overlay(&showing(&[&seen]), Some(10)).is_empty());
        let other = pod("b", "12");
        assert_eq!(ledger.overlay(&showing(&[&other]), Some(12)), [other]);
    }

    #[test]
    fn doubtful_and_old_entries_are_looked_up() {
        let mut ledger = Ledger::default();
        ledger.doubt(("ns".into(), "doubtful".into()), at(100));
        ledger.present(pod("a", "10"), at(100));
        assert_eq!(ledger.overdue(at(100)), [("ns".into(), "doubtful".into())]);
        assert_eq!(ledger.overdue(at(130)).len(), 2);
        // A lookup starts the wait again.
        ledger.present(pod("a", "10"), at(130));
        ledger.forget(&("ns".into(), "doubtful".into()));
        assert!(ledger.overdue(at(131)).is_empty());
    }

    #[test]
    fn versions_that_are_no_numbers_leave_it_to_the_watch_and_the_lookup() {
        let mut ledger = Ledger::default();
        let mine = pod("a", "x-10");
        ledger.present(mine.clone(), at(0));
        assert_eq!(
            ledger.overlay(&showing(&[]), None),
            std::slice::from_ref(&mine)
        );
        assert_eq!(ledger.overdue(at(31)).len(), 1);
        assert_eq!(ledger.overlay(&showing(&[&mine]), None).len(), 1);
        assert!(ledger.entries.is_empty());
    }
}
