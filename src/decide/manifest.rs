//! The pod of a copy: the template, the computed requests, and a record of what is intended.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::pin::pin;
use super::track::{Copy, Tracked};
use super::world::ObjectId;
use super::{name, rendezvous};
use crate::api::{
    GROUP, KUBE_SCHEDULER, SCHEDULER_NAME, SCHEDULING_GATE, TaskSpec, annotation, label,
};
use crate::cluster::pod::PredictedMillis;
use crate::cluster::{quantity, template};
use crate::model::{MEMORY, Resources, Task, is_extended};

/// What one pod of a copy is to be.
#[derive(Clone, Debug)]
pub struct Intent<'a> {
    /// The batch.
    pub tracked: &'a Tracked,
    /// The task, as its manifest says it.
    pub spec: &'a TaskSpec,
    /// The task, as it was read.
    pub task: &'a Task,
    /// The copy, with the number of this attempt.
    pub copy: &'a Copy,
    /// Rank of the pod.
    pub worker: u32,
    /// Number of pods of the attempt.
    pub workers: u32,
    /// Complete requests of the sized container.
    pub requests: &'a Resources,
    /// The chosen node.
    pub node: &'a str,
    /// Revision of the plan.
    pub plan: i64,
    /// When the plan expects it to end.
    pub predicted_end: Timestamp,
    /// How long the plan expects it to take.
    pub predicted: PredictedMillis,
    /// The outermost level of the network that the gang spans.
    pub level: Option<&'a str>,
    /// Whether the plain name was taken by a stranger.
    pub name_taken: bool,
    /// Whether kube-scheduler binds it.
    pub delegated: bool,
    /// How often in a row the copy was rejected, lost or set back.
    pub rejections: u32,
    /// What kube-scheduler said of the place that was tried before.
    pub setback: Option<&'a str>,
}

/// The whole pod, as JSON, so that no field of the template is lost.
pub fn pod(intent: &Intent<'_>) -> Value {
    let flavor = intent.task.flavor.as_ref();
    let flavor = flavor.and_then(|name| intent.spec.flavors.iter().find(|it| it.name == *name));
    let mut spec = template::in_flavor(&intent.spec.template.0["spec"], flavor);
    if intent.delegated {
        spec["schedulerName"] = json!(KUBE_SCHEDULER);
        spec["schedulingGates"] = json!([{"name": SCHEDULING_GATE}]);
        pin(&mut spec, intent.node);
    } else {
        spec["schedulerName"] = json!(SCHEDULER_NAME);
    }
    spec["restartPolicy"] = json!("Never");
    if let Some(class) = &intent.spec.priority_class_name {
        spec["priorityClassName"] = json!(class);
    }
    for group in ["containers", "initContainers"] {
        for container in spec[group].as_array_mut().into_iter().flatten() {
            add_environment(container, intent);
            if group == "containers" && container["name"] == intent.task.container.as_str() {
                write_requests(container, intent.task, intent.requests);
            }
        }
    }
    rendezvous::name_host(&mut spec, intent);
    let id = &intent.tracked.id;
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name::of_pod(intent, intent.worker),
            "namespace": id.namespace,
            "labels": labels(intent),
            "annotations": annotations(intent),
            "ownerReferences": owners(id),
        },
        "spec": spec,
    })
}

/// Names the batch as the owner, so that what is created goes with it.
pub fn owners(batch: &ObjectId) -> Value {
    json!([{
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "TaskBatch",
        "name": batch.name,
        "uid": batch.uid,
        "controller": true,
    }])
}

/// The batch as a label: at most 63 characters.
pub fn batch_label(batch: &ObjectId) -> String {
    let label: String = batch.name.chars().take(name::LONGEST).collect();
    label.trim_end_matches(['-', '.']).to_owned()
}

/// The number of the attempt that a pod is for.
pub fn attempt(pod: &Value) -> Option<u32> {
    pod["metadata"]["labels"][label::ATTEMPT]
        .as_str()?
        .parse()
        .ok()
}

fn labels(intent: &Intent<'_>) -> Map<String, Value> {
    let mut labels = strings(&intent.spec.template.0["metadata"]["labels"]);
    let ours = [
        (label::BATCH, batch_label(&intent.tracked.id)),
        (label::TASK, intent.spec.name.clone()),
        (label::COPY, intent.copy.copy.to_string()),
        (label::ATTEMPT, intent.copy.attempt.to_string()),
    ];
    labels.extend(ours.map(|(key, value)| (key.to_owned(), json!(value))));
    labels.remove(label::WORKER);
    if intent.spec.gang.is_some() {
        labels.insert(label::WORKER.to_owned(), json!(intent.worker.to_string()));
    }
    labels
}

fn annotations(intent: &Intent<'_>) -> Map<String, Value> {
    let mut notes = strings(&intent.spec.template.0["metadata"]["annotations"]);
    let ours = [
        (annotation::NODE, intent.node.to_owned()),
        (annotation::PLAN, intent.plan.to_string()),
        (annotation::PREDICTED_END, intent.predicted_end.to_string()),
        (annotation::PREDICTED, intent.predicted.write(intent.level)),
    ];
    notes.extend(ours.map(|(key, value)| (key.to_owned(), json!(value))));
    if let Some(flavor) = &intent.task.flavor {
        notes.insert(annotation::FLAVOR.to_owned(), json!(flavor));
    }
    // What goes without saying is left out: the API server keeps books of every field of every pod.
    let counts = [
        (annotation::WORKERS, intent.workers, 1),
        (annotation::FAILURES, intent.copy.failures, 0),
        (annotation::REJECTIONS, intent.rejections, 0),
    ];
    for (key, count, usual) in counts {
        notes.remove(key);
        if count != usual {
            notes.insert(key.to_owned(), json!(count.to_string()));
        }
    }
    if let Some(said) = intent.setback {
        notes.insert(annotation::UNSCHEDULABLE.to_owned(), json!(said));
    }
    notes
}

