//! What a real node needs of this machine, and how the machine is left as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cgroup::Cgroups;
use crate::harness::{dying_with_us, interrupted};
use crate::image::run;
use crate::node::Place;
use crate::traces::traces;

/// The variable that tells the inner run its place, as [`Place::write`] writes it.
const INSIDE: &str = "TASKBATCH_E2E_INSIDE";

/// A folder, a control group and the packages of a node; [`Ground::clear`] takes them away again.
pub(crate) struct Ground {
    place: Place,
    switched: Vec<String>,
    before: Vec<String>,
}

impl Ground {
    /// Prepares everything outside; an error says what this machine lacks.
    pub(crate) fn prepare() -> Result<Self> {
        ensure!(is_root()?, "a node needs root");
        let packages = run(Command::new("sh").arg(source("packages.sh")))
            .context("the packages of a node cannot be had")?;
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        fs::create_dir_all(&all)?;
        clear_old(&all)?;
        let pid = std::process::id();
        let mut ground = Self {
            place: Place {
                folder: all.join(pid.to_string()),
                packages: packages.trim().into(),
                cgroup: cgroup_of(pid),
            },
            switched: Vec::new(),
            before: Vec::new(),
        };
        if let Err(lack) = ground.furnish() {
            ground.clear(false)?;
            return Err(lack);
        }
        Ok(ground)
    }

    /// Makes what is outside, and tries out what will be needed inside.
    fn furnish(&mut self) -> Result<()> {
        fs::create_dir_all(&self.place.folder)?;
        self.before = traces(&self.place.folder, &self.cgroups())?;
        self.switched = self.cgroups().create()?;
        run(&mut self.inside(Path::new("true"))).context("a ground of its own cannot be had")?;
        Ok(())
    }

    fn cgroups(&self) -> Cgroups {
        Cgroups {
            name: self.place.cgroup.clone(),
        }
    }

    /// A command in namespaces of its own, as `inside.sh` prepares them.
    fn inside(&self, program: &Path) -> Command {
        let flags = [
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "sh",
        ];
        let mut command = dying_with_us(Path::new("unshare"));
        command
            .args(flags)
            .arg(source("inside.sh"))
            .arg(&self.place.folder)
            .arg(&self.place.packages)
            .arg(program);
        command
    }

    /// Runs this program again, inside, with the same arguments; `None` when somebody wants it to end.
    pub(crate) async fn run(&self) -> Result<Option<ExitStatus>> {
        let mut command = self.inside(&std::env::current_exe()?);
        command.args(std::env::args_os().skip(1));
        let mut child = command.env(INSIDE, self.place.write()).spawn()?;
        let interrupted = interrupted();
        tokio::pin!(interrupted);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            tokio::select! {
                wanted = &mut interrupted => {
                    wanted?;
                    child.kill()?;
                    child.wait()?;
                    return Ok(None);
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }

    /// Takes everything away; an error names what cannot be.
    pub(crate) fn clear(self, keep_logs: bool) -> Result<()> {
        self.cgroups().remove(&self.switched)?;
        if !keep_logs {
            fs::remove_dir_all(&self.place.folder)?;
        }
        let mut left = traces(&self.place.folder, &self.cgroups())?;
        left.retain(|one| !self.before.contains(one));
        ensure!(left.is_empty(), "left behind: {left:#?}");
        Ok(())
    }
}

impl Place {
    /// For the inner run.
    fn write(&self) -> String {
        let (folder, packages) = (self.folder.display(), self.packages.display());
        format!("{folder}\n{packages}\n{}", self.cgroup)
    }

    /// The place of this run, if it is the inner one.
    pub(crate) fn of_this_run() -> Option<Self> {
        let written = std::env::var(INSIDE).ok()?;
        let mut lines = written.lines();
        Some(Self {
            folder: lines.next()?.into(),
            packages: lines.next()?.into(),
            cgroup: lines.next()?.to_owned(),
        })
    }
}

/// Removes what runs left that were killed themselves.
fn clear_old(all: &Path) -> Result<()> {
    for entry in fs::read_dir(all)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Ok(pid) = name.parse() else { continue };
        if !Path::new("/proc").join(&*name).exists() {
            Cgroups {
                name: cgroup_of(pid),
            }
            .remove(&[])?;
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn cgroup_of(pid: u32) -> String {
    format!("taskbatch-e2e-{pid}")
}

fn is_root() -> Result<bool> {
    Ok(run(Command::new("id").arg("-u"))?.trim() == "0")
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/e2e")
        .join(name)
}
