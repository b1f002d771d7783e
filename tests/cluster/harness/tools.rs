//! The programs of the control plane and of the user, and how to run one to its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A folder of programs, as `tests/cluster/build.sh` provides it.
#[derive(Clone)]
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Builds what is missing; takes minutes the first time and milliseconds afterwards.
    pub(crate) fn ready() -> Result<Self> {
        let script = source("build.sh");
        let built = Command::new("sh")
            .arg(&script)
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(built.status.success(), "{} failed", script.display());
        Ok(Self {
            folder: String::from_utf8(built.stdout)?.trim().into(),
        })
    }

    /// The path of one program.
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

/// A file of `tests/cluster/`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cluster")
        .join(name)
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct Captured {
    /// Whether the exit code was 0.
    pub(crate) success: bool,
    /// The standard output.
    pub(crate) stdout: String,
    /// The standard error.
    pub(crate) stderr: String,
}

impl Captured {
    /// The standard output of a program that succeeded; else an error with what it said.
    pub(crate) fn ok(self) -> Result<String> {
        ensure!(self.success, "failed: {}{}", self.stdout, self.stderr);
        Ok(self.stdout)
    }
}

/// Runs a program to its end with `input` on its standard input.
pub(crate) async fn capture(mut command: Command, input: String) -> Result<Captured> {
    let run = move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        // A program that does not read its input closes it, which is no error of ours.
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output()?;
        let _ = writer.join();
        Ok(Captured {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    };
    tokio::task::spawn_blocking(run).await?
}
