//! What copies are called on the screen.

use std::collections::BTreeMap;

use crate::api::TaskBatch;
use crate::cluster::pod::OwnPod;

/// The batches by UID, with what their copies are called.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, Batch>);

#[derive(Debug)]
struct Batch {
    key: String,
    name: String,
    /// Numbers of copies, by task.
    counts: BTreeMap<String, i64>,
}

/// Names a copy: `namespace/name` of its batch, task and index.
pub type CopyKey = (String, String, u32);

impl Names {
    /// Learns the names of a batch; whether it was not known.
    pub fn learn(&mut self, batch: &TaskBatch) -> bool {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let name = text(&batch.metadata.name);
        let key = format!("{}/{name}", text(&batch.metadata.namespace));
        let tasks = batch.spec.tasks.iter();
        let counts = tasks.map(|task| (task.name.clone(), task.count)).collect();
        let uid = text(&batch.metadata.uid);
        self.0.insert(uid, Batch { key, name, counts }).is_none()
    }

    /// The copy of a pod.
    pub fn copy(&self, own: &OwnPod) -> CopyKey {
        let key = self
            .0
            .get(&own.batch_uid)
            .map_or("", |batch| batch.key.as_str());
        (key.to_owned(), own.task.clone(), own.copy)
    }

    /// What the copy of a pod is called: its task, with the index where there are several copies, and the batch
    /// where there are several batches.
    pub fn label(&self, own: &OwnPod) -> String {
        let Some(batch) = self.0.get(&own.batch_uid) else {
            return own.task.clone();
        };
        let single = batch.counts.get(&own.task).is_none_or(|count| *count == 1);
        let label = if single {
            own.task.clone()
        } else {
            format!("{}-{}", own.task, own.copy)
        };
        if self.0.len() > 1 {
            format!("{}/{label}", batch.name)
        } else {
            label
        }
    }
}
