//! An earlier plan, as `taskbatch plan -o json` printed it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::cli::manifest::{FileFault, FileFaults};
use crate::cluster::quantity;
use crate::model::{Earlier, EarlierTask, Millis, Place, Resources, Size};

/// The fields of a document that say who was to run where; the others are for other readers.
#[derive(Debug, Deserialize)]
struct Document {
    assignments: Vec<Placed>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Placed {
    batch: String,
    task: String,
    copy: u32,
    start_ms: Millis,
    flavor: Option<String>,
    pods: Vec<Pod>,
}

#[derive(Debug, Deserialize)]
struct Pod {
    node: String,
    requests: BTreeMap<String, String>,
}

/// Reads the plan in a file. What is wrong with it is told with line and field.
pub fn read(path: &Path) -> Result<Earlier, FileFaults> {
    let fault = |line, field: String, message: String| {
        FileFaults(vec![FileFault {
            file: path.display().to_string(),
            line,
            field,
            message,
        }])
    };
    let text = fs::read_to_string(path)
        .map_err(|error| fault(None, String::new(), format!("cannot be read: {error}")))?;
    let document =
        parse(&text).map_err(|(line, field, message)| fault(Some(line), field, message))?;
    earlier(document).map_err(|(field, message)| fault(None, field, message))
}

/// The fault is line, field and what is wrong.
fn parse(text: &str) -> Result<Document, (usize, String, String)> {
    let reader = &mut serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let field = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        let told = error.inner().to_string();
        let what = told
            .rsplit_once(" at line ")
            .map_or(told.as_str(), |(what, _)| what);
        let message = format!("{what}; it must be a plan as -o json prints it");
        (error.inner().line().max(1), field, message)
    })
}

/// The plan by names. The fault is field and what is wrong.
fn earlier(document: Document) -> Result<Earlier, (String, String)> {
    let mut earlier = Earlier::default();
    let mut tasks: HashMap<(String, String), usize> = HashMap::new();
    let mut nodes: HashMap<String, usize> = HashMap::new();
    for (index, one) in document.assignments.into_iter().enumerate() {
        let field = format!("assignments[{index}].pods");
        let size = size(&field, &one.pods, one.flavor)?;
        let numbers = one.pods.into_iter().map(|pod| {
            *nodes.entry(pod.node).or_insert_with_key(|name| {
                earlier.nodes.push(name.clone());
                earlier.nodes.len() - 1
            })
        });
        let numbers: Vec<usize> = numbers.collect();
        let task = *tasks
            .entry((one.batch, one.task))
            .or_insert_with_key(|(batch, name)| {
                earlier.tasks.push(EarlierTask {
                    batch: batch.clone(),
                    name: name.clone(),
                    sizes: Vec::new(),
                    places: Vec::new(),
                });
                earlier.tasks.len() - 1
            });
        let EarlierTask { sizes, places, .. } = &mut earlier.tasks[task];
        let known = sizes.iter().position(|known| *known == size);
        places.push(Place {
            copy: one.copy,
            size: known.unwrap_or(sizes.len()),
            nodes: numbers,
            start: one.start_ms,
        });
        if known.is_none() {
            sizes.push(size);
        }
    }
    Ok(earlier)
}

/// The pods of a copy are all of one size and flavor.
fn size(field: &str, pods: &[Pod], flavor: Option<String>) -> Result<Size, (String, String)> {
    let Some(first) = pods.first() else {
        return Err((field.to_owned(), "must name a pod and its node".into()));
    };
    let mut requests = Resources::default();
    for (name, text) in &first.requests {
        let amount = quantity::amount(name, text)
            .map_err(|error| (format!("{field}[0].requests[{name}]"), error.to_string()))?;
        requests.set(name.as_str(), amount);
    }
    Ok(Size {
        flavor,
        pods: u32::try_from(pods.len()).unwrap_or(u32::MAX),
        requests,
    })
}
