//! Chance by seed: what happens to whom depends on the seed and the name alone, not on the order of events.
//!
//! So two runs that differ in one decision see the same luck elsewhere (common random numbers), and adding
//! a fault does not reshuffle the others.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator for one question (`what`) about one object or one moment (`whom`).
pub(super) fn generator(seed: u64, what: &str, whom: &str) -> ChaCha8Rng {
    // FNV-1a, 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let bytes = seed.to_le_bytes().into_iter().chain(what.bytes());
    for byte in bytes.chain([0]).chain(whom.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    ChaCha8Rng::seed_from_u64(hash)
}

/// A number from 0 (inclusive) to 1 (exclusive).
pub(super) fn uniform(seed: u64, what: &str, whom: &str) -> f64 {
    generator(seed, what, whom).random()
}

/// Whether something of this probability happens.
pub(super) fn happens(probability: f64, seed: u64, what: &str, whom: &str) -> bool {
    probability > 0.0 && uniform(seed, what, whom) < probability
}

/// A lognormal factor of mean 1 whose logarithm has this standard deviation; exactly 1 for 0.
/// The normal number comes from two uniform ones, after Box and Muller 1958.
pub(super) fn lognormal(sigma: f64, seed: u64, what: &str, whom: &str) -> f64 {
    if sigma <= 0.0 {
        return 1.0;
    }
    let mut rng = generator(seed, what, whom);
    let (first, second): (f64, f64) = (rng.random(), rng.random());
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - first));
    let normal = radius * libm::cos(core::f64::consts::TAU * second);
    libm::exp(sigma * normal - sigma * sigma / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_depends_on_seed_question_and_name() {
        let luck = uniform(1, "fails", "a");
        assert_eq!(luck, uniform(1, "fails", "a"));
        for other in [
            uniform(2, "fails", "a"),
            uniform(1, "lost", "a"),
            uniform(1, "fails", "b"),
        ] {
            assert_ne!(luck, other);
        }
    }

    #[test]
    fn noise_has_mean_one_and_none_is_exact() {
        assert_eq!(lognormal(0.0, 7, "length", "a"), 1.0);
        let draws = (0..20_000).map(|index| lognormal(0.3, 7, "length", &index.to_string()));
        let mean = draws.sum::<f64>() / 20_000.0;
        assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
    }
}
