//! The operator is killed at every write, and dies and errs by seed; what it leaves is judged from outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::harness::{Checker, Kill, Mix, Sandbox, Test};
use crate::lane::{Lane, Ran};
use crate::scenario::{SCENARIOS, Scenario};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_crash_before_or_after_any_write_breaks_nothing,
    whatever_goes_wrong_on_the_way_breaks_nothing,
];

/// More writes than any scenario takes.
const MOST_WRITES: usize = 60;
/// How many mixes run at once. Each of them waits most of the time: for pods, and for what it backs off from.
const LANES: usize = 24;

/// A number from the environment, for longer runs.
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// `TASKBATCH_CRASHES` in the environment goes on with writes by chance until there were so many crashes.
async fn a_crash_before_or_after_any_write_breaks_nothing(sandbox: Sandbox) -> Result<()> {
    let begun = Instant::now();
    let checker = Arc::new(Checker::start(&sandbox.cluster)?);
    let sides: [fn(usize) -> Kill; 2] = [Kill::Before, Kill::After];
    let crashes = AtomicU64::new(0);
    let wanted = asked("TASKBATCH_CRASHES").unwrap_or(0);
    let lanes = SCENARIOS.iter().flat_map(|scenario| sides.map(|side| (scenario, side)));
    let lanes = lanes.enumerate().map(|(index, (scenario, side))| {
        let (checker, crashes, cluster) = (&checker, &crashes, &sandbox.cluster);
        async move {
            let mut lane = Lane::open(cluster, checker).await?;
            let writes = at_every_write(&mut lane, scenario, side, crashes).await?;
            let mut dice = ChaCha8Rng::seed_from_u64(index as u64);
            while crashes.load(Ordering::Relaxed) < wanted {
                let kill = side(dice.random_range(1..=writes));
                let ran = lane.run("again", scenario, kill).await;
                let ran = ran.with_context(|| format!("{kill:?}"))?;
                crashes.fetch_add(ran.kills() as u64, Ordering::Relaxed);
            }
            lane.close().await
        }
    });
    try_join_all(lanes).await?;
    let (crashes, took) = (crashes.into_inner(), begun.elapsed());
    eprintln!("{crashes} crashes, each at another write, in {took:.0?}");
    Ok(())
}

/// Kills at the first write, the second, and so on until the batch ends without a crash; returns its writes.
async fn at_every_write(
    lane: &mut Lane,
    scenario: &Scenario,
    side: fn(usize) -> Kill,
    crashes: &AtomicU64,
) -> Result<usize> {
    for number in 1..MOST_WRITES {
        let ran = lane.run(&format!("w{number}"), scenario, side(number)).await;
        let ran = ran.with_context(|| format!("{:?}", side(number)))?;
        if ran.kills() == 0 {
            let (writes, least) = (ran.writes, scenario.least_writes);
            ensure!(writes >= least, "{writes} writes are less than {least}");
            return Ok(writes);
        }
        crashes.fetch_add(1, Ordering::Relaxed);
    }
    anyhow::bail!("more than {MOST_WRITES} writes for {}", scenario.name)
}

/// `TASKBATCH_MIXES` in the environment asks for more mixes, `TASKBATCH_MIX` for one alone.
async fn whatever_goes_wrong_on_the_way_breaks_nothing(sandbox: Sandbox) -> Result<()> {
    let begun = Instant::now();
    let checker = Arc::new(Checker::start(&sandbox.cluster)?);
    let (first, count) = match asked("TASKBATCH_MIX") {
        Some(seed) => (seed, 1),
        None => (0, asked("TASKBATCH_MIXES").unwrap_or(500)),
    };
    let next = AtomicU64::new(first);
    let lanes = (0..LANES.min(count as usize)).map(|_| {
        let (checker, next, cluster) = (&checker, &next, &sandbox.cluster);
        async move {
            let mut lane = Lane::open(cluster, checker).await?;
            let mut runs = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    lane.close().await?;
                    return anyhow::Ok(runs);
                }
                let scenario = &SCENARIOS[(seed % 3) as usize];
                let ran = lane.run(&format!("m{seed}"), scenario, Mix::of(seed)).await;
                runs.push(ran.with_context(|| replay(seed))?);
            }
        }
    });
    let runs: Vec<Vec<Ran>> = try_join_all(lanes).await?;
    let runs: Vec<Ran> = runs.into_iter().flatten().collect();
    tell(&runs, begun.elapsed());
    Ok(())
}

fn replay(seed: u64) -> String {
    format!("mix {seed}; again: TASKBATCH_MIX={seed} cargo test --test cluster -- whatever_goes_wrong")
}

fn tell(runs: &[Ran], took: Duration) {
    let mut hit: BTreeMap<&str, usize> = BTreeMap::new();
    for ran in runs {
        for (name, count) in &ran.hit {
            *hit.entry(name).or_default() += count;
        }
    }
    let mut converged: Vec<Duration> = runs.iter().map(|ran| ran.converged).collect();
    converged.sort();
    let median = converged.get(converged.len() / 2).copied().unwrap_or_default();
    let most = converged.last().copied().unwrap_or_default();
    eprintln!(
        "{} mixes in {took:.0?}, converged {median:.1?} after the last fault, at most {most:.1?}: {hit:?}",
        runs.len()
    );
}