fn strings(map: &Value) -> Map<String, Value> {
    map.as_object().cloned().unwrap_or_default()
}

/// Tells the container which copy and, in a gang, which worker it is; a variable that the user set stays as it is.
fn add_environment(container: &mut Value, intent: &Intent<'_>) {
    let copy = [
        ("TASKBATCH_INDEX", intent.copy.copy),
        ("TASKBATCH_COUNT", intent.task.count),
        ("TASKBATCH_ATTEMPT", intent.copy.attempt),
    ];
    let worker = [
        ("TASKBATCH_WORKER", intent.worker),
        ("TASKBATCH_WORKERS", intent.workers),
    ];
    let worker = worker.iter().filter(|_| intent.spec.gang.is_some());
    let place = copy.iter().chain(worker);
    let place = place.map(|(name, value)| (*name, value.to_string()));
    let mut env = container["env"].as_array().cloned().unwrap_or_default();
    for (name, value) in place.chain(rendezvous::variables(intent)) {
        if !env.iter().any(|set| set["name"] == name) {
            env.push(json!({"name": name, "value": value}));
        }
    }
    container["env"] = Value::Array(env);
}

/// Writes the computed requests. Devices and huge pages are limits too, as the API server asks. A limit
/// of the template that was equal to its request moves along, so that the pod keeps its QoS class; a
/// smaller one is raised. Computed memory without a limit is its own limit, unless that would make the
/// pod Guaranteed by accident.
fn write_requests(container: &mut Value, task: &Task, requests: &Resources) {
    let before = container["resources"].clone();
    let text = |group: &str, name: &str| {
        before[group]
            .get(name)
            .map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
    };
    let amount = |group: &str, name: &str| {
        text(group, name).and_then(|text| quantity::amount(name, &text).ok())
    };
    let computed = requests
        .iter()
        .filter(|(name, _)| task.ranges.contains_key(*name));
    for (name, value) in computed {
        let written = quantity::format(name, value);
        container["resources"]["requests"][name] = json!(written);
        let (request, limit) = (amount("requests", name), amount("limits", name));
        let whole = is_extended(name) || name.starts_with("hugepages-");
        let follows = limit
            .is_some_and(|limit| request.is_none_or(|request| request == limit) || limit < value);
        let capped = name == MEMORY && limit.is_none() && !cpu_is_guaranteed(&before);
        if whole || follows || capped {
            container["resources"]["limits"][name] = json!(written);
        }
    }
}

fn cpu_is_guaranteed(resources: &Value) -> bool {
    !resources["limits"]["cpu"].is_null()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Placement, PodShape, Range, Scaling, Together, Workers, exact};

    fn task(ranges: &[&str]) -> Task {
        let range = Range {
            min: 1,
            max: 1 << 40,
            step: 1,
        };
        Task {
            together: Together::default(),
            name: "t".into(),
            count: 1,
            weight: 1,
            container: "main".into(),
            own: Resources::default(),
            ranges: ranges
                .iter()
                .map(|name| ((*name).to_owned(), range))
                .collect(),
            sized: None,
            shape: PodShape::default(),
            placement: Placement::default(),
            delegated: false,
            estimate: crate::model::Estimate {
                read: exact(0),
                process: exact(1000),
                guessed: false,
                scaling: Scaling::Linear,
                overlap: exact(0),
            },
            workers: Workers(vec![1]),
            after: Vec::new(),
            deadline: None,
            rate: exact(1),
            price: None,
            flavor: None,
            flavors: Vec::new(),
        }
    }

    fn written(resources: Value, requests: &[(&str, i64)]) -> Value {
        let names: Vec<&str> = requests.iter().map(|(name, _)| *name).collect();
        let mut container = json!({"name": "main", "resources": resources});
        let requests = requests.iter().copied().collect();
        write_requests(&mut container, &task(&names), &requests);
        container["resources"].clone()
    }

    #[test]
    fn devices_are_limits_too() {
        let found = written(json!({}), &[("nvidia.com/gpu", 4)]);
        assert_eq!(
            found,
            json!({"requests": {"nvidia.com/gpu": "4"}, "limits": {"nvidia.com/gpu": "4"}})
        );
    }

    #[test]
    fn a_guaranteed_pod_stays_guaranteed_and_a_burstable_one_burstable() {
        let same = json!({"requests": {"cpu": "1"}, "limits": {"cpu": 1}});
        assert_eq!(
            written(same, &[("cpu", 3000)]),
            json!({"requests": {"cpu": "3"}, "limits": {"cpu": "3"}})
        );
        let more = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "8"}});
        assert_eq!(
            written(more, &[("cpu", 3000)]),
            json!({"requests": {"cpu": "3"}, "limits": {"cpu": "8"}})
        );
        let less = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}});
        assert_eq!(
            written(less, &[("cpu", 3000)]),
            json!({"requests": {"cpu": "3"}, "limits": {"cpu": "3"}})
        );
    }

    #[test]
    fn computed_memory_is_its_own_limit_unless_that_would_make_the_pod_guaranteed() {
        let free = written(json!({"requests": {"cpu": "1"}}), &[("memory", 1 << 30)]);
        assert_eq!(free["limits"], json!({"memory": "1Gi"}));
        let half = written(
            json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}),
            &[("memory", 1 << 30)],
        );
        assert_eq!(half["limits"], json!({"cpu": "1"}));
    }
}
