//! CONTAINS_SUBSTR and SEARCH.

use crate::cast::to_text;
use crate::error::Result;
use crate::functions::args::{any, fail, optional_string, string};
use crate::functions::strings::basic::search_form;
use crate::functions::strings::terms::tokens;
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::Value;
use crate::value::json::Json;

pub(crate) static TABLE: &[ScalarFunction] = &[
    // NULL in the searched value is unknown, not nothing: FALSE only where nothing was NULL.
    entry!(
        "string_functions",
        "contains_substr",
        "CONTAINS_SUBSTR",
        Handled,
        ["(ANY, STRING, [json_scope => STRING]) -> BOOL"],
        contains_substr
    ),
    entry!(
        "search_functions",
        "search",
        "SEARCH",
        Handled,
        ["(ANY, STRING, [json_scope => STRING], [analyzer => STRING], [analyzer_options => STRING]) -> BOOL"],
        search
    ),
];

/// Calls `visit` with every text inside a value; tells whether there was a NULL.
fn each_text(call: &Call, value: &Value, scope: &str, visit: &mut dyn FnMut(&str)) -> Result<bool> {
    let mut null = false;
    match value {
        Value::Null => null = true,
        Value::Array(items) | Value::Struct(items) => {
            for item in items.iter() {
                null |= each_text(call, item, scope, visit)?;
            }
        }
        Value::Json(json) => each_json_text(json, scope, visit),
        Value::String(text) => visit(text),
        other => visit(&to_text(other, call.ctx)?),
    }
    Ok(null)
}

fn each_json_text(json: &Json, scope: &str, visit: &mut dyn FnMut(&str)) {
    let (keys, values) = (scope != "JSON_VALUES", scope != "JSON_KEYS");
    match json {
        Json::Array(items) => items.iter().for_each(|item| each_json_text(item, scope, visit)),
        Json::Object(fields) => {
            for (key, value) in fields {
                if keys {
                    visit(key);
                }
                each_json_text(value, scope, visit);
            }
        }
        Json::Null => {}
        Json::String(text) if values => visit(text),
        other if values => visit(&other.to_string()),
        _ => {}
    }
}

fn contains_substr(call: &Call, args: &[Value]) -> Result<Value> {
    if any(args, 1).is_null() {
        return fail("CONTAINS_SUBSTR second argument must not be NULL");
    }
    let wanted = search_form(string(args, 1)?);
    let scope = optional_string(args, 2)?.unwrap_or("JSON_VALUES").to_ascii_uppercase();
    let mut found = false;
    let null = each_text(call, any(args, 0), &scope, &mut |text| found = found || search_form(text).contains(&wanted))?;
    Ok(match (found, null) {
        (true, _) => Value::Bool(true),
        (false, true) => Value::Null,
        (false, false) => Value::Bool(false),
    })
}

/// Every token of the query must be in the data; a phrase in backticks or double quotes must be there in order.
fn search(call: &Call, args: &[Value]) -> Result<Value> {
    if any(args, 1).is_null() {
        return fail("The search query must not be NULL");
    }
    let query = string(args, 1)?;
    let scope = optional_string(args, 2)?.unwrap_or("JSON_VALUES").to_ascii_uppercase();
    let mut phrases: Vec<Vec<String>> = Vec::new();
    for (index, piece) in query.split(['`', '"']).enumerate() {
        if index % 2 == 1 {
            phrases.push(tokens(piece));
        } else {
            phrases.extend(tokens(piece).into_iter().map(|token| vec![token]));
        }
    }
    phrases.retain(|phrase| !phrase.is_empty());
    if phrases.is_empty() {
        return Ok(Value::Bool(false));
    }
    let mut left: Vec<Vec<String>> = phrases;
    let null = each_text(call, any(args, 0), &scope, &mut |text| {
        let have = tokens(text);
        left.retain(|phrase| !have.windows(phrase.len()).any(|window| window == phrase.as_slice()));
    })?;
    Ok(if left.is_empty() {
        Value::Bool(true)
    } else if null && any(args, 0).is_null() {
        Value::Null
    } else {
        Value::Bool(false)
    })
}
