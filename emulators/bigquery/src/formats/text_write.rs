//! CSV and newline-delimited JSON, as extract jobs write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scrimmage_googlesql::catalog::ColumnDef;
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::value::civil;
use scrimmage_googlesql::{Type, Value};
use serde_json::{Map, Value as Json, json};

use super::nested_columns;
use crate::service::cells::{self, Timestamps};

/// A value without parts as text.
fn text(value: &Value, ty: &Type) -> String {
    match value {
        Value::Timestamp(micros) => format!("{} UTC", civil::datetime_text(*micros, ' ')),
        Value::Range(range) => {
            let element = ty.element().cloned().unwrap_or(Type::Date);
            let bound = |bound: &Option<Value>| match bound {
                None | Some(Value::Null) => "UNBOUNDED".to_owned(),
                Some(bound) => text(bound, &element),
            };
            format!("[{}, {})", bound(&range.start), bound(&range.end))
        }
        _ => match cells::cell(value, ty, Timestamps::Iso8601) {
            Json::String(text) => text,
            other => other.to_string(),
        },
    }
}

/// Rows as CSV. NULL is an empty cell, and an empty string a quoted one.
pub fn csv(columns: &[ColumnDef], batches: &[Batch], delimiter: char, header: bool) -> Vec<u8> {
    let mut out = String::new();
    let quoted = |cell: &str| {
        let needs = cell.is_empty()
            || cell.contains([delimiter, '"', '\n', '\r'])
            || cell.starts_with(' ')
            || cell.ends_with(' ');
        if needs { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
    };
    let mut line = |cells: Vec<String>| {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                out.push(delimiter);
            }
            out.push_str(cell);
        }
        out.push('\n');
    };
    if header {
        line(columns.iter().map(|column| quoted(&column.name)).collect());
    }
    for batch in batches {
        for row in 0..batch.len {
            let cells = columns.iter().zip(&batch.columns).map(|(column, values)| match values.get(row) {
                Value::Null => String::new(),
                value => quoted(&text(&value, &column.ty)),
            });
            line(cells.collect());
        }
    }
    out.into_bytes()
}

/// Rows as one JSON object a line; what is NULL is left out, and numbers that JSON may lose are strings.
pub fn ndjson(columns: &[ColumnDef], batches: &[Batch]) -> Vec<u8> {
    let mut out = Vec::new();
    for batch in batches {
        for row in 0..batch.len {
            let mut object = Map::new();
            for (column, values) in columns.iter().zip(&batch.columns) {
                put(&mut object, column, &values.get(row));
            }
            out.extend(Json::Object(object).to_string().into_bytes());
            out.push(b'\n');
        }
    }
    out
}

fn put(object: &mut Map<String, Json>, column: &ColumnDef, value: &Value) {
    let nested = nested_columns(column);
    let json = match (value, &column.ty) {
        (Value::Null, Type::Array(_)) => json!([]),
        (Value::Null, _) => return,
        (Value::Array(items), Type::Array(element)) => {
            Json::Array(items.iter().map(|item| one(item, element, &nested)).collect())
        }
        (value, ty) => one(value, ty, &nested),
    };
    object.insert(column.name.clone(), json);
}

fn one(value: &Value, ty: &Type, nested: &[ColumnDef]) -> Json {
    match value {
        Value::Struct(parts) => {
            let mut object = Map::new();
            nested.iter().zip(parts.iter()).for_each(|(column, part)| put(&mut object, column, part));
            Json::Object(object)
        }
        Value::Bool(yes) => json!(yes),
        Value::Float64(number) if number.is_finite() => json!(number),
        Value::Bytes(bytes) => json!(BASE64.encode(bytes)),
        Value::Json(own) => serde_json::from_str(&own.to_string()).unwrap_or(Json::Null),
        Value::Range(range) => {
            let element = ty.element().cloned().unwrap_or(Type::Date);
            let bound = |bound: &Option<Value>| match bound {
                None | Some(Value::Null) => Json::Null,
                Some(bound) => json!(text(bound, &element)),
            };
            json!({"start": bound(&range.start), "end": bound(&range.end)})
        }
        _ => json!(text(value, ty)),
    }
}
