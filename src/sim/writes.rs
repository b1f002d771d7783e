//! What becomes of the operator's writes: carried out at once, late or not at all, with or without an answer,
//! with another scheduler in between, or with the operator killed on either side.

use std::time::Duration;

use serde_json::json;

use super::chance;
use super::cluster::{Cluster, Incoming, Key, key_of};
use super::history::Happening;
use crate::decide::{Action, Outcome};
use crate::model::{CPU, Millis};

/// When to look again after a write of unknown outcome.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long the API server may work on a request, in ms.
const SERVER_LIMIT: Millis = 8000;
/// How long a pod of another scheduler runs, in ms: at least this, and at most twice.
const STOLEN_FOR: Millis = 300_000;

impl Cluster {
    pub(super) fn carry_out(&mut self, action: &Action) -> Outcome {
        let faults = &self.options.faults;
        let (request, reply, refused) = (faults.request_lost, faults.reply_lost, faults.refused);
        let (late, stolen) = (faults.late, faults.stolen);
        let unknown = Outcome::Unknown {
            retry_after: RETRY_AFTER,
        };
        // The watch wakes nobody while nothing happens; the operator must come back on its own.
        if self.strikes(request, "request lost") {
            return self.doubtful(action, unknown);
        }
        if self.strikes(late, "late") {
            self.delay(action);
            return self.doubtful(action, unknown);
        }
        if let Action::Bind(bind) = action
            && self.strikes(stolen, "stolen")
        {
            self.steal(&bind.node);
        }
        let outcome = match action {
            Action::Create(create) if self.strikes(refused, "refused") => Outcome::Refused {
                copy: create.copy.clone(),
                message: format!("pods {:?} is forbidden: exceeded quota", create.name),
            },
            Action::Bind(bind) if self.strikes(refused, "binding refused") => Outcome::Refused {
                copy: bind.copy.clone(),
                message: format!("pods {:?} is forbidden: not there", bind.pod.name),
            },
            _ => self.perform(action),
        };
        if self.strikes(reply, "reply lost") {
            self.doubtful(action, unknown)
        } else {
            outcome
        }
    }

    fn perform(&mut self, action: &Action) -> Outcome {
        #[cfg(test)]
        for more in self
            .meddle
            .map(|meddle| meddle(self, action))
            .unwrap_or_default()
        {
            self.perform_one(&more);
        }
        self.perform_one(action)
    }

    fn perform_one(&mut self, action: &Action) -> Outcome {
        match action {
            Action::Create(create) => self.create(create),
            Action::Bind(bind) => self.bind(bind),
            Action::Release(release) => self.release(release),
            Action::TakeBack(it) => self.take_back(it),
            Action::Delete(delete) => self.delete(delete),
            Action::DeleteBatch(id) => self.delete_batch(id),
        }
    }

    /// The operator will look up what became of it.
    fn doubtful(&mut self, action: &Action, outcome: Outcome) -> Outcome {
        self.doubts.extend(pod_of(action));
        outcome
    }

    /// A write that arrives late, or that of a dead process: it is done, and the watch alone tells.
    pub(super) fn carry_out_unseen(&mut self, action: &Action) {
        let key = pod_of(action);
        let before = key.as_ref().and_then(|key| self.view.get(key).cloned());
        self.tell(Happening::LateWrite);
        self.perform(action);
        match (key, before) {
            (Some(key), Some(before)) => _ = self.view.insert(key, before),
            (Some(key), None) => _ = self.view.remove(&key),
            (None, _) => {}
        }
    }

    /// A write arrives only after its time is over.
    fn delay(&mut self, action: &Action) {
        let draw = self.next_draw();
        let share = chance::uniform(self.options.seed, "how late", &draw);
        // In [0, SERVER_LIMIT): the product is far below 2^53.
        let by = 1 + (share * SERVER_LIMIT as f64) as Millis;
        let at = self.now.saturating_add(by);
        self.queue
            .push(at, Incoming::Late(Box::new(action.clone())));
    }

    /// What a killed operator had asked for beside the write that it was killed at.
    pub(super) fn leave_in_flight(&mut self, actions: &[Action]) {
        for action in actions {
            let draw = self.next_draw();
            match chance::uniform(self.options.seed, "in flight", &draw) {
                luck if luck < 1.0 / 3.0 => {}
                luck if luck < 2.0 / 3.0 => self.carry_out_unseen(action),
                _ => self.delay(action),
            }
        }
    }

    /// Another scheduler, which sees the room of the node as it is, binds a pod there that takes all of its cores.
    fn steal(&mut self, node: &str) {
        let Some(machine) = self.nodes.get(node) else {
            return;
        };
        let here = self
            .pods()
            .filter(|pod| pod.node.as_deref() == Some(node) && !pod.is_finished());
        let used: i64 = here.map(|pod| pod.requests.get(CPU)).sum();
        let free = machine.node.allocatable.get(CPU) - used;
        if free <= 0 {
            return;
        }
        let draw = self.next_draw();
        let share = chance::uniform(self.options.seed, "stolen for", &draw);
        let length = STOLEN_FOR + (share * STOLEN_FOR as f64) as Millis;
        let name = format!("thief-{draw}");
        let thief = json!({
            "metadata": {"name": name},
            "spec": {"nodeName": node, "containers": [{"name": "main", "resources": {"requests": {"cpu": format!("{free}m")}}}]},
        });
        if let Ok(thief) = serde_json::from_value(thief) {
            // A pod that cannot be read steals nothing.
            let _ = self.add_pod(thief, Some(length));
        }
    }

    /// Both sides of a write are as likely.
    pub(super) fn is_killed_before_write(&mut self) -> bool {
        if self.options.faults.crash_before == Some(self.writes + 1) {
            // The write has no number yet, and the next process must not die of it again.
            self.options.faults.crash_before = None;
            return true;
        }
        self.strikes(self.options.faults.crash / 2.0, "crash before")
    }

    pub(super) fn is_killed_after_write(&mut self) -> bool {
        self.writes += 1;
        self.options.faults.crash_after == Some(self.writes)
            || self.strikes(self.options.faults.crash / 2.0, "crash")
    }
}

/// The pod that an action is about.
fn pod_of(action: &Action) -> Option<Key> {
    match action {
        Action::Create(create) => Some((create.batch.namespace.clone(), create.name.clone())),
        Action::Bind(bind) => Some(key_of(&bind.pod)),
        Action::Release(release) => Some(key_of(&release.pod)),
        Action::TakeBack(it) => Some(key_of(&it.pod)),
        Action::Delete(delete) => Some(key_of(&delete.pod)),
        Action::DeleteBatch(_) => None,
    }
}
