//! Pods that keep others away, and the nodes that a task must keep off because of them.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::world::Observed;
use crate::api::{TaskSpec, label};
use crate::cluster::repulsion::{Label, Repulsion};

/// What the pods that are bound now will not have near them, and near which value of the topology label.
pub struct Neighbours<'a> {
    observed: &'a Observed,
    repulsions: Vec<(&'a Repulsion, &'a str)>,
}

impl<'a> Neighbours<'a> {
    /// Those of a cluster. A pod on a node without the topology label is near nobody.
    pub fn of(observed: &'a Observed) -> Self {
        let repelling = observed
            .pods
            .iter()
            .filter(|pod| !pod.repels.is_empty() && !pod.is_finished());
        let mut repelling = repelling.peekable();
        let mut repulsions = Vec::new();
        if repelling.peek().is_some() {
            let nodes = observed.nodes.iter().map(|node| (node.name.as_str(), node));
            let nodes: HashMap<_, _> = nodes.collect();
            for pod in repelling {
                let node = pod.node.as_deref().and_then(|name| nodes.get(name));
                let near = |term: &Repulsion| Some(node?.labels.get(&term.topology)?.as_str());
                repulsions.extend(
                    pod.repels
                        .iter()
                        .filter_map(|term| Some((term, near(term)?))),
                );
            }
        }
        Self {
            observed,
            repulsions,
        }
    }

    /// The nodes where no pod of this task may be.
    pub fn off(&self, namespace: &str, task: &TaskSpec, batch: &str) -> BTreeSet<String> {
        let labels = |key: &str| label_of(task, batch, key);
        let meant = self.repulsions.iter();
        let meant: BTreeSet<(&str, &str)> = meant
            .filter(|(term, _)| term.means(namespace, &labels))
            .map(|(term, near)| (term.topology.as_str(), *near))
            .collect();
        if meant.is_empty() {
            return BTreeSet::new();
        }
        let nodes = self.observed.nodes.iter().filter(|node| {
            let is_near = |(key, near): &(&str, &str)| {
                node.labels.get(*key).is_some_and(|value| value == near)
            };
            meant.iter().any(is_near)
        });
        nodes.map(|node| node.name.clone()).collect()
    }
}

/// A label that the pods of a task will have; of those that tell its copies apart the value is open.
fn label_of<'a>(task: &'a TaskSpec, batch: &'a str, key: &str) -> Label<'a> {
    let own: &Value = &task.template.0["metadata"]["labels"][key];
    match key {
        label::TASK => Label::Is(&task.name),
        // It may be cut; see the manifest.
        label::BATCH if batch.len() <= 63 => Label::Is(batch),
        label::BATCH | label::COPY | label::ATTEMPT | label::WORKER => Label::Open,
        _ => own.as_str().map_or(Label::Absent, Label::Is),
    }
}
