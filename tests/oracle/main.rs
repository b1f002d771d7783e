//! Requests and filters against Kubernetes itself: a Go program over the scheduler's own code answers the same
//! questions, see `tests/cluster/oracle`. `TASKBATCH_CASES` asks for more than every run does.

mod dice;
mod docs;
mod filters;
mod neighbours;
mod oracle;
mod pair;
mod planted;
mod protobuf;
mod quantities;
mod requests;
mod resources;
mod rules;

/// How many cases a test tries, unless the environment says more; `share` is its part of what that asks for.
fn cases(normal: u64, share: f64) -> u64 {
    let asked = std::env::var("TASKBATCH_CASES").ok();
    let asked: Option<u64> = asked.and_then(|cases| cases.parse().ok());
    asked.map_or(normal, |cases| (cases as f64 * share) as u64)
}
