//! Checks a manifest against the CRD's own schema, in the words of the API server.
//!
//! What the schema's CEL rules say, `cluster::intake` says.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use regex::Regex;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::{Fault, crd};

/// Longer values are cut in messages.
const LONGEST_SHOWN: usize = 64;

/// A structural schema, made ready for checking.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    description: String,
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`; empty where anything goes.
    kind: String,
    int_or_string: bool,
    nullable: bool,
    has_default: bool,
    properties: BTreeMap<String, Schema>,
    required: Vec<String>,
    /// Of the values of a map.
    values: Option<Box<Schema>>,
    keeps_unknown: bool,
    items: Option<Box<Schema>>,
    /// Fields that together name an item of a list.
    keys: Vec<String>,
    choices: Vec<Value>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    /// With its source, as it is shown.
    pattern: Option<Regex>,
}

impl Schema {
    /// The schema of TaskBatch: `spec` and `status`.
    pub fn of_task_batch() -> Self {
        let versions = crd().spec.versions;
        let schema = versions
            .first()
            .and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
        schema.map(Schema::new).unwrap_or_default()
    }

    fn new(props: &JSONSchemaProps) -> Self {
        let length = |bounds: [Option<i64>; 3]| {
            let bound = bounds.into_iter().flatten().next();
            bound.and_then(|bound| usize::try_from(bound).ok())
        };
        Self {
            description: props.description.clone().unwrap_or_default(),
            kind: props.type_.clone().unwrap_or_default(),
            int_or_string: props.x_kubernetes_int_or_string.unwrap_or(false),
            nullable: props.nullable.unwrap_or(false),
            has_default: props.default.is_some(),
            properties: props
                .properties
                .iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), Schema::new(schema)))
                .collect(),
            required: props.required.clone().unwrap_or_default(),
            values: match &props.additional_properties {
                Some(JSONSchemaPropsOrBool::Schema(schema)) => Some(Box::new(Schema::new(schema))),
                _ => None,
            },
            keeps_unknown: props.x_kubernetes_preserve_unknown_fields.unwrap_or(false),
            items: match &props.items {
                Some(JSONSchemaPropsOrArray::Schema(schema)) => Some(Box::new(Schema::new(schema))),
                _ => None,
            },
            keys: props.x_kubernetes_list_map_keys.clone().unwrap_or_default(),
            choices: props
                .enum_
                .iter()
                .flatten()
                .map(|choice| choice.0.clone())
                .collect(),
            minimum: props.minimum,
            maximum: props.maximum,
            min_length: length([props.min_length, props.min_items, props.min_properties]),
            max_length: length([props.max_length, props.max_items, props.max_properties]),
            pattern: props
                .pattern
                .as_ref()
                .and_then(|pattern| Regex::new(pattern).ok()),
        }
    }

    /// Lists what is wrong with the spec of an object. A null where the schema has a default is taken out,
    /// as the server does, so that the default holds.
    pub fn check(&self, object: &mut Value) -> Vec<Fault> {
        let mut found = Vec::new();
        for name in &self.required {
            if object[name].is_null() {
                found.push(Fault::new(name, self.required_message(name)));
            }
        }
        for (name, schema) in &self.properties {
            if let Some(value) = object.get_mut(name).filter(|value| !value.is_null()) {
                schema.value(value, &mut name.clone(), &mut found);
            }
        }
        let known = ["apiVersion", "kind", "metadata"];
        for name in object.as_object().into_iter().flat_map(Map::keys) {
            if !known.contains(&name.as_str()) && !self.properties.contains_key(name) {
                found.push(Fault::new(
                    name,
                    "unknown field; known here: apiVersion, kind, metadata, spec",
                ));
            }
        }
        found
    }

    fn value(&self, value: &mut Value, at: &mut String, found: &mut Vec<Fault>) {
        if value.is_null() && self.nullable {
            return;
        }
        if let Some(wanted) = self.wrong_type(value) {
            let message = format!(
                "Invalid value: {}: must be of type {wanted}: {:?}",
                shown(value),
                type_of(value)
            );
            return found.push(Fault::new(at.as_str(), message));
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let choices: Vec<_> = self.choices.iter().map(Value::to_string).collect();
            let message = format!(
                "Unsupported value: {}: supported values: {}",
                shown(value),
                choices.join(", ")
            );
            return found.push(Fault::new(at.as_str(), message));
        }
        match value {
            Value::Object(fields) => self.object(fields, at, found),
            Value::Array(items) => self.array(items, at, found),
            scalar => found.extend(
                self.scalar(scalar)
                    .map(|message| Fault::new(at.as_str(), message)),
            ),
        }
    }

    /// The type that the value should have, if it has another one.
    fn wrong_type(&self, value: &Value) -> Option<&str> {
        let kind = type_of(value);
        let fits = match self.kind.as_str() {
            "" if self.int_or_string => matches!(kind, "integer" | "string"),
            "" => !value.is_null() || self.keeps_unknown,
            "number" => matches!(kind, "integer" | "number"),
            wanted => wanted == kind,
        };
        (!fits).then_some(if self.int_or_string {
            "integer or string"
        } else {
            &self.kind
        })
    }

    fn object(&self, fields: &mut Map<String, Value>, at: &mut String, found: &mut Vec<Fault>) {
        if fields.values().any(Value::is_null) {
            fields.retain(|name, value| {
                let schema = self.properties.get(name);
                !(value.is_null()
                    && schema.is_some_and(|schema| schema.has_default && !schema.nullable))
            });
        }
        if let Some(most) = self.max_length.filter(|most| fields.len() > *most) {
            found.push(Fault::new(
                at.as_str(),
                format!("Too many: {}: must have at most {most} items", fields.len()),
            ));
        }
        for name in self
            .required
            .iter()
            .filter(|name| !fields.contains_key(*name))
        {
            found.push(Fault::new(
                format!("{at}.{name}"),
                self.required_message(name),
            ));
        }
        let length = at.len();
        for (name, value) in fields {
            if let Some(schema) = self.properties.get(name) {
                at.extend([".", name]);
                schema.value(value, at, found);
            } else if let Some(schema) = &self.values {
                at.extend(["[", name, "]"]);
                schema.value(value, at, found);
            } else if !self.keeps_unknown {
                let known: Vec<_> = self.properties.keys().map(String::as_str).collect();
                found.push(Fault::new(
                    format!("{at}.{name}"),
                    format!("unknown field; known here: {}", known.join(", ")),
                ));
            }
            at.truncate(length);
        }
    }

    fn required_message(&self, name: &str) -> String {
        match self
            .properties
            .get(name)
            .map(|schema| schema.description.as_str())
        {
            Some(description) if !description.is_empty() => {
                format!("Required value: {description}")
            }
            _ => "Required value".into(),
        }
    }

    fn array(&self, items: &mut [Value], at: &mut String, found: &mut Vec<Fault>) {
        let count = items.len();
        if let Some(most) = self.max_length.filter(|most| count > *most) {
            found.push(Fault::new(
                at.as_str(),
                format!("Too many: {count}: must have at most {most} items"),
            ));
        }
        if let Some(least) = self.min_length.filter(|least| count < *least) {
            found.push(Fault::new(
                at.as_str(),
                format!("Invalid value: {count}: should have at least {least} items"),
            ));
        }
        let length = at.len();
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter_mut().enumerate() {
            *at += &format!("[{index}]");
            if let Some(schema) = &self.items {
                schema.value(item, at, found);
            }
            if let Some(key) = self.key(item).filter(|key| !seen.insert(key.clone())) {
                found.push(Fault::new(at.as_str(), format!("Duplicate value: {key}")));
            }
            at.truncate(length);
        }
    }

    /// What names an item in a list that is a map, as JSON.
    fn key(&self, item: &Value) -> Option<String> {
        let fields: Map<String, Value> = self
            .keys
            .iter()
            .map(|name| (name.clone(), item[name].clone()))
            .collect();
        (!fields.is_empty() && fields.values().all(|value| !value.is_null()))
            .then(|| Value::Object(fields).to_string())
    }

    fn scalar(&self, value: &Value) -> Option<String> {
        match value {
            Value::Number(number) => self
                .number(number.as_f64()?)
                .map(|bound| format!("Invalid value: {number}: {bound}")),
            Value::String(text) => self.text(text),
            _ => None,
        }
    }

    fn number(&self, number: f64) -> Option<String> {
        if let Some(least) = self.minimum.filter(|least| number < *least) {
            return Some(format!("should be greater than or equal to {least}"));
        }
        let most = self.maximum.filter(|most| number > *most)?;
        Some(format!("should be less than or equal to {most}"))
    }

    fn text(&self, text: &str) -> Option<String> {
        let (count, value) = (text.chars().count(), shown(&text.into()));
        if let Some(most) = self.max_length.filter(|most| count > *most) {
            return Some(format!("Too long: may not be more than {most} bytes"));
        }
        if let Some(least) = self.min_length.filter(|least| count < *least) {
            return Some(format!(
                "Invalid value: {value}: should be at least {least} chars long"
            ));
        }
        let pattern = self
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.is_match(text))?;
        Some(format!(
            "Invalid value: {value}: should match '{}'",
            pattern.as_str()
        ))
    }
}

/// Lists what is wrong with the metadata of an object that a user writes.
pub fn metadata_faults(metadata: &Value) -> Vec<Fault> {
    let mut found = Vec::new();
    match &metadata["name"] {
        Value::String(name) if is_subdomain(name) => {}
        Value::String(name) => found.push(Fault::new(
            "metadata.name",
            format!("Invalid value: {name:?}: must be 1 to 253 lower case letters, digits, '-' and '.', such as my-batch"),
        )),
        Value::Null if !metadata.is_null() && !metadata.is_object() => {}
        Value::Null => found.push(Fault::new("metadata.name", "Required value: a name, such as my-batch")),
        _ => {}
    }
    let known = known_metadata();
    for name in metadata.as_object().into_iter().flat_map(Map::keys) {
        if !known.contains(name) {
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            found.push(Fault::new(
                format!("metadata.{name}"),
                format!("unknown field; known here: {}", known.join(", ")),
            ));
        }
    }
    found
}

/// The fields of `metadata` that the types know.
fn known_metadata() -> BTreeSet<String> {
    let schema = SchemaSettings::openapi3()
        .into_generator()
        .into_root_schema_for::<ObjectMeta>();
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flat_map(Map::keys)
        .cloned()
        .collect()
}

/// Whether the text is a DNS subdomain after RFC 1123, as names of objects are.
fn is_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The value as JSON, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
