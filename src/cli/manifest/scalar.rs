//! What a plain YAML scalar means to kubectl, which reads YAML 1.1: `yes` is true, `0755` is octal.
//!
//! The rules are those of sigs.k8s.io/yaml (go.yaml.in/yaml/v2, `resolve.go`), then its way through JSON,
//! on which `1e3` becomes the whole number 1000.

use serde_json::{Number, Value};

/// The value of a scalar without quotes.
pub fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let may_be_number =
        text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'));
    may_be_number
        .then(|| number(text))
        .flatten()
        .map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// The same number as JSON has it after a way through Go: a fraction of zero is none.
pub fn normal(number: Number) -> Number {
    match number.as_f64() {
        Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < i64::MAX as f64 => {
            (value as i64).into()
        }
        _ => number,
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = if text.contains('_') {
        text.replace('_', "")
    } else {
        text.to_owned()
    };
    whole(&digits).or_else(|| {
        let value: f64 = is_float(&digits).then(|| digits.parse().ok())??;
        Number::from_f64(value).map(normal)
    })
}

/// A whole number with the prefixes of Go: `0x`, `0o`, `0b`, and `0` for octal.
fn whole(text: &str) -> Option<Number> {
    let (negative, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match magnitude.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &magnitude[2..]),
        [b'0', b'o' | b'O', ..] => (8, &magnitude[2..]),
        [b'0', b'b' | b'B', ..] => (2, &magnitude[2..]),
        [b'0', _, ..] => (8, &magnitude[1..]),
        _ => (10, magnitude),
    };
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    if negative {
        return i64::try_from(-value).ok().map(Number::from);
    }
    u64::try_from(value).ok().map(Number::from)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        ),
        None => (unsigned, None),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !before.is_empty() || !after.is_empty();
    has_digits
        && digits(before)
        && digits(after)
        && exponent.is_none_or(|part| !part.is_empty() && digits(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Each line is what sigs.k8s.io/yaml 1.6, with which kubectl reads, makes of `a: TEXT`.
    #[test]
    fn plain_scalars_mean_what_kubectl_reads() {
        for (text, wanted) in [
            ("yes", json!(true)),
            ("off", json!(false)),
            ("~", json!(null)),
            ("", json!(null)),
            ("4", json!(4)),
            ("-4", json!(-4)),
            ("+4", json!(4)),
            ("1_000", json!(1000)),
            ("0755", json!(493)),
            ("0x10", json!(16)),
            ("0b11", json!(3)),
            ("08", json!(8)),
            ("1e3", json!(1000)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("4Gi", json!("4Gi")),
            ("500m", json!("500m")),
            ("1.2.3", json!("1.2.3")),
            ("0o17", json!(15)),
            ("-0b11", json!(-3)),
            ("-0", json!(0)),
            ("0.0", json!(0)),
            ("0b2", json!("0b2")),
            ("_1", json!("_1")),
            ("1e400", json!("1e400")),
            (".", json!(".")),
            ("2001-12-14", json!("2001-12-14")),
            ("1h30m", json!("1h30m")),
            ("0x", json!("0x")),
            ("--1", json!("--1")),
            ("+-1", json!("+-1")),
            ("1e", json!("1e")),
        ] {
            assert_eq!(resolve(text), wanted, "{text:?}");
        }
    }
}
