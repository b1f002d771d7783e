//! Lower bounds (for Throughput upper ones) that hold for every valid plan of the placed copies.
//!
//! One bound a file, each with its proof. All of them work on one relaxation (`relaxation.rs`). Those that need no
//! learning are in integers: an area that does not fit 128 bits saturates downwards, a capacity upwards, so that
//! rounding never makes a bound wrong. Those that are learnt (`learnt.rs`) evaluate prices in floats and take off a
//! margin that is proved to be more than all rounding (`price.rs`). Objectives are whole numbers, so a fraction above a
//! lower bound rounds up.

mod area;
mod canonical;
mod class_prices;
mod cost;
mod ends;
mod held;
mod learnt;
mod longest;
mod mean_busy;
mod prices;
mod relaxation;
mod separable;
mod smith;
mod tardiness;

use crate::model::{Goal, Millis};

use super::instance::Instance;
use relaxation::{Job, Relaxation, Share, is_within};

pub(super) use learnt::Learnt;
pub(super) use prices::tariff::Prices;
pub(super) use tardiness::{earliest_ends, tardiness};

/// A bound and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub value: i64,
    pub name: &'static str,
}

type Rule = (&'static str, fn(&Relaxation) -> i128);

const MAKESPAN: [Rule; 4] = [
    ("longest path", longest::makespan),
    ("area", area::makespan),
    ("canonical allotment", canonical::makespan),
    ("batches in Smith's order", smith::makespan),
];
const FLOW_TIME: [Rule; 2] = [
    ("longest paths", longest::flow_time),
    ("mean busy time", mean_busy::flow_time),
];
const COST: [Rule; 1] = [("cheapest modes", cost::cost)];
const SHORTFALL: [Rule; 3] = [
    ("best modes", separable::shortfall),
    ("pooled", separable::pooled_shortfall),
    ("class prices", class_prices::shortfall),
];
const THROUGHPUT: [Rule; 3] = [
    ("best modes", separable::throughput),
    ("pooled", separable::pooled_throughput),
    ("class prices", class_prices::throughput),
];

/// The best bound on the goal over all plans that place so many copies of each task, of those that need no
/// learning.
pub(super) fn best(instance: &Instance, placed: &[u64]) -> Bound {
    let is_maximised = instance.problem.goal.is_maximised();
    let better = |best: Bound, bound: Bound| {
        let is_better = if is_maximised {
            bound.value < best.value
        } else {
            bound.value > best.value
        };
        if is_better { bound } else { best }
    };
    all(instance, placed)
        .into_iter()
        .reduce(better)
        .unwrap_or(Bound::new(0, "none"))
}

/// All of them, the cheap ones first.
pub(super) fn all(instance: &Instance, placed: &[u64]) -> Vec<Bound> {
    let relaxation = Relaxation::new(instance, placed);
    let rules: &[Rule] = match instance.problem.goal {
        Goal::Makespan => &MAKESPAN,
        Goal::FlowTime => &FLOW_TIME,
        Goal::Cost => &COST,
        Goal::Shortfall => &SHORTFALL,
        Goal::Throughput => &THROUGHPUT,
    };
    rules
        .iter()
        .map(|(name, rule)| Bound::new(rule(&relaxation), name))
        .collect()
}

impl Bound {
    fn new(value: i128, name: &'static str) -> Self {
        let clamped = if value < 0 { i64::MIN + 1 } else { i64::MAX };
        Self {
            value: i64::try_from(value).unwrap_or(clamped),
            name,
        }
    }
}

/// When each batch ends at the earliest, if it has all nodes: canonical allotments.
pub(super) fn ends(instance: &Instance) -> Vec<Millis> {
    let counts: Vec<u64> = instance
        .tasks
        .iter()
        .map(|task| task.copies.len() as u64)
        .collect();
    let ends = canonical::ends(&Relaxation::new(instance, &counts)).into_iter();
    ends.map(|end| Millis::try_from(end).unwrap_or(Millis::MAX))
        .collect()
}

/// Quotient rounded up, for a divisor above 0.
pub(super) fn divide_up(dividend: i128, divisor: i128) -> i128 {
    dividend.div_euclid(divisor) + i128::from(dividend.rem_euclid(divisor) > 0)
}
