//! Mathematical functions.

use std::collections::{BTreeMap, BTreeSet};

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::args::{
    any, array, as_float, big as big_arg, bytes, fail, float, int, numeric, optional_string, string,
};
use crate::functions::decimals;
use crate::functions::operators::{
    add, divide, division_by_zero, integer_overflow, multiply, negate, number_text, subtract,
};
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::numeric::big;
use crate::value::{BigNumeric, Numeric, Value, float as text, sql_cmp};

/// An entry over FLOAT64 alone.
macro_rules! float_entry {
    ($name:literal, $sql_name:literal, $code:expr) => {
        entry!("mathematical_functions", $name, $sql_name, Propagate, ["(FLOAT64) -> FLOAT64"], |_, args| {
            let code: fn(f64) -> f64 = $code;
            checked($sql_name, &[float(args, 0)?], code(float(args, 0)?))
        })
    };
}

/// An entry over the four number types, where INT64 counts as FLOAT64.
macro_rules! number_entry {
    ($name:literal, $sql_name:literal, $code:expr) => {
        entry!(
            "mathematical_functions",
            $name,
            $sql_name,
            Propagate,
            ["(FLOAT64) -> FLOAT64", "(NUMERIC) -> NUMERIC", "(BIGNUMERIC) -> BIGNUMERIC"],
            |_, args| {
                let code: fn(f64) -> f64 = $code;
                let x = as_float(any(args, 0)).unwrap_or(f64::NAN);
                like_argument(any(args, 0), checked($sql_name, &[x], code(x))?)
            }
        )
    };
}

macro_rules! rounding_entry {
    ($name:literal, $sql_name:literal, $float:expr, $numeric:expr, $big:expr) => {
        entry!(
            "mathematical_functions",
            $name,
            $sql_name,
            Propagate,
            ["(FLOAT64) -> FLOAT64", "(NUMERIC) -> NUMERIC", "(BIGNUMERIC) -> BIGNUMERIC"],
            |_, args| {
                let (on_float, on_numeric, on_big): (
                    fn(f64) -> f64,
                    fn(Numeric) -> Option<Numeric>,
                    fn(&BigNumeric) -> Option<BigNumeric>,
                ) = ($float, $numeric, $big);
                match any(args, 0) {
                    Value::Numeric(value) => numeric_result($sql_name, args, on_numeric(*value)),
                    Value::BigNumeric(value) => big_result($sql_name, args, on_big(value)),
                    _ => Ok(Value::Float64(on_float(float(args, 0)?))),
                }
            }
        )
    };
}

