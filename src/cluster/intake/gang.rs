//! How many workers a gang may have, whether they can find each other, and how near each other they stand.

use super::faults::Faults;
use crate::api::{
    Fault, Framework, NEAR_MESSAGE, TaskBatch, TaskSpec, WORKERS_MESSAGE, WorkerStep,
};
use crate::model::{Exchange, MEMORY, Together, Topology, Wish, Workers};

/// The most bytes that the addresses of all workers may take in one variable: the kernel gives a process no variable of
/// more than 128 KiB.
const MOST_ADDRESSES: usize = 100_000;
/// The longest name of a pod or a Service of ours.
const LONGEST_NAME: usize = 63;

/// The numbers of workers that one copy of the task may have.
pub fn read_workers(task: &TaskSpec, at: &str, faults: &mut Faults) -> Workers {
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

/// What the workers send each other, and how near each other they stand.
pub fn read_together(task: &TaskSpec, at: &str, faults: &mut Faults) -> Together {
    let Some(gang) = &task.gang else {
        return Together::default();
    };
    let at = format!("{at}.gang");
    let exchange = gang.comm.as_ref().and_then(|comm| {
        if !(1..=1_000_000_000).contains(&comm.steps) {
            let message = format!("{} must be from 1 to 1000000000", comm.steps);
            faults.add(format!("{at}.comm.steps"), message);
        }
        let field = format!("{at}.comm.bytesPerStep");
        let bytes = faults.units(&field, MEMORY, &comm.bytes_per_step.0)?;
        Some(Exchange {
            bytes,
            steps: comm.steps,
        })
    });
    let near = gang.topology.as_ref();
    let near = near.map(|near| (near.required.clone(), near.preferred.clone()));
    let wish = match near {
        None => Wish::None,
        Some((Some(alias), None)) => Wish::Required(alias),
        Some((None, Some(alias))) => Wish::Preferred(alias),
        Some(_) => {
            faults.add(format!("{at}.topology"), NEAR_MESSAGE);
            Wish::None
        }
    };
    Together { exchange, wish }
}

/// The levels that gangs name and the network does not have.
pub fn unknown_levels(batch: &TaskBatch, topology: &Topology) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, task) in batch.spec.tasks.iter().enumerate() {
        let near = task.gang.as_ref().and_then(|gang| gang.topology.as_ref());
        let named = near.map(|near| [("required", &near.required), ("preferred", &near.preferred)]);
        for (kind, alias) in named.into_iter().flatten() {
            let Some(alias) = alias
                .as_ref()
                .filter(|alias| topology.find(alias).is_none())
            else {
                continue;
            };
            let field = format!("spec.tasks[{index}].gang.topology.{kind}");
            let known = topology.aliases().join(", ");
            let message = format!("{alias:?} is no level of the network: it has {known}");
            faults.push(Fault::new(field, message));
        }
    }
    faults
}

/// Whether the workers can be named, and can be told of each other.
pub fn check(task: &TaskSpec, workers: &Workers, batch: &str, at: &str, faults: &mut Faults) {
    let most = workers.0.iter().copied().max().unwrap_or(1);
    let Some(gang) = task.gang.as_ref().filter(|_| most > 1) else {
        return;
    };
    if task.template.0["spec"]["hostname"].is_string() {
        let message = "each worker of a gang has a host name of its own: remove it";
        faults.add(format!("{at}.template.spec.hostname"), message);
    }
    if matches!(gang.framework, Framework::Torch | Framework::Jax) {
        return;
    }
    // `<batch>-<task>-<copy>-<attempt>-<worker>.<batch>-workers:<port>` and a comma.
    let pod = (batch.len() + task.name.len() + 17).min(LONGEST_NAME);
    let address = pod + (batch.len() + 8).min(LONGEST_NAME) + 10;
    let fit = MOST_ADDRESSES / address;
    if most as usize > fit {
        let message = format!(
            "{most} workers are too many to tell each of them the addresses of all with framework {:?}: at most {fit}, or framework Torch or Jax",
            gang.framework
        );
        faults.add(format!("{at}.gang.workers"), message);
    }
}
