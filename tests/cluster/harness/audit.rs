//! The audit log of the API server: what each sender has written, told by its `User-Agent`.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ControlPlane;
use super::proxy::agent;

/// A write, as the API server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// Who sent it.
    pub(crate) sender: String,
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The body of the request.
    pub(crate) body: Value,
    /// The code of the answer.
    pub(crate) code: u64,
}

impl Write {
    /// Whether the API server did it.
    pub(crate) fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether the API server may have done it: a client that is gone before the answer leaves this open.
    pub(crate) fn may_be_done(&self) -> bool {
        !(400..500).contains(&self.code)
    }

    /// What was written and to what, in a line.
    pub(crate) fn shown(&self) -> String {
        let Self {
            verb,
            resource,
            subresource,
            namespace,
            name,
            code,
            ..
        } = self;
        let slash = if subresource.is_empty() { "" } else { "/" };
        format!("{verb} {resource}{slash}{subresource} {namespace}/{name}: {code}")
    }

    /// A line of the log, if it is a write through a proxy of the tests.
    fn read(line: &str) -> Option<Self> {
        let start = format!("\"userAgent\":\"{}", agent(""));
        if !line.contains(&start) {
            return None;
        }
        let entry: Value = serde_json::from_str(line).ok()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verb = text(&entry["verb"]);
        if matches!(verb.as_str(), "get" | "list" | "watch") {
            return None;
        }
        let (on, body) = (&entry["objectRef"], &entry["requestObject"]);
        // The path of a create does not name the object.
        let name = match &on["name"] {
            Value::String(name) => name.clone(),
            _ => text(&body["metadata"]["name"]),
        };
        Some(Self {
            sender: text(&entry["userAgent"]).replace(&agent(""), ""),
            verb,
            resource: text(&on["resource"]),
            subresource: text(&on["subresource"]),
            namespace: text(&on["namespace"]),
            name,
            body: body.clone(),
            code: entry["responseStatus"]["code"].as_u64().unwrap_or(0),
        })
    }
}

/// Reads the log on, from where it ended when this was made.
pub(crate) struct Audit {
    log: BufReader<File>,
    /// The beginning of a line that is not whole yet.
    rest: String,
}

impl Audit {
    /// What is written from now on.
    pub(crate) fn from_now(cluster: &ControlPlane) -> Result<Self> {
        Self::open(&cluster.folder().join("audit.log"))
    }

    fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).context("no audit log")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            log: BufReader::new(file),
            rest: String::new(),
        })
    }

    /// The writes since the last call, in the order in which they were answered.
    pub(crate) fn news(&mut self) -> Result<Vec<Write>> {
        let mut found = Vec::new();
        while self.log.read_line(&mut self.rest)? > 0 {
            if !self.rest.ends_with('\n') {
                break;
            }
            found.extend(Write::read(&self.rest));
            self.rest.clear();
        }
        Ok(found)
    }
}

/// The entries of the audit log that name this namespace, in the order in which they were answered.
pub(crate) fn audit(cluster: &ControlPlane, namespace: &str) -> Result<Vec<Value>> {
    let log = std::fs::read_to_string(cluster.folder().join("audit.log"))?;
    let lines = log.lines().filter(|line| line.contains(namespace));
    Ok(lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}
