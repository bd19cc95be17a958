//! JSON to SQL scalars: BOOL, INT64, FLOAT64, STRING and their LAX_ and _ARRAY forms.

use crate::cast::{float_to_int, parse_float};
use crate::error::{Result, SqlError};
use crate::functions::args::{any, fail, json, optional_string};
use crate::functions::{ScalarFunction, entry};
use crate::value::Value;
use crate::value::json::Json;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("json_functions", "bool", "BOOL", Propagate, ["(JSON) -> BOOL"], |_, args| json_bool(json(args, 0)?)),
    entry!("json_functions", "int64", "INT64", Propagate, ["(JSON) -> INT64"], |_, args| json_int(json(args, 0)?)),
    entry!(
        "json_functions",
        "float64",
        "FLOAT64",
        Handled,
        ["(JSON, [!wide_number_mode => STRING]) -> FLOAT64"],
        |_, args| float_argument(args, json_float)
    ),
    entry!(
        "json_functions",
        "double",
        "DOUBLE",
        Handled,
        ["(JSON, [!wide_number_mode => STRING]) -> FLOAT64"],
        |_, args| float_argument(args, json_float)
    ),
    entry!("json_functions", "json_flatten", "JSON_FLATTEN", Propagate, ["(JSON) -> ARRAY<JSON>"], |_, args| {
        let mut items = Vec::new();
        flatten(json(args, 0)?, &mut items);
        Ok(Value::array(items))
    }),
    entry!("json_functions", "lax_bool", "LAX_BOOL", Propagate, ["(JSON) -> BOOL"], |_, args| {
        Ok(lax_bool(json(args, 0)?))
    }),
    entry!("json_functions", "lax_int64", "LAX_INT64", Propagate, ["(JSON) -> INT64"], |_, args| {
        Ok(lax_int(json(args, 0)?))
    }),
    entry!("json_functions", "lax_float64", "LAX_FLOAT64", Propagate, ["(JSON) -> FLOAT64"], |_, args| {
        Ok(lax_float(json(args, 0)?))
    }),
    entry!("json_functions", "lax_double", "LAX_DOUBLE", Propagate, ["(JSON) -> FLOAT64"], |_, args| {
        Ok(lax_float(json(args, 0)?))
    }),
    entry!("json_functions", "lax_string", "LAX_STRING", Propagate, ["(JSON) -> STRING"], |_, args| {
        Ok(lax_string(json(args, 0)?))
    }),
    entry!("json_functions", "bool_array", "BOOL_ARRAY", Propagate, ["(JSON) -> ARRAY<BOOL>"], |_, args| {
        strict_array(json(args, 0)?, json_bool)
    }),
    entry!("json_functions", "int64_array", "INT64_ARRAY", Propagate, ["(JSON) -> ARRAY<INT64>"], |_, args| {
        strict_array(json(args, 0)?, json_int)
    }),
    entry!(
        "json_functions",
        "float64_array",
        "FLOAT64_ARRAY",
        Handled,
        ["(JSON, [!wide_number_mode => STRING]) -> ARRAY<FLOAT64>"],
        |_, args| float_argument(args, |value, exact| strict_array(value, |item| json_float(item, exact)))
    ),
    entry!("json_functions", "string_array", "STRING_ARRAY", Propagate, ["(JSON) -> ARRAY<STRING>"], |_, args| {
        strict_array(json(args, 0)?, json_string)
    }),
    entry!("json_functions", "lax_bool_array", "LAX_BOOL_ARRAY", Propagate, ["(JSON) -> ARRAY<BOOL>"], |_, args| {
        Ok(lax_array(json(args, 0)?, lax_bool))
    }),
    entry!("json_functions", "lax_int64_array", "LAX_INT64_ARRAY", Propagate, ["(JSON) -> ARRAY<INT64>"], |_, args| {
        Ok(lax_array(json(args, 0)?, lax_int))
    }),
    entry!(
        "json_functions",
        "lax_float64_array",
        "LAX_FLOAT64_ARRAY",
        Propagate,
        ["(JSON) -> ARRAY<FLOAT64>"],
        |_, args| Ok(lax_array(json(args, 0)?, lax_float))
    ),
    entry!(
        "json_functions",
        "lax_string_array",
        "LAX_STRING_ARRAY",
        Propagate,
        ["(JSON) -> ARRAY<STRING>"],
        |_, args| Ok(
            lax_array(json(args, 0)?, |item| super::extract::scalar_text(item).map_or(Value::Null, Value::string))
        )
    ),
];

