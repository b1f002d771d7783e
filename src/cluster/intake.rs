//! Takes a manifest in: a `TaskBatch` becomes a `model::Batch` that is consistent, or a list of faults.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::{duration, placement, quantity, requests, template};
use crate::api::{
    COPIES_MESSAGE, DECIMAL_MESSAGE, DURATION_MESSAGE, FRACTION_MESSAGE, Fault, MOST_COPIES,
    RANGE_MESSAGE, RangeSpec, SCALING_MESSAGE, STEP_MESSAGE, ScalingSpec, ScalingType, TaskBatch,
    TaskSpec, WHOLE_MESSAGE, WORKERS_MESSAGE, WorkerStep,
};
use crate::model::{
    Batch, Estimate, Exact, Range, Resources, Scaling, Task, Workers, ceil_i64, decimal, exact,
    is_extended,
};

/// The most ways to run one task: sizes x numbers of workers.
pub const MOST_MODES: i64 = 1024;

/// Processing time of a task without an estimate.
const GUESSED_PROCESS: i64 = 300_000;

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
    let tasks: Vec<Option<Task>> = spec
        .tasks
        .iter()
        .enumerate()
        .map(|(index, task)| read_task(task, &format!("spec.tasks[{index}]"), &mut faults))
        .collect();
    check_names(&spec.tasks, &mut faults);
    check_dependencies(&spec.tasks, &mut faults);
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    Ok(Batch {
        key: format!("{namespace}/{name}"),
        weight: spec.weight,
        goal: spec.objective.goal,
        tasks: tasks.into_iter().flatten().collect(),
    })
}

/// Collects faults while reading goes on.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault::new(field, message));
    }

    fn duration(&mut self, field: &str, text: Option<&String>) -> Option<Exact> {
        let text = text?;
        let found = duration::parse(text).filter(|millis| ceil_i64(millis).is_some());
        if found.is_none() {
            self.add(field, format!("{text:?} {DURATION_MESSAGE}"));
        }
        found
    }

    fn decimal(&mut self, field: &str, text: Option<&String>, most: Option<i64>) -> Option<Exact> {
        let text = text?;
        let found = decimal(text)
            .filter(|value| *value >= exact(0) && most.is_none_or(|most| *value <= exact(most)));
        if found.is_none() {
            let wanted = if most.is_some() {
                FRACTION_MESSAGE
            } else {
                DECIMAL_MESSAGE
            };
            self.add(field, format!("{text:?} {wanted}"));
        }
        found
    }

    fn units(&mut self, field: &str, resource: &str, text: &str) -> Option<Exact> {
        match quantity::units(resource, text) {
            Ok(value) if value >= exact(0) && ceil_i64(&value).is_some() => return Some(value),
            Ok(_) => self.add(
                field,
                format!("{text:?} must be from 0 to what 64 bits hold"),
            ),
            Err(error) => self.add(field, error.to_string()),
        }
        None
    }
}

fn read_task(task: &TaskSpec, at: &str, faults: &mut Faults) -> Option<Task> {
    let before = faults.0.len();
    let pod_at = format!("{at}.template.spec");
    faults
        .0
        .extend(template::faults(&task.template.0["spec"], &pod_at));
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
    check_modes(&ranges, sized.as_deref(), &workers, at, faults);
    let shape = sums(requests::shape(&pod, &container.name), &pod_at, faults)?;
    check_pod_level(&shape.pod_level, &ranges, at, faults);
    let placement = placement::read(&pod);
    (faults.0.len() == before).then(|| Task {
        name: task.name.clone(),
        count: u32::try_from(task.count).unwrap_or(1),
        weight: task.weight,
        container: container.name.clone(),
        own,
        ranges,
        sized,
        shape,
        placement,
        estimate,
        workers,
        after: task.depends_on.clone(),
    })
}

