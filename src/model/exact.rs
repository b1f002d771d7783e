//! Exact rationals, so that a duration is rounded once, at the end, and never on the way.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, ToPrimitive};

/// An exact rational number.
pub type Exact = BigRational;

/// The rational of a whole number.
pub fn exact(value: impl Into<BigInt>) -> Exact {
    Exact::from_integer(value.into())
}

/// Reads a plain decimal such as `0.95`, `-2` or `.5`. `None` for anything else, exponents included,
/// and for numbers of more than 40 digits: nobody means them, and they would make all later sums slow.
pub fn decimal(text: &str) -> Option<Exact> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || all.len() > 40 || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Nearly every number is whole and short: then nothing has to be reduced.
    let numerator = match all.parse::<i64>() {
        Ok(short) => BigInt::from(short),
        Err(_) => all.parse().ok()?,
    };
    let value = if fraction.is_empty() {
        Exact::from_integer(numerator)
    } else {
        Exact::new(numerator, Pow::pow(BigInt::from(10), fraction.len()))
    };
    Some(if negative { -value } else { value })
}

/// The smallest whole number not below the value; `None` beyond 64 bits.
pub fn ceil_i64(value: &Exact) -> Option<i64> {
    value.ceil().to_integer().to_i64()
}

/// The largest whole number not above the value; `None` beyond 64 bits.
pub fn floor_i64(value: &Exact) -> Option<i64> {
    value.floor().to_integer().to_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_exactly() {
        assert_eq!(decimal("0.95"), Some(Exact::new(19.into(), 20.into())));
        assert_eq!(decimal("-2"), Some(exact(-2)));
        assert_eq!(decimal(".5"), Some(Exact::new(1.into(), 2.into())));
        for wrong in ["", ".", "1e3", "0x1", "1,5", "--1", "1.2.3", "NaN", "inf"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rounding_goes_outwards() {
        let half = decimal("2.5").expect("a decimal");
        assert_eq!((floor_i64(&half), ceil_i64(&half)), (Some(2), Some(3)));
        let below = decimal("-2.5").expect("a decimal");
        assert_eq!((floor_i64(&below), ceil_i64(&below)), (Some(-3), Some(-2)));
    }
}