/// SAFE_ADD and its kin: NULL where the operator fails.
macro_rules! safe_entry {
    ($name:literal, $sql_name:literal, [$($signature:literal),*], $code:expr) => {
        entry!("mathematical_functions", $name, $sql_name, Propagate, [$($signature),*], |call, args| {
            Ok($code(call, args).unwrap_or(Value::Null))
        })
    };
}

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "mathematical_functions",
        "abs",
        "ABS",
        Propagate,
        ["(INT64) -> INT64", "(FLOAT64) -> FLOAT64", "(NUMERIC) -> NUMERIC", "(BIGNUMERIC) -> BIGNUMERIC"],
        |_, args| match any(args, 0) {
            Value::Int64(value) => value
                .checked_abs()
                .map(Value::Int64)
                .ok_or_else(|| { SqlError::evaluation(format!("int64 overflow: ABS({value})")) }),
            Value::Numeric(value) => Ok(Value::Numeric(value.abs())),
            Value::BigNumeric(value) => big_result("ABS", args, big::abs(value)),
            _ => Ok(Value::Float64(float(args, 0)?.abs())),
        }
    ),
    entry!(
        "mathematical_functions",
        "sign",
        "SIGN",
        Propagate,
        ["(INT64) -> INT64", "(FLOAT64) -> FLOAT64", "(NUMERIC) -> NUMERIC", "(BIGNUMERIC) -> BIGNUMERIC"],
        |_, args| Ok(match any(args, 0) {
            Value::Int64(value) => Value::Int64(value.signum()),
            Value::Numeric(value) => Value::Numeric(Numeric::from_i64(value.raw().signum() as i64)),
            Value::BigNumeric(value) => Value::BigNumeric(Arc::new(big::from_i64(if value.is_negative() {
                -1
            } else {
                i64::from(!value.is_zero())
            }))),
            _ => {
                let value = float(args, 0)?;
                Value::Float64(if value.is_nan() || value == 0.0 { value } else { value.signum() })
            }
        })
    ),
    entry!("mathematical_functions", "is_inf", "IS_INF", Propagate, ["(FLOAT64) -> BOOL"], |_, args| Ok(Value::Bool(
        float(args, 0)?.is_infinite()
    ))),
    entry!("mathematical_functions", "is_nan", "IS_NAN", Propagate, ["(FLOAT64) -> BOOL"], |_, args| Ok(Value::Bool(
        float(args, 0)?.is_nan()
    ))),
    entry!(
        "mathematical_functions",
        "ieee_divide",
        "IEEE_DIVIDE",
        Propagate,
        ["(FLOAT64, FLOAT64) -> FLOAT64"],
        |_, args| { Ok(Value::Float64(float(args, 0)? / float(args, 1)?)) }
    ),
    entry!(
        "mathematical_functions",
        "rand",
        "RAND",
        Propagate,
        ["() -> FLOAT64"],
        |call, _| Ok(Value::Float64((call.ctx.draws.next_u64() >> 11) as f64 / (1u64 << 53) as f64)),
        volatile
    ),
    entry!(
        "mathematical_functions",
        "sqrt",
        "SQRT",
        Propagate,
        ["(FLOAT64) -> FLOAT64", "(NUMERIC) -> NUMERIC", "(BIGNUMERIC) -> BIGNUMERIC"],
        |_, args| match any(args, 0) {
            Value::Numeric(x) if x.raw() >= 0 => numeric_result("SQRT", args, x.sqrt()),
            Value::BigNumeric(x) if crate::value::numeric::big_sqrt(x).is_some() => {
                Ok(crate::value::numeric::big_sqrt(x).map_or(Value::Null, |root| Value::BigNumeric(root.into())))
            }
            x => {
                let x = as_float(x).unwrap_or(f64::NAN);
                like_argument(any(args, 0), checked("SQRT", &[x], x.sqrt())?)
            }
        }
    ),
    number_entry!("exp", "EXP", f64::exp),
    number_entry!("ln", "LN", |x| if x <= 0.0 { f64::NAN } else { x.ln() }),
    number_entry!("log10", "LOG10", |x| if x <= 0.0 { f64::NAN } else { x.log10() }),
    number_entry!("cbrt", "CBRT", f64::cbrt),
    entry!(
        "mathematical_functions",
        "log",
        "LOG",
        Propagate,
        [
            "(FLOAT64, [FLOAT64]) -> FLOAT64",
            "(NUMERIC, [NUMERIC]) -> NUMERIC",
            "(BIGNUMERIC, [BIGNUMERIC]) -> BIGNUMERIC"
        ],
        |_, args| {
            let x = as_float(any(args, 0)).unwrap_or(f64::NAN);
            if args.len() < 2 {
                let result = if x <= 0.0 { f64::NAN } else { x.ln() };
                return like_argument(any(args, 0), checked("LOG", &[x], result)?);
            }
            let base = as_float(any(args, 1)).unwrap_or(f64::NAN);
            let result = if x <= 0.0 || base <= 0.0 || base == 1.0 || base.is_infinite() {
                f64::NAN
            } else if base == 10.0 {
                x.log10()
            } else if base == 2.0 {
                x.log2()
            } else {
                x.ln() / base.ln()
            };
            like_argument(any(args, 0), checked("LOG", &[x, base], result)?)
        }
    ),
    entry!(
        "mathematical_functions",
        "pow",
        "POW",
        Propagate,
        ["(FLOAT64, FLOAT64) -> FLOAT64", "(NUMERIC, NUMERIC) -> NUMERIC", "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC"],
        |_, args| pow("POW", args)
    ),
    entry!(
        "mathematical_functions",
        "power",
        "POWER",
        Propagate,
        ["(FLOAT64, FLOAT64) -> FLOAT64", "(NUMERIC, NUMERIC) -> NUMERIC", "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC"],
        |_, args| pow("POWER", args)
    ),
    float_entry!("sin", "SIN", f64::sin),
    float_entry!("cos", "COS", f64::cos),
    float_entry!("tan", "TAN", f64::tan),
    float_entry!("asin", "ASIN", f64::asin),
    float_entry!("acos", "ACOS", f64::acos),
    float_entry!("atan", "ATAN", f64::atan),
    float_entry!("sinh", "SINH", f64::sinh),
    float_entry!("cosh", "COSH", f64::cosh),
    float_entry!("tanh", "TANH", f64::tanh),
    float_entry!("asinh", "ASINH", f64::asinh),
    float_entry!("acosh", "ACOSH", f64::acosh),
    float_entry!("atanh", "ATANH", f64::atanh),
    float_entry!("sec", "SEC", |x| 1.0 / x.cos()),
    float_entry!("csc", "CSC", |x| 1.0 / x.sin()),
    float_entry!("cot", "COT", |x| 1.0 / x.tan()),
    float_entry!("sech", "SECH", |x| 1.0 / x.cosh()),
    float_entry!("csch", "CSCH", |x| 1.0 / x.sinh()),
    float_entry!("coth", "COTH", |x| 1.0 / x.tanh()),
    entry!("mathematical_functions", "atan2", "ATAN2", Propagate, ["(FLOAT64, FLOAT64) -> FLOAT64"], |_, args| Ok(
        Value::Float64(float(args, 0)?.atan2(float(args, 1)?))
    )),
    entry!(
        "mathematical_functions",
        "div",
        "DIV",
        Propagate,
        ["(INT64, INT64) -> INT64", "(NUMERIC, NUMERIC) -> NUMERIC", "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC"],
        |_, args| {
            if is_zero(any(args, 1)) {
                return Err(division_by_zero(any(args, 0), any(args, 1)));
            }
            match any(args, 0) {
                Value::Numeric(value) => numeric_result("DIV", args, value.div_trunc(numeric(args, 1)?)),
                Value::BigNumeric(value) => big_result("DIV", args, big::div_trunc(value, big_arg(args, 1)?)),
                _ => int(args, 0)?.checked_div(int(args, 1)?).map(Value::Int64).ok_or_else(integer_overflow),
            }
        }
    ),
    entry!(
        "mathematical_functions",
        "mod",
        "MOD",
        Propagate,
        ["(INT64, INT64) -> INT64", "(NUMERIC, NUMERIC) -> NUMERIC", "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC"],
        |_, args| {
            if is_zero(any(args, 1)) {
                return fail(format!(
                    "division by zero: MOD({}, {})",
                    number_text(any(args, 0)),
                    number_text(any(args, 1))
                ));
            }
            match any(args, 0) {
                Value::Numeric(value) => numeric_result("MOD", args, value.rem(numeric(args, 1)?)),
                Value::BigNumeric(value) => big_result("MOD", args, big::rem(value, big_arg(args, 1)?)),
                _ => Ok(Value::Int64(int(args, 0)?.checked_rem(int(args, 1)?).unwrap_or(0))),
            }
        }
    ),
    rounding_entry!("ceil", "CEIL", f64::ceil, Numeric::ceil, big::ceil),
    rounding_entry!("ceiling", "CEILING", f64::ceil, Numeric::ceil, big::ceil),
    rounding_entry!("floor", "FLOOR", f64::floor, Numeric::floor, big::floor),
    entry!(
        "mathematical_functions",
        "round",
        "ROUND",
        Propagate,
        [
            "(FLOAT64, [INT64]) -> FLOAT64",
            "(NUMERIC, [INT64], [STRING]) -> NUMERIC",
            "(BIGNUMERIC, [INT64], [STRING]) -> BIGNUMERIC",
        ],
        round
    ),
    entry!(
        "mathematical_functions",
        "trunc",
        "TRUNC",
        Propagate,
        ["(FLOAT64, [INT64]) -> FLOAT64", "(NUMERIC, [INT64]) -> NUMERIC", "(BIGNUMERIC, [INT64]) -> BIGNUMERIC"],
        |_, args| {
            let digits = if args.len() > 1 { int(args, 1)? } else { 0 };
            match any(args, 0) {
                Value::Numeric(value) => Ok(Value::Numeric(value.trunc(digits))),
                Value::BigNumeric(value) => big_result("TRUNC", args, big::trunc(value, digits)),
                _ => {
                    let value = float(args, 0)?;
                    Ok(Value::Float64(decimals::trunc(value, digits)))
                }
            }
        }
    ),
    safe_entry!(
        "safe_add",
        "SAFE_ADD",
        [
            "(INT64, INT64) -> INT64",
            "(FLOAT64, FLOAT64) -> FLOAT64",
            "(NUMERIC, NUMERIC) -> NUMERIC",
            "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC"
        ],
        add
    ),
    safe_entry!(
        "safe_subtract",
        "SAFE_SUBTRACT",
        [
            "(INT64, INT64) -> INT64",
            "(FLOAT64, FLOAT64) -> FLOAT64",
            "(NUMERIC, NUMERIC) -> NUMERIC",
            "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC"
        ],
        subtract
    ),
    safe_entry!(
        "safe_multiply",
        "SAFE_MULTIPLY",
        [
            "(INT64, INT64) -> INT64",
            "(FLOAT64, FLOAT64) -> FLOAT64",
            "(NUMERIC, NUMERIC) -> NUMERIC",
            "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC"
        ],
        multiply
    ),
    safe_entry!(
        "safe_divide",
        "SAFE_DIVIDE",
        ["(FLOAT64, FLOAT64) -> FLOAT64", "(NUMERIC, NUMERIC) -> NUMERIC", "(BIGNUMERIC, BIGNUMERIC) -> BIGNUMERIC"],
        divide
    ),
    safe_entry!(
        "safe_negate",
        "SAFE_NEGATE",
        ["(INT64) -> INT64", "(FLOAT64) -> FLOAT64", "(NUMERIC) -> NUMERIC", "(BIGNUMERIC) -> BIGNUMERIC"],
        negate
    ),
    entry!(
        "mathematical_functions",
        "greatest",
        "GREATEST",
        Propagate,
        ["(ORDERABLE<T>, ORDERABLE<T>...) -> T"],
        |_, args| { Ok(extreme(args, std::cmp::Ordering::is_gt)) }
    ),
    entry!(
        "mathematical_functions",
        "least",
        "LEAST",
        Propagate,
        ["(ORDERABLE<T>, ORDERABLE<T>...) -> T"],
        |_, args| { Ok(extreme(args, std::cmp::Ordering::is_lt)) }
    ),
    entry!(
        "mathematical_functions",
        "range_bucket",
        "RANGE_BUCKET",
        Propagate,
        ["(ORDERABLE<T>, ARRAY<T>) -> INT64"],
        |_, args| {
            let point = any(args, 0);
            if matches!(point, Value::Float64(value) if value.is_nan()) {
                return Ok(Value::Null);
            }
            let bounds = array(args, 1)?;
            if bounds.iter().any(Value::is_null) {
                return fail("Elements in input array to RANGE_BUCKET cannot be null");
            }
            if bounds.windows(2).any(|pair| matches!(pair, [a, b] if sql_cmp(a, b).is_gt())) {
                return fail("Elements in input array to RANGE_BUCKET must be in ascending order");
            }
            Ok(Value::Int64(bounds.iter().take_while(|bound| sql_cmp(bound, point).is_le()).count() as i64))
        }
    ),
    entry!(
        "bit_functions",
        "bit_count",
        "BIT_COUNT",
        Propagate,
        ["(INT64) -> INT64", "(BYTES) -> INT64"],
        |_, args| {
            Ok(Value::Int64(match any(args, 0) {
                Value::Bytes(_) => bytes(args, 0)?.iter().map(|byte| i64::from(byte.count_ones())).sum(),
                _ => i64::from(int(args, 0)?.count_ones()),
            }))
        }
    ),
    entry!("conversion_functions", "parse_numeric", "PARSE_NUMERIC", Propagate, ["(STRING) -> NUMERIC"], |_, args| {
        let text = string(args, 0)?;
        Numeric::parse(&loose_number(text), false)
            .map(Value::Numeric)
            .ok_or_else(|| SqlError::evaluation(format!("Invalid input to PARSE_NUMERIC: \"{text}\"")))
    }),
    entry!(
        "conversion_functions",
        "parse_bignumeric",
        "PARSE_BIGNUMERIC",
        Propagate,
        ["(STRING) -> BIGNUMERIC"],
        |_, args| {
            let text = string(args, 0)?;
            big::parse(&loose_number(text), false)
                .map(|value| Value::BigNumeric(Arc::new(value)))
                .ok_or_else(|| SqlError::evaluation(format!("Invalid input to PARSE_BIGNUMERIC: \"{text}\"")))
        }
    ),
    entry!(
        "mathematical_functions",
        "cosine_distance",
        "COSINE_DISTANCE",
        Propagate,
        ["(ARRAY<FLOAT64>, ARRAY<FLOAT64>) -> FLOAT64", "~(ARRAY<T>, ARRAY<T>) -> FLOAT64"],
        |_, args| {
            let (a, b) = vectors("COSINE_DISTANCE", args)?;
            let (la, lb) = (dot(&a, &a)?.sqrt(), dot(&b, &b)?.sqrt());
            if la == 0.0 || lb == 0.0 {
                return fail("Cannot compute cosine distance against zero vector.");
            }
            Ok(Value::Float64(1.0 - dot(&a, &b)? / (la * lb)))
        }
    ),
    entry!(
        "mathematical_functions",
        "euclidean_distance",
        "EUCLIDEAN_DISTANCE",
        Propagate,
        ["(ARRAY<FLOAT64>, ARRAY<FLOAT64>) -> FLOAT64", "~(ARRAY<T>, ARRAY<T>) -> FLOAT64"],
        |_, args| {
            let (a, b) = vectors("EUCLIDEAN_DISTANCE", args)?;
            let apart = a.iter().zip(&b).map(|(a, b)| in_range(*a, *b, '-', a - b)).collect::<Result<Vec<f64>>>()?;
            Ok(Value::Float64(dot(&apart, &apart)?.sqrt()))
        }
    ),
];

