//! Objects of files become what the planner works on.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, LazyLock};

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::Manifest;
use super::report::Report;
use super::source::{self, File, Object, Origin};
use crate::api::{Fault, TaskBatch, TaskSpec, schema};
use crate::cluster::pod::Pod;
use crate::cluster::{intake, node, pod, topology};
use crate::model::{Node, Priorities, Topology};

/// A kind of objects that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Batches.
    TaskBatch,
    /// Nodes.
    Node,
    /// Pods.
    Pod,
    /// Priority classes.
    PriorityClass,
}

impl Kind {
    /// The word in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::TaskBatch => "TaskBatch",
            Kind::Node => "Node",
            Kind::Pod => "Pod",
            Kind::PriorityClass => "PriorityClass",
        }
    }

    fn api_version(self) -> String {
        match self {
            Kind::TaskBatch => TaskBatch::api_version(&()).into_owned(),
            Kind::Node | Kind::Pod => "v1".into(),
            Kind::PriorityClass => "scheduling.k8s.io/v1".into(),
        }
    }
}

/// The schema of a TaskBatch, as the API server has it.
static SCHEMA: LazyLock<schema::Schema> = LazyLock::new(schema::Schema::of_task_batch);

/// Reads batches. The namespace is `default` where none is given.
pub fn batches(
    objects: Vec<Object>,
    priorities: &Priorities,
    topology: &Topology,
    report: &mut Report,
) -> Vec<Manifest> {
    let found = each(objects, report, |value| {
        let manifest = batch(value, topology)?;
        let faults = unknown_classes(&manifest.wire, priorities);
        if faults.is_empty() {
            Ok(manifest)
        } else {
            Err(faults)
        }
    });
    once(found, |(_, read)| read.batch.key.clone(), report)
}

/// Names of priority classes that nobody knows.
fn unknown_classes(batch: &TaskBatch, priorities: &Priorities) -> Vec<Fault> {
    let known: Vec<&str> = priorities.values.keys().map(String::as_str).collect();
    let unknown = |(index, task): (usize, &TaskSpec)| {
        let name = task.priority_class_name.as_deref();
        if priorities.of(name).is_some() {
            return None;
        }
        let known = match known.is_empty() {
            true => "no PriorityClass is in the files".into(),
            false => format!("the files have {}", known.join(", ")),
        };
        let message = format!("no PriorityClass {:?}: {known}", name.unwrap_or_default());
        let field = format!("spec.tasks[{index}].priorityClassName");
        Some(Fault::new(field, message))
    };
    batch
        .spec
        .tasks
        .iter()
        .enumerate()
        .filter_map(unknown)
        .collect()
}

/// Reads priority classes.
pub fn priorities(objects: Vec<Object>, report: &mut Report) -> Priorities {
    let found = each(objects, report, |value| {
        let object: PriorityClass = typed(Kind::PriorityClass, value)?;
        let name = object.metadata.name.unwrap_or_default();
        let missing = || {
            vec![Fault::new(
                "value",
                "Required value: a whole number of 32 bits",
            )]
        };
        let value = object.value.ok_or_else(missing)?;
        Ok((name, value, object.global_default.unwrap_or(false)))
    });
    let classes = once(found, |(_, (name, ..))| name.clone(), report);
    let classes = classes.iter();
    classes
        .map(|(name, value, is_default)| (name.as_str(), *value, *is_default))
        .collect()
}

/// Reads the levels of the network; none where something is wrong with them.
pub fn topology(path: &str, report: &mut Report) -> Topology {
    let Some(object) = source::read_plain(path, report) else {
        return Topology::default();
    };
    topology::read(&object.value).unwrap_or_else(|faults| {
        let mut tell = |fault| report.field(&object.origin, fault);
        faults.into_iter().for_each(&mut tell);
        Topology::default()
    })
}

/// Reads nodes, sorted by name.
pub fn nodes(objects: Vec<Object>, report: &mut Report) -> Vec<Arc<Node>> {
    let found = each(objects, report, |value| {
        let object: k8s::Node = typed(Kind::Node, value)?;
        node::read(&object)
            .map(Arc::new)
            .map_err(|error| vec![fault_of(&error)])
    });
    let mut nodes = once(found, |(_, read)| read.name.clone(), report);
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes
}

