//! SQL values to JSON and back: TO_JSON, TO_JSON_STRING, PARSE_JSON, JSON_ARRAY, JSON_OBJECT.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::args::{any, array, fail, optional_string, string};
use crate::functions::encoding::to_base64;
use crate::functions::{Call, ScalarFunction, entry};
use crate::types::Type;
use crate::value::json::{self, Json, WideNumbers, quote_into};
use crate::value::numeric::big;
use crate::value::{Interval, Value, civil, float};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "json_functions",
        "to_json",
        "TO_JSON",
        Handled,
        ["(ANY, [!stringify_wide_numbers => BOOL]) -> JSON"],
        |call, args| {
            if args.len() > 1 && any(args, 1).is_null() {
                return Ok(Value::Null);
            }
            let stringify = matches!(args.get(1), Some(Value::Bool(true)));
            let ty = call.arg_types.first().unwrap_or(&Type::Int64);
            Ok(Value::Json(Arc::new(to_json(any(args, 0), ty, stringify)?)))
        }
    ),
    entry!("json_functions", "to_json_string", "TO_JSON_STRING", Handled, ["(ANY, [BOOL]) -> STRING"], |call, args| {
        if args.len() > 1 && any(args, 1).is_null() {
            return Ok(Value::Null);
        }
        let pretty = matches!(args.get(1), Some(Value::Bool(true)));
        let ty = call.arg_types.first().unwrap_or(&Type::Int64);
        let mut out = String::new();
        to_json_string(any(args, 0), ty, pretty.then_some(0), &mut out)?;
        Ok(Value::string(out))
    }),
    entry!(
        "json_functions",
        "parse_json",
        "PARSE_JSON",
        Handled,
        ["(STRING, [!wide_number_mode => STRING]) -> JSON"],
        |_, args| {
            if any(args, 0).is_null() || args.len() > 1 && any(args, 1).is_null() {
                return Ok(Value::Null);
            }
            let numbers = match optional_string(args, 1)?.unwrap_or("exact") {
                "exact" => WideNumbers::Exact,
                "round" => WideNumbers::Round,
                other => return fail(format!("Invalid `wide_number_mode` specified for PARSE_JSON: {other}")),
            };
            match json::parse(string(args, 0)?, numbers) {
                Ok(value) => Ok(Value::Json(Arc::new(value))),
                Err(why) => fail(format!("Invalid input to PARSE_JSON: {why}")),
            }
        }
    ),
    entry!("json_functions", "json_array", "JSON_ARRAY", Handled, ["(ANY...) -> JSON"], |call, args| {
        let items = args
            .iter()
            .zip(call.arg_types)
            .map(|(item, ty)| part_of("JSON_ARRAY", item, ty))
            .collect::<Result<Vec<_>>>()?;
        Ok(Value::Json(Arc::new(Json::Array(items))))
    }),
    entry!(
        "json_functions",
        "json_object",
        "JSON_OBJECT",
        Handled,
        ["(STRING..., ANY...) -> JSON", "(ARRAY<STRING>, ARRAY<ANY>) -> JSON"],
        json_object
    ),
];

fn json_object(call: &Call, args: &[Value]) -> Result<Value> {
    let mut fields = BTreeMap::new();
    if let [Type::Array(_), Type::Array(element)] = call.arg_types {
        if any(args, 0).is_null() {
            return fail("Invalid input to JSON_OBJECT: The keys array cannot be NULL");
        }
        if any(args, 1).is_null() {
            return fail("Invalid input to JSON_OBJECT: The values array cannot be NULL");
        }
        let (keys, values) = (array(args, 0)?, array(args, 1)?);
        if keys.len() != values.len() {
            return fail("Invalid input to JSON_OBJECT: The number of keys and values must match");
        }
        for (index, value) in values.iter().enumerate() {
            if any(keys, index).is_null() {
                return fail("Invalid input to JSON_OBJECT: A key cannot be NULL");
            }
            fields.entry(string(keys, index)?.to_string()).or_insert(part_of("JSON_OBJECT", value, element)?);
        }
        return Ok(Value::Json(Arc::new(Json::Object(fields))));
    }
    for index in (0..args.len()).step_by(2) {
        if any(args, index).is_null() {
            return fail("Invalid input to JSON_OBJECT: A key cannot be NULL");
        }
        let ty = call.arg_types.get(index + 1).unwrap_or(&Type::Int64);
        let value = part_of("JSON_OBJECT", any(args, index + 1), ty)?;
        fields.entry(string(args, index)?.to_string()).or_insert(value);
    }
    Ok(Value::Json(Arc::new(Json::Object(fields))))
}

