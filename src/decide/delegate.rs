//! Pods that kube-scheduler binds: when it may, how long it is waited for, and what is remembered of its refusals.
//!
//! A pod is created behind our gate, pinned to the node of the plan. Once the whole attempt exists and still has room,
//! the gate is lifted. A pod that kube-scheduler cannot bind there is taken back, and its task keeps off that node for
//! a while: the rule that it breaks there may hold nowhere else, and we do not know the rule.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::attempt::{after, rejection_delay};
use super::track::{Copy, Tracked};
use super::world::TakeBack;
use super::{Memory, Refusal};
use crate::api::{DELEGATE_MESSAGE, Reason};
use crate::cluster::pod::{OwnPod, Pod, PodPhase};

/// How long kube-scheduler may go on saying no: it may not have seen yet that another pod has left the node.
/// Its clock may also be ahead of ours, or its times cut to whole seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may say nothing. It waits 10 minutes for volumes itself.
const SILENCE: Duration = Duration::from_secs(15 * 60);
/// How long a task keeps off a node at first; doubled from time to time.
const KEEP_OFF: Duration = Duration::from_secs(10);
/// The longest such time.
const LONGEST_KEEP_OFF: Duration = Duration::from_secs(600);
/// Longest text of kube-scheduler that is kept, in characters.
const LONGEST_TEXT: usize = 300;

/// Nodes that tasks keep off, by UID of the batch and name of the task.
pub type KeptOff = BTreeMap<(String, String), BTreeMap<String, Rest>>;

/// How long a task keeps off a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rest {
    until: Timestamp,
    count: u32,
}

/// When a pod that kube-scheduler may bind is to be taken back if nothing changes; `None`: it is not such a pod.
pub fn due(pod: &Pod) -> Option<Timestamp> {
    let own = pod.own.as_ref().filter(|own| own.is_released())?;
    if pod.node.is_some() || pod.terminating || pod.phase != PodPhase::Pending {
        return None;
    }
    let released = own.released.or(pod.created)?;
    Some(match &own.unschedulable {
        Some(word) => after(word.since.unwrap_or(released).max(released), PATIENCE),
        None => after(released, SILENCE),
    })
}

/// The pods of an attempt that are to be taken back now.
pub fn take_back(tracked: &Tracked, copy: &Copy, now: Timestamp) -> Vec<TakeBack> {
    let lost = |pod: &Pod| -> Option<(Reason, String)> {
        let own = pod.own.as_ref()?;
        if due(pod).is_some_and(|time| time <= now) {
            return Some((Reason::Unschedulable, words(own)));
        }
        let open = pod.node.is_none() && !pod.terminating && !pod.is_finished();
        let rule = own.lacking.as_ref().filter(|_| open)?;
        let message = format!("the pod as the API server holds it: {rule}, {DELEGATE_MESSAGE}");
        Some((Reason::UnsupportedTemplate, message))
    };
    let lost = copy.pods.iter().filter_map(|pod| {
        let own = pod.own.as_ref()?;
        Some(taken(tracked, copy, pod, own, lost(pod)?))
    });
    lost.collect()
}

/// A pod to be taken back, because of this.
pub fn taken(
    tracked: &Tracked,
    copy: &Copy,
    pod: &Pod,
    own: &OwnPod,
    (reason, message): (Reason, String),
) -> TakeBack {
    TakeBack {
        copy: tracked.copy_id(copy),
        pod: super::launch::id_of(pod),
        resource_version: pod.resource_version.clone(),
        node: own.node.clone(),
        reason,
        message,
        count: own.rejections.saturating_add(1),
    }
}

/// When the next pod of the batch is to be taken back.
pub fn next_moment(tracked: &Tracked) -> Option<Timestamp> {
    let pods = tracked.copies.iter().flat_map(|copy| &copy.pods);
    pods.filter_map(|pod| due(pod)).min()
}

/// What kube-scheduler says of the pod, and of which node.
pub fn words(own: &OwnPod) -> String {
    let said = match &own.unschedulable {
        Some(word) => word.message.trim(),
        None => "kube-scheduler says nothing of it",
    };
    format!("{}: {said}", own.node)
        .chars()
        .take(LONGEST_TEXT)
        .collect()
}

impl Memory {
    /// A pod was taken back: the copy waits a little. Its task keeps off the node, or is left to kube-scheduler from
    /// now on.
    pub fn set_back(&mut self, it: &TakeBack, now: Timestamp) {
        let refusal = Refusal {
            reason: it.reason,
            message: it.message.clone(),
            until: after(now, rejection_delay(it.count)),
            count: it.count,
            name_taken: false,
        };
        self.refusals.insert(it.copy.clone(), refusal);
        self.fingerprint = None;
        let task = (it.copy.batch_uid.clone(), it.copy.task.clone());
        if it.reason == Reason::UnsupportedTemplate {
            self.beyond_us.insert(task);
            return;
        }
        let nodes = self.kept_off.entry(task).or_default();
        let before = nodes.get(&it.node).copied();
        // Copies that were tried there together are one try.
        if before.is_none_or(|rest| rest.until <= now) {
            let count = before.map_or(0, |rest| rest.count);
            let wait = KEEP_OFF.saturating_mul(1 << count.min(10));
            let rest = Rest {
                until: after(now, wait.min(LONGEST_KEEP_OFF)),
                count: count.saturating_add(1),
            };
            nodes.insert(it.node.clone(), rest);
        }
    }

