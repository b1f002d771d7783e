//! Draws of one instance: the same seed gives the same instance on every machine.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::model::{Exact, exact};

/// A seeded source of draws.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// From 0 (inclusive) to 1 (exclusive).
    pub(super) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number, both ends included.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        self.0.random_range(least..=most)
    }

    /// A part of 1000, both ends included.
    pub(super) fn thousandths(&mut self, least: i64, most: i64) -> Exact {
        Exact::new(self.between(least, most).into(), 1000.into())
    }

    /// One of several; `None` of none.
    pub(super) fn pick<'t, T>(&mut self, some: &'t [T]) -> Option<&'t T> {
        let last = some.len().checked_sub(1)?;
        some.get(self.0.random_range(0..=last))
    }

    /// A lognormal length of this median, sigma 1, at most 20 times as long, in whole ms.
    /// The normal number comes from two uniform ones, after Box and Muller 1958.
    pub(super) fn length(&mut self, median_ms: f64) -> Exact {
        let (first, second) = (self.unit(), self.unit());
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - first));
        let normal = radius * libm::cos(core::f64::consts::TAU * second);
        let factor = libm::exp(normal).min(20.0);
        exact((factor * median_ms) as i64)
    }
}
