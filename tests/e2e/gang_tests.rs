//! A gang on a real node: two containers that find each other by the names that they are given, and add up.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase};
use crate::batch_tests::{pod, pods};
use crate::memory_tests::terminated;
use crate::rig::Rig;
use crate::{Step, steps};

pub(crate) const STEPS: &[Step] = steps![two_workers_find_each_other_by_name_and_add_up];

/// Rank 1 sends its number to rank 0, which sends the sum back. Each tries until the other's name has an address and
/// somebody listens there. What is sent has to be there before `nc` is: who listens has nothing to say, and `nc` ends
/// well as soon as it hears that.
const ALL_REDUCE: &str = "first=${TASKBATCH_HOSTS%%,*}; second=${TASKBATCH_HOSTS##*,}
if [ $TASKBATCH_WORKER = 0 ]; then
  theirs=$(nc -l -p 7077); sum=$((1 + theirs))
  until nc $second 7078 <<END
$sum
END
  do sleep 1; done
else
  until nc $first 7077 <<END
10
END
  do sleep 1; done
  sum=$(nc -l -p 7078)
fi
echo \"$sum of $TASKBATCH_WORKERS\" > /dev/termination-log";

/// The Service, its endpoints, the host names and the search domains of the pods are those of Kubernetes. In the place
/// of CoreDNS a small server of the tests answers from the same endpoints.
async fn two_workers_find_each_other_by_name_and_add_up(rig: Arc<Rig>) -> Result<()> {
    let sandbox = rig.sandbox("gang").await?;
    let fields = "gang: {workers: {min: 2}}\nresources: {cpu: {min: 100m}}\nretry: {limit: 0}\nestimate: {process: 5s}";
    let batch = Manifest::new("").pod("train", fields, &pod(ALL_REDUCE));
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let status = in_phase(&sandbox, "demo", Phase::Complete).await?;
    ensure!(
        status.tasks[0].result.as_deref().map(str::trim) == Some("11 of 2"),
        "{status:#?}"
    );
    let workers = pods(&sandbox).await?;
    ensure!(workers.len() == 2, "{} pods", workers.len());
    for worker in &workers {
        let said = terminated(worker)?.message.context("no message")?;
        ensure!(said.trim() == "11 of 2", "{said}");
    }
    let address = |pod: &Pod| pod.status.clone()?.pod_ip;
    ensure!(address(&workers[0]) != address(&workers[1]));
    Ok(())
}
