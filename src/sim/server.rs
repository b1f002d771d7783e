//! What the API server and its controllers do with requests: create, bind, delete, garbage collection.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as k8s;

use super::cluster::{Cluster, Incoming, Key, Length, Live, id_of, key_of};
use super::history::Happening;
use crate::api::TaskBatch;
use crate::cluster::pod::{self, Pod};
use crate::cluster::requests::{self, RequestError};
use crate::decide::{BindPod, CreatePod, DeletePod, NewStatus, ObjectId, Outcome};
use crate::model::{Millis, is_extended};

/// How long the garbage collector takes to notice that an owner is gone.
const COLLECTED_AFTER: Millis = 1000;

impl Cluster {
    /// Creates a batch, or replaces the spec of the one of this name.
    pub fn apply(&mut self, mut batch: TaskBatch) {
        let namespace = batch
            .metadata
            .namespace
            .get_or_insert_with(|| "default".into())
            .clone();
        let key = (namespace, batch.metadata.name.clone().unwrap_or_default());
        match self.batches.get(&key) {
            Some(old) if old.spec == batch.spec => return,
            Some(old) => {
                let generation = old.metadata.generation.unwrap_or(1) + 1;
                batch.metadata = old.metadata.clone();
                batch.metadata.generation = Some(generation);
                batch.status = old.status.clone();
            }
            None => {
                batch.metadata.uid = Some(self.next_uid());
                batch.metadata.generation = Some(1);
                batch.metadata.creation_timestamp = Some(self.stamp(self.now));
                batch.status = None;
            }
        }
        batch.metadata.resource_version = Some(self.next_version());
        let batch = Arc::new(batch);
        self.batches.insert(key, batch.clone());
        self.tell(Happening::BatchSet(batch));
    }

    /// Deletes a batch; the garbage collector deletes its pods.
    pub(super) fn remove_batch(&mut self, key: &Key) {
        if let Some(batch) = self.batches.remove(key) {
            self.next_version();
            self.tell(Happening::BatchGone(batch));
            self.orphans_soon();
        }
    }

    fn orphans_soon(&mut self) {
        let at = self.now.saturating_add(COLLECTED_AFTER);
        self.queue.push(at, Incoming::CollectOrphans);
    }

