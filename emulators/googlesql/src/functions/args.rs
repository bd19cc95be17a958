//! How function code takes its arguments apart.
//!
//! The analyzer has coerced them, so another type than expected is a bug of this engine and answered as one.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::value::json::Json;
use crate::value::{BigNumeric, Geography, Interval, Numeric, RangeValue, Value};

fn wrong(expected: &str, value: Option<&Value>) -> SqlError {
    SqlError::internal(format!("expected {expected} as an argument, got {value:?}"))
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident -> $ty:ty, $variant:ident, $read:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(args: &[Value], index: usize) -> Result<$ty> {
            match args.get(index) {
                Some(Value::$variant(value)) => Ok($read(value)),
                other => Err(wrong(stringify!($variant), other)),
            }
        }
    )*};
}

fn copy<T: Copy>(value: &T) -> T {
    *value
}

getters! {
    boolean -> bool, Bool, copy;
    int -> i64, Int64, copy;
    float -> f64, Float64, copy;
    numeric -> Numeric, Numeric, copy;
    date -> i32, Date, copy;
    time -> i64, Time, copy;
    timestamp -> i64, Timestamp, copy;
}

macro_rules! borrowers {
    ($($name:ident -> $ty:ty, $variant:ident;)*) => {$(
        pub(crate) fn $name(args: &[Value], index: usize) -> Result<&$ty> {
            match args.get(index) {
                Some(Value::$variant(value)) => Ok(value),
                other => Err(wrong(stringify!($variant), other)),
            }
        }
    )*};
}

borrowers! {
    string -> str, String;
    bytes -> [u8], Bytes;
    big -> Arc<BigNumeric>, BigNumeric;
    interval -> Interval, Interval;
    json -> Json, Json;
    geography -> Geography, Geography;
    range -> RangeValue, Range;
    array -> Vec<Value>, Array;
}

/// The argument, or NULL where it was left out.
pub(crate) fn any(args: &[Value], index: usize) -> &Value {
    const NULL: &Value = &Value::Null;
    args.get(index).unwrap_or(NULL)
}

/// `None` where the argument was left out or is NULL.
pub(crate) fn optional_int(args: &[Value], index: usize) -> Result<Option<i64>> {
    if any(args, index).is_null() { Ok(None) } else { int(args, index).map(Some) }
}

/// `None` where the argument was left out or is NULL.
pub(crate) fn optional_string(args: &[Value], index: usize) -> Result<Option<&str>> {
    if any(args, index).is_null() { Ok(None) } else { string(args, index).map(Some) }
}

/// Whether any argument is NULL; for code that sees NULLs but mostly propagates them.
pub(crate) fn any_null(args: &[Value]) -> bool {
    args.iter().any(Value::is_null)
}

/// What production allows a function to build.
pub(crate) const MAX_OUTPUT: usize = 1024 * 1024;

/// The most that one value may take: production's limit of a row. Without it, a few dozen nested
/// concatenations would take all memory.
const MAX_VALUE: usize = 100 * 1024 * 1024;

/// Refuses to put so many bytes into one value.
pub(crate) fn check_size(function: &str, bytes: usize) -> Result<()> {
    if bytes > MAX_VALUE {
        return fail(format!("Output of {function} exceeds max allowed output size of 100MB"));
    }
    Ok(())
}

/// An evaluation error.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(SqlError::evaluation(message))
}

/// A number argument of whatever type as FLOAT64.
pub(crate) fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Int64(value) => Some(*value as f64),
        Value::Float64(value) => Some(*value),
        Value::Numeric(value) => Some(value.to_f64()),
        Value::BigNumeric(value) => Some(crate::value::numeric::big::to_f64(value)),
        _ => None,
    }
}
