//! CAST: every conversion, its texts, and the enforcement of type parameters.
//!
//! Rules: <https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_functions#cast>.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::error::{Result, SqlError};
use crate::functions::EvalContext;
use crate::types::{Type, TypeParams};
use crate::value::numeric::big;
use crate::value::{BigNumeric, Numeric, RangeValue, Value, civil, float, interval};

mod dates;
pub mod format;
mod numbers;

fn fail<T>(message: String) -> Result<T> {
    Err(SqlError::evaluation(message))
}

fn big_value(value: BigNumeric) -> Value {
    Value::BigNumeric(Arc::new(value))
}

/// Whether CAST(x AS `to`) exists for an x of type `from`.
pub fn castable(from: &Type, to: &Type) -> bool {
    use Type::{
        Array, BigNumeric, Bool, Bytes, Date, Datetime, Float64, Int64, Interval, Numeric, Range, String, Struct, Time,
        Timestamp,
    };
    if from == to {
        return true;
    }
    match (from, to) {
        (Int64 | Numeric | BigNumeric | Float64, Int64 | Numeric | BigNumeric | Float64 | String) => true,
        (Int64, Bool) | (Bool, Int64 | String) => true,
        (
            String,
            Bool | Int64 | Float64 | Numeric | BigNumeric | Bytes | Date | Datetime | Time | Timestamp | Interval
            | Range(_),
        ) => true,
        (Bytes | Interval | Range(_), String) => true,
        (Date, String | Datetime | Timestamp) => true,
        (Datetime | Timestamp, String | Date | Time | Datetime | Timestamp) => true,
        (Time, String) => true,
        (Array(a), Array(b)) => castable(a, b),
        (Struct(a), Struct(b)) => {
            a.fields.len() == b.fields.len() && a.fields.iter().zip(&b.fields).all(|(a, b)| castable(&a.ty, &b.ty))
        }
        _ => false,
    }
}

/// The statement's time zone.
pub fn default_zone(ctx: &EvalContext) -> Result<TimeZone> {
    named_zone(&ctx.time_zone)
}

/// A zone by name or offset: `Invalid time zone: X`.
pub fn named_zone(name: &str) -> Result<TimeZone> {
    civil::time_zone(name).ok_or_else(|| SqlError::evaluation(format!("Invalid time zone: {name}")))
}

/// `CAST(value AS to)`. NULL stays NULL. The analyzer has checked [`castable`].
pub fn cast(value: &Value, from: &Type, to: &Type, ctx: &EvalContext) -> Result<Value> {
    let unsupported = || SqlError::analysis(format!("Invalid cast from {from} to {to}"));
    if value.is_null() {
        return Ok(Value::Null);
    }
    match (value, to) {
        (Value::Array(items), Type::Array(target)) => {
            let source = from.element().ok_or_else(unsupported)?;
            if source == &**target {
                return Ok(value.clone());
            }
            let items = items.iter().map(|item| cast(item, source, target, ctx)).collect::<Result<Vec<_>>>()?;
            Ok(Value::array(items))
        }
        (Value::Struct(items), Type::Struct(target)) => {
            let Type::Struct(source) = from else { return Err(unsupported()) };
            let fields = source.fields.iter().zip(&target.fields);
            let items = items
                .iter()
                .zip(fields)
                .map(|(item, (source, target))| cast(item, &source.ty, &target.ty, ctx))
                .collect::<Result<Vec<_>>>()?;
            Ok(Value::structure(items))
        }
        (_, Type::String) => Ok(match value {
            Value::String(_) => value.clone(),
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Value::string(text),
                Err(_) => return fail("Invalid cast of bytes to UTF8 string".into()),
            },
            _ => Value::string(to_text(value, ctx)?),
        }),
        (Value::String(text), _) => from_text(text, to, ctx),
        (Value::Int64(_) | Value::Float64(_) | Value::Numeric(_) | Value::BigNumeric(_) | Value::Bool(_), _) => {
            number(value, to).ok_or_else(unsupported)?
        }
        (Value::Date(days), Type::Date) => Ok(Value::Date(*days)),
        (Value::Date(days), Type::Datetime) => Ok(Value::Datetime(i64::from(*days) * civil::DAY_MICROS)),
        (Value::Date(days), Type::Timestamp) => instant(i64::from(*days) * civil::DAY_MICROS, &default_zone(ctx)?),
        (Value::Datetime(micros), _) => from_civil(*micros, to).or_else(|_| match to {
            Type::Timestamp => instant(*micros, &default_zone(ctx)?),
            _ => Err(unsupported()),
        }),
        (Value::Timestamp(micros), Type::Timestamp) => Ok(Value::Timestamp(*micros)),
        (Value::Timestamp(micros), Type::Date | Type::Datetime) => {
            let local = civil::to_civil_checked(&default_zone(ctx)?, *micros).ok_or_else(|| {
                let shown = civil::timestamp_text(*micros, &TimeZone::UTC);
                SqlError::evaluation(format!("Timestamp {shown} is out of range of {to} in that time zone"))
            })?;
            from_civil(local, to)
        }
        (Value::Timestamp(micros), _) => from_civil(civil::to_civil(&default_zone(ctx)?, *micros), to),
        _ if from == to || from.equivalent(to) => Ok(value.clone()),
        _ => Err(unsupported()),
    }
}

