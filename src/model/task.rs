//! A batch as its user means it, read once from the manifest and valid from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Exact, Millis, Overflow, PODS, Resources, TaintEffect, Together};

/// What a plan is to minimise, or for Throughput to maximise.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Goal {
    /// Sum over batches of weight x time until the batch's last task ends.
    #[default]
    Makespan,
    /// Weighted sum of the times at which the tasks end.
    FlowTime,
    /// Price of the nodes' shares for the time that they are used.
    Cost,
    /// Static: sum over tasks of `R + max(0, D/C - R) + max(0, P/C - R)`; everything placed runs at once.
    Shortfall,
    /// Static: weighted sum of the speed-ups of everything that runs at once; maximised.
    Throughput,
}

/// What an objective is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Millionths of the price unit.
    Micro,
    /// Thousandths.
    Milli,
}

impl Unit {
    /// A value of this unit for people: `512.3s`, `1.2345`, `6.0`.
    pub fn show(self, value: i64) -> String {
        let (scale, decimals, suffix) = match self {
            Unit::Ms => (1e3, 1, "s"),
            Unit::Micro => (1e6, 4, ""),
            Unit::Milli => (1e3, 3, ""),
        };
        let text = format!("{:.decimals$}", value as f64 / scale);
        let short = text.trim_end_matches('0');
        let point = if short.ends_with('.') { "0" } else { "" };
        format!("{short}{point}{suffix}")
    }
}

impl Goal {
    /// Every goal.
    pub const ALL: [Goal; 5] = [
        Goal::Makespan,
        Goal::FlowTime,
        Goal::Cost,
        Goal::Shortfall,
        Goal::Throughput,
    ];

    /// Whether the goal has no time axis: everything placed runs at once.
    pub fn is_static(self) -> bool {
        matches!(self, Goal::Shortfall | Goal::Throughput)
    }

    /// Whether more is better.
    pub fn is_maximised(self) -> bool {
        self == Goal::Throughput
    }

    /// The unit of objective and bound.
    pub fn unit(self) -> Unit {
        match self {
            Goal::Makespan | Goal::FlowTime => Unit::Ms,
            Goal::Cost => Unit::Micro,
            Goal::Shortfall | Goal::Throughput => Unit::Milli,
        }
    }
}

/// Which search makes the plan.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Algorithm {
    /// Greedy at once, then the searches that suit the problem for as long as the budget lasts and the gap is open.
    #[default]
    Auto,
    /// List scheduling at deadlines or prices: good plans at once.
    Greedy,
    /// Genetic search with biased random keys, from the greedy plans on.
    Genetic,
    /// Simulated annealing from the greedy plan on: sequences of the nodes, where all copies are single pods that
    /// wait for no other task; else orders under a target for Makespan, and as RuinRecreate for other goals;
    /// exchanges between nodes for static goals.
    Annealing,
    /// Particle swarm over random keys, from the greedy plans on.
    ParticleSwarm,
    /// Takes some copies out of the greedy plan and puts them back better, again and again; static goals: as Annealing.
    RuinRecreate,
    /// Branch and bound: proves the optimum of small problems; with deadlines as RuinRecreate, static goals: as
    /// Annealing.
    Exact,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Algorithm; 7] = [
        Algorithm::Auto,
        Algorithm::Greedy,
        Algorithm::Genetic,
        Algorithm::Annealing,
        Algorithm::ParticleSwarm,
        Algorithm::RuinRecreate,
        Algorithm::Exact,
    ];
}

/// Who binds the pods of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Binding {
    /// TaskBatch where it honours every rule of the template, else kube-scheduler.
    #[default]
    Auto,
    /// TaskBatch; a template with a rule that it does not honour is refused.
    Direct,
    /// kube-scheduler, on the node that TaskBatch chose.
    Delegate,
}

impl Binding {
    /// Every choice.
    pub const ALL: [Binding; 3] = [Binding::Auto, Binding::Direct, Binding::Delegate];
}

/// Writes a choice by the name of its variant, and reads it back.
macro_rules! named_choice {
    ($kind:ident) => {
        impl fmt::Display for $kind {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{self:?}")
            }
        }

        impl FromStr for $kind {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let all = $kind::ALL;
                all.into_iter()
                    .find(|choice| choice.to_string().eq_ignore_ascii_case(text))
                    .ok_or_else(|| {
                        let names: Vec<_> = all.iter().map(ToString::to_string).collect();
                        format!("{text:?} is none of {}", names.join(", "))
                    })
            }
        }
    };
}
named_choice!(Goal);
named_choice!(Algorithm);
named_choice!(Binding);

/// A batch of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `namespace/name`.
    pub key: String,
    /// Weight of the batch in Makespan, 1 to 1000.
    pub weight: i64,
    /// What its plan is to be good at.
    pub goal: Goal,
    /// The tasks, in the order of the manifest.
    pub tasks: Vec<Task>,
}

