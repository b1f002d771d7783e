//! The simulated cluster as the operator's world. Its futures are always ready, but for one that never is:
//! that of a write after which the operator is killed.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use super::chance;
use super::cluster::{Cluster, Incoming};
use super::history::{Happening, Observer};
use super::search;
use crate::decide::{Action, Fact, Observed, Outcome, Report, Search, World};
use crate::model::{Earlier, Millis, Problem, Solution};

/// How far a lagging watch lags.
const LAG: Duration = Duration::from_millis(500);
/// When to look again after a write of unknown outcome.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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
        let fresh = !self.strikes(self.options.faults.stale, "stale");
        if fresh {
            let pods = self.pods.iter();
            self.view = pods
                .map(|(key, live)| (key.clone(), live.read.clone()))
                .collect();
        } else {
            self.wake_after(LAG);
        }
        self.tell(Happening::Observed { fresh });
        let of_interest = self
            .view
            .values()
            .filter(|pod| pod.own.is_some() || !pod.is_finished());
        Ok(Observed {
            now: self.clock(self.now),
            batches: self.batches.values().cloned().collect(),
            nodes: self.nodes().map(Arc::clone).collect(),
            pods: of_interest.cloned().collect(),
            priorities: self.options.priorities.clone(),
        })
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
        for action in actions {
            outcomes.push(self.carry_out(action));
            if self.is_killed_after_write() {
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
    fn carry_out(&mut self, action: &Action) -> Outcome {
        let faults = &self.options.faults;
        let (request, reply, refused) = (faults.request_lost, faults.reply_lost, faults.refused);
        let unknown = Outcome::Unknown {
            retry_after: RETRY_AFTER,
        };
        if self.strikes(request, "request lost") {
            // The watch wakes nobody, since nothing happened; the operator must come back on its own.
            return unknown;
        }
        let outcome = match action {
            Action::Create(create) if self.strikes(refused, "refused") => Outcome::Refused {
                copy: create.copy.clone(),
                message: format!("pods {:?} is forbidden: exceeded quota", create.name),
            },
            Action::Create(create) => self.create(create),
            Action::Bind(bind) => self.bind(bind),
            Action::Release(release) => self.release(release),
            Action::TakeBack(it) => self.take_back(it),
            Action::Delete(delete) => self.delete(delete),
            Action::DeleteBatch(id) => self.delete_batch(id),
        };
        if self.strikes(reply, "reply lost") {
            unknown
        } else {
            outcome
        }
    }

    fn wake_after(&mut self, wait: Duration) {
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

    fn is_killed_after_write(&mut self) -> bool {
        self.writes += 1;
        self.options.faults.crash_after == Some(self.writes)
            || self.strikes(self.options.faults.crash, "crash")
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
