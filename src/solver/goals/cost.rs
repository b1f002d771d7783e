//! Cost: sum over pods of what each costs while its copy runs, in millionths.

use crate::solver::instance::Instance;
use crate::solver::instance::cheapest::pod_cost;
use crate::solver::schedule::{Placed, Schedule};

use super::{placed, sum};

pub(super) fn objective(instance: &Instance, schedule: &Schedule) -> i64 {
    sum(placed(schedule).map(|(copy, place)| of_copy(instance, schedule, copy, place)))
}

fn of_copy(instance: &Instance, schedule: &Schedule, copy: usize, place: &Placed) -> i128 {
    let (task, duration) = (instance.task_of[copy], place.end - place.start);
    let mode = &instance.tasks[task].modes[place.mode];
    let pod = |&node: &usize| {
        let run = instance.run(task, mode, node);
        run.map_or(0, |run| pod_cost(run, duration))
    };
    let nodes = schedule.nodes(place).iter();
    nodes.map(|node| i128::from(pod(node))).sum()
}
