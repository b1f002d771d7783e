//! Child processes that log to a file and never outlive the tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A running program; dropping it kills it.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a process has used, as the kernel counts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Time on a processor since the start, in user and system mode.
    pub(crate) cpu: Duration,
    /// Resident memory now, in bytes.
    pub(crate) rss: u64,
    /// The most of it since the start, or since the peak was forgotten.
    pub(crate) peak: u64,
}

impl Usage {
    /// Processor time and memory of a process, from `/proc`.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        // Linux reports in ticks of 1/100 s to every program, whatever the kernel counts in.
        const TICK: Duration = Duration::from_millis(10);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is the name in brackets and may hold spaces; the state follows as field 3.
        let (_, fields) = stat.rsplit_once(") ").context("no fields in stat")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = fields[14 - 3].parse::<u32>()? + fields[15 - 3].parse::<u32>()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |field: &str| -> Result<u64> {
            let found = status.lines().find_map(|line| line.strip_prefix(field));
            let kib = found.context("the process has ended")?.trim();
            Ok(kib.trim_end_matches(" kB").parse::<u64>()? * 1024)
        };
        Ok(Self {
            cpu: TICK * ticks,
            rss: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
        })
    }
}

impl Process {
    /// Starts `program`; what it prints goes to `<logs>/<name>.log`, after what is already there.
    ///
    /// The kernel kills it when the thread that calls this ends. The main thread, a thread of the task runtime
    /// and the thread of a test all live long enough; one of `spawn_blocking` does not.
    pub(crate) fn spawn(
        name: &str,
        program: &Path,
        arguments: &[String],
        logs: &Path,
    ) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = dying_with_us(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self {
            name: name.into(),
            child,
            log,
        })
    }

    /// Its name, as its log has it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has printed.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// An error with the end of the log if the process has ended.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}\n{}", self.name, self.log_tail()),
        }
    }

    /// The last lines of the log, for an error message.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(25)..];
        format!("the end of {}:\n{}", self.log.display(), tail.join("\n"))
    }

    /// Kills it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Asks it to stop (SIGTERM) and waits until it has; an error when it has not within `patience`.
    pub(crate) async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.ended(patience).await
    }

    /// Stops it where it stands (SIGSTOP), as a machine that is frozen.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// The standard library only knows SIGKILL.
    fn signal(&self, name: &str) -> Result<()> {
        let signalled = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.pid())])
            .status()?;
        anyhow::ensure!(signalled.success(), "{} is not there", self.name);
        Ok(())
    }

    /// Waits until it ends by itself; an error when it has not within `patience`.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "{} lives after {patience:?}\n{}",
            self.name,
            self.log_tail()
        )
    }

    /// Processor time and memory.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid())
    }

    /// Lets the peak of its memory begin anew, at what it holds now.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.pid()), "5")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before; either way nothing is left to do about an error.
        let _ = self.kill();
    }
}

/// A command whose process the kernel kills together with this one, even after SIGKILL, without a change of its
/// id. Without `setpriv` (util-linux), only a SIGKILL of the tests leaves processes behind.
pub(crate) fn dying_with_us(program: &Path) -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    const FLAGS: [&str; 2] = ["--pdeathsig", "KILL"];
    let available = *SETPRIV.get_or_init(|| {
        let trial = Command::new("setpriv")
            .args(FLAGS)
            .arg("true")
            .stderr(Stdio::null())
            .status();
        trial.is_ok_and(|status| status.success())
    });
    if !available {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(FLAGS).arg(program);
    command
}