/// Reads pods, sorted by namespace and name.
pub fn pods(objects: Vec<Object>, report: &mut Report) -> Vec<Arc<Pod>> {
    let found = each(objects, report, |value| {
        let object: k8s::Pod = typed(Kind::Pod, value)?;
        if object.metadata.name.is_none() {
            return Err(vec![Fault::new(
                "metadata.name",
                "Required value: a pod needs a name",
            )]);
        }
        let read =
            pod::read(&object).map_err(|error| vec![Fault::new("spec", error.to_string())])?;
        Ok(Arc::new(read))
    });
    let mut pods = once(found, |(_, read)| read.key(), report);
    pods.sort_by_key(|pod| pod.key());
    pods
}

/// Reads objects side by side, in their order; faults go into the report.
fn each<T: Send>(
    objects: Vec<Object>,
    report: &mut Report,
    read: impl Fn(&mut Value) -> Result<T, Vec<Fault>> + Sync,
) -> Vec<(Origin, T)> {
    let all: Vec<_> = objects
        .into_par_iter()
        .map(|mut object| (object.origin, read(&mut object.value)))
        .collect();
    let mut good = Vec::new();
    for (origin, found) in all {
        match found {
            Ok(value) => good.push((origin, value)),
            Err(faults) => faults
                .into_iter()
                .for_each(|fault| report.field(&origin, fault)),
        }
    }
    good
}

/// Refuses a second object of one name.
fn once<T>(
    found: Vec<(Origin, T)>,
    key: impl Fn(&(Origin, T)) -> String,
    report: &mut Report,
) -> Vec<T> {
    let mut seen: BTreeMap<String, Arc<File>> = BTreeMap::new();
    for one in &found {
        let key = key(one);
        if let Some(first) = seen.get(&key) {
            let message = format!("Duplicate value: {key:?} is already in {}", first.name);
            report.field(&one.0, Fault::new("metadata.name", message));
        } else {
            seen.insert(key, one.0.file.clone());
        }
    }
    found.into_iter().map(|(_, value)| value).collect()
}

fn batch(value: &mut Value, topology: &Topology) -> Result<Manifest, Vec<Fault>> {
    check_version(Kind::TaskBatch, value)?;
    let mut faults = schema::metadata_faults(&value["metadata"]);
    if !value["metadata"].is_null() {
        faults.extend(deserialize::<ObjectMeta>(&value["metadata"], "metadata").err());
    }
    // The status is the operator's: a file that `kubectl get -o yaml` wrote may hold that of another version.
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    faults.extend(SCHEMA.check(value));
    let wire: TaskBatch = match deserialize(value, "") {
        Ok(wire) => wire,
        Err(fault) if faults.is_empty() => return Err(vec![fault]),
        // It stumbles over what is known already.
        Err(_) => return Err(faults),
    };
    let meant = intake::read(&wire);
    let unknown = intake::unknown_levels(&wire, topology);
    for fault in meant.as_ref().err().into_iter().flatten().chain(&unknown) {
        if faults.iter().all(|known| known.field != fault.field) {
            faults.push(fault.clone());
        }
    }
    match meant {
        Ok(batch) if faults.is_empty() => Ok(Manifest { wire, batch }),
        _ => Err(faults),
    }
}

fn check_version(kind: Kind, value: &Value) -> Result<(), Vec<Fault>> {
    let wanted = kind.api_version();
    let message = match &value["apiVersion"] {
        Value::String(version) if *version == wanted => return Ok(()),
        Value::Null => format!("Required value: {wanted}"),
        other => format!("Unsupported value: {other}: supported values: {wanted:?}"),
    };
    Err(vec![Fault::new("apiVersion", message)])
}

/// The typed object, if it is of the version that is read here.
fn typed<T: DeserializeOwned>(kind: Kind, value: &Value) -> Result<T, Vec<Fault>> {
    check_version(kind, value)?;
    deserialize(value, "").map_err(|fault| vec![fault])
}

/// The typed value; the path of a field of another type is found by a second, slower reading.
fn deserialize<T: DeserializeOwned>(value: &Value, at: &str) -> Result<T, Fault> {
    if let Ok(object) = T::deserialize(value) {
        return Ok(object);
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut field = at.to_owned();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => field += &format!("[{index}]"),
                Segment::Map { key } if key.contains(['.', '/']) => field += &format!("[{key}]"),
                Segment::Map { key } if field.is_empty() => field += key,
                Segment::Map { key } => field += &format!(".{key}"),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        Fault::new(field, error.into_inner().to_string())
    })
}

/// The fault of an error that reads `field: message`.
fn fault_of(error: &impl Display) -> Fault {
    let text = error.to_string();
    let (field, message) = text.split_once(": ").unwrap_or(("", &text));
    Fault::new(field, message)
}
