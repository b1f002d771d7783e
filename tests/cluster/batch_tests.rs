//! Batches from apply to their end, as a user sees them.

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use taskbatch::api::Phase;

use crate::batch::{
    Manifest, batches, change, in_phase, no_pods, operator, seen, status, with_reason,
};
use crate::harness::{FakeKubelet, Sandbox, Test, eventually, seconds};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    the_seed_example_runs_as_planned_and_shows_it,
    a_task_without_room_says_so_with_numbers_and_runs_later,
    a_task_that_fits_nowhere_says_why_and_the_others_run,
    a_failed_attempt_is_followed_by_another,
    a_task_out_of_retries_fails_the_batch,
    fail_fast_ends_what_runs,
    a_rejection_by_the_kubelet_uses_no_retry,
    a_lost_node_uses_no_retry,
    a_suspended_batch_holds_nothing_and_goes_on_later,
    a_deleted_batch_leaves_nothing_whatever_it_was_doing,
    a_batch_of_the_same_name_runs_once_the_old_pods_are_gone,
    a_finished_batch_is_deleted_after_its_ttl,
    a_batch_past_its_deadline_fails,
    pods_of_kube_scheduler_are_counted,
    two_batches_share_the_nodes,
];

const SEED_CASE: &str = include_str!("../../examples/seed-case.yaml");

