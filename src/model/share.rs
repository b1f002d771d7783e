//! The part of each node that batches may use together.

use std::fmt;

use num_traits::ToPrimitive;

use super::{Exact, Resources, decimal, exact};

/// Shares are counted in millionths.
const WHOLE: u32 = 1_000_000;

/// The part of what is allocatable on a node that the pods of all batches may request together; the rest is kept free
/// for others. Of each resource that the node lists; amounts are rounded down, also those of devices and pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

impl Default for Share {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(WHOLE);

    /// Reads a decimal above 0 and up to 1, with at most six digits behind the point.
    pub fn parse(text: &str) -> Option<Self> {
        let millionths = decimal(text)? * exact(WHOLE);
        let is_whole = millionths.is_integer();
        let count = millionths.to_integer().to_u32()?;
        (is_whole && (1..=WHOLE).contains(&count)).then_some(Self(count))
    }

    /// What may be used of this amount.
    pub fn of(self, amount: i64) -> i64 {
        let part = i128::from(amount) * i128::from(self.0) / i128::from(WHOLE);
        // A part of an amount is no larger than it.
        i64::try_from(part).unwrap_or(amount)
    }

    /// What must be there so that this amount may be used; the largest number where that is beyond 64 bits.
    pub fn whole_of(self, amount: i64) -> i64 {
        let whole = (i128::from(amount) * i128::from(WHOLE)).div_euclid(i128::from(self.0));
        let short = whole * i128::from(self.0) < i128::from(amount) * i128::from(WHOLE);
        i64::try_from(whole + i128::from(short)).unwrap_or(i64::MAX)
    }

    /// Lowers what is free on a node to what may be used of it.
    pub fn cap(self, free: &mut Resources, allocatable: &Resources) {
        if self == Self::WHOLE {
            return;
        }
        for (name, amount) in allocatable.iter() {
            let most = self.of(amount);
            if free.get(name) > most {
                free.set(name, most);
            }
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = Exact::new(self.0.into(), WHOLE.into());
        // At most six digits, which a float holds.
        write!(out, "{}", value.to_f64().unwrap_or(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CPU;

    #[test]
    fn a_share_is_a_decimal_above_0_and_up_to_1() {
        for (text, shown) in [("1", "1"), ("0.70", "0.7"), (".000001", "0.000001")] {
            let share = Share::parse(text).expect(text);
            assert_eq!(share.to_string(), shown);
        }
        for wrong in ["0", "1.1", "-0.5", "70%", "", "0.0000001", "1e-1"] {
            assert_eq!(Share::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn parts_are_rounded_down_and_wholes_up() {
        let share = Share::parse("0.7").expect("a share");
        assert_eq!((share.of(8), share.of(1), share.of(0)), (5, 0, 0));
        assert_eq!(Share::WHOLE.of(i64::MAX), i64::MAX);
        for amount in [0, 1, 5, 7, 1000, i64::MAX / 4] {
            let whole = share.whole_of(amount);
            assert!(share.of(whole) >= amount, "{amount}");
            assert!(whole == 0 || share.of(whole - 1) < amount, "{amount}");
        }
        assert_eq!(share.whole_of(i64::MAX), i64::MAX);
    }

    #[test]
    fn a_cap_lowers_what_is_free_and_never_raises_it() {
        let allocatable = Resources::from_iter([(CPU, 1000), ("example.com/fpga", 2)]);
        let mut free = Resources::from_iter([(CPU, 900), ("example.com/fpga", -1), ("x", 5)]);
        Share::parse("0.7")
            .expect("a share")
            .cap(&mut free, &allocatable);
        let wanted = [(CPU, 700), ("example.com/fpga", -1), ("x", 5)];
        assert_eq!(free, Resources::from_iter(wanted));
    }
}
