//! Takes a manifest in: a `TaskBatch` becomes a `model::Batch` that is consistent, or a list of faults.

mod deadline;
mod estimate;
mod faults;
mod flavor;
mod gang;
mod order;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use self::deadline::read_deadlines;
use self::estimate::read_estimate;
use self::faults::Faults;
pub use self::gang::unknown_levels;
use self::gang::{read_together, read_workers};
use self::order::{check_dependencies, check_names};
use super::binding::{self, Binder};
use super::{placement, requests, template};
use crate::api::{
    Binding, COPIES_MESSAGE, DELEGATE_MESSAGE, Fault, MOST_COPIES, RANGE_MESSAGE, RangeSpec,
    STEP_MESSAGE, TaskBatch, TaskSpec, WHOLE_MESSAGE,
};
use crate::model::{Batch, Exact, Range, Resources, Task, Workers, ceil_i64, exact, is_extended};

/// The most ways to run one task: sizes x numbers of workers.
pub const MOST_MODES: i64 = 1024;

/// Reads a manifest. Lists everything that is wrong with it, not only the first thing.
pub fn read(batch: &TaskBatch) -> Result<Batch, Vec<Fault>> {
    let mut faults = Faults::default();
    let namespace = batch.metadata.namespace.as_deref().unwrap_or("default");
    let name = batch.metadata.name.as_deref().unwrap_or_default();
    let spec = &batch.spec;
    if spec.tasks.is_empty() {
        faults.add("spec.tasks", "a batch needs at least one task");
    }
    if spec.tasks.iter().map(|task| task.count.max(1)).sum::<i64>() > MOST_COPIES {
        faults.add("spec", COPIES_MESSAGE);
    }
    faults.duration("spec.optimizer.timeLimit", Some(&spec.optimizer.time_limit));
    let mut tasks = read_tasks(&spec.tasks, name, spec.binding, &mut faults);
    read_deadlines(spec, &mut tasks, &mut faults);
    check_names(&spec.tasks, &mut faults);
    check_dependencies(&spec.tasks, &mut faults);
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    Ok(Batch {
        key: format!("{namespace}/{name}"),
        weight: spec.weight,
        goal: spec.objective.goal,
        tasks,
    })
}

/// The tasks that can be read, side by side; the faults are in their order.
fn read_tasks(tasks: &[TaskSpec], batch: &str, binding: Binding, faults: &mut Faults) -> Vec<Task> {
    let each = tasks.par_iter().enumerate().map(|(index, task)| {
        let mut faults = Faults::default();
        let at = format!("spec.tasks[{index}]");
        let mut read = read_task(task, batch, binding, &at, &mut faults);
        if let Some(read) = &mut read {
            read.flavors = flavor::read_flavors(task, batch, binding, &at, &mut faults);
        }
        (read, faults)
    });
    let each: Vec<(Option<Task>, Faults)> = each.collect();
    let found = each.into_iter().filter_map(|(task, more)| {
        faults.0.extend(more.0);
        task
    });
    found.collect()
}

fn read_task(
    task: &TaskSpec,
    batch: &str,
    binding: Binding,
    at: &str,
    faults: &mut Faults,
) -> Option<Task> {
    let before = faults.0.len();
    let pod_at = format!("{at}.template.spec");
    faults
        .0
        .extend(template::faults(&task.template.0["spec"], &pod_at));
    let delegated = is_delegated(binding, &task.template.0["spec"], &pod_at, faults);
    faults.duration(
        &format!("{at}.retry.backoff.initial"),
        Some(&task.retry.backoff.initial),
    );
    faults.duration(
        &format!("{at}.retry.backoff.max"),
        Some(&task.retry.backoff.max),
    );
    faults.decimal(
        &format!("{at}.retry.backoff.factor"),
        Some(&task.retry.backoff.factor),
        None,
    );
    let pod = read_pod(task, &pod_at, faults)?;
    let container = find_container(task, &pod, at, faults)?;
    let own = sums(
        requests::container(container.resources.as_ref()),
        &pod_at,
        faults,
    )?;
    let ranges = read_ranges(task, at, faults);
    let sized = sized_resource(task, &ranges, &own, at, faults);
    let estimate = read_estimate(task, sized.as_deref(), at, faults);
    let workers = read_workers(task, at, faults);
    let together = read_together(task, at, faults);
    gang::check(task, &workers, batch, at, faults);
    check_modes(&ranges, sized.as_deref(), &workers, at, faults);
    let ranged = ranges.keys().map(String::as_str).collect();
    let shape = sums(
        requests::shape(&pod, &container.name, &ranged),
        &pod_at,
        faults,
    )?;
    check_pod_level(&shape.pod_level, &ranges, at, faults);
    let placement = placement::read(&pod);
    (faults.0.len() == before).then(|| Task {
        together,
        name: task.name.clone(),
        count: u32::try_from(task.count).unwrap_or(1),
        weight: task.weight,
        container: container.name.clone(),
        own,
        ranges,
        sized,
        shape,
        placement,
        delegated,
        estimate,
        workers,
        after: task.depends_on.clone(),
        deadline: None,
        rate: exact(1),
        price: None,
        flavor: None,
        flavors: Vec::new(),
    })
}

/// Whether kube-scheduler binds the pods of this spec. With `binding: Direct` what only kube-scheduler may bind is
/// a fault.
fn is_delegated(binding: Binding, spec: &Value, at: &str, faults: &mut Faults) -> bool {
    match (binding, binding::binder(spec, at)) {
        (Binding::Delegate, _) => true,
        (Binding::Auto | Binding::Direct, Binder::Direct) => false,
        (Binding::Auto, Binder::Delegate(_)) => true,
        (Binding::Direct, Binder::Delegate(because)) => {
            faults.add(
                because.field,
                format!("{}, {DELEGATE_MESSAGE}", because.why),
            );
            false
        }
    }
}