async fn the_seed_example_runs_as_planned_and_shows_it(sandbox: Sandbox) -> Result<()> {
    for name in ["a", "b", "c", "d"] {
        sandbox.node(name).gpu(4).create().await?;
    }
    let operator = operator(&sandbox).await?;
    sandbox.apply(SEED_CASE).await?.ok()?;
    let wait = [
        "wait",
        "--for=condition=Complete",
        "--timeout=60s",
        "tb/seed-case",
    ];
    sandbox.kubectl(&wait).await?.ok()?;

    let pods = sandbox.pods().list(&ListParams::default()).await?;
    ensure!(pods.items.len() == 5, "{} pods", pods.items.len());
    for pod in seen(&sandbox).await? {
        ensure!(pod.node.is_some() && pod.node == pod.meant_for, "{pod:?}");
    }
    for pod in pods {
        let spec = pod.spec.context("a spec")?;
        let resources = spec.containers[0].resources.clone().context("resources")?;
        for amounts in [resources.requests, resources.limits] {
            let gpus = amounts.and_then(|amounts| amounts.get("nvidia.com/gpu").cloned());
            ensure!(
                gpus.is_some_and(|gpus| gpus.0 == "1"),
                "one GPU in requests and limits"
            );
        }
        ensure!(spec.scheduler_name.as_deref() == Some("taskbatch"));
    }
    let plan = status(&sandbox, "seed-case")
        .await?
        .plan
        .context("a plan")?;
    let figures = (
        plan.objective.as_str(),
        plan.lower_bound.as_str(),
        plan.gap.as_deref(),
    );
    ensure!(figures == ("6.0", "6.0", Some("0.0%")), "{plan:?}");

    let table = sandbox.kubectl(&["get", "tb"]).await?.ok()?;
    for word in [
        "PHASE",
        "DONE",
        "GOAL",
        "GAP",
        "ETA",
        "AGE",
        "Complete",
        "5/5",
        "Shortfall",
    ] {
        ensure!(table.contains(word), "{word} is not in\n{table}");
    }
    let explained = sandbox
        .kubectl(&["explain", "tb.spec.tasks.estimate"])
        .await?
        .ok()?;
    ensure!(explained.contains("How long one copy takes"), "{explained}");
    eventually(seconds(10), async || {
        let events = sandbox.kubectl(&["get", "events"]).await?.ok()?;
        for word in ["PlanFound", "AllSucceeded"] {
            ensure!(events.contains(word), "{word} is not in\n{events}");
        }
        Ok(())
    })
    .await?;
    let (code, metrics) = operator.get("/metrics").await?;
    ensure!(code == 200);
    for name in [
        "taskbatch_plan_seconds",
        "taskbatch_plan_gap",
        "taskbatch_tasks",
        "taskbatch_binds",
        "taskbatch_leader",
    ] {
        ensure!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    Ok(())
}

async fn a_task_without_room_says_so_with_numbers_and_runs_later(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").cpu("4").create().await?;
    let _operator = operator(&sandbox).await?;
    let fields = "count: 3\nresources: {cpu: {min: 2}}\nestimate: {process: 4s}";
    let batch = Manifest::new("").task("work", fields, &[("run-for", "4s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let waiting = with_reason(&sandbox, "work", "WaitingForCapacity").await?;
    let message = waiting.message.unwrap_or_default();
    ensure!(
        message == "needs 2 cpu on one node; the only node has 0 free, 4 in all",
        "{message}"
    );
    let planned = waiting.predicted.and_then(|predicted| predicted.start);
    ensure!(planned.is_some(), "a planned start");
    ensure!(seen(&sandbox).await?.len() == 2, "two pods run meanwhile");
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    ensure!(done.tasks[0].succeeded == "0-2", "{:?}", done.tasks);
    Ok(())
}

async fn a_task_that_fits_nowhere_says_why_and_the_others_run(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").gpu(8).create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("")
        .task("big", "resources: {nvidia.com/gpu: {min: 16}}", &[])
        .task(
            "small",
            "resources: {nvidia.com/gpu: {min: 1, max: 8}}",
            &[],
        );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let big = with_reason(&sandbox, "big", "ExceedsCapacity").await?;
    let message = big.message.unwrap_or_default();
    ensure!(
        message.starts_with("needs 16 nvidia.com/gpu on one node, the largest of 1 node has 8"),
        "{message}"
    );
    eventually(seconds(20), async || {
        let status = status(&sandbox, "demo").await?;
        let done = status.progress.map(|progress| progress.done);
        ensure!(done.as_deref() == Some("1/2"), "{done:?}");
        Ok(())
    })
    .await?;
    sandbox.node("large").gpu(16).create().await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    Ok(())
}

async fn a_failed_attempt_is_followed_by_another(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").create().await?;
    let _operator = operator(&sandbox).await?;
    let retry = "retry: {limit: 2, backoff: {initial: 1s}}";
    let steer = [
        ("run-for", "500ms"),
        ("fail-below-attempt", "2"),
        ("message", "accuracy 0.93"),
    ];
    let batch = Manifest::new("").task("work", retry, &steer);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let phases: Vec<String> = seen(&sandbox)
        .await?
        .into_iter()
        .map(|pod| pod.phase)
        .collect();
    ensure!(phases == ["Failed", "Failed", "Succeeded"], "{phases:?}");
    ensure!(
        done.tasks[0].attempt == 2 && done.tasks[0].result.as_deref() == Some("accuracy 0.93"),
        "{:?}",
        done.tasks
    );
    Ok(())
}

async fn a_task_out_of_retries_fails_the_batch(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("")
        .task(
            "bad",
            "retry: {limit: 1, backoff: {initial: 0s}}",
            &[("run-for", "500ms"), ("exit-code", "3")],
        )
        .task("behind", "dependsOn: [bad]", &[])
        .task("good", "", &[("run-for", "3s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let failed = in_phase(&sandbox, "demo", Phase::Failed).await?;
    ensure!(
        failed.reason.as_deref() == Some("TaskFailed"),
        "{failed:#?}"
    );
    let by_name = |name: &str| {
        failed
            .tasks
            .iter()
            .find(|task| task.name == name)
            .cloned()
            .context("a task")
    };
    ensure!(by_name("bad")?.exit_code == Some(3));
    ensure!(by_name("behind")?.reason.as_deref() == Some("DependencyFailed"));
    ensure!(
        by_name("good")?.succeeded == "0",
        "the policy Continue runs the others to their end"
    );
    Ok(())
}

async fn fail_fast_ends_what_runs(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("failurePolicy: FailFast")
        .task(
            "bad",
            "retry: {limit: 0}",
            &[("run-for", "1s"), ("exit-code", "1")],
        )
        .task("long", "", &[("run-for", "1h")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Failed).await?;
    eventually(seconds(20), async || {
        let left: Vec<String> = seen(&sandbox)
            .await?
            .into_iter()
            .map(|pod| pod.task)
            .collect();
        ensure!(left == ["bad"], "{left:?}");
        Ok(())
    })
    .await
}

async fn a_rejection_by_the_kubelet_uses_no_retry(sandbox: Sandbox) -> Result<()> {
    let node = sandbox.node("n").without_kubelet().create().await?;
    let kubelet = FakeKubelet::start(&sandbox.client(), &[&node]).await?;
    let _operator = operator(&sandbox).await?;
    kubelet.reject_next(1, "OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 3500, capacity: 4000");
    kubelet.reject_next(
        1,
        "UnexpectedAdmissionError",
        "Allocate failed due to no healthy devices",
    );
    let fields = "retry: {limit: 0}\nresources: {cpu: {min: 1}}";
    let batch = Manifest::new("").task("work", fields, &[("run-for", "1s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    with_reason(&sandbox, "work", "NodeRejected").await?;
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    ensure!(
        done.tasks[0].attempt == 2,
        "two rejections, then a good attempt: {:?}",
        done.tasks
    );
    Ok(())
}

async fn a_lost_node_uses_no_retry(sandbox: Sandbox) -> Result<()> {
    let lost = sandbox.node("a").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").task("work", "retry: {limit: 0}", &[("run-for", "4s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    sandbox.node("b").create().await?;
    let nodes: kube::Api<k8s_openapi::api::core::v1::Node> = kube::Api::all(sandbox.client());
    nodes.delete(&lost, &DeleteParams::default()).await?;
    let at_once = DeleteParams::default().grace_period(0);
    sandbox.pods().delete("demo-work-0-0", &at_once).await?;
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let nodes = done.tasks[0]
        .assignment
        .clone()
        .context("an assignment")?
        .nodes;
    ensure!(nodes[0].ends_with("-b"), "{nodes:?}");
    Ok(())
}

async fn a_suspended_batch_holds_nothing_and_goes_on_later(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").task("work", "count: 2", &[("run-for", "3s")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    change(&sandbox, json!({"suspend": true})).await?;
    in_phase(&sandbox, "demo", Phase::Suspended).await?;
    no_pods(&sandbox).await?;
    change(&sandbox, json!({"suspend": false})).await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    Ok(())
}

async fn a_deleted_batch_leaves_nothing_whatever_it_was_doing(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").cpu("2").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").task(
        "work",
        "count: 3\nresources: {cpu: {min: 1}}",
        &[("run-for", "1h")],
    );
    for phase in [None, Some(Phase::Running), Some(Phase::Suspended)] {
        sandbox.apply(&batch.yaml()).await?.ok()?;
        if let Some(phase) = phase {
            in_phase(&sandbox, "demo", Phase::Running).await?;
            change(&sandbox, json!({"suspend": phase == Phase::Suspended})).await?;
            in_phase(&sandbox, "demo", phase).await?;
        }
        batches(&sandbox)
            .delete("demo", &DeleteParams::default())
            .await?;
        no_pods(&sandbox).await?;
    }
    Ok(())
}

async fn a_batch_of_the_same_name_runs_once_the_old_pods_are_gone(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").cpu("2").create().await?;
    let _operator = operator(&sandbox).await?;
    let fields = "resources: {cpu: {min: 2}}";
    let old = [("run-for", "1h"), ("terminate-for", "4s")];
    let old = Manifest::new("").task("work", fields, &old);
    sandbox.apply(&old.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Running).await?;
    sandbox.kubectl(&["delete", "tb", "demo"]).await?.ok()?;
    let new = Manifest::new("").task("work", fields, &[("run-for", "1s")]);
    sandbox.apply(&new.yaml()).await?.ok()?;
    with_reason(&sandbox, "work", "WaitingForCapacity").await?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    Ok(())
}

async fn a_finished_batch_is_deleted_after_its_ttl(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch =
        Manifest::new("ttlSecondsAfterFinished: 2").task("work", "", &[("run-for", "500ms")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    eventually(seconds(20), async || {
        let left = batches(&sandbox)
            .list(&ListParams::default())
            .await?
            .items
            .len();
        ensure!(left == 0, "{left} batches are left");
        Ok(())
    })
    .await?;
    no_pods(&sandbox).await
}

async fn a_batch_past_its_deadline_fails(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("activeDeadlineSeconds: 3").task("work", "", &[("run-for", "1h")]);
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let failed = in_phase(&sandbox, "demo", Phase::Failed).await?;
    ensure!(
        failed.reason.as_deref() == Some("DeadlineExceeded"),
        "{failed:#?}"
    );
    no_pods(&sandbox).await
}

async fn pods_of_kube_scheduler_are_counted(sandbox: Sandbox) -> Result<()> {
    let node = sandbox.node("n").cpu("4").create().await?;
    sandbox.pod("stranger").cpu("3").create().await?;
    sandbox.pod_in_phase("stranger", "Running").await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").task(
        "work",
        "resources: {cpu: {min: 2, max: 4}}",
        &[("run-for", "1s")],
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    let waiting = with_reason(&sandbox, "work", "WaitingForCapacity").await?;
    let message = waiting.message.unwrap_or_default();
    ensure!(
        message.starts_with("needs 2 cpu on one node; the only node has 1 free, 4 in all"),
        "{message}"
    );
    sandbox
        .pods()
        .delete("stranger", &DeleteParams::default().grace_period(0))
        .await?;
    let done = in_phase(&sandbox, "demo", Phase::Complete).await?;
    let assignment = done.tasks[0].assignment.clone().context("an assignment")?;
    ensure!(
        assignment.nodes == [node] && assignment.requests["cpu"] == "4",
        "{assignment:?}"
    );
    Ok(())
}

async fn two_batches_share_the_nodes(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").cpu("4").create().await?;
    let _operator = operator(&sandbox).await?;
    let batch = Manifest::new("").task(
        "work",
        "count: 4\nresources: {cpu: {min: 1}}",
        &[("run-for", "1s")],
    );
    let other = batch.yaml().replace("{name: demo}", "{name: other}");
    sandbox
        .apply(&format!("{}---\n{other}", batch.yaml()))
        .await?
        .ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    in_phase(&sandbox, "other", Phase::Complete).await?;
    Ok(())
}
