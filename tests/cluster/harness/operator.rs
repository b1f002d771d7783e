//! The operator as a process of its own, to be started, killed and asked as in a cluster.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::ControlPlane;
use super::process::{Process, Usage};
use super::wait::{eventually, free_ports, get, seconds};

const PROGRAM: &str = env!("CARGO_BIN_EXE_taskbatch");

/// A running `taskbatch run`; dropping it kills it.
pub(crate) struct Operator {
    process: Process,
    listen: SocketAddr,
}

#[allow(dead_code, reason = "each test uses the part that it needs")]
impl Operator {
    /// Whether the program has the command `run`.
    pub(crate) fn is_built() -> bool {
        let help = Command::new(PROGRAM).args(["run", "--help"]).output();
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--kubeconfig"))
    }

    /// Starts it with this kubeconfig and further arguments, and returns at once.
    pub(crate) fn launch(
        cluster: &ControlPlane,
        kubeconfig: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let [port] = free_ports()?;
        let listen = SocketAddr::from(([127, 0, 0, 1], port));
        let kubeconfig = kubeconfig.display().to_string();
        let fixed = [
            "run".into(),
            "--kubeconfig".into(),
            kubeconfig,
            "--listen".into(),
            listen.to_string(),
        ];
        let all: Vec<String> = fixed
            .into_iter()
            .chain(arguments.iter().map(ToString::to_string))
            .collect();
        let name = cluster.unique("operator");
        let process = Process::spawn(&name, Path::new(PROGRAM), &all, cluster.folder())?;
        Ok(Self { process, listen })
    }

    /// Starts it and waits until it says that it is ready.
    pub(crate) async fn start(
        cluster: &ControlPlane,
        kubeconfig: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut operator = Self::launch(cluster, kubeconfig, arguments)?;
        operator.ready().await?;
        Ok(operator)
    }

    /// Waits until `/readyz` answers with 200.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let listen = self.listen;
        let answered = eventually(seconds(20), async || {
            let (status, body) = get(listen, "/readyz").await?;
            ensure!(status == 200, "/readyz answers {status}: {body}");
            Ok(())
        });
        answered
            .await
            .map_err(|error| error.context(self.process.log_tail()))
    }

    /// Status and body of one of its pages, as `/metrics`.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, String)> {
        get(self.listen, path).await
    }

    /// Kills it without a chance to tidy up.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.ensure_running().is_err()
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.process.terminate(patience).await
    }

    /// Stops it where it stands, as a machine that is frozen.
    pub(crate) fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.process.ended(patience).await
    }

    /// Everything that it has logged.
    pub(crate) fn log(&self) -> Result<String> {
        self.process.log()
    }

    /// Lets the peak of its memory begin anew.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        self.process.forget_peak()
    }

    /// Its processor time and memory.
    pub(crate) fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }
}