/// A sparse vector: pairs of a dimension (INT64 or STRING) and its value; what is not named is 0.
fn sparse(name: &str, items: &[Value]) -> Result<BTreeMap<String, f64>> {
    let mut out = BTreeMap::new();
    for item in items {
        let pair = match item {
            Value::Struct(pair) => pair.as_slice(),
            _ => return fail(format!("Cannot compute {name} with a NULL value.")),
        };
        let [Value::Int64(_) | Value::String(_), value] = pair else {
            return fail(format!("Cannot compute {name} with a NULL value."));
        };
        let Some(value) = as_float(value) else { return fail(format!("Cannot compute {name} with a NULL value.")) };
        let key = format!("{:?}", pair.first());
        if out.insert(key, value).is_some() {
            return fail(format!("Duplicate index found in the input array of {name}."));
        }
    }
    Ok(out)
}

fn vectors(name: &str, args: &[Value]) -> Result<(Vec<f64>, Vec<f64>)> {
    let is_sparse =
        |index: usize| -> Result<bool> { Ok(matches!(array(args, index)?.first(), Some(Value::Struct(_)))) };
    if is_sparse(0)? || is_sparse(1)? {
        let (a, b) = (sparse(name, array(args, 0)?)?, sparse(name, array(args, 1)?)?);
        let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        let of = |side: &BTreeMap<String, f64>| keys.iter().map(|key| side.get(*key).copied().unwrap_or(0.0)).collect();
        return Ok((of(&a), of(&b)));
    }
    let read = |index: usize| -> Result<Vec<f64>> {
        array(args, index)?
            .iter()
            .map(|item| {
                as_float(item).ok_or_else(|| SqlError::evaluation(format!("Cannot compute {name} with a NULL value.")))
            })
            .collect()
    };
    let (a, b) = (read(0)?, read(1)?);
    if a.len() != b.len() {
        return fail(format!("Array length mismatch: {} and {}.", a.len(), b.len()));
    }
    Ok((a, b))
}

