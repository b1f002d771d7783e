//! What durations and decimals look like in a manifest, as rules of the schema.

pub(super) const DURATION: &str = "self.matches('^(0|([0-9]+([.][0-9]*)?|[.][0-9]+)(h|ms|m|s|us|µs|ns)(([0-9]+([.][0-9]*)?|[.][0-9]+)(h|ms|m|s|us|µs|ns))*)$')";
/// The same for one that may not be 0, as a pattern, which costs nothing in a list of tasks; who reads it refuses 0s.
pub(super) const DEADLINE: &str = "^(([0-9]+([.][0-9]*)?|[.][0-9]+)(h|ms|m|s|us|µs|ns))+$";
/// What is right where a duration is wrong.
pub const DURATION_MESSAGE: &str = "must be a duration of at least 0 such as 1h30m, 20s or 500ms";
/// What is right where a deadline is wrong.
pub const DEADLINE_MESSAGE: &str = "must be a duration above 0 such as 2h, 30m or 90s";
pub(super) const DECIMAL: &str = "^([0-9]+([.][0-9]*)?|[.][0-9]+)$";
/// What is right where a decimal is wrong.
pub const DECIMAL_MESSAGE: &str = "must be a decimal of at least 0, in quotes, such as \"0.95\"";
pub(super) const FRACTION: &str = "self.matches('^(0|0?[.][0-9]+|0[.]|1|1[.]0*)$')";
/// What is right where a fraction is out of its range.
pub const FRACTION_MESSAGE: &str = "must be a decimal from 0 to 1, in quotes, such as \"0.95\"";
