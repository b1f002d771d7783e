//! The simulated cluster as the operator's world. Its futures are always ready, but for one that never is:
//! that of a write after which the operator is killed.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use super::chance;
use super::cluster::{Cluster, Incoming, Key, Live};
use super::history::{Happening, Observer};
use super::search;
use super::writes::RETRY_AFTER;
use crate::decide::{Action, Fact, Observed, Outcome, PodsOf, Report, Search, World};
use crate::model::{Earlier, Millis, Problem, Solution};

/// How far a lagging watch lags.
const LAG: Duration = Duration::from_millis(500);

/// The API server does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API server does not answer")]
pub struct Unreachable;

impl World for Cluster {
    type Error = Unreachable;

    async fn observe(&mut self) -> Result<Observed, Unreachable> {
        if self.strikes(self.options.faults.unreachable, "unreachable") {
            return Err(Unreachable);
        }
        self.watch();
        let of_interest = self
            .view
            .values()
            .filter(|pod| pod.own.is_some() || !pod.is_finished());
        Ok(Observed {
            now: self.clock(self.now),
            batches: self.seen_batches.values().cloned().collect(),
            nodes: self.seen_nodes.clone(),
            pods: of_interest.cloned().collect(),
            priorities: self.options.priorities.clone(),
            share: self.options.share,
        })
    }

    async fn look_past_watch(&mut self, copies: &[PodsOf]) -> Result<bool, Unreachable> {
        if self.strikes(
            self.options.faults.unreachable,
            "unreachable past the watch",
        ) {
            return Err(Unreachable);
        }
        let is_new = |(key, live): &(&Key, &Live)| {
            copies.iter().any(|copy| copy.contain(&live.read)) && !self.view.contains_key(*key)
        };
        let new = self.pods.iter().filter(is_new);
        let new: Vec<Key> = new.map(|(key, _)| key.clone()).collect();
        new.iter().for_each(|key| self.seen(key));
        Ok(!new.is_empty())
    }

    async fn solve(
        &mut self,
        problem: &Problem,
        search: &Search,
        earlier: Option<&Earlier>,
    ) -> (Solution, Duration) {
        let solution = search::search(problem, search, earlier, self.options.iterations);
        (solution, Duration::ZERO)
    }

    async fn act(&mut self, actions: &[Action]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(actions.len());
        for (index, action) in actions.iter().enumerate() {
            if self.is_killed_before_write() {
                self.leave_in_flight(&actions[index..]);
                pending::<()>().await;
            }
            outcomes.push(self.carry_out(action));
            if self.is_killed_after_write() {
                self.leave_in_flight(&actions[index + 1..]);
                pending::<()>().await;
            }
        }
        outcomes
    }

    async fn report(&mut self, report: Report) {
        for new in report.statuses {
            if self.strikes(self.options.faults.request_lost, "status lost") {
                // The next round finds the old status and tells it again; the world sees to it that there is one.
                self.wake_after(RETRY_AFTER);
                continue;
            }
            if self.is_killed_before_write() {
                pending::<()>().await;
            }
            if self.write_status(&new) && self.is_killed_after_write() {
                pending::<()>().await;
            }
        }
        for event in report.events {
            self.tell(Happening::Told(event));
        }
    }

    fn note(&mut self, _: Fact<'_>) {}
}

impl Cluster {
    /// Another process takes over, which knows nothing.
    pub(super) fn restart(&mut self) {
        self.is_new = true;
        self.doubts.clear();
        self.tell(Happening::Crashed);
    }

    /// Brings the operator what its watches have to say. What it is in doubt about it looks up.
    fn watch(&mut self) {
        let is_new = std::mem::take(&mut self.is_new);
        if is_new {
            self.take_over();
        }
        let stale = self.options.faults.stale;
        let mut fresh = |what| is_new || !self.strikes(stale, what);
        let (pods, nodes, batches) = (fresh("stale"), fresh("stale nodes"), fresh("stale batches"));
        for doubt in std::mem::take(&mut self.doubts) {
            self.seen(&doubt);
        }
        if pods {
            let all = self.pods.iter();
            self.view = all
                .map(|(key, live)| (key.clone(), live.read.clone()))
                .collect();
        }
        if nodes {
            self.seen_nodes = self.nodes().map(Arc::clone).collect();
        }
        if batches {
            self.seen_batches = self.batches.clone();
        }
        if !(pods && nodes && batches) {
            self.wake_after(LAG);
        }
        self.tell(Happening::Observed { pods, nodes });
    }

    /// A new operator writes on every pod that an earlier one left unbound: bindings of that one, which name the
    /// version that it has seen, fail from then on.
    fn take_over(&mut self) {
        let unbound = |live: &Live| live.read.own.is_some() && live.read.node.is_none();
        let left = self.pods.iter().filter(|(_, live)| unbound(live));
        for key in left.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.change_pod(&key, |_| {});
        }
    }

    pub(super) fn wake_after(&mut self, wait: Duration) {
        let wait = Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX);
        self.queue
            .push(self.now.saturating_add(wait), Incoming::Watch);
    }

    pub(super) fn strikes(&mut self, probability: f64, what: &str) -> bool {
        if probability <= 0.0 {
            return false;
        }
        let draw = self.next_draw();
        chance::happens(probability, self.options.seed, what, &draw)
    }
}

/// A simulated cluster with somebody who hears what the operator takes note of.
pub(super) struct Watched<'a, O> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) observer: &'a mut O,
}

impl<O: Observer> World for Watched<'_, O> {
    type Error = Unreachable;

    async fn observe(&mut self) -> Result<Observed, Unreachable> {
        self.cluster.observe().await
    }

    async fn look_past_watch(&mut self, copies: &[PodsOf]) -> Result<bool, Unreachable> {
        self.cluster.look_past_watch(copies).await
    }

    async fn solve(
        &mut self,
        problem: &Problem,
        search: &Search,
        earlier: Option<&Earlier>,
    ) -> (Solution, Duration) {
        self.cluster.solve(problem, search, earlier).await
    }

    async fn act(&mut self, actions: &[Action]) -> Vec<Outcome> {
        self.cluster.act(actions).await
    }

    async fn report(&mut self, report: Report) {
        self.cluster.report(report).await;
    }

    fn note(&mut self, fact: Fact<'_>) {
        self.observer.noted(self.cluster.now(), &fact);
    }
}
