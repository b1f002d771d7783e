//! Reads JSON documents, one after the other, no key twice.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::report::SyntaxFault;
use super::scalar;

/// The documents of a text, each with the byte at which it starts.
pub fn read(text: &str) -> Result<Vec<(usize, Value)>, SyntaxFault> {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Strict>();
    let mut found = Vec::new();
    loop {
        let end = documents.byte_offset();
        let start = end + text[end..].len() - text[end..].trim_start().len();
        match documents.next() {
            None => return Ok(found),
            Some(Ok(Strict(value))) => found.push((start, value)),
            Some(Err(error)) => return Err(syntax(&error)),
        }
    }
}

fn syntax(error: &serde_json::Error) -> SyntaxFault {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let message = text.strip_suffix(&position).unwrap_or(&text);
    SyntaxFault::new(
        error.line(),
        format!("is no JSON: {message} (column {})", error.column()),
    )
}

/// A value whose objects have no key twice; `serde_json::Value` takes the last one in silence.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build).map(Strict)
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        let number =
            Number::from_f64(number).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Value::Number(scalar::normal(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut found = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            found.push(item);
        }
        Ok(Value::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if found.contains_key(&key) {
                return Err(de::Error::custom(format!(
                    "key {key:?} stands twice in this object"
                )));
            }
            let Strict(value) = entries.next_value()?;
            found.insert(key, value);
        }
        Ok(Value::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_follow_each_other() {
        let text = "{\"a\": 1.0}\n {\"b\": [null, true, 1.5]}";
        assert_eq!(
            read(text),
            Ok(vec![
                (0, json!({"a": 1})),
                (12, json!({"b": [null, true, 1.5]}))
            ])
        );
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, line, message) in [
            (
                "{\n\"a\": 1,\n\"a\": 2}",
                3,
                "key \"a\" stands twice in this object",
            ),
            ("{\"a\": 1,\n}", 2, "trailing comma"),
            ("{\"a\": ", 1, "EOF"),
        ] {
            let fault = read(text).expect_err(text);
            assert_eq!(fault.line, line, "{text}");
            assert!(fault.message.contains(message), "{}", fault.message);
        }
    }
}
