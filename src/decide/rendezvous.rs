//! How the workers of a gang find each other: host names under one headless Service of the batch, and the variables
//! that their framework reads.
//!
//! | Framework | Variables |
//! | --- | --- |
//! | Generic | `TASKBATCH_HOSTS`: every worker's address by rank, with commas |
//! | Torch | `MASTER_ADDR MASTER_PORT WORLD_SIZE RANK` for `init_process_group`; `PET_*` for `torchrun` |
//! | Jax | `JAX_COORDINATOR_ADDRESS JAX_NUM_PROCESSES JAX_PROCESS_ID` for `jax.distributed.initialize` |
//! | TensorFlow | `TF_CONFIG` for `MultiWorkerMirroredStrategy` |

use serde_json::{Value, json};

use super::manifest::{Intent, owners};
use super::name;
use crate::api::{Framework, label};
use crate::model::is_extended;

/// The port that rank 0 of PyTorch listens on.
const TORCH_PORT: u16 = 29_500;
/// The port that the coordinator of JAX listens on.
const JAX_PORT: u16 = 8476;
/// The port that each worker of TensorFlow listens on.
const TENSORFLOW_PORT: u16 = 2222;

/// A Service that gives each worker of the batch's gangs a name of its own, as soon as it has an address: workers look
/// for each other before they are ready. `None` where there is nobody to find, or where the template names a Service.
pub fn service(intent: &Intent<'_>) -> Option<Value> {
    if intent.workers < 2 || subdomain_of_template(intent).is_some() {
        return None;
    }
    let id = &intent.tracked.id;
    let batch = super::manifest::batch_label(id);
    Some(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name::of_service(id, intent.name_taken),
            "namespace": id.namespace,
            "labels": {label::BATCH: batch},
            "ownerReferences": owners(id),
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": {label::BATCH: batch},
        },
    }))
}

/// Host name and subdomain of the pod: together they are a name in the DNS of the namespace.
pub fn name_host(spec: &mut Value, intent: &Intent<'_>) {
    if intent.workers < 2 {
        return;
    }
    spec["hostname"] = json!(name::of_host(&name::of_pod(intent, intent.worker)));
    spec["subdomain"] = json!(subdomain(intent));
}

/// The variables of the gang's framework, by name.
pub fn variables(intent: &Intent<'_>) -> Vec<(&'static str, String)> {
    let Some(gang) = &intent.spec.gang else {
        return Vec::new();
    };
    let (rank, workers) = (intent.worker.to_string(), intent.workers.to_string());
    match gang.framework {
        Framework::Generic => {
            let all: Vec<String> = addresses(intent).collect();
            vec![("TASKBATCH_HOSTS", all.join(","))]
        }
        Framework::Torch => {
            let (first, port) = (address(intent, 0), TORCH_PORT.to_string());
            vec![
                ("MASTER_ADDR", first.clone()),
                ("MASTER_PORT", port.clone()),
                ("WORLD_SIZE", workers.clone()),
                ("RANK", rank.clone()),
                ("PET_MASTER_ADDR", first),
                ("PET_MASTER_PORT", port),
                ("PET_NNODES", workers),
                ("PET_NODE_RANK", rank),
                ("PET_NPROC_PER_NODE", devices(intent).max(1).to_string()),
            ]
        }
        Framework::Jax => vec![
            (
                "JAX_COORDINATOR_ADDRESS",
                format!("{}:{JAX_PORT}", address(intent, 0)),
            ),
            ("JAX_NUM_PROCESSES", workers),
            ("JAX_PROCESS_ID", rank),
        ],
        Framework::TensorFlow => {
            let all = addresses(intent).map(|address| format!("{address}:{TENSORFLOW_PORT}"));
            let config = json!({
                "cluster": {"worker": all.collect::<Vec<_>>()},
                "task": {"type": "worker", "index": intent.worker},
            });
            vec![("TF_CONFIG", config.to_string())]
        }
    }
}

fn addresses(intent: &Intent<'_>) -> impl Iterator<Item = String> {
    (0..intent.workers).map(|worker| address(intent, worker))
}

/// Where a worker is found by the others; a single one talks to itself.
fn address(intent: &Intent<'_>, worker: u32) -> String {
    if intent.workers < 2 {
        return "localhost".into();
    }
    let host = name::of_host(&name::of_pod(intent, worker));
    format!("{host}.{}", subdomain(intent))
}

fn subdomain(intent: &Intent<'_>) -> String {
    let ours = || name::of_service(&intent.tracked.id, intent.name_taken);
    subdomain_of_template(intent).map_or_else(ours, str::to_owned)
}

fn subdomain_of_template<'a>(intent: &Intent<'a>) -> Option<&'a str> {
    let named = intent.spec.template.0["spec"]["subdomain"].as_str();
    named.filter(|name| !name.is_empty())
}

/// Devices of one worker: as many processes does torchrun start there.
fn devices(intent: &Intent<'_>) -> i64 {
    let devices = intent.requests.iter().filter(|(name, _)| is_extended(name));
    devices.map(|(_, count)| count).max().unwrap_or(0)
}
