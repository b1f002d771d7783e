//! TaskBatch: argument parsing and wiring only.

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use mimalloc::MiMalloc;
use taskbatch::cli::{self, Cli, Command, Exit};

/// A quarter of the operator's time went into the allocator of glibc, and that of musl, in the image, is slower.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let command = named(Cli::command());
    let parsed =
        Cli::from_arg_matches(&command.clone().get_matches()).unwrap_or_else(|error| error.exit());
    match execute(parsed, command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("{}", shown(&error));
            error.exit_code()
        }
    }
}

fn execute(parsed: Cli, command: clap::Command) -> Result<Exit, cli::Error> {
    match parsed.command {
        Command::Run(args) => cli::run::run(&args),
        Command::Plan(args) => cli::plan::plan(&args),
        Command::Demo(args) => cli::demo::demo(&args),
        Command::Bench(args) => cli::bench::bench(&args),
        Command::Crd => cli::crd::crd(),
        Command::Completion(args) => cli::completion::completion(&args, command),
        Command::Version(args) => cli::version::version(&args),
    }
}

/// Faults of files begin with the file's name, as compilers write them; other errors say that they are one.
fn shown(error: &cli::Error) -> String {
    match error {
        cli::Error::Files(faults) => faults.to_string(),
        other => format!("error: {other}"),
    }
}

/// As a plugin of kubectl the program goes by that name.
fn named(command: clap::Command) -> clap::Command {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&path)
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if name == "kubectl-taskbatch" {
        command
            .name("kubectl-taskbatch")
            .bin_name("kubectl taskbatch")
    } else {
        command
    }
}