/// The sum of products; one that leaves FLOAT64's range is an error.
fn dot(a: &[f64], b: &[f64]) -> Result<f64> {
    a.iter().zip(b).try_fold(0.0, |sum, (a, b)| {
        let product = in_range(*a, *b, '*', a * b)?;
        in_range(sum, product, '+', sum + product)
    })
}

fn in_range(a: f64, b: f64, operator: char, result: f64) -> Result<f64> {
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return fail(format!("double overflow: {} {operator} {}", text::to_message(a), text::to_message(b)));
    }
    Ok(result)
}

/// A FLOAT64 result that came out NaN or infinite from finite arguments is an error.
fn checked(name: &str, given: &[f64], result: f64) -> Result<Value> {
    let negative_root = name == "SQRT" && given == [f64::NEG_INFINITY];
    if result.is_finite() || given.iter().any(|x| !x.is_finite()) && !negative_root {
        return Ok(Value::Float64(result));
    }
    let list = given.iter().map(|x| text::to_message(*x)).collect::<Vec<_>>().join(", ");
    let what = if result.is_infinite() && matches!(name, "EXP" | "POW" | "POWER" | "COSH" | "SINH") {
        "overflow"
    } else {
        "error"
    };
    fail(format!("Floating point {what} in function: {name}({list})"))
}

