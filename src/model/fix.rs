//! What would make a task fit, as values: each can be applied, and said in one line.

use std::fmt;

use super::host_port::{is_host_port, shown};
use super::{CPU, PODS, Resources, Taint, is_extended};

/// The smallest change with which a copy would fit: applied it fits, one step less it does not. A step is one
/// unit of a resource (a milli-CPU, a byte, a device), one pod, one node, or one item of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fix {
    /// Let the container request at most this much, of all that is named together.
    Lower {
        /// The largest requests of the container that fit.
        to: Resources,
        /// How many nodes then have room for one pod.
        nodes: usize,
    },
    /// Run on at most so many pods.
    FewerPods {
        /// The most pods that fit together.
        pods: u32,
    },
    /// Add nodes that the task's rules admit, each with this much free.
    AddNodes {
        /// How many.
        count: u32,
        /// What one pod needs in all.
        room: Resources,
        /// Whether a rule leaves no node so far, so that the new ones must match it.
        matching: bool,
        /// What the operator calls the level of the network that all of them must be in one new domain of.
        within: Option<String>,
    },
    /// Free so much more on a node.
    Free {
        /// Name of the node.
        node: String,
        /// What is missing there.
        more: Resources,
    },
    /// Make the rules admit nodes that have room.
    Admit {
        /// All that must change together.
        mends: Vec<Mend>,
    },
    /// Place the tasks that this one depends on.
    PlaceDependencies,
}

/// One change of a node or of a rule, so that the node admits the task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mend {
    /// Make the node Ready; Kubernetes then takes off the taints that say it is not.
    Ready(String),
    /// Uncordon the node; Kubernetes then takes off the taint of the cordon.
    Uncordon(String),
    /// Set a label of a node.
    Label {
        /// Name of the node.
        node: String,
        /// Label.
        key: String,
        /// Its new value.
        value: String,
    },
    /// Let the task tolerate a taint.
    Tolerate(Taint),
    /// Take the required node affinity out of the task, or change it so that it matches the node.
    Affinity(String),
}

impl fmt::Display for Fix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fix::Lower { to, nodes } => {
                let fit = if to.iter().count() == 1 {
                    "fits"
                } else {
                    "fit together"
                };
                write!(
                    out,
                    "at most {} {fit}, on {}",
                    list(to),
                    count(*nodes as u64, "node")
                )
            }
            Fix::FewerPods { pods } => {
                let fit = if *pods == 1 { "fits" } else { "fit together" };
                write!(out, "at most {} {fit}", count(u64::from(*pods), "such pod"))
            }
            Fix::AddNodes {
                count,
                room,
                matching,
                within,
            } => {
                let (room, rules) = (list(room), rules(*matching));
                let one = if *count == 1 { "a" } else { "one new" };
                let within = within.as_ref().map(|alias| format!(" in {one} {alias}"));
                let within = within.unwrap_or_default();
                match count {
                    1 => write!(out, "add a node{within} with {room} free{rules}"),
                    _ => write!(
                        out,
                        "add {count} nodes{within}, each with {room} free{rules}"
                    ),
                }
            }
            Fix::Free { node, more } => write!(out, "free {} more on {node}", list(more)),
            Fix::Admit { mends } => {
                let mends: Vec<String> = mends.iter().map(ToString::to_string).collect();
                out.write_str(&mends.join(" and "))
            }
            Fix::PlaceDependencies => out.write_str("place what it depends on"),
        }
    }
}

impl fmt::Display for Mend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mend::Ready(node) => write!(out, "make {node} ready"),
            Mend::Uncordon(node) => write!(out, "uncordon {node}"),
            Mend::Label { node, key, value } => write!(out, "label {node} with {key}={value}"),
            Mend::Tolerate(Taint { key, value, effect }) => {
                let equals = if value.is_empty() { "" } else { "=" };
                write!(out, "tolerate the taint {key}{equals}{value}:{effect:?}")
            }
            Mend::Affinity(node) => write!(out, "let its node affinity match {node}"),
        }
    }
}

fn rules(matching: bool) -> &'static str {
    if matching {
        " that its rules admit"
    } else {
        ""
    }
}

fn count(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// `4 cpu, 16Gi memory and 2 nvidia.com/gpu`; one pod goes without saying.
fn list(amounts: &Resources) -> String {
    let is_shown = |(name, _): &(&str, i64)| *name != PODS || amounts.iter().count() == 1;
    let mut parts: Vec<String> = amounts
        .iter()
        .filter(is_shown)
        .map(|(name, amount)| format!("{} {name}", quantity(name, amount)))
        .collect();
    match parts.pop() {
        Some(last) if parts.is_empty() => last,
        Some(last) => format!("{} and {last}", parts.join(", ")),
        None => "room for one pod".into(),
    }
}

const BINARY: [(&str, u32); 6] = [
    ("Ei", 60),
    ("Pi", 50),
    ("Ti", 40),
    ("Gi", 30),
    ("Mi", 20),
    ("Ki", 10),
];

/// Writes an amount as a Kubernetes quantity that reads back as the same amount.
pub fn quantity(resource: &str, amount: i64) -> String {
    if is_host_port(resource) {
        return shown(amount).to_string();
    }
    if resource == CPU {
        return match amount % 1000 {
            0 => (amount / 1000).to_string(),
            _ => format!("{amount}m"),
        };
    }
    if !is_extended(resource) {
        for (suffix, bits) in BINARY {
            let unit = 1i64 << bits;
            if amount != 0 && amount % unit == 0 {
                return format!("{}{suffix}", amount / unit);
            }
        }
    }
    amount.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MEMORY, TaintEffect};

    #[test]
    fn a_fix_is_one_line() {
        let gpu = |amount| -> Resources { [("nvidia.com/gpu", amount)].into_iter().collect() };
        let both: Resources = [(CPU, 1500), (MEMORY, 3 << 30)].into_iter().collect();
        let add = |count, matching, within: Option<&str>| Fix::AddNodes {
            count,
            room: gpu(8),
            matching,
            within: within.map(str::to_owned),
        };
        let taint = Taint {
            key: "gpu".into(),
            value: "".into(),
            effect: TaintEffect::NoSchedule,
        };
        let mends = vec![Mend::Uncordon("n1".into()), Mend::Tolerate(taint)];
        let free = Fix::Free {
            node: "n1".into(),
            more: gpu(2),
        };
        for (fix, words) in [
            (
                Fix::Lower {
                    to: gpu(8),
                    nodes: 12,
                },
                "at most 8 nvidia.com/gpu fits, on 12 nodes",
            ),
            (
                Fix::Lower { to: both, nodes: 1 },
                "at most 1500m cpu and 3Gi memory fit together, on 1 node",
            ),
            (Fix::FewerPods { pods: 1 }, "at most 1 such pod fits"),
            (
                Fix::FewerPods { pods: 3 },
                "at most 3 such pods fit together",
            ),
            (add(1, false, None), "add a node with 8 nvidia.com/gpu free"),
            (
                add(2, true, None),
                "add 2 nodes, each with 8 nvidia.com/gpu free that its rules admit",
            ),
            (
                add(2, false, Some("rack")),
                "add 2 nodes in one new rack, each with 8 nvidia.com/gpu free",
            ),
            (free, "free 2 nvidia.com/gpu more on n1"),
            (
                Fix::Admit { mends },
                "uncordon n1 and tolerate the taint gpu:NoSchedule",
            ),
        ] {
            assert_eq!(fix.to_string(), words);
        }
    }
}
