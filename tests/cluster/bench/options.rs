//! What to measure, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::Serialize;

/// Measures the operator beside the real kube-scheduler, on a real control plane.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "bench-cluster")]
pub(crate) struct Options {
    /// Nodes for throughput and reaction
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) nodes: usize,
    /// Pods to create and bind, at most 10000
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) pods: usize,
    /// How often each side of a comparison is measured
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) repetitions: usize,
    /// Requests under way at once of the plain client; the operator has as many
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) connections: usize,
    /// Tasks, or pods of a Job, of which the reaction is measured
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) tasks: usize,
    /// How often the reaction of each side is measured
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) reactions: usize,
    /// Nodes for restart and memory
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(crate) big_nodes: usize,
    /// Pods that are there when the operator is restarted
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) big_pods: usize,
    /// Pods that are there when its memory is measured
    #[arg(long, value_name = "N", default_value_t = 150_000)]
    pub(crate) most_pods: usize,
    /// How often the operator is restarted
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) restarts: usize,
    /// How long the operator is watched while nothing happens, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) idle: u64,
    /// What to measure; may be repeated; default: everything
    #[arg(long = "part", value_name = "PART", value_enum)]
    pub(crate) parts: Vec<Part>,
    /// How the figures are printed
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "table"
    )]
    #[serde(skip)]
    pub(crate) output: Format,
    /// A file for the figures, as JSON
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Part {
    /// Pods created and bound a second, one CPU each
    Throughput,
    /// The same with one of eight GPUs each
    Gpu,
    /// Time from apply until all pods are bound
    Reaction,
    /// Time from the start of the process until it works
    Restart,
    /// Memory with many pods
    Memory,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

impl Options {
    /// Whether this part was asked for.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// How long nothing happens.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle)
    }
}
