//! Effective requests of pods, as k8s.io/component-helpers/resource `PodRequests` defines them, of pods as the API
//! server completes them: a container with limits only requests its limits.

use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, Pod, PodSpec, PodStatus, ResourceRequirements,
};
use std::collections::{BTreeMap, BTreeSet};

use super::ports;
use super::quantity::QuantityError;
use super::sums::{List, Sums};
use crate::model::{Overflow, PODS, PodShape, Resources};

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
pub fn amounts(quantities: Option<&List>) -> Result<Resources, RequestError> {
    Sums::read(quantities)?.whole()
}

/// What a container requests: its requests, and its limits where it has no request.
pub fn container(resources: Option<&ResourceRequirements>) -> Result<Resources, RequestError> {
    wanted(resources)?.stored().whole()
}

/// What a pod requests besides the container of this name, which may also request the resources named `ranged`.
pub fn shape<'a>(
    spec: &'a PodSpec,
    sized: &str,
    ranged: &BTreeSet<&str>,
) -> Result<PodShape, RequestError> {
    let others = spec.containers.iter().filter(|one| one.name != sized);
    let requests = |one: &'a Container, _| Ok(wanted(one.resources.as_ref())?.stored());
    let (mut beside, mut init_peak) = aggregate(others, spec, requests)?;
    let own = spec.containers.iter().find(|one| one.name == sized);
    let mut asked: BTreeSet<&str> = ranged.clone();
    let own = wanted(own.and_then(|one| one.resources.as_ref()))?;
    asked.extend(own.names().chain(beside.names()).chain(init_peak.names()));
    let mut pod_level = pod_level(spec, &asked)?.stored();
    // The overhead comes last. Added to each part now, it is rounded up together with what it is added to.
    let overhead = Sums::read(spec.overhead.as_ref())?.stored();
    pod_level.add(&pod_level.named_here(&overhead))?;
    let replaced: BTreeSet<&str> = pod_level.names().collect();
    for part in [&mut beside, &mut init_peak] {
        part.add(&overhead)?;
        part.retain(|name| !replaced.contains(name));
    }
    let mut beside = beside.whole()?;
    beside.add(&ports::demand(spec))?;
    Ok(PodShape {
        beside,
        init_peak: init_peak.whole()?,
        pod_level: pod_level.whole()?,
    })
}

/// The effective request of a pod, with its resizes as far as the status tells, its host ports, and one pod.
pub fn effective(pod: &Pod) -> Result<Resources, RequestError> {
    let mut total = match &pod.spec {
        Some(spec) => effective_of(spec, &Status::of(pod.status.as_ref()))?,
        None => Resources::default(),
    };
    total.set(PODS, 1);
    Ok(total)
}

fn effective_of<'a>(spec: &'a PodSpec, status: &Status<'a>) -> Result<Resources, RequestError> {
    let requests = |one: &'a Container, keeps_running: bool| {
        let wanted = wanted(one.resources.as_ref())?;
        if keeps_running {
            status.held(one, wanted)
        } else {
            Ok(wanted)
        }
    };
    let (mut total, init_peak) = aggregate(spec.containers.iter(), spec, requests)?;
    total.raise_to(&init_peak);
    let asked = total.names().collect();
    total.overlay(&status.held_by_pod(pod_level(spec, &asked)?)?);
    total.add(&Sums::read(spec.overhead.as_ref())?)?;
    let mut total = total.whole()?;
    total.add(&ports::demand(spec))?;
    Ok(total)
}

/// What a container asks for, before any resize.
fn wanted(resources: Option<&ResourceRequirements>) -> Result<Sums<'_>, RequestError> {
    let limits = resources.and_then(|it| it.limits.as_ref());
    let requests = resources.and_then(|it| it.requests.as_ref());
    let mut total = Sums::read(limits)?;
    total.overlay(&Sums::read(requests)?);
    Ok(total)
}

