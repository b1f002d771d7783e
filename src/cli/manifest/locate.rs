//! On which line a field of a document stands. Built only once there is something to say of it.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, Span, StrInput};

use super::yaml;

/// The lines of a document's values, counted from 1.
#[derive(Debug, Default)]
pub struct Lines {
    /// Where the value starts; for a field, where its key stands.
    line: usize,
    fields: HashMap<String, Lines>,
    items: Vec<Lines>,
}

impl Lines {
    /// Reads the lines of one document of a text that could be read as YAML or JSON before.
    /// What comes from aliases or merge keys is not in it.
    pub fn read(text: &str, document: usize) -> Option<Self> {
        let mut events = yaml::events(text);
        let mut left = document;
        while let Some(Ok((event, span))) = events.next() {
            match event {
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(..)
                | Event::DocumentEnd => {}
                content => {
                    let lines = node(&mut events, &content, span)?;
                    if left == 0 {
                        return Some(lines);
                    }
                    left -= 1;
                }
            }
        }
        None
    }

    /// The line of a field such as `spec.tasks[0].resources[cpu].min`, or of the innermost value around it
    /// that is there. A message that begins with the name of a field in it speaks of that field.
    pub fn find(&self, field: &str, message: &str) -> usize {
        let mut here = self;
        for segment in segments(field) {
            match here.child(segment) {
                Some(child) => here = child,
                None => return here.line,
            }
        }
        let first_word = message.split([' ', ':']).next().unwrap_or_default();
        here.fields
            .get(first_word)
            .map_or(here.line, |child| child.line)
    }

    fn child(&self, segment: &str) -> Option<&Lines> {
        let item = segment
            .parse()
            .ok()
            .and_then(|index: usize| self.items.get(index));
        item.or_else(|| self.fields.get(segment))
    }
}

/// The parts of a path; what stands in brackets is one part, dots and all.
fn segments(field: &str) -> impl Iterator<Item = &str> {
    let mut rest = field;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        let (part, after) = match rest.strip_prefix('[') {
            Some(inside) => inside.split_once(']').unwrap_or((inside, "")),
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        rest = after;
        Some(part)
    })
}

fn node<'a>(events: &mut Parser<'a, StrInput<'a>>, event: &Event<'a>, span: Span) -> Option<Lines> {
    let mut lines = Lines {
        line: span.start.line(),
        ..Lines::default()
    };
    match event {
        Event::SequenceStart(..) => loop {
            match events.next()?.ok()? {
                (Event::SequenceEnd, _) => return Some(lines),
                (event, span) => lines.items.push(node(events, &event, span)?),
            }
        },
        Event::MappingStart(..) => loop {
            let (key, at) = events.next()?.ok()?;
            if key == Event::MappingEnd {
                return Some(lines);
            }
            let (event, span) = events.next()?.ok()?;
            let mut value = node(events, &event, span)?;
            value.line = at.start.line();
            if let Some((name, _)) = key.scalar() {
                lines.fields.insert(name.to_owned(), value);
            }
        },
        _ => Some(lines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "first: {}
---
kind: TaskBatch
spec:
  tasks:
  - name: a
    resources:
      nvidia.com/gpu:
        min: 4
        max: 2
  -
    name: b
";

    #[test]
    fn a_field_has_the_line_of_its_key() {
        let lines = Lines::read(TEXT, 1).expect("a document");
        for (field, message, line) in [
            ("kind", "", 3),
            ("spec.tasks[0].resources[nvidia.com/gpu].max", "", 10),
            ("spec.tasks[0].resources[nvidia.com/gpu].step", "", 8),
            (
                "spec.tasks[0].resources[nvidia.com/gpu]",
                "min must be at most max",
                9,
            ),
            ("spec.tasks[1].name", "", 12),
            ("spec.tasks[1]", "", 12),
            ("spec.tasks[7].name", "", 5),
            ("metadata.name", "", 3),
        ] {
            assert_eq!(lines.find(field, message), line, "{field}");
        }
    }

    #[test]
    fn json_has_lines_too() {
        let lines = Lines::read("{\n\t\"a\": {\n\t\t\"b\\/c\": [1,\n2]}}", 0).expect("a document");
        assert_eq!(lines.find("a[b/c][1]", ""), 4);
    }
}
