//! Tardiness: sum over copies of weight x time after they are due, in ms. It comes before every goal with ends.

use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;

use super::placed;

pub(super) fn of(instance: &Instance, schedule: &Schedule) -> i128 {
    if !instance.has_dues {
        return 0;
    }
    let late = |copy: usize, end| instance.task(copy).tardiness(end);
    let each = placed(schedule).map(|(copy, place)| late(copy, place.end));
    each.fold(0, i128::saturating_add)
}
