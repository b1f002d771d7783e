//! What a kubelet decides about a pod before it runs, after `pkg/kubelet/lifecycle/predicate.go` and
//! `pkg/scheduler/framework/plugins/noderesources/fit.go` of Kubernetes 1.36: resources only.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::{Container, Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity;

/// Amounts by resource: cpu in thousandths, everything else in units.
pub(crate) type Amounts = BTreeMap<String, i128>;

/// Why a pod may not run, in the words of the status of the pod.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Checks a pod against a node that already runs `admitted`.
pub(crate) fn admit(pod: &Pod, node: &Node, admitted: &[Amounts]) -> Result<Option<Rejection>> {
    let status = node.status.as_ref();
    let allocatable = amounts(status.and_then(|status| status.allocatable.as_ref()))?;
    let capacity = |name: &str| allocatable.get(name).copied().unwrap_or(0);
    let running = i128::try_from(admitted.len())?;
    if running + 1 > capacity("pods") {
        return Ok(Some(out_of("pods", 1, running, capacity("pods"))));
    }
    let requests = effective_requests(pod)?;
    // The kubelet reports the first failure, and looks at the well-known resources first.
    let (known, extended): (Vec<_>, Vec<_>) =
        requests.iter().partition(|(name, _)| !name.contains('/'));
    for (name, &requested) in known.into_iter().chain(extended) {
        // A resource that the node does not list at all is not the business of its kubelet.
        let unlisted = name.contains('/') && !allocatable.contains_key(name);
        let used = admitted.iter().filter_map(|pod| pod.get(name)).sum();
        if !unlisted && requested > 0 && requested > capacity(name) - used {
            return Ok(Some(out_of(name, requested, used, capacity(name))));
        }
    }
    Ok(None)
}

fn out_of(resource: &str, requested: i128, used: i128, capacity: i128) -> Rejection {
    Rejection {
        reason: format!("OutOf{resource}"),
        message: format!(
            "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
        ),
    }
}

/// What a pod takes of its node: the larger of what runs together in the end and of each step of the start.
pub(crate) fn effective_requests(pod: &Pod) -> Result<Amounts> {
    let Some(spec) = &pod.spec else {
        return Ok(Amounts::new());
    };
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &requests(container)?);
    }
    let mut sidecars = Amounts::new();
    let mut start = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let mut step = requests(container)?;
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut total, &step);
            add(&mut sidecars, &step);
            step = sidecars.clone();
        } else {
            add(&mut step, &sidecars);
        }
        raise(&mut start, &step);
    }
    raise(&mut total, &start);
    // Requests of the pod as a whole take the place of those of its containers.
    if let Some(whole) = &spec.resources {
        total.extend(amounts(whole.requests.as_ref())?);
    }
    add(&mut total, &amounts(spec.overhead.as_ref())?);
    Ok(total)
}

fn requests(container: &Container) -> Result<Amounts> {
    amounts(
        container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.as_ref()),
    )
}

pub(crate) fn amounts(list: Option<&BTreeMap<String, Quantity>>) -> Result<Amounts> {
    let amount = |(name, quantity): (&String, &Quantity)| {
        let milli = quantity::milli(&quantity.0)?;
        let units = milli.div_euclid(1000) + i128::from(milli.rem_euclid(1000) > 0);
        Ok((name.clone(), if name == "cpu" { milli } else { units }))
    };
    list.into_iter().flatten().map(amount).collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *total.entry(name.clone()).or_default() += amount;
    }
}

fn raise(total: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let entry = total.entry(name.clone()).or_default();
        *entry = (*entry).max(*amount);
    }
}
