//! `taskbatch completion SHELL`: completion scripts.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::{Error, Exit, print};

/// Which shell.
#[derive(Clone, Debug, Args)]
pub struct CompletionArgs {
    /// The shell; for bash: source <(taskbatch completion bash)
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script for `command`, under the name by which it was called.
pub fn completion(args: &CompletionArgs, mut command: Command) -> Result<Exit, Error> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    print(|out| out.write_all(&script))?;
    Ok(Exit::Done)
}