/// Integers beyond this do not survive as FLOAT64.
const SAFE_INTEGER: i64 = 1 << 53;

fn part_of(function: &str, value: &Value, ty: &Type) -> Result<Json> {
    to_json(value, ty, false)
        .map_err(|error| SqlError { message: format!("Invalid input to {function}: {}", error.message), ..error })
}

/// The JSON type's value of a SQL value. With `stringify` numbers that FLOAT64 would change become strings.
pub(crate) fn to_json(value: &Value, ty: &Type, stringify: bool) -> Result<Json> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int64(value) if stringify && !(-SAFE_INTEGER..=SAFE_INTEGER).contains(value) => {
            Json::String(value.to_string())
        }
        Value::Int64(value) => Json::Int(*value),
        Value::Float64(value) => float_json(*value + 0.0),
        Value::Numeric(_) | Value::BigNumeric(_) => decimal_json(value, stringify)?,
        Value::String(text) => Json::String(text.to_string()),
        Value::Json(value) => (**value).clone(),
        Value::Array(items) => {
            let element = ty.element().unwrap_or(&Type::Int64);
            Json::Array(items.iter().map(|item| to_json(item, element, stringify)).collect::<Result<Vec<_>>>()?)
        }
        Value::Struct(items) => {
            let Type::Struct(fields) = ty else { return Err(SqlError::internal("a struct without fields")) };
            let mut object = BTreeMap::new();
            for (item, field) in items.iter().zip(&fields.fields) {
                object.entry(field.name.clone()).or_insert(to_json(item, &field.ty, stringify)?);
            }
            Json::Object(object)
        }
        Value::Range(range) => {
            let element = ty.element().unwrap_or(&Type::Date);
            let bound = |bound: &Option<Value>| {
                bound.as_ref().map_or(Ok(Json::Null), |bound| to_json(bound, element, stringify))
            };
            Json::Object(BTreeMap::from([("start".into(), bound(&range.start)?), ("end".into(), bound(&range.end)?)]))
        }
        other => Json::String(scalar_string(other)),
    })
}

fn float_json(value: f64) -> Json {
    if value.is_nan() {
        Json::String("NaN".into())
    } else if value.is_infinite() {
        Json::String(if value > 0.0 { "Infinity" } else { "-Infinity" }.into())
    } else {
        Json::Float(value)
    }
}

fn decimal_json(value: &Value, stringify: bool) -> Result<Json> {
    let text = crate::functions::operators::number_text(value);
    if let Ok(integer) = text.parse::<i64>() {
        let wide = !(-SAFE_INTEGER..=SAFE_INTEGER).contains(&integer);
        return Ok(if stringify && wide { Json::String(text) } else { Json::Int(integer) });
    }
    match json::parse(&text, WideNumbers::Exact) {
        Ok(number) => Ok(number),
        Err(_) if stringify => Ok(Json::String(text)),
        Err(_) => {
            let ty = if matches!(value, Value::Numeric(_)) { "NUMERIC" } else { "BIGNUMERIC" };
            fail(format!("Failed to convert type {ty} to JSON"))
        }
    }
}

/// What is a JSON string: bytes, dates, times, intervals, geographies.
fn scalar_string(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => to_base64(bytes),
        Value::Date(days) => civil::date_text(*days),
        Value::Time(micros) => civil::time_text(*micros),
        Value::Datetime(micros) => civil::datetime_text(*micros, 'T'),
        Value::Timestamp(micros) => format!("{}Z", civil::datetime_text(*micros, 'T')),
        Value::Interval(interval) => iso_interval(interval),
        Value::Geography(geography) => geography.to_string(),
        _ => String::new(),
    }
}