fn json_bool(value: &Json) -> Result<Value> {
    match value {
        Json::Bool(value) => Ok(Value::Bool(*value)),
        _ => fail("The provided JSON input is not a boolean"),
    }
}

fn json_int(value: &Json) -> Result<Value> {
    let refuse = || SqlError::evaluation(format!("The provided JSON number: {value} cannot be converted to an int64"));
    match value {
        Json::Int(value) => Ok(Value::Int64(*value)),
        Json::Uint(_) => Err(refuse()),
        Json::Float(number) => {
            let fits = number.fract() == 0.0 && (i64::MIN as f64..-(i64::MIN as f64)).contains(number);
            if fits { Ok(Value::Int64(*number as i64)) } else { Err(refuse()) }
        }
        _ => fail("The provided JSON input is not an integer"),
    }
}

/// Reads `wide_number_mode`, then converts with whether it is `exact`.
fn float_argument(args: &[Value], convert: impl Fn(&Json, bool) -> Result<Value>) -> Result<Value> {
    if any(args, 0).is_null() || args.len() > 1 && any(args, 1).is_null() {
        return Ok(Value::Null);
    }
    let exact = match optional_string(args, 1)?.unwrap_or("round") {
        "round" => false,
        "exact" => true,
        other => return fail(format!("Invalid `wide_number_mode` specified: {other}")),
    };
    convert(json(args, 0)?, exact)
}

fn json_float(value: &Json, exact: bool) -> Result<Value> {
    let (number, same) = match value {
        Json::Int(value) => (*value as f64, (*value as f64) as i128 == i128::from(*value)),
        Json::Uint(value) => (*value as f64, (*value as f64) as u128 == u128::from(*value)),
        Json::Float(value) => (*value, true),
        _ => return fail("The provided JSON input is not a number"),
    };
    if exact && !same {
        return fail(format!("JSON number: {value} cannot be converted to DOUBLE without loss of precision"));
    }
    Ok(Value::Float64(number))
}

/// STRING(json): only of a JSON string.
pub(crate) fn json_string(value: &Json) -> Result<Value> {
    match value {
        Json::String(text) => Ok(Value::string(text)),
        _ => fail("The provided JSON input is not a string"),
    }
}

/// Numbers read as a CAST of them would: `1.0` is `1`.
fn lax_string(value: &Json) -> Value {
    match value {
        Json::Float(number) => Value::string(crate::value::float::to_text(*number + 0.0)),
        other => super::extract::scalar_text(other).map_or(Value::Null, Value::string),
    }
}

/// What is no array, within arrays of arrays however deep, from left to right.
fn flatten(value: &Json, into: &mut Vec<Value>) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| flatten(item, into)),
        other => into.push(Value::Json(std::sync::Arc::new(other.clone()))),
    }
}

fn strict_array(value: &Json, convert: impl Fn(&Json) -> Result<Value>) -> Result<Value> {
    match value {
        Json::Array(items) => Ok(Value::array(items.iter().map(convert).collect::<Result<Vec<_>>>()?)),
        _ => fail("The provided JSON input is not an array"),
    }
}

fn lax_array(value: &Json, convert: impl Fn(&Json) -> Value) -> Value {
    match value {
        Json::Array(items) => Value::array(items.iter().map(convert).collect()),
        _ => Value::Null,
    }
}

fn lax_bool(value: &Json) -> Value {
    match value {
        Json::Bool(value) => Value::Bool(*value),
        Json::Int(value) => Value::Bool(*value != 0),
        Json::Uint(_) => Value::Bool(true),
        Json::Float(value) => Value::Bool(*value != 0.0),
        Json::String(text) if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        Json::String(text) if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        _ => Value::Null,
    }
}

fn lax_int(value: &Json) -> Value {
    match value {
        Json::Bool(value) => Value::Int64(i64::from(*value)),
        Json::Int(value) => Value::Int64(*value),
        Json::Float(value) => float_to_int(*value).map_or(Value::Null, Value::Int64),
        Json::String(text) => match text.trim().parse::<i64>() {
            Ok(value) => Value::Int64(value),
            Err(_) => crate::value::Numeric::parse(text, false)
                .and_then(crate::value::Numeric::to_i64)
                .map_or(Value::Null, Value::Int64),
        },
        _ => Value::Null,
    }
}

fn lax_float(value: &Json) -> Value {
    match value {
        Json::Int(value) => Value::Float64(*value as f64),
        Json::Uint(value) => Value::Float64(*value as f64),
        Json::Float(value) => Value::Float64(*value),
        Json::String(text) => parse_float(text).map_or(Value::Null, Value::Float64),
        _ => Value::Null,
    }
}
