//! Sums of quantities, exact to the billionth: upstream rounds up to whole units only once, at the end.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity;
use super::requests::RequestError;
use crate::model::{Overflow, Resources};

/// Quantities by resource name, as they stand in an object.
pub type List = BTreeMap<String, Quantity>;

/// What the API server stores is a multiple of this, in billionths; it rounds up.
const STORED: i128 = 1_000_000;

/// Amounts in billionths of the base unit, by resource name.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums<'a>(BTreeMap<&'a str, i128>);

impl<'a> Sums<'a> {
    pub fn read(list: Option<&'a List>) -> Result<Self, RequestError> {
        let read = |(name, text): (&'a String, &Quantity)| match quantity::nanos(&text.0) {
            Ok(nanos) => Ok((name.as_str(), nanos)),
            Err(source) => Err(RequestError::Quantity {
                resource: name.clone(),
                source,
            }),
        };
        Ok(Self(
            list.into_iter()
                .flatten()
                .map(read)
                .collect::<Result<_, _>>()?,
        ))
    }

    /// The same as the API server will store it.
    pub fn stored(mut self) -> Self {
        for amount in self.0.values_mut() {
            let missing = (-*amount).rem_euclid(STORED);
            *amount = amount.saturating_add(missing);
        }
        self
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.keys().copied()
    }

    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| keep(name));
    }

    pub fn add(&mut self, other: &Self) -> Result<(), Overflow> {
        for (name, amount) in &other.0 {
            let here = self.0.entry(name).or_default();
            *here = here
                .checked_add(*amount)
                .ok_or_else(|| Overflow((*name).to_owned()))?;
        }
        Ok(())
    }

    /// Of the other only the resources that are named here.
    pub fn named_here<'b>(&self, other: &Sums<'b>) -> Sums<'b> {
        let mut named = other.clone();
        named.0.retain(|name, _| self.0.contains_key(name));
        named
    }

    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let here = self.0.entry(name).or_insert(*amount);
            *here = (*here).max(*amount);
        }
    }

    pub fn overlay(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Nothing of each resource that is named.
    pub fn cleared(&self) -> Self {
        Self(self.0.keys().map(|name| (*name, 0)).collect())
    }

    /// Whole units, rounded up.
    pub fn whole(&self) -> Result<Resources, RequestError> {
        let whole = |(name, nanos): (&&str, &i128)| match quantity::whole(name, *nanos) {
            Some(amount) => Ok(((*name).to_owned(), amount)),
            None => Err(Overflow((*name).to_owned()).into()),
        };
        self.0.iter().map(whole).collect()
    }
}
