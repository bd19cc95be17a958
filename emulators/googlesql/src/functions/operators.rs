//! Operators: arithmetic, comparison, logic, LIKE, IN, bits, concatenation.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::args::{any, array, boolean, check_size, fail, int, string};
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::numeric::big;
use crate::value::{Value, civil, float, group_equal, sql_equal, sql_less};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "operators",
        "$add",
        "+",
        Propagate,
        [
            "(INT64, INT64) -> INT64",
            "(FLOAT64, FLOAT64) -> FLOAT64",
            "(NUMERIC, NUMERIC) -> NUMERIC",
            "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC",
            "(DATE, INT64) -> DATE",
            "(INT64, DATE) -> DATE",
            "(TIMESTAMP, INTERVAL) -> TIMESTAMP",
            "(INTERVAL, TIMESTAMP) -> TIMESTAMP",
            "(DATE, INTERVAL) -> DATETIME",
            "(INTERVAL, DATE) -> DATETIME",
            "(DATETIME, INTERVAL) -> DATETIME",
            "(INTERVAL, DATETIME) -> DATETIME",
            "(INTERVAL, INTERVAL) -> INTERVAL",
        ],
        add
    ),
    entry!(
        "operators",
        "$subtract",
        "-",
        Propagate,
        [
            "(INT64, INT64) -> INT64",
            "(FLOAT64, FLOAT64) -> FLOAT64",
            "(NUMERIC, NUMERIC) -> NUMERIC",
            "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC",
            "(DATE, INT64) -> DATE",
            "(DATE, DATE) -> INTERVAL",
            "(TIMESTAMP, TIMESTAMP) -> INTERVAL",
            "(DATETIME, DATETIME) -> INTERVAL",
            "(TIME, TIME) -> INTERVAL",
            "(TIMESTAMP, INTERVAL) -> TIMESTAMP",
            "(DATE, INTERVAL) -> DATETIME",
            "(DATETIME, INTERVAL) -> DATETIME",
            "(INTERVAL, INTERVAL) -> INTERVAL",
        ],
        subtract
    ),
    entry!(
        "operators",
        "$multiply",
        "*",
        Propagate,
        [
            "(INT64, INT64) -> INT64",
            "(FLOAT64, FLOAT64) -> FLOAT64",
            "(NUMERIC, NUMERIC) -> NUMERIC",
            "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC",
            "(INTERVAL, INT64) -> INTERVAL",
            "(INT64, INTERVAL) -> INTERVAL",
        ],
        multiply
    ),
    entry!(
        "operators",
        "$divide",
        "/",
        Propagate,
        [
            "(FLOAT64, FLOAT64) -> FLOAT64",
            "(NUMERIC, NUMERIC) -> NUMERIC",
            "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC",
            "(INTERVAL, INT64) -> INTERVAL",
        ],
        divide
    ),
    entry!(
        "operators",
        "$unary_minus",
        "-",
        Propagate,
        [
            "(INT64) -> INT64",
            "(FLOAT64) -> FLOAT64",
            "(NUMERIC) -> NUMERIC",
            "(BIGNUMERIC) -> BIGNUMERIC",
            "(INTERVAL) -> INTERVAL",
        ],
        negate
    ),
    entry!("operators", "$equal", "=", Handled, ["(T, T) -> BOOL"], |_, args| Ok(truth(sql_equal(
        any(args, 0),
        any(args, 1)
    )))),
    entry!("operators", "$not_equal", "!=", Handled, ["(T, T) -> BOOL"], |_, args| Ok(truth(
        sql_equal(any(args, 0), any(args, 1)).map(|equal| !equal)
    ))),
    entry!("operators", "$less", "<", Handled, ["(T, T) -> BOOL"], |_, args| Ok(compare(args, Ordering::is_lt))),
    entry!("operators", "$less_or_equal", "<=", Handled, ["(T, T) -> BOOL"], |_, args| Ok(compare(
        args,
        Ordering::is_le
    ))),
    entry!("operators", "$greater", ">", Handled, ["(T, T) -> BOOL"], |_, args| Ok(compare(args, Ordering::is_gt))),
    entry!("operators", "$greater_or_equal", ">=", Handled, ["(T, T) -> BOOL"], |_, args| Ok(compare(
        args,
        Ordering::is_ge
    ))),
    entry!("operators", "$is_distinct_from", "IS DISTINCT FROM", Handled, ["(T, T) -> BOOL"], |_, args| Ok(
        Value::Bool(!group_equal(any(args, 0), any(args, 1)))
    )),
    entry!("operators", "$is_not_distinct_from", "IS NOT DISTINCT FROM", Handled, ["(T, T) -> BOOL"], |_, args| Ok(
        Value::Bool(group_equal(any(args, 0), any(args, 1)))
    )),
    entry!("operators", "$not", "NOT", Propagate, ["(BOOL) -> BOOL"], |_, args| Ok(Value::Bool(!boolean(args, 0)?))),
    entry!("operators", "$is_null", "IS NULL", Handled, ["(ANY) -> BOOL"], |_, args| Ok(Value::Bool(
        any(args, 0).is_null()
    ))),
    entry!("operators", "$is_true", "IS TRUE", Handled, ["(BOOL) -> BOOL"], |_, args| Ok(Value::Bool(matches!(
        args.first(),
        Some(Value::Bool(true))
    )))),
    entry!("operators", "$is_false", "IS FALSE", Handled, ["(BOOL) -> BOOL"], |_, args| Ok(Value::Bool(matches!(
        args.first(),
        Some(Value::Bool(false))
    )))),
    entry!("operators", "$in", "IN", Handled, ["(T, T...) -> BOOL"], |_, args| Ok(is_in(
        any(args, 0),
        args.get(1..).unwrap_or_default()
    ))),
    entry!("operators", "$in_array", "IN UNNEST", Handled, ["(T, ARRAY<T>) -> BOOL"], |_, args| {
        if any(args, 1).is_null() {
            return Ok(Value::Bool(false));
        }
        Ok(is_in(any(args, 0), array(args, 1)?))
    }),
    entry!("operators", "$like", "LIKE", Propagate, ["(STRING, STRING) -> BOOL", "(BYTES, BYTES) -> BOOL"], like),
    entry!(
        "operators",
        "$concat_op",
        "||",
        Propagate,
        [
            "(STRING, STRING) -> STRING",
            "(BYTES, BYTES) -> BYTES",
            "(ARRAY<T>, ARRAY<T>) -> ARRAY<T>",
            // Beside a text what has one becomes its text.
            "~(STRING, INT64) -> STRING",
            "~(INT64, STRING) -> STRING",
            "~(STRING, FLOAT64) -> STRING",
            "~(FLOAT64, STRING) -> STRING",
            "~(STRING, NUMERIC) -> STRING",
            "~(NUMERIC, STRING) -> STRING",
            "~(STRING, BIGNUMERIC) -> STRING",
            "~(BIGNUMERIC, STRING) -> STRING",
            "~(STRING, BOOL) -> STRING",
            "~(BOOL, STRING) -> STRING",
            "~(STRING, DATE) -> STRING",
            "~(DATE, STRING) -> STRING",
            "~(STRING, DATETIME) -> STRING",
            "~(DATETIME, STRING) -> STRING",
            "~(STRING, TIME) -> STRING",
            "~(TIME, STRING) -> STRING",
            "~(STRING, TIMESTAMP) -> STRING",
            "~(TIMESTAMP, STRING) -> STRING",
        ],
        concat
    ),
    entry!(
        "operators",
        "$bitwise_and",
        "&",
        Propagate,
        ["(INT64, INT64) -> INT64", "(BYTES, BYTES) -> BYTES"],
        |_, args| bitwise("AND", args, |a, b| a & b, |a, b| a & b)
    ),
    entry!(
        "operators",
        "$bitwise_or",
        "|",
        Propagate,
        ["(INT64, INT64) -> INT64", "(BYTES, BYTES) -> BYTES"],
        |_, args| bitwise("OR", args, |a, b| a | b, |a, b| a | b)
    ),
    entry!(
        "operators",
        "$bitwise_xor",
        "^",
        Propagate,
        ["(INT64, INT64) -> INT64", "(BYTES, BYTES) -> BYTES"],
        |_, args| bitwise("XOR", args, |a, b| a ^ b, |a, b| a ^ b)
    ),
    entry!("operators", "$bitwise_not", "~", Propagate, ["(INT64) -> INT64", "(BYTES) -> BYTES"], |_, args| {
        match any(args, 0) {
            Value::Bytes(bytes) => Ok(Value::bytes(bytes.iter().map(|byte| !byte).collect::<Vec<u8>>())),
            _ => Ok(Value::Int64(!int(args, 0)?)),
        }
    }),
    entry!(
        "operators",
        "$bitwise_left_shift",
        "<<",
        Propagate,
        ["(INT64, INT64) -> INT64", "(BYTES, INT64) -> BYTES"],
        |_, args| shift(args, true)
    ),
    entry!(
        "operators",
        "$bitwise_right_shift",
        ">>",
        Propagate,
        ["(INT64, INT64) -> INT64", "(BYTES, INT64) -> BYTES"],
        |_, args| shift(args, false)
    ),
];

