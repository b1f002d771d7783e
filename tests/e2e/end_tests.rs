//! What is left when the chart is uninstalled and its objects are deleted. These steps take away what others need.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::harness::{eventually, seconds};
use crate::rig::{NAMESPACE, Rig, objects};
use crate::traces::traces;
use crate::{Step, steps};

pub(crate) const STEPS: &[Step] = steps![
    what_is_looked_for_afterwards_is_there_now,
    uninstalling_leaves_the_crd_and_nothing_else,
    deleting_the_crd_and_the_namespaces_leaves_nothing,
];

/// The look from outside, after the end, would find a node: all that it looks for can be seen from here.
async fn what_is_looked_for_afterwards_is_there_now(rig: Arc<Rig>) -> Result<()> {
    let found = traces(&rig.place.folder, &rig.cgroups)?;
    for kind in [
        "mount",
        "process",
        "cgroup",
        "link",
        "address",
        "ip_forward 1",
    ] {
        ensure!(
            found.iter().any(|one| one.starts_with(kind)),
            "no {kind} in {found:#?}"
        );
    }
    ensure!(
        rig.cgroups.pods()?.len() == 1,
        "the operator has a control group"
    );
    Ok(())
}

async fn uninstalling_leaves_the_crd_and_nothing_else(rig: Arc<Rig>) -> Result<()> {
    let uninstall = ["uninstall", "taskbatch", "--namespace", NAMESPACE, "--wait"];
    rig.cluster.run("helm", &uninstall, "").await?.ok()?;
    // The value crds.keep is true, and --create-namespace is not undone. A namespace has these two from the start.
    let kept: BTreeSet<String> = [
        "CustomResourceDefinition <none> taskbatches.taskbatch.dev".to_owned(),
        format!("Namespace <none> {NAMESPACE}"),
        format!("ConfigMap {NAMESPACE} kube-root-ca.crt"),
        format!("ServiceAccount {NAMESPACE} default"),
    ]
    .into();
    eventually(seconds(30), async || {
        let left = left(&rig).await?;
        ensure!(left == kept, "{left:#?}");
        Ok(())
    })
    .await
}

/// What the chart added and did not take away; what the tests made for themselves lies in namespaces of their own.
async fn left(rig: &Rig) -> Result<BTreeSet<String>> {
    let now = objects(&rig.cluster).await?;
    let new = now.difference(&rig.before).cloned();
    let of_tests = [
        "free-",
        "primes-",
        "delegated-",
        "limits-",
        "killed-",
        "survived-",
        "rejected-",
    ];
    let is_ours = |object: &String| {
        let mut words = object.split(' ').skip(1);
        !words.any(|word| of_tests.iter().any(|stem| word.starts_with(stem)))
    };
    Ok(new.filter(is_ours).collect())
}

async fn deleting_the_crd_and_the_namespaces_leaves_nothing(rig: Arc<Rig>) -> Result<()> {
    let new: Vec<String> = objects(&rig.cluster)
        .await?
        .difference(&rig.before)
        .cloned()
        .collect();
    let mut delete = vec!["delete", "crd/taskbatches.taskbatch.dev"];
    let namespaces: Vec<String> = new
        .iter()
        .filter_map(|object| object.strip_prefix("Namespace <none> "))
        .map(|name| format!("namespace/{name}"))
        .collect();
    delete.extend(namespaces.iter().map(String::as_str));
    rig.cluster.run("kubectl", &delete, "").await?.ok()?;
    eventually(seconds(60), async || {
        let now = objects(&rig.cluster).await?;
        let left: Vec<&String> = now.difference(&rig.before).collect();
        ensure!(left.is_empty(), "{left:#?}");
        Ok(())
    })
    .await?;
    // No container, no network and no volume of a pod.
    eventually(seconds(30), async || {
        let mut left: Vec<String> = rig
            .cgroups
            .pods()?
            .iter()
            .map(|pod| pod.display().to_string())
            .collect();
        left.extend(
            fs::read_to_string("/proc/self/mounts")?
                .lines()
                .filter(|mount| mount.contains("/pods/") || mount.contains("/netns/"))
                .map(str::to_owned),
        );
        left.extend(
            fs::read_to_string("/proc/net/dev")?
                .lines()
                .filter(|link| link.trim().starts_with("veth"))
                .map(str::to_owned),
        );
        ensure!(left.is_empty(), "{left:#?}");
        Ok(())
    })
    .await
}
