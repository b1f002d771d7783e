//! FlowTime: sum over copies of weight x end, in ms.

use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;

use super::{placed, sum};

pub(super) fn objective(instance: &Instance, schedule: &Schedule) -> i64 {
    let weight = |copy: usize| i128::from(instance.task(copy).weight);
    sum(placed(schedule).map(|(copy, place)| weight(copy) * i128::from(place.end)))
}
