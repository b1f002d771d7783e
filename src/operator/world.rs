//! A real cluster as the loop sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::Client;
use kube::api::ListParams;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::act::{Writer, pods};
use super::caches::{Blind, Caches, Unreadable};
use super::call::{self, Answer, Failure, send};
use super::facts;
use super::health::Health;
use super::lease::Freshness;
use super::metrics::Metrics;
use super::pace::Pace;
use super::report::Reporter;
use super::source::Source;
use super::wire;
use crate::cluster::ledger::{self, Key};
use crate::cluster::pod::Pod;
use crate::decide::{Action, Fact, ObjectId, Observed, Outcome, PodsOf, Report, Search, World};
use crate::model::{Earlier, Problem, Solution};
use crate::solver::{self, Budget, Improvement, Options};

/// How long a step may take that is no search, before the loop counts as stuck.
const STEP: Duration = Duration::from_secs(120);
/// How long a search may take, whatever its batch asks for: all other batches wait meanwhile.
const LONGEST_SEARCH: Duration = Duration::from_secs(300);
/// How many pods are looked up or taken over at once.
const LOOKUPS: usize = 16;
/// How long changes gather before we look whether they are ours.
const GATHER: Duration = Duration::from_millis(2);
/// How long to wait for a change before we look all the same.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why a round could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    /// We were told to stop while waiting for the cluster.
    #[error("told to stop")]
    Stopped,
    /// The caches are not to be believed.
    #[error(transparent)]
    Blind(#[from] Blind),
    /// What became of an earlier write cannot be found out.
    #[error("the pod {namespace}/{name} cannot be looked up: {failure}", namespace = .key.0, name = .key.1)]
    Unsettled {
        /// The pod.
        key: Key,
        /// Why not.
        failure: Failure,
    },
    /// Whether pods of an earlier attempt came late cannot be found out.
    #[error("the pods with {0} cannot be listed: {1}")]
    NotListed(String, String),
    /// A pod that an earlier leader left cannot be made ours.
    #[error("a pod of an earlier leader cannot be taken over: {0}")]
    NotTakenOver(Failure),
}

impl Unseen {
    /// How long the API server wants us to wait before the next round.
    pub fn retry_after(&self) -> Duration {
        match self {
            Unseen::Stopped | Unseen::Blind(_) | Unseen::NotListed(..) => Duration::ZERO,
            Unseen::Unsettled { failure, .. } | Unseen::NotTakenOver(failure) => {
                failure.retry_after
            }
        }
    }
}

/// A real cluster.
pub struct Live {
    /// For lookups.
    pub client: Client,
    /// For writes: cut off once we may not lead any more.
    pub writes: Client,
    /// What is known of the cluster.
    pub caches: Arc<Caches>,
    /// Whether we lead.
    pub freshness: Freshness,
    /// What Prometheus sees.
    pub metrics: Arc<Metrics>,
    /// What the probes see.
    pub health: Arc<Health>,
    /// Cuts searches and waits short.
    pub stop: CancellationToken,
    /// The name of this process.
    pub instance: String,
    /// When the next round may begin, and when it must.
    pub pace: Pace,
    /// Batches whose status may not be written before a moment.
    pub held: BTreeMap<ObjectId, Instant>,
    /// How long the last look at everything in the caches took.
    pub looked: Duration,
    /// What could not be read when we looked last: each trouble is told once.
    pub unreadable: BTreeSet<Unreadable>,
}

impl World for Live {
    type Error = Unseen;

    async fn observe(&mut self) -> Result<Observed, Unseen> {
        self.health.waits();
        while !self.caches.are_synced() {
            tokio::select! {
                () = self.caches.changed() => {}
                () = self.stop.cancelled() => return Err(Unseen::Stopped),
            }
        }
        self.health.is_ready_now();
        self.catch_up().await?;
        self.tell_unreadable();
        self.health.works(STEP);
        let begun = Instant::now();
        let observed = self.caches.observe(Timestamp::now());
        self.looked = begun.elapsed();
        let left = left_by_others(&observed, self.freshness.revision());
        if left.is_empty() {
            return Ok(observed);
        }
        self.take_over(&left).await?;
        Ok(self.caches.observe(Timestamp::now()))
    }

