//! What no pod template may have: fields that TaskBatch sets itself. Who may bind the pods is another question, see
//! `binding`.

use serde_json::{Value, json};

use crate::api::{Fault, FlavorSpec, RESERVED, RESTART_MESSAGE};

/// What is reserved or wrong; `at` is the path of the pod spec.
pub fn faults(spec: &Value, at: &str) -> Vec<Fault> {
    let Some(fields) = spec.as_object() else {
        return vec![Fault::new(
            at,
            "must be a pod spec: an object with containers",
        )];
    };
    let mut found = Vec::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        if let Some((_, message)) = RESERVED.iter().find(|(reserved, _)| reserved == name) {
            found.push(Fault::new(at, *message));
        } else if name == "restartPolicy" && value != "Never" {
            found.push(Fault::new(at, RESTART_MESSAGE));
        }
    }
    found
}

/// The pod spec on hardware of this flavor.
pub fn in_flavor(spec: &Value, flavor: Option<&FlavorSpec>) -> Value {
    let mut spec = spec.clone();
    let Some(flavor) = flavor else { return spec };
    for (label, value) in &flavor.node_selector {
        spec["nodeSelector"][label] = json!(value);
    }
    if !flavor.tolerations.is_empty() {
        let mut all = spec["tolerations"].as_array().cloned().unwrap_or_default();
        all.extend(flavor.tolerations.iter().cloned());
        spec["tolerations"] = json!(all);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reserved_fields_are_refused_and_others_are_not() {
        for (spec, faulty) in [
            (json!({"nodeName": "n"}), true),
            (json!({"schedulerName": "default-scheduler"}), true),
            (json!({"schedulingGates": [{"name": "g"}]}), true),
            (json!({"restartPolicy": "OnFailure"}), true),
            (json!("x"), true),
            (json!({"restartPolicy": "Never", "nodeName": null}), false),
            (
                json!({"resourceClaims": [{"name": "a"}], "fieldOfTomorrow": 1}),
                false,
            ),
        ] {
            let fields: Vec<String> = faults(&spec, "spec")
                .into_iter()
                .map(|it| it.field)
                .collect();
            let expected: &[&str] = if faulty { &["spec"] } else { &[] };
            assert_eq!(fields, expected, "{spec}");
        }
    }
}
