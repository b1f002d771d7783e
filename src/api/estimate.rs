//! How long a copy takes, and how that changes with its size.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Amount;
use super::grammar::{DECIMAL, DURATION, DURATION_MESSAGE, FRACTION, FRACTION_MESSAGE};

/// What is right where the kind of scaling lacks its parameter.
pub const SCALING_MESSAGE: &str = "type Amdahl needs parallelFraction, type Power needs exponent, type Table needs points, and none of them stands with another type";

/// How long one copy takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Time to read its data. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub read: Option<String>,
    /// Time to compute, at the smallest size on a node of speed 1. Default 5m, marked as a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(DURATION).message(DURATION_MESSAGE))]
    pub process: Option<String>,
    /// How computing speeds up with the size. Default Linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingSpec>,
    /// How far reading overlaps computing, from "0" to "1". Default "0".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(FRACTION).message(FRACTION_MESSAGE))]
    pub overlap: Option<String>,
}

/// How computing speeds up with x = amount / smallest amount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.parallelFraction) == (self.type == 'Amdahl') && has(self.exponent) == (self.type == 'Power') && has(self.points) == (self.type == 'Table')").message(SCALING_MESSAGE))]
pub struct ScalingSpec {
    /// The resource that drives it; the other ranges grow along. Default: the first device by name with a range, else cpu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub resource: Option<String>,
    /// Linear: x. Amdahl: 1 / (1 - f + f / x). Power: x to the exponent. Table: measured points. Default Linear.
    #[serde(default, rename = "type")]
    pub kind: ScalingType,
    /// The part f of the work that runs in parallel, for Amdahl, from "0" to "1".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(FRACTION).message(FRACTION_MESSAGE))]
    pub parallel_fraction: Option<String>,
    /// The exponent, for Power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub exponent: Option<String>,
    /// Measured speed-ups, for Table; linear in between, constant past the ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub points: Option<Vec<SpeedupPoint>>,
}

/// The law of the speed-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScalingType {
    /// S(x) = x.
    #[default]
    Linear,
    /// S(x) = 1 / (1 - f + f / x).
    Amdahl,
    /// S(x) = x to the power of the exponent.
    Power,
    /// Measured points.
    Table,
}

/// One measured speed-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeedupPoint {
    /// Amount of the resource.
    pub amount: Amount,
    /// Speed-up at this amount, relative to any fixed unit.
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub speedup: String,
}
