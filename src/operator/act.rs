//! Writes: pods created, bound and deleted. Each answer becomes an outcome, and what is known after it
//! goes into the ledger.

use std::time::Duration;

use axum::body::Bytes;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tracing::warn;

use super::caches::Caches;
use super::call::{Answer, Content, Failure, send};
use super::lease::Freshness;
use super::wire;
use crate::api::{SCHEDULING_GATE, annotation};
use crate::cluster::ledger::{self, Key};
use crate::cluster::pod::Pod;
use crate::decide::{Action, BindPod, CopyId, CreatePod, ObjectId, Outcome, ReleasePod};

/// How many writes are under way at once.
const AT_ONCE: usize = 32;
/// How long to wait where the server refuses a delete, which a user must put right.
const REFUSED_DELETE: Duration = Duration::from_secs(30);
/// How long to wait for the pods of an earlier batch of the same name to be collected.
const NAMESAKE: Duration = Duration::from_secs(2);
/// How long to wait for the lease to be renewed.
const UNRENEWED: Duration = Duration::from_secs(1);

/// What writes need.
pub struct Writer<'a> {
    /// Must not retry by itself.
    pub client: &'a Client,
    /// Where pods are known from, and what is known after a write goes to.
    pub caches: &'a Caches,
    /// Whether we lead.
    pub freshness: &'a Freshness,
}

