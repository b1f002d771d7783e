//! What happens after a failed attempt.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grammar::{DECIMAL, DURATION, DURATION_MESSAGE};

/// What happens after a failed attempt. Pods that a node rejected or lost do not count as attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How many failed attempts are followed by another one, from 0 to 100. Default 3.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 100))]
    pub limit: i64,
    /// How long to wait before the next attempt.
    #[serde(default)]
    pub backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            limit: three(),
            backoff: Backoff::default(),
        }
    }
}

/// Wait initial x factor^(failures - 1), at most max.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// Wait after the first failure. Default 10s.
    #[serde(default = "ten_seconds")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub initial: String,
    /// Growth of the wait from failure to failure. Default "2".
    #[serde(default = "two")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub factor: String,
    /// Longest wait. Default 5m.
    #[serde(default = "five_minutes")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub max: String,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: ten_seconds(),
            factor: two(),
            max: five_minutes(),
        }
    }
}

fn three() -> i64 {
    3
}

fn two() -> String {
    "2".into()
}

fn ten_seconds() -> String {
    "10s".into()
}

fn five_minutes() -> String {
    "5m".into()
}
