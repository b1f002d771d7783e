//! The most memory that this process has held, as Linux counts it.

use std::fs;

/// A peak of memory, and since when it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peak {
    /// In bytes.
    pub(super) bytes: u64,
    /// Whether it is of the time since [`reset`], or else of the process so far.
    pub(super) is_reset: bool,
}

/// Begins a new peak; whether the kernel permits it.
pub(super) fn reset() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The peak so far; `None` where there is no /proc.
pub(super) fn peak(is_reset: bool) -> Option<Peak> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Peak {
        bytes: kib * 1024,
        is_reset,
    })
}
