//! Collects what is wrong while reading goes on.

use crate::api::{DEADLINE_MESSAGE, DECIMAL_MESSAGE, DURATION_MESSAGE, FRACTION_MESSAGE, Fault};
use crate::cluster::{duration, quantity};
use crate::model::{Exact, Millis, ceil_i64, decimal, exact};

/// Collects faults while reading goes on.
#[derive(Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault::new(field, message));
    }

    pub fn duration(&mut self, field: &str, text: Option<&String>) -> Option<Exact> {
        let text = text?;
        let found = duration::parse(text).filter(|millis| ceil_i64(millis).is_some());
        if found.is_none() {
            self.add(field, format!("{text:?} {DURATION_MESSAGE}"));
        }
        found
    }

    /// A duration above 0, in whole ms, rounded up.
    pub fn deadline(&mut self, field: &str, text: Option<&String>) -> Option<Millis> {
        let text = text?;
        let millis = duration::parse(text).and_then(|millis| ceil_i64(&millis));
        let found = millis.filter(|millis| *millis > 0);
        if found.is_none() {
            self.add(field, format!("{text:?} {DEADLINE_MESSAGE}"));
        }
        found
    }

    pub fn decimal(
        &mut self,
        field: &str,
        text: Option<&String>,
        most: Option<i64>,
    ) -> Option<Exact> {
        let text = text?;
        let found = decimal(text)
            .filter(|value| *value >= exact(0) && most.is_none_or(|most| *value <= exact(most)));
        if found.is_none() {
            let wanted = if most.is_some() {
                FRACTION_MESSAGE
            } else {
                DECIMAL_MESSAGE
            };
            self.add(field, format!("{text:?} {wanted}"));
        }
        found
    }

    pub fn units(&mut self, field: &str, resource: &str, text: &str) -> Option<Exact> {
        match quantity::units(resource, text) {
            Ok(value) if value >= exact(0) && ceil_i64(&value).is_some() => return Some(value),
            Ok(_) => self.add(
                field,
                format!("{text:?} must be from 0 to what 64 bits hold"),
            ),
            Err(error) => self.add(field, error.to_string()),
        }
        None
    }
}
