//! Numbers for people.

use crate::model::{self, Millis, Share, Unit};

/// Milliseconds as seconds: `512.3s`; short times as `40ms`.
pub fn seconds(millis: Millis) -> String {
    if millis != 0 && millis.abs() < 100 {
        return format!("{millis}ms");
    }
    // Tenths of a second, the half of one rounded away from zero.
    let tenths = (millis.abs() + 50) / 100;
    let sign = if millis < 0 { "-" } else { "" };
    format!("{sign}{}.{}s", tenths / 10, tenths % 10)
}

/// The value of a goal: `512.3s`, and for the other units a plain decimal such as `6.0` or `9.25`.
pub fn objective(unit: Unit, value: i64) -> String {
    match unit {
        Unit::Ms => seconds(value),
        Unit::Milli => decimal(value, 3),
        Unit::Micro => decimal(value, 6),
    }
}

/// Reads a share of each node.
pub fn share(given: &str) -> Result<Share, String> {
    Share::parse(given).ok_or_else(|| {
        "must be a decimal above 0 and up to 1, such as 0.7, of at most 6 digits".into()
    })
}

/// A fraction as `2.9 %`; below one percent `0.04 %`.
pub fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if percent == 0.0 {
        "0 %".into()
    } else if percent < 1.0 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// How far a plan may be from the best one; 0 only where it is proved to be the best.
pub fn gap(objective: i64, bound: i64) -> String {
    match model::gap(objective, bound) {
        None => "unknown".into(),
        Some(0.0) if objective != bound => "< 0.01 %".into(),
        Some(gap) => percent(gap),
    }
}

/// `value` / 10^`places` without trailing zeros, but for one.
fn decimal(value: i64, places: u32) -> String {
    let unit = 10u64.pow(places);
    let all = value.unsigned_abs();
    let fraction = format!("{:0width$}", all % unit, width = places as usize);
    let digits = fraction.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{digits}", all / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain() {
        assert_eq!(seconds(512_340), "512.3s");
        assert_eq!(seconds(0), "0.0s");
        assert_eq!(seconds(40), "40ms");
        assert_eq!(seconds(-1_950), "-2.0s");
        assert_eq!(objective(Unit::Milli, 9_250), "9.25");
        assert_eq!(objective(Unit::Milli, 6_000), "6.0");
        assert_eq!(objective(Unit::Micro, 1_234_567), "1.234567");
        assert_eq!(percent(0.0288), "2.9 %");
        assert_eq!(percent(0.0004), "0.04 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(gap(620_000, 619_990), "< 0.01 %");
        assert_eq!(gap(620_000, 620_000), "0 %");
        assert_eq!(gap(102, 100), "2.0 %");
        assert_eq!(gap(1, 0), "unknown");
    }
}
