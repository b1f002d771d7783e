//! When the next round begins: at once after writes, not in a hot loop after conflicts, not before a
//! server that asked for patience may be asked again. No clock here.

use std::time::{Duration, Instant};

use crate::decide::Outcome;

/// The wait after the first round with conflicts; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait after conflicts.
const LONGEST: Duration = Duration::from_secs(5);

/// What the last round says about the next one.
#[derive(Debug, Default)]
pub struct Pace {
    /// Whether something was written, so that there is more to do or to see at once.
    wrote: bool,
    /// The next round begins no earlier.
    not_before: Option<Instant>,
    /// The next round begins no later.
    no_later: Option<Instant>,
    /// How many rounds in a row met conflicts.
    conflicts: u32,
}

/// When to begin the next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// No earlier than this, if anything.
    pub earliest: Option<Instant>,
    /// By then, whether anything has changed or not; `None`: only once something has changed.
    pub latest: Option<Instant>,
}

impl Pace {
    /// These are the outcomes of a round's actions.
    pub fn acted(&mut self, outcomes: &[Outcome], now: Instant) {
        let mut wait = Duration::ZERO;
        let mut conflict = false;
        for outcome in outcomes {
            match outcome {
                Outcome::Done => self.wrote = true,
                // What was refused waits for its own time, which the round knows.
                Outcome::Refused { .. } => {}
                Outcome::Conflict => conflict = true,
                Outcome::Unknown { retry_after } => wait = wait.max(*retry_after),
            }
        }
        self.conflicts = if conflict { self.conflicts + 1 } else { 0 };
        if conflict {
            let doubled = FIRST * 2u32.pow(self.conflicts.min(8) - 1);
            wait = wait.max(doubled.min(LONGEST));
        }
        if !wait.is_zero() {
            self.not_before = self.not_before.max(Some(now + wait));
            self.no_later(wait, now);
        }
    }

    /// A round must begin within this time.
    pub fn no_later(&mut self, within: Duration, now: Instant) {
        let then = now + within;
        self.no_later = Some(self.no_later.map_or(then, |before| before.min(then)));
    }

    /// The round is over and asks for the next one within this time; says when that is, and starts anew.
    pub fn next(&mut self, within: Option<Duration>, now: Instant) -> Next {
        if let Some(within) = within {
            self.no_later(within, now);
        }
        if self.wrote {
            self.no_later(Duration::ZERO, now);
        }
        let earliest = self.not_before.take();
        let latest = self
            .no_later
            .take()
            .map(|then| earliest.map_or(then, |first| first.max(then)));
        self.wrote = false;
        Next { earliest, latest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_round_without_writes_waits_for_a_change() {
        let now = Instant::now();
        assert_eq!(
            Pace::default().next(None, now),
            Next {
                earliest: None,
                latest: None
            }
        );
        let asked = Pace::default().next(Some(millis(700)), now);
        assert_eq!(
            asked,
            Next {
                earliest: None,
                latest: Some(now + millis(700))
            }
        );
    }

    #[test]
    fn after_writes_the_next_round_begins_at_once() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.acted(&[Outcome::Done], now);
        assert_eq!(pace.next(None, now).latest, Some(now));
        assert_eq!(pace.next(None, now).latest, None, "only once");
    }

    #[test]
    fn conflicts_in_a_row_slow_the_loop_down() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            pace.acted(&[Outcome::Conflict, Outcome::Done], now);
            let next = pace.next(None, now);
            assert_eq!(next.earliest, next.latest);
            waits.push(next.latest.expect("a time") - now);
        }
        assert_eq!(waits[..3], [millis(50), millis(100), millis(200)]);
        assert_eq!(waits[8], LONGEST);
        pace.acted(&[Outcome::Done], now);
        assert_eq!(pace.next(None, now).latest, Some(now));
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let unknown = Outcome::Unknown {
            retry_after: millis(7000),
        };
        pace.acted(&[Outcome::Done, unknown], now);
        let then = Some(now + millis(7000));
        assert_eq!(
            pace.next(Some(millis(10)), now),
            Next {
                earliest: then,
                latest: then
            }
        );
    }
}
