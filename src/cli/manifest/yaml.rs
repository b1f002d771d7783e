//! Reads YAML documents as kubectl does: YAML 1.1 scalars, merge keys, no key twice.

use std::collections::HashMap;

use serde_json::map::Entry;
use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{
    Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag, options,
};

use super::report::SyntaxFault;
use super::scalar;

/// Deeper than this is no manifest; the bound of `serde_json`.
const DEEPEST: usize = 128;
/// So many values may come from aliases: enough for any manifest, too few for a "billion laughs".
const MOST_ALIASED: usize = 1_000_000;

/// The parser of a text, set up as all readers of this crate need it.
pub fn events(text: &str) -> Parser<'_, StrInput<'_>> {
    Parser::new_from_str_with_options(text, options! { emit_comments: false })
}

/// All documents of a text, empty ones as null, and what is wrong with them.
pub fn read(text: &str) -> Result<Vec<Value>, Vec<SyntaxFault>> {
    let mut reader = Reader {
        events: events(text),
        anchors: HashMap::new(),
        aliased: 0,
        faults: Vec::new(),
    };
    let mut documents = Vec::new();
    match reader.documents(&mut documents) {
        Ok(()) if reader.faults.is_empty() => Ok(documents),
        Ok(()) => Err(reader.faults),
        Err(fault) => {
            reader.faults.push(fault);
            Err(reader.faults)
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// Values that have a name, with the number of values in them.
    anchors: HashMap<usize, (Value, usize)>,
    aliased: usize,
    faults: Vec<SyntaxFault>,
}

type Step<'a> = (Event<'a>, Span);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<Step<'a>>, SyntaxFault> {
        self.events.next().transpose().map_err(syntax)
    }

    /// The next event where the grammar promises one.
    fn expect(&mut self) -> Result<Step<'a>, SyntaxFault> {
        self.next()?
            .ok_or_else(|| SyntaxFault::new(1, "the text ends too early"))
    }

    fn documents(&mut self, found: &mut Vec<Value>) -> Result<(), SyntaxFault> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(..) => self.anchors.clear(),
                content => found.push(self.node(content, span, 0)?),
            }
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, SyntaxFault> {
        let line = span.start.line();
        if depth > DEEPEST {
            return Err(SyntaxFault::new(
                line,
                format!("nested more than {DEEPEST} levels deep"),
            ));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref()), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            Event::Alias(anchor) => (self.alias(anchor, line)?, 0),
            _ => return Err(SyntaxFault::new(line, "a value must stand here")),
        };
        if anchor != 0 {
            let size = weight(&value);
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok(value)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, SyntaxFault> {
        let mut items = Vec::new();
        loop {
            match self.expect()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, SyntaxFault> {
        let mut fields = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.expect()?;
            let line = span.start.line();
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<" => None,
                Event::Scalar(text, style, _, tag) => {
                    Some(key(scalar(&text, style, tag.as_deref()), line)?)
                }
                _ => return Err(SyntaxFault::new(line, "a key must be a string")),
            };
            let (event, span) = self.expect()?;
            let value = self.node(event, span, depth + 1)?;
            match key {
                None => merged.push((value, line)),
                Some(key) => match fields.entry(key) {
                    Entry::Vacant(field) => {
                        field.insert(value);
                    }
                    Entry::Occupied(field) => {
                        let message = format!("key {:?} stands twice in this mapping", field.key());
                        self.faults.push(SyntaxFault::new(line, message));
                    }
                },
            }
        }
        for (value, line) in merged {
            merge(&mut fields, value, line)?;
        }
        Ok(Value::Object(fields))
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<Value, SyntaxFault> {
        let Some((value, size)) = self.anchors.get(&anchor) else {
            return Err(SyntaxFault::new(
                line,
                "an alias stands inside of what it names",
            ));
        };
        self.aliased += size;
        if self.aliased > MOST_ALIASED {
            let message =
                format!("aliases repeat more than {MOST_ALIASED} values: write the manifest out");
            return Err(SyntaxFault::new(line, message));
        }
        Ok(value.clone())
    }
}

fn syntax(error: ScanError) -> SyntaxFault {
    SyntaxFault::new(
        error.marker().line(),
        format!("is no YAML: {}", error.info()),
    )
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.and_then(Tag::core_suffix) == Some("str");
    if style == ScalarStyle::Plain && !is_text {
        scalar::resolve(text)
    } else {
        Value::String(text.to_owned())
    }
}

/// Keys are strings; numbers and truth values become theirs, as on the way through JSON.
fn key(value: Value, line: usize) -> Result<String, SyntaxFault> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        _ => Err(SyntaxFault::new(line, "a key must be a string")),
    }
}

/// `<<`: fields of the other mapping, where they are not set yet. Earlier mappings of a list win.
fn merge(fields: &mut Map<String, Value>, value: Value, line: usize) -> Result<(), SyntaxFault> {
    match value {
        Value::Object(more) => {
            for (key, value) in more {
                fields.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(all) => all.into_iter().try_for_each(|one| merge(fields, one, line)),
        _ => Err(SyntaxFault::new(
            line,
            "<< needs a mapping, or a list of them",
        )),
    }
}

/// How many values a value is.
fn weight(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.values().map(weight).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fault(text: &str) -> (usize, String) {
        let faults = read(text).expect_err(text);
        (faults[0].line, faults[0].message.clone())
    }

    #[test]
    fn documents_are_read_one_by_one() {
        let text = "a: 1\n---\n# nothing\n---\n- yes\n- \"yes\"\n- !!str 5\n...\n";
        assert_eq!(
            read(text),
            Ok(vec![
                json!({"a": 1}),
                json!(null),
                json!([true, "yes", "5"])
            ])
        );
        assert_eq!(read(""), Ok(vec![]));
    }

    #[test]
    fn anchors_and_merge_keys_are_followed() {
        let text = "base: &b {x: 1, w: 2}\nuse:\n  <<: *b\n  w: 3\nboth: {<<: [{z: 1}, *b], z: 0}\nsame: *b\n";
        let wanted = json!({
            "base": {"x": 1, "w": 2}, "use": {"x": 1, "w": 3}, "both": {"x": 1, "w": 2, "z": 0}, "same": {"x": 1, "w": 2},
        });
        assert_eq!(read(text), Ok(vec![wanted]));
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        assert_eq!(
            fault("a: 1\nb: 2\na: 3\n"),
            (3, "key \"a\" stands twice in this mapping".into())
        );
        assert_eq!(fault("a:\n  - b\n c: d\n").0, 3);
        assert_eq!(fault("a: [1, 2\nb: 3\n").0, 2);
        assert_eq!(
            fault("a: 1\n? [x]\n: 2\n"),
            (2, "a key must be a string".into())
        );
        assert_eq!(fault("a: *nobody\n").0, 1);
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let last = format!("*a{}, ", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{last}]\n");
        }
        assert!(fault(&text).1.contains("aliases repeat"));
        assert!(fault(&"[".repeat(100_000)).0 == 1);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[-a-z0-9:,&*<>!?{}\\[\\]\"' \n#|.]{0,80}") {
            let _ = read(&text);
        }
    }
}
