//! How fast virtual time passes on the screen.

use std::io::{IsTerminal, stdout};
use std::thread;
use std::time::Duration;

use crate::model::Millis;

/// How long a demo is watched when nobody says how fast it is to go, in seconds.
const PATIENCE: f64 = 12.0;
/// How often the clock on the screen moves.
const TICK: Duration = Duration::from_millis(100);
/// The longest that anybody waits for the next event, unless the speed was asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// How fast virtual time passes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Virtual seconds for each second; 0: it takes no time.
    speed: f64,
    /// Whether the speed is to be chosen by the plan.
    is_free: bool,
}

impl Pace {
    /// The speed that was asked for. Where nobody looks on, time does not pass.
    pub fn new(asked: Option<f64>) -> Self {
        if !stdout().is_terminal() {
            return Self {
                speed: 0.0,
                is_free: false,
            };
        }
        Self {
            speed: asked.unwrap_or(0.0),
            is_free: asked.is_none(),
        }
    }

    /// A plan is known to take so long: it sets the speed if nobody else did.
    pub fn expect(&mut self, length: Millis) {
        if self.is_free && self.speed == 0.0 {
            self.speed = length as f64 / 1000.0 / PATIENCE;
        }
    }

    /// Waits as long as this stretch of virtual time takes, and calls at each tick with the moment that it is.
    pub fn pass(&self, from: Millis, to: Millis, mut tick: impl FnMut(Millis)) {
        let total = self.real(to - from);
        let mut waited = Duration::ZERO;
        while waited < total {
            let step = TICK.min(total - waited);
            thread::sleep(step);
            waited += step;
            let part = waited.as_secs_f64() / total.as_secs_f64();
            // A part from 0 to 1 of a length: the cast stays within it.
            tick(from + ((to - from) as f64 * part) as Millis);
        }
    }

    fn real(&self, length: Millis) -> Duration {
        if self.speed <= 0.0 {
            return Duration::ZERO;
        }
        let seconds = length as f64 / 1000.0 / self.speed;
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        if self.is_free {
            wait.min(LONGEST_WAIT)
        } else {
            wait
        }
    }
}

/// Reads a number of at least 0.
pub fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("must be a number of at least 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_sets_the_speed_unless_it_was_asked_for() {
        let mut free = Pace {
            speed: 0.0,
            is_free: true,
        };
        assert_eq!(free.real(1000), Duration::ZERO);
        free.expect(3_600_000);
        assert_eq!(free.real(300_000), Duration::from_secs(1));
        assert_eq!(free.real(Millis::MAX), LONGEST_WAIT);
        let mut asked = Pace {
            speed: 60.0,
            is_free: false,
        };
        asked.expect(3_600_000);
        assert_eq!(asked.real(300_000), Duration::from_secs(5));
    }

    #[test]
    fn a_factor_is_a_plain_number() {
        assert_eq!(factor("0.5"), Ok(0.5));
        for wrong in ["-1", "NaN", "inf", "x", ""] {
            assert!(factor(wrong).is_err(), "{wrong}");
        }
    }
}
