//! Tasks that wait for each other.

use anyhow::{Context, Result, ensure};
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase, no_pods, operator, with_reason};
use crate::harness::{Sandbox, Test};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    stages_run_one_after_the_other,
    stages_that_wait_for_each_other_in_a_circle_are_named,
];

async fn stages_run_one_after_the_other(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("")
        .task("evaluate", "dependsOn: [train]", &[("run-for", "1s")])
        .task("train", "count: 2", &[("run-for", "2s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    with_reason(&sandbox, "evaluate", "WaitingForDependency").await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let pods = sandbox.pods();
    let first = pods
        .get("demo-evaluate-0-0")
        .await?
        .metadata
        .creation_timestamp;
    for copy in 0..2 {
        let train = pods.get(&format!("demo-train-{copy}-0")).await?;
        let ended = train.status.and_then(|status| {
            status.container_statuses?[0]
                .state
                .clone()?
                .terminated?
                .finished_at
        });
        ensure!(
            ended.is_some() && ended <= first,
            "training ended {ended:?}, evaluation began {first:?}"
        );
    }
    Ok(())
}

async fn stages_that_wait_for_each_other_in_a_circle_are_named(sandbox: Sandbox) -> Result<()> {
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("")
        .task("outside", "dependsOn: [a]", &[])
        .task("a", "dependsOn: [b]", &[])
        .task("b", "dependsOn: [outside-too, c]", &[])
        .task("outside-too", "", &[])
        .task("c", "dependsOn: [a]", &[]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let rejected = in_phase(&sandbox, "demo", Phase::Rejected).await?;
    let mut conditions = rejected.conditions.iter();
    let accepted = conditions.find(|one| one.type_ == "Accepted");
    let accepted = accepted.context("no condition")?;
    ensure!(accepted.status == "False" && accepted.reason == "InvalidSpec");
    let words = "dependsOn goes in a circle: a -> b -> c -> a";
    ensure!(accepted.message.contains(words), "{accepted:?}");
    no_pods(&sandbox).await
}
