//! Table schemas as JSON: `{"fields": [{"name", "type", "mode", …}]}`.

use scrimmage_googlesql::catalog::{ColumnDef, Mode, Schema};
use scrimmage_googlesql::{Type, TypeParams};
use serde_json::{Map, Value, json};

use super::error::{ApiError, ApiResult};

/// RECORDs nest at most this deep.
const MAX_DEPTH: usize = 15;

/// Reads `{"fields": […]}`.
pub fn from_json(schema: &Value) -> ApiResult<Schema> {
    let fields = match schema.get("fields") {
        None | Some(Value::Null) => return Ok(Schema::default()),
        Some(Value::Array(fields)) => fields,
        Some(_) => return Err(ApiError::invalid("Invalid schema: fields must be a list").at("schema")),
    };
    let schema = Schema { columns: fields.iter().map(|field| column(field, 0)).collect::<ApiResult<_>>()? };
    for (index, column) in schema.columns.iter().enumerate() {
        if schema.position(&column.name) != Some(index) {
            return Err(ApiError::invalid(format!("Duplicate field name {} in schema", column.name)).at("schema"));
        }
    }
    Ok(schema)
}

fn text<'a>(field: &'a Value, key: &str) -> Option<&'a str> {
    field.get(key).and_then(Value::as_str)
}

fn column(field: &Value, depth: usize) -> ApiResult<ColumnDef> {
    let name = text(field, "name")
        .filter(|name| !name.is_empty())
        .ok_or_else(|| ApiError::invalid("Field name is missing in schema").at("schema"))?;
    if depth > MAX_DEPTH {
        return Err(
            ApiError::invalid(format!("Schema is nested deeper than {MAX_DEPTH} levels at field {name}")).at("schema")
        );
    }
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ' || c == '-') || name.chars().count() > 300 {
        return Err(ApiError::invalid(format!(
            "Invalid field name \"{name}\". Fields must contain the allowed characters, and be at most 300 characters long. For allowed characters, please refer to https://cloud.google.com/bigquery/docs/schemas#column_names"
        )));
    }
    let type_name = text(field, "type")
        .ok_or_else(|| ApiError::invalid(format!("Field {name} is missing its type")).at("schema"))?;
    let mut fields = Vec::new();
    let base = match type_name.to_ascii_uppercase().as_str() {
        "STRING" => Type::String,
        "BYTES" => Type::Bytes,
        "INTEGER" | "INT64" => Type::Int64,
        "FLOAT" | "FLOAT64" => Type::Float64,
        "BOOLEAN" | "BOOL" => Type::Bool,
        "TIMESTAMP" => Type::Timestamp,
        "DATE" => Type::Date,
        "TIME" => Type::Time,
        "DATETIME" => Type::Datetime,
        "INTERVAL" => Type::Interval,
        "NUMERIC" | "DECIMAL" => Type::Numeric,
        "BIGNUMERIC" | "BIGDECIMAL" => Type::BigNumeric,
        "JSON" => Type::Json,
        "GEOGRAPHY" => Type::Geography,
        "RANGE" => {
            let element = field.get("rangeElementType").and_then(|element| text(element, "type")).unwrap_or_default();
            Type::range(match element.to_ascii_uppercase().as_str() {
                "DATE" => Type::Date,
                "DATETIME" => Type::Datetime,
                "TIMESTAMP" => Type::Timestamp,
                _ => {
                    return Err(ApiError::invalid(format!("Field {name} has an invalid rangeElementType")).at("schema"));
                }
            })
        }
        "RECORD" | "STRUCT" => {
            let nested = field.get("fields").and_then(Value::as_array).filter(|nested| !nested.is_empty());
            let nested =
                nested.ok_or_else(|| ApiError::invalid(format!("Field {name} is type RECORD but has no schema")))?;
            fields = nested.iter().map(|field| column(field, depth + 1)).collect::<ApiResult<Vec<_>>>()?;
            Type::struct_of(fields.iter().map(|field| (field.name.clone(), field.ty.clone())))
        }
        _ => {
            return Err(
                ApiError::invalid(format!("Invalid value for type: {type_name} is not a valid value")).at("schema")
            );
        }
    };
    let number = |key: &str| match field.get(key) {
        Some(Value::String(digits)) => digits.parse::<u64>().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        _ => None,
    };
    let own = TypeParams {
        max_length: number("maxLength"),
        precision: number("precision").and_then(|value| u32::try_from(value).ok()),
        scale: number("scale").and_then(|value| u32::try_from(value).ok()),
        children: if fields.iter().any(|field| !field.params.is_empty()) {
            fields.iter().map(|field| field.params.clone()).collect()
        } else {
            Vec::new()
        },
    };
    let (ty, params, mode) = match text(field, "mode").unwrap_or("NULLABLE").to_ascii_uppercase().as_str() {
        "NULLABLE" => (base, own, Mode::Nullable),
        "REQUIRED" => (base, own, Mode::Required),
        "REPEATED" => {
            let params = if own.is_empty() {
                TypeParams::default()
            } else {
                TypeParams { children: vec![own], ..TypeParams::default() }
            };
            (Type::array(base), params, Mode::Nullable)
        }
        other => {
            return Err(ApiError::invalid(format!("Invalid value for mode: {other} is not a valid value")).at("schema"));
        }
    };
    Ok(ColumnDef {
        name: name.to_owned(),
        ty,
        params,
        mode,
        description: text(field, "description").map(str::to_owned),
        default: text(field, "defaultValueExpression").map(str::to_owned),
        rounding_mode: text(field, "roundingMode").map(str::to_owned),
        fields,
    })
}

