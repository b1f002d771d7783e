//! Effective requests of pods, as k8s.io/component-helpers/resource `PodRequests` defines them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, Pod, PodSpec, PodStatus, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity::{self, QuantityError};
use crate::model::{Overflow, PodShape, Resources};

/// Requests that cannot be summed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// An amount that cannot be read.
    #[error("{resource}: {source}")]
    Quantity {
        /// The resource's name.
        resource: String,
        /// What is wrong.
        source: QuantityError,
    },
    /// A sum beyond 64 bits.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// Reads a map of quantities.
pub fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> Result<Resources, RequestError> {
    quantities
        .into_iter()
        .flatten()
        .map(|(name, text)| {
            quantity::amount(name, &text.0)
                .map(|amount| (name.clone(), amount))
                .map_err(|source| RequestError::Quantity {
                    resource: name.clone(),
                    source,
                })
        })
        .collect()
}

/// What a container requests: its requests, and its limits where it has no request.
pub fn container(resources: Option<&ResourceRequirements>) -> Result<Resources, RequestError> {
    let Some(resources) = resources else {
        return Ok(Resources::default());
    };
    let mut total = amounts(resources.limits.as_ref())?;
    total.overlay(&amounts(resources.requests.as_ref())?);
    Ok(total)
}

/// What a pod requests besides the container of this name.
pub fn shape(spec: &PodSpec, sized: &str) -> Result<PodShape, RequestError> {
    let others = spec.containers.iter().filter(|one| one.name != sized);
    assemble(spec, others, &Status::default())
}

/// The effective request of a pod, with its resizes as far as the status tells, and one pod.
pub fn effective(pod: &Pod) -> Result<Resources, RequestError> {
    let Some(spec) = &pod.spec else {
        return Ok(PodShape::default().effective(&Resources::default())?);
    };
    let status = Status::of(pod.status.as_ref());
    let shape = assemble(spec, spec.containers.iter(), &status)?;
    Ok(shape.effective(&Resources::default())?)
}

fn assemble<'a>(
    spec: &'a PodSpec,
    containers: impl Iterator<Item = &'a Container>,
    status: &Status<'_>,
) -> Result<PodShape, RequestError> {
    let mut shape = PodShape::default();
    for one in containers {
        shape.beside.add(&status.requests(one)?)?;
    }
    let mut sidecars = Resources::default();
    for one in spec.init_containers.iter().flatten() {
        let peak = if one.restart_policy.as_deref() == Some("Always") {
            let requests = status.requests(one)?;
            shape.beside.add(&requests)?;
            sidecars.add(&requests)?;
            sidecars.clone()
        } else {
            let mut peak = container(one.resources.as_ref())?;
            peak.add(&sidecars)?;
            peak
        };
        shape.init_peak.raise_to(&peak);
    }
    let pod_level = amounts(
        spec.resources
            .as_ref()
            .and_then(|resources| resources.requests.as_ref()),
    )?;
    shape.pod_level = pod_level
        .iter()
        .filter(|(name, _)| matches!(*name, "cpu" | "memory") || name.starts_with("hugepages-"))
        .collect();
    shape.overhead = amounts(spec.overhead.as_ref())?;
    Ok(shape)
}

/// What the kubelet says of the containers: a resize in flight holds the largest of spec, allocated and actual.
#[derive(Default)]
struct Status<'a> {
    containers: BTreeMap<&'a str, &'a ContainerStatus>,
    infeasible: bool,
}

impl<'a> Status<'a> {
    fn of(status: Option<&'a PodStatus>) -> Self {
        let Some(status) = status else {
            return Self::default();
        };
        let all = [&status.container_statuses, &status.init_container_statuses];
        Self {
            containers: all
                .into_iter()
                .flatten()
                .flatten()
                .map(|one| (one.name.as_str(), one))
                .collect(),
            infeasible: status.conditions.iter().flatten().any(|condition| {
                condition.type_ == "PodResizePending"
                    && condition.reason.as_deref() == Some("Infeasible")
            }),
        }
    }

