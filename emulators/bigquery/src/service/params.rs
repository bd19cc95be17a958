//! Query parameters as REST sends them.

use scrimmage_googlesql::catalog::Parameters;
use scrimmage_googlesql::value::RangeValue;
use scrimmage_googlesql::{Type, Value};
use serde_json::Value as Json;

use super::error::{ApiError, ApiResult};
use crate::load::coerce;

const MAX_DEPTH: usize = 15;

/// `queryParameters`; all named or all positional.
pub fn from_json(list: &[Json]) -> ApiResult<Parameters> {
    let mut parameters = Parameters::default();
    for (index, parameter) in list.iter().enumerate() {
        let name = parameter.get("name").and_then(Json::as_str).unwrap_or_default();
        let label = if name.is_empty() { format!("at position {}", index + 1) } else { name.to_owned() };
        let declared = parameter
            .get("parameterType")
            .ok_or_else(|| ApiError::invalid(format!("Query parameter {label} has no type")))?;
        let ty = parameter_type(declared, &label, 0)?;
        let value = parameter_value(parameter.get("parameterValue").unwrap_or(&Json::Null), &ty, &label)?;
        if name.is_empty() {
            parameters.positional.push((ty, value));
        } else if parameters.named.insert(name.to_ascii_lowercase(), (ty, value)).is_some() {
            return Err(ApiError::invalid(format!("Duplicate parameter name {name}")));
        }
    }
    if !parameters.named.is_empty() && !parameters.positional.is_empty() {
        return Err(ApiError::invalid("Query parameters must be all named or all positional"));
    }
    Ok(parameters)
}

fn parameter_type(declared: &Json, label: &str, depth: usize) -> ApiResult<Type> {
    let invalid = |what: &str| ApiError::invalid(format!("Query parameter {label} has an invalid type: {what}"));
    if depth > MAX_DEPTH {
        return Err(invalid("nested too deep"));
    }
    let name = declared.get("type").and_then(Json::as_str).unwrap_or_default();
    Ok(match name.to_ascii_uppercase().as_str() {
        "INT64" | "INTEGER" => Type::Int64,
        "FLOAT64" | "FLOAT" => Type::Float64,
        "BOOL" | "BOOLEAN" => Type::Bool,
        "STRING" => Type::String,
        "BYTES" => Type::Bytes,
        "DATE" => Type::Date,
        "TIME" => Type::Time,
        "DATETIME" => Type::Datetime,
        "TIMESTAMP" => Type::Timestamp,
        "NUMERIC" | "DECIMAL" => Type::Numeric,
        "BIGNUMERIC" | "BIGDECIMAL" => Type::BigNumeric,
        "INTERVAL" => Type::Interval,
        "JSON" => Type::Json,
        "GEOGRAPHY" => Type::Geography,
        "RANGE" => {
            let element = declared.get("rangeElementType").ok_or_else(|| invalid("RANGE without element type"))?;
            Type::range(parameter_type(element, label, depth + 1)?)
        }
        "ARRAY" => {
            let element = declared.get("arrayType").ok_or_else(|| invalid("ARRAY without arrayType"))?;
            Type::array(parameter_type(element, label, depth + 1)?)
        }
        "STRUCT" | "RECORD" => {
            let fields = declared
                .get("structTypes")
                .and_then(Json::as_array)
                .ok_or_else(|| invalid("STRUCT without structTypes"))?;
            let mut members = Vec::new();
            for field in fields {
                let ty = field.get("type").ok_or_else(|| invalid("struct field without type"))?;
                let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
                members.push((name.to_owned(), parameter_type(ty, label, depth + 1)?));
            }
            Type::struct_of(members)
        }
        other => return Err(invalid(other)),
    })
}

fn parameter_value(json: &Json, ty: &Type, label: &str) -> ApiResult<Value> {
    match ty {
        Type::Array(element) => match json.get("arrayValues").and_then(Json::as_array) {
            Some(items) => Ok(Value::array(
                items.iter().map(|item| parameter_value(item, element, label)).collect::<ApiResult<_>>()?,
            )),
            None => Ok(Value::array(Vec::new())),
        },
        Type::Struct(fields) => match json.get("structValues").and_then(Json::as_object) {
            Some(values) => {
                let mut members = Vec::new();
                for field in &fields.fields {
                    members.push(parameter_value(values.get(&field.name).unwrap_or(&Json::Null), &field.ty, label)?);
                }
                Ok(Value::structure(members))
            }
            None => Ok(Value::Null),
        },
        Type::Range(element) if json.get("rangeValue").is_some() => {
            let range = &json["rangeValue"];
            let bound = |key: &str| -> ApiResult<Option<Value>> {
                let value = parameter_value(range.get(key).unwrap_or(&Json::Null), element, label)?;
                Ok(if value.is_null() { None } else { Some(value) })
            };
            Ok(Value::Range(std::sync::Arc::new(RangeValue { start: bound("start")?, end: bound("end")? })))
        }
        _ => {
            let text = match json.get("value") {
                None | Some(Json::Null) => return Ok(Value::Null),
                Some(Json::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            coerce::scalar(ty, &text, label)
                .map_err(|_| ApiError::invalid(format!("Invalid value for type {ty}: {text}")).at("queryParameters"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_parameters_are_read() {
        let list = [json!({
            "name": "S",
            "parameterType": {"type": "STRUCT", "structTypes": [
                {"name": "x", "type": {"type": "INT64"}},
                {"name": "y", "type": {"type": "ARRAY", "arrayType": {"type": "STRING"}}}]},
            "parameterValue": {"structValues": {"x": {"value": "1"}, "y": {"arrayValues": [{"value": "a"}]}}}
        })];
        let parameters = from_json(&list).expect("good");
        let (ty, value) = &parameters.named["s"];
        assert_eq!(ty.to_string(), "STRUCT<x INT64, y ARRAY<STRING>>");
        assert!(matches!(value, Value::Struct(fields) if matches!(fields[0], Value::Int64(1))));
    }

    #[test]
    fn a_bad_value_is_refused() {
        let list = [json!({"parameterType": {"type": "DATE"}, "parameterValue": {"value": "soon"}})];
        assert!(from_json(&list).is_err());
    }
}
