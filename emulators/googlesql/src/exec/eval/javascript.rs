//! JavaScript functions: rows out to a sandbox, results back as values of the declared type.
//!
//! Encodings are those of
//! <https://cloud.google.com/bigquery/docs/user-defined-functions#supported-javascript-udf-data-types>.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scrimmage_javascript::{ErrorKind as JsErrorKind, Js, JsError};

use crate::cast;
use crate::catalog::Routine;
use crate::error::{Result, SqlError};
use crate::exec::column::{Column, ColumnBuilder};
use crate::exec::context::{Run, cancelled};
use crate::exec::frame::Frame;
use crate::exec::javascript::ENTRY;
use crate::functions::EvalContext;
use crate::plan::Expr;
use crate::types::Type;
use crate::value::json::Json;
use crate::value::{Value, civil};

/// Rows that cross the border at once.
const ROWS: usize = 1024;
/// Integers that a double holds exactly reach to here.
const EXACT: i64 = 1 << 53;

impl<'p> Run<'p> {
    /// One call a row.
    pub(super) fn javascript(
        &self,
        routine: &'p Routine,
        args: &'p [Expr],
        expr: &'p Expr,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let columns = self.eval_all(args, frame)?;
        let failed = |error: JsError| failure(routine, &error);
        let program = routine.javascript.program(routine).map_err(failed)?;
        let mut builder = ColumnBuilder::with_capacity(&expr.ty, frame.len);
        let mut start = 0;
        while start < frame.len {
            let end = (start + ROWS).min(frame.len);
            let rows: Vec<Vec<Js>> = (start..end)
                .map(|row| {
                    let values = columns.iter().zip(args);
                    values.map(|(column, arg)| encode(&column.get(row), &arg.ty, &self.ctx.eval)).collect()
                })
                .collect();
            let results = program.call_each(ENTRY, &rows, &self.ctx.cancel).map_err(|(_, error)| failed(error))?;
            for result in results {
                builder.push(decode(&result, &expr.ty, &self.ctx.eval)?);
            }
            self.step(end - start)?;
            start = end;
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// Production's words for a call that failed: the error as JavaScript prints it, and where in the body.
fn failure(routine: &Routine, error: &JsError) -> SqlError {
    match error.kind {
        JsErrorKind::Timeout => SqlError::resources(
            "Resources exceeded during query execution: UDF worker timed out during execution.".to_owned(),
        ),
        JsErrorKind::Memory => SqlError::resources("Resources exceeded during query execution: UDF out of memory."),
        JsErrorKind::Cancelled => cancelled(),
        JsErrorKind::Internal => SqlError::internal(error.message.clone()),
        JsErrorKind::Syntax | JsErrorKind::Thrown | JsErrorKind::NoFunction => {
            let types: Vec<String> = routine
                .arguments
                .iter()
                .map(|argument| argument.ty.as_ref().map_or("ANY TYPE".to_owned(), ToString::to_string))
                .collect();
            let mut text = format!("{} at {}({})", error.message, routine.name.join("."), types.join(", "));
            if let Some((line, column)) = error.place {
                text.push_str(&match column {
                    0 | 1 => format!(" line {line}, column 1"),
                    column => format!(" line {line}, columns {}-{column}", column - 1),
                });
            }
            SqlError::evaluation(text)
        }
    }
}

/// An argument as JavaScript gets it.
fn encode(value: &Value, ty: &Type, ctx: &EvalContext) -> Js {
    match (value, ty) {
        (Value::Null, _) => Js::Null,
        (Value::Bool(value), _) => Js::Bool(*value),
        (Value::Int64(value), _) => whole(*value),
        (Value::Float64(value), _) => Js::Number(*value),
        (Value::Numeric(_) | Value::BigNumeric(_), _) => decimal(value, ctx),
        (Value::String(text), _) => Js::String(text.to_string()),
        (Value::Bytes(bytes), _) => Js::String(BASE64.encode(bytes)),
        (Value::Date(days), _) => Js::Date { millis: f64::from(*days) * 86_400_000.0, micros: None },
        (Value::Timestamp(micros), _) => {
            Js::Date { millis: micros.div_euclid(1000) as f64, micros: Some(micros.rem_euclid(1000) as f64) }
        }
        (Value::Json(json), _) => encode_json(json),
        (Value::Array(items), Type::Array(element)) => {
            Js::Array(items.iter().map(|item| encode(item, element, ctx)).collect())
        }
        (Value::Struct(values), Type::Struct(fields)) => {
            let fields = fields.fields.iter().zip(values.iter());
            Js::Object(fields.map(|(field, value)| (field.name.clone(), encode(value, &field.ty, ctx))).collect())
        }
        // The rest has no encoding of its own: its text.
        (other, _) => cast::to_text(other, ctx).map_or(Js::Null, Js::String),
    }
}

/// Numbers as long as they are exact, digits beyond.
fn whole(value: i64) -> Js {
    if value.unsigned_abs() <= EXACT as u64 { Js::Number(value as f64) } else { Js::String(value.to_string()) }
}

fn decimal(value: &Value, ctx: &EvalContext) -> Js {
    let text = cast::to_text(value, ctx).unwrap_or_default();
    match text.parse::<i64>() {
        Ok(number) => whole(number),
        Err(_) => Js::String(text),
    }
}

fn encode_json(json: &Json) -> Js {
    match json {
        Json::Null => Js::Null,
        Json::Bool(value) => Js::Bool(*value),
        Json::Int(value) => Js::Number(*value as f64),
        Json::Uint(value) => Js::Number(*value as f64),
        Json::Float(value) => Js::Number(*value),
        Json::String(text) => Js::String(text.clone()),
        Json::Array(items) => Js::Array(items.iter().map(encode_json).collect()),
        Json::Object(fields) => {
            Js::Object(fields.iter().map(|(name, value)| (name.clone(), encode_json(value))).collect())
        }
    }
}

/// A result as a value of `ty`; undefined and null are NULL.
fn decode(js: &Js, ty: &Type, ctx: &EvalContext) -> Result<Value> {
    let refused = || SqlError::evaluation(format!("Failed to coerce output value {} to type {ty}", printed(js)));
    let read = |text: &str| cast::cast(&Value::string(text), &Type::String, ty, ctx).map_err(|_| refused());
    Ok(match (js, ty) {
        (Js::Undefined | Js::Null, Type::Json) if *js == Js::Null => Value::Json(Arc::new(Json::Null)),
        (Js::Undefined | Js::Null, _) => Value::Null,
        (_, Type::Json) => match decode_json(js) {
            Some(json) => Value::Json(Arc::new(json)),
            None => Value::Null,
        },
        (Js::Bool(value), Type::Bool) => Value::Bool(*value),
        (Js::Number(value), Type::Float64) => Value::Float64(*value),
        (Js::Number(value), Type::Int64) => {
            // The upper end itself is one too many.
            let fits = value.fract() == 0.0 && *value >= -(2f64.powi(63)) && *value < 2f64.powi(63);
            if fits { Value::Int64(*value as i64) } else { return Err(refused()) }
        }
        (Js::Number(value), Type::Numeric | Type::BigNumeric) => {
            cast::cast(&Value::Float64(*value), &Type::Float64, ty, ctx).map_err(|_| refused())?
        }
        (Js::BigInt(digits), Type::Int64 | Type::Numeric | Type::BigNumeric | Type::Float64) => read(digits)?,
        (Js::String(text), Type::Bytes) => BASE64.decode(text.as_bytes()).map(Value::bytes).map_err(|_| refused())?,
        (Js::String(text), Type::String) => Value::string(text),
        (Js::String(_), Type::Array(_) | Type::Struct(_) | Type::Bool) => return Err(refused()),
        (Js::String(text), _) => read(text)?,
        (Js::Date { millis, micros }, Type::Timestamp | Type::Date | Type::Datetime) => {
            let micros = millis * 1000.0 + micros.unwrap_or_default();
            if !micros.is_finite() {
                return Err(refused());
            }
            let micros = civil::micros_in_range(micros as i64).ok_or_else(refused)?;
            match ty {
                Type::Timestamp => Value::Timestamp(micros),
                Type::Datetime => Value::Datetime(micros),
                _ => Value::Date(micros.div_euclid(86_400_000_000) as i32),
            }
        }
        (other, Type::String) => Value::string(text(other)),
        (Js::Array(items), Type::Array(element)) => {
            Value::array(items.iter().map(|item| decode(item, element, ctx)).collect::<Result<_>>()?)
        }
        (Js::Object(found), Type::Struct(fields)) => {
            let mut values = Vec::with_capacity(fields.fields.len());
            for field in &fields.fields {
                let exact = found.iter().find(|(name, _)| *name == field.name);
                let value = exact.or_else(|| found.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name)));
                values.push(value.map_or(Ok(Value::Null), |(_, value)| decode(value, &field.ty, ctx))?);
            }
            Value::structure(values)
        }
        _ => return Err(refused()),
    })
}

/// As `JSON.stringify` would have it.
fn decode_json(js: &Js) -> Option<Json> {
    Some(match js {
        Js::Undefined => return None,
        Js::Null => Json::Null,
        Js::Bool(value) => Json::Bool(*value),
        Js::Number(value) if value.fract() == 0.0 && value.abs() <= EXACT as f64 => Json::Int(*value as i64),
        Js::Number(value) if value.is_finite() => Json::Float(*value),
        Js::Number(_) => Json::Null,
        Js::BigInt(digits) => digits.parse().map_or_else(|_| Json::String(digits.clone()), Json::Int),
        Js::String(text) => Json::String(text.clone()),
        Js::Date { .. } => match js.to_json() {
            Some(serde_json::Value::String(text)) => Json::String(text),
            _ => Json::Null,
        },
        Js::Array(items) => Json::Array(items.iter().map(|item| decode_json(item).unwrap_or(Json::Null)).collect()),
        Js::Object(fields) => {
            Json::Object(fields.iter().filter_map(|(name, value)| Some((name.clone(), decode_json(value)?))).collect())
        }
    })
}

/// What `String(value)` gives.
fn text(js: &Js) -> String {
    match js {
        Js::Undefined => "undefined".to_owned(),
        Js::Null => "null".to_owned(),
        Js::Bool(value) => value.to_string(),
        Js::Number(value) if value.is_infinite() => if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Js::Number(value) => {
            let shown = format!("{value}");
            // Beyond these JavaScript writes an exponent.
            if *value != 0.0 && !(1e-6..1e21).contains(&value.abs()) && !value.is_nan() {
                let shown = format!("{value:e}");
                if shown.contains("e-") { shown } else { shown.replace('e', "e+") }
            } else if shown == "-0" {
                "0".to_owned()
            } else {
                shown
            }
        }
        Js::BigInt(text) | Js::String(text) => text.clone(),
        Js::Date { .. } => match js.to_json() {
            Some(serde_json::Value::String(text)) => text,
            _ => "Invalid Date".to_owned(),
        },
        Js::Array(items) => items
            .iter()
            .map(|item| if matches!(item, Js::Undefined | Js::Null) { String::new() } else { text(item) })
            .collect::<Vec<_>>()
            .join(","),
        Js::Object(_) => "[object Object]".to_owned(),
    }
}

/// A refused value in a message: strings in quotes.
fn printed(js: &Js) -> String {
    match js {
        Js::String(text) => format!("\"{text}\""),
        other => format!("\"{}\"", text(other)),
    }
}
