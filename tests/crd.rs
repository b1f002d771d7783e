//! The CRD that is checked in, and the chart's copy, are what the types say.

use std::path::Path;

use serde_json::Value;
use taskbatch::api;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_checked_in_crds_are_the_generated_one() {
    let wanted = api::crd_yaml().expect("a CRD");
    for path in [
        "crds/taskbatches.taskbatch.dev.yaml",
        "charts/taskbatch/files/taskbatches.taskbatch.dev.yaml",
    ] {
        assert!(
            read(path) == wanted,
            "{path} is not what `taskbatch crd` prints: run `make crds`"
        );
    }
}

#[test]
fn every_field_has_a_description() {
    let crd = serde_json::to_value(api::crd()).expect("JSON");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut missing = Vec::new();
    find_undescribed(schema, "", &mut missing);
    assert!(missing.is_empty(), "no description: {}", missing.join(", "));
}

fn find_undescribed(schema: &Value, path: &str, missing: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"]
            .as_str()
            .is_none_or(|text| text.trim().is_empty())
        {
            missing.push(path.clone());
        }
        find_undescribed(field, &path, missing);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            find_undescribed(&schema[inner], &format!("{path}[]"), missing);
        }
    }
}