/// The FLOAT64 result in the type of the argument.
fn like_argument(argument: &Value, result: Value) -> Result<Value> {
    let Value::Float64(number) = result else { return Ok(result) };
    match argument {
        Value::Numeric(_) => {
            Numeric::from_f64(number).map(Value::Numeric).ok_or_else(|| SqlError::evaluation("numeric overflow"))
        }
        Value::BigNumeric(_) => big::from_f64(number)
            .map(|value| Value::BigNumeric(Arc::new(value)))
            .ok_or_else(|| SqlError::evaluation("BIGNUMERIC overflow")),
        _ => Ok(result),
    }
}

fn numeric_result(name: &str, args: &[Value], result: Option<Numeric>) -> Result<Value> {
    result.map(Value::Numeric).ok_or_else(|| overflow("numeric", name, args))
}

fn big_result(name: &str, args: &[Value], result: Option<BigNumeric>) -> Result<Value> {
    result.map(|value| Value::BigNumeric(Arc::new(value))).ok_or_else(|| overflow("BIGNUMERIC", name, args))
}

fn overflow(kind: &str, name: &str, args: &[Value]) -> SqlError {
    let list = args.iter().map(number_text).collect::<Vec<_>>().join(", ");
    SqlError::evaluation(format!("{kind} overflow: {name}({list})"))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Int64(value) => *value == 0,
        Value::Numeric(value) => value.raw() == 0,
        Value::BigNumeric(value) => value.is_zero(),
        _ => false,
    }
}

