//! Deadlines that are met, missed or cannot be met; and priorities, beside pods of others.

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::ListParams;
use taskbatch::api::{DeadlineStatus, Phase, label};

use crate::batch::{Manifest, in_phase, operator, status};
use crate::harness::{Sandbox, Test, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    deadlines_are_met_or_told_once,
    lower_priorities_fill_what_is_left,
    a_wrong_deadline_is_refused,
];

async fn deadline(sandbox: &Sandbox, task: &str) -> Result<DeadlineStatus> {
    let tasks = status(sandbox, "demo").await?.tasks;
    let task = tasks.into_iter().find(|one| one.name == task);
    let task = task.context("no such task")?;
    task.deadline.context("no deadline in its status")
}

async fn deadlines_are_met_or_told_once(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n1").cpu("4").create().await?;
    let operator = operator(&sandbox).await?;
    let easy = "count: 2\ndeadline: 10m\nestimate: {process: 1s}\nresources: {cpu: {min: 1}}";
    let hopeless = "deadline: 3s\nestimate: {process: 1m}\nresources: {cpu: {min: 1}}";
    let batch = Manifest::new("deadline: 1h")
        .task("easy", easy, &[("run-for", "1s")])
        .task("hopeless", hopeless, &[("run-for", "7s")])
        .task("late", "deadline: 30m", &[("run-for", "1s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    eventually(seconds(30), async || {
        let told = deadline(&sandbox, "hopeless").await?;
        let reason = told.reason.as_deref();
        ensure!(
            matches!(reason, Some("DeadlineUnreachable" | "DeadlineMissed")),
            "{told:?}"
        );
        Ok(())
    })
    .await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let easy = deadline(&sandbox, "easy").await?;
    ensure!(
        (easy.met, easy.missed, &easy.reason) == (2, 0, &None),
        "{easy:?}"
    );
    let hopeless = deadline(&sandbox, "hopeless").await?;
    ensure!((hopeless.met, hopeless.missed) == (0, 1), "{hopeless:?}");
    ensure!(
        hopeless.missed_copies.as_deref() == Some("0"),
        "{hopeless:?}"
    );
    let late = deadline(&sandbox, "late").await?;
    ensure!((late.met, late.missed) == (1, 0), "{late:?}");
    // Each once, and only of the one that is late.
    let count = async |reason: &str| -> Result<usize> {
        let events = sandbox.kubectl(&["get", "events"]).await?.ok()?;
        let of_reason = events.lines().filter(|line| line.contains(reason));
        let all: Vec<&str> = of_reason.collect();
        ensure!(
            all.iter()
                .all(|line| line.contains("hopeless:") && line.contains("Warning")),
            "{all:?}"
        );
        Ok(all.len())
    };
    eventually(seconds(10), async || {
        ensure!(count("DeadlineUnreachable").await? == 1, "not told once");
        ensure!(count("DeadlineMissed").await? == 1, "not told once");
        Ok(())
    })
    .await?;
    let (_, metrics) = operator.get("/metrics").await?;
    ensure!(
        metrics.contains("taskbatch_deadline_misses_total 1"),
        "{metrics}"
    );
    ensure!(
        metrics.contains("taskbatch_deadlines_at_risk 0"),
        "{metrics}"
    );
    Ok(())
}

/// Two large copies of high priority run one after the other. The small one fits beside them; the wide one waits for
/// both, although it would fit where the second one is to run.
async fn lower_priorities_fill_what_is_left(sandbox: Sandbox) -> Result<()> {
    let node = sandbox.node("n1").cpu("5").create().await?;
    let customer = sandbox.pod("customer").cpu("1").on(&node).run_for("1h");
    let customer = customer.create().await?;
    sandbox.pod_in_phase("customer", "Running").await?;
    let class = |name: &str| format!("{}-{name}", sandbox.namespace);
    for (name, value) in [("guaranteed", 1_000), ("spare", -1_000)] {
        let class = class(name);
        let value = format!("--value={value}");
        sandbox
            .kubectl(&["create", "priorityclass", &class, &value])
            .await?
            .ok()?;
    }
    let _operator = operator(&sandbox).await?;
    let task = |name: &str, cpus: u32, count: u32, process: &str| {
        let class = class(name);
        format!(
            "priorityClassName: {class}\ncount: {count}\nestimate: {{process: {process}}}\nresources: {{cpu: {{min: {cpus}}}}}"
        )
    };
    let batch = Manifest::new("objective: {goal: FlowTime}")
        .task("wide", &task("spare", 3, 1, "1s"), &[("run-for", "1s")])
        .task("small", &task("spare", 1, 1, "1s"), &[("run-for", "1s")])
        .task("big", &task("guaranteed", 3, 2, "4s"), &[("run-for", "4s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let pods = sandbox.pods();
    let ours = pods
        .list(&ListParams::default().labels(label::BATCH))
        .await?;
    let created = |task: &str| -> Vec<_> {
        let of_task = ours
            .iter()
            .filter(|pod| pod.labels().get(label::TASK).map(String::as_str) == Some(task));
        let mut times: Vec<_> = of_task.filter_map(|pod| pod.creation_timestamp()).collect();
        times.sort();
        times
    };
    let (big, small, wide) = (created("big"), created("small"), created("wide"));
    ensure!(
        big.len() == 2 && small.len() == 1 && wide.len() == 1,
        "{ours:?}"
    );
    ensure!(big[0] < big[1], "both large ones at once: {big:?}");
    ensure!(
        small[0] < big[1],
        "nothing was filled in: {small:?}, {big:?}"
    );
    ensure!(
        wide[0] > big[1],
        "the wide one came first: {wide:?}, {big:?}"
    );
    let still = pods.get("customer").await?;
    ensure!(still.uid() == customer.uid(), "{still:?}");
    ensure!(
        still.status.and_then(|status| status.phase).as_deref() == Some("Running"),
        "the customer's pod does not run any more"
    );
    for name in ["guaranteed", "spare"] {
        sandbox
            .kubectl(&["delete", "priorityclass", &class(name)])
            .await?
            .ok()?;
    }
    Ok(())
}

async fn a_wrong_deadline_is_refused(sandbox: Sandbox) -> Result<()> {
    let wrong = Manifest::new("deadline: soon").task("work", "", &[]);
    let refused = sandbox.apply(&wrong.yaml()).await?;
    ensure!(
        !refused.success && refused.stderr.contains("spec.deadline"),
        "{refused:?}"
    );
    Ok(())
}
