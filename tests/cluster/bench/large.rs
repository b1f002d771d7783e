//! The operator in a large cluster: how soon it works after a start, what it holds, what it uses while nothing happens.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tokio::time::sleep;

use super::bound::Bound;
use super::load::Load;
use super::meter::{Meter, Part, Spent};
use super::rig::{Rig, ready, stop};
use crate::harness::Operator;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// One start of the operator beside a batch of one pod that waits.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Start {
    /// From the start of the process until `/readyz` answered 200, in seconds.
    pub(crate) ready: f64,
    /// Until the pod was bound.
    pub(crate) works: f64,
    /// What it cost until then.
    pub(crate) spent: Spent,
    /// Resident memory then, in bytes.
    pub(crate) rss: u64,
}

/// Starts the operator, with its lease free as after an orderly end, and stops it again. `then` measures more
/// before it stops.
pub(crate) async fn start<T>(
    rig: &Rig,
    then: impl AsyncFnOnce(&Operator) -> Result<T>,
) -> Result<(Start, T)> {
    let path = rig.path("/apis/taskbatch.dev/v1alpha1", "taskbatches");
    let batch = Load { gpus: 0 }.batch("waits", "Direct", 1);
    rig.post(path, batch).await?;
    let mut bound = Bound::watch(rig.client(), &rig.namespace).await?;
    let begun = Instant::now();
    let operator = rig.launch()?;
    let meter = Meter::begin(rig, Some(&operator))?;
    let answers = async {
        ready(&operator).await?;
        anyhow::Ok(Instant::now())
    };
    let (ready, works) = tokio::join!(answers, bound.reach(1, PATIENCE));
    let (ready, works) = (ready? - begun, works? - begun);
    let spent = meter.end()?;
    let rss = operator.usage()?.rss;
    rig.quiet().await?;
    let more = then(&operator).await?;
    rig.clear().await?;
    stop(operator).await?;
    let start = Start {
        ready: ready.as_secs_f64(),
        works: works.as_secs_f64(),
        spent,
        rss,
    };
    Ok((start, more))
}

/// What the operator uses while nothing happens.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Idle {
    /// Part of one processor.
    pub(crate) share: f64,
    /// Resident memory, in bytes.
    pub(crate) rss: u64,
}

/// Watches an operator for so long.
pub(crate) async fn idle(rig: &Rig, operator: &Operator, during: Duration) -> Result<Idle> {
    let meter = Meter::begin(rig, Some(operator))?;
    sleep(during).await;
    let Part { cpu, .. } = meter.end()?.operator.unwrap_or_default();
    Ok(Idle {
        share: cpu / during.as_secs_f64(),
        rss: operator.usage()?.rss,
    })
}
