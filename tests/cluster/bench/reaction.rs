//! Time from apply until all pods are bound: of a batch, and of a Job.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::bound::Bound;
use super::load::Load;
use super::rig::{Rig, stop};

/// How long one of them may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whose reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Owner {
    /// A Job, whose pods kube-scheduler binds.
    Job,
    /// A TaskBatch that binds by itself.
    TaskBatch,
}

/// The times of one owner, in seconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reactions {
    /// Whose.
    pub(crate) owner: Owner,
    /// Each of them.
    pub(crate) seconds: Vec<f64>,
}

/// Measures both in turn, again and again. While the Jobs are measured the operator is not there.
pub(crate) async fn measure(rig: &Rig, tasks: usize, repetitions: usize) -> Result<[Reactions; 2]> {
    let mut all = [Owner::Job, Owner::TaskBatch].map(|owner| Reactions {
        owner,
        seconds: Vec::new(),
    });
    // A few of each in a row, so that the operator need not be started for each.
    const ROW: usize = 5;
    let mut done = 0;
    while done < repetitions {
        let row = ROW.min(repetitions - done);
        for reactions in &mut all {
            let operator = match reactions.owner {
                Owner::Job => None,
                Owner::TaskBatch => Some(rig.operator().await?),
            };
            for repetition in done..done + row {
                let seconds = one(rig, reactions.owner, tasks, repetition).await?;
                reactions.seconds.push(seconds);
            }
            if let Some(operator) = operator {
                stop(operator).await?;
            }
        }
        done += row;
    }
    Ok(all)
}

async fn one(rig: &Rig, owner: Owner, tasks: usize, repetition: usize) -> Result<f64> {
    let load = Load { gpus: 0 };
    let name = format!("{owner:?}-{repetition}").to_lowercase();
    let (path, object) = match owner {
        Owner::Job => (rig.path("/apis/batch/v1", "jobs"), load.job(&name, tasks)),
        Owner::TaskBatch => (
            rig.path("/apis/taskbatch.dev/v1alpha1", "taskbatches"),
            load.batch(&name, "Direct", tasks),
        ),
    };
    let mut bound = Bound::watch(rig.client(), &rig.namespace).await?;
    let begun = Instant::now();
    rig.post(path, object).await?;
    let seconds = (bound.reach(tasks, PATIENCE).await? - begun).as_secs_f64();
    drop(bound);
    rig.clear().await?;
    Ok(seconds)
}
