//! The syntax of label keys and values, after `k8s.io/apimachinery/pkg/api/validate/content`.

/// Longest label value, and longest name part of a label key, in bytes.
const MOST_NAME: usize = 63;
/// Longest prefix of a label key, in bytes.
const MOST_PREFIX: usize = 253;

/// Whether the text can be the value of a label: empty, or at most 63 of `[-A-Za-z0-9_.]`, letters or digits at
/// both ends.
pub(super) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

/// Whether the text can be the key of a label: a name, maybe behind a DNS subdomain and a slash.
pub fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= MOST_NAME
        && has_ends(text, |byte| byte.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_subdomain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= MOST_PREFIX
        && text.split('.').all(|part| {
            has_ends(part, plain) && part.bytes().all(|byte| plain(byte) || byte == b'-')
        })
}

fn has_ends(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&byte| allowed(byte))
        && bytes.last().is_some_and(|&byte| allowed(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_names_or_empty() {
        let (most, more) = ("x".repeat(63), "x".repeat(64));
        for value in ["", "a", "A1", "a-b_c.d", "80", most.as_str()] {
            assert!(is_label_value(value), "{value:?}");
        }
        for value in ["-a", "a-", ".", "a b", "a/b", "é", "+5", more.as_str()] {
            assert!(!is_label_value(value), "{value:?}");
        }
    }

    #[test]
    fn keys_may_have_a_domain() {
        for key in ["gpu", "nvidia.com/gpu.product", "a.b-c.d/E_f", "1/1"] {
            assert!(is_label_key(key), "{key:?}");
        }
        let (name, domain) = ("x".repeat(64), format!("{}/x", "x".repeat(254)));
        for key in [
            "",
            "/",
            "/gpu",
            "gpu/",
            "a/b/c",
            "A.com/gpu",
            "a..b/gpu",
            "-a.b/gpu",
            "a_b/gpu",
            &name,
            &domain,
        ] {
            assert!(!is_label_key(key), "{key:?}");
        }
    }
}
