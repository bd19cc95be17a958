//! JSON_QUERY, JSON_VALUE, JSON_EXTRACT and their array forms, subscripts, JSON_KEYS, JSON_TYPE.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::args::{any, fail, json, optional_int, optional_string, string};
use crate::functions::json::path::{Mode, Notation, Path, Step, parse};
use crate::functions::json::raw::Raw;
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::Value;
use crate::value::json::Json;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "json_functions",
        "json_query",
        "JSON_QUERY",
        Propagate,
        ["(STRING, [STRING]) -> STRING", "(JSON, [STRING]) -> JSON"],
        |_, args| query(args, Notation::Standard)
    ),
    entry!(
        "json_functions",
        "json_extract",
        "JSON_EXTRACT",
        Propagate,
        ["(STRING, [STRING]) -> STRING", "(JSON, [STRING]) -> JSON"],
        |_, args| query(args, Notation::Legacy)
    ),
    entry!(
        "json_functions",
        "json_value",
        "JSON_VALUE",
        Propagate,
        ["(STRING, [STRING]) -> STRING", "(JSON, [STRING]) -> STRING"],
        |_, args| value(args, Notation::Standard)
    ),
    entry!(
        "json_functions",
        "json_extract_scalar",
        "JSON_EXTRACT_SCALAR",
        Propagate,
        ["(STRING, [STRING]) -> STRING", "(JSON, [STRING]) -> STRING"],
        |_, args| value(args, Notation::Legacy)
    ),
    entry!(
        "json_functions",
        "json_query_array",
        "JSON_QUERY_ARRAY",
        Propagate,
        ["(STRING, [STRING]) -> ARRAY<STRING>", "(JSON, [STRING]) -> ARRAY<JSON>"],
        |_, args| query_array(args, Notation::Standard)
    ),
    entry!(
        "json_functions",
        "json_extract_array",
        "JSON_EXTRACT_ARRAY",
        Propagate,
        ["(STRING, [STRING]) -> ARRAY<STRING>", "(JSON, [STRING]) -> ARRAY<JSON>"],
        |_, args| query_array(args, Notation::Legacy)
    ),
    entry!(
        "json_functions",
        "json_value_array",
        "JSON_VALUE_ARRAY",
        Propagate,
        ["(STRING, [STRING]) -> ARRAY<STRING>", "(JSON, [STRING]) -> ARRAY<STRING>"],
        |_, args| value_array(args, Notation::Standard)
    ),
    entry!(
        "json_functions",
        "json_extract_string_array",
        "JSON_EXTRACT_STRING_ARRAY",
        Propagate,
        ["(STRING, [STRING]) -> ARRAY<STRING>", "(JSON, [STRING]) -> ARRAY<STRING>"],
        |_, args| value_array(args, Notation::Legacy)
    ),
    entry!(
        "json_functions",
        "$json_subscript",
        "[]",
        Propagate,
        ["(JSON, INT64) -> JSON", "(JSON, STRING) -> JSON"],
        |_, args| {
            let found = match (json(args, 0)?, any(args, 1)) {
                (Json::Object(fields), Value::String(key)) => fields.get(&**key),
                (Json::Array(items), Value::Int64(index)) => {
                    usize::try_from(*index).ok().and_then(|index| items.get(index))
                }
                _ => None,
            };
            Ok(found.map_or(Value::Null, |found| Value::Json(Arc::new(found.clone()))))
        }
    ),
    entry!("json_functions", "json_type", "JSON_TYPE", Propagate, ["(JSON) -> STRING"], |_, args| {
        Ok(Value::string(json(args, 0)?.type_name()))
    }),
    entry!(
        "json_functions",
        "json_keys",
        "JSON_KEYS",
        Handled,
        ["(JSON, [max_depth => INT64], [mode => STRING]) -> ARRAY<STRING>"],
        keys
    ),
];

/// Steps down strictly.
pub(crate) fn walk<'a>(document: &'a Json, steps: &[Step]) -> Option<&'a Json> {
    steps.iter().try_fold(document, |at, step| match (at, step) {
        (Json::Object(fields), Step::Key(key)) => fields.get(key),
        (Json::Array(items), Step::Index(index)) => items.get(*index),
        _ => None,
    })
}

/// Everything that the path reaches when arrays are stepped through (one level, or any with `recursive`)
/// and a value that is no array counts as one of one element.
fn walk_lax<'a>(document: &'a Json, path: &Path) -> Vec<&'a Json> {
    fn spread<'a>(value: &'a Json, deep: bool, out: &mut Vec<&'a Json>) {
        match value {
            Json::Array(items) => {
                for item in items {
                    if deep {
                        spread(item, deep, out);
                    } else {
                        out.push(item);
                    }
                }
            }
            other => out.push(other),
        }
    }
    let deep = path.mode == Mode::LaxRecursive;
    let mut current = vec![document];
    for step in &path.steps {
        let mut next = Vec::new();
        for value in current {
            match step {
                Step::Key(key) => {
                    let mut candidates = Vec::new();
                    spread(value, deep, &mut candidates);
                    next.extend(candidates.into_iter().filter_map(|candidate| match candidate {
                        Json::Object(fields) => fields.get(key),
                        _ => None,
                    }));
                }
                Step::Index(index) => match value {
                    Json::Array(items) => next.extend(items.get(*index)),
                    other if *index == 0 => next.push(other),
                    _ => {}
                },
                Step::Nowhere => {}
            }
        }
        current = next;
    }
    current
}

fn path_argument(args: &[Value], notation: Notation) -> Result<Path> {
    parse(optional_string(args, 1)?.unwrap_or("$"), notation)
}