impl Writer<'_> {
    /// Carries the actions out, many at once; the outcomes stand in their order. The next one begins as soon as any
    /// has ended: a slow one does not hold up those behind it.
    pub async fn act(&self, actions: &[Action]) -> Vec<Outcome> {
        let write = |(at, action)| async move { (at, self.one(action).await) };
        let writes: Vec<_> = actions.iter().enumerate().map(write).collect();
        let writes = stream::iter(writes).buffer_unordered(AT_ONCE);
        let mut outcomes: Vec<(usize, Outcome)> = writes.collect().await;
        outcomes.sort_unstable_by_key(|(at, _)| *at);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    async fn one(&self, action: &Action) -> Outcome {
        match action {
            Action::Create(create) => self.create(create).await,
            Action::Bind(bind) => self.bind(bind).await,
            Action::Release(release) => self.release(release).await,
            Action::TakeBack(it) => self.delete(&it.pod, &it.resource_version).await,
            Action::Delete(it) => self.delete(&it.pod, &it.resource_version).await,
            Action::DeleteBatch(batch) => self.delete_batch(batch).await,
        }
    }

    async fn create(&self, create: &CreatePod) -> Outcome {
        if let Some(service) = &create.service
            && let Err(outcome) = self.expose(create, service).await
        {
            return outcome;
        }
        let path = pods(&create.batch.namespace);
        let mut manifest = create.manifest.clone();
        manifest["metadata"]["annotations"][annotation::LEADER] = json!(self.leader());
        match self.write("POST", &path, Content::json(&manifest)).await {
            Answer::Accepted(body) => self.claim(create, &body),
            Answer::Conflict(status) if status.reason == "AlreadyExists" => {
                self.adopt(create).await
            }
            Answer::Conflict(_) | Answer::Missing => Outcome::Conflict,
            Answer::Refused(message) => refused(&create.copy, message),
            Answer::Unclear { retry_after, .. } => self.unknown(key(create), retry_after),
        }
    }

    /// Creates the Service of the batch unless it is there; `Err`: it is not, and what that means for the pod.
    async fn expose(&self, create: &CreatePod, service: &Value) -> Result<(), Outcome> {
        let path = format!("/api/v1/namespaces/{}/services", create.batch.namespace);
        let answer = match self.write("POST", &path, Content::json(service)).await {
            Answer::Conflict(status) if status.reason == "AlreadyExists" => {
                let name = service["metadata"]["name"].as_str().unwrap_or_default();
                send(self.client, "GET", &format!("{path}/{name}"), None).await
            }
            answer => answer,
        };
        match answer {
            Answer::Accepted(body) => owned(create, &body),
            Answer::Conflict(_) | Answer::Missing => Err(Outcome::Conflict),
            Answer::Refused(message) => Err(refused(&create.copy, message)),
            Answer::Unclear { retry_after, .. } => Err(Outcome::Unknown { retry_after }),
        }
    }

    /// A pod of this name exists: it is what was asked for if it is ours.
    async fn adopt(&self, create: &CreatePod) -> Outcome {
        let path = format!("{}/{}", pods(&create.batch.namespace), create.name);
        match send(self.client, "GET", &path, None).await {
            Answer::Accepted(body) => self.claim(create, &body),
            Answer::Conflict(_) | Answer::Missing => Outcome::Conflict,
            Answer::Refused(message) => refused(&create.copy, message),
            Answer::Unclear { retry_after, .. } => self.unknown(key(create), retry_after),
        }
    }

    /// Reads the pod that the server holds. It may differ from what was asked for: admission adds to it.
    fn claim(&self, create: &CreatePod, body: &Bytes) -> Outcome {
        let name = &create.name;
        let read = match wire::object::<Pod>(body) {
            Ok(pod) => pod.reading,
            Err(_) => return self.unknown(key(create), UNRENEWED),
        };
        if let Some(trouble) = read.trouble {
            let message =
                format!("the pod {name} as the API server holds it cannot be read: {trouble}");
            return refused(&create.copy, message);
        }
        let owner = read
            .kept
            .as_ref()
            .and_then(|pod| pod.own.as_ref())
            .map(|own| &own.batch_uid);
        match (read.kept.as_ref(), owner) {
            (Some(pod), Some(uid)) if *uid == create.batch.uid => {
                let pod = std::sync::Arc::new(pod.clone());
                self.caches
                    .ledger(|ledger| ledger.present(pod, Timestamp::now()));
                Outcome::Done
            }
            // A batch of the same name was there before; its pods will be gone soon.
            (_, Some(_)) => Outcome::Unknown {
                retry_after: NAMESAKE,
            },
            _ => refused(
                &create.copy,
                format!("a pod {name} already exists and is none of this batch"),
            ),
        }
    }

    async fn bind(&self, bind: &BindPod) -> Outcome {
        let pod = &bind.pod;
        let path = format!("{}/{}/binding", pods(&pod.namespace), pod.name);
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {
                "name": pod.name,
                "namespace": pod.namespace,
                "uid": pod.uid,
                "resourceVersion": bind.resource_version,
            },
            "target": {"apiVersion": "v1", "kind": "Node", "name": bind.node},
        });
        match self.write("POST", &path, Content::json(&binding)).await {
            Answer::Accepted(_) => {
                self.known(pod, |ledger, known| {
                    ledger.bound(known, &bind.node, Timestamp::now())
                });
                Outcome::Done
            }
            Answer::Conflict(_) | Answer::Missing => self.conflict(pod),
            Answer::Refused(message) => refused(&bind.copy, message),
            Answer::Unclear { retry_after, .. } => self.unknown(key_of(pod), retry_after),
        }
    }

    /// Writes our revision on a pod of an earlier leader, which gives it another version. `Err`: it may still have the
    /// old one. A pod that is gone or changes meanwhile is seen again.
    pub async fn take_over(&self, pod: &Pod) -> Result<(), Failure> {
        let path = format!("{}/{}", pods(&pod.namespace), pod.name);
        let patch = json!({"metadata": {
            "uid": pod.uid,
            "annotations": {annotation::LEADER: self.leader()},
        }});
        match self.write("PATCH", &path, Content::merge(&patch)).await {
            Answer::Accepted(body) => {
                self.now_is(&body);
                Ok(())
            }
            Answer::Missing => {
                let (key, uid) = (ledger::key(pod), pod.uid.clone());
                self.caches
                    .ledger(|ledger| ledger.absent(key, uid, Timestamp::now()));
                Ok(())
            }
            other => Err(other.failure()),
        }
    }

    fn leader(&self) -> String {
        self.freshness.revision().to_string()
    }

    /// Takes our gate away and leaves those of others. Patches name what must not have changed by setting it.
    async fn release(&self, release: &ReleasePod) -> Outcome {
        let pod = &release.pod;
        let path = format!("{}/{}", pods(&pod.namespace), pod.name);
        let patch = json!({
            "metadata": {
                "uid": pod.uid,
                "resourceVersion": release.resource_version,
                "annotations": {annotation::RELEASED: release.now.to_string()},
            },
            "spec": {"schedulingGates": [{"$patch": "delete", "name": SCHEDULING_GATE}]},
        });
        match self.write("PATCH", &path, Content::merge(&patch)).await {
            Answer::Accepted(body) => {
                self.now_is(&body);
                Outcome::Done
            }
            Answer::Conflict(_) | Answer::Missing => self.conflict(pod),
            Answer::Refused(message) => refused(&release.copy, message),
            Answer::Unclear { retry_after, .. } => self.unknown(key_of(pod), retry_after),
        }
    }

    /// Deletes a pod, in this version only.
    async fn delete(&self, pod: &ObjectId, version: &str) -> Outcome {
        let path = format!("{}/{}", pods(&pod.namespace), pod.name);
        match self
            .write("DELETE", &path, only(&pod.uid, Some(version), None))
            .await
        {
            Answer::Accepted(_) => {
                self.known(pod, |ledger, known| ledger.deleted(known, Timestamp::now()));
                Outcome::Done
            }
            Answer::Missing => {
                let (key, uid) = (key_of(pod), pod.uid.clone());
                self.caches
                    .ledger(|ledger| ledger.absent(key, uid, Timestamp::now()));
                Outcome::Done
            }
            Answer::Conflict(_) => self.conflict(pod),
            Answer::Refused(_) => {
                warn!(
                    namespace = pod.namespace,
                    pod = pod.name,
                    "the API server refuses to delete the pod"
                );
                Outcome::Unknown {
                    retry_after: REFUSED_DELETE,
                }
            }
            Answer::Unclear { retry_after, .. } => self.unknown(key_of(pod), retry_after),
        }
    }

    async fn delete_batch(&self, batch: &ObjectId) -> Outcome {
        let path = batch_path(batch);
        match self
            .write("DELETE", &path, only(&batch.uid, None, Some("Background")))
            .await
        {
            Answer::Accepted(_) | Answer::Missing => Outcome::Done,
            Answer::Conflict(_) => Outcome::Conflict,
            Answer::Refused(_) => {
                warn!(
                    namespace = batch.namespace,
                    batch = batch.name,
                    "the API server refuses to delete the batch"
                );
                Outcome::Unknown {
                    retry_after: REFUSED_DELETE,
                }
            }
            Answer::Unclear { retry_after, .. } => Outcome::Unknown { retry_after },
        }
    }

    /// Sends a write, if we surely lead for as long as it may take.
    async fn write(&self, method: &str, path: &str, content: Content) -> Answer {
        if !self.freshness.may_write() {
            let why = "the lease was not renewed lately".into();
            return Answer::Unclear {
                retry_after: UNRENEWED,
                why,
            };
        }
        send(self.client, method, path, Some(content)).await
    }

    /// The pod is as the answer shows it; one that cannot be read is left to the watch.
    fn now_is(&self, body: &Bytes) {
        let read = wire::object::<Pod>(body);
        if let Some(pod) = read.ok().and_then(|pod| pod.reading.kept) {
            let pod = std::sync::Arc::new(pod);
            self.caches
                .ledger(|ledger| ledger.present(pod, Timestamp::now()));
        }
    }

    fn known(&self, pod: &ObjectId, note: impl FnOnce(&mut crate::cluster::ledger::Ledger, &Pod)) {
        let known = self
            .caches
            .pod(&key_of(pod))
            .filter(|known| known.uid == pod.uid);
        if let Some(known) = known {
            self.caches.ledger(|ledger| note(ledger, &known));
        }
    }

    /// The next round looks the pod up, rather than wait for the watch and meet the same conflict again.
    fn conflict(&self, pod: &ObjectId) -> Outcome {
        self.caches
            .ledger(|ledger| ledger.doubt(key_of(pod), Timestamp::now()));
        Outcome::Conflict
    }

    fn unknown(&self, pod: Key, retry_after: Duration) -> Outcome {
        self.caches
            .ledger(|ledger| ledger.doubt(pod, Timestamp::now()));
        Outcome::Unknown { retry_after }
    }
}