/// Whole exponents of decimals are exact, the rest goes through FLOAT64.
/// By squaring; `None` where it overflows.
fn whole_power(base: &BigNumeric, mut exponent: i64) -> Option<BigNumeric> {
    let (mut result, mut square) = (big::from_i64(1), *base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = big::mul(&result, &square)?;
        }
        exponent >>= 1;
        if exponent > 0 {
            square = big::mul(&square, &square)?;
        }
    }
    Some(result)
}

fn pow(name: &str, args: &[Value]) -> Result<Value> {
    let whole = |exponent: Option<i64>| exponent.filter(|exponent| *exponent >= 0);
    match (any(args, 0), any(args, 1)) {
        (Value::Numeric(base), Value::Numeric(exponent))
            if exponent.raw() % crate::value::numeric::NUMERIC_ONE == 0 =>
        {
            if let Some(exponent) = whole(exponent.to_i64()) {
                // 38 digits behind the point on the way, so that the nine of the result are right.
                let power = whole_power(&base.to_big(), exponent);
                return numeric_result(name, args, power.and_then(|power| big::to_numeric(&power)));
            }
        }
        (Value::BigNumeric(base), Value::BigNumeric(exponent))
            if big::trunc(exponent, 0).as_ref() == Some(&**exponent) =>
        {
            if let Some(exponent) = whole(big::to_i64(exponent)) {
                return big_result(name, args, whole_power(base, exponent));
            }
        }
        _ => {}
    }
    let (x, y) = (as_float(any(args, 0)).unwrap_or(f64::NAN), as_float(any(args, 1)).unwrap_or(f64::NAN));
    like_argument(any(args, 0), checked(name, &[x, y], x.powf(y))?)
}

