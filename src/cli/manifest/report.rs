//! What is wrong with the files, each fault with its file, line and field.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::locate::Lines;
use super::source::{File, Origin};
use crate::api::Fault;

/// So many faults are printed; a file with more is better repaired step by step.
const MOST_SHOWN: usize = 20;

/// What keeps a text from being read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxFault {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl SyntaxFault {
    /// A fault on this line.
    pub fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line: line.max(1),
            message: message.into(),
        }
    }
}

/// Collects faults while reading goes on. Lines of fields are looked up at the end, all at once.
#[derive(Debug, Default)]
pub struct Report {
    known: Vec<FileFault>,
    fields: Vec<(Origin, Fault)>,
}

impl Report {
    /// The file as a whole is wrong.
    pub fn file(&mut self, name: &str, message: impl Into<String>) {
        self.known.push(FileFault {
            file: name.to_owned(),
            line: None,
            field: String::new(),
            message: message.into(),
        });
    }

    /// The text of the file cannot be read.
    pub fn syntax(&mut self, file: &File, fault: SyntaxFault) {
        self.known.push(FileFault {
            file: file.name.clone(),
            line: Some(fault.line),
            field: String::new(),
            message: fault.message,
        });
    }

    /// A field of an object is wrong.
    pub fn field(&mut self, origin: &Origin, fault: Fault) {
        self.fields.push((origin.clone(), fault));
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.fields.is_empty()
    }

    /// Takes in what another report holds.
    pub fn extend(&mut self, more: Report) {
        self.known.extend(more.known);
        self.fields.extend(more.fields);
    }

    /// All faults by file and line, or nothing when there are none.
    pub fn finish(self) -> Result<(), FileFaults> {
        let mut all = self.known;
        let mut lines = BTreeMap::new();
        for (origin, fault) in self.fields {
            let place = (Arc::as_ptr(&origin.file), origin.start, origin.document);
            let document: &Option<Lines> = lines.entry(place).or_insert_with(|| origin.lines());
            let field = origin.path(&fault.field);
            all.push(FileFault {
                line: document
                    .as_ref()
                    .map(|lines| origin.line(lines, &field, &fault.message)),
                file: origin.file.name.clone(),
                field: fault.field,
                message: fault.message,
            });
        }
        if all.is_empty() {
            return Ok(());
        }
        all.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Err(FileFaults(all))
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// Name of the file as it was given.
    pub file: String,
    /// Line, from 1, where it is known.
    pub line: Option<usize>,
    /// Path of the field; empty for the text itself.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(out, "{line}:")?;
        }
        if !self.field.is_empty() {
            write!(out, " {}:", self.field)?;
        }
        write!(out, " {}", self.message)
    }
}

/// Everything that is wrong with the files, one fault a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FileFaults(pub Vec<FileFault>);

impl fmt::Display for FileFaults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self
            .0
            .iter()
            .take(MOST_SHOWN)
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        if let Some(more) = self
            .0
            .len()
            .checked_sub(MOST_SHOWN)
            .filter(|more| *more > 0)
        {
            lines.push(format!("and {more} more"));
        }
        out.write_str(&lines.join("\n"))
    }
}
