//! The values of the chart: each has a row in its README, in the order of the file, and a place in the schema.

use serde_json::Value;

const VALUES: &str = include_str!("../charts/taskbatch/values.yaml");
const SCHEMA: &str = include_str!("../charts/taskbatch/values.schema.json");
const README: &str = include_str!("../charts/taskbatch/README.md");

/// A value with a `# -- ` comment: its path, its default as compact JSON, and the comment.
struct Row {
    path: Vec<String>,
    default: String,
    comment: String,
}

fn rows() -> Vec<Row> {
    let values: Value = serde_saphyr::from_str(VALUES).expect("YAML");
    let mut path: Vec<String> = Vec::new();
    let mut comment: Option<&str> = None;
    let mut rows = Vec::new();
    for line in VALUES.lines() {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        if let Some(words) = text.strip_prefix("# -- ") {
            comment = Some(words);
        } else if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with('#')) {
            path.truncate(depth);
            path.push(key.to_owned());
            if let Some(comment) = comment.take() {
                let found = path.iter().fold(&values, |value, key| &value[key]);
                rows.push(Row {
                    path: path.clone(),
                    default: found.to_string(),
                    comment: comment.to_owned(),
                });
            }
        }
    }
    rows
}

#[test]
fn the_table_of_the_readme_is_what_values_yaml_says() {
    let (_, table) = README
        .split_once("| --- | --- | --- |\n")
        .expect("the table");
    let row = |row: &Row| {
        let Row {
            path,
            default,
            comment,
        } = row;
        format!("| `{}` | `{default}` | {comment} |\n", path.join("."))
    };
    let wanted: String = rows().iter().map(row).collect();
    assert_eq!(
        table, wanted,
        "edit the table of charts/taskbatch/README.md"
    );
}

#[test]
fn every_value_is_documented_and_in_the_schema() {
    let rows = rows();
    let values: Value = serde_saphyr::from_str(VALUES).expect("YAML");
    let documented: Vec<String> = rows.iter().map(|row| row.path.join(".")).collect();
    let mut missing = Vec::new();
    find_undocumented(&values, "", &documented, &mut missing);
    assert!(missing.is_empty(), "without a comment: {missing:?}");

    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    for row in rows {
        let mut place = &schema;
        for key in &row.path {
            if let Some(target) = place["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
                place = &schema["definitions"][target];
            }
            place = &place["properties"][key];
        }
        assert!(
            !place.is_null(),
            "{} is not in the schema",
            row.path.join(".")
        );
    }
}

fn find_undocumented(value: &Value, path: &str, documented: &[String], missing: &mut Vec<String>) {
    if documented.iter().any(|known| known == path) {
        return;
    }
    match value.as_object().filter(|fields| !fields.is_empty()) {
        None => missing.push(path.to_owned()),
        Some(fields) => {
            for (key, value) in fields {
                let path = format!("{path}.{key}");
                find_undocumented(value, path.trim_start_matches('.'), documented, missing);
            }
        }
    }
}
