//! The command line: one command a file. Nothing here decides; commands read, call the core and print.

pub mod bench;
pub mod chart;
pub mod completion;
pub mod crd;
pub mod demo;
pub mod gantt;
pub mod manifest;
pub mod number;
pub mod plan;
#[cfg(feature = "cluster")]
pub mod run;
pub mod svg;
pub mod version;
pub mod wording;

#[cfg(test)]
mod chart_tests;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Plans, sizes, places and runs batches of AI tasks on Kubernetes.
///
/// Installed a second time as kubectl-taskbatch, it is also `kubectl taskbatch`.
#[derive(Debug, Parser)]
#[command(name = "taskbatch", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator: plan the batches of a cluster, create and bind their pods, see them to their end.
    #[cfg(feature = "cluster")]
    Run(run::RunArgs),
    /// Plan batches without a cluster, from the manifests that kubectl reads.
    Plan(plan::PlanArgs),
    /// Plan and run an example batch on a simulated cluster, in this process, as a time lapse.
    Demo(demo::DemoArgs),
    /// Measure the searches on generated instances, or on files of others.
    Bench(bench::BenchArgs),
    /// Print the CustomResourceDefinition, for kubectl apply.
    Crd,
    /// Print the completion script of a shell.
    Completion(completion::CompletionArgs),
    /// Print the version.
    Version(version::VersionArgs),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Done,
    /// A copy cannot be placed.
    Unplaced,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::Unplaced => ExitCode::from(3),
        }
    }
}

/// Why a command could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line contradicts itself, or the files that it names.
    #[error("{0}")]
    Usage(String),
    /// Files that cannot be read, or are wrong.
    #[error(transparent)]
    Files(#[from] manifest::FileFaults),
    /// A plan that the check refused: a mistake in this program.
    #[error(
        "the plan did not pass the check and is not shown; this is a mistake in taskbatch, please report it:\n{0}"
    )]
    Unverified(String),
    /// Standard output.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
    /// Anything else that the machine does not give.
    #[error("{0}")]
    Machine(String),
}

impl Error {
    /// The code of the process: 2 for usage, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Error::Usage(_) => ExitCode::from(2),
            Error::Files(_) | Error::Unverified(_) | Error::Io(_) | Error::Machine(_) => {
                ExitCode::FAILURE
            }
        }
    }
}

/// Writes to standard output in large pieces. A reader that has seen enough, such as `head`, is no error.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
