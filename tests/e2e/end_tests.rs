//! What is left when the chart is uninstalled and its objects are deleted. These steps take away what others need.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, PoisonError};

use anyhow::{Result, ensure};

use crate::harness::{eventually, seconds};
use crate::rig::{NAMESPACE, Rig, ids, objects};
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
    let (operator, _) = ids(&rig.operator().await?)?;
    let pods = rig.cgroups.pods()?;
    ensure!(
        pods.iter()
            .any(|group| group.ends_with(format!("pod{operator}"))),
        "{pods:?}"
    );
    Ok(())
}

async fn uninstalling_leaves_the_crd_and_nothing_else(rig: Arc<Rig>) -> Result<()> {
    let uninstall = ["uninstall", "taskbatch", "--namespace", NAMESPACE, "--wait"];
    rig.cluster.run("helm", &uninstall, "").await?.ok()?;
    // The value crds.keep is true, and --create-namespace is not undone. A namespace has these two from the start.
    let kept: BTreeSet<String> = [
        "CustomResourceDefinition <none> taskbatches.taskbatch.dev".to_owned(),
        // The API server has one of these for each version that it serves.
        "APIService <none> v1alpha1.taskbatch.dev".to_owned(),
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
    let namespaces = rig
        .namespaces
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    // The kind comes first, and a namespace stands in the last place of its own line.
    let is_ours = |object: &String| {
        let mut words = object.split(' ').skip(1);
        !words.any(|word| namespaces.contains(word))
    };
    Ok(new.filter(is_ours).collect())
}

async fn deleting_the_crd_and_the_namespaces_leaves_nothing(rig: Arc<Rig>) -> Result<()> {
    let mut delete = vec![
        "crd/taskbatches.taskbatch.dev".to_owned(),
        format!("namespace/{NAMESPACE}"),
    ];
    delete.extend(
        rig.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|name| format!("namespace/{name}")),
    );
    let delete: Vec<&str> = ["delete"]
        .into_iter()
        .chain(delete.iter().map(String::as_str))
        .collect();
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
        let pods = rig.cgroups.pods()?;
        let (mounts, links) = (
            fs::read_to_string("/proc/self/mounts")?,
            fs::read_to_string("/proc/net/dev")?,
        );
        let of_pods = |mount: &&str| mount.contains("/pods/") || mount.contains("/netns/");
        let mounts: Vec<&str> = mounts.lines().filter(of_pods).collect();
        let of_pods = |link: &&str| link.trim_start().starts_with("veth");
        let links: Vec<&str> = links.lines().filter(of_pods).collect();
        ensure!(
            pods.is_empty() && mounts.is_empty() && links.is_empty(),
            "{pods:#?}{mounts:#?}{links:#?}"
        );
        Ok(())
    })
    .await
}
