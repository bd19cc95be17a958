//! A value of one type into a column of another, where a file's type and the table's go together.

use std::sync::Arc;

use scrimmage_googlesql::value::{BigNumeric, Numeric, numeric};
use scrimmage_googlesql::{Type, Value};

use super::coerce;

/// The value as one of type `to`; `None` where the two do not go together, or the value does not fit.
pub fn convert(value: Value, to: &Type) -> Option<Value> {
    const DAY: i64 = 86_400_000_000;
    Some(match (value, to) {
        (Value::Null, _) => Value::Null,
        (value @ Value::Bool(_), Type::Bool)
        | (value @ Value::Int64(_), Type::Int64)
        | (value @ Value::Float64(_), Type::Float64)
        | (value @ Value::Numeric(_), Type::Numeric)
        | (value @ Value::BigNumeric(_), Type::BigNumeric)
        | (value @ Value::String(_), Type::String)
        | (value @ Value::Bytes(_), Type::Bytes)
        | (value @ Value::Date(_), Type::Date)
        | (value @ Value::Time(_), Type::Time)
        | (value @ Value::Datetime(_), Type::Datetime)
        | (value @ Value::Timestamp(_), Type::Timestamp)
        | (value @ Value::Interval(_), Type::Interval)
        | (value @ Value::Json(_), Type::Json)
        | (value @ Value::Geography(_), Type::Geography)
        | (value @ Value::Range(_), Type::Range(_))
        | (value @ Value::Array(_), Type::Array(_))
        | (value @ Value::Struct(_), Type::Struct(_)) => value,
        (Value::Int64(number), Type::Float64) => Value::Float64(number as f64),
        (Value::Int64(number), Type::Numeric) => Value::Numeric(Numeric::from_i64(number)),
        (Value::Int64(number), Type::BigNumeric) => Value::BigNumeric(Arc::new(numeric::big::from_i64(number))),
        (Value::Numeric(number), Type::BigNumeric) => Value::BigNumeric(Arc::new(number.to_big())),
        (Value::Numeric(number), Type::Float64) => Value::Float64(number.to_f64()),
        (Value::Numeric(number), Type::String) => Value::string(number.to_string()),
        (Value::BigNumeric(number), Type::Numeric) => Value::Numeric(numeric::big::to_numeric(&number)?),
        (Value::BigNumeric(number), Type::Float64) => Value::Float64(numeric::big::to_f64(&number)),
        (Value::BigNumeric(number), Type::String) => Value::string(numeric::big::to_text(&number)),
        (Value::Bytes(bytes), Type::String) => Value::string(std::str::from_utf8(&bytes).ok()?),
        (Value::Bytes(bytes), Type::Json | Type::Geography) => {
            coerce::scalar(to, std::str::from_utf8(&bytes).ok()?, "").ok()?
        }
        (Value::Date(days), Type::Datetime) => Value::Datetime(i64::from(days) * DAY),
        (Value::Date(days), Type::Timestamp) => Value::Timestamp(i64::from(days) * DAY),
        (Value::Datetime(micros), Type::Timestamp) => Value::Timestamp(micros),
        (Value::Timestamp(micros), Type::Datetime) => Value::Datetime(micros),
        (
            Value::String(text),
            Type::Json
            | Type::Geography
            | Type::Interval
            | Type::Date
            | Type::Time
            | Type::Datetime
            | Type::Timestamp
            | Type::Numeric
            | Type::BigNumeric
            | Type::Range(_),
        ) => coerce::scalar(to, &text, "").ok()?,
        _ => return None,
    })
}

/// A decimal of `scale` digits behind the point, as NUMERIC where it can be one, else as BIGNUMERIC.
pub fn decimal(unscaled: i128, scale: i8) -> Option<Value> {
    let up = |digits: i8| u32::try_from(digits).ok().and_then(|digits| 10i128.checked_pow(digits));
    if scale <= 9
        && let Some(number) = up(9 - scale).and_then(|factor| unscaled.checked_mul(factor)).and_then(Numeric::scaled)
    {
        return Some(Value::Numeric(number));
    }
    let text = format!("{unscaled}e{}", -i32::from(scale));
    numeric::big::parse(&text, false).map(big)
}

pub fn big(number: BigNumeric) -> Value {
    Value::BigNumeric(Arc::new(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_every_digit() {
        assert!(matches!(decimal(15, 1), Some(Value::Numeric(number)) if number.to_string() == "1.5"));
        assert!(matches!(decimal(15, -1), Some(Value::Numeric(number)) if number.to_string() == "150"));
        assert!(
            matches!(decimal(1, 12), Some(Value::BigNumeric(number)) if numeric::big::to_text(&number) == "0.000000000001")
        );
    }

    #[test]
    fn types_that_do_not_go_together_are_refused() {
        assert!(convert(Value::string("x"), &Type::Int64).is_none());
        assert!(convert(Value::Float64(1.0), &Type::Int64).is_none());
        assert!(matches!(convert(Value::Int64(2), &Type::Float64), Some(Value::Float64(two)) if two == 2.0));
        assert!(matches!(convert(Value::string("POINT(1 2)"), &Type::Geography), Some(Value::Geography(_))));
    }
}
