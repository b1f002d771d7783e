//! Kubernetes quantities, exactly: `1500m`, `1.5Gi`, `2e3`.
//!
//! Grammar and rounding follow k8s.io/apimachinery `resource.Quantity`: amounts finer than a billionth round up when
//! they are read, and those finer than the unit when all of them are summed, as `MilliValue()` and `Value()` do. Texts
//! without a digit, which upstream takes for 0, are refused.

use num_bigint::BigInt;
use num_traits::{Pow, ToPrimitive};

use crate::model::{CPU, Exact, Fraction, decimal, exact};

/// A text that is no quantity, or one too large.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the grammar.
    #[error("{0:?} is not a quantity; write it as 4, 500m or 16Gi")]
    Malformed(String),
    /// More than 64 bits hold.
    #[error("{0:?} is more than 64 bits hold")]
    TooLarge(String),
}

const BINARY: [(&str, u32); 6] = [
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];
const DECIMAL: [(&str, i32); 9] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
/// Billionths in one.
const NANOS: i64 = 1_000_000_000;
/// Exponents beyond this are no amounts of anything, and would only cost memory.
const LARGEST_EXPONENT: i32 = 60;

/// The exact value of a quantity, in the base unit (cores, bytes, devices).
pub fn parse(text: &str) -> Result<Exact, QuantityError> {
    read(text).map(Exact::from)
}

fn read(text: &str) -> Result<Fraction, QuantityError> {
    let malformed = || QuantityError::Malformed(text.to_owned());
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    let value = Fraction::from(&decimal(digits).ok_or_else(malformed)?);
    if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Ok(value * Fraction::from(1i64 << *bits));
    }
    let power = match DECIMAL.iter().find(|(name, _)| *name == suffix) {
        Some((_, power)) => *power,
        None if suffix.is_empty() => 0,
        None => exponent(suffix).ok_or_else(malformed)?,
    };
    if power.abs() > LARGEST_EXPONENT {
        return Err(QuantityError::TooLarge(text.to_owned()));
    }
    if power == 0 {
        return Ok(value);
    }
    let scale = Fraction::from(&exact(Pow::pow(BigInt::from(10), power.unsigned_abs())));
    Ok(if power < 0 {
        value / scale
    } else {
        value * scale
    })
}

fn exponent(suffix: &str) -> Option<i32> {
    let digits = suffix.strip_prefix(['e', 'E'])?;
    let number = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// The value in the resource's own unit (milli-CPU for cpu), maybe a fraction.
pub fn units(resource: &str, text: &str) -> Result<Exact, QuantityError> {
    in_units(resource, text).map(Exact::from)
}

fn in_units(resource: &str, text: &str) -> Result<Fraction, QuantityError> {
    let value = read(text)?;
    Ok(if resource == CPU {
        value * Fraction::from(1000)
    } else {
        value
    })
}

/// Billionths of the base unit, the finest that upstream keeps; what is finer rounds up.
pub fn nanos(text: &str) -> Result<i128, QuantityError> {
    if let Some(value) = short(text) {
        return Ok(value);
    }
    let exact = Exact::from(read(text)? * Fraction::from(NANOS));
    let rounded = exact.ceil().to_integer().to_i128();
    rounded.ok_or_else(|| QuantityError::TooLarge(text.to_owned()))
}

/// The same without big numbers, for the quantities that nearly everybody writes.
fn short(text: &str) -> Option<i128> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (digits, suffix) = text.split_at(split.unwrap_or(text.len()));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let unit = unit(suffix)?;
    let parts = match (whole.parse::<i64>(), fraction.parse::<i32>()) {
        (Ok(whole), Ok(fraction)) => (whole, fraction),
        (Ok(whole), Err(_)) if fraction.is_empty() => (whole, 0),
        (Err(_), Ok(fraction)) if whole.is_empty() => (0, fraction),
        _ => return None,
    };
    let tens = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let beside = i128::from(parts.1).checked_mul(unit)?;
    let rounded = beside / tens + i128::from(beside % tens != 0);
    i128::from(parts.0).checked_mul(unit)?.checked_add(rounded)
}

/// Billionths in one of this suffix, if they are whole.
fn unit(suffix: &str) -> Option<i128> {
    if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some(i128::from(NANOS) << bits);
    }
    let known = DECIMAL.iter().find(|(name, _)| *name == suffix);
    let power = match known {
        Some((_, power)) => *power,
        None if suffix.is_empty() => 0,
        None => exponent(suffix).filter(|power| (-9..=18).contains(power))?,
    };
    Some(10i128.pow(u32::try_from(power + 9).ok()?))
}

/// The amount of a resource in its own unit (milli-CPU for cpu) of this many billionths, rounded up to whole ones;
/// `None` beyond 64 bits.
pub fn whole(resource: &str, nanos: i128) -> Option<i64> {
    let unit = i128::from(if resource == CPU { NANOS / 1000 } else { NANOS });
    let up = i128::from(nanos.rem_euclid(unit) != 0);
    i64::try_from(nanos.div_euclid(unit) + up).ok()
}

/// The amount in the resource's own unit, rounded up to whole ones.
pub fn amount(resource: &str, text: &str) -> Result<i64, QuantityError> {
    whole(resource, nanos(text)?).ok_or_else(|| QuantityError::TooLarge(text.to_owned()))
}

/// Writes an amount as a quantity that reads back as the same amount.
pub use crate::model::quantity as format;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_exact_and_round_up() {
        for (resource, text, wanted) in [
            ("cpu", "1500m", 1500),
            ("cpu", "1", 1000),
            ("cpu", ".5", 500),
            ("cpu", "100u", 1),
            ("memory", "1.5Gi", 1_610_612_736),
            ("memory", "1e3", 1000),
            ("memory", "1E", 1_000_000_000_000_000_000),
            ("memory", "100m", 1),
            ("memory", "12e-1", 2),
            ("pods", "110", 110),
            ("cpu", "-1", -1000),
            ("memory", "1.0000000001", 2),
            ("memory", ".5Ki", 512),
            ("memory", "+2.5E3", 2500),
            ("cpu", "0.0000000000000000000000000005", 1),
        ] {
            assert_eq!(amount(resource, text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "", "x", "1 Gi", "1gi", "Gi", "1e", "1ee3", "1.2.3", "1KiB", "0x10", "∞",
        ] {
            assert!(
                matches!(parse(text), Err(QuantityError::Malformed(_))),
                "{text}"
            );
        }
        for text in ["1e999999999", "9223372036854775808", "8Ei", "10E"] {
            assert!(
                amount("memory", text).is_err(),
                "{text} does not fit 64 bits"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(amount_ in 0i64..i64::MAX, shift in 0u32..60, resource in 0usize..4) {
            let resource = ["cpu", "memory", "nvidia.com/gpu", "hugepages-2Mi"][resource];
            let wanted = amount_ >> shift << shift;
            prop_assert_eq!(amount(resource, &format(resource, wanted)), Ok(wanted));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }
    }
}