fn read_pod(task: &TaskSpec, at: &str, faults: &mut Faults) -> Option<PodSpec> {
    let spec = task.template.0.get("spec")?;
    if let Ok(pod) = PodSpec::deserialize(spec) {
        return Some(pod);
    }
    // The path of the field that is wrong is found by a second, slower reading.
    match serde_path_to_error::deserialize(spec) {
        Ok(pod) => Some(pod),
        Err(error) => {
            let path = error.path().to_string();
            let field = if path == "." {
                at.to_owned()
            } else {
                format!("{at}.{path}")
            };
            faults.add(field, error.into_inner().to_string());
            None
        }
    }
}

fn find_container<'a>(
    task: &TaskSpec,
    pod: &'a PodSpec,
    at: &str,
    faults: &mut Faults,
) -> Option<&'a Container> {
    let found = match &task.container {
        None => pod.containers.first(),
        Some(name) => pod.containers.iter().find(|one| one.name == *name),
    };
    if found.is_none() {
        let names: Vec<_> = pod.containers.iter().map(|one| one.name.as_str()).collect();
        match &task.container {
            Some(name) => faults.add(
                format!("{at}.container"),
                format!(
                    "{name:?} is no container of the template; it has {}",
                    names.join(", ")
                ),
            ),
            None => faults.add(
                format!("{at}.template.spec.containers"),
                "a template needs a container",
            ),
        }
    }
    found
}

fn sums<T>(found: Result<T, requests::RequestError>, at: &str, faults: &mut Faults) -> Option<T> {
    found
        .map_err(|error| faults.add(format!("{at}.containers"), format!("resources: {error}")))
        .ok()
}

fn read_ranges(task: &TaskSpec, at: &str, faults: &mut Faults) -> BTreeMap<String, Range> {
    let mut ranges = BTreeMap::new();
    for (name, spec) in &task.resources {
        let field = format!("{at}.resources[{name}]");
        if name == "pods" {
            faults.add(&field, "pods cannot be sized: every pod counts as one");
        } else if let Some(range) = read_range(name, spec, &field, faults) {
            ranges.insert(name.clone(), range);
        }
    }
    ranges
}

fn read_range(name: &str, spec: &RangeSpec, at: &str, faults: &mut Faults) -> Option<Range> {
    let low = faults.units(&format!("{at}.min"), name, &spec.min.0)?;
    let high = match &spec.max {
        Some(text) => faults.units(&format!("{at}.max"), name, &text.0)?,
        None => low.clone(),
    };
    let step = match &spec.step {
        Some(text) => Some(faults.units(&format!("{at}.step"), name, &text.0)?),
        None => None,
    };
    let parts = [Some(&low), Some(&high), step.as_ref()];
    if is_extended(name) && !parts.into_iter().flatten().all(Exact::is_integer) {
        faults.add(at, WHOLE_MESSAGE);
        return None;
    }
    if low > high {
        let most = spec.max.as_ref().map_or("", |most| &most.0);
        faults.add(
            at,
            format!("min {} is above max {most}: {RANGE_MESSAGE}", spec.min),
        );
        return None;
    }
    let (min, max) = (ceil_i64(&low)?, ceil_i64(&high)?);
    let step = match step {
        Some(step) => ceil_i64(&step)?,
        None if is_extended(name) => 1,
        None => min.max(1),
    };
    if step < 1 {
        faults.add(
            at,
            format!(
                "{STEP_MESSAGE}, it is {}",
                spec.step.as_ref().map_or("", |it| &it.0)
            ),
        );
        return None;
    }
    let range = Range { min, max, step };
    if range.len() > Range::MOST_SIZES {
        let message = format!(
            "{} sizes are too many, at most {}: take a larger step",
            range.len(),
            Range::MOST_SIZES
        );
        faults.add(at, message);
        return None;
    }
    Some(range)
}

/// `scaling.resource`, else the first device by name with a range, else cpu if it has one.
fn sized_resource(
    task: &TaskSpec,
    ranges: &BTreeMap<String, Range>,
    own: &Resources,
    at: &str,
    faults: &mut Faults,
) -> Option<String> {
    let scaling = task.estimate.scaling.as_ref();
    if let Some(name) = scaling.and_then(|scaling| scaling.resource.as_ref()) {
        if !task.resources.contains_key(name) && !own.contains(name) {
            faults.add(
                format!("{at}.estimate.scaling.resource"),
                format!("{name:?} is neither in resources nor requested by the container"),
            );
        }
        return Some(name.clone());
    }
    let device = ranges.keys().find(|name| is_extended(name));
    device
        .or_else(|| ranges.keys().find(|name| *name == "cpu"))
        .cloned()
}

fn check_modes(
    ranges: &BTreeMap<String, Range>,
    sized: Option<&str>,
    workers: &Workers,
    at: &str,
    faults: &mut Faults,
) {
    let sizes = sized
        .and_then(|name| ranges.get(name))
        .map_or(1, Range::len);
    let modes = sizes.saturating_mul(workers.0.len() as i64);
    if modes > MOST_MODES {
        faults.add(
            at,
            format!("{modes} ways to run it (sizes x numbers of workers) are too many, at most {MOST_MODES}: take a larger step"),
        );
    }
}

fn check_pod_level(
    pod_level: &Resources,
    ranges: &BTreeMap<String, Range>,
    at: &str,
    faults: &mut Faults,
) {
    for (name, _) in pod_level.iter() {
        if ranges.contains_key(name) {
            faults.add(
                format!("{at}.template.spec.resources.requests[{name}]"),
                "a pod-level request would hide the computed one: remove it, or the range",
            );
        }
    }
}
