//! The documented schemas: of the JSON output, held against what is printed, and of definitions.
//!
//! Understands the part of JSON Schema that the document uses; any other word in it fails.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Requires that a document is as `docs/verdict.schema.json` says, and has no field besides.
#[track_caller]
pub fn assert_documented(document: &Value) {
    assert_fits(document, "verdict.schema.json");
}

/// Requires that a document is as this schema in `docs` says, and has no field besides.
#[track_caller]
pub fn assert_fits(document: &Value, schema: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(schema);
    let schema: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    if let Err(problem) = validate(document, &schema, &schema, "") {
        panic!("{problem}: {document:#}");
    }
}

fn validate(value: &Value, schema: &Value, root: &Value, path: &str) -> Result<(), String> {
    for (word, rule) in schema.as_object().ok_or("a schema is no object")? {
        let holds = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = rule.as_str().and_then(|name| name.strip_prefix('#'));
                let target = pointer.and_then(|pointer| root.pointer(pointer));
                return validate(value, target.ok_or("a reference to nothing")?, root, path);
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is_of_type(value, one)),
                one => is_of_type(value, one),
            },
            "enum" => rule.as_array().is_some_and(|known| known.contains(value)),
            "minimum" => value
                .as_i64()
                .zip(rule.as_i64())
                .is_none_or(|(v, min)| v >= min),
            "minItems" => {
                let count = value.as_array().map(|items| items.len() as u64);
                count
                    .zip(rule.as_u64())
                    .is_none_or(|(count, min)| count >= min)
            }
            "oneOf" => {
                let options = rule.as_array().ok_or("oneOf is no list")?;
                let tried = options
                    .iter()
                    .map(|option| validate(value, option, root, path));
                let problems: Vec<String> = tried.filter_map(Result::err).collect();
                if problems.len() + 1 != options.len() {
                    return Err(problems.join("; "));
                }
                true
            }
            "required" => {
                let names = rule.as_array().ok_or("required is no list")?;
                names
                    .iter()
                    .all(|name| value.get(name.as_str().unwrap_or("")).is_some())
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(item, rule, root, &format!("{path}/{at}"))?;
                }
                true
            }
            "properties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    let path = format!("{path}/{name}");
                    let rule = rule.get(name).ok_or(format!("{path} is not documented"))?;
                    validate(field, rule, root, &path)?;
                }
                true
            }
            // `properties` refuses others in any case.
            "additionalProperties" if rule.as_bool() == Some(false) => true,
            // Of an object whose fields all have names of their own.
            "additionalProperties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    validate(field, rule, root, &format!("{path}/{name}"))?;
                }
                true
            }
            other => return Err(format!("the schema has the word {other}, unknown here")),
        };
        if !holds {
            return Err(format!("{path}: {word} of {rule} does not hold"));
        }
    }
    Ok(())
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

#[test]
fn what_is_not_documented_is_noticed() {
    let schema: Value = serde_json::from_str(
        r##"{"required": ["a"], "properties": {"a": {"$ref": "#/$defs/a"}},
             "$defs": {"a": {"oneOf": [{"type": "null"}, {"enum": [1, 2]}]}}}"##,
    )
    .unwrap();
    for (document, valid) in [
        (r#"{"a": null}"#, true),
        (r#"{"a": 2}"#, true),
        (r#"{"a": 3}"#, false),
        (r#"{}"#, false),
        (r#"{"a": 1, "b": 1}"#, false),
    ] {
        let document: Value = serde_json::from_str(document).unwrap();
        let validated = validate(&document, &schema, &schema, "");
        assert_eq!(validated.is_ok(), valid, "{document}: {validated:?}");
    }
}
