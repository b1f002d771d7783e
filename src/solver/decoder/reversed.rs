//! What a copy pays in a schedule that is made backwards in time.

use crate::model::Millis;
use crate::solver::bounds::Prices;
use crate::solver::instance::{ModeView, RunView};

/// What a copy pays that runs backwards from a horizon.
#[derive(Debug)]
pub(in crate::solver) struct Reversed {
    /// This moment, backwards, is now.
    pub horizon: Millis,
    /// Times are this multiple of those of the prices.
    pub scale: f64,
    pub prices: Prices,
}

impl Reversed {
    /// What `pods` (class, number) pay for `[start, end)` backwards; more than there is where they would have to
    /// start before now.
    pub fn paid(
        &self,
        usage: &[i64],
        start: Millis,
        end: Millis,
        pods: impl Iterator<Item = (usize, u32)>,
    ) -> f64 {
        if end > self.horizon {
            return f64::INFINITY;
        }
        let (from, until) = (self.at(end), self.at(start));
        pods.map(|(class, pods)| f64::from(pods) * self.prices.paid(class, usage, from, until))
            .sum()
    }

    /// What no place that ends at this time or later can cost less than: prices never rise, forwards.
    pub fn floor(&self, mode: &ModeView, end: Millis) -> f64 {
        let of_run = |run: &RunView| {
            let start = end.saturating_sub(run.duration);
            let pods = std::iter::once((run.class, mode.pods));
            self.paid(&mode.request.usage, start, end, pods)
        };
        mode.runs.iter().map(of_run).fold(f64::INFINITY, f64::min)
    }

    /// The time of the prices that this moment is.
    fn at(&self, moment: Millis) -> Millis {
        (self.horizon.saturating_sub(moment) as f64 / self.scale) as Millis
    }
}
