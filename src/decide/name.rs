//! Names of what is created: the same for the same intent, in every version of the program.

use super::manifest::Intent;
use super::world::ObjectId;

/// The longest name that is also a host name.
pub const LONGEST: usize = 63;

/// Of a pod: `<batch>-<task>-<copy>-<attempt>`, for gangs `-<worker>` behind; with a hash where that is too
/// long, or where a pod of that name belongs to somebody else.
pub fn of_pod(intent: &Intent<'_>, worker: u32) -> String {
    let batch = &intent.tracked.id;
    let mut plain = format!(
        "{}-{}-{}-{}",
        batch.name, intent.spec.name, intent.copy.copy, intent.copy.attempt
    );
    if intent.workers > 1 {
        plain += &format!("-{worker}");
    }
    if plain.len() <= LONGEST && !intent.name_taken {
        return plain;
    }
    hashed(&plain, &batch.uid)
}

/// Of the host that a pod of this name is: names of batches may have dots.
pub fn of_host(pod: &str) -> String {
    pod.replace('.', "-")
}

/// Of the Service of a batch with gangs: `<batch>-workers`, with a hash where that is no name of a Service, or where a
/// Service of that name belongs to somebody else.
pub fn of_service(batch: &ObjectId, is_taken: bool) -> String {
    let plain = format!("{}-workers", batch.name);
    let starts_with_letter = plain.starts_with(|first: char| first.is_ascii_lowercase());
    if starts_with_letter && !plain.contains('.') && plain.len() <= LONGEST && !is_taken {
        return plain;
    }
    hashed(&format!("tb-{}", of_host(&plain)), &batch.uid)
}

fn hashed(plain: &str, uid: &str) -> String {
    let hash = format!("{:016x}", fnv(&format!("{uid}/{plain}")));
    let kept: String = plain.chars().take(LONGEST - hash.len() - 1).collect();
    format!("{}-{hash}", kept.trim_end_matches(['-', '.']))
}

/// FNV-1a.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(batch: &str, is_taken: bool) -> String {
        let id = ObjectId {
            namespace: "default".into(),
            name: batch.into(),
            uid: "u".into(),
        };
        of_service(&id, is_taken)
    }

    #[test]
    fn a_service_has_a_plain_name_where_that_is_one() {
        assert_eq!(service("demo", false), "demo-workers");
        let long = "x".repeat(60);
        for (batch, is_taken) in [
            ("demo", true),
            ("1st", false),
            ("a.b", false),
            (&long, false),
        ] {
            let name = service(batch, is_taken);
            assert!(name.len() <= LONGEST && name.starts_with("tb-"), "{name}");
            assert!(!name.contains('.') && !name.ends_with('-'), "{name}");
        }
    }
}
