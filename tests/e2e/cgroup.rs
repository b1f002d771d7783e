//! The control groups of the node, of version 1 and 2: made, read and removed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

const MOUNT: &str = "/sys/fs/cgroup";
/// What a kubelet wants to control; huge pages only where the kernel has them.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "memory", "pids", "hugetlb"];

/// The groups below one name, in every hierarchy.
#[derive(Clone)]
pub(crate) struct Cgroups {
    /// The name of the topmost group, as the kubelet is told it.
    pub(crate) name: String,
}

/// What the kernel holds a container or pod to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most processor time, in thousandths of a processor; `None` without a limit.
    pub(crate) cpu: Option<u64>,
    /// Most memory, in bytes.
    pub(crate) memory: Option<u64>,
    /// Part of the processor when others want it too. Version 2 has weights, whose scale differs between runtimes.
    pub(crate) shares: Option<u64>,
}

impl Cgroups {
    /// Makes the topmost group; an error where this machine does not let us. Returns what was switched on for it.
    pub(crate) fn create(&self) -> Result<Vec<String>> {
        let mut switched = Vec::new();
        for hierarchy in hierarchies()? {
            let group = hierarchy.join(&self.name);
            if is_unified() {
                switched = switch_on(&hierarchy)?;
            }
            fs::create_dir(&group).with_context(|| format!("cannot make {}", group.display()))?;
            // In version 1, a new group has no processors and no memory nodes, and then takes no process.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let (from, to) = (hierarchy.join(file), group.join(file));
                if !is_unified() && from.exists() {
                    fs::write(to, fs::read(from)?)?;
                }
            }
        }
        Ok(switched)
    }

    /// Removes all groups; their processes have ended, or are just ending.
    pub(crate) fn remove(&self, switched: &[String]) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        for hierarchy in hierarchies()? {
            while let Err(error) = remove_all(&hierarchy.join(&self.name)) {
                if Instant::now() >= deadline {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            for controller in switched {
                fs::write(
                    hierarchy.join("cgroup.subtree_control"),
                    format!("-{controller}"),
                )?;
            }
        }
        Ok(())
    }

    /// The topmost groups that exist.
    pub(crate) fn existing(&self) -> Result<Vec<PathBuf>> {
        let all = hierarchies()?
            .into_iter()
            .map(|hierarchy| hierarchy.join(&self.name));
        Ok(all.filter(|group| group.exists()).collect())
    }

    /// The groups of pods that exist, by their paths in one hierarchy.
    pub(crate) fn pods(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let is_pod = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("pod")
        };
        collect(
            &hierarchy_of("memory").join(&self.name),
            &is_pod,
            &mut found,
        )?;
        Ok(found)
    }

    /// What a pod, or one container of it, is held to.
    pub(crate) fn limits(&self, uid: &str, container: Option<&str>) -> Result<Limits> {
        let group = |controller: &str| self.group(controller, uid, container);
        if is_unified() {
            let group = group("cpu")?;
            let text = read(&group.join("cpu.max"))?;
            let (quota, period) = text.split_once(' ').context("cpu.max has two numbers")?;
            return Ok(Limits {
                cpu: thousandths(quota.parse().ok(), period.parse()?),
                memory: read(&group.join("memory.max"))?.parse().ok(),
                shares: None,
            });
        }
        let (cpu, memory) = (group("cpu")?, group("memory")?);
        // -1 stands for no limit, and so does a memory limit near i64::MAX.
        let quota = read(&cpu.join("cpu.cfs_quota_us"))?.parse().ok();
        let bytes: u64 = read(&memory.join("memory.limit_in_bytes"))?.parse()?;
        Ok(Limits {
            cpu: thousandths(quota, read(&cpu.join("cpu.cfs_period_us"))?.parse()?),
            memory: Some(bytes).filter(|bytes| *bytes < 1 << 62),
            shares: Some(read(&cpu.join("cpu.shares"))?.parse()?),
        })
    }

    /// The processes of a container, as seen from here.
    pub(crate) fn processes(&self, uid: &str, container: &str) -> Result<Vec<u32>> {
        let group = self.group("memory", uid, Some(container))?;
        let text = fs::read_to_string(group.join("cgroup.procs"))?;
        Ok(text.lines().map(str::parse).collect::<Result<_, _>>()?)
    }

    fn group(&self, controller: &str, uid: &str, container: Option<&str>) -> Result<PathBuf> {
        let wanted = format!("pod{uid}");
        let is_it = |path: &Path| path.file_name().is_some_and(|name| *name == *wanted);
        let mut found = Vec::new();
        collect(
            &hierarchy_of(controller).join(&self.name),
            &is_it,
            &mut found,
        )?;
        let pod = found.pop().with_context(|| format!("no group {wanted}"))?;
        Ok(container.map_or(pod.clone(), |id| pod.join(id)))
    }
}

fn is_unified() -> bool {
    Path::new(MOUNT).join("cgroup.controllers").exists()
}

/// The folders of the hierarchies: one in version 2, one for each set of controllers in version 1.
fn hierarchies() -> Result<Vec<PathBuf>> {
    if is_unified() {
        return Ok(vec![MOUNT.into()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(MOUNT).context("there are no control groups")? {
        // `cpu` may be a link to `cpu,cpuacct`.
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            found.push(path);
        }
    }
    ensure!(!found.is_empty(), "there are no control groups");
    Ok(found)
}

fn hierarchy_of(controller: &str) -> PathBuf {
    let mount = Path::new(MOUNT);
    if is_unified() {
        mount.into()
    } else {
        mount.join(controller)
    }
}

/// Lets groups below the root have the controllers that a kubelet wants; returns those that they did not have.
fn switch_on(root: &Path) -> Result<Vec<String>> {
    let words = |file: &str| -> Result<Vec<String>> {
        let text = fs::read_to_string(root.join(file))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    let (available, on) = (
        words("cgroup.controllers")?,
        words("cgroup.subtree_control")?,
    );
    let mut switched = Vec::new();
    for controller in CONTROLLERS {
        let there = available.iter().any(|one| one == controller);
        ensure!(
            there || controller == "hugetlb",
            "the control groups have no {controller}"
        );
        if there && !on.iter().any(|one| one == controller) {
            fs::write(
                root.join("cgroup.subtree_control"),
                format!("+{controller}"),
            )
            .with_context(|| format!("the control groups do not let us use {controller}"))?;
            switched.push(controller.to_owned());
        }
    }
    Ok(switched)
}

fn thousandths(quota: Option<u64>, period: u64) -> Option<u64> {
    quota.map(|quota| quota * 1000 / period)
}

fn read(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(text.trim().to_owned())
}

/// All groups below `folder` for which `wanted` holds; a group may vanish meanwhile.
fn collect(folder: &Path, wanted: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if wanted(&path) {
            found.push(path.clone());
        }
        collect(&path, wanted, found)?;
    }
    Ok(())
}

/// A group is removed as an empty folder; its files are not files.
fn remove_all(folder: &Path) -> Result<()> {
    let mut all = Vec::new();
    collect(folder, &|_| true, &mut all)?;
    // Each group was found before those in it.
    for group in all.iter().rev().map(PathBuf::as_path).chain([folder]) {
        match fs::remove_dir(group) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", group.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
