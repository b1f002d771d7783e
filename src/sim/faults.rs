//! What goes wrong in a simulated cluster. Everything is off by default; probabilities go from 0 to 1.

use crate::model::Millis;

use super::chance;

/// A node that is lost falls silent some time in this first stretch of the simulation.
const LOSS_WINDOW: Millis = 3_600_000;
/// It comes back after at most this long.
const LONGEST_LOSS: Millis = 1_200_000;

/// Faults by probability, drawn from the seed of the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Standard deviation of the logarithm of actual over predicted run time; 0: exactly as predicted.
    pub noise: f64,
    /// A run ends with exit code 1, at some moment of its length.
    pub run_fails: f64,
    /// A run ends out of memory (exit code 137, OOMKilled), at some moment of its length.
    pub out_of_memory: f64,
    /// A kubelet rejects a pod that fits, as for a broken device.
    pub node_rejects: f64,
    /// kube-scheduler finds that a delegated pod cannot be bound where it is to be, when it looks at it.
    pub unschedulable: f64,
    /// A node falls silent for up to 20 minutes within the first hour.
    pub node_lost: f64,
    /// A write is carried out, but its answer is lost.
    pub reply_lost: f64,
    /// A write is not carried out, and nobody says so.
    pub request_lost: f64,
    /// A write is carried out only after the operator has given it up, up to 8 s later.
    pub late: f64,
    /// Another scheduler takes the room of a node just before the operator binds a pod there.
    pub stolen: f64,
    /// The API server refuses to create a pod, as for a quota.
    pub refused: f64,
    /// A watch lags: a round sees what others did only up to some round before. Pods, nodes and batches have a
    /// watch each, so they are seen out of order.
    pub stale: f64,
    /// The cluster cannot be read at all.
    pub unreachable: f64,
    /// The operator is killed just before the write of this number (actions and statuses), once.
    pub crash_before: Option<u64>,
    /// The operator is killed just after this many writes (actions and statuses), once.
    pub crash_after: Option<u64>,
    /// The operator is killed just before or after a write, again and again. What it asked for at the same time
    /// may be lost, done, or done later.
    pub crash: f64,
}

impl Faults {
    /// When a node falls silent and for how long, if it does.
    pub(super) fn loss_of(&self, seed: u64, node: &str) -> Option<(Millis, Millis)> {
        let within = |what: &str, span: Millis| {
            // In [0, span): the product is below 2^53.
            (chance::uniform(seed, what, node) * span as f64) as Millis
        };
        chance::happens(self.node_lost, seed, "node lost", node).then(|| {
            (
                within("lost at", LOSS_WINDOW),
                1 + within("lost for", LONGEST_LOSS),
            )
        })
    }
}
