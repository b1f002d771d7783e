//! Batches that take every kind of write to run: creates and binds, retries, gangs, deletes, statuses.

use anyhow::{Context, Result, ensure};
use taskbatch::api::TaskBatch;

use crate::batch::Manifest;
use crate::harness::{Noted, Tally};

/// A batch, what its user does meanwhile, and how it must end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    manifest: fn() -> Manifest,
    /// How many copies it has.
    copies: usize,
    /// How many of its pods fail of themselves.
    failures: usize,
    /// Its user stops it once while a pod runs, and lets it go on when none is left.
    pub(crate) is_stopped: bool,
    /// The operator deletes it in the end.
    pub(crate) expires: bool,
    /// It takes at least so many writes.
    pub(crate) least_writes: usize,
}

/// A failed attempt is followed by another.
const RETRIES: Scenario = Scenario {
    name: "retries",
    manifest: || {
        Manifest::new("")
            .task("one", "count: 2\nresources: {cpu: {min: 1}}", QUICK)
            .task(
                "two",
                "retry: {limit: 1, backoff: {initial: 0s}}",
                &[("run-for", "100ms"), ("fail-below-attempt", "1")],
            )
    },
    copies: 3,
    failures: 1,
    is_stopped: false,
    expires: false,
    // Creates and binds of four pods, and a status.
    least_writes: 9,
};

/// A gang waits for another task.
const STAGES: Scenario = Scenario {
    name: "stages",
    manifest: || {
        let gang =
            "gang: {workers: {min: 2, max: 2}}\ndependsOn: [first]\nresources: {cpu: {min: 1}}";
        Manifest::new("")
            .task("first", "", QUICK)
            .task("gang", gang, QUICK)
    },
    copies: 2,
    failures: 0,
    is_stopped: false,
    expires: false,
    least_writes: 7,
};

/// What runs is stopped and begins again, one after the other for want of room; nothing is left in the end.
const STOPPED: Scenario = Scenario {
    name: "stopped",
    manifest: || {
        let fields = "count: 2\nresources: {cpu: {min: 2}}\nestimate: {process: 1s}";
        Manifest::new("ttlSecondsAfterFinished: 1").task("work", fields, &[("run-for", "700ms")])
    },
    copies: 2,
    failures: 0,
    is_stopped: true,
    expires: true,
    // Three pods, the delete of one of them and of the batch, and a status.
    least_writes: 9,
};

/// Two gangs of which only one has room at a time.
const GANGS: Scenario = Scenario {
    name: "gangs",
    manifest: || {
        let gangs = "count: 2\ngang: {workers: {min: 3}}\nresources: {cpu: {min: 1}}";
        Manifest::new("").task("gangs", gangs, QUICK)
    },
    copies: 2,
    failures: 0,
    is_stopped: false,
    expires: false,
    // The Service, creates and binds of six pods, and a status.
    least_writes: 14,
};

const QUICK: &[(&str, &str)] = &[("run-for", "100ms")];

/// All of them.
pub(crate) const SCENARIOS: [Scenario; 4] = [RETRIES, STAGES, STOPPED, GANGS];

impl Scenario {
    /// The batch, under this name.
    pub(crate) fn batch(&self, name: &str) -> Result<TaskBatch> {
        // Planning is tested elsewhere; here it only takes time from others.
        let yaml = (self.manifest)()
            .yaml()
            .replace("timeLimit: 200ms", "iterations: 1");
        let mut batch: TaskBatch = serde_saphyr::from_str(&yaml).context("the manifest")?;
        batch.metadata.name = Some(name.to_owned());
        Ok(batch)
    }

    /// Whether every copy has ended as it must and no work was lost or done twice, by the pods alone.
    pub(crate) fn is_ended(&self, noted: &Noted, uid: &str) -> Result<()> {
        let tally = noted.books.tally(uid);
        let all: Vec<&Tally> = tally.values().collect();
        let sum = |part: fn(&Tally) -> usize| all.iter().map(|tally| part(tally)).sum::<usize>();
        ensure!(
            all.len() == self.copies,
            "{} copies have pods: {tally:#?}",
            all.len()
        );
        let is_done = |tally: &&Tally| match tally.late {
            0 => tally.succeeded == 1,
            _ => tally.succeeded <= 1,
        };
        ensure!(
            all.iter().copied().all(|tally| is_done(&tally)),
            "{tally:#?}"
        );
        ensure!(sum(|tally| tally.failed) == self.failures, "{tally:#?}");
        let most = self.copies + self.failures + usize::from(self.is_stopped);
        ensure!(
            sum(|tally| tally.started) <= most,
            "work was done twice: {tally:#?}"
        );
        Ok(())
    }
}
