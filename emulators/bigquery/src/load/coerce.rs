//! JSON and text into the values of a column: what `insertAll` and load jobs accept for each type.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use scrimmage_googlesql::value::civil;
use scrimmage_googlesql::value::json::{Json as SqlJson, WideNumbers};
use scrimmage_googlesql::value::{BigNumeric, Numeric, RangeValue, interval, numeric};
use scrimmage_googlesql::{Type, TypeParams, Value};
use serde_json::{Map, Value as Json};
use thiserror::Error;

/// A value that does not fit its column.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Misfit {
    #[error("No such field: {0}.")]
    UnknownField(String),
    #[error("Only optional fields can be set to NULL. Field: {field}; Value: NULL")]
    NullArray { field: String },
    #[error("Missing required field: {0}.")]
    Missing(String),
    #[error("Array specified for non-repeated field: {0}.")]
    ArrayForScalar(String),
    #[error("Field {field}: {message}")]
    Parameters { field: String, message: String },
    #[error("Could not convert value to {ty}. Field: {field}; Value: {value}")]
    Convert { field: String, ty: &'static str, value: String },
    #[error("This field: {0} is not a record.")]
    NotARecord(String),
}

impl Misfit {
    /// The field's dotted path.
    pub fn field(&self) -> &str {
        match self {
            Misfit::UnknownField(field)
            | Misfit::Missing(field)
            | Misfit::ArrayForScalar(field)
            | Misfit::NotARecord(field)
            | Misfit::NullArray { field }
            | Misfit::Parameters { field, .. }
            | Misfit::Convert { field, .. } => field,
        }
    }

    /// `insertAll`'s wording of the same.
    pub fn streaming_text(&self) -> String {
        match self {
            Misfit::UnknownField(field) => format!("no such field: {field}."),
            Misfit::Convert { ty, value, .. } => format!("Cannot convert value to {ty} (bad value): {value}"),
            other => other.to_string(),
        }
    }
}

/// One row, an object by field name (case-insensitive), into values in schema order.
pub fn row(columns: &[ColumnDef], object: &Map<String, Json>, ignore_unknown: bool) -> Result<Vec<Value>, Misfit> {
    record(columns, object, ignore_unknown, "")
}

fn record(
    columns: &[ColumnDef],
    object: &Map<String, Json>,
    ignore_unknown: bool,
    prefix: &str,
) -> Result<Vec<Value>, Misfit> {
    let mut values = vec![None; columns.len()];
    for (position, (key, json)) in object.iter().enumerate() {
        // Writers keep the schema's order, so the next column is the likely one.
        let found = match columns.get(position) {
            Some(column) if column.name == *key => Some(position),
            _ => columns.iter().position(|column| column.name.eq_ignore_ascii_case(key)),
        };
        match found {
            Some(index) => values[index] = Some(field(&columns[index], json, ignore_unknown, prefix)?),
            None if ignore_unknown => {}
            None => return Err(Misfit::UnknownField(format!("{prefix}{key}"))),
        }
    }
    columns
        .iter()
        .zip(values)
        .map(|(column, value)| match (value, &column.ty) {
            (Some(Value::Null) | None, _) if column.mode == Mode::Required => {
                Err(Misfit::Missing(format!("{prefix}{}", column.name)))
            }
            (Some(value), _) => Ok(value),
            (None, Type::Array(_)) => Ok(Value::array(Vec::new())),
            (None, _) => Ok(Value::Null),
        })
        .collect()
}

fn field(column: &ColumnDef, json: &Json, ignore_unknown: bool, prefix: &str) -> Result<Value, Misfit> {
    let path = || format!("{prefix}{}", column.name);
    match (&column.ty, json) {
        (Type::Array(_), Json::Null) => Err(Misfit::NullArray { field: path() }),
        (Type::Array(element), Json::Array(items)) => {
            let params = column.params.children.first().unwrap_or(&column.params);
            let items = items.iter().map(|item| match item {
                Json::Null => Err(Misfit::NullArray { field: path() }),
                _ => single(column, element, params, item, ignore_unknown, prefix),
            });
            Ok(Value::array(items.collect::<Result<_, _>>()?))
        }
        // A lone value for a repeated field is an array of one.
        (Type::Array(element), _) => {
            let params = column.params.children.first().unwrap_or(&column.params);
            Ok(Value::array(vec![single(column, element, params, json, ignore_unknown, prefix)?]))
        }
        (Type::Json, _) => Ok(Value::Json(std::sync::Arc::new(to_sql_json(json)))),
        (_, Json::Null) => Ok(Value::Null),
        (ty, _) => single(column, ty, &column.params, json, ignore_unknown, prefix),
    }
}

