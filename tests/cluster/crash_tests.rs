//! The operator is killed at every write, and dies and errs by seed; what it leaves is judged from outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::harness::{Checker, Kill, Mix, Sandbox, Test};
use crate::lane::{LANES, Lane, Ran};
use crate::scenario::{SCENARIOS, Scenario};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    a_crash_before_or_after_any_write_breaks_nothing,
    whatever_goes_wrong_on_the_way_breaks_nothing,
];

/// More writes than any scenario takes.
const MOST_WRITES: usize = 60;
/// How many of the crashes of one scenario on one side go on at once.
const LANES_OF_A_SERIES: u64 = 3;

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
    let series = SCENARIOS
        .iter()
        .flat_map(|scenario| sides.map(|side| (scenario, side)));
    let series = series.map(|(scenario, side)| {
        let series = Series {
            scenario,
            side,
            next: AtomicUsize::new(1),
        };
        let (checker, crashes, cluster) = (&checker, &crashes, &sandbox.cluster);
        async move {
            let lanes = (0..LANES_OF_A_SERIES).map(|index| {
                let series = &series;
                async move {
                    let mut lane = Lane::open(cluster, checker).await?;
                    let writes = series.at_every_write(&mut lane, crashes).await?;
                    series
                        .go_on(&mut lane, writes, index, crashes, wanted)
                        .await?;
                    lane.close().await
                }
            });
            try_join_all(lanes).await
        }
    });
    try_join_all(series).await?;
    let (crashes, took) = (crashes.into_inner(), begun.elapsed());
    eprintln!(
        "{crashes} crashes, at every write of {} scenarios, in {took:.0?}",
        SCENARIOS.len()
    );
    Ok(())
}

/// One scenario, with the operator killed on one side of each write.
struct Series {
    scenario: &'static Scenario,
    side: fn(usize) -> Kill,
    /// The write that nobody has taken yet.
    next: AtomicUsize,
}

impl Series {
    /// Kills at the first write, the second, and so on until a batch ends without a crash; returns its writes.
    async fn at_every_write(&self, lane: &mut Lane, crashes: &AtomicU64) -> Result<usize> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let ran = self.killed_at(lane, number, crashes).await?;
            if ran.kills() == 0 {
                let (writes, least) = (ran.writes, self.scenario.least_writes);
                ensure!(writes >= least, "{writes} writes are less than {least}");
                return Ok(writes);
            }
            ensure!(number < MOST_WRITES, "more than {MOST_WRITES} writes");
        }
    }

    /// Goes on with writes by chance.
    async fn go_on(
        &self,
        lane: &mut Lane,
        writes: usize,
        seed: u64,
        crashes: &AtomicU64,
        wanted: u64,
    ) -> Result<()> {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        while crashes.load(Ordering::Relaxed) < wanted {
            self.killed_at(lane, dice.random_range(1..=writes), crashes)
                .await?;
        }
        Ok(())
    }

    async fn killed_at(&self, lane: &mut Lane, number: usize, crashes: &AtomicU64) -> Result<Ran> {
        let kill = (self.side)(number);
        let ran = lane.run(&format!("w{number}"), self.scenario, kill).await;
        let ran = ran.with_context(|| format!("{kill:?}"))?;
        crashes.fetch_add(ran.kills() as u64, Ordering::Relaxed);
        Ok(ran)
    }
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
                let scenario = &SCENARIOS[seed as usize % SCENARIOS.len()];
                let ran = lane.run(&format!("m{seed}"), scenario, Mix::of(seed)).await;
                runs.push(ran.with_context(|| replay(seed))?);
            }
        }
    });
    let runs: Vec<Vec<Ran>> = try_join_all(lanes).await?;
    let runs: Vec<Ran> = runs.into_iter().flatten().collect();
    let hit = tell(&runs, begun.elapsed());
    let missing: Vec<&str> = FAULTS
        .into_iter()
        .filter(|name| !hit.contains_key(name))
        .collect();
    ensure!(
        missing.is_empty() || count < 100,
        "never struck: {missing:?}"
    );
    Ok(())
}

/// What a hundred mixes must have had among them.
const FAULTS: [&str; 17] = [
    "409",
    "410",
    "429",
    "500",
    "503",
    "504",
    "connection reset",
    "delayed",
    "killed after a write",
    "killed before a write",
    "old view",
    "reply lost",
    "watch dropped",
    "watch ended",
    "watch expired",
    "watch frozen",
    "watch late",
];

fn replay(seed: u64) -> String {
    format!(
        "mix {seed}; again: TASKBATCH_MIX={seed} cargo test --test cluster -- whatever_goes_wrong"
    )
}

/// Prints how the mixes went; how often each fault struck.
fn tell(runs: &[Ran], took: Duration) -> BTreeMap<&'static str, usize> {
    let mut hit: BTreeMap<&'static str, usize> = BTreeMap::new();
    for ran in runs {
        for (name, count) in &ran.hit {
            *hit.entry(name).or_default() += count;
        }
    }
    let mut converged: Vec<Duration> = runs.iter().map(|ran| ran.converged).collect();
    converged.sort();
    let median = converged
        .get(converged.len() / 2)
        .copied()
        .unwrap_or_default();
    let most = converged.last().copied().unwrap_or_default();
    eprintln!(
        "{} mixes in {took:.0?}, converged {median:.1?} after the last fault, at most {most:.1?}: {hit:?}",
        runs.len()
    );
    hit
}