    async fn look_past_watch(&mut self, copies: &[PodsOf]) -> Result<bool, Unseen> {
        let lists = copies.iter().map(|copy| self.list(copy));
        let lists = stream::iter(lists.collect::<Vec<_>>()).buffer_unordered(LOOKUPS);
        let found: Vec<Vec<Pod>> = lists.try_collect().await?;
        let is_new = |pod: &Pod| {
            let known = self.caches.pod(&ledger::key(pod));
            known.is_none_or(|known| known.uid != pod.uid)
        };
        let new: Vec<Pod> = found.into_iter().flatten().filter(is_new).collect();
        let (is_any, now) = (!new.is_empty(), Timestamp::now());
        self.caches.ledger(|ledger| {
            new.into_iter()
                .for_each(|pod| ledger.present(Arc::new(pod), now))
        });
        Ok(is_any)
    }

    async fn solve(
        &mut self,
        problem: &Problem,
        search: &Search,
        earlier: Option<&Earlier>,
    ) -> (Solution, Duration) {
        let limit = match search.iterations {
            Some(_) => LONGEST_SEARCH,
            None => search.time_limit.min(LONGEST_SEARCH),
        };
        self.health.works(limit + STEP);
        let begun = Instant::now();
        let stop = self.stop.clone();
        let spent = || match stop.is_cancelled() {
            true => 1.0,
            false => begun.elapsed().as_secs_f64() / limit.as_secs_f64().max(f64::MIN_POSITIVE),
        };
        let solution = tokio::task::block_in_place(|| find_plan(problem, search, earlier, &spent));
        self.health.works(STEP);
        (solution, begun.elapsed())
    }

    async fn act(&mut self, actions: &[Action]) -> Vec<Outcome> {
        self.health
            .works(STEP + Duration::from_secs(actions.len() as u64));
        let outcomes = self.writer().act(actions).await;
        self.pace.acted(&outcomes, Instant::now());
        outcomes
    }

    async fn report(&mut self, report: Report) {
        let Report { statuses, events } = report;
        self.health
            .works(STEP + Duration::from_secs(statuses.len() as u64));
        if !self.freshness.may_write() {
            self.pace.no_later(Duration::from_secs(1), Instant::now());
            return;
        }
        let reporter = Reporter {
            client: &self.writes,
            freshness: &self.freshness,
            caches: &self.caches,
            instance: &self.instance,
        };
        // A change in between must not make us ask before a server that wants patience may be asked again.
        self.held.retain(|_, until| *until > Instant::now());
        let mut due = statuses;
        due.retain(|new| !self.held.contains_key(&new.batch));
        for (batch, wait) in reporter.statuses(due).await {
            self.held.insert(batch, Instant::now() + wait);
        }
        if let Some(first) = self.held.values().min() {
            let now = Instant::now();
            self.pace
                .no_later(first.saturating_duration_since(now), now);
        }
        // What is not in the status yet is news again in the next round, and then is the time to tell it.
        let mut told = events;
        told.retain(|event| !self.held.contains_key(&event.batch));
        reporter.events(&told).await;
    }

    fn note(&mut self, fact: Fact<'_>) {
        facts::note(&self.metrics, fact);
    }
}

impl Live {
    /// Waits until the watch has shown all that we wrote, and until nothing that we wrote is in doubt. What is planned
    /// and bound then stands on a view at least as new as our last write: a pod is bound on a view that is newer
    /// than the pod itself.
    async fn catch_up(&self) -> Result<(), Unseen> {
        loop {
            self.caches.are_fresh()?;
            self.settle().await?;
            if self.caches.have_seen_our_writes() {
                return Ok(());
            }
            // A change that does not ring still moves the watch on, so we look again after a while.
            tokio::select! {
                () = self.caches.changed() => sleep(GATHER).await,
                () = sleep(LOOK_AGAIN) => {}
                () = self.stop.cancelled() => return Err(Unseen::Stopped),
            }
        }
    }

