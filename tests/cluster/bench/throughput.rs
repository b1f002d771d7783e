//! Pods created and bound a second: by a plain client, by kube-scheduler, and by the operator in both ways.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::json;

use super::bound::Bound;
use super::load::Load;
use super::meter::{Meter, Spent};
use super::rig::{Rig, stop};

/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Who creates and binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Side {
    /// A plain client that creates and binds each pod and looks at nothing: the ceiling.
    Client,
    /// A plain client creates, kube-scheduler binds.
    KubeScheduler,
    /// The operator creates and binds the pods of one batch.
    Direct,
    /// The operator creates them, kube-scheduler binds them where the plan says.
    Delegate,
}

/// All sides.
pub(crate) const SIDES: [Side; 4] = [
    Side::Client,
    Side::KubeScheduler,
    Side::Direct,
    Side::Delegate,
];

/// What came of one measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// Who.
    pub(crate) side: Side,
    /// From the first request until the last pod was seen bound, in seconds.
    pub(crate) seconds: f64,
    /// What it cost.
    pub(crate) spent: Spent,
}

/// Measures every side in turn, again and again; each time another one begins.
pub(crate) async fn measure(
    rig: &Rig,
    load: Load,
    pods: usize,
    repetitions: usize,
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for repetition in 0..repetitions {
        for turn in 0..SIDES.len() {
            let side = SIDES[(repetition + turn) % SIDES.len()];
            let name = format!("{side:?}-{repetition}").to_lowercase();
            let sample = sample(rig, side, load, &name, pods).await?;
            eprintln!(
                "  {name}: {:.0} pods/s, {:.2} CPU s of others",
                pods as f64 / sample.seconds,
                sample.spent.others
            );
            samples.push(sample);
        }
    }
    Ok(samples)
}

async fn sample(rig: &Rig, side: Side, load: Load, name: &str, pods: usize) -> Result<Sample> {
    let operator = match side {
        Side::Client | Side::KubeScheduler => None,
        Side::Direct | Side::Delegate => Some(rig.operator().await?),
    };
    let mut bound = Bound::watch(rig.client(), &rig.namespace).await?;
    let meter = Meter::begin(rig, operator.as_ref())?;
    let begun = Instant::now();
    let batch = |binding| {
        let path = rig.path("/apis/taskbatch.dev/v1alpha1", "taskbatches");
        rig.post(path, load.batch(name, binding, pods))
    };
    match side {
        Side::Client => create_and_bind(rig, load, name, pods).await?,
        Side::KubeScheduler => create(rig, load, name, pods).await?,
        Side::Direct => batch("Direct").await?,
        Side::Delegate => batch("Delegate").await?,
    }
    let seconds = (bound.reach(pods, PATIENCE).await? - begun).as_secs_f64();
    let spent = meter.end()?;
    drop(bound);
    rig.clear().await?;
    if let Some(operator) = operator {
        stop(operator).await?;
    }
    Ok(Sample {
        side,
        seconds,
        spent,
    })
}

async fn create(rig: &Rig, load: Load, name: &str, pods: usize) -> Result<()> {
    let path = rig.path("/api/v1", "pods");
    let pods = (0..pods).map(|index| load.pod(&format!("{name}-{index}"), "default-scheduler"));
    rig.send_all(pods.map(|pod| (path.clone(), pod))).await
}

async fn create_and_bind(rig: &Rig, load: Load, name: &str, pods: usize) -> Result<()> {
    let path = rig.path("/api/v1", "pods");
    let writes = (0..pods).map(|index| {
        let (pod, path) = (format!("{name}-{index}"), &path);
        let node = &rig.nodes[index % rig.nodes.len()];
        async move {
            rig.post(path.clone(), load.pod(&pod, "nobody")).await?;
            let binding = json!({
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": pod},
                "target": {"apiVersion": "v1", "kind": "Node", "name": node},
            });
            rig.post(format!("{path}/{pod}/binding"), binding).await
        }
    });
    let writes = stream::iter(writes).buffer_unordered(rig.connections);
    writes.try_for_each(|()| async { Ok(()) }).await
}