fn instant(datetime: i64, zone: &TimeZone) -> Result<Value> {
    civil::to_instant(zone, datetime).map(Value::Timestamp).ok_or_else(|| {
        SqlError::evaluation(format!("Cannot convert Datetime {} to timestamp", civil::datetime_text(datetime, ' ')))
    })
}

fn from_civil(micros: i64, to: &Type) -> Result<Value> {
    match to {
        Type::Date => Ok(Value::Date(micros.div_euclid(civil::DAY_MICROS) as i32)),
        Type::Time => Ok(Value::Time(micros.rem_euclid(civil::DAY_MICROS))),
        Type::Datetime => Ok(Value::Datetime(micros)),
        _ => Err(SqlError::analysis(format!("Invalid cast from DATETIME to {to}"))),
    }
}

/// Between numbers, and BOOL to and from INT64. `None`: there is no such cast.
fn number(value: &Value, to: &Type) -> Option<Result<Value>> {
    Some(match (value, to) {
        (Value::Bool(value), Type::Int64) => Ok(Value::Int64(i64::from(*value))),
        (Value::Int64(value), Type::Bool) => Ok(Value::Bool(*value != 0)),
        (Value::Int64(value), Type::Float64) => Ok(Value::Float64(*value as f64)),
        (Value::Int64(value), Type::Numeric) => Ok(Value::Numeric(Numeric::from_i64(*value))),
        (Value::Int64(value), Type::BigNumeric) => Ok(big_value(big::from_i64(*value))),
        (Value::Float64(value), Type::Int64) => float_to_int(*value).map(Value::Int64),
        (Value::Float64(value), Type::Numeric) => finite(*value, "numeric").and_then(|value| {
            Numeric::from_f64(value)
                .map(Value::Numeric)
                .ok_or_else(|| SqlError::evaluation(format!("numeric out of range: {}", float::to_message(value))))
        }),
        (Value::Float64(value), Type::BigNumeric) => finite(*value, "bignumeric").and_then(|value| {
            big::from_f64(value)
                .map(big_value)
                .ok_or_else(|| SqlError::evaluation(format!("bignumeric out of range: {}", float::to_message(value))))
        }),
        (Value::Numeric(value), Type::Int64) => {
            value.to_i64().map(Value::Int64).ok_or_else(|| SqlError::evaluation(format!("int64 out of range: {value}")))
        }
        (Value::Numeric(value), Type::Float64) => Ok(Value::Float64(value.to_f64())),
        (Value::Numeric(value), Type::BigNumeric) => Ok(big_value(value.to_big())),
        (Value::BigNumeric(value), Type::Int64) => big::to_i64(value)
            .map(Value::Int64)
            .ok_or_else(|| SqlError::evaluation(format!("int64 out of range: {}", big::to_text(value)))),
        (Value::BigNumeric(value), Type::Float64) => Ok(Value::Float64(big::to_f64(value))),
        (Value::BigNumeric(value), Type::Numeric) => big::to_numeric(value)
            .map(Value::Numeric)
            .ok_or_else(|| SqlError::evaluation(format!("numeric out of range: {}", big::to_text(value)))),
        (Value::Bool(_), Type::Bool)
        | (Value::Int64(_), Type::Int64)
        | (Value::Float64(_), Type::Float64)
        | (Value::Numeric(_), Type::Numeric)
        | (Value::BigNumeric(_), Type::BigNumeric) => Ok(value.clone()),
        _ => return None,
    })
}

