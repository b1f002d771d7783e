//! What pods together can take of a node.
//!
//! Where every pod asks for an even number of cores, the last of 31 cores is of no use. At every moment pods on a node
//! use a sum of the amounts that they ask for, so that what is free may be cut down to the largest such sum: the same
//! plans fit as before, and every bound sees what can really be had.

use std::collections::{BTreeMap, BTreeSet};

use super::{ClassView, TaskView};

/// Beyond so many units only the unit is looked at.
const MOST_UNITS: i64 = 1_000;

/// Sums of some amounts, each taken any number of times.
struct Sums {
    /// The greatest common divisor of the amounts, above 0.
    unit: i64,
    /// Whether so many units are a sum.
    is_sum: Vec<bool>,
}

impl Sums {
    /// `amounts` are above 0, at least one of them.
    fn new(amounts: &BTreeSet<i64>) -> Self {
        let unit = amounts.iter().copied().fold(0, gcd);
        let mut is_sum = vec![false; MOST_UNITS as usize + 1];
        is_sum[0] = true;
        let units = amounts.iter().map(|amount| amount / unit);
        for units in units.take_while(|units| *units <= MOST_UNITS) {
            let units = units as usize;
            // What is a sum of smaller ones adds nothing.
            if !is_sum[units] {
                for sum in units..is_sum.len() {
                    is_sum[sum] |= is_sum[sum - units];
                }
            }
        }
        Self { unit, is_sum }
    }

    /// The largest sum that is at most this; what is below 0 stays.
    fn at_most(&self, free: i64) -> i64 {
        if free <= 0 {
            return free;
        }
        let units = free / self.unit;
        let sum = match usize::try_from(units) {
            Ok(most) if most < self.is_sum.len() => {
                let mut sums = self.is_sum[..=most].iter();
                sums.rposition(|is_sum| *is_sum).map_or(0, |sum| sum as i64)
            }
            _ => units,
        };
        sum * self.unit
    }
}

/// Cuts what is free in each class down to what the modes that may run there can take.
pub(super) fn cut_to_sums(tasks: &[TaskView], classes: &mut [ClassView], resources: usize) {
    let mut amounts = vec![BTreeSet::new(); classes.len() * resources];
    for mode in tasks.iter().flat_map(|task| &task.modes) {
        for run in &mode.runs {
            let first = run.class * resources;
            let of_class = &mut amounts[first..first + resources];
            for (amounts, &usage) in of_class.iter_mut().zip(&mode.request.usage) {
                if usage > 0 {
                    amounts.insert(usage);
                }
            }
        }
    }
    let mut known = BTreeMap::new();
    for (at, amounts) in amounts.iter().enumerate() {
        if !amounts.is_empty() {
            let sums = known.entry(amounts).or_insert_with(|| Sums::new(amounts));
            let base = &mut classes[at / resources].base;
            base.change(at % resources, |free| sums.at_most(free));
        }
    }
}

/// The greatest common divisor.
pub(in crate::solver) fn gcd(mut one: i64, mut other: i64) -> i64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sum_lies_between_what_is_free_and_what_is_left_of_it() {
        let sums = |amounts: &[i64]| Sums::new(&amounts.iter().copied().collect());
        let even = sums(&[4, 6]);
        let cut = [-3, 0, 1, 3, 4, 5, 6, 31].map(|free| even.at_most(free));
        assert_eq!(cut, [-3, 0, 0, 0, 4, 4, 6, 30]);
        assert_eq!([8, 5, 2].map(|free| sums(&[3]).at_most(free)), [6, 3, 0]);
        assert_eq!(sums(&[3, 5]).at_most(7), 6);
        // Too many units to look at each: the unit alone.
        assert_eq!(
            sums(&[6, 9]).at_most(3 * MOST_UNITS + 4),
            3 * MOST_UNITS + 3
        );
        assert_eq!(sums(&[2, i64::MAX]).at_most(i64::MAX), i64::MAX);
        assert_eq!(sums(&[i64::MAX]).at_most(i64::MAX - 1), 0);
    }
}