    /// Deletes the pods whose batch is gone.
    pub(super) fn collect_orphans(&mut self) {
        let batches = self
            .batches
            .values()
            .filter_map(|batch| batch.metadata.uid.clone());
        let owners: BTreeSet<String> = batches.collect();
        let orphan = |live: &Live| {
            live.read
                .own
                .as_ref()
                .is_some_and(|own| !owners.contains(&own.batch_uid))
        };
        let found = self.pods.iter().filter(|(_, live)| orphan(live));
        for key in found.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.delete_pod(&key, false);
        }
    }

    /// Somebody else creates a pod, bound already if it names a node. It runs for this long, or for ever.
    pub fn add_pod(
        &mut self,
        object: k8s::Pod,
        length: Option<Millis>,
    ) -> Result<(), RequestError> {
        let length = length.map_or(Length::Ever, Length::For);
        let pod = self.store_pod(object, length)?;
        if pod.node.is_some() {
            self.hand_over(&pod);
        }
        Ok(())
    }

    fn store_pod(
        &mut self,
        mut object: k8s::Pod,
        length: Length,
    ) -> Result<Arc<Pod>, RequestError> {
        let meta = &mut object.metadata;
        meta.namespace.get_or_insert_with(|| "default".into());
        meta.uid = Some(self.next_uid());
        meta.resource_version = Some(self.next_version());
        meta.creation_timestamp = Some(self.stamp(self.now));
        object.status = Some(k8s::PodStatus {
            phase: Some("Pending".into()),
            ..Default::default()
        });
        let read = Arc::new(pod::read(&object)?);
        let key = (read.namespace.clone(), read.name.clone());
        self.tell(Happening::PodCreated(read.clone()));
        let live = Live {
            object,
            read: read.clone(),
            length,
            admitted: false,
        };
        self.pods.insert(key, live);
        Ok(read)
    }

    pub(super) fn create(&mut self, action: &CreatePod) -> Outcome {
        let refused = |message: String| Outcome::Refused {
            copy: action.copy.clone(),
            message,
        };
        let key = (action.batch.namespace.clone(), action.name.clone());
        if let Some(found) = self.pods.get(&key) {
            let own = found.read.own.as_ref();
            if own.is_none_or(|own| own.batch_uid != action.batch.uid) {
                return refused(format!("pods {:?} already exists", action.name));
            }
            self.seen(&key);
            return Outcome::Done;
        }
        let object: k8s::Pod = match serde_json::from_value(action.manifest.clone()) {
            Ok(object) => object,
            Err(error) => return refused(format!("the object is no pod: {error}")),
        };
        if let Some(message) = invalid(&object, &key) {
            return refused(message);
        }
        if let Err(error) = self.store_pod(object, Length::Predicted) {
            return refused(format!("Pod {:?} is invalid: {error}", action.name));
        }
        self.seen(&key);
        if !self
            .batches
            .values()
            .any(|batch| batch.metadata.uid.as_ref() == Some(&action.batch.uid))
        {
            self.orphans_soon();
        }
        Outcome::Done
    }

    pub(super) fn bind(&mut self, action: &BindPod) -> Outcome {
        let free = |live: &&Live| {
            live.read.resource_version == action.resource_version
                && live.read.node.is_none()
                && !live.read.own.as_ref().is_some_and(|own| own.gated)
                && !live.read.terminating
        };
        if self.pod(&action.pod).filter(free).is_none() {
            return Outcome::Conflict;
        }
        self.bind_to(&action.pod, action.node.clone());
        self.seen(&key_of(&action.pod));
        Outcome::Done
    }

    pub(super) fn delete(&mut self, action: &DeletePod) -> Outcome {
        let same = |live: &&Live| live.read.resource_version == action.resource_version;
        if self.pod(&action.pod).filter(same).is_none() {
            return Outcome::Conflict;
        }
        let key = key_of(&action.pod);
        self.delete_pod(&key, true);
        self.seen(&key);
        Outcome::Done
    }

    pub(super) fn delete_batch(&mut self, id: &ObjectId) -> Outcome {
        let key = key_of(id);
        let found = self
            .batches
            .get(&key)
            .and_then(|batch| batch.metadata.uid.as_ref());
        if found != Some(&id.uid) {
            return Outcome::Conflict;
        }
        self.remove_batch(&key);
        Outcome::Done
    }

    /// Deletes a pod: at once if no kubelet has anything to stop, else when it has stopped.
    pub(super) fn delete_pod(&mut self, key: &Key, by_operator: bool) {
        let Some(pod) = self.pods.get(key).map(|live| live.read.clone()) else {
            return;
        };
        if pod.terminating && !pod.is_finished() {
            return;
        }
        self.tell(Happening::PodDeleted {
            pod: pod.clone(),
            by_operator,
        });
        if pod.node.is_none() || pod.is_finished() {
            self.forget_pod(key);
            return;
        }
        let deleted = self.stamp(self.now);
        self.change_pod(key, |object| {
            object.metadata.deletion_timestamp = Some(deleted)
        });
        let at = self.now.saturating_add(self.options.stop);
        self.queue.push(at, Incoming::Stopped(id_of(&pod)));
    }

    /// Writes a status; whether it changed anything.
    pub(super) fn write_status(&mut self, new: &NewStatus) -> bool {
        let (id, status) = (&new.batch, new.status.clone());
        let key = key_of(id);
        let version = self.next_version();
        let Some(batch) = self.batches.get_mut(&key) else {
            return false;
        };
        let seen = batch.metadata.resource_version.as_ref() == Some(&new.resource_version);
        if !seen
            || batch.metadata.uid.as_ref() != Some(&id.uid)
            || batch.status.as_ref() == Some(&status)
        {
            self.version -= 1;
            return false;
        }
        let batch_now = Arc::make_mut(batch);
        batch_now.status = Some(status);
        batch_now.metadata.resource_version = Some(version);
        let batch = batch.clone();
        self.seen_batches.insert(key, batch.clone());
        self.tell(Happening::BatchReported(batch));
        true
    }

    /// The operator's view holds what it wrote itself, however far its watch lags.
    pub(super) fn seen(&mut self, key: &Key) {
        match self.pods.get(key) {
            Some(live) => self.view.insert(key.clone(), live.read.clone()),
            None => self.view.remove(key),
        };
    }
}

/// What an API server finds wrong with a new pod, as far as a scheduler could get it wrong.
fn invalid(object: &k8s::Pod, key: &Key) -> Option<String> {
    let meta = &object.metadata;
    if meta.name.as_ref() != Some(&key.1)
        || meta.namespace.as_ref().is_some_and(|space| *space != key.0)
    {
        return Some(
            "the name or the namespace of the object does not match that of the request".into(),
        );
    }
    let containers = object.spec.iter().flat_map(|spec| &spec.containers);
    for one in containers {
        let resources = one.resources.as_ref();
        let limits = requests::amounts(resources.and_then(|it| it.limits.as_ref())).ok()?;
        let requests = requests::container(resources).ok()?;
        for (name, amount) in requests.iter() {
            let field = format!(
                "spec.containers[{}].resources.requests: Invalid value",
                one.name
            );
            if is_extended(name) && limits.get(name) != amount {
                return Some(format!("{field}: must be equal to {name} limit"));
            }
            if limits.contains(name) && limits.get(name) < amount {
                return Some(format!(
                    "{field}: must be less than or equal to {name} limit"
                ));
            }
        }
    }
    None
}