fn finite(value: f64, target: &str) -> Result<f64> {
    if value.is_finite() {
        Ok(value)
    } else {
        fail(format!(
            "Illegal conversion of non-finite floating point number to {target}: {}",
            float::to_message(value)
        ))
    }
}

/// Rounds half away from zero.
pub fn float_to_int(value: f64) -> Result<i64> {
    if !value.is_finite() {
        return fail(format!(
            "Illegal conversion of non-finite floating point number to an integer: {}",
            float::to_message(value)
        ));
    }
    let rounded = value.round();
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        Ok(rounded as i64)
    } else {
        fail(format!("int64 out of range: {}", float::to_message(value)))
    }
}

/// A value's text as CAST(value AS STRING) has it; BYTES as far as they are UTF-8, ARRAY and STRUCT not at all.
pub fn to_text(value: &Value, ctx: &EvalContext) -> Result<String> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        // "A returned NaN or 0 will not be signed": CAST.
        Value::Float64(value) => float::to_text(*value + 0.0),
        Value::Numeric(value) => value.to_string(),
        Value::BigNumeric(value) => big::to_text(value),
        Value::String(value) => value.to_string(),
        Value::Bytes(value) => String::from_utf8_lossy(value).into_owned(),
        Value::Date(days) => civil::date_text(*days),
        Value::Time(micros) => civil::time_text(*micros),
        Value::Datetime(micros) => civil::datetime_text(*micros, ' '),
        Value::Timestamp(micros) => civil::timestamp_text(*micros, &default_zone(ctx)?),
        Value::Interval(value) => value.to_string(),
        Value::Json(value) => value.to_string(),
        Value::Range(value) => {
            let bound = |bound: &Option<Value>| match bound {
                None => Ok("UNBOUNDED".to_string()),
                Some(value) => to_text(value, ctx),
            };
            format!("[{}, {})", bound(&value.start)?, bound(&value.end)?)
        }
        Value::Null => "NULL".into(),
        other => return Err(SqlError::internal(format!("no text for {other:?}"))),
    })
}

/// CAST(text AS to).
pub fn from_text(text: &str, to: &Type, ctx: &EvalContext) -> Result<Value> {
    Ok(match to {
        Type::String => Value::string(text),
        Type::Bytes => Value::bytes(text),
        Type::Bool => {
            if text.eq_ignore_ascii_case("true") {
                Value::Bool(true)
            } else if text.eq_ignore_ascii_case("false") {
                Value::Bool(false)
            } else {
                return fail(format!("Bad bool value: {text}"));
            }
        }
        Type::Int64 => match parse_int(text) {
            Some(value) => Value::Int64(value),
            None => return fail(format!("Bad int64 value: {text}")),
        },
        Type::Float64 => match parse_float(text) {
            Some(value) => Value::Float64(value),
            None => return fail(format!("Bad double value: {text}")),
        },
        Type::Numeric => match Numeric::parse(text, false) {
            Some(value) => Value::Numeric(value),
            None => return fail(format!("Invalid NUMERIC value: {text}")),
        },
        Type::BigNumeric => match big::parse(text, false) {
            Some(value) => big_value(value),
            None => return fail(format!("Invalid BIGNUMERIC value: {text}")),
        },
        Type::Date => match civil::parse_date(text) {
            Some(days) => Value::Date(days),
            None => return fail(format!("Invalid date: '{text}'")),
        },
        Type::Time => match civil::parse_time(text) {
            Some(micros) => Value::Time(micros),
            None => return fail(format!("Invalid time string \"{text}\"")),
        },
        Type::Datetime => match civil::parse_datetime(text) {
            Some(micros) => Value::Datetime(micros),
            None => return fail(format!("Invalid datetime string \"{text}\"")),
        },
        Type::Timestamp => match civil::parse_timestamp(text, &default_zone(ctx)?) {
            Some(micros) => Value::Timestamp(micros),
            None => return fail(format!("Invalid timestamp: '{text}'")),
        },
        Type::Interval => Value::Interval(Arc::new(interval::parse(text)?)),
        Type::Range(element) => range_from_text(text, element, ctx)?,
        _ => return Err(SqlError::analysis(format!("Invalid cast from STRING to {to}"))),
    })
}