/// Whether the Service belongs to the batch of the pod.
fn owned(create: &CreatePod, service: &Bytes) -> Result<(), Outcome> {
    let service = wire::value(service).unwrap_or_default();
    let owner = &service["metadata"]["ownerReferences"][0];
    match owner["kind"].as_str() {
        Some("TaskBatch") if owner["uid"] == create.batch.uid.as_str() => Ok(()),
        // A batch of the same name was there before; its Service will be gone soon.
        Some("TaskBatch") => Err(Outcome::Unknown {
            retry_after: NAMESAKE,
        }),
        _ => {
            let name = service["metadata"]["name"].as_str().unwrap_or_default();
            let message = format!("a Service {name} already exists and is none of this batch");
            Err(refused(&create.copy, message))
        }
    }
}

fn refused(copy: &CopyId, message: String) -> Outcome {
    Outcome::Refused {
        copy: copy.clone(),
        message,
    }
}

/// Deletes the object of this uid and no other; pods with the grace period that they ask for.
fn only(uid: &str, version: Option<&str>, propagation: Option<&str>) -> Content {
    Content::json(&json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": uid, "resourceVersion": version},
        "propagationPolicy": propagation,
    }))
}

fn key(create: &CreatePod) -> Key {
    (create.batch.namespace.clone(), create.name.clone())
}

fn key_of(object: &ObjectId) -> Key {
    (object.namespace.clone(), object.name.clone())
}

/// The path of the pods of a namespace.
pub fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// The path of a batch.
pub fn batch_path(batch: &ObjectId) -> String {
    let (group, version) = (crate::api::GROUP, "v1alpha1");
    let ObjectId {
        namespace, name, ..
    } = batch;
    format!("/apis/{group}/{version}/namespaces/{namespace}/taskbatches/{name}")
}