/// ISO 8601: `P1Y2M3DT4H5M6.5S`.
fn iso_interval(interval: &Interval) -> String {
    let mut text = String::from("P");
    let push = |amount: i64, unit: char, text: &mut String| {
        if amount != 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    };
    push(interval.months / 12, 'Y', &mut text);
    push(interval.months % 12, 'M', &mut text);
    push(interval.days, 'D', &mut text);
    if interval.micros != 0 {
        text.push('T');
        push(interval.micros / 3_600_000_000, 'H', &mut text);
        push(interval.micros / 60_000_000 % 60, 'M', &mut text);
        let (seconds, micros) = (interval.micros / 1_000_000 % 60, interval.micros % 1_000_000);
        if micros != 0 {
            let sign = if interval.micros < 0 { "-" } else { "" };
            let fraction = format!("{:06}", micros.abs());
            text.push_str(&format!("{sign}{}.{}S", seconds.abs(), fraction.trim_end_matches('0')));
        } else {
            push(seconds, 'S', &mut text);
        }
    }
    if text == "P" { "P0Y".into() } else { text }
}

/// Appends what TO_JSON_STRING gives: struct fields in their order, wide numbers in quotes. `level` is the
/// depth where it is to be indented.
pub(crate) fn to_json_string(value: &Value, ty: &Type, level: Option<usize>, out: &mut String) -> Result<()> {
    let line = |out: &mut String, level: Option<usize>| {
        if let Some(level) = level {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', level * 2));
        }
    };
    let inner = level.map(|level| level + 1);
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int64(value) if (-SAFE_INTEGER..=SAFE_INTEGER).contains(value) => out.push_str(&value.to_string()),
        Value::Int64(value) => out.push_str(&format!("\"{value}\"")),
        Value::Float64(value) if value.is_finite() => out.push_str(&float::to_text(*value)),
        Value::Float64(value) => match float_json(*value) {
            Json::String(text) => quote_into(&text, out),
            other => other.print(out),
        },
        Value::Numeric(_) | Value::BigNumeric(_) => {
            let text = match value {
                Value::BigNumeric(value) => big::to_text(value),
                other => crate::functions::operators::number_text(other),
            };
            let plain = text.parse::<i64>().is_ok_and(|value| (-SAFE_INTEGER..=SAFE_INTEGER).contains(&value));
            if plain { out.push_str(&text) } else { quote_into(&text, out) }
        }
        Value::String(text) => quote_into(text, out),
        Value::Json(value) => match level {
            None => value.print(out),
            Some(_) => out.push_str(&value.pretty()),
        },
        Value::Array(items) => {
            let element = ty.element().unwrap_or(&Type::Int64);
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, inner);
                to_json_string(item, element, inner, out)?;
            }
            if !items.is_empty() {
                line(out, level);
            }
            out.push(']');
        }
        Value::Struct(items) => {
            let Type::Struct(fields) = ty else { return Err(SqlError::internal("a struct without fields")) };
            out.push('{');
            for (index, (item, field)) in items.iter().zip(&fields.fields).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, inner);
                quote_into(&field.name, out);
                out.push_str(if level.is_some() { ": " } else { ":" });
                to_json_string(item, &field.ty, inner, out)?;
            }
            if !items.is_empty() {
                line(out, level);
            }
            out.push('}');
        }
        Value::Range(range) => {
            let element = ty.element().unwrap_or(&Type::Date);
            out.push('{');
            for (index, (name, bound)) in [("start", &range.start), ("end", &range.end)].into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, inner);
                quote_into(name, out);
                out.push_str(if level.is_some() { ": " } else { ":" });
                to_json_string(bound.as_ref().unwrap_or(&Value::Null), element, inner, out)?;
            }
            line(out, level);
            out.push('}');
        }
        other => quote_into(&scalar_string(other), out),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_keep_order_and_quote_wide_numbers() {
        let ty = Type::struct_of([("z", Type::Int64), ("a", Type::array(Type::Timestamp)), ("n", Type::Numeric)]);
        let value = Value::structure(vec![
            Value::Int64(9_007_199_254_740_993),
            Value::array(vec![Value::Timestamp(1)]),
            Value::Numeric(crate::value::Numeric::parse("12.30", false).expect("fits")),
        ]);
        let mut out = String::new();
        to_json_string(&value, &ty, None, &mut out).expect("prints");
        assert_eq!(out, r#"{"z":"9007199254740993","a":["1970-01-01T00:00:00.000001Z"],"n":"12.3"}"#);
        assert_eq!(iso_interval(&Interval { months: 14, days: -3, micros: 3_600_500_000 }), "P1Y2M-3DT1H0.5S");
    }
}
