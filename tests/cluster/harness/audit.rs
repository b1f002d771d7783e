//! What the API server has written down of those who talk to it.

use anyhow::Result;
use serde_json::Value;

use super::ControlPlane;

/// The entries of the audit log that name this namespace, in the order in which they were answered.
pub(crate) fn audit(cluster: &ControlPlane, namespace: &str) -> Result<Vec<Value>> {
    let log = std::fs::read_to_string(cluster.folder().join("audit.log"))?;
    let lines = log.lines().filter(|line| line.contains(namespace));
    Ok(lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}