/// The sum of the containers and sidecars that run together, and the peak of the init phase: an init container
/// runs beside the sidecars that were started before it. `requests` is also told whether a container keeps running.
fn aggregate<'a>(
    containers: impl Iterator<Item = &'a Container>,
    spec: &'a PodSpec,
    requests: impl Fn(&'a Container, bool) -> Result<Sums<'a>, RequestError>,
) -> Result<(Sums<'a>, Sums<'a>), RequestError> {
    let mut together = Sums::default();
    for one in containers {
        together.add(&requests(one, true)?)?;
    }
    let mut sidecars = Sums::default();
    let mut peak = Sums::default();
    for one in spec.init_containers.iter().flatten() {
        if is_sidecar(one) {
            let its = requests(one, true)?;
            together.add(&its)?;
            sidecars.add(&its)?;
            peak.raise_to(&sidecars);
        } else {
            let mut its = requests(one, false)?;
            its.add(&sidecars)?;
            peak.raise_to(&its);
        }
    }
    Ok((together, peak))
}

/// Whether an init container keeps running beside the others.
pub(super) fn is_sidecar(init: &Container) -> bool {
    init.restart_policy.as_deref() == Some("Always")
}

/// Requests of the pod as a whole, which take the place of the sum. Where only a limit is given, and no container
/// asks for the resource or it cannot be overcommitted, the API server makes it the request.
fn pod_level<'a>(spec: &'a PodSpec, asked: &BTreeSet<&str>) -> Result<Sums<'a>, RequestError> {
    let resources = spec.resources.as_ref();
    let mut total = Sums::read(resources.and_then(|it| it.limits.as_ref()))?;
    total.retain(|name| is_huge_page(name) || !asked.contains(name));
    total.overlay(&Sums::read(resources.and_then(|it| it.requests.as_ref()))?);
    total.retain(|name| matches!(name, "cpu" | "memory") || is_huge_page(name));
    Ok(total)
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// What the kubelet says of the containers: a resize in flight holds the largest of spec, allocated and actual.
struct Status<'a> {
    pod: Option<&'a PodStatus>,
    containers: BTreeMap<&'a str, &'a ContainerStatus>,
    infeasible: bool,
}

impl<'a> Status<'a> {
    fn of(pod: Option<&'a PodStatus>) -> Self {
        let all = pod.map(|it| [&it.container_statuses, &it.init_container_statuses]);
        let containers = all.into_iter().flatten().flatten().flatten();
        let mut conditions = pod.iter().flat_map(|it| &it.conditions).flatten();
        Self {
            pod,
            containers: containers.map(|one| (one.name.as_str(), one)).collect(),
            infeasible: conditions
                .find(|condition| condition.type_ == "PodResizePending")
                .is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible")),
        }
    }

    fn held(&self, one: &Container, wanted: Sums<'a>) -> Result<Sums<'a>, RequestError> {
        let seen = self.containers.get(one.name.as_str());
        let Some((seen, actual)) = seen.and_then(|seen| Some((seen, seen.resources.as_ref()?)))
        else {
            return Ok(wanted);
        };
        self.largest(
            wanted,
            actual.requests.as_ref(),
            seen.allocated_resources.as_ref(),
        )
    }

    /// The same for the requests of the pod as a whole. A resource of which an infeasible resize leaves nothing is 0.
    fn held_by_pod(&self, wanted: Sums<'a>) -> Result<Sums<'a>, RequestError> {
        let Some((pod, actual)) = self
            .pod
            .and_then(|pod| Some((pod, pod.resources.as_ref()?)))
        else {
            return Ok(wanted);
        };
        let mut held = wanted.cleared();
        let (actual, allocated) = (actual.requests.as_ref(), pod.allocated_resources.as_ref());
        let largest = self.largest(wanted, actual, allocated)?;
        held.overlay(&held.named_here(&largest));
        Ok(held)
    }

    fn largest(
        &self,
        wanted: Sums<'a>,
        actual: Option<&'a List>,
        allocated: Option<&'a List>,
    ) -> Result<Sums<'a>, RequestError> {
        let mut held = Sums::read(actual)?;
        held.raise_to(&Sums::read(allocated)?);
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
        let seen = json!([{"name": "a", "ready": true, "restartCount": 0, "image": "", "imageID": "", "resources": {"requests": {"cpu": "1500m"}}, "allocatedResources": {"cpu": "2"}}]);
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
        let shape = shape(&spec, "a", &BTreeSet::new()).expect("sums");
        let four: Resources = [("cpu", 4000)].into_iter().collect();
        assert_eq!(shape.effective(&four).expect("sums").get("cpu"), 6000);
    }
}
