//! Files of manifests, and the objects in them.

use std::io::Read;
use std::sync::Arc;

use serde_json::Value;

use super::locate::Lines;
use super::report::{Report, SyntaxFault};
use super::{json, yaml};
use crate::api::Fault;

/// The name that stands for standard input.
pub const STDIN: &str = "-";

/// The name of a file as people see it.
pub fn shown(path: &str) -> &str {
    if path == STDIN {
        "standard input"
    } else {
        path
    }
}

/// A file that was read.
#[derive(Debug)]
pub struct File {
    /// Its name as it was given, or `standard input`.
    pub name: String,
    text: String,
}

/// Where an object stands.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file.
    pub file: Arc<File>,
    /// The byte from which its documents are counted.
    pub start: usize,
    /// Index of its document from there.
    pub document: usize,
    /// Its path in a document that is a list, such as `items[3]`; else empty.
    item: String,
}

impl Origin {
    /// The path, from the document on, of a field of the object.
    pub fn path(&self, field: &str) -> String {
        match (self.item.as_str(), field) {
            ("", field) => field.to_owned(),
            (item, "") => item.to_owned(),
            (item, field) => format!("{item}.{field}"),
        }
    }

    /// The lines of its document.
    pub fn lines(&self) -> Option<Lines> {
        Lines::read(&self.file.text[self.start..], self.document)
    }

    /// The line of a path in its file, `lines` being those of its document.
    pub fn line(&self, lines: &Lines, path: &str, message: &str) -> usize {
        let before = self.file.text[..self.start].matches('\n').count();
        before + lines.find(path, message)
    }
}

/// An object of a file.
#[derive(Debug)]
pub struct Object {
    /// The object.
    pub value: Value,
    /// Where it stands.
    pub origin: Origin,
}

impl Object {
    /// Its kind; empty where it has none.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }
}

/// Reads all objects of a file or of standard input; lists are taken apart.
pub fn read(path: &str, report: &mut Report) -> Vec<Object> {
    let mut objects = Vec::new();
    for object in read_documents(path, report) {
        flatten(object, &mut objects, report);
    }
    objects
}

/// Reads a file of one document that is no object of Kubernetes.
pub fn read_plain(path: &str, report: &mut Report) -> Option<Object> {
    let mut documents = read_documents(path, report);
    if documents.len() > 1 {
        report.file(shown(path), "must be one document");
    }
    if documents.is_empty() && report.is_empty() {
        report.file(shown(path), "is empty");
    }
    (documents.len() == 1).then(|| documents.remove(0))
}

fn read_documents(path: &str, report: &mut Report) -> Vec<Object> {
    let Some(file) = load(path, report) else {
        return Vec::new();
    };
    let documents = match parse(&file) {
        Ok(documents) => documents,
        Err(faults) => {
            faults
                .into_iter()
                .for_each(|fault| report.syntax(&file, fault));
            return Vec::new();
        }
    };
    let file = Arc::new(file);
    let object = |(start, document, value)| Object {
        value,
        origin: Origin {
            file: file.clone(),
            start,
            document,
            item: String::new(),
        },
    };
    documents.into_iter().map(object).collect()
}

fn load(path: &str, report: &mut Report) -> Option<File> {
    let name = shown(path);
    let found = if path == STDIN {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = found
        .map_err(|error| report.file(name, error.to_string()))
        .ok()?;
    match String::from_utf8(bytes) {
        Ok(text) => Some(File {
            name: name.to_owned(),
            text: text
                .strip_prefix('\u{feff}')
                .map(str::to_owned)
                .unwrap_or(text),
        }),
        Err(error) => {
            let bytes = error.as_bytes();
            let line = 1 + bytes[..error.utf8_error().valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            report.file(&format!("{name}:{line}"), "is no text in UTF-8");
            None
        }
    }
}

/// The documents of a file, each with the byte and the number by which its lines are found.
///
/// What begins with a brace is JSON, which is read several times as fast, or else YAML in its flow style.
fn parse(file: &File) -> Result<Vec<(usize, usize, Value)>, Vec<SyntaxFault>> {
    let text = &file.text;
    if text.trim_start().starts_with('{') {
        match json::read(text) {
            Ok(documents) => {
                return Ok(documents
                    .into_iter()
                    .map(|(start, value)| (start, 0, value))
                    .collect());
            }
            Err(fault) if file.name.ends_with(".json") => return Err(vec![fault]),
            Err(_) => {}
        }
    }
    let documents = yaml::read(text)?;
    Ok(documents
        .into_iter()
        .enumerate()
        .map(|(document, value)| (0, document, value))
        .collect())
}

/// Takes lists apart: `List`, and the likes of `NodeList`, whose items need not name their kind.
fn flatten(object: Object, found: &mut Vec<Object>, report: &mut Report) {
    let Object { mut value, origin } = object;
    if value.is_null() {
        return;
    }
    if !value.is_object() {
        let fault = Fault::new("", "a manifest must be an object with apiVersion and kind");
        return report.field(&origin, fault);
    }
    let Some(kind) = value["kind"].as_str().map(str::to_owned) else {
        let fault = Fault::new(
            "kind",
            "Required value: such as TaskBatch, Node, Pod or List",
        );
        return report.field(&origin, fault);
    };
    let (Some(item_kind), Some(items @ (Value::Array(_) | Value::Null))) =
        (kind.strip_suffix("List"), value.get_mut("items"))
    else {
        return found.push(Object { value, origin });
    };
    let Value::Array(items) = items.take() else {
        return;
    };
    let version = value["apiVersion"].clone();
    for (index, mut value) in items.into_iter().enumerate() {
        if let (Some(fields), false) = (value.as_object_mut(), item_kind.is_empty()) {
            fields.entry("kind").or_insert_with(|| item_kind.into());
            fields
                .entry("apiVersion")
                .or_insert_with(|| version.clone());
        }
        let item = origin.path(&format!("items[{index}]"));
        let origin = Origin {
            item,
            ..origin.clone()
        };
        flatten(Object { value, origin }, found, report);
    }
}
