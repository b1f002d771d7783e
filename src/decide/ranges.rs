//! Sets of copies in few characters, as Jobs write completed indexes: `0-4,7`.

use std::collections::BTreeSet;

/// A set of copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// Whether the copy is in the set.
    pub fn contains(&self, copy: u32) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&copy))
    }
}

/// Reads a set; parts that cannot be read are left out.
pub fn read(text: &str) -> Ranges {
    let part = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    Ranges(text.split(',').filter_map(part).collect())
}

/// Writes a set.
pub fn write(copies: &BTreeSet<u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &copy in copies {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == copy => *last = copy,
            _ => runs.push((copy, copy)),
        }
    }
    let show = |(first, last): (u32, u32)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    runs.into_iter().map(show).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(copies in proptest::collection::btree_set(0u32..60, 0..40)) {
            let ranges = read(&write(&copies));
            for copy in 0..60 {
                prop_assert_eq!(ranges.contains(copy), copies.contains(&copy));
            }
        }
    }

    #[test]
    fn runs_are_joined() {
        assert_eq!(write(&[0, 1, 2, 4, 6, 7].into()), "0-2,4,6-7");
    }
}
