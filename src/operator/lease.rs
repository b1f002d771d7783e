//! The lease object on the API server: won, renewed, released. What to do is decided in `election`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::call::shown;
use super::election::{Bid, Candidate, LEASE, RETRY, Record, Tenure, WRITABLE};
use crate::cluster::ledger::revision;

/// How long one call may take: several fit before the renew deadline.
const CALL: Duration = Duration::from_secs(3);
/// How often the same trouble is worth a line in the log.
const QUIET: Duration = Duration::from_secs(60);

/// The lease that replicas of one operator compete for.
pub struct Lease {
    api: Api<Object>,
    name: String,
    namespace: String,
    identity: String,
    origin: Instant,
}

/// What became of a call.
enum Reply {
    Done(Record),
    Absent,
    Conflict,
    Unclear(String),
}

impl Lease {
    /// The lease of this name, and ours in the competition for it. The client must not retry by itself,
    /// and should be used for nothing else, so that no other call delays a renewal.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            origin: Instant::now(),
        }
    }

    /// Waits until we lead; `None` when told to stop before. `standing_by` is called once the lease
    /// has been read, whoever holds it.
    pub async fn win(self, stop: &CancellationToken, standing_by: impl Fn()) -> Option<Term> {
        let mut candidate = Candidate::new(&self.identity);
        let mut complained: Option<Instant> = None;
        let mut leader = String::new();
        loop {
            match self.bid(&mut candidate).await {
                Ok(Won::Lease(tenure, alone)) => return Some(Term::begin(self, tenure, alone)),
                Ok(Won::Nothing(holder)) => {
                    standing_by();
                    if holder != leader {
                        info!(lease = self.name, leader = holder, "standing by");
                        leader = holder;
                    }
                }
                Err(why) if complained.is_none_or(|last| last.elapsed() >= QUIET) => {
                    warn!(
                        lease = self.name,
                        namespace = self.namespace,
                        why,
                        "cannot compete for the lease"
                    );
                    complained = Some(Instant::now());
                }
                Err(_) => {}
            }
            tokio::select! {
                () = sleep(RETRY) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    /// Reads the lease and takes it if it is free.
    async fn bid(&self, candidate: &mut Candidate) -> Result<Won, String> {
        let read = match self.read().await {
            Reply::Done(record) => Some(record),
            Reply::Absent => None,
            Reply::Conflict => return Err("a read met a conflict".into()),
            Reply::Unclear(why) => return Err(why),
        };
        let holder = read
            .as_ref()
            .map(|record| record.holder.clone())
            .unwrap_or_default();
        let (before, alone) = match candidate.bid(read, self.now()) {
            Bid::Wait => return Ok(Won::Nothing(holder)),
            Bid::Create => (Record::default(), false),
            Bid::Replace { record, is_over } => (record, is_over),
        };
        let sent = self.now();
        let next = self.ours(&before, Timestamp::now());
        match self.write(&next).await {
            Reply::Done(record) => {
                let tenure = Tenure::new(&self.identity, record, sent);
                Ok(Won::Lease(tenure, alone))
            }
            Reply::Absent if next.version.is_empty() => Err("the namespace does not exist".into()),
            Reply::Conflict | Reply::Absent => Ok(Won::Nothing(holder)),
            Reply::Unclear(why) => Err(why),
        }
    }

    /// The record that makes us the leader, or keeps us so.
    fn ours(&self, before: &Record, now: Timestamp) -> Record {
        let taken = before.holder != self.identity;
        Record {
            holder: self.identity.clone(),
            duration: LEASE,
            renewed: Some(now),
            acquired: before.acquired.filter(|_| !taken).or(Some(now)),
            transitions: before.transitions + i32::from(taken && !before.version.is_empty()),
            version: before.version.clone(),
        }
    }

    /// Renews once. `Err`: the lease is lost, and why.
    async fn renew(&self, tenure: &mut Tenure) -> Result<(), String> {
        let sent = self.now();
        let time = micros(Timestamp::now());
        let next = self.ours(tenure.record(), time);
        match self.write(&next).await {
            Reply::Done(record) => tenure.succeeded(record, sent),
            Reply::Absent => return tenure.conflicted(None),
            Reply::Conflict => match self.read().await {
                Reply::Done(record) => tenure.conflicted(Some(record))?,
                Reply::Absent => return tenure.conflicted(None),
                Reply::Conflict => {}
                Reply::Unclear(why) => debug!(why, "the lease cannot be read"),
            },
            Reply::Unclear(why) => {
                warn!(lease = self.name, why, "the lease could not be renewed");
                tenure.unclear(time, sent);
            }
        }
        if tenure.is_over(self.now()) {
            return Err("the lease could not be renewed in time".into());
        }
        Ok(())
    }

    async fn read(&self) -> Reply {
        reply(timeout(CALL, self.api.get(&self.name)).await)
    }

    /// Creates the lease, or changes the version that the record names. Labels and annotations are those of whoever
    /// made it, and stay.
    async fn write(&self, record: &Record) -> Reply {
        let object = object(&self.name, record);
        if record.version.is_empty() {
            reply(timeout(CALL, self.api.create(&PostParams::default(), &object)).await)
        } else {
            let (how, patch) = (PatchParams::default(), Patch::Merge(&object));
            reply(timeout(CALL, self.api.patch(&self.name, &how, &patch)).await)
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

enum Won {
    /// The lease; and whether no earlier leader can still write.
    Lease(Tenure, bool),
    /// Nothing; this one leads.
    Nothing(String),
}

/// The time during which we lead.
pub struct Term {
    /// Resource version of the lease as we won it.
    version: String,
    alone: bool,
    freshness: Freshness,
    lost: watch::Receiver<Option<String>>,
    end: CancellationToken,
    renewals: JoinHandle<(Lease, Tenure)>,
}

/// Tells whether a write may begin.
#[derive(Clone)]
pub struct Freshness {
    origin: Instant,
    /// The same moment by the clock on the wall, which goes on while a machine sleeps.
    woken: SystemTime,
    /// When the last renewal that succeeded was sent, in ms since the origin.
    renewed: Arc<AtomicU64>,
    revision: u64,
}

impl Freshness {
    /// Whether the lease was renewed so lately that a write ends before anybody else can lead. A wall clock that is
    /// set forward closes it until the next renewal, which does no harm.
    pub fn may_write(&self) -> bool {
        let renewed = Duration::from_millis(self.renewed.load(Ordering::Acquire));
        let slept = self.woken.elapsed().unwrap_or_default();
        let now = self.origin.elapsed().max(slept);
        now.saturating_sub(renewed) < WRITABLE
    }

    /// The revision of the cluster at which the lease was won: larger than that of any leader before.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One whose lease was renewed so long ago.
    #[cfg(test)]
    pub fn renewed_ago(age: Duration) -> Self {
        Self {
            origin: Instant::now(),
            woken: SystemTime::now() - age,
            renewed: Arc::default(),
            revision: 1,
        }
    }

    fn renew(&self, at: Duration) {
        let millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.renewed.store(millis, Ordering::Release);
    }
}

impl Term {
    fn begin(lease: Lease, tenure: Tenure, alone: bool) -> Self {
        info!(lease = lease.name, identity = lease.identity, "leading");
        let freshness = Freshness {
            origin: lease.origin,
            woken: SystemTime::now() - lease.origin.elapsed(),
            renewed: Arc::default(),
            revision: revision(&tenure.record().version).unwrap_or_default(),
        };
        freshness.renew(tenure.renewed());
        let (tell, lost) = watch::channel(None);
        let end = CancellationToken::new();
        let version = tenure.record().version.clone();
        let renewals = tokio::spawn(keep(lease, tenure, freshness.clone(), tell, end.clone()));
        Self {
            version,
            alone,
            freshness,
            lost,
            end,
            renewals,
        }
    }

    /// Resource version of the lease as we won it: what the API server held before is not ours to act on.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether no write of an earlier leader can still come.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Whether a write may begin; to be asked before each.
    pub fn freshness(&self) -> Freshness {
        self.freshness.clone()
    }

    /// Waits until the lease is lost, and says why.
    pub async fn lost(&self) -> String {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the renewals have ended".into(),
        }
    }

    /// Gives the lease back, so that another replica can lead at once. Nothing of ours may be in flight, nor come late.
    pub async fn release(self) {
        self.end.cancel();
        let Ok((lease, tenure)) = self.renewals.await else {
            return;
        };
        let record = Record {
            holder: String::new(),
            duration: Duration::from_secs(1),
            renewed: Some(Timestamp::now()),
            ..tenure.record().clone()
        };
        match lease.write(&record).await {
            Reply::Done(_) => info!(lease = lease.name, "the lease is released"),
            Reply::Absent | Reply::Conflict => {}
            Reply::Unclear(why) => {
                warn!(lease = lease.name, why, "the lease could not be released")
            }
        }
    }
}

/// Renews until told to end, or until the lease is lost.
async fn keep(
    lease: Lease,
    mut tenure: Tenure,
    freshness: Freshness,
    lost: watch::Sender<Option<String>>,
    end: CancellationToken,
) -> (Lease, Tenure) {
    loop {
        tokio::select! {
            () = sleep(RETRY) => {}
            () = end.cancelled() => return (lease, tenure),
        }
        if let Err(why) = lease.renew(&mut tenure).await {
            lost.send_replace(Some(why));
            return (lease, tenure);
        }
        freshness.renew(tenure.renewed());
    }
}

fn reply<E>(answer: Result<kube::Result<Object>, E>) -> Reply {
    match answer {
        Ok(Ok(object)) => Reply::Done(record(&object)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Reply::Absent,
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Reply::Conflict,
        Ok(Err(error)) => Reply::Unclear(shown(&error)),
        Err(_) => Reply::Unclear(format!("no answer within {} s", CALL.as_secs())),
    }
}

fn record(object: &Object) -> Record {
    let spec = object.spec.clone().unwrap_or_default();
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: seconds.map_or(LEASE, Duration::from_secs),
        renewed: spec.renew_time.map(|time| time.0),
        acquired: spec.acquire_time.map(|time| time.0),
        transitions: spec.lease_transitions.unwrap_or_default(),
        version: object.metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn object(name: &str, record: &Record) -> Object {
    let version = &record.version;
    Object {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: (!version.is_empty()).then(|| version.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(record.holder.clone()),
            lease_duration_seconds: i32::try_from(record.duration.as_secs()).ok(),
            renew_time: record.renewed.map(MicroTime),
            acquire_time: record.acquired.map(MicroTime),
            lease_transitions: Some(record.transitions),
            ..LeaseSpec::default()
        }),
    }
}

/// The wire carries microseconds; a time must read back as it was written.
fn micros(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