fn truth(value: Option<bool>) -> Value {
    value.map_or(Value::Null, Value::Bool)
}

fn compare(args: &[Value], test: fn(Ordering) -> bool) -> Value {
    truth(sql_less(any(args, 0), any(args, 1), test))
}

/// Three-valued: NULL where nothing equals but something compares as NULL.
fn is_in(value: &Value, items: &[Value]) -> Value {
    if items.is_empty() {
        return Value::Bool(false);
    }
    let mut unknown = false;
    for item in items {
        match sql_equal(value, item) {
            Some(true) => return Value::Bool(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    if unknown { Value::Null } else { Value::Bool(false) }
}

/// Production's text for arithmetic on INT64 that does not fit.
pub(crate) fn integer_overflow() -> SqlError {
    SqlError::evaluation("Integer Overflow")
}

fn overflow(kind: &str, a: &str, op: &str, b: &str) -> SqlError {
    SqlError::evaluation(format!("{kind} overflow: {a} {op} {b}"))
}

/// A FLOAT64 result that is infinite or NaN although its operands are not is an error.
pub(crate) fn checked_float(result: f64, a: f64, op: &str, b: f64) -> Result<Value> {
    if result.is_finite() || !a.is_finite() || !b.is_finite() {
        Ok(Value::Float64(result))
    } else {
        Err(overflow("double", &float::to_message(a), op, &float::to_message(b)))
    }
}

pub(crate) fn division_by_zero(a: &Value, b: &Value) -> SqlError {
    SqlError::evaluation(format!("division by zero: {} / {}", number_text(a), number_text(b)))
}

/// A number as messages about arithmetic print it.
pub(crate) fn number_text(value: &Value) -> String {
    match value {
        Value::Int64(value) => value.to_string(),
        Value::Float64(value) => float::to_message(*value),
        Value::Numeric(value) => value.to_string(),
        Value::BigNumeric(value) => big::to_text(value),
        _ => String::new(),
    }
}

/// `a op b` over NUMERIC or BIGNUMERIC.
fn decimal(a: &Value, b: &Value, op: &str) -> Result<Value> {
    match (a, b) {
        (Value::Numeric(a), Value::Numeric(b)) => {
            let result = match op {
                "+" => a.add(*b),
                "-" => a.sub(*b),
                "*" => a.mul(*b),
                _ => a.div(*b),
            };
            result.map(Value::Numeric).ok_or_else(|| overflow("numeric", &a.to_string(), op, &b.to_string()))
        }
        (Value::BigNumeric(a), Value::BigNumeric(b)) => {
            let result = match op {
                "+" => big::add(a, b),
                "-" => big::sub(a, b),
                "*" => big::mul(a, b),
                _ => big::div(a, b),
            };
            result
                .map(|value| Value::BigNumeric(Arc::new(value)))
                .ok_or_else(|| overflow("BIGNUMERIC", &big::to_text(a), op, &big::to_text(b)))
        }
        _ => Err(SqlError::internal(format!("operator {op} over {a:?} and {b:?}"))),
    }
}

pub(crate) fn add(call: &Call, args: &[Value]) -> Result<Value> {
    match (any(args, 0), any(args, 1)) {
        (Value::Int64(a), Value::Int64(b)) => a.checked_add(*b).map(Value::Int64).ok_or_else(integer_overflow),
        (Value::Float64(a), Value::Float64(b)) => checked_float(a + b, *a, "+", *b),
        (Value::Date(days), Value::Int64(count)) | (Value::Int64(count), Value::Date(days)) => {
            shift_date(*days, *count)
        }
        (Value::Interval(a), Value::Interval(b)) => Ok(Value::Interval(Arc::new(a.add(b)?))),
        (Value::Interval(interval), moment) | (moment, Value::Interval(interval)) => {
            super::dates::add_interval(call, moment, interval)
        }
        (a, b) => decimal(a, b, "+"),
    }
}

pub(crate) fn subtract(call: &Call, args: &[Value]) -> Result<Value> {
    match (any(args, 0), any(args, 1)) {
        (Value::Int64(a), Value::Int64(b)) => a.checked_sub(*b).map(Value::Int64).ok_or_else(integer_overflow),
        (Value::Float64(a), Value::Float64(b)) => checked_float(a - b, *a, "-", *b),
        (Value::Date(days), Value::Int64(count)) => {
            shift_date(*days, count.checked_neg().ok_or_else(integer_overflow)?)
        }
        (Value::Interval(a), Value::Interval(b)) => Ok(Value::Interval(Arc::new(a.sub(b)?))),
        (moment, Value::Interval(interval)) => super::dates::add_interval(call, moment, &interval.neg()),
        (a @ (Value::Date(_) | Value::Datetime(_) | Value::Timestamp(_) | Value::Time(_)), b) => {
            super::dates::interval_between(a, b)
        }
        (a, b) => decimal(a, b, "-"),
    }
}

fn shift_date(days: i32, count: i64) -> Result<Value> {
    i64::from(days).checked_add(count).and_then(civil::date_in_range).map(Value::Date).ok_or_else(|| {
        SqlError::evaluation(format!("Adding {count} DAY to date {} causes overflow", civil::date_text(days)))
    })
}

pub(crate) fn multiply(_: &Call, args: &[Value]) -> Result<Value> {
    match (any(args, 0), any(args, 1)) {
        (Value::Int64(a), Value::Int64(b)) => a.checked_mul(*b).map(Value::Int64).ok_or_else(integer_overflow),
        (Value::Float64(a), Value::Float64(b)) => checked_float(a * b, *a, "*", *b),
        (Value::Interval(interval), Value::Int64(factor)) | (Value::Int64(factor), Value::Interval(interval)) => {
            Ok(Value::Interval(Arc::new(interval.mul(*factor)?)))
        }
        (a, b) => decimal(a, b, "*"),
    }
}

pub(crate) fn divide(_: &Call, args: &[Value]) -> Result<Value> {
    let (a, b) = (any(args, 0), any(args, 1));
    let zero = match b {
        Value::Float64(b) => *b == 0.0,
        Value::Numeric(b) => b.raw() == 0,
        Value::BigNumeric(b) => b.is_zero(),
        _ => false,
    };
    if zero {
        return Err(division_by_zero(a, b));
    }
    match (a, b) {
        (Value::Float64(a), Value::Float64(b)) => checked_float(a / b, *a, "/", *b),
        (Value::Interval(interval), Value::Int64(divisor)) => Ok(Value::Interval(Arc::new(interval.div(*divisor)?))),
        (a, b) => decimal(a, b, "/"),
    }
}

pub(crate) fn negate(_: &Call, args: &[Value]) -> Result<Value> {
    match any(args, 0) {
        Value::Int64(value) => value.checked_neg().map(Value::Int64).ok_or_else(integer_overflow),
        Value::Float64(value) => Ok(Value::Float64(-value)),
        Value::Numeric(value) => Ok(Value::Numeric(value.neg())),
        Value::BigNumeric(value) => big::neg(value)
            .map(|value| Value::BigNumeric(Arc::new(value)))
            .ok_or_else(|| SqlError::evaluation(format!("BIGNUMERIC overflow: -({})", big::to_text(value)))),
        Value::Interval(value) => Ok(Value::Interval(Arc::new(value.neg()))),
        other => Err(SqlError::internal(format!("negation of {other:?}"))),
    }
}

fn concat(call: &Call, args: &[Value]) -> Result<Value> {
    // An element takes at least as much as its value does without what it points at.
    let size = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(elements) => elements.len().saturating_mul(size_of::<Value>()),
        _ => 0,
    };
    check_size("CONCAT", size(any(args, 0)).saturating_add(size(any(args, 1))))?;
    match (any(args, 0), any(args, 1)) {
        (Value::String(a), Value::String(b)) => Ok(Value::string([&**a, &**b].concat())),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Value::bytes([&**a, &**b].concat())),
        (Value::Array(a), Value::Array(b)) => Ok(Value::array(a.iter().chain(b.iter()).cloned().collect())),
        (Value::String(a), other) => Ok(Value::string([&**a, &*crate::cast::to_text(other, call.ctx)?].concat())),
        (other, Value::String(b)) => Ok(Value::string([&*crate::cast::to_text(other, call.ctx)?, &**b].concat())),
        (a, b) => Err(SqlError::internal(format!("operator || over {a:?} and {b:?}"))),
    }
}

fn bitwise(name: &str, args: &[Value], ints: fn(i64, i64) -> i64, bytes: fn(u8, u8) -> u8) -> Result<Value> {
    match (any(args, 0), any(args, 1)) {
        (Value::Bytes(a), Value::Bytes(b)) => {
            if a.len() != b.len() {
                return fail(format!(
                    "Bitwise {name} requires arguments of the same length. Left length: {}; right length: {}",
                    a.len(),
                    b.len()
                ));
            }
            Ok(Value::bytes(a.iter().zip(b.iter()).map(|(a, b)| bytes(*a, *b)).collect::<Vec<u8>>()))
        }
        _ => Ok(Value::Int64(ints(int(args, 0)?, int(args, 1)?))),
    }
}

fn shift(args: &[Value], left: bool) -> Result<Value> {
    let count = int(args, 1)?;
    if count < 0 {
        return fail(format!(
            "Bitwise shift by negative offset: {} {} {count}",
            number_text(any(args, 0)),
            if left { "<<" } else { ">>" }
        ));
    }
    match any(args, 0) {
        Value::Bytes(bytes) => Ok(Value::bytes(shift_bytes(bytes, count as u64, left))),
        _ => {
            let value = int(args, 0)? as u64;
            // Shifting by 64 or more leaves nothing; to the right no sign is extended.
            let amount = u32::try_from(count).unwrap_or(u32::MAX);
            let shifted = if left { value.checked_shl(amount) } else { value.checked_shr(amount) };
            Ok(Value::Int64(shifted.unwrap_or(0) as i64))
        }
    }
}

fn shift_bytes(bytes: &[u8], count: u64, left: bool) -> Vec<u8> {
    let length = bytes.len();
    let whole = usize::try_from(count / 8).unwrap_or(usize::MAX);
    let bits = (count % 8) as u32;
    let at = |index: Option<usize>| index.and_then(|index| bytes.get(index)).copied().unwrap_or(0);
    (0..length)
        .map(|index| {
            if left {
                let high = u16::from(at(index.checked_add(whole)));
                let low = u16::from(at(index.checked_add(whole).and_then(|index| index.checked_add(1))));
                ((((high << 8) | low) << bits) >> 8) as u8
            } else {
                let low = u16::from(at(index.checked_sub(whole)));
                let high = u16::from(at(index.checked_sub(whole).and_then(|index| index.checked_sub(1))));
                (((high << 8) | low) >> bits) as u8
            }
        })
        .collect()
}

fn like(_: &Call, args: &[Value]) -> Result<Value> {
    match (any(args, 0), any(args, 1)) {
        (Value::Bytes(text), Value::Bytes(pattern)) => like_units(text, pattern, b'%', b'_', b'\\'),
        _ => {
            let (text, pattern) = (string(args, 0)?, string(args, 1)?);
            if text.is_ascii() && pattern.is_ascii() {
                return like_units(text.as_bytes(), pattern.as_bytes(), b'%', b'_', b'\\');
            }
            let text: Vec<char> = text.chars().collect();
            let pattern: Vec<char> = pattern.chars().collect();
            like_units(&text, &pattern, '%', '_', '\\')
        }
    }
}

/// Matches with one step back to the last `%`, which is enough.
fn like_units<T: Copy + PartialEq>(text: &[T], pattern: &[T], many: T, one: T, escape: T) -> Result<Value> {
    let bad = || SqlError::evaluation("LIKE pattern ends with a backslash");
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut units = pattern.iter();
    while let Some(unit) = units.next() {
        tokens.push(if *unit == escape {
            Token::Unit(*units.next().ok_or_else(bad)?)
        } else if *unit == many {
            Token::Many
        } else if *unit == one {
            Token::One
        } else {
            Token::Unit(*unit)
        });
    }
    let (mut at, mut token) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match tokens.get(token) {
            Some(Token::Many) => {
                back = Some((at, token));
                token += 1;
            }
            Some(Token::One) => {
                at += 1;
                token += 1;
            }
            Some(Token::Unit(unit)) if *unit == text[at] => {
                at += 1;
                token += 1;
            }
            _ => match &mut back {
                Some((from, many)) => {
                    *from += 1;
                    at = *from;
                    token = *many + 1;
                }
                None => return Ok(Value::Bool(false)),
            },
        }
    }
    Ok(Value::Bool(tokens.get(token..).unwrap_or_default().iter().all(|token| matches!(token, Token::Many))))
}

enum Token<T> {
    Unit(T),
    One,
    Many,
}
