//! `taskbatch version`: what was built.

use clap::{Args, ValueEnum};
use kube::Resource;
use serde::Serialize;

use super::{Error, Exit, print};
use crate::api::TaskBatch;

/// How to print.
#[derive(Clone, Debug, Args)]
pub struct VersionArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// What was built.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    api_version: String,
    os: &'static str,
    arch: &'static str,
    profile: &'static str,
}

/// Prints the version.
pub fn version(args: &VersionArgs) -> Result<Exit, Error> {
    let built = Version {
        version: env!("CARGO_PKG_VERSION"),
        api_version: TaskBatch::api_version(&()).into_owned(),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        profile: if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        },
    };
    print(|out| match args.output {
        Format::Text => writeln!(
            out,
            "taskbatch {} ({}, {}/{}, {})",
            built.version, built.api_version, built.os, built.arch, built.profile
        ),
        Format::Json => {
            serde_json::to_writer(&mut *out, &built)?;
            writeln!(out)
        }
    })?;
    Ok(Exit::Done)
}