fn strict(path: &Path) -> Result<()> {
    if path.mode == Mode::Strict { Ok(()) } else { fail("Invalid token in JSONPath at: lax") }
}

fn query(args: &[Value], notation: Notation) -> Result<Value> {
    let path = path_argument(args, notation)?;
    if let Value::Json(document) = any(args, 0) {
        if path.mode != Mode::Strict {
            let found = walk_lax(document, &path).into_iter().cloned().collect();
            return Ok(Value::Json(Arc::new(Json::Array(found))));
        }
        return Ok(walk(document, &path.steps).map_or(Value::Null, |found| Value::Json(Arc::new(found.clone()))));
    }
    strict(&path)?;
    let found = Raw::find(string(args, 0)?, &path.steps);
    Ok(match found {
        None | Some(Raw::Null) => Value::Null,
        Some(found) => Value::string(found.to_text()),
    })
}

/// The text of a scalar, as JSON_VALUE gives it.
pub(crate) fn scalar_text(value: &Json) -> Option<String> {
    match value {
        Json::Null | Json::Array(_) | Json::Object(_) => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn value(args: &[Value], notation: Notation) -> Result<Value> {
    let path = path_argument(args, notation)?;
    strict(&path)?;
    let text = match any(args, 0) {
        Value::Json(document) => walk(document, &path.steps).and_then(scalar_text),
        _ => Raw::find(string(args, 0)?, &path.steps).as_ref().and_then(Raw::scalar),
    };
    Ok(text.map_or(Value::Null, Value::string))
}

fn query_array(args: &[Value], notation: Notation) -> Result<Value> {
    let path = path_argument(args, notation)?;
    strict(&path)?;
    Ok(match any(args, 0) {
        Value::Json(document) => match walk(document, &path.steps) {
            Some(Json::Array(items)) => {
                Value::array(items.iter().map(|item| Value::Json(Arc::new(item.clone()))).collect())
            }
            _ => Value::Null,
        },
        _ => match Raw::find(string(args, 0)?, &path.steps) {
            Some(Raw::Array(items)) => Value::array(items.iter().map(|item| Value::string(item.to_text())).collect()),
            _ => Value::Null,
        },
    })
}

/// NULL where an element is no scalar; a JSON null is a NULL element.
fn value_array(args: &[Value], notation: Notation) -> Result<Value> {
    let path = path_argument(args, notation)?;
    strict(&path)?;
    let mut out = Vec::new();
    match any(args, 0) {
        Value::Json(document) => {
            let Some(Json::Array(items)) = walk(document, &path.steps) else { return Ok(Value::Null) };
            for item in items {
                match (item, scalar_text(item)) {
                    (_, Some(text)) => out.push(Value::string(text)),
                    (Json::Null, None) => out.push(Value::Null),
                    _ => return Ok(Value::Null),
                }
            }
        }
        _ => {
            let found = Raw::find(string(args, 0)?, &path.steps);
            let Some(Raw::Array(items)) = found else { return Ok(Value::Null) };
            for item in items {
                match (&item, item.scalar()) {
                    (_, Some(text)) => out.push(Value::string(text)),
                    (Raw::Null, None) => out.push(Value::Null),
                    _ => return Ok(Value::Null),
                }
            }
        }
    }
    Ok(Value::array(out))
}

fn keys(_: &Call, args: &[Value]) -> Result<Value> {
    if any(args, 0).is_null() {
        return Ok(Value::Null);
    }
    let depth = optional_int(args, 1)?;
    if args.len() > 1 && depth.is_some_and(|depth| depth <= 0) {
        return fail("max_depth must be positive");
    }
    let mode = optional_string(args, 2)?.unwrap_or("strict").to_ascii_lowercase();
    let (lax, recursive) = match mode.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
        ["strict"] => (false, false),
        ["lax"] => (true, false),
        ["lax", "recursive"] | ["recursive", "lax"] => (true, true),
        _ => return fail(format!("Invalid JSON mode specified: {mode}")),
    };
    let mut out = std::collections::BTreeSet::new();
    let limit = depth.and_then(|depth| usize::try_from(depth).ok()).unwrap_or(usize::MAX);
    collect_keys(json(args, 0)?, "", 0, limit, (lax, recursive, false), &mut out);
    Ok(Value::array(out.into_iter().map(Value::string).collect()))
}

/// `modes` are lax, recursive, and whether the value stands in an array already stepped through.
fn collect_keys(
    value: &Json,
    prefix: &str,
    depth: usize,
    limit: usize,
    modes: (bool, bool, bool),
    out: &mut std::collections::BTreeSet<String>,
) {
    let (lax, recursive, inside) = modes;
    match value {
        Json::Object(fields) if depth < limit => {
            for (key, value) in fields {
                let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
                let shown =
                    if plain { key.clone() } else { format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\"")) };
                let name = if prefix.is_empty() { shown } else { format!("{prefix}.{shown}") };
                collect_keys(value, &name, depth + 1, limit, (lax, recursive, false), out);
                out.insert(name);
            }
        }
        Json::Array(items) if lax && (recursive || !inside) => {
            for item in items {
                collect_keys(item, prefix, depth, limit, (lax, recursive, true), out);
            }
        }
        _ => {}
    }
}

/// The error of a path argument that a function cannot take.
pub(crate) fn needs_strict(path: &Path) -> Result<()> {
    if path.mode == Mode::Strict {
        Ok(())
    } else {
        Err(SqlError::evaluation("JSONPath modifiers are not allowed here"))
    }?;
    if path.steps.contains(&Step::Nowhere) {
        return Err(SqlError::evaluation("Negative indexes are not supported in JSON paths."));
    }
    Ok(())
}
