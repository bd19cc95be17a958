//! JSON_SET, JSON_REMOVE, JSON_STRIP_NULLS, JSON_ARRAY_APPEND, JSON_ARRAY_INSERT: a changed copy of a document.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::args::{any, fail, json, optional_string, string};
use crate::functions::json::convert::to_json;
use crate::functions::json::extract::needs_strict;
use crate::functions::json::path::{Notation, Step, parse};
use crate::functions::{Call, ScalarFunction, entry};
use crate::types::Type;
use crate::value::Value;
use crate::value::json::Json;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "json_functions",
        "json_set",
        "JSON_SET",
        Handled,
        ["(JSON, STRING, ANY, STRING..., ANY..., [!create_if_missing => BOOL]) -> JSON"],
        |call, args| {
            let (pairs, create) = pairs_and_flag(call, args, true);
            let Some(create) = create else { return Ok(Value::Null) };
            change(call, args, pairs, |document, steps, value, _| set(document, steps, value, create))
        }
    ),
    entry!(
        "json_functions",
        "json_remove",
        "JSON_REMOVE",
        Handled,
        ["(JSON, STRING, STRING...) -> JSON"],
        |_, args| {
            if any(args, 0).is_null() {
                return Ok(Value::Null);
            }
            let mut document = json(args, 0)?.clone();
            for index in 1..args.len() {
                if any(args, index).is_null() {
                    continue;
                }
                let path = parse(string(args, index)?, Notation::Standard)?;
                needs_strict(&path)?;
                if path.steps.is_empty() {
                    return fail("The JSONPath cannot be '$'");
                }
                remove(&mut document, &path.steps);
            }
            Ok(Value::Json(Arc::new(document)))
        }
    ),
    entry!(
        "json_functions",
        "json_strip_nulls",
        "JSON_STRIP_NULLS",
        Handled,
        ["(JSON, [STRING], [!include_arrays => BOOL], [!remove_empty => BOOL]) -> JSON"],
        |_, args| {
            if any(args, 0).is_null() {
                return Ok(Value::Null);
            }
            let path = parse(optional_string(args, 1)?.unwrap_or("$"), Notation::Standard)?;
            needs_strict(&path)?;
            let flag = |index: usize, default: bool| match args.get(index) {
                Some(Value::Bool(value)) => *value,
                _ => default,
            };
            let (arrays, empty) = (flag(2, true), flag(3, false));
            let mut document = json(args, 0)?.clone();
            if let Some(part) = walk_mut(&mut document, &path.steps) {
                strip(part, arrays, empty);
            }
            Ok(Value::Json(Arc::new(document)))
        }
    ),
    entry!(
        "json_functions",
        "json_array_append",
        "JSON_ARRAY_APPEND",
        Handled,
        ["(JSON, STRING, ANY, STRING..., ANY..., [!append_each_element => BOOL]) -> JSON"],
        |call, args| {
            let (pairs, each) = pairs_and_flag(call, args, true);
            let Some(each) = each else { return Ok(Value::Null) };
            change(call, args, pairs, |document, steps, value, is_array| {
                let Some(target) = walk_mut(document, steps) else { return Ok(()) };
                if matches!(target, Json::Null) {
                    *target = Json::Array(Vec::new());
                }
                if let Json::Array(items) = target {
                    items.extend(each_element(value, each && is_array));
                    bounded(items.len())?;
                }
                Ok(())
            })
        }
    ),
    entry!(
        "json_functions",
        "json_array_insert",
        "JSON_ARRAY_INSERT",
        Handled,
        ["(JSON, STRING, ANY, STRING..., ANY..., [!insert_each_element => BOOL]) -> JSON"],
        |call, args| {
            let (pairs, each) = pairs_and_flag(call, args, true);
            let Some(each) = each else { return Ok(Value::Null) };
            change(call, args, pairs, |document, steps, value, is_array| {
                let Some((Step::Index(index), parents)) = steps.split_last() else { return Ok(()) };
                let Some(target) = walk_mut(document, parents) else { return Ok(()) };
                if matches!(target, Json::Null) {
                    *target = Json::Array(Vec::new());
                }
                if let Json::Array(items) = target {
                    bounded(index.saturating_add(1))?;
                    while items.len() < *index {
                        items.push(Json::Null);
                    }
                    for (offset, value) in each_element(value, each && is_array).into_iter().enumerate() {
                        items.insert(index + offset, value);
                    }
                    bounded(items.len())?;
                }
                Ok(())
            })
        }
    ),
];

