//! The operator as a pod of the chart.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};

use crate::harness::{eventually, seconds};
use crate::node::SERVICE_ADDRESS;
use crate::process::Restrictions;
use crate::rig::{NAMESPACE, Rig};
use crate::{Step, steps};

pub(crate) const STEPS: &[Step] = steps![
    the_operator_is_restricted_and_leads,
    a_container_without_a_security_context_is_not_restricted,
];

/// What the chart and the image ask for.
const RESTRICTED: Restrictions = Restrictions {
    user: Some(65532),
    powerless: true,
    no_new_privileges: true,
    filtered: true,
    read_only_root: true,
};

async fn the_operator_is_restricted_and_leads(rig: Arc<Rig>) -> Result<()> {
    let pod = rig.operator().await?;
    let processes = rig.processes(&pod)?;
    ensure!(processes.len() == 1, "{processes:#?}");
    let restrictions = processes[0].restrictions()?;
    ensure!(restrictions == RESTRICTED, "{restrictions:?}");
    // It knows the API server by nothing but the variables and the token that each pod gets.
    for (name, value) in [
        ("KUBERNETES_SERVICE_HOST", Some(SERVICE_ADDRESS)),
        ("KUBERNETES_SERVICE_PORT", Some("443")),
        ("KUBECONFIG", None),
    ] {
        let found = processes[0].variable(name);
        ensure!(found == value, "{name} is {found:?}");
    }
    let leases: Api<Lease> = Api::namespaced(rig.cluster.client().clone(), NAMESPACE);
    eventually(seconds(20), async || {
        let spec = leases.get("taskbatch").await?.spec.context("no spec")?;
        let holder = spec.holder_identity.unwrap_or_default();
        ensure!(holder == pod.name_any(), "{holder} leads");
        Ok(())
    })
    .await
}

/// The check above can fail.
async fn a_container_without_a_security_context_is_not_restricted(rig: Arc<Rig>) -> Result<()> {
    let sandbox = rig.sandbox("free").await?;
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: free}, spec: {terminationGracePeriodSeconds: 0, \
               containers: [{name: main, image: 'localhost/worker:1', command: [sleep, '600']}]}}";
    sandbox.apply(pod).await?.ok()?;
    let pod = sandbox.pod_in_phase("free", "Running").await?;
    let processes = rig.processes(&pod)?;
    let restrictions = processes[0].restrictions()?;
    let free = Restrictions {
        user: Some(0),
        powerless: false,
        no_new_privileges: false,
        filtered: false,
        read_only_root: false,
    };
    ensure!(restrictions == free, "{restrictions:?}");
    sandbox.kubectl(&["delete", "pod", "free"]).await?.ok()?;
    Ok(())
}
