//! What a node leaves on a machine if nobody tidies up.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::cgroup::Cgroups;
use crate::node::{BRIDGE, NODE_ADDRESS, SERVICE_ADDRESS};

/// All that can be seen from here of a node that works in `folder`, one line each.
pub(crate) fn traces(folder: &Path, cgroups: &Cgroups) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let place = folder.display().to_string();
    for mount in fs::read_to_string("/proc/self/mounts")?.lines() {
        if mount.contains(&place) {
            found.push(format!("mount {mount}"));
        }
    }
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_string_lossy().into_owned();
        // Processes come and go while they are listed.
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if pid.parse::<u32>().is_ok() && command.contains(&place) {
            found.push(format!("process {pid} {command}"));
        }
    }
    for group in cgroups.existing()? {
        found.push(format!("cgroup {}", group.display()));
    }
    // /sys would show the links of the network in which it was mounted.
    for line in fs::read_to_string("/proc/net/dev")?.lines() {
        let (name, _) = line.split_once(':').unwrap_or_default();
        if name.trim() == BRIDGE {
            found.push(format!("link {BRIDGE}"));
        }
    }
    let table = fs::read_to_string("/proc/net/fib_trie")?;
    for address in [SERVICE_ADDRESS, NODE_ADDRESS] {
        if table.contains(&format!("|-- {address}\n")) {
            found.push(format!("address {address}"));
        }
    }
    let forwarding = fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?;
    found.push(format!("ip_forward {}", forwarding.trim()));
    Ok(found)
}