    /// Whether pods of the task turned out to have rules that we do not know.
    pub fn is_beyond_us(&self, uid: &str, task: &str) -> bool {
        !self.beyond_us.is_empty() && self.beyond_us.contains(&(uid.to_owned(), task.to_owned()))
    }

    /// The nodes that a task keeps off now, because kube-scheduler cannot bind its pods there.
    pub fn refused_on(
        &self,
        uid: &str,
        task: &str,
        now: Timestamp,
    ) -> impl Iterator<Item = &String> {
        let nodes = self.kept_off.get(&(uid.to_owned(), task.to_owned()));
        let nodes = nodes.into_iter().flatten();
        nodes
            .filter(move |(_, rest)| rest.until > now)
            .map(|(node, _)| node)
    }

    /// The nodes that tasks keep off now.
    pub fn kept_off_now(&self, now: Timestamp) -> Vec<(&(String, String), &String)> {
        let all = self.kept_off.iter();
        let all =
            all.flat_map(|(task, nodes)| nodes.iter().map(move |(node, rest)| (task, node, rest)));
        all.filter(|(.., rest)| rest.until > now)
            .map(|(task, node, _)| (task, node))
            .collect()
    }

    /// When the next task may try a node again that it keeps off.
    pub fn next_try(&self, now: Timestamp) -> Option<Timestamp> {
        let rests = self.kept_off.values().flat_map(BTreeMap::values);
        rests
            .map(|rest| rest.until)
            .filter(|until| *until > now)
            .min()
    }

    /// Forgets nodes that have long been free to be tried again.
    pub fn forget_rests(&mut self, now: Timestamp) {
        for nodes in self.kept_off.values_mut() {
            nodes.retain(|_, rest| after(rest.until, LONGEST_KEEP_OFF) > now);
        }
        self.kept_off.retain(|_, nodes| !nodes.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{CopyId, ObjectId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn taken_back(copy: u32, node: &str, count: u32) -> TakeBack {
        TakeBack {
            copy: CopyId {
                batch_uid: "u".into(),
                task: "t".into(),
                copy,
            },
            pod: ObjectId::default(),
            resource_version: "1".into(),
            node: node.into(),
            reason: Reason::Unschedulable,
            message: format!("{node}: no"),
            count,
        }
    }

    fn off(memory: &Memory, second: i64) -> Vec<&str> {
        let off = memory.kept_off_now(at(second));
        off.into_iter().map(|(_, node)| node.as_str()).collect()
    }

    #[test]
    fn a_task_keeps_off_a_node_for_longer_each_time_that_it_is_tried_in_vain() {
        let mut memory = Memory::default();
        for copy in 0..5 {
            memory.set_back(&taken_back(copy, "n1", 1), at(0));
        }
        memory.set_back(&taken_back(0, "n2", 2), at(5));
        assert_eq!(off(&memory, 9), ["n1", "n2"]);
        assert_eq!(off(&memory, 10), ["n2"], "five copies at once are one try");
        memory.set_back(&taken_back(0, "n1", 3), at(10));
        assert_eq!(off(&memory, 29), ["n1"]);
        assert_eq!(off(&memory, 30), [""; 0]);
        memory.forget_rests(at(30));
        assert_eq!(memory.kept_off.len(), 1, "how often is still known");
        memory.forget_rests(at(5000));
        assert!(memory.kept_off.is_empty());
    }

    #[test]
    fn a_task_whose_pods_have_rules_that_we_do_not_know_is_left_to_kube_scheduler() {
        let mut memory = Memory::default();
        let it = TakeBack {
            reason: Reason::UnsupportedTemplate,
            ..taken_back(0, "n1", 1)
        };
        memory.set_back(&it, at(0));
        assert!(memory.is_beyond_us("u", "t") && !memory.is_beyond_us("u", "other"));
        assert_eq!(off(&memory, 1), [""; 0], "no node is to blame");
        assert_eq!(
            memory.refusals[&it.copy].reason,
            Reason::UnsupportedTemplate
        );
    }

    #[test]
    fn a_copy_waits_longer_each_time_that_it_is_set_back() {
        let mut memory = Memory::default();
        let it = taken_back(0, "n1", 3);
        memory.set_back(&it, at(0));
        let refusal = &memory.refusals[&it.copy];
        assert_eq!((refusal.until, refusal.message.as_str()), (at(8), "n1: no"));
    }
}
