//! The contracts as JSON Schema (2020-12), made from the types. What is committed under docs/contracts is held against
//! this by a test; programs serve what is committed.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{MAX_CONTRACT_BYTES, MAX_CONTRACT_DEPTH, values::TIME};
use crate::{
    Action, ActionReceipt, ActionResult, AuthZDecision, AuthZRequest, Event, GenerationResult,
    ResponsePlan,
};

/// One line without control characters, as [`validate_field`](crate::event::validate_field) has it.
const FIELD: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";
/// A text that says something, as [`validate_text`](crate::event::validate_text) has it.
const TEXT: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";

/// The schema of every contract, by name, in the order in which they are served.
///
/// # Errors
/// Where a schema cannot be written as JSON, which a test rules out.
pub fn contract_schemas() -> Result<Vec<(&'static str, Value)>, serde_json::Error> {
    Ok(vec![
        ("event", of::<Event>("event")?),
        ("response_plan", of::<ResponsePlan>("response_plan")?),
        ("action", of::<Action>("action")?),
        (
            "generation_result",
            with_text(of::<GenerationResult>("generation_result")?),
        ),
        (
            "action_result",
            with_error(of::<ActionResult>("action_result")?),
        ),
        ("action_receipt", of::<ActionReceipt>("action_receipt")?),
        ("authz_request", of::<AuthZRequest>("authz_request")?),
        ("authz_decision", of::<AuthZDecision>("authz_decision")?),
    ])
}

fn of<T: PartialSchema + ToSchema>(name: &str) -> Result<Value, serde_json::Error> {
    let mut parts: Vec<(String, RefOr<Schema>)> = Vec::new();
    T::schemas(&mut parts);
    let mut schema = plain(&T::schema())?;
    let mut definitions = Map::new();
    for (name, part) in &parts {
        definitions.insert(name.clone(), plain(part)?);
    }
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["$id"] = json!(format!("urn:chiffon:contracts:v0:{name}"));
    schema["$comment"] = json!(format!(
        "What no schema can say: at most {MAX_CONTRACT_BYTES} bytes of UTF-8, nested at most {MAX_CONTRACT_DEPTH} levels deep, and no object has a key twice."
    ));
    if !definitions.is_empty() {
        schema["$defs"] = Value::Object(definitions);
    }
    Ok(schema)
}

/// A part of the OpenAPI document as JSON Schema for itself.
fn plain<T: Serialize>(part: &T) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(part)?;
    rewrite(&mut value);
    Ok(value)
}

fn rewrite(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        Value::Object(map) => {
            if let Some(Value::String(to)) = map.get_mut("$ref") {
                *to = to.replace("#/components/schemas/", "#/$defs/");
            }
            let pattern = match map.get("maxLength").and_then(Value::as_u64) {
                Some(256) => Some(FIELD),
                Some(8000) => Some(TEXT),
                _ => None,
            };
            if let Some(pattern) = pattern.filter(|_| !map.contains_key("pattern")) {
                map.insert("pattern".to_owned(), json!(pattern));
            }
            if map
                .get("format")
                .is_some_and(|format| format == "date-time")
            {
                map.insert("pattern".to_owned(), json!(TIME));
            }
            // In many dialects of patterns, such as Python's, `$` also fits before a line end that ends the text.
            let is_one_line = map
                .get("pattern")
                .and_then(Value::as_str)
                .is_some_and(|pattern| pattern.ends_with('$') && pattern != TEXT);
            if is_one_line {
                map.insert("not".to_owned(), json!({"pattern": r"\n"}));
            }
            // Widths of numbers of this program are no business of others.
            if map
                .get("type")
                .is_some_and(|kind| kind == "integer" || kind.is_array())
            {
                map.retain(|key, said| key != "format" || !is_width(said));
            }
            for form in map
                .get_mut("oneOf")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if form["properties"]["type"].is_object() {
                    form["additionalProperties"] = json!(false);
                }
            }
            map.values_mut().for_each(rewrite);
        }
        _ => {}
    }
}

fn is_width(format: &Value) -> bool {
    format
        .as_str()
        .is_some_and(|format| format.starts_with("int"))
}

/// A text where the generation was completed, and only there; no error there.
fn with_text(mut schema: Value) -> Value {
    schema["if"] = json!({"properties": {"status": {"const": "completed"}}});
    schema["then"] = json!({
        "required": ["text"],
        "properties": {"text": {"type": "string"}, "error": {"type": "null"}},
    });
    schema["else"] = json!({"properties": {"text": {"type": "null"}}});
    schema
}

/// No error where the action was carried out.
fn with_error(mut schema: Value) -> Value {
    schema["if"] = json!({"properties": {"status": {"const": "done"}}});
    schema["then"] = json!({"properties": {"error": {"type": "null"}}});
    schema
}
