//! Whatever the bytes are, they are read or refused. That pods are read aright is tested against Kubernetes itself, in
//! `tests/oracle`.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A field with these bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("a short field");
    [&[number << 3 | 2, length], bytes].concat()
}

fn wrapped(kind: &str, raw: &[u8]) -> Vec<u8> {
    let types = field(1, &[field(1, b"v1"), field(2, kind.as_bytes())].concat());
    [MAGIC.to_vec(), types, field(2, raw)].concat()
}

#[test]
fn fields_of_tomorrow_are_there_without_a_name_unless_they_are_empty() {
    // Numbers 50, a text, 51, a number, and 52, an empty message, behind the name of the node.
    let tomorrow = [0x92, 3, 1, b'x', 0x98, 3, 0, 0xa2, 3, 0];
    let spec = [field(10, b"n1").as_slice(), &tomorrow].concat();
    let read = object(&wrapped("Pod", &field(2, &spec)));
    let wanted = json!({"spec": {"nodeName": "n1", "field 50": true, "field 51": true}});
    assert_eq!(read, Ok(wanted));
}

#[test]
fn of_other_kinds_the_metadata_are_read() {
    let raw = [field(1, &field(1, b"s")), field(2, b"what it is")].concat();
    let read = object(&wrapped("Service", &raw)).expect("an object");
    assert_eq!(read["metadata"], json!({"name": "s"}));
}

#[test]
fn a_status_says_why() {
    let raw = [
        field(3, b"gone").as_slice(),
        &field(4, b"Expired"),
        &[6 << 3, 0x9a, 3],
    ]
    .concat();
    let read = object(&wrapped("Status", &raw));
    assert_eq!(
        read,
        Ok(json!({"message": "gone", "reason": "Expired", "code": 410}))
    );
}

#[test]
fn what_is_cut_short_is_refused() {
    let whole = wrapped("Pod", &field(2, &field(10, b"n1")));
    for length in 0..whole.len() {
        let cut = object(&whole[..length]);
        // What ends between two fields is whole as far as it goes.
        assert!(cut.is_err() || cut == Ok(json!({})), "{length}: {cut:?}");
    }
    assert_eq!(object(b"{}"), Err(Broken));
}

proptest! {
    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in "Pod|PodList|Status|X") {
        let _ = event(&bytes);
        let found = [wrapped(&kind, &bytes[..bytes.len().min(100)]), bytes];
        for bytes in found {
            let _ = object(&bytes);
            let _ = items(&bytes).map(Iterator::count);
        }
    }
}
