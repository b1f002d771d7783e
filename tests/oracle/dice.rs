//! Chance, and quantities written in many ways.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Where all chance comes from: the same seed makes the same case.
pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }

    /// A whole number from `least` to `most`.
    pub fn from(&mut self, least: i64, most: i64) -> i64 {
        self.0.random_range(least..=most)
    }

    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.0.random_range(0..list.len())].clone()
    }

    /// The value, or nothing.
    pub fn maybe(&mut self, probability: f64, value: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.chance(probability) {
            value(self)
        } else {
            Value::Null
        }
    }

    /// Up to so many of something, each told its index.
    pub fn some(&mut self, most: i64, mut one: impl FnMut(&mut Self, i64) -> Value) -> Vec<Value> {
        let count = self.from(0, most);
        (0..count).map(|at| one(self, at)).collect()
    }
}

/// The largest number that upstream keeps in 64 bits and not as a big number: one of 18 digits.
pub const MOST: i64 = 999_999_999_999_999_999;

/// An amount of a resource, in milli-CPU for cpu and in whole units for all else, in one of the ways to write it.
///
/// All of them stay within [`MOST`].
pub fn written(dice: &mut Dice, resource: &str, amount: i64) -> Value {
    let mut forms: Vec<Value> = Vec::new();
    let thousandfold = amount.checked_mul(1000).filter(|it| *it <= MOST);
    if resource == "cpu" {
        forms.extend([
            json!(format!("{amount}m")),
            json!(format!("{}.{:03}", amount / 1000, amount % 1000)),
            json!(format!("{amount}e-3")),
        ]);
        forms.extend(thousandfold.map(|micro| json!(format!("{micro}u"))));
    } else {
        forms.extend([
            json!(amount),
            json!(amount.to_string()),
            json!(format!("+{amount}")),
            json!(format!("00{amount}")),
        ]);
        forms.extend(thousandfold.map(|milli| json!(format!("{milli}m"))));
        forms.extend(thousandfold.map(|_| json!(format!("{amount}.0"))));
    }
    let base = if resource == "cpu" { 1000 } else { 1 };
    if amount % base == 0 {
        let units = amount / base;
        forms.push(json!(units));
        forms.push(json!(units.to_string()));
        for (suffix, unit) in [
            ("Ki", 1 << 10),
            ("Mi", 1 << 20),
            ("k", 1000),
            ("e3", 1000),
            ("E3", 1000),
        ] {
            if units % unit == 0 {
                forms.push(json!(format!("{}{suffix}", units / unit)));
            } else if units % unit * 2 == unit {
                forms.push(json!(format!("{}.5{suffix}", units / unit)));
            }
        }
    }
    dice.pick(&forms)
}
