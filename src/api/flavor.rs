//! Kinds of hardware.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grammar::DECIMAL;
use super::range::{RangeSpec, WHOLE, WHOLE_MESSAGE};

/// A kind of hardware that a task can run on. What it says is added to the template; where both say something of the same label or resource, the flavor holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlavorSpec {
    /// Name, unique in the task: lower case letters, digits and dashes.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Labels that the nodes have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "tolerations")]
    pub tolerations: Vec<Value>,
    /// Ranges of resources beside those of the task, or in their place. The estimate holds at the smallest size of the flavor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    #[x_kube(validation = Rule::new(WHOLE).message(WHOLE_MESSAGE))]
    pub resources: BTreeMap<String, RangeSpec>,
    /// How fast it computes at its smallest size, where "1" is what the estimate says. Default "1".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub rate: Option<String>,
    /// Price of a whole node an hour, in the place of the node's own, for the goal Cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL))]
    pub price: Option<String>,
}

fn tolerations(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": {
            "type": "object",
            "description": "A toleration, as in a Pod.",
            "x-kubernetes-preserve-unknown-fields": true,
        },
    })
}
