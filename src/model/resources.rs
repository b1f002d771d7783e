//! Amounts by resource name, with sums that never wrap.

use std::collections::BTreeMap;

use super::host_port;

/// CPU, in thousandths of a core.
pub const CPU: &str = "cpu";
/// Memory, in bytes.
pub const MEMORY: &str = "memory";
/// The number of pods; every pod uses one.
pub const PODS: &str = "pods";

/// Whether the resource is one of a device plugin: a name with a domain, counted in whole devices.
pub fn is_extended(name: &str) -> bool {
    name.contains('/')
}

/// A sum of this resource does not fit 64 bits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sum of {0} does not fit 64 bits")]
pub struct Overflow(
    /// The resource's name.
    pub String,
);

/// Amounts by resource name. An absent resource is 0; amounts may be negative (free room can be).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resources(BTreeMap<String, i64>);

impl Resources {
    /// The amount of one resource, 0 where it is absent.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// How much room there is of one resource, if these amounts are what a node has or has left: nodes have host
    /// ports without listing them.
    pub fn room(&self, name: &str) -> i64 {
        self.get(name).saturating_add(host_port::unlisted(name))
    }

    /// Whether the resource is named at all, be it with 0.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Puts an amount in the place of the one that was there.
    pub fn set(&mut self, name: impl Into<String>, amount: i64) {
        self.0.insert(name.into(), amount);
    }

    /// Forgets a resource.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Names and amounts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Whether no resource is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds every amount of the other.
    pub fn add(&mut self, other: &Resources) -> Result<(), Overflow> {
        self.combine(other, i64::checked_add)
    }

    /// Takes every amount of the other away; the result may be negative.
    pub fn subtract(&mut self, other: &Resources) -> Result<(), Overflow> {
        self.combine(other, i64::checked_sub)
    }

    /// Raises every amount to that of the other where it is smaller.
    pub fn raise_to(&mut self, other: &Resources) {
        for (name, amount) in other.iter() {
            let here = self.0.entry(name.to_owned()).or_insert(amount);
            *here = (*here).max(amount);
        }
    }

    /// Replaces the amounts that the other names.
    pub fn overlay(&mut self, other: &Resources) {
        for (name, amount) in other.iter() {
            self.set(name, amount);
        }
    }

    /// Whether `demand` fits: each amount above 0 is at most what is here. A demand of 0 always fits,
    /// also where free room is negative, as kube-scheduler has it.
    pub fn holds(&self, demand: &Resources) -> bool {
        demand
            .iter()
            .all(|(name, amount)| amount <= 0 || amount <= self.room(name))
    }

    fn combine(
        &mut self,
        other: &Resources,
        sum: impl Fn(i64, i64) -> Option<i64>,
    ) -> Result<(), Overflow> {
        for (name, amount) in other.iter() {
            let here = self.0.entry(name.to_owned()).or_insert(0);
            *here = sum(*here, amount).ok_or_else(|| Overflow(name.to_owned()))?;
        }
        Ok(())
    }
}

impl<N: Into<String>> FromIterator<(N, i64)> for Resources {
    fn from_iter<I: IntoIterator<Item = (N, i64)>>(amounts: I) -> Self {
        Self(
            amounts
                .into_iter()
                .map(|(name, amount)| (name.into(), amount))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_checked() {
        let mut most: Resources = [(CPU, i64::MAX)].into_iter().collect();
        let one = [(CPU, 1)].into_iter().collect();
        assert_eq!(most.add(&one), Err(Overflow(CPU.into())));
        assert_eq!(most.subtract(&one), Ok(()));
    }

    #[test]
    fn a_demand_of_nothing_fits_even_an_overfull_node() {
        let free: Resources = [(CPU, -5)].into_iter().collect();
        assert!(free.holds(&[(CPU, 0), (MEMORY, 0)].into_iter().collect()));
        assert!(!free.holds(&[(CPU, 1)].into_iter().collect()));
        assert!(!free.holds(&[("example.com/fpga", 1)].into_iter().collect()));
    }
}
