//! Reads the Protobuf format in which Kubernetes' own components talk to the API server, into the JSON that it stands
//! for: <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>.
//!
//! The API server encodes an event of a watch once for all who ask for it in this format, and faster than in JSON.
//! A field that is not in the [`schema`] is there all the same, as `"field 47": true`: a rule that a newer Kubernetes
//! adds to a pod must not be overlooked.

mod schema;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Map, Value};

use schema::{Field, Kind, Message};

/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// An object of this format begins with it; no JSON does.
const MAGIC: &[u8] = b"k8s\0";

/// Bytes that are not of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Kubernetes object in Protobuf")]
pub struct Broken;

/// Whether an object in this format begins here.
pub fn is_object(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads a pod, a list without its items, or a `Status`; of other kinds the metadata.
pub fn object(bytes: &[u8]) -> Result<Value, Broken> {
    let Envelope { kind, raw } = envelope(bytes)?;
    message(raw, of_kind(kind))
}

/// Reads the objects of a list, one after the other.
pub fn items(bytes: &[u8]) -> Result<impl Iterator<Item = Result<Value, Broken>>, Broken> {
    let Envelope { kind, raw } = envelope(bytes)?;
    let of_item = of_kind(kind.strip_suffix("List").ok_or(Broken)?);
    let items = Fields(raw).filter_map(move |field| match field {
        Ok((2, Wire::Bytes(item))) => Some(message(item, of_item)),
        Ok(_) => None,
        Err(broken) => Some(Err(broken)),
    });
    Ok(items)
}

/// Reads an event of a watch: its type and its object.
pub fn event(bytes: &[u8]) -> Result<(String, Value), Broken> {
    let (mut kind, mut found) = (String::new(), Value::Null);
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Bytes(bytes)) => kind = text(bytes),
            (2, Wire::Bytes(extension)) => found = object(bytes_of(extension, 1)?)?,
            _ => {}
        }
    }
    Ok((kind, found))
}

/// A `runtime.Unknown`: the kind of an object, and its message.
struct Envelope<'a> {
    kind: &'a str,
    raw: &'a [u8],
}

fn envelope(bytes: &[u8]) -> Result<Envelope<'_>, Broken> {
    let bytes = bytes.strip_prefix(MAGIC).ok_or(Broken)?;
    let kind = bytes_of(bytes_of(bytes, 1)?, 2)?;
    Ok(Envelope {
        kind: str::from_utf8(kind).map_err(|_| Broken)?,
        raw: bytes_of(bytes, 2)?,
    })
}

fn of_kind(kind: &str) -> &'static Message {
    match kind {
        "Pod" => schema::POD,
        "Status" => schema::STATUS,
        _ if kind.ends_with("List") => schema::LIST,
        _ => schema::OBJECT,
    }
}

/// The bytes of the field of this number; none where it is absent.
fn bytes_of(message: &[u8], number: u32) -> Result<&[u8], Broken> {
    for field in Fields(message) {
        if let (found, Wire::Bytes(bytes)) = field?
            && found == number
        {
            return Ok(bytes);
        }
    }
    Ok(&[])
}

fn message(bytes: &[u8], of: &Message) -> Result<Value, Broken> {
    let mut found = Map::new();
    read(bytes, of, &mut found)?;
    Ok(Value::Object(found))
}

fn read(bytes: &[u8], of: &Message, into: &mut Map<String, Value>) -> Result<(), Broken> {
    for field in Fields(bytes) {
        let (number, wire) = field?;
        match of.iter().find(|field| field.0 == number) {
            Some(Field(_, name, kind)) => put(name, *kind, wire, into)?,
            // What is empty says as little as if it were absent, but where only presence is asked for.
            None if wire == Wire::Bytes(&[]) && !of.is_empty() => {}
            None => {
                into.insert(format!("field {number}"), true.into());
            }
        }
    }
    Ok(())
}

/// Puts a field among those that were read. Texts without a letter are left out, as JSON leaves them out; the format
/// has them all the same.
fn put(name: &str, kind: Kind, wire: Wire, into: &mut Map<String, Value>) -> Result<(), Broken> {
    match (kind, wire) {
        (Kind::Nothing, _) | (Kind::Text, Wire::Bytes(&[])) => {}
        (Kind::Inline(of), Wire::Bytes(bytes)) => read(bytes, of, into)?,
        (Kind::Many(each), wire) => {
            let list = into.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            let value = value(*each, wire)?;
            list.as_array_mut().ok_or(Broken)?.push(value);
        }
        (Kind::Map(each), Wire::Bytes(entry)) => {
            let map = into
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
            let value = value(*each, Wire::Bytes(bytes_of(entry, 2)?))?;
            let key = text(bytes_of(entry, 1)?);
            map.as_object_mut().ok_or(Broken)?.insert(key, value);
        }
        (kind, wire) => {
            into.insert(name.to_owned(), value(kind, wire)?);
        }
    }
    Ok(())
}

fn value(kind: Kind, wire: Wire) -> Result<Value, Broken> {
    Ok(match (kind, wire) {
        (Kind::Text, Wire::Bytes(bytes)) => text(bytes).into(),
        (Kind::Number, Wire::Number(number)) => number.cast_signed().into(),
        (Kind::Truth, Wire::Number(number)) => (number != 0).into(),
        (Kind::Quantity, Wire::Bytes(bytes)) => text(bytes_of(bytes, 1)?).into(),
        (Kind::Time, Wire::Bytes(bytes)) => time(bytes)?,
        (Kind::One(of), Wire::Bytes(bytes)) => message(bytes, of)?,
        _ => return Err(Broken),
    })
}

/// A time that is not set has no fields.
fn time(bytes: &[u8]) -> Result<Value, Broken> {
    let mut seconds = None;
    for field in Fields(bytes) {
        if let (1, Wire::Number(number)) = field? {
            seconds = Some(number.cast_signed());
        }
    }
    let Some(seconds) = seconds else {
        return Ok(Value::Null);
    };
    let time = Timestamp::from_second(seconds).map_err(|_| Broken)?;
    Ok(time.to_string().into())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the wire holds of a field: <https://protobuf.dev/programming-guides/encoding>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// 64 or 32 bits, of which no field of a pod is made.
    Fixed,
}

/// The fields of a message, by their numbers. Nothing comes after an error.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Broken);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Wire<'a>)> {
        let key = self.number()?;
        let wire = match key & 7 {
            0 => Wire::Number(self.number()?),
            1 => self.bytes(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = self.number()?;
                Wire::Bytes(self.bytes(usize::try_from(length).ok()?)?)
            }
            5 => self.bytes(4).map(|_| Wire::Fixed)?,
            _ => return None,
        };
        Some((u32::try_from(key >> 3).ok()?, wire))
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A number in groups of seven bits, the lowest first; all but the last have the highest bit set.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.bytes(1)? else { return None };
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}
