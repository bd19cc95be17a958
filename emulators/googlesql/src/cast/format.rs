//! CAST … FORMAT: bytes encodings, date and time elements, number pictures.

use crate::cast::{dates, numbers};
use crate::error::{Result, SqlError};
use crate::functions::EvalContext;
use crate::functions::encoding;
use crate::types::Type;
use crate::value::Value;

/// `CAST(value AS to FORMAT format [AT TIME ZONE zone])`. NULL in value, format or zone gives NULL.
pub fn cast_with_format(
    value: &Value,
    to: &Type,
    format: &str,
    zone: Option<&str>,
    ctx: &EvalContext,
) -> Result<Value> {
    match (value, to) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Bytes(bytes), Type::String) => bytes_to_string(bytes, format).map(Value::string),
        (Value::String(text), Type::Bytes) => string_to_bytes(text, format).map(Value::bytes),
        (Value::String(text), Type::Date | Type::Time | Type::Datetime | Type::Timestamp) => {
            dates::parse(text, to, format, zone, ctx)
        }
        (Value::Date(_) | Value::Time(_) | Value::Datetime(_) | Value::Timestamp(_), Type::String) => {
            dates::print(value, format, zone, ctx).map(Value::string)
        }
        (Value::Int64(_) | Value::Float64(_) | Value::Numeric(_) | Value::BigNumeric(_), Type::String) => {
            numbers::print(value, format).map(Value::string)
        }
        _ => Err(SqlError::analysis(format!("FORMAT is not allowed for this cast to {to}"))),
    }
}

fn invalid(format: &str) -> SqlError {
    SqlError::evaluation(format!("Invalid format '{format}'"))
}

fn bytes_to_string(bytes: &[u8], format: &str) -> Result<String> {
    match format.to_ascii_uppercase().as_str() {
        "HEX" | "BASE16" => Ok(encoding::to_base_bits(bytes, 4)),
        "BASE2" => Ok(encoding::to_base_bits(bytes, 1)),
        "BASE8" => Ok(encoding::to_base_bits(bytes, 3)),
        "BASE32" => Ok(encoding::to_base32(bytes)),
        "BASE64" => Ok(encoding::to_base64(bytes)),
        "BASE64M" => {
            let text = encoding::to_base64(bytes);
            let lines: Vec<&str> =
                (0..text.len()).step_by(76).filter_map(|at| text.get(at..text.len().min(at + 76))).collect();
            Ok(lines.join("\n"))
        }
        "ASCII" => {
            if bytes.is_ascii() {
                Ok(String::from_utf8_lossy(bytes).into_owned())
            } else {
                Err(SqlError::evaluation("Failed to decode invalid ASCII string"))
            }
        }
        "UTF-8" | "UTF8" => std::str::from_utf8(bytes)
            .map(str::to_string)
            .map_err(|_| SqlError::evaluation("Failed to decode invalid UTF-8 string")),
        _ => Err(invalid(format)),
    }
}

fn string_to_bytes(text: &str, format: &str) -> Result<Vec<u8>> {
    let name = format.to_ascii_lowercase();
    let decoded = |bytes: Option<Vec<u8>>| {
        bytes.ok_or_else(|| SqlError::evaluation(format!("Failed to decode invalid {name} string")))
    };
    match name.as_str() {
        "hex" | "base16" => encoding::from_base_bits(text, 4, &name),
        "base2" => encoding::from_base_bits(text, 1, &name),
        "base8" => encoding::from_base_bits(text, 3, &name),
        "base32" => decoded(encoding::from_base32(text)),
        "base64" | "base64m" => decoded(encoding::from_base64(text)),
        "ascii" => {
            if text.is_ascii() {
                Ok(text.as_bytes().to_vec())
            } else {
                Err(SqlError::evaluation("Failed to decode invalid ASCII string"))
            }
        }
        "utf-8" | "utf8" => Ok(text.as_bytes().to_vec()),
        _ => Err(invalid(format)),
    }
}
