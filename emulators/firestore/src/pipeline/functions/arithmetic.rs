//! Numbers: an integer stays one while all are; overflow is an error, NaN goes through.

use std::ops::RangeInclusive;

use super::{Call, Failure, Plain};
use crate::value::Value;

pub(super) fn plain(name: &str) -> Option<(Plain, RangeInclusive<usize>)> {
    Some(match name {
        "add" => (add, 2..=2),
        "subtract" => (subtract, 2..=2),
        "multiply" => (multiply, 2..=2),
        "divide" => (divide, 2..=2),
        "mod" => (modulo, 2..=2),
        "abs" => (abs, 1..=1),
        "ceil" => (ceil, 1..=1),
        "floor" => (floor, 1..=1),
        "round" => (round, 1..=2),
        "trunc" => (trunc, 1..=2),
        "pow" => (pow, 2..=2),
        "sqrt" => (sqrt, 1..=1),
        "exp" => (exp, 1..=1),
        "ln" => (ln, 1..=1),
        "log" => (log, 2..=2),
        "log10" => (log10, 1..=1),
        "sum" => (sum_of, 1..=1),
        _ => return None,
    })
}

/// A number as a double.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
}

/// The sum of two numbers, as a double where the integers overflow.
pub fn sum(a: &Value, b: &Value) -> Value {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map_or(Value::Double(*a as f64 + *b as f64), Value::Int),
        (a, b) => Value::Double(number(a).unwrap_or(0.0) + number(b).unwrap_or(0.0)),
    }
}

fn overflow(call: &Call<'_>) -> Failure {
    call.failed("integer overflow")
}

fn binary(call: &Call<'_>, ints: fn(i64, i64) -> Option<i64>, doubles: fn(f64, f64) -> f64) -> Result<Value, Failure> {
    match (call.get(0)?, call.get(1)?) {
        (Value::Int(a), Value::Int(b)) => ints(*a, *b).map(Value::Int).ok_or_else(|| overflow(call)),
        _ => Ok(Value::Double(doubles(call.double(0)?, call.double(1)?))),
    }
}

fn add(call: &Call<'_>) -> Result<Value, Failure> {
    binary(call, i64::checked_add, |a, b| a + b)
}

fn subtract(call: &Call<'_>) -> Result<Value, Failure> {
    binary(call, i64::checked_sub, |a, b| a - b)
}

fn multiply(call: &Call<'_>) -> Result<Value, Failure> {
    binary(call, i64::checked_mul, |a, b| a * b)
}

fn by_zero(call: &Call<'_>) -> Result<(), Failure> {
    match (call.get(0)?, call.get(1)?) {
        (Value::Int(_), Value::Int(0)) => Err(call.failed("division by zero")),
        _ => Ok(()),
    }
}

/// Between integers the whole quotient, toward zero.
fn divide(call: &Call<'_>) -> Result<Value, Failure> {
    by_zero(call)?;
    binary(call, i64::checked_div, |a, b| a / b)
}

/// The remainder has the sign of the dividend.
fn modulo(call: &Call<'_>) -> Result<Value, Failure> {
    by_zero(call)?;
    binary(call, |a, b| Some(a.wrapping_rem(b)), |a, b| a % b)
}

fn abs(call: &Call<'_>) -> Result<Value, Failure> {
    match call.get(0)? {
        Value::Int(number) => number.checked_abs().map(Value::Int).ok_or_else(|| overflow(call)),
        _ => Ok(Value::Double(call.double(0)?.abs())),
    }
}

fn whole(call: &Call<'_>, doubles: fn(f64) -> f64) -> Result<Value, Failure> {
    match call.get(0)? {
        Value::Int(number) => Ok(Value::Int(*number)),
        _ => Ok(Value::Double(doubles(call.double(0)?))),
    }
}

fn ceil(call: &Call<'_>) -> Result<Value, Failure> {
    whole(call, f64::ceil)
}

fn floor(call: &Call<'_>) -> Result<Value, Failure> {
    whole(call, f64::floor)
}

/// To so many places after the point, or before it where `places` is negative.
fn places(call: &Call<'_>, doubles: fn(f64) -> f64, ints: fn(i128, i128) -> i128) -> Result<Value, Failure> {
    let places = if call.arguments.len() > 1 { call.int(1)? } else { 0 };
    match call.get(0)? {
        Value::Int(number) if places >= 0 => Ok(Value::Int(*number)),
        Value::Int(_) if places < -18 => Ok(Value::Int(0)),
        Value::Int(number) => {
            let unit = 10_i128.pow(u32::try_from(-places).unwrap_or(18));
            let rounded = ints(i128::from(*number), unit);
            i64::try_from(rounded).map(Value::Int).map_err(|_| overflow(call))
        }
        _ => {
            let number = call.double(0)?;
            if places == 0 || !number.is_finite() {
                return Ok(Value::Double(doubles(number)));
            }
            if places > 300 {
                return Ok(Value::Double(number));
            }
            let unit = 10_f64.powi(i32::try_from(places).unwrap_or(i32::MIN));
            let scaled = number * unit;
            // A number too large to have such places is what it is.
            Ok(Value::Double(if !scaled.is_finite() {
                number
            } else if unit == 0.0 {
                0.0
            } else {
                doubles(scaled) / unit
            }))
        }
    }
}

/// Halves go away from zero.
fn round(call: &Call<'_>) -> Result<Value, Failure> {
    places(call, f64::round, |number, unit| {
        let half = if number < 0 { -unit / 2 } else { unit / 2 };
        (number + half) / unit * unit
    })
}

fn trunc(call: &Call<'_>) -> Result<Value, Failure> {
    places(call, f64::trunc, |number, unit| number / unit * unit)
}

fn pow(call: &Call<'_>) -> Result<Value, Failure> {
    let (base, exponent) = (call.double(0)?, call.double(1)?);
    if base == 0.0 && exponent < 0.0 {
        return Err(call.failed("zero to a negative power"));
    }
    Ok(Value::Double(base.powf(exponent)))
}

fn sqrt(call: &Call<'_>) -> Result<Value, Failure> {
    let number = call.double(0)?;
    if number < 0.0 { Err(call.failed("the argument is negative")) } else { Ok(Value::Double(number.sqrt())) }
}

fn exp(call: &Call<'_>) -> Result<Value, Failure> {
    let power = call.double(0)?;
    let result = power.exp();
    if result.is_infinite() && power.is_finite() { Err(call.failed("overflow")) } else { Ok(Value::Double(result)) }
}

fn positive(call: &Call<'_>, at: usize) -> Result<f64, Failure> {
    let number = call.double(at)?;
    if number < 0.0 { Err(call.failed("the argument is negative")) } else { Ok(number) }
}

fn ln(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Double(positive(call, 0)?.ln()))
}

fn log10(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Double(positive(call, 0)?.log10()))
}

fn log(call: &Call<'_>) -> Result<Value, Failure> {
    let (number, base) = (positive(call, 0)?, positive(call, 1)?);
    if base == 0.0 || base == 1.0 {
        return Err(call.failed("the base is 0 or 1"));
    }
    Ok(Value::Double(number.ln() / base.ln()))
}

/// The numbers of an array, added up.
fn sum_of(call: &Call<'_>) -> Result<Value, Failure> {
    let mut total = Value::Int(0);
    for element in call.array(0)?.iter().filter(|element| element.is_number()) {
        total = sum(&total, element);
    }
    Ok(total)
}
