//! How much a container may get of a resource.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Amount;

/// What is right where a range is empty.
pub const RANGE_MESSAGE: &str = "min must be at most max";
/// What is right where a step is not.
pub const STEP_MESSAGE: &str = "step must be above 0";
/// What is right where devices are cut in pieces.
pub const WHOLE_MESSAGE: &str = "devices are counted in whole numbers: min, max and step of a resource such as nvidia.com/gpu must be whole";
pub(super) const WHOLE: &str = "self.all(name, !name.contains('/') || (quantity(string(self[name].min)).isInteger() && (!has(self[name].max) || quantity(string(self[name].max)).isInteger()) && (!has(self[name].step) || quantity(string(self[name].step)).isInteger())))";

/// The sizes of one resource: min, min + step, ..., and always max.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.max) || quantity(string(self.min)).compareTo(quantity(string(self.max))) <= 0").message(RANGE_MESSAGE),
    validation = Rule::new("!has(self.step) || quantity(string(self.step)).isGreaterThan(quantity('0'))").message(STEP_MESSAGE),
)]
pub struct RangeSpec {
    /// Smallest amount.
    pub min: Amount,
    /// Largest amount. Default: the smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Amount>,
    /// Distance of the amounts in between. Default 1 for devices, `min` for cpu and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Amount>,
}