    fn requests(&self, one: &Container) -> Result<Resources, RequestError> {
        let wanted = container(one.resources.as_ref())?;
        let Some(seen) = self.containers.get(one.name.as_str()) else {
            return Ok(wanted);
        };
        let mut held = amounts(seen.allocated_resources.as_ref())?;
        let actual = seen.resources.as_ref();
        held.raise_to(&amounts(actual.and_then(|it| it.requests.as_ref()))?);
        if held.is_empty() {
            return Ok(wanted);
        }
        if !self.infeasible {
            held.raise_to(&wanted);
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn request_of(spec: Value, status: Value) -> Resources {
        let pod = json!({"metadata": {"name": "p"}, "spec": spec, "status": status});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        effective(&pod).expect("sums")
    }

    fn cpu(text: &str) -> Value {
        json!({"requests": {"cpu": text}})
    }

    #[test]
    fn containers_add_up_and_count_as_one_pod() {
        let spec = json!({"containers": [{"name": "a", "resources": cpu("1")}, {"name": "b", "resources": {"limits": {"cpu": "500m", "nvidia.com/gpu": "2"}}}]});
        let wanted = [("cpu", 1500), ("nvidia.com/gpu", 2), ("pods", 1)];
        assert_eq!(request_of(spec, json!({})), wanted.into_iter().collect());
    }

    #[test]
    fn sidecars_add_to_the_sum_and_to_the_init_containers_after_them() {
        let init = json!([
            {"name": "s1", "restartPolicy": "Always", "resources": cpu("1")},
            {"name": "i", "resources": cpu("5")},
            {"name": "s2", "restartPolicy": "Always", "resources": cpu("1")},
        ]);
        let small =
            json!({"containers": [{"name": "a", "resources": cpu("1")}], "initContainers": init});
        assert_eq!(request_of(small, json!({})).get("cpu"), 6000);
        let large =
            json!({"containers": [{"name": "a", "resources": cpu("9")}], "initContainers": init});
        assert_eq!(request_of(large, json!({})).get("cpu"), 11_000);
    }

    #[test]
    fn pod_level_requests_replace_the_sum_and_overhead_comes_last() {
        let spec = json!({"containers": [{"name": "a", "resources": cpu("1")}], "resources": cpu("3"), "overhead": {"cpu": "250m", "memory": "1Mi"}});
        let wanted = [("cpu", 3250), ("memory", 1 << 20), ("pods", 1)];
        assert_eq!(request_of(spec, json!({})), wanted.into_iter().collect());
    }

    #[test]
    fn a_resize_in_flight_holds_the_largest_amount() {
        let spec = json!({"containers": [{"name": "a", "resources": cpu("1")}]});
        let seen = json!([{"name": "a", "ready": true, "restartCount": 0, "image": "", "imageID": "", "allocatedResources": {"cpu": "2"}}]);
        assert_eq!(
            request_of(spec.clone(), json!({"containerStatuses": seen})).get("cpu"),
            2000
        );
        let larger = json!({"containers": [{"name": "a", "resources": cpu("8")}]});
        let infeasible = json!({"containerStatuses": seen, "conditions": [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]});
        assert_eq!(request_of(larger, infeasible).get("cpu"), 2000);
    }

    #[test]
    fn the_shape_and_a_container_make_the_effective_request() {
        let spec = json!({"containers": [{"name": "a", "resources": cpu("1")}, {"name": "b", "resources": cpu("2")}]});
        let spec: PodSpec = serde_json::from_value(spec).expect("a pod spec");
        let shape = shape(&spec, "a").expect("sums");
        let four: Resources = [("cpu", 4000)].into_iter().collect();
        assert_eq!(shape.effective(&four).expect("sums").get("cpu"), 6000);
    }
}
