//! Who leads, decided from what was read and when; no clock and no API server here.
//!
//! A lease does not compare wall clocks: a record counts as alive for its duration from the moment at which
//! *we* saw it change (as client-go does), on our monotonic clock, so clocks that differ do no harm.
//! Times are lengths since some fixed moment of this process.

use std::time::Duration;

use jiff::Timestamp;

/// How long others must see no change before they take over.
pub const LEASE: Duration = Duration::from_secs(15);
/// How long after its last renewal a leader gives up.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often a leader renews, and a candidate looks.
pub const RETRY: Duration = Duration::from_secs(2);
/// A leader whose last renewal is older than this begins no write: what the API server works on for
/// `call::SERVER_LIMIT` then ends before anybody else can lead.
pub const WRITABLE: Duration = Duration::from_secs(5);

/// What the lease object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who leads; empty: nobody.
    pub holder: String,
    /// How long the leader asked to be left alone.
    pub duration: Duration,
    /// When it last renewed, by its own clock: only compared for change.
    pub renewed: Option<Timestamp>,
    /// When the leader began to lead, by its own clock; for people.
    pub acquired: Option<Timestamp>,
    /// How often the leader has changed.
    pub transitions: i32,
    /// Resource version of the object: the precondition of the next write.
    pub version: String,
}

/// Somebody who wants to lead.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    seen: Option<(Record, Duration)>,
}

/// What a candidate does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bid {
    /// There is no lease: create it.
    Create,
    /// Nobody leads any more: replace this record.
    Replace {
        /// What is there.
        record: Record,
        /// Whether whoever led before has ended long ago, so that no write of its can still come.
        is_over: bool,
    },
    /// Somebody leads: look again later.
    Wait,
}

impl Candidate {
    /// A candidate of this name. The name must be that of one living process.
    pub fn new(identity: impl Into<String>) -> Self {
        Self {
            identity: identity.into(),
            seen: None,
        }
    }

    /// Takes note of what was read at this moment, and says what to do.
    pub fn bid(&mut self, read: Option<Record>, now: Duration) -> Bid {
        let Some(read) = read else {
            self.seen = None;
            return Bid::Create;
        };
        let changed = match &self.seen {
            Some((before, since)) if *before == read => *since,
            _ => now,
        };
        self.seen = Some((read.clone(), changed));
        let is_over = read.holder.is_empty() || now.saturating_sub(changed) >= read.duration;
        // Our own name is that of our predecessor in the same place: a new start of the same container.
        if is_over || read.holder == self.identity {
            Bid::Replace {
                record: read,
                is_over,
            }
        } else {
            Bid::Wait
        }
    }
}

/// A leader's hold of the lease.
#[derive(Debug)]
pub struct Tenure {
    identity: String,
    /// What we wrote last and know to be there.
    record: Record,
    /// When the last write that succeeded was sent.
    renewed: Duration,
    /// Writes since then whose outcome is not known: their renew time, and when they were sent.
    unclear: Vec<(Timestamp, Duration)>,
}

impl Tenure {
    /// The lease was won by a write that was sent at this moment.
    pub fn new(identity: &str, record: Record, sent: Duration) -> Self {
        Self {
            identity: identity.to_owned(),
            record,
            renewed: sent,
            unclear: Vec::new(),
        }
    }

    /// What the last known write left.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// When the last write that succeeded was sent.
    pub fn renewed(&self) -> Duration {
        self.renewed
    }

    /// A renewal that was sent at this moment succeeded.
    pub fn succeeded(&mut self, record: Record, sent: Duration) {
        self.record = record;
        self.renewed = sent;
        self.unclear.clear();
    }

    /// Nobody knows what became of a renewal with this renew time that was sent at this moment.
    pub fn unclear(&mut self, renew_time: Timestamp, sent: Duration) {
        self.unclear.push((renew_time, sent));
    }

