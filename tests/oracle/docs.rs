//! The tables of `docs/scheduling.md` against the code, and against all names that Kubernetes has.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use taskbatch::cluster::binding::{Binder, binder};
use taskbatch::cluster::template;

use super::oracle::compare;

/// The rows of the table below this head, as cells.
fn table(head: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scheduling.md");
    let text = std::fs::read_to_string(path).expect("docs/scheduling.md");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with(head))
        .skip(2);
    let cells = |row: &str| {
        row.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    rows.take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Names that Kubernetes has, of one kind.
fn words(kind: &str) -> BTreeSet<String> {
    let answers: Vec<Vec<Value>> = compare(
        0..1,
        |_| json!({"words": true}),
        |found: &mut Vec<Value>, _, _, answer| {
            found.push(answer.clone());
        },
    );
    let words = answers.concat().remove(0)[kind].take();
    serde_json::from_value(words).expect("a list of names")
}

/// A pod spec with this field.
fn spec(field: &str, value: &Value) -> Value {
    let (group, name) = field.split_once('.').expect("a path");
    match group {
        "spec" => json!({name: value}),
        "containers[]" => json!({"containers": [{name: value}]}),
        "volumes[]" => json!({"volumes": [{"name": "v", name: value}]}),
        _ => panic!("{field} is in no group"),
    }
}

fn judged(spec: &Value) -> &'static str {
    if !template::faults(spec, "spec").is_empty() {
        return "refused";
    }
    match binder(spec, "spec") {
        Binder::Direct => "Direct",
        Binder::Delegate(_) => "Delegate",
    }
}

#[test]
fn the_table_of_fields_says_what_the_code_does() {
    for row in table("| Field | Value | Binder |") {
        let value = match quoted(&row[1]).first() {
            Some(text) => {
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
            }
            None => json!({"any": "value"}),
        };
        for field in quoted(&row[0]) {
            assert_eq!(judged(&spec(field, &value)), row[2], "{field}: {value}");
        }
    }
}

#[test]
fn the_table_of_fields_knows_every_field_that_kubernetes_has() {
    let rows = table("| Field | Value | Binder |");
    let named = rows.iter().flat_map(|row| quoted(&row[0]));
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    let of = |group: &'static str| {
        words(group)
            .into_iter()
            .map(move |name| format!("{group}.{name}"))
    };
    let all: BTreeSet<String> = ["spec", "containers[]", "volumes[]"]
        .into_iter()
        .flat_map(of)
        .collect();
    assert_eq!(named, all);
}

#[test]
fn the_table_of_filters_knows_every_plugin_and_every_file() {
    let rows = table("| Plugin | Honoured by |");
    let named: BTreeSet<String> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(named, words("plugins"));
    let text: String = rows.iter().map(|row| row[1].as_str()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/constraint");
    let files = std::fs::read_dir(folder).expect("a folder");
    for file in files.map(|file| file.expect("a file").file_name()) {
        let file = file.to_string_lossy().into_owned();
        let is_filter =
            !["mod.rs", "fixture.rs", "label_syntax.rs", "ready.rs"].contains(&file.as_str());
        let link = format!("(../src/constraint/{file})");
        assert_eq!(text.contains(&link), is_filter, "{file}");
    }
}
