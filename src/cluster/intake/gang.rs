//! How many workers a gang may have, and whether they can find each other.

use super::faults::Faults;
use crate::api::{Framework, TaskSpec, WORKERS_MESSAGE, WorkerStep};
use crate::model::Workers;

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
