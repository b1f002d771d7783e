//! `taskbatch run`.

use clap::Args;

use super::{Error, Exit};

/// Options of the operator.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {}

/// Runs the operator.
pub fn run(_: &RunArgs) -> Result<Exit, Error> {
    Err(Error::Machine("run is not wired yet".into()))
}
