//! Reads manifests as kubectl does, and what is wrong with them is said with file, line and field.
//!
//! The way of a file: text -> documents (`json`, `yaml`) -> objects (`source`) -> what the planner works on
//! (`objects`). Lines are looked up (`locate`) only once there is a fault to tell (`report`).

mod json;
mod locate;
mod objects;
mod report;
mod scalar;
mod source;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::api::TaskBatch;
use crate::cluster::pod::Pod;
use crate::model::{Batch, Node, Priorities, Topology};
use objects::Kind;
use report::Report;
pub use report::{FileFault, FileFaults};
use source::Object;

/// Names of files, each for one kind of objects; `-` is standard input. A name may stand for several kinds.
#[derive(Clone, Debug, Default)]
pub struct Paths<'a> {
    /// Files with TaskBatches.
    pub batches: &'a [String],
    /// Files with Nodes.
    pub nodes: &'a [String],
    /// Files with Pods.
    pub pods: &'a [String],
    /// File with the levels of the network.
    pub topology: Option<&'a str>,
}

/// A TaskBatch as it was written, and as it is meant.
#[derive(Debug)]
pub struct Manifest {
    /// As it was written.
    pub wire: TaskBatch,
    /// As it is meant.
    pub batch: Batch,
}

/// What the files hold.
#[derive(Debug, Default)]
pub struct Input {
    /// The batches, in the order of the files.
    pub batches: Vec<Manifest>,
    /// The nodes, by name.
    pub nodes: Vec<Arc<Node>>,
    /// The pods, by namespace and name.
    pub pods: Vec<Arc<Pod>>,
    /// The priority classes.
    pub priorities: Priorities,
    /// The network between the nodes.
    pub topology: Arc<Topology>,
}

/// Reads the levels of the network. Lists everything that is wrong with them.
pub fn read_topology(path: &str) -> Result<Topology, FileFaults> {
    let mut report = Report::default();
    let topology = objects::topology(path, &mut report);
    report.finish().map(|()| topology)
}

/// Reads all files, each once. Lists everything that is wrong with them, not only the first thing.
pub fn read(paths: &Paths<'_>) -> Result<Input, FileFaults> {
    let mut report = Report::default();
    let mut files = read_files(paths, &mut report);
    let priorities = objects::priorities(classes(&mut files), &mut report);
    let topology = match paths.topology {
        Some(path) => objects::topology(path, &mut report),
        None => Topology::default(),
    };
    let input = Input {
        batches: objects::batches(
            take(&mut files, paths.batches, Kind::TaskBatch, &mut report),
            &priorities,
            &topology,
            &mut report,
        ),
        nodes: objects::nodes(
            take(&mut files, paths.nodes, Kind::Node, &mut report),
            &mut report,
        ),
        pods: objects::pods(
            take(&mut files, paths.pods, Kind::Pod, &mut report),
            &mut report,
        ),
        priorities,
        topology: Arc::new(topology),
    };
    report.finish().map(|()| input)
}

/// The objects of a file.
#[derive(Default)]
struct Objects {
    left: Vec<Object>,
    /// Whether the file could be read.
    good: bool,
}

/// Reads each file once, side by side: large ones take a while.
fn read_files(paths: &Paths<'_>, report: &mut Report) -> BTreeMap<String, Objects> {
    let all = [paths.batches, paths.nodes, paths.pods].concat();
    let names: BTreeMap<String, ()> = all.into_iter().map(|name| (name, ())).collect();
    let found: Vec<_> = names
        .into_par_iter()
        .map(|(name, ())| {
            let mut report = Report::default();
            let left = source::read(&name, &mut report);
            (name, left, report)
        })
        .collect();
    let mut files = BTreeMap::new();
    for (name, left, more) in found {
        let good = more.is_empty();
        report.extend(more);
        files.insert(name, Objects { left, good });
    }
    files
}

/// Takes the priority classes out of all files.
fn classes(files: &mut BTreeMap<String, Objects>) -> Vec<Object> {
    let kind = Kind::PriorityClass.as_str();
    let taken = files
        .values_mut()
        .flat_map(|file| file.left.extract_if(.., |object| object.kind() == kind));
    taken.collect()
}

/// Takes the objects of a kind out of the files that were named for it.
fn take(
    files: &mut BTreeMap<String, Objects>,
    names: &[String],
    kind: Kind,
    report: &mut Report,
) -> Vec<Object> {
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let Some(file) = files
            .get_mut(name)
            .filter(|_| !names[..index].contains(name))
        else {
            continue;
        };
        let (wanted, others): (Vec<_>, Vec<_>) = std::mem::take(&mut file.left)
            .into_iter()
            .partition(|object| object.kind() == kind.as_str());
        // No pods at all is an ordinary answer of `kubectl get pods`; no nodes or batches is a mistake.
        let may_be_empty = kind == Kind::Pod && others.is_empty();
        if wanted.is_empty() && file.good && !may_be_empty {
            report.file(
                source::shown(name),
                format!("holds no {}{}", kind.as_str(), instead(&others)),
            );
        }
        file.left = others;
        found.extend(wanted);
    }
    found
}

/// What a file holds instead: ` but 3 Node, 1 Pod`.
fn instead(objects: &[Object]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for object in objects {
        let kind = match object.kind() {
            "" => "object without kind",
            kind => kind,
        };
        *counts.entry(kind).or_default() += 1;
    }
    let parts: Vec<_> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" but {}", parts.join(", "))
    }
}