    /// A renewal met another version than ours, and this is what is there. One of our own writes whose
    /// reply was lost is no loss; anything else is, and the answer says whose.
    pub fn conflicted(&mut self, read: Option<Record>) -> Result<(), String> {
        let Some(read) = read else {
            return Err("the lease was deleted".into());
        };
        if read.holder != self.identity {
            return Err(format!("{:?} holds the lease", read.holder));
        }
        let ours = self
            .unclear
            .iter()
            .find(|(time, _)| Some(*time) == read.renewed);
        match ours.map(|(_, sent)| *sent) {
            Some(sent) => {
                self.succeeded(read, sent);
                Ok(())
            }
            None if read == self.record => Ok(()),
            None => Err(format!("another process leads as {:?}", self.identity)),
        }
    }

    /// Whether it has ended, because it could not be renewed for too long.
    pub fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.renewed) >= RENEW_DEADLINE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: &str, version: &str) -> Record {
        Record {
            holder: holder.into(),
            duration: LEASE,
            version: version.into(),
            ..Record::default()
        }
    }

    fn replace(record: Record, is_over: bool) -> Bid {
        Bid::Replace { record, is_over }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn the_first_one_creates_the_lease_and_a_released_one_is_taken_at_once() {
        let mut me = Candidate::new("me");
        assert_eq!(me.bid(None, seconds(0)), Bid::Create);
        assert_eq!(
            me.bid(Some(record("", "5")), seconds(1)),
            replace(record("", "5"), true)
        );
    }

    #[test]
    fn a_leader_is_left_alone_as_long_as_its_record_changes() {
        let mut me = Candidate::new("me");
        for tick in 0..100 {
            let version = (tick / 7).to_string();
            assert_eq!(
                me.bid(Some(record("her", &version)), seconds(tick * 2)),
                Bid::Wait
            );
        }
    }

    #[test]
    fn a_record_that_stands_still_for_its_duration_is_replaced_whatever_its_clock_says() {
        let mut me = Candidate::new("me");
        let mut dead = record("her", "5");
        dead.renewed = Some(wall(4_000_000_000));
        assert_eq!(me.bid(Some(dead.clone()), seconds(100)), Bid::Wait);
        assert_eq!(me.bid(Some(dead.clone()), seconds(114)), Bid::Wait);
        assert_eq!(
            me.bid(Some(dead.clone()), seconds(115)),
            replace(dead, true)
        );
    }

    #[test]
    fn a_new_start_under_the_same_name_leads_at_once() {
        let mut me = Candidate::new("me");
        assert_eq!(
            me.bid(Some(record("me", "5")), seconds(0)),
            replace(record("me", "5"), false),
            "but its writes may still come"
        );
    }

    #[test]
    fn a_leader_that_cannot_renew_stops_before_anybody_may_follow() {
        let mut hold = Tenure::new("me", record("me", "1"), seconds(0));
        hold.unclear(wall(2), seconds(2));
        assert!(!hold.is_over(seconds(9)));
        assert!(hold.is_over(seconds(10)));
        assert!(RENEW_DEADLINE < LEASE);
        assert!(WRITABLE + crate::operator::call::SERVER_LIMIT < LEASE);
    }

    #[test]
    fn a_renewal_whose_reply_was_lost_counts_from_when_it_was_sent() {
        let mut hold = Tenure::new("me", record("me", "1"), seconds(0));
        hold.unclear(wall(2), seconds(2));
        let mut ours = record("me", "2");
        ours.renewed = Some(wall(2));
        assert_eq!(hold.conflicted(Some(ours)), Ok(()));
        assert_eq!(
            (hold.renewed(), hold.record().version.as_str()),
            (seconds(2), "2")
        );
    }

    #[test]
    fn a_lease_in_other_hands_is_lost() {
        let mut hold = Tenure::new("me", record("me", "1"), seconds(0));
        assert!(hold.conflicted(Some(record("her", "2"))).is_err());
        assert!(
            hold.conflicted(Some(record("me", "2"))).is_err(),
            "somebody of the same name"
        );
        assert!(hold.conflicted(None).is_err());
    }
}