/// How a schema shows modes: query results and tables say `NULLABLE` only where somebody wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Modes {
    /// `mode` always, as jobs and getQueryResults answer.
    Always,
    /// NULLABLE is left out, as tables made by SQL show.
    OmitNullable,
}

/// Writes `{"fields": […]}`.
pub fn to_json(schema: &Schema, modes: Modes) -> Value {
    json!({"fields": schema.columns.iter().map(|column| column_json(column, modes)).collect::<Vec<_>>()})
}

fn column_json(column: &ColumnDef, modes: Modes) -> Value {
    let (element, repeated) = match &column.ty {
        Type::Array(element) => (element.as_ref(), true),
        other => (other, false),
    };
    let mut field = Map::new();
    field.insert("name".into(), json!(column.name));
    field.insert("type".into(), json!(type_name(element)));
    match (repeated, column.mode, modes) {
        (true, ..) => field.insert("mode".into(), json!("REPEATED")),
        (_, Mode::Required, _) => field.insert("mode".into(), json!("REQUIRED")),
        (_, Mode::Nullable, Modes::Always) => field.insert("mode".into(), json!("NULLABLE")),
        (_, Mode::Nullable, Modes::OmitNullable) => None,
    };
    if let Type::Struct(fields) = element {
        let nested: Vec<Value> = if column.fields.is_empty() {
            fields
                .fields
                .iter()
                .map(|field| column_json(&crate::engine::table::plain_column(&field.name, field.ty.clone()), modes))
                .collect()
        } else {
            column.fields.iter().map(|field| column_json(field, modes)).collect()
        };
        field.insert("fields".into(), Value::Array(nested));
    }
    if let Type::Range(element) = element {
        field.insert("rangeElementType".into(), json!({"type": type_name(element)}));
    }
    let params = if repeated { column.params.children.first().unwrap_or(&column.params) } else { &column.params };
    for (key, value) in [
        ("maxLength", params.max_length),
        ("precision", params.precision.map(u64::from)),
        ("scale", params.scale.map(u64::from)),
    ] {
        if let Some(value) = value {
            field.insert(key.into(), json!(value.to_string()));
        }
    }
    for (key, value) in [
        ("description", &column.description),
        ("defaultValueExpression", &column.default),
        ("roundingMode", &column.rounding_mode),
    ] {
        if let Some(value) = value {
            field.insert(key.into(), json!(value));
        }
    }
    Value::Object(field)
}