/// One task: a number of equal copies that may each run in several sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Name, unique in the batch.
    pub name: String,
    /// Number of independent copies.
    pub count: u32,
    /// Weight of each copy in FlowTime and Throughput, 1 to 1000.
    pub weight: i64,
    /// Name of the container that gets the computed requests.
    pub container: String,
    /// The container's own requests (limits where it has no request).
    pub own: Resources,
    /// Resources with a range, by name.
    pub ranges: BTreeMap<String, Range>,
    /// The ranged resource that drives the speed-up; the others grow along.
    pub sized: Option<String>,
    /// What the pod costs besides that container.
    pub shape: PodShape,
    /// Where its pods may go.
    pub placement: Placement,
    /// Whether kube-scheduler binds its pods.
    pub delegated: bool,
    /// How long it is expected to take.
    pub estimate: Estimate,
    /// How many pods run it together.
    pub workers: Workers,
    /// What these have to do with each other.
    pub together: Together,
    /// Names of the tasks whose copies must all have ended before.
    pub after: Vec<String>,
    /// When its copies are due, in ms from the creation of the batch: the earlier of its own deadline and the batch's.
    pub deadline: Option<Millis>,
    /// How fast it computes, where 1 is what the estimate says; above 0.
    pub rate: Exact,
    /// Price of a whole node an hour, in the place of the node's own.
    pub price: Option<Exact>,
    /// Name of the flavor, where this is the task on one kind of hardware.
    pub flavor: Option<String>,
    /// The task on each kind of hardware that it can choose from; empty where it has no choice.
    pub flavors: Vec<Task>,
}

impl Task {
    /// The task on each kind of hardware, or as it is.
    pub fn ways(&self) -> &[Task] {
        if self.flavors.is_empty() {
            std::slice::from_ref(self)
        } else {
            &self.flavors
        }
    }

    /// The task on this kind of hardware; as it is if there is none of that name.
    pub fn in_flavor(&self, name: Option<&str>) -> &Task {
        let mut flavors = self.flavors.iter();
        let found = flavors.find(|way| name.is_some() && way.flavor.as_deref() == name);
        found.unwrap_or(self)
    }
}

/// Sizes of one resource, in its unit: min, min + step, ..., and always max.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Smallest amount, at least 0.
    pub min: i64,
    /// Largest amount, at least `min`.
    pub max: i64,
    /// Distance of the amounts in between, at least 1.
    pub step: i64,
}

impl Range {
    /// The most sizes that a range may have.
    pub const MOST_SIZES: i64 = 256;

    /// How many sizes there are.
    pub fn len(&self) -> i64 {
        let span = self.max - self.min;
        1 + span / self.step + i64::from(span % self.step != 0)
    }

    /// Never: there is always `min`.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The sizes, ascending.
    pub fn sizes(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.len()).map(|index| self.min.saturating_add(index * self.step).min(self.max))
    }
}

/// What a pod requests besides the sized container, so that
/// `effective = overlay(max(container + beside, init_peak), pod_level)`, and one pod. The overhead of the runtime class
/// is in each part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodShape {
    /// Sum of the other containers and of the sidecars, and the host ports.
    pub beside: Resources,
    /// Peak of the init phase.
    pub init_peak: Resources,
    /// Pod-level requests, which take the place of the sum for cpu, memory and huge pages.
    pub pod_level: Resources,
}

impl PodShape {
    /// The effective request of the pod, with this much for the sized container.
    pub fn effective(&self, container: &Resources) -> Result<Resources, Overflow> {
        let mut total = container.clone();
        total.add(&self.beside)?;
        total.raise_to(&self.init_peak);
        total.overlay(&self.pod_level);
        total.set(PODS, 1);
        Ok(total)
    }
}

/// Hard rules of the pod template on where it may run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// The node that the pod already names.
    pub node: Option<String>,
    /// Labels that the node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Required node affinity: one of the terms must match; `None` asks nothing.
    pub required: Option<Vec<NodeSelectorTerm>>,
    /// Tolerations.
    pub tolerations: Vec<Toleration>,
    /// Names of nodes to keep off for now.
    pub off: BTreeSet<String>,
}

/// The only field of a node that can be selected by.
pub const NAME_FIELD: &str = "metadata.name";

/// One alternative of a required node affinity: all its expressions must match; an empty one matches nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeSelectorTerm {
    /// On the node's labels.
    pub labels: Vec<Expression>,
    /// On the node's fields; the only field is `metadata.name`.
    pub fields: Vec<Expression>,
}

/// `key operator values`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// Label or field.
    pub key: String,
    /// How to compare.
    pub operator: Operator,
    /// What to compare with.
    pub values: Vec<String>,
}

/// Operators of node selector expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is there and is one of the values.
    In,
    /// The label is absent or none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is a whole number above the value.
    Gt,
    /// The label is a whole number below the value.
    Lt,
}

/// A toleration.
#[derive(Clone, Debug, PartialEq)]
pub struct Toleration {
    /// Key of the taints; `None` with `exists` tolerates every key.
    pub key: Option<String>,
    /// Operator Exists; else the value must be equal.
    pub exists: bool,
    /// Value for the operator Equal.
    pub value: String,
    /// Effect of the taints; `None` is every effect.
    pub effect: Option<TaintEffect>,
}

/// How long one task takes, at its smallest size on a node of speed 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Time to read its data, D, in exact milliseconds.
    pub read: Exact,
    /// Time to compute, P, in exact milliseconds.
    pub process: Exact,
    /// Whether `process` is a guess because the user gave none.
    pub guessed: bool,
    /// Speed-up by size; no meaning without a sized resource.
    pub scaling: Scaling,
    /// How far reading overlaps computing, 0 to 1.
    pub overlap: Exact,
}

/// How computing speeds up with x = amount / smallest amount.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// S(x) = x.
    Linear,
    /// S(x) = 1 / (1 - f + f / x), after Amdahl 1967; f is the parallel fraction.
    Amdahl(Exact),
    /// S(x) = x to the power of the exponent.
    Power(f64),
    /// Measured points (amount, speed-up), by amount; linear in between, constant past the ends.
    Table(Vec<(Exact, Exact)>),
}

/// How many pods run one copy together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers(pub Vec<u32>);

impl Workers {
    /// The smallest number of workers, for which the estimate holds.
    pub fn min(&self) -> u32 {
        self.0.first().copied().unwrap_or(1)
    }
}
