//! Objects of Kubernetes without the books that the API server keeps of who set which field.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// An object in JSON without its managed fields: often its longest part, and of no use here.
pub struct Unmanaged(pub Value);

impl<'de> Deserialize<'de> for Unmanaged {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Fields::OfObject.deserialize(from).map(Self)
    }
}

/// Which fields are read.
#[derive(Clone, Copy)]
enum Fields {
    OfObject,
    OfMetadata,
}

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            let value = match (self, key.as_str()) {
                (Fields::OfObject, "metadata") => from.next_value_seed(Fields::OfMetadata)?,
                (Fields::OfMetadata, "managedFields") => {
                    from.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => from.next_value()?,
            };
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managed_fields_are_left_out_and_nothing_else() {
        let text = r#"{"metadata": {"name": "p", "managedFields": [{"manager": "m"}], "labels": {"managedFields": "x"}},
            "managedFields": 1, "spec": {"managedFields": [2]}}"#;
        let Unmanaged(read) = serde_json::from_str(text).expect("an object");
        let mut wanted: Value = serde_json::from_str(text).expect("JSON");
        wanted["metadata"]
            .as_object_mut()
            .expect("an object")
            .remove("managedFields");
        assert_eq!(read, wanted);
    }
}
