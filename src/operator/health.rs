//! Whether the process is well, as the probes ask.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the loop tells of itself.
#[derive(Debug)]
pub struct Health {
    origin: Instant,
    /// Until when the loop should have said something again, in ms since the origin; 0: it only waits.
    deadline: AtomicU64,
    ready: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            deadline: AtomicU64::new(0),
            ready: AtomicBool::new(false),
        }
    }
}

impl Health {
    /// The loop works on something that is over within this time.
    pub fn works(&self, within: Duration) {
        let millis = (self.origin.elapsed() + within).as_millis();
        let deadline = u64::try_from(millis).unwrap_or(u64::MAX).max(1);
        self.deadline.store(deadline, Ordering::Release);
    }

    /// The loop waits for the cluster or for the time: for as long as it takes.
    pub fn waits(&self) {
        self.deadline.store(0, Ordering::Release);
    }

    /// The process has done what must be done before it is of use.
    pub fn is_ready_now(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether the loop is not stuck.
    pub fn is_alive(&self) -> bool {
        match self.deadline.load(Ordering::Acquire) {
            0 => true,
            deadline => self.origin.elapsed().as_millis() <= u128::from(deadline),
        }
    }

    /// Whether the caches are filled, or another replica leads and this one stands by.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_takes_too_long_is_stuck_and_one_that_waits_is_not() {
        let health = Health::default();
        assert!(health.is_alive());
        health.works(Duration::from_secs(60));
        assert!(health.is_alive());
        health.works(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(5));
        assert!(!health.is_alive());
        health.waits();
        assert!(health.is_alive());
    }
}
