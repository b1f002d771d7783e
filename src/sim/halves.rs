//! A gang holds room for all of its workers or for none: how long one holds a part, told from the pods alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::pod::{Pod, PodPhase};
use crate::model::Millis;

/// For so long at most, in ms: what is lost on its way is lost again and again, and a kill takes 2 s.
pub(super) const BOUND: Millis = 60_000;

/// One attempt of one copy: (uid of the batch, task, copy, attempt).
type Attempt = (String, String, u32, u32);

/// The gangs that hold a part, and since when.
#[derive(Clone, Debug, Default)]
pub(super) struct Halves(BTreeMap<Attempt, Millis>);

/// What the pods of an attempt are of it.
#[derive(Default)]
struct Count {
    /// On a node, not over and not being given back.
    held: u32,
    /// Ended well: no longer in need of room.
    done: u32,
    workers: u32,
}

impl Halves {
    /// Time passes with these pods; returns the gangs that have held a part for too long.
    pub(super) fn pass<'a>(
        &mut self,
        pods: impl Iterator<Item = &'a Arc<Pod>>,
        (from, to): (Millis, Millis),
    ) -> Vec<String> {
        let mut counts: BTreeMap<Attempt, Count> = BTreeMap::new();
        for pod in pods {
            let Some(own) = pod.own.as_ref().filter(|own| own.workers > 1) else {
                continue;
            };
            let attempt = (
                own.batch_uid.clone(),
                own.task.clone(),
                own.copy,
                own.attempt,
            );
            let count = counts.entry(attempt).or_default();
            count.workers = own.workers;
            let holds = pod.node.is_some() && !pod.is_finished() && !pod.terminating;
            count.held += u32::from(holds);
            count.done += u32::from(pod.phase == PodPhase::Succeeded);
        }
        counts.retain(|_, count| count.held > 0 && count.held + count.done < count.workers);
        self.0.retain(|attempt, _| counts.contains_key(attempt));
        let mut told = Vec::new();
        for (attempt, count) in counts {
            let since = *self.0.entry(attempt.clone()).or_insert(from);
            // Told once, in the stretch in which it becomes too long.
            if since + BOUND < to && since + BOUND >= from {
                let ((_, task, copy, attempt), Count { held, workers, .. }) = (attempt, count);
                told.push(format!(
                    "attempt {attempt} of copy {copy} of {task} holds room for {held} of {workers} workers since {since} ms"
                ));
            }
        }
        told
    }
}