/// How many elements an array may come to have.
const MAX_ARRAY: usize = 1_000_000;

fn bounded(length: usize) -> Result<()> {
    if length <= MAX_ARRAY {
        return Ok(());
    }
    // Text: GoogleSQL's.
    Err(SqlError::evaluation(format!("Exceeded maximum array size of {MAX_ARRAY}")))
}

/// How many arguments are pairs, and the flag behind them; `None` for a NULL flag, which makes the result NULL.
fn pairs_and_flag(call: &Call, args: &[Value], default: bool) -> (usize, Option<bool>) {
    let odd = args.len().is_multiple_of(2);
    if odd && call.arg_types.last() == Some(&Type::Bool) {
        let flag = match args.last() {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        };
        return (args.len() - 1, flag);
    }
    (args.len(), Some(default))
}

/// Applies each path and value in turn; a NULL path changes nothing.
fn change(
    call: &Call,
    args: &[Value],
    end: usize,
    apply: impl Fn(&mut Json, &[Step], Json, bool) -> Result<()>,
) -> Result<Value> {
    if any(args, 0).is_null() {
        return Ok(Value::Null);
    }
    let mut document = json(args, 0)?.clone();
    for index in (1..end).step_by(2) {
        if any(args, index).is_null() {
            return Ok(Value::Null);
        }
        let path = parse(string(args, index)?, Notation::Standard)?;
        needs_strict(&path)?;
        let ty = call.arg_types.get(index + 1).unwrap_or(&Type::Int64);
        let value = to_json(any(args, index + 1), ty, false)?;
        apply(&mut document, &path.steps, value, matches!(ty, Type::Array(_)))?;
    }
    Ok(Value::Json(Arc::new(document)))
}

fn each_element(value: Json, each: bool) -> Vec<Json> {
    match value {
        Json::Array(items) if each => items,
        Json::Null if each => Vec::new(),
        other => vec![other],
    }
}

fn walk_mut<'a>(document: &'a mut Json, steps: &[Step]) -> Option<&'a mut Json> {
    steps.iter().try_fold(document, |at, step| match (at, step) {
        (Json::Object(fields), Step::Key(key)) => fields.get_mut(key),
        (Json::Array(items), Step::Index(index)) => items.get_mut(*index),
        _ => None,
    })
}

fn set(document: &mut Json, steps: &[Step], value: Json, create: bool) -> Result<()> {
    let Some((first, rest)) = steps.split_first() else {
        *document = value;
        return Ok(());
    };
    if matches!(document, Json::Null) && create {
        *document = match first {
            Step::Key(_) => Json::Object(std::collections::BTreeMap::new()),
            Step::Index(_) | Step::Nowhere => Json::Array(Vec::new()),
        };
    }
    match (document, first) {
        (Json::Object(fields), Step::Key(key)) => {
            if create {
                set(fields.entry(key.clone()).or_insert(Json::Null), rest, value, create)?;
            } else if let Some(field) = fields.get_mut(key) {
                set(field, rest, value, create)?;
            }
        }
        (Json::Array(items), Step::Index(index)) => {
            if create {
                bounded(index.saturating_add(1))?;
                while items.len() <= *index {
                    items.push(Json::Null);
                }
            }
            if let Some(item) = items.get_mut(*index) {
                set(item, rest, value, create)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn remove(document: &mut Json, steps: &[Step]) {
    let Some((last, parents)) = steps.split_last() else { return };
    match (walk_mut(document, parents), last) {
        (Some(Json::Object(fields)), Step::Key(key)) => {
            fields.remove(key);
        }
        (Some(Json::Array(items)), Step::Index(index)) if *index < items.len() => {
            items.remove(*index);
        }
        _ => {}
    }
}

/// Takes out nulls in objects and, with `arrays`, in arrays; with `empty` also what is empty then.
fn strip(value: &mut Json, arrays: bool, empty: bool) {
    let gone = |value: &Json| match value {
        Json::Null => true,
        Json::Object(fields) => empty && fields.is_empty(),
        Json::Array(items) => empty && items.is_empty(),
        _ => false,
    };
    match value {
        Json::Object(fields) => {
            fields.retain(|_, value| {
                strip(value, arrays, empty);
                !gone(value)
            });
        }
        Json::Array(items) => {
            for item in items.iter_mut() {
                strip(item, arrays, empty);
            }
            if arrays {
                items.retain(|item| !gone(item));
            }
        }
        _ => {}
    }
    if empty && gone(value) {
        *value = Json::Null;
    }
}