fn read_pod(task: &TaskSpec, at: &str, faults: &mut Faults) -> Option<PodSpec> {
    let spec = task.template.0.get("spec")?;
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

fn read_estimate(task: &TaskSpec, sized: Option<&str>, at: &str, faults: &mut Faults) -> Estimate {
    let spec = &task.estimate;
    let at = format!("{at}.estimate");
    let read = faults.duration(&format!("{at}.read"), spec.read.as_ref());
    let process = faults.duration(&format!("{at}.process"), spec.process.as_ref());
    let overlap = faults.decimal(&format!("{at}.overlap"), spec.overlap.as_ref(), Some(1));
    let scaling = spec
        .scaling
        .as_ref()
        .and_then(|scaling| read_scaling(scaling, sized, &format!("{at}.scaling"), faults));
    Estimate {
        read: read.unwrap_or_else(|| exact(0)),
        guessed: spec.process.is_none(),
        process: process.unwrap_or_else(|| exact(GUESSED_PROCESS)),
        scaling: scaling.unwrap_or(Scaling::Linear),
        overlap: overlap.unwrap_or_else(|| exact(0)),
    }
}

fn read_scaling(
    spec: &ScalingSpec,
    sized: Option<&str>,
    at: &str,
    faults: &mut Faults,
) -> Option<Scaling> {
    let given = [
        spec.parallel_fraction.is_some(),
        spec.exponent.is_some(),
        spec.points.is_some(),
    ];
    let wanted =
        [ScalingType::Amdahl, ScalingType::Power, ScalingType::Table].map(|kind| kind == spec.kind);
    if given != wanted {
        faults.add(at, SCALING_MESSAGE);
        return None;
    }
    match spec.kind {
        ScalingType::Linear => Some(Scaling::Linear),
        ScalingType::Amdahl => faults
            .decimal(
                &format!("{at}.parallelFraction"),
                spec.parallel_fraction.as_ref(),
                Some(1),
            )
            .map(Scaling::Amdahl),
        ScalingType::Power => {
            let field = format!("{at}.exponent");
            faults.decimal(&field, spec.exponent.as_ref(), None)?;
            let exponent: f64 = spec.exponent.as_ref()?.parse().ok()?;
            if exponent > 16.0 {
                faults.add(field, format!("{exponent} is no speed-up: at most 16"));
            }
            Some(Scaling::Power(exponent))
        }
        ScalingType::Table => read_points(spec, sized, at, faults).map(Scaling::Table),
    }
}

/// The points by amount, each with the largest speed-up up to it: more never slows down.
fn read_points(
    spec: &ScalingSpec,
    sized: Option<&str>,
    at: &str,
    faults: &mut Faults,
) -> Option<Vec<(Exact, Exact)>> {
    let mut points = BTreeMap::new();
    for (index, point) in spec.points.iter().flatten().enumerate() {
        let at = format!("{at}.points[{index}]");
        let amount = faults.units(
            &format!("{at}.amount"),
            sized.unwrap_or_default(),
            &point.amount.0,
        )?;
        let speedup = faults.decimal(&format!("{at}.speedup"), Some(&point.speedup), None)?;
        if speedup == exact(0) {
            faults.add(format!("{at}.speedup"), "a speed-up must be above 0");
            return None;
        }
        if points.insert(amount, speedup).is_some() {
            faults.add(
                format!("{at}.amount"),
                format!("{} stands twice", point.amount),
            );
            return None;
        }
    }
    if points.is_empty() {
        faults.add(format!("{at}.points"), "a table needs at least one point");
        return None;
    }
    let mut most = exact(0);
    let rising = points.into_iter().map(|(amount, speedup)| {
        most = most.clone().max(speedup);
        (amount, most.clone())
    });
    Some(rising.collect())
}

fn read_workers(task: &TaskSpec, at: &str, faults: &mut Faults) -> Workers {
    let Some(gang) = &task.gang else {
        return Workers(vec![1]);
    };
    let at = format!("{at}.gang.workers");
    let (min, max) = (
        gang.workers.min,
        gang.workers.max.unwrap_or(gang.workers.min),
    );
    if min < 1 || max > 1024 || min > max {
        let message = format!("min {min} and max {max}: from 1 to 1024, and {WORKERS_MESSAGE}");
        faults.add(&at, message);
        return Workers(vec![1]);
    }
    let numbers: Vec<i64> = match &gang.workers.step {
        WorkerStep::Number(step) if *step >= 1 => (min..=max)
            .step_by(usize::try_from(*step).unwrap_or(1))
            .collect(),
        WorkerStep::Name(name) if name == "PowerOfTwo" => {
            std::iter::successors(Some(min), |number| Some(number * 2))
                .take_while(|number| *number <= max)
                .collect()
        }
        _ => {
            faults.add(
                format!("{at}.step"),
                "must be a whole number from 1 to 1024, or PowerOfTwo",
            );
            vec![1]
        }
    };
    Workers(
        numbers
            .into_iter()
            .filter_map(|number| u32::try_from(number).ok())
            .collect(),
    )
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

fn check_names(tasks: &[TaskSpec], faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    for (index, task) in tasks.iter().enumerate() {
        if !seen.insert(&task.name) {
            faults.add(
                format!("spec.tasks[{index}]"),
                format!(
                    "Duplicate value: {:?}; names of tasks are unique",
                    task.name
                ),
            );
        }
    }
}

fn check_dependencies(tasks: &[TaskSpec], faults: &mut Faults) {
    let index: BTreeMap<&str, usize> = tasks
        .iter()
        .enumerate()
        .map(|(at, task)| (task.name.as_str(), at))
        .collect();
    for (at, task) in tasks.iter().enumerate() {
        for (place, name) in task.depends_on.iter().enumerate() {
            if !index.contains_key(name.as_str()) {
                faults.add(
                    format!("spec.tasks[{at}].dependsOn[{place}]"),
                    format!("{name:?} is no task of this batch"),
                );
            }
        }
    }
    if let Some(cycle) = find_cycle(tasks, &index) {
        faults.add(
            "spec.tasks",
            format!("dependsOn goes in a circle: {}", cycle.join(" -> ")),
        );
    }
}

/// The names along a cycle, its first one repeated at the end. Iterative: a chain may be 1,000 tasks long.
fn find_cycle(tasks: &[TaskSpec], index: &BTreeMap<&str, usize>) -> Option<Vec<String>> {
    let next = |task: usize, place: usize| {
        let name = tasks[task].depends_on.get(place)?;
        Some(index.get(name.as_str()).copied())
    };
    let mut done = vec![false; tasks.len()];
    for root in 0..tasks.len() {
        let mut path: Vec<(usize, usize)> = vec![(root, 0)];
        while let Some(&mut (task, ref mut place)) = path.last_mut() {
            let step = if done[task] { None } else { next(task, *place) };
            *place += 1;
            match step {
                None => {
                    done[task] = true;
                    path.pop();
                }
                Some(None) => {}
                Some(Some(after)) => {
                    if let Some(start) = path.iter().position(|(on_path, _)| *on_path == after) {
                        let names = path[start..]
                            .iter()
                            .map(|(on_path, _)| tasks[*on_path].name.clone());
                        return Some(names.chain([tasks[after].name.clone()]).collect());
                    }
                    path.push((after, 0));
                }
            }
        }
    }
    None
}
