//! The process in a cluster: the only place of the crate that talks to an API server.
//!
//! ```text
//! call      one request, with a time limit and an answer that says what is known after it
//! kept      what is kept of each kind of object, read as it arrives
//! store     what a watch has shown of one kind; watch fills it
//! caches    all stores and the ledger of our own writes: what a round observes
//! act       actions become requests, answers become outcomes
//! report    statuses and events
//! election  who leads, purely; lease does what it says; fence stops what it forbids
//! facts     what a round does and finds, in the log and in the metrics
//! world     all of this as the `World` of the loop
//! ```

mod act;
mod caches;
mod call;
mod clients;
mod election;
mod facts;
mod fence;
mod health;
mod http;
mod kept;
mod lease;
mod metrics;
mod pace;
mod report;
mod source;
mod store;
mod unmanaged;
mod watch;
mod wire;
mod world;

pub use clients::{Access, AccessError};

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::decide::{self, LATE, Memory};
use crate::model::{Share, Topology};
use caches::Caches;
use health::Health;
use http::Pages;
use lease::{Lease, Term};
use metrics::Metrics;
use pace::{Next, Pace};
use world::{Live, Unseen};

/// How long changes gather before a round looks at them.
const GATHER: Duration = Duration::from_millis(20);
/// After a look that took long, as at 100,000 pods, the loop rests this many times as long before it looks at what
/// others change. What a round makes of a look takes about as long again, so that no more than a quarter of a
/// processor goes to watching others work.
const REST: u32 = 6;
/// The longest such rest.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// The first and the longest wait after a round that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What the operator is told on its command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the API server is.
    pub access: Access,
    /// Where probes and Prometheus ask.
    pub listen: SocketAddr,
    /// The lease that replicas compete for.
    pub lease_name: String,
    /// Its namespace.
    pub lease_namespace: String,
    /// The name of this process, unique among those alive.
    pub identity: String,
    /// The namespaces whose batches are run; none: all.
    pub namespaces: Vec<String>,
    /// The network between the nodes.
    pub topology: Arc<Topology>,
    /// Labels that a node must have to be used.
    pub node_selector: BTreeMap<String, String>,
    /// The part of each node that batches may use together.
    pub max_share: Share,
}

/// Why the operator ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client for the API server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The address for probes and metrics cannot be used.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Somebody else may lead now. Nothing of ours may go on.
    #[error("the lease is lost: {0}")]
    Lost(String),
    /// The loop has panicked.
    #[error("the loop ended: {0}")]
    Broken(#[from] tokio::task::JoinError),
    /// The pages for probes and metrics are gone.
    #[error("the pages for probes and metrics ended: {0}")]
    Pages(std::io::Error),
}

/// Runs until told to stop: then finishes the round, gives the lease back and returns.
/// On an error the process must end at once, since writes may still be under way.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Error> {
    let clients = config.access.clients().await?;
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::default());
    let pages = Pages {
        health: health.clone(),
        metrics: metrics.clone(),
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| Error::Listen(config.listen, error))?;
    info!(listen = %config.listen, version = env!("CARGO_PKG_VERSION"), "started");
    let served = tokio::spawn(http::serve(listener, pages, stop.clone().cancelled_owned()));

    let Config {
        lease_namespace,
        lease_name,
        identity,
        topology,
        ..
    } = &config;
    let lease = Lease::new(clients.lease.clone(), lease_namespace, lease_name, identity);
    let standing_by = || health.is_ready_now();
    let Some(term) = lease.win(&stop, standing_by).await else {
        return Ok(());
    };
    metrics.leads(true);
    let mut memory = Memory::of(topology.clone());
    if term.is_alone() {
        memory.inherit_nothing();
    }

    // Only now: what a leader before us has written is in the lists that begin here.
    let caches = Caches::start(
        &clients.cluster,
        &config.namespaces,
        (config.node_selector.clone(), config.max_share),
        term.version(),
    );
    let live = Live {
        writes: clients.writes(term.freshness())?,
        client: clients.cluster,
        caches: Arc::new(caches),
        freshness: term.freshness(),
        metrics,
        health,
        stop: stop.clone(),
        instance: config.identity.clone(),
        pace: Pace::default(),
        held: BTreeMap::new(),
        looked: Duration::ZERO,
        unreadable: BTreeSet::new(),
    };
    lead(live, memory, term, served).await
}

/// Lets the loop run for as long as we lead.
async fn lead(
    live: Live,
    memory: Memory,
    term: Term,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
) -> Result<(), Error> {
    let (stop, caches) = (live.stop.clone(), live.caches.clone());
    // The pages end by themselves only when told to stop; then the loop decides when all is over.
    let broken = async {
        match served.await {
            Ok(Ok(())) if stop.is_cancelled() => std::future::pending().await,
            Ok(Ok(())) => Error::Pages(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(Err(error)) => Error::Pages(error),
            Err(error) => Error::Broken(error),
        }
    };
    tokio::select! {
        ended = tokio::spawn(rounds(live, memory)) => ended?,
        why = term.lost() => return Err(Error::Lost(why)),
        error = broken => return Err(error),
    }
    let doubted = caches.ledger(|ledger| ledger.doubted());
    let may_come = |since: Timestamp| Timestamp::now().duration_since(since).unsigned_abs() < LATE;
    if doubted.is_some_and(may_come) {
        // Whoever leads next waits until the lease has run out; by then it has come, or never will.
        info!("the lease is not released: a write may still be carried out");
    } else {
        term.release().await;
    }
    Ok(())
}

/// Round after round, until told to stop.
async fn rounds(mut live: Live, mut memory: Memory) {
    let mut backoff = BACKOFF.0;
    while !live.stop.is_cancelled() {
        match decide::round(&mut live, &mut memory).await {
            Ok(within) => {
                live.metrics.round(true);
                backoff = BACKOFF.0;
                let rest = (live.looked * REST).min(LONGEST_REST);
                wait(&mut live, within, rest).await;
            }
            Err(Unseen::Stopped) => return,
            Err(error) => {
                live.metrics.round(false);
                let again = backoff.max(error.retry_after());
                warn!(%error, ?again, "the cluster cannot be seen");
                tokio::select! {
                    () = sleep(again) => {}
                    () = live.stop.cancelled() => return,
                }
                backoff = (backoff * 2).min(BACKOFF.1);
            }
        }
    }
}

/// Waits for a change, and then until the rest is over, or for the time that the round asked for.
async fn wait(live: &mut Live, within: Option<Duration>, rest: Duration) {
    let now = Instant::now();
    let Next { earliest, latest } = live.pace.next(within, now);
    live.health.waits();
    let stop = live.stop.clone();
    let due = async {
        if let Some(earliest) = earliest {
            sleep_until(earliest.into()).await;
        }
        let changed = async {
            live.caches.changed().await;
            sleep(GATHER).await;
            sleep_until((now + rest).into()).await;
        };
        let time = async {
            match latest {
                Some(latest) => sleep_until(latest.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed => {}
            () = time => {}
        }
    };
    tokio::select! {
        () = due => {}
        () = stop.cancelled() => {}
    }
}
