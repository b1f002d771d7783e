//! What the API server refuses at apply, and that `taskbatch plan` refuses it in the same words.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::batch::Manifest;
use crate::harness::{Sandbox, Test};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    the_server_and_plan_refuse_the_same_manifests,
    tasks_are_immutable_and_the_rest_is_not,
];

/// A change to a good manifest that makes it wrong, and words that the refusal must have.
struct Wrong {
    from: &'static str,
    to: &'static str,
    words: &'static [&'static str],
}

const GOOD: &str = "resources: {cpu: {min: 1, max: 4, step: 1}, nvidia.com/gpu: {min: 1, max: 2}}\nestimate: {read: 1s, process: 5m, scaling: {type: Linear}}";

const WRONG: [Wrong; 18] = [
    Wrong {
        from: "cpu: {min: 1,",
        to: "cpu: {min: 8,",
        words: &["spec.tasks[0].resources[cpu]", "min must be at most max"],
    },
    Wrong {
        from: "step: 1",
        to: "step: 0",
        words: &["spec.tasks[0].resources[cpu]", "step must be above 0"],
    },
    Wrong {
        from: "step: 1",
        to: "step: -1",
        words: &["step", "-1"],
    },
    Wrong {
        from: "step: 1",
        to: "step: half",
        words: &["step", "half"],
    },
    Wrong {
        from: "gpu: {min: 1, max: 2}",
        to: "gpu: {min: 1, max: 1500m}",
        words: &[
            "spec.tasks[0].resources",
            "devices are counted in whole numbers",
        ],
    },
    Wrong {
        from: "process: 5m",
        to: "process: -5m",
        words: &[
            "spec.tasks[0].estimate.process",
            "-5m",
            "must be a duration of at least 0",
        ],
    },
    Wrong {
        from: "read: 1s",
        to: "read: soon",
        words: &["spec.tasks[0].estimate.read", "soon"],
    },
    Wrong {
        from: "type: Linear",
        to: "type: Amdahl",
        words: &[
            "spec.tasks[0].estimate.scaling",
            "type Amdahl needs parallelFraction",
        ],
    },
    Wrong {
        from: "type: Linear",
        to: "type: Magic",
        words: &["spec.tasks[0].estimate.scaling.type", "Magic"],
    },
    Wrong {
        from: "spec: {containers",
        to: "spec: {nodeName: a, containers",
        words: &["spec.tasks[0].template.spec", "nodeName is reserved"],
    },
    Wrong {
        from: "spec: {containers",
        to: "spec: {schedulerName: a, containers",
        words: &["spec.tasks[0].template.spec", "schedulerName is reserved"],
    },
    Wrong {
        from: "spec: {containers",
        to: "spec: {schedulingGates: [{name: a}], containers",
        words: &["spec.tasks[0].template.spec", "schedulingGates is reserved"],
    },
    Wrong {
        from: "spec: {containers",
        to: "spec: {restartPolicy: Always, containers",
        words: &["spec.tasks[0].template.spec", "restartPolicy must be Never"],
    },
    Wrong {
        from: "- name: work",
        to: "- name: Work",
        words: &["spec.tasks[0].name", "Work"],
    },
    Wrong {
        from: "- name: work",
        to: "- name: work\n    colour: red",
        words: &["unknown field", "spec.tasks[0].colour"],
    },
    Wrong {
        from: "- name: work",
        to: "- name: work\n    count: 10001",
        words: &["spec.tasks[0].count", "10001", "10000"],
    },
    Wrong {
        from: "- name: work",
        to: "- name: work\n    dependsOn: [nobody]",
        words: &["spec.tasks", "is no task of this batch"],
    },
    Wrong {
        from: "tasks:\n",
        to: "tasks: []\n  other:\n",
        words: &["spec.tasks", "at least 1"],
    },
];

async fn the_server_and_plan_refuse_the_same_manifests(sandbox: Sandbox) -> Result<()> {
    let good = Manifest::new("").task("work", GOOD, &[]).yaml();
    let dry_run = [
        "--namespace",
        &sandbox.namespace,
        "apply",
        "--dry-run=server",
        "--filename",
        "-",
    ];
    sandbox
        .cluster
        .run("kubectl", &dry_run, &good)
        .await?
        .ok()?;
    ensure!(plan(&sandbox, &good)?.0, "plan takes the good manifest");
    for Wrong { from, to, words } in WRONG {
        let wrong = good.replacen(from, to, 1);
        ensure!(wrong != good, "{from:?} is not in the manifest");
        let answer = sandbox.cluster.run("kubectl", &dry_run, &wrong).await?;
        let (accepted, said) = plan(&sandbox, &wrong)?;
        ensure!(
            !answer.success && !accepted,
            "{to:?} was accepted: {}\n{said}",
            answer.stdout
        );
        for word in words.iter() {
            // The server says only that the list is too short, or the field unknown, and not both.
            ensure!(
                answer.stderr.contains(word) || to == "tasks: []\n  other:\n",
                "{word:?} is not in {}",
                answer.stderr
            );
            ensure!(said.contains(word), "{word:?} is not in {said}");
        }
        ensure!(said.contains("batch.yaml:"), "no line in {said}");
    }
    Ok(())
}

/// Whether `taskbatch plan` takes a manifest, and what it says on its standard error.
fn plan(sandbox: &Sandbox, manifest: &str) -> Result<(bool, String)> {
    let folder = sandbox.cluster.folder().join(&sandbox.namespace);
    std::fs::create_dir_all(&folder)?;
    let (batch, nodes) = (folder.join("batch.yaml"), folder.join("nodes.yaml"));
    std::fs::write(&batch, manifest)?;
    std::fs::write(&nodes, include_str!("../../examples/demo-nodes.yaml"))?;
    let output = Command::new(env!("CARGO_BIN_EXE_taskbatch"))
        .args(["plan", "--time-limit", "100ms", "-f"])
        .arg(batch)
        .arg("--nodes")
        .arg(nodes)
        .output()?;
    let taken = matches!(output.status.code(), Some(0 | 3));
    Ok((taken, String::from_utf8_lossy(&output.stderr).into_owned()))
}

async fn tasks_are_immutable_and_the_rest_is_not(sandbox: Sandbox) -> Result<()> {
    let good = Manifest::new("suspend: true")
        .task("work", GOOD, &[])
        .yaml();
    sandbox.apply(&good).await?.ok()?;
    for (from, to) in [
        ("process: 5m", "process: 6m"),
        ("image: busybox", "image: other"),
        ("max: 4", "max: 3"),
    ] {
        let answer = sandbox.apply(&good.replacen(from, to, 1)).await?;
        ensure!(
            !answer.success && answer.stderr.contains("spec.tasks is immutable"),
            "{from}: {}{}",
            answer.stdout,
            answer.stderr
        );
    }
    let changed = good.replacen("suspend: true", "suspend: true\n  weight: 7", 1);
    sandbox.apply(&changed).await?.ok()?;
    Ok(())
}