fn single(
    column: &ColumnDef,
    ty: &Type,
    params: &TypeParams,
    json: &Json,
    ignore_unknown: bool,
    prefix: &str,
) -> Result<Value, Misfit> {
    let path = || format!("{prefix}{}", column.name);
    match (ty, json) {
        (Type::Json, _) => Ok(Value::Json(std::sync::Arc::new(to_sql_json(json)))),
        (Type::Struct(_), Json::Object(object)) => {
            Ok(Value::structure(record(&column.fields, object, ignore_unknown, &format!("{}.", path()))?))
        }
        (Type::Struct(_), _) => Err(Misfit::NotARecord(path())),
        (_, Json::Array(_)) => Err(Misfit::ArrayForScalar(path())),
        (Type::Range(element), Json::Object(object)) => {
            let bound = |key: &str| match object.get(key) {
                None | Some(Json::Null) => Ok(None),
                Some(Json::String(text)) => scalar(element, text, &path()).map(Some),
                Some(other) => Err(Misfit::Convert { field: path(), ty: "range", value: other.to_string() }),
            };
            Ok(Value::Range(std::sync::Arc::new(RangeValue { start: bound("start")?, end: bound("end")? })))
        }
        (_, Json::Object(_)) => Err(Misfit::Convert { field: path(), ty: name(ty), value: json.to_string() }),
        (Type::String, Json::String(text)) => check(Value::string(text), ty, params, &path()),
        (_, Json::String(text)) => check(scalar(ty, text, &path())?, ty, params, &path()),
        (Type::Bool, Json::Bool(yes)) => Ok(Value::Bool(*yes)),
        (Type::Int64, Json::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Value::Int64(whole)),
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < 9.2e18 => Ok(Value::Int64(float as i64)),
            _ => Err(Misfit::Convert { field: path(), ty: name(ty), value: number.to_string() }),
        },
        (Type::Float64, Json::Number(number)) => number.as_f64().map(Value::Float64).ok_or_else(|| Misfit::Convert {
            field: path(),
            ty: name(ty),
            value: number.to_string(),
        }),
        // A number for a timestamp is seconds since the epoch.
        (Type::Timestamp, Json::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(seconds), _) => timestamp_in_range(seconds.checked_mul(1_000_000), &path(), json),
            (None, Some(seconds)) => timestamp_in_range(Some((seconds * 1e6).round() as i64), &path(), json),
            _ => Err(Misfit::Convert { field: path(), ty: name(ty), value: number.to_string() }),
        },
        (Type::Bool, Json::Number(number)) if number.as_i64() == Some(0) || number.as_i64() == Some(1) => {
            Ok(Value::Bool(number.as_i64() == Some(1)))
        }
        (_, Json::Number(number)) => check(scalar(ty, &number.to_string(), &path())?, ty, params, &path()),
        (Type::String, Json::Bool(yes)) => check(Value::string(yes.to_string()), ty, params, &path()),
        (_, Json::Bool(yes)) => Err(Misfit::Convert { field: path(), ty: name(ty), value: yes.to_string() }),
        (_, Json::Null) => Ok(Value::Null),
    }
}

fn timestamp_in_range(micros: Option<i64>, path: &str, json: &Json) -> Result<Value, Misfit> {
    micros.and_then(civil::micros_in_range).map(Value::Timestamp).ok_or_else(|| Misfit::Convert {
        field: path.to_owned(),
        ty: "timestamp",
        value: json.to_string(),
    })
}

/// The type's name in conversion errors.
fn name(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "boolean",
        Type::Int64 => "integer",
        Type::Float64 => "float",
        Type::Numeric => "numeric",
        Type::BigNumeric => "bignumeric",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Date => "date",
        Type::Time => "time",
        Type::Datetime => "datetime",
        Type::Timestamp => "timestamp",
        Type::Interval => "interval",
        Type::Json => "JSON",
        Type::Geography => "geography",
        Type::Range(_) => "range",
        Type::Array(_) => "array",
        Type::Struct(_) => "record",
    }
}

/// A cell written as text, as CSV and quoted JSON have it.
pub fn scalar(ty: &Type, text: &str, field: &str) -> Result<Value, Misfit> {
    let value = match ty {
        Type::String => Some(Value::string(text)),
        Type::Int64 => text.trim().parse::<i64>().ok().map(Value::Int64),
        Type::Float64 => float(text.trim()).map(Value::Float64),
        Type::Bool => boolean(text.trim()).map(Value::Bool),
        Type::Bytes => STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok().map(Value::bytes),
        Type::Date => civil::parse_date(text.trim()).map(Value::Date),
        Type::Time => civil::parse_time(text.trim()).map(Value::Time),
        Type::Datetime => civil::parse_datetime(text.trim()).map(Value::Datetime),
        Type::Timestamp => timestamp(text.trim()).map(Value::Timestamp),
        Type::Numeric => Numeric::parse(text.trim(), false).map(Value::Numeric),
        Type::BigNumeric => numeric::big::parse(text.trim(), false)
            .map(|value: BigNumeric| Value::BigNumeric(std::sync::Arc::new(value))),
        Type::Interval => interval::parse(text.trim()).ok().map(|value| Value::Interval(std::sync::Arc::new(value))),
        Type::Json => scrimmage_googlesql::value::json::parse(text, WideNumbers::Round)
            .ok()
            .map(|value| Value::Json(std::sync::Arc::new(value))),
        Type::Range(element) => range(element, text.trim(), field),
        Type::Geography => scrimmage_googlesql::functions::geography_from_text(text)
            .ok()
            .map(|value| Value::Geography(std::sync::Arc::new(value))),
        Type::Array(_) | Type::Struct(_) => None,
    };
    value.ok_or_else(|| Misfit::Convert { field: field.to_owned(), ty: name(ty), value: text.to_owned() })
}

