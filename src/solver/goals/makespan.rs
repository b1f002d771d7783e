//! Makespan: sum over batches of weight x last end, in ms.

use crate::model::Millis;
use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;

use super::{placed, sum};

pub(super) fn objective(instance: &Instance, schedule: &Schedule) -> i64 {
    let batches = &instance.problem.batches;
    let mut ends: Vec<Millis> = vec![0; batches.len()];
    for (copy, place) in placed(schedule) {
        let end = &mut ends[instance.task(copy).batch];
        *end = (*end).max(place.end);
    }
    let weighted = batches.iter().zip(ends);
    sum(weighted.map(|(batch, end)| i128::from(batch.weight.max(0)) * i128::from(end)))
}
