//! Durations in Go's grammar, exactly: `1h30m`, `500ms`, `1.5s`.

use crate::model::{Exact, Fraction, Millis, decimal, exact};

/// The exact milliseconds of a duration that is not negative; `None` for anything else.
pub fn parse(text: &str) -> Option<Exact> {
    if text == "0" {
        return Some(exact(0));
    }
    let mut rest = text;
    let mut total = Fraction::from(0);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let (suffix, unit) = UNITS.iter().find(|(suffix, _)| after.starts_with(suffix))?;
        let number = Fraction::from(&decimal(number)?);
        total = total + number * Fraction::new(*unit, NANOS_PER_MILLI);
        rest = &after[suffix.len()..];
    }
    (!text.is_empty()).then(|| total.into())
}

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Suffixes with their nanoseconds; `ms` before `m`, so that the longer one is found first.
const UNITS: [(&str, i64); 7] = [
    ("h", 3_600_000_000_000),
    ("ms", 1_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// Writes milliseconds for people and for `parse`: `1h30m`, `20s`, `1.5s`, `0s`.
pub fn format(millis: Millis) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let all = millis.unsigned_abs();
    let (hours, minutes, rest) = (all / 3_600_000, all / 60_000 % 60, all % 60_000);
    let mut text = String::from(sign);
    if hours > 0 {
        text += &format!("{hours}h");
    }
    if minutes > 0 {
        text += &format!("{minutes}m");
    }
    if rest > 0 || all == 0 {
        let (seconds, fraction) = (rest / 1000, rest % 1000);
        text += &match fraction {
            0 => format!("{seconds}s"),
            _ if seconds == 0 && all < 1000 => format!("{fraction}ms"),
            _ => format!(
                "{seconds}.{}s",
                format!("{fraction:03}").trim_end_matches('0')
            ),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_exact() {
        for (text, wanted) in [
            ("1h30m", "5400000"),
            ("500ms", "500"),
            ("1.5s", "1500"),
            ("250us", "0.25"),
            ("0", "0"),
            ("0s", "0"),
            ("1h1h", "7200000"),
            (".5m", "30000"),
            ("1ns", "0.000001"),
        ] {
            assert_eq!(parse(text), decimal(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", "5", "-5m", "1d", "1 h", "m", "1hm", "1..5s", "1e3s", "s1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0..i64::MAX) {
            prop_assert_eq!(parse(&format(millis)), Some(exact(millis)));
        }
    }
}