    /// Writes our revision on every pod that an earlier leader left unbound. After that its bindings fail, also
    /// those that are still under way: they name the version of the pod that it has seen.
    async fn take_over(&self, pods: &[Arc<Pod>]) -> Result<(), Unseen> {
        let writer = self.writer();
        let writes: Vec<_> = pods.iter().map(|pod| writer.take_over(pod)).collect();
        let writes = stream::iter(writes).buffer_unordered(LOOKUPS);
        let done: Vec<_> = writes.collect().await;
        let failures = done.into_iter().filter_map(Result::err);
        match failures.max_by_key(|failure| failure.retry_after) {
            Some(failure) => Err(Unseen::NotTakenOver(failure)),
            None => Ok(()),
        }
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            client: &self.writes,
            caches: &self.caches,
            freshness: &self.freshness,
        }
    }

    /// Looks up every pod of which we do not know what became of our write.
    async fn settle(&self) -> Result<(), Unseen> {
        let due = self
            .caches
            .ledger(|ledger| ledger.overdue(Timestamp::now()));
        let lookups = stream::iter(due).map(|key| self.look_up(key));
        lookups
            .buffer_unordered(LOOKUPS)
            .try_for_each(|()| ready(Ok(())))
            .await
    }

    /// Asks the API server itself, which answers with nothing older than what was ever seen.
    async fn look_up(&self, key: Key) -> Result<(), Unseen> {
        let path = format!("{}/{}", pods(&key.0), key.1);
        let answer = send(&self.client, "GET", &path, None).await;
        let pod = match &answer {
            Answer::Accepted(body) => wire::object::<Pod>(body).ok(),
            _ => None,
        };
        let found = match (answer, pod) {
            (_, Some(pod)) => pod.reading.kept,
            (Answer::Missing, _) => None,
            (answer, _) => {
                let failure = answer.failure();
                return Err(Unseen::Unsettled { key, failure });
            }
        };
        let shown = self.caches.shown_pod(&key);
        let now = Timestamp::now();
        self.caches.ledger(|ledger| match (found, shown) {
            (Some(pod), _) => ledger.present(Arc::new(pod), now),
            (None, Some(shown)) => ledger.absent(key, shown.uid.clone(), now),
            (None, None) => ledger.forget(&key),
        });
        Ok(())
    }

    /// The pods of a copy, by a list that is older than nothing that was ever seen.
    async fn list(&self, copy: &PodsOf) -> Result<Vec<Pod>, Unseen> {
        let source = Source::<Pod>::new(self.client.clone(), Some(&copy.batch.namespace));
        let how = ListParams::default().labels(&copy.selector());
        let failed = |why: String| Unseen::NotListed(copy.selector(), why);
        // The watch goes on while the list is under way.
        let seen = self.caches.progress();
        let list = timeout(call::PATIENCE, source.list(&how)).await;
        let list = list.map_err(|late| failed(late.to_string()))?;
        let page = list.map_err(|error| failed(error.to_string()))?;
        let shown = ledger::revision(&page.metadata.resource_version);
        if shown.is_some_and(|shown| Some(shown) < seen) {
            return Err(failed("the list is older than what was seen before".into()));
        }
        let pods = page.items.into_iter().filter_map(|pod| pod.reading.kept);
        Ok(pods.filter(|pod| copy.contain(pod)).collect())
    }

    /// Tells once of each object that cannot be read. What is wrong with a batch may quote its spec,
    /// which belongs in no log.
    fn tell_unreadable(&mut self) {
        let found: BTreeSet<Unreadable> = self.caches.unreadable().into_iter().collect();
        for Unreadable { kind, key, trouble } in found.difference(&self.unreadable) {
            let (namespace, name) = key;
            if *kind == "TaskBatch" {
                warn!(kind, namespace, name, "left out: it cannot be read");
            } else {
                warn!(
                    kind,
                    namespace, name, trouble, "left out: it cannot be read"
                );
            }
        }
        if found != self.unreadable {
            self.metrics.unreadable(found.iter().map(|one| one.kind));
            self.unreadable = found;
        }
    }
}

/// Our pods that may still be bound or let go to kube-scheduler, and that another leader wrote last.
fn left_by_others(observed: &Observed, leader: u64) -> Vec<Arc<Pod>> {
    let batches = observed.batches.iter();
    let uids = batches.filter_map(|batch| batch.metadata.uid.as_deref());
    let uids: BTreeSet<&str> = uids.collect();
    let is_left = |pod: &&Arc<Pod>| {
        let own = pod.own.as_ref().filter(|own| own.leader != leader);
        own.is_some_and(|own| uids.contains(own.batch_uid.as_str()))
            && pod.node.is_none()
            && !pod.terminating
            && !pod.is_finished()
    };
    observed.pods.iter().filter(is_left).cloned().collect()
}

/// Searches on the threads of the machine. An earlier plan is only where the search starts: what it promised
/// stands in the pods.
fn find_plan(
    problem: &Problem,
    search: &Search,
    earlier: Option<&Earlier>,
    spent: &(dyn Fn() -> f64 + Sync),
) -> Solution {
    let options = Options {
        algorithm: search.algorithm,
        seed: search.seed,
        budget: Budget {
            iterations: search.iterations,
            spent,
        },
    };
    solver::solve(problem, &options, earlier, &mut |_: &Improvement| {})
}
