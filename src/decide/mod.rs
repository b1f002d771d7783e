//! What to do next: (observed, plan, now) in, actions and statuses out.

mod world;

pub use world::{
    Action, BindPod, CopyId, CreatePod, DeletePod, Event, Fact, ObjectId, Observed, Outcome, Report, Search, World,
};

use std::time::Duration;

/// What one loop remembers from round to round: nothing that a restart may not forget.
#[derive(Debug, Default)]
pub struct Memory {}

/// One round of the loop. Returns how long to wait for an event before the next one at the latest;
/// `None`: until something happens.
pub async fn round<W: World>(world: &mut W, memory: &mut Memory) -> Result<Option<Duration>, W::Error> {
    let _ = memory;
    let _ = world.observe().await?;
    Ok(None)
}