/// The columns that `selectedFields` names: `a,b.c` keeps `a`, and of `b` the field `c`.
pub fn selected(schema: &Schema, wanted: &str) -> Schema {
    let paths: Vec<Vec<&str>> = wanted
        .split(',')
        .map(|path| path.trim().split('.').collect())
        .filter(|path: &Vec<&str>| !path.is_empty())
        .collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    Schema { columns: pick(&schema.columns, &paths) }
}

/// Paths are no deeper than schemas nest.
fn pick(columns: &[ColumnDef], paths: &[&[&str]]) -> Vec<ColumnDef> {
    let mut out = Vec::new();
    for column in columns {
        let below: Vec<&[&str]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(first, _)| first.eq_ignore_ascii_case(&column.name))
            .map(|(_, rest)| rest)
            .collect();
        if below.is_empty() {
            continue;
        }
        let mut column = column.clone();
        if !column.fields.is_empty() && below.iter().all(|rest| !rest.is_empty()) {
            column.fields = pick(&column.fields, &below);
            let record = Type::struct_of(column.fields.iter().map(|field| (field.name.clone(), field.ty.clone())));
            column.ty = if matches!(column.ty, Type::Array(_)) { Type::array(record) } else { record };
            column.params = TypeParams::default();
        }
        out.push(column);
    }
    out
}

/// The name that REST gives a type: the legacy ones where there are two.
pub fn type_name(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "BOOLEAN",
        Type::Int64 => "INTEGER",
        Type::Float64 => "FLOAT",
        Type::Numeric => "NUMERIC",
        Type::BigNumeric => "BIGNUMERIC",
        Type::String => "STRING",
        Type::Bytes => "BYTES",
        Type::Date => "DATE",
        Type::Time => "TIME",
        Type::Datetime => "DATETIME",
        Type::Timestamp => "TIMESTAMP",
        Type::Interval => "INTERVAL",
        Type::Json => "JSON",
        Type::Geography => "GEOGRAPHY",
        Type::Range(_) => "RANGE",
        Type::Array(element) => type_name(element),
        Type::Struct(_) => "RECORD",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_survives_the_way_in_and_out() {
        let written = json!({"fields": [
            {"name": "id", "type": "STRING", "mode": "REQUIRED", "maxLength": "10"},
            {"name": "n", "type": "NUMERIC", "mode": "NULLABLE", "precision": "5", "scale": "1"},
            {"name": "tags", "type": "STRING", "mode": "REPEATED"},
            {"name": "r", "type": "RECORD", "mode": "REPEATED", "fields": [{"name": "x", "type": "INTEGER", "mode": "NULLABLE"}]},
            {"name": "during", "type": "RANGE", "mode": "NULLABLE", "rangeElementType": {"type": "DATE"}},
        ]});
        let schema = from_json(&written).expect("a good schema");
        assert_eq!(schema.columns[3].ty.to_string(), "ARRAY<STRUCT<x INT64>>");
        assert_eq!(to_json(&schema, Modes::Always), written);
    }

    #[test]
    fn bad_schemas_are_refused_by_name() {
        for (field, word) in [
            (json!({"name": "a"}), "type"),
            (json!({"name": "a", "type": "INTEGR"}), "INTEGR"),
            (json!({"name": "a", "type": "RECORD"}), "no schema"),
            (json!({"name": "a", "type": "STRING", "mode": "OPTIONAL"}), "OPTIONAL"),
            (json!({"name": "a.b", "type": "STRING"}), "a.b"),
        ] {
            let error = from_json(&json!({"fields": [field]})).expect_err("refused");
            assert!(error.message.contains(word), "{}", error.message);
        }
    }
}
