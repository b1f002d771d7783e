//! The operator's loop against a simulated cluster: a round, then time passes up to the next event.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::cluster::Cluster;
use super::history::Observer;
use super::world::Watched;
use crate::decide::{self, Memory};
use crate::model::Millis;

/// From the kill of the operator until the next one has the lease and a view.
const RESTART: Duration = Duration::from_secs(2);
/// How soon an operator that cannot read the cluster tries again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// More rounds than this without time passing are a hot loop.
const MOST_ROUNDS_AT_ONCE: u64 = 1000;

/// Why a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing can change any more, unless somebody changes it.
    Settled,
    /// Virtual time is up.
    TimeUp,
    /// The operator writes again and again although nothing happens: a hot loop.
    Spinning,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Why it stopped.
    pub end: End,
    /// When, in virtual time.
    pub at: Millis,
    /// How many rounds the operator made.
    pub rounds: u64,
    /// How often it was killed.
    pub crashes: u64,
}

/// Runs the operator against the cluster until nothing can change any more, or virtual time is up.
/// A killed operator loses its memory and goes on.
pub fn run<O: Observer>(
    cluster: &mut Cluster,
    memory: &mut Memory,
    until: Millis,
    observer: &mut O,
) -> Ran {
    let mut ran = Ran {
        end: End::Settled,
        at: cluster.now(),
        rounds: 0,
        crashes: 0,
    };
    let mut at_once = 0;
    let mut seen = None;
    loop {
        tell(cluster, observer);
        let before = cluster.version();
        let round = one_round(cluster, memory, observer);
        ran.rounds += 1;
        ran.crashes += u64::from(round == Round::Killed);
        tell(cluster, observer);
        let changed = cluster.version() != before && round != Round::Killed;
        at_once = if seen == Some(cluster.now()) {
            at_once + 1
        } else {
            0
        };
        seen = Some(cluster.now());
        ran.at = cluster.now();
        ran.end = match next_moment(cluster, round.wait(), changed) {
            None => End::Settled,
            Some(next) if next > until => End::TimeUp,
            Some(_) if at_once > MOST_ROUNDS_AT_ONCE => End::Spinning,
            Some(next) => {
                observer.passes(cluster.now(), next);
                cluster.advance(next);
                continue;
            }
        };
        return ran;
    }
}

/// How a round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Done(Option<Duration>),
    Unreachable,
    Killed,
}

impl Round {
    fn wait(self) -> Option<Duration> {
        match self {
            Round::Done(wait) => wait,
            Round::Unreachable => Some(LOOK_AGAIN),
            Round::Killed => Some(RESTART),
        }
    }
}

fn one_round<O: Observer>(cluster: &mut Cluster, memory: &mut Memory, observer: &mut O) -> Round {
    let mut world = Watched {
        cluster: &mut *cluster,
        observer,
    };
    match poll_once(decide::round(&mut world, memory)) {
        Some(Ok(wait)) => Round::Done(wait),
        Some(Err(_)) => Round::Unreachable,
        None => {
            *memory = Memory::default();
            cluster.restart();
            Round::Killed
        }
    }
}

/// When the next round is: at once where this one wrote something, since its watch wakes the operator;
/// else when the next event or the end of the wait comes. `None`: never.
fn next_moment(cluster: &Cluster, wait: Option<Duration>, changed: bool) -> Option<Millis> {
    let now = cluster.now();
    if changed {
        return Some(now);
    }
    let wake = wait.map(|wait| {
        // Rounded up to whole ms, so that the moment has come when it looks again.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        now.saturating_add(Millis::try_from(millis).unwrap_or(Millis::MAX))
    });
    [cluster.next_event(), wake]
        .into_iter()
        .flatten()
        .min()
        .map(|next| next.max(now))
}

fn tell<O: Observer>(cluster: &mut Cluster, observer: &mut O) {
    for (at, happening) in cluster.take_history() {
        observer.happened(at, &happening);
    }
}

/// The output of a future that is ready; `None` where it will never be.
pub(super) fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
