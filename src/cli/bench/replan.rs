//! A batch that has changed a little.

use super::Limit;
use super::draw::Draw;
use super::world::World;

/// One of so many tasks changes.
const SHARE: usize = 100;
/// The next plan gets this part of the time of the first one.
const PART: u32 = 20;

/// The same world after 1 % of the tasks, at least one, have changed: in turn one has a new estimate, one is
/// new, one is gone.
pub(super) fn changed(world: &World, seed: u64) -> World {
    let mut after = world.clone();
    let draw = &mut Draw::new(seed ^ 0x5eed_c4a9_6e00);
    let tasks = &mut after.batch.tasks;
    for round in 0..tasks.len().div_ceil(SHARE) {
        let index = draw.between(0, tasks.len() as i64 - 1) as usize;
        match round % 3 {
            0 => tasks[index].estimate.process = draw.length(300_000.0),
            1 => {
                // A new name: it is another task, and the earlier plan says nothing of it.
                let mut task = tasks[index].clone();
                task.name = format!("new{round:05}");
                task.estimate.process = draw.length(300_000.0);
                tasks.push(task);
            }
            _ => {
                tasks.remove(index);
            }
        }
    }
    after
}

/// How long the next plan may take; a limit of iterations stays.
pub(super) fn limit(first: Limit) -> Limit {
    match first {
        Limit::Time(most) => Limit::Time(most / PART),
        Limit::Iterations(most) => Limit::Iterations(most),
    }
}
