//! `taskbatch demo`.

use clap::Args;

use super::{Error, Exit};

/// Options of the demo.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {}

/// Runs the demo.
pub fn demo(_: &DemoArgs) -> Result<Exit, Error> {
    Err(Error::Machine("demo is not wired yet".into()))
}
