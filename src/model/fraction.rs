//! Exact rationals that stay in machine words for as long as they fit.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Sub};

use num_bigint::BigInt;
use num_rational::Ratio;
use num_traits::ToPrimitive;

use super::{Exact, ceil_i64, exact, floor_i64};

/// An exact rational for sums on the way, of the same value as the [`Exact`] that it was made of. Its numerator
/// and denominator are not reduced: to reduce them after each step is nearly all of the work of an [`Exact`].
/// What 128 bits do not hold is reckoned with big integers from there on.
#[derive(Clone, Debug)]
pub struct Fraction(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Numerator above `i128::MIN`, and denominator above 0.
    Short(i128, i128),
    Long(Exact),
}
use Form::{Long, Short};

impl Fraction {
    /// `numerator / denominator`. Panics on a denominator of 0, as all divisions do.
    pub fn new(numerator: i64, denominator: i64) -> Self {
        Self::from(numerator) / Self::from(denominator)
    }

    /// The smallest whole number not below the value; `None` beyond 64 bits.
    pub fn ceil(&self) -> Option<i64> {
        match &self.0 {
            Short(above, below) => (-(-above).div_euclid(*below)).to_i64(),
            Long(value) => ceil_i64(value),
        }
    }

    /// The largest whole number not above the value; `None` beyond 64 bits.
    pub fn floor(&self) -> Option<i64> {
        match &self.0 {
            Short(above, below) => above.div_euclid(*below).to_i64(),
            Long(value) => floor_i64(value),
        }
    }

    /// The fraction in 128 bits if they hold it.
    fn short(above: Option<i128>, below: Option<i128>) -> Option<Self> {
        let (above, below) = (above?, below?);
        (above > i128::MIN && below > 0).then_some(Self(Short(above, below)))
    }

    /// What `short` makes of numerators and denominators, or else what `long` makes of the values.
    fn combine(
        self,
        other: Self,
        short: impl Fn([i128; 2], [i128; 2]) -> Option<Self>,
        long: impl Fn(Exact, Exact) -> Exact,
    ) -> Self {
        if let (Short(a, b), Short(c, d)) = (&self.0, &other.0)
            && let Some(found) = short([*a, *b], [*c, *d])
        {
            return found;
        }
        Self(Long(long(self.into(), other.into())))
    }
}

impl From<i64> for Fraction {
    fn from(value: i64) -> Self {
        Self(Short(value.into(), 1))
    }
}

impl From<&Exact> for Fraction {
    fn from(value: &Exact) -> Self {
        Self::short(value.numer().to_i128(), value.denom().to_i128())
            .unwrap_or_else(|| Self(Long(value.clone())))
    }
}

impl From<Fraction> for Exact {
    fn from(value: Fraction) -> Self {
        match value.0 {
            Short(above, 1) => exact(above),
            Short(above, below) => {
                let (above, below) = Ratio::new(above, below).into_raw();
                Exact::new_raw(BigInt::from(above), BigInt::from(below))
            }
            Long(value) => value,
        }
    }
}

impl Add for Fraction {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let short = |[a, b]: [i128; 2], [c, d]: [i128; 2]| {
            let sum = a.checked_mul(d)?.checked_add(c.checked_mul(b)?);
            Self::short(sum, b.checked_mul(d))
        };
        self.combine(other, short, |one, other| one + other)
    }
}

impl Sub for Fraction {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let short = |[a, b]: [i128; 2], [c, d]: [i128; 2]| {
            let rest = a.checked_mul(d)?.checked_sub(c.checked_mul(b)?);
            Self::short(rest, b.checked_mul(d))
        };
        self.combine(other, short, |one, other| one - other)
    }
}

impl Mul for Fraction {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let short =
            |[a, b]: [i128; 2], [c, d]: [i128; 2]| Self::short(a.checked_mul(c), b.checked_mul(d));
        self.combine(other, short, |one, other| one * other)
    }
}

impl Div for Fraction {
    type Output = Self;

    /// Panics where the other is 0.
    fn div(self, other: Self) -> Self {
        // A divisor below 0 would make a denominator below 0: `short` refuses it, and big integers take it.
        let short =
            |[a, b]: [i128; 2], [c, d]: [i128; 2]| Self::short(a.checked_mul(d), b.checked_mul(c));
        self.combine(other, short, |one, other| one / other)
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Fraction {}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Short(a, b), Short(c, d)) = (&self.0, &other.0)
            && let (Some(one), Some(other)) = (a.checked_mul(*d), c.checked_mul(*b))
        {
            return one.cmp(&other);
        }
        Exact::from(self.clone()).cmp(&Exact::from(other.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rationals of all lengths: of a few bits, of about 64 bits and of more than 128 bits, of both signs.
    fn any_exact() -> impl Strategy<Value = Exact> {
        let part = || (any::<i64>(), 0u32..64, 0usize..150);
        let long = |(value, cut, shift): (i64, u32, usize)| {
            BigInt::from(value >> cut) << shift.saturating_sub(60)
        };
        (part(), part()).prop_map(move |(above, below)| {
            let below = long(below);
            let one = BigInt::from(1);
            Exact::new(long(above), if below == BigInt::ZERO { one } else { below })
        })
    }

    proptest! {
        #[test]
        fn each_step_has_the_value_of_the_exact_one(steps in proptest::collection::vec((any_exact(), 0u8..4), 1..8)) {
            let (mut wanted, mut found) = (exact(1), Fraction::from(1));
            for (value, step) in steps {
                let other = Fraction::from(&value);
                prop_assert_eq!(found.cmp(&other), wanted.cmp(&value));
                (wanted, found) = match step {
                    0 => (wanted + value, found + other),
                    1 => (wanted - value, found - other),
                    2 => (wanted * value, found * other),
                    _ if value == exact(0) => continue,
                    _ => (wanted / value, found / other),
                };
                prop_assert_eq!(Exact::from(found.clone()), wanted.clone());
                prop_assert_eq!(found.ceil(), ceil_i64(&wanted));
                prop_assert_eq!(found.floor(), floor_i64(&wanted));
            }
        }
    }

    #[test]
    fn what_128_bits_do_not_hold_is_still_exact() {
        let most = Exact::from_integer(i128::MAX.into());
        let least = Exact::from_integer(i128::MIN.into());
        for value in [most, least] {
            let fraction = || Fraction::from(&value);
            assert_eq!(Exact::from(fraction() + fraction()), &value + &value);
            assert_eq!(Exact::from(fraction() * fraction()), &value * &value);
            assert_eq!(fraction() / fraction(), Fraction::from(1));
            assert_eq!(fraction().ceil(), None);
        }
    }
}
