//! Shortfall and Throughput: sum over copies of what their modes are worth, in thousandths.

use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;

use super::{placed, sum};

pub(super) fn objective(instance: &Instance, schedule: &Schedule) -> i64 {
    let value = |copy: usize, mode: usize| instance.task(copy).modes[mode].value;
    sum(placed(schedule).map(|(copy, place)| i128::from(value(copy, place.mode))))
}
