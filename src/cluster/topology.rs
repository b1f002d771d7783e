//! Reads the operator's description of the network between nodes.

use serde::Deserialize;
use serde_json::Value;

use super::{duration, quantity};
use crate::api::{Amount, DURATION_MESSAGE, Fault};
use crate::constraint;
use crate::model::{Exact, HOST, HOSTNAME, Level, Topology, ceil_i64, exact};

/// The most levels: racks, rooms, zones and regions are four.
const MOST_LEVELS: usize = 8;
/// The longest alias.
const LONGEST_ALIAS: usize = 63;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopologySpec {
    levels: Vec<LevelSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LevelSpec {
    node_label: String,
    alias: String,
    bandwidth: Option<Amount>,
    latency: Option<String>,
}

/// Reads `levels: [{nodeLabel, alias, bandwidth, latency}]`, outermost first. Lists everything that is wrong with it.
pub fn read(value: &Value) -> Result<Topology, Vec<Fault>> {
    let spec: TopologySpec = serde_path_to_error::deserialize(value).map_err(|error| {
        let field = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        vec![Fault::new(field, error.into_inner().to_string())]
    })?;
    let mut faults = Vec::new();
    if spec.levels.len() > MOST_LEVELS {
        let message = format!(
            "{} levels are too many, at most {MOST_LEVELS}",
            spec.levels.len()
        );
        faults.push(Fault::new("levels", message));
    }
    let mut levels: Vec<Level> = Vec::new();
    for (index, level) in spec.levels.iter().enumerate() {
        let at = format!("levels[{index}]");
        let is_last = index + 1 == spec.levels.len();
        check_names(&spec.levels[..index], level, is_last, &at, &mut faults);
        let level = Level {
            alias: level.alias.clone(),
            label: level.node_label.clone(),
            bandwidth: read_bandwidth(level, &at, &mut faults),
            latency: read_latency(level, &at, &mut faults),
        };
        if let Some(outside) = levels.last() {
            check_speed(outside, &level, (index, &spec.levels), &mut faults);
        }
        levels.push(level);
    }
    if faults.is_empty() {
        Ok(Topology { levels })
    } else {
        Err(faults)
    }
}

fn check_names(
    known: &[LevelSpec],
    level: &LevelSpec,
    is_last: bool,
    at: &str,
    faults: &mut Vec<Fault>,
) {
    let alias = &level.alias;
    let is_plain = |text: &str| {
        let mut bytes = text.bytes();
        bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if alias.is_empty() || alias.len() > LONGEST_ALIAS || !is_plain(alias) {
        let message = format!(
            "{alias:?} must be of small letters, digits and dashes, at most {LONGEST_ALIAS}"
        );
        faults.push(Fault::new(format!("{at}.alias"), message));
    } else if known.iter().any(|other| other.alias == *alias) {
        faults.push(Fault::new(
            format!("{at}.alias"),
            format!("{alias:?} stands twice"),
        ));
    } else if alias == HOST && level.node_label != HOSTNAME {
        let message = format!("{HOST:?} is a single node: it needs nodeLabel {HOSTNAME}");
        faults.push(Fault::new(format!("{at}.alias"), message));
    }
    let label = &level.node_label;
    if !constraint::is_label_key(label) {
        let message = format!("{label:?} is no name of a label");
        faults.push(Fault::new(format!("{at}.nodeLabel"), message));
    } else if known.iter().any(|other| other.node_label == *label) {
        let message = format!("{label:?} stands twice");
        faults.push(Fault::new(format!("{at}.nodeLabel"), message));
    } else if label == HOSTNAME && !is_last {
        let message = format!("{HOSTNAME} must be the last level: nothing is inside of a node");
        faults.push(Fault::new(format!("{at}.nodeLabel"), message));
    }
}

fn read_bandwidth(level: &LevelSpec, at: &str, faults: &mut Vec<Fault>) -> Option<Exact> {
    let text = &level.bandwidth.as_ref()?.0;
    let found = quantity::parse(text).ok().filter(|it| *it > exact(0));
    if found.is_none() {
        let message = format!("{text:?} must be bytes a second above 0, such as 10G or 400Mi");
        faults.push(Fault::new(format!("{at}.bandwidth"), message));
    }
    found
}

fn read_latency(level: &LevelSpec, at: &str, faults: &mut Vec<Fault>) -> Exact {
    let Some(text) = &level.latency else {
        return exact(0);
    };
    let found = duration::parse(text).filter(|millis| ceil_i64(millis).is_some());
    found.unwrap_or_else(|| {
        let message = format!("{text:?} {DURATION_MESSAGE}");
        faults.push(Fault::new(format!("{at}.latency"), message));
        exact(0)
    })
}

/// What leaves a domain takes the links within it too, so that no level is slower than one outside of it.
fn check_speed(
    outside: &Level,
    level: &Level,
    (index, specs): (usize, &[LevelSpec]),
    faults: &mut Vec<Fault>,
) {
    let (own, other) = (&specs[index], &specs[index - 1]);
    let why = "what leaves a domain takes the links within it too";
    let is_slower = match (&level.bandwidth, &outside.bandwidth) {
        (Some(level), Some(outside)) => level < outside,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if is_slower {
        let outside = other.bandwidth.as_ref().map_or("no limit", |it| &it.0);
        let message = format!(
            "{} is less than the {outside} of {} outside: {why}",
            own.bandwidth.as_ref().map_or("", |it| &it.0),
            other.alias
        );
        faults.push(Fault::new(format!("levels[{index}].bandwidth"), message));
    }
    if level.latency > outside.latency {
        let message = format!(
            "{} is more than the {} of {} outside: {why}",
            own.latency.as_deref().unwrap_or("0s"),
            other.latency.as_deref().unwrap_or("0s"),
            other.alias
        );
        faults.push(Fault::new(format!("levels[{index}].latency"), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn levels_are_read_exactly() {
        let found = read(&json!({"levels": [
            {"nodeLabel": "topology.kubernetes.io/zone", "alias": "zone", "bandwidth": "1G", "latency": "1ms"},
            {"nodeLabel": "example.com/rack", "alias": "rack", "bandwidth": "10G", "latency": "50us"},
            {"nodeLabel": HOSTNAME, "alias": "node"},
        ]}));
        let topology = found.expect("good levels");
        assert_eq!(topology.levels[1].bandwidth, Some(exact(10_000_000_000i64)));
        assert_eq!(topology.levels[1].latency, Exact::new(1.into(), 20.into()));
        assert_eq!(topology.aliases(), ["zone", "rack", "node", "host"]);
        let found = ["zone", "rack", "node", "host", "room"].map(|alias| topology.find(alias));
        assert_eq!(found, [Some(0), Some(1), Some(3), Some(3), None]);
    }

    #[test]
    fn each_fault_names_field_and_value() {
        let faults = |levels: Value| -> Vec<String> {
            let found = read(&json!({ "levels": levels })).expect_err("faults");
            found.iter().map(ToString::to_string).collect()
        };
        let rack = |more: Value| {
            let mut level = json!({"nodeLabel": "rack", "alias": "rack"});
            let fields = more.as_object().expect("fields").clone();
            level.as_object_mut().expect("an object").extend(fields);
            level
        };
        for (levels, wanted) in [
            (
                json!([rack(json!({"bandwidth": "0"}))]),
                "levels[0].bandwidth: \"0\"",
            ),
            (
                json!([rack(json!({"latency": "fast"}))]),
                "levels[0].latency: \"fast\"",
            ),
            (
                json!([rack(json!({"alias": "Rack"}))]),
                "levels[0].alias: \"Rack\"",
            ),
            (
                json!([rack(json!({"alias": "host"}))]),
                "levels[0].alias: \"host\"",
            ),
            (
                json!([rack(json!({"nodeLabel": "a/b/c"}))]),
                "levels[0].nodeLabel: \"a/b/c\"",
            ),
            (
                json!([rack(json!({})), rack(json!({}))]),
                "levels[1].alias: \"rack\" stands twice",
            ),
            (
                json!([{"nodeLabel": HOSTNAME, "alias": "node"}, rack(json!({}))]),
                "levels[0].nodeLabel: kubernetes.io/hostname must be the last level",
            ),
            (
                json!([
                    {"nodeLabel": "zone", "alias": "zone", "bandwidth": "10G"},
                    rack(json!({"bandwidth": "1G", "latency": "1ms"})),
                ]),
                "levels[1].bandwidth: 1G is less than the 10G of zone outside",
            ),
        ] {
            let found = faults(levels);
            assert!(found[0].starts_with(wanted), "{found:?}, wanted {wanted}");
        }
        let found = read(&json!({"levels": [{"alias": "rack", "label": "rack"}]}));
        assert_eq!(found.expect_err("a fault")[0].field, "levels[0].label");
    }
}
