//! The API server takes every example, and the operator accepts it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::ListParams;

use crate::batch::{batches, operator_near};
use crate::harness::{Sandbox, Test, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![every_example_is_taken_and_accepted];

/// There are no nodes here: that all of them run is tested where their nodes are simulated.
async fn every_example_is_taken_and_accepted(sandbox: Sandbox) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let levels = folder.join("topology.yaml");
    let _operator = operator_near(&sandbox, &levels).await?;
    let mut applied = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if name.ends_with(".yaml") && text.contains("\nkind: TaskBatch\n") {
            let answer = sandbox.kubectl(&["apply", "--filename", &name]).await?;
            answer.ok().with_context(|| name.clone())?;
            applied.push(name);
        }
    }
    ensure!(applied.len() > 5, "{applied:?}");
    eventually(seconds(60), async || {
        let found = batches(&sandbox).list(&ListParams::default()).await?;
        ensure!(
            found.items.len() >= applied.len(),
            "{} batches",
            found.items.len()
        );
        for batch in found {
            let name = batch.name_any();
            let status = batch
                .status
                .with_context(|| format!("no status of {name}"))?;
            let mut conditions = status.conditions.iter();
            let accepted = conditions.find(|one| one.type_ == "Accepted");
            let accepted = accepted.with_context(|| name.clone())?;
            ensure!(accepted.status == "True", "{name}: {accepted:?}");
        }
        Ok(())
    })
    .await?;
    for name in &applied {
        // What belongs to no namespace would stay.
        let delete = ["delete", "--wait=false", "--filename", name];
        sandbox.kubectl(&delete).await?.ok()?;
    }
    Ok(())
}