/// Decimal or `0x` hexadecimal, blanks around it allowed.
fn parse_int(text: &str) -> Option<i64> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, radix) = match digits.get(..2) {
        Some("0x" | "0X") => (&digits[2..], 16),
        _ => (digits, 10),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Decimal, hexadecimal, `inf`, `infinity` or `nan` in any case, blanks around it allowed; out of range is refused.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return Some(sign * hexadecimal(hex)?);
    }
    if digits.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("nan(")) && digits.ends_with(')') {
        return Some(f64::NAN);
    }
    // What is too large is infinite.
    text.parse().ok()
}

/// `1F`, `1.8p3`: what follows `0x`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?.clamp(-5000, 5000)),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    Some(value * 2f64.powi(exponent - 4 * fraction.len() as i32))
}

/// `[2020-01-01, UNBOUNDED)`.
fn range_from_text(text: &str, element: &Type, ctx: &EvalContext) -> Result<Value> {
    let bad = || SqlError::evaluation(format!("Invalid RANGE<{element}> value: \"{text}\""));
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(')')).ok_or_else(bad)?;
    let (start, end) = inner.split_once(", ").or_else(|| inner.split_once(',')).ok_or_else(bad)?;
    let bound = |text: &str| {
        if text.eq_ignore_ascii_case("unbounded") || text.eq_ignore_ascii_case("null") {
            Ok(None)
        } else {
            from_text(text, element, ctx).map(Some)
        }
    };
    make_range(bound(start)?, bound(end)?)
}

/// RANGE(start, end): the start must lie before the end.
pub(crate) fn make_range(start: Option<Value>, end: Option<Value>) -> Result<Value> {
    if let (Some(start), Some(end)) = (&start, &end)
        && crate::value::sql_cmp(start, end).is_ge()
    {
        return fail("Range start element must be smaller than range end element".into());
    }
    Ok(Value::Range(Arc::new(RangeValue { start, end })))
}