fn range(element: &Type, text: &str, field: &str) -> Option<Value> {
    let (start, end) = text.strip_prefix('[')?.strip_suffix(')')?.split_once(',')?;
    let bound = |text: &str| match text.trim() {
        "UNBOUNDED" | "NULL" => Some(None),
        text => scalar(element, text, field).ok().map(Some),
    };
    Some(Value::Range(std::sync::Arc::new(RangeValue { start: bound(start)?, end: bound(end)? })))
}

fn float(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        plain => plain.parse().ok(),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Every spelling that loads accept: with `T` or a space, with a zone, `UTC` or none, slashes for dashes, or epoch seconds.
fn timestamp(text: &str) -> Option<i64> {
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let utc = civil::time_zone("UTC")?;
    if let Some(micros) = civil::parse_timestamp(text, &utc) {
        return Some(micros);
    }
    // SQL takes no space before an offset, loads do: `2018-08-19 07:11:35.220 -05:00`.
    if let Some((head, offset)) = text.rsplit_once(' ')
        && offset.starts_with(['+', '-'])
        && let Some(micros) = civil::parse_timestamp(&format!("{head}{offset}"), &utc)
    {
        return Some(micros);
    }
    if text.contains('/') {
        return civil::parse_timestamp(&text.replace('/', "-"), &utc);
    }
    let seconds: f64 = text.parse().ok()?;
    civil::micros_in_range((seconds * 1e6).round() as i64)
}

/// Enforces `STRING(n)`, `BYTES(n)`, `NUMERIC(p, s)`; decimals are rounded to their scale.
pub(crate) fn check(value: Value, ty: &Type, params: &TypeParams, field: &str) -> Result<Value, Misfit> {
    if params.is_empty() {
        return Ok(value);
    }
    scrimmage_googlesql::cast::enforce(value, ty, params)
        .map_err(|error| Misfit::Parameters { field: field.to_owned(), message: error.message })
}

/// JSON from the wire as a value of SQL's JSON type.
pub fn to_sql_json(json: &Json) -> SqlJson {
    match json {
        Json::Null => SqlJson::Null,
        Json::Bool(yes) => SqlJson::Bool(*yes),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => SqlJson::Int(whole),
            (None, Some(whole)) => SqlJson::Uint(whole),
            _ => SqlJson::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => SqlJson::String(text.clone()),
        Json::Array(items) => SqlJson::Array(items.iter().map(to_sql_json).collect()),
        Json::Object(fields) => {
            SqlJson::Object(fields.iter().map(|(key, value)| (key.clone(), to_sql_json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::schema;

    fn read(fields: Json, object: Json) -> Result<Vec<Value>, Misfit> {
        let schema = schema::from_json(&json!({ "fields": fields })).expect("a good schema");
        row(&schema.columns, object.as_object().expect("an object"), false)
    }

    #[test]
    fn fields_are_found_without_case_and_checked() {
        let fields = json!([{"name": "Id", "type": "INTEGER", "mode": "REQUIRED"}, {"name": "tags", "type": "STRING", "mode": "REPEATED"}]);
        let values = read(fields.clone(), json!({"tags": ["a"], "id": "7"})).expect("fits");
        assert!(matches!(values[0], Value::Int64(7)));
        assert_eq!(read(fields.clone(), json!({"tags": []})).unwrap_err().to_string(), "Missing required field: Id.");
        assert_eq!(read(fields.clone(), json!({"id": 1, "x": 2})).unwrap_err().to_string(), "No such field: x.");
        assert!(
            read(fields.clone(), json!({"id": 1, "tags": null}))
                .unwrap_err()
                .to_string()
                .starts_with("Only optional fields can be set to NULL")
        );
        assert_eq!(
            read(fields, json!({"id": "abc"})).unwrap_err().to_string(),
            "Could not convert value to integer. Field: Id; Value: abc"
        );
    }

    #[test]
    fn parameters_are_enforced() {
        let fields = json!([{"name": "n", "type": "NUMERIC", "precision": "5", "scale": "1"}, {"name": "s", "type": "STRING", "maxLength": "2"}]);
        assert!(read(fields.clone(), json!({"n": 9999.94, "s": "ab"})).is_ok());
        assert!(read(fields.clone(), json!({"n": 10000})).is_err());
        assert!(read(fields, json!({"s": "abc"})).is_err());
    }

    #[test]
    fn timestamps_come_in_many_spellings() {
        let wanted = 1_704_164_645_000_000;
        for text in [
            "2024-01-02T03:04:05Z",
            "2024-01-02 03:04:05 UTC",
            "2024-01-02 04:04:05+01:00",
            "2024-01-01 22:04:05.000 -05:00",
            "2024/01/02 03:04:05",
            "1704164645",
        ] {
            assert_eq!(timestamp(text), Some(wanted), "{text}");
        }
        assert_eq!(timestamp("yesterday"), None);
    }
}
