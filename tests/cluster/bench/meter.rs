//! Processor time and memory of the parts while something is measured.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::rig::Rig;
use crate::harness::{Operator, Usage};

/// The components beside the operator whose time is told apart.
const SCHEDULER: &str = "kube-scheduler";
const API_SERVER: &str = "kube-apiserver";

/// What one process has used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Part {
    /// Time on a processor, in seconds.
    pub(crate) cpu: f64,
    /// The most resident memory, in bytes.
    pub(crate) peak: u64,
}

/// What everybody has used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Spent {
    /// The operator, if it ran.
    pub(crate) operator: Option<Part>,
    /// kube-scheduler, which always runs.
    pub(crate) scheduler: Part,
    /// kube-apiserver.
    pub(crate) api_server: Part,
    /// Everything that is part of the measurement, with etcd, the controllers and the plain client, in seconds: what
    /// limits a machine with few processors, whoever else works on it.
    pub(crate) all: f64,
    /// Processor time of everybody who is no part of the measurement, in seconds: a machine that is shared.
    pub(crate) others: f64,
}

/// Measures from its beginning to its end.
pub(crate) struct Meter<'a> {
    rig: &'a Rig,
    operator: Option<&'a Operator>,
    at_first: Moment,
}

struct Moment {
    operator: Option<Usage>,
    scheduler: Usage,
    api_server: Usage,
    everybody: Duration,
    ours: Duration,
}

impl<'a> Meter<'a> {
    /// Begins, with peaks as of now.
    pub(crate) fn begin(rig: &'a Rig, operator: Option<&'a Operator>) -> Result<Self> {
        rig.cluster.forget_peak(SCHEDULER)?;
        rig.cluster.forget_peak(API_SERVER)?;
        operator.map(Operator::forget_peak).transpose()?;
        Ok(Self {
            rig,
            operator,
            at_first: Moment::now(rig, operator)?,
        })
    }

    /// What was used since.
    pub(crate) fn end(self) -> Result<Spent> {
        let first = self.at_first;
        let last = Moment::now(self.rig, self.operator)?;
        let part = |first: Usage, last: Usage| Part {
            cpu: last.cpu.saturating_sub(first.cpu).as_secs_f64(),
            peak: last.peak,
        };
        let everybody = last.everybody.saturating_sub(first.everybody);
        let ours = last.ours.saturating_sub(first.ours);
        Ok(Spent {
            operator: first
                .operator
                .zip(last.operator)
                .map(|(first, last)| part(first, last)),
            scheduler: part(first.scheduler, last.scheduler),
            api_server: part(first.api_server, last.api_server),
            all: ours.as_secs_f64(),
            others: everybody.saturating_sub(ours).as_secs_f64(),
        })
    }
}

impl Moment {
    fn now(rig: &Rig, operator: Option<&Operator>) -> Result<Self> {
        let operator = operator.map(Operator::usage).transpose()?;
        let own = operator.map_or(Duration::ZERO, |usage| usage.cpu);
        Ok(Self {
            operator,
            scheduler: rig.cluster.usage(SCHEDULER)?,
            api_server: rig.cluster.usage(API_SERVER)?,
            everybody: machine()?,
            ours: rig.cluster.processor_time()? + Usage::of(std::process::id())?.cpu + own,
        })
    }
}

/// Time that the processors of the machine have worked since it was started.
fn machine() -> Result<Duration> {
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().context("no line in /proc/stat")?;
    let ticks = first.split_ascii_whitespace().skip(1);
    let ticks: Vec<u32> = ticks.map(str::parse).collect::<Result<_, _>>()?;
    // user, nice, system, idle, iowait, irq, softirq
    let worked = ticks.iter().take(3).chain(ticks.iter().skip(5).take(2));
    Ok(TICK * worked.sum::<u32>())
}
