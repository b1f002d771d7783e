//! What a round does and finds, in the log and in the metrics.

use tracing::{debug, error, info, warn};

use super::metrics::Metrics;
use crate::decide::{Action, Fact, Outcome};

/// Facts for logs and metrics. Names of objects may stand in a log, contents of specs may not; what the
/// API server says of a pod that it refuses quotes the spec, and stands in the status of the batch.
pub fn note(metrics: &Metrics, fact: Fact<'_>) {
    match fact {
        Fact::Planned {
            problem,
            solution,
            elapsed,
            batches,
        } => {
            let gap = solution.gap();
            metrics.planned(problem.goal, elapsed, gap);
            info!(
                goal = %problem.goal,
                batches = batches.len(),
                copies = problem.copies(),
                unplaced = solution.plan.unplaced.len(),
                objective = solution.objective,
                bound = solution.bound,
                gap,
                algorithm = %solution.found_by,
                seed = solution.seed,
                iterations = solution.iterations,
                seconds = elapsed.as_secs_f64(),
                "planned"
            );
        }
        Fact::Unverified { violations } => {
            metrics.unverified();
            error!(violations, "a plan did not pass the check and is not used");
        }
        Fact::Acted { action, outcome } => {
            metrics.acted(action, outcome);
            let (verb, namespace, name) = describe(action);
            match outcome {
                Outcome::Done => debug!(verb, namespace, name, "done"),
                Outcome::Refused { .. } => warn!(verb, namespace, name, "refused"),
                Outcome::Conflict => info!(verb, namespace, name, "something else came first"),
                Outcome::Unknown { retry_after } => {
                    warn!(
                        verb,
                        namespace,
                        name,
                        ?retry_after,
                        "nobody knows whether it was done"
                    );
                }
            }
        }
        Fact::Ended {
            copy,
            predicted,
            actual,
            succeeded,
        } => {
            metrics.ended(predicted, actual);
            debug!(
                task = copy.task,
                copy = copy.copy,
                predicted,
                actual,
                succeeded,
                "ended"
            );
        }
        Fact::Tasks { counts } => metrics.tasks(counts),
        Fact::QueueWait { wait } => metrics.waited(wait),
        Fact::Deadlines(deadlines) => metrics.deadlines(deadlines),
    }
}

fn describe(action: &Action) -> (&'static str, &str, &str) {
    match action {
        Action::Create(it) => ("create", &it.batch.namespace, &it.name),
        Action::Bind(it) => ("bind", &it.pod.namespace, &it.pod.name),
        Action::Release(it) => ("release", &it.pod.namespace, &it.pod.name),
        Action::TakeBack(it) => ("take back", &it.pod.namespace, &it.pod.name),
        Action::Delete(it) => ("delete", &it.pod.namespace, &it.pod.name),
        Action::DeleteBatch(it) => ("delete batch", &it.namespace, &it.name),
    }
}