/// What a value becomes where a type's parameters hold: rounded to a scale, or refused for its length or size.
pub fn enforce(value: Value, ty: &Type, params: &TypeParams) -> Result<Value> {
    if params.is_empty() {
        return Ok(value);
    }
    match (&value, ty) {
        (Value::String(text), _) => {
            if let Some(max) = params.max_length {
                let length = text.chars().count() as u64;
                if length > max {
                    return fail(format!(
                        "STRING({max}) has maximum length {max} but got a value with length {length}"
                    ));
                }
            }
            Ok(value)
        }
        (Value::Bytes(bytes), _) => {
            if let Some(max) = params.max_length
                && bytes.len() as u64 > max
            {
                let length = bytes.len();
                return fail(format!("BYTES({max}) has maximum length {max} but got a value with length {length}"));
            }
            Ok(value)
        }
        (Value::Numeric(number), _) => {
            let Some(precision) = params.precision else { return Ok(value) };
            let scale = params.scale.unwrap_or(0);
            let limit = decimal_limit(precision, scale);
            let rounded = number.round(i64::from(scale));
            let inside = rounded
                .filter(|rounded| Numeric::parse(&limit, false).is_none_or(|limit| rounded.abs().raw() <= limit.raw()));
            inside.map(Value::Numeric).ok_or_else(|| out_of_range("NUMERIC", precision, params.scale, &limit))
        }
        (Value::BigNumeric(number), _) => {
            let Some(precision) = params.precision else { return Ok(value) };
            let scale = params.scale.unwrap_or(0);
            let limit = decimal_limit(precision, scale);
            let rounded = big::round(number, i64::from(scale));
            let inside = rounded.filter(|rounded| {
                big::parse(&limit, false).is_none_or(|limit| big::abs(rounded).is_some_and(|rounded| rounded <= limit))
            });
            inside.map(big_value).ok_or_else(|| out_of_range("BIGNUMERIC", precision, params.scale, &limit))
        }
        (Value::Array(items), Type::Array(element)) => {
            let Some(inner) = params.children.first() else { return Ok(value) };
            let items = items.iter().map(|item| enforce(item.clone(), element, inner)).collect::<Result<Vec<_>>>()?;
            Ok(Value::array(items))
        }
        (Value::Struct(items), Type::Struct(fields)) => {
            let none = TypeParams::default();
            let items = items
                .iter()
                .zip(&fields.fields)
                .enumerate()
                .map(|(index, (item, field))| {
                    enforce(item.clone(), &field.ty, params.children.get(index).unwrap_or(&none))
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Value::structure(items))
        }
        _ => Ok(value),
    }
}

/// The greatest number of that precision and scale.
fn decimal_limit(precision: u32, scale: u32) -> String {
    let whole = "9".repeat(precision.saturating_sub(scale) as usize);
    let whole = if whole.is_empty() { "0".into() } else { whole };
    if scale == 0 { whole } else { format!("{whole}.{}", "9".repeat(scale as usize)) }
}

fn out_of_range(ty: &str, precision: u32, scale: Option<u32>, limit: &str) -> SqlError {
    let name = match scale {
        Some(scale) if scale > 0 => format!("{ty}({precision}, {scale})"),
        _ => format!("{ty}({precision})"),
    };
    SqlError::evaluation(format!(
        "{name} has precision {precision} and scale {} but got a value that is not in range of [-{limit}, {limit}]",
        scale.unwrap_or(0)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctx() -> EvalContext {
        EvalContext {
            now: 0,
            time_zone: "UTC".into(),
            draws: crate::functions::Draws::default(),
            session_user: String::new(),
            project: String::new(),
        }
    }

    fn text(value: &Value, from: Type, to: Type) -> String {
        match cast(value, &from, &to, &ctx()) {
            Ok(value) => to_text(&value, &ctx()).expect("a text"),
            Err(error) => error.message,
        }
    }

    #[test]
    fn casts_and_their_texts() {
        for (value, to, shown) in [
            ("1.5", Type::Int64, "Bad int64 value: 1.5"),
            (" 0x1F ", Type::Int64, "31"),
            ("0xFFFFFFFFFFFFFFFF", Type::Int64, "Bad int64 value: 0xFFFFFFFFFFFFFFFF"),
            ("-9223372036854775808", Type::Int64, "-9223372036854775808"),
            ("", Type::Float64, "Bad double value: "),
            ("-Inf", Type::Float64, "-inf"),
            ("NaN", Type::Numeric, "Invalid NUMERIC value: NaN"),
            ("2024-01-02 03:04:05", Type::Date, "Invalid date: '2024-01-02 03:04:05'"),
            ("24:00:00", Type::Time, "Invalid time string \"24:00:00\""),
            ("abc", Type::Datetime, "Invalid datetime string \"abc\""),
            ("2024-01-02 03:04:05.1234567", Type::Timestamp, "Invalid timestamp: '2024-01-02 03:04:05.1234567'"),
            ("TRUE", Type::Bool, "true"),
            ("[2020-01-01, UNBOUNDED)", Type::range(Type::Date), "[2020-01-01, UNBOUNDED)"),
        ] {
            assert_eq!(text(&Value::string(value), Type::String, to), shown);
        }
        assert_eq!(text(&Value::Float64(2.5), Type::Float64, Type::Int64), "3");
        assert_eq!(text(&Value::Float64(-2.5), Type::Float64, Type::Int64), "-3");
        assert_eq!(text(&Value::Float64(9.3e18), Type::Float64, Type::Int64), "int64 out of range: 9.3e+18");
        assert_eq!(text(&Value::bytes([0xff]), Type::Bytes, Type::String), "Invalid cast of bytes to UTF8 string");
    }

    #[test]
    fn parameters_round_or_refuse() {
        let params = |precision, scale| TypeParams { precision, scale, ..TypeParams::default() };
        let number = Value::Numeric(Numeric::parse("123456", false).expect("fits"));
        assert_eq!(
            enforce(number.clone(), &Type::Numeric, &params(Some(5), None)).unwrap_err().message,
            "NUMERIC(5) has precision 5 and scale 0 but got a value that is not in range of [-99999, 99999]"
        );
        assert!(enforce(number, &Type::Numeric, &params(Some(8), Some(2))).is_ok());
        let limit = TypeParams { max_length: Some(2), ..TypeParams::default() };
        assert_eq!(
            enforce(Value::string("héy"), &Type::String, &limit).unwrap_err().message,
            "STRING(2) has maximum length 2 but got a value with length 3"
        );
    }
}