fn round(_: &Call, args: &[Value]) -> Result<Value> {
    let digits = if args.len() > 1 { int(args, 1)? } else { 0 };
    let even = match optional_string(args, 2)?.unwrap_or("ROUND_HALF_AWAY_FROM_ZERO") {
        "ROUND_HALF_AWAY_FROM_ZERO" => false,
        "ROUND_HALF_EVEN" => true,
        other => return fail(format!("Invalid rounding mode: {other}")),
    };
    match any(args, 0) {
        Value::Numeric(value) if even => numeric_result("ROUND", args, value.round_half_even(digits)),
        Value::Numeric(value) => numeric_result("ROUND", args, value.round(digits)),
        Value::BigNumeric(value) if even => big_result("ROUND", args, big::round_half_even(value, digits)),
        Value::BigNumeric(value) => big_result("ROUND", args, big::round(value, digits)),
        _ => {
            let value = float(args, 0)?;
            let result = decimals::round(value, digits);
            if result.is_infinite() && value.is_finite() {
                return fail(format!(
                    "Floating point overflow in function: ROUND({}, {digits})",
                    text::to_message(value)
                ));
            }
            Ok(Value::Float64(result))
        }
    }
}

/// NaN wins over everything, as any NULL has before.
fn extreme(args: &[Value], better: fn(std::cmp::Ordering) -> bool) -> Value {
    let mut best = any(args, 0);
    for arg in args {
        if matches!(arg, Value::Float64(value) if value.is_nan()) {
            return arg.clone();
        }
        if better(sql_cmp(arg, best)) {
            best = arg;
        }
    }
    best.clone()
}

/// PARSE_NUMERIC's liberties: blanks around sign and number, a sign behind, commas between digits.
fn loose_number(text: &str) -> String {
    let compact = text.trim();
    let (sign, body) = match compact.strip_prefix(['+', '-']) {
        Some(rest) => (&compact[..1], rest.trim_start()),
        None => match compact.strip_suffix(['+', '-']) {
            Some(rest) => (&compact[compact.len() - 1..], rest.trim_end()),
            None => ("", compact),
        },
    };
    if body.starts_with(['+', '-']) || body.contains(char::is_whitespace) {
        return text.to_string();
    }
    format!("{sign}{}", body.replace(',', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_out_of_the_domain_are_errors() {
        assert_eq!(
            checked("SQRT", &[-1.0], f64::NAN).unwrap_err().message,
            "Floating point error in function: SQRT(-1)"
        );
        assert!(checked("EXP", &[f64::INFINITY], f64::INFINITY).is_ok());
        assert_eq!(loose_number(" - 1,234.5 "), "-1234.5");
        assert_eq!(loose_number(" - 1 2.34 "), " - 1 2.34 ");
    }
}
