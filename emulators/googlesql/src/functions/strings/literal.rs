//! FORMAT's `%t` and `%T`: a value for reading, and a value as an SQL literal.

use crate::cast::to_text;
use crate::error::Result;
use crate::functions::EvalContext;
use crate::types::Type;
use crate::value::numeric::big;
use crate::value::{Value, float};

/// `text` in double quotes (single ones where it has only double ones), escaped.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn escaped_bytes(bytes: &[u8], quote: Option<char>) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            byte if quote.is_some_and(|quote| u32::from(quote) == u32::from(*byte)) => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            0x20..=0x7e => out.push(char::from(*byte)),
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

fn with_point(text: String) -> String {
    if text.contains(['.', 'e', 'n', 'i']) { text } else { format!("{text}.0") }
}

/// `%t`, and `%T` with `literal`.
pub(crate) fn print(value: &Value, ty: &Type, literal: bool, ctx: &EvalContext, out: &mut String) -> Result<()> {
    match value {
        Value::Null => out.push_str("NULL"),
        Value::String(text) if literal => out.push_str(&quoted(text)),
        Value::Bytes(bytes) if literal => {
            let quote = if bytes.contains(&b'"') && !bytes.contains(&b'\'') { '\'' } else { '"' };
            out.push_str(&format!("b{quote}{}{quote}", escaped_bytes(bytes, Some(quote))));
        }
        Value::Bytes(bytes) => out.push_str(&escaped_bytes(bytes, None)),
        Value::Float64(number) if number.is_finite() => out.push_str(&with_point(float::to_text(*number))),
        Value::Float64(number) if literal => {
            out.push_str(&format!("CAST(\"{}\" AS FLOAT64)", float::to_text(*number)));
        }
        Value::Numeric(number) if literal => out.push_str(&format!("NUMERIC \"{number}\"")),
        Value::BigNumeric(number) if literal => out.push_str(&format!("BIGNUMERIC \"{}\"", big::to_text(number))),
        Value::Date(_) | Value::Time(_) | Value::Datetime(_) | Value::Timestamp(_) | Value::Range(_) if literal => {
            // A literal reads the same in every zone.
            let utc = EvalContext { time_zone: "UTC".into(), ..ctx.clone() };
            out.push_str(&format!("{ty} {}", quoted(&to_text(value, &utc)?)));
        }
        Value::Interval(interval) if literal => out.push_str(&format!("INTERVAL \"{interval}\" YEAR TO SECOND")),
        Value::Json(json) if literal => {
            let text = json.to_string();
            out.push_str(&format!("JSON {}", quoted(&text)));
        }
        Value::Geography(geography) => {
            let text = geography.to_string();
            out.push_str(&if literal { format!("ST_GEOGFROMTEXT({})", quoted(&text)) } else { text });
        }
        Value::Array(items) => {
            let element = ty.element().unwrap_or(&Type::Int64);
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                print(item, element, literal, ctx, out)?;
            }
            out.push(']');
        }
        Value::Struct(items) => {
            let fields = match ty {
                Type::Struct(fields) => &fields.fields[..],
                _ => &[],
            };
            out.push_str(if literal && items.len() < 2 { "STRUCT(" } else { "(" });
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                print(item, fields.get(index).map_or(&Type::Int64, |field| &field.ty), literal, ctx, out)?;
            }
            out.push(')');
        }
        other => out.push_str(&to_text(other, ctx)?),
    }
    Ok(())
}
