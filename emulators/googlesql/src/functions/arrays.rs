//! Array functions.

use crate::error::{Result, SqlError};
use crate::functions::args::{any, array, check_size, fail, int, optional_string, string};
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::Value;
use crate::value::numeric::big;

/// The longest array that GENERATE_ARRAY makes.
const MAX_GENERATED: usize = 1 << 20;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("array_functions", "array_length", "ARRAY_LENGTH", Propagate, ["(ARRAY<ANY>) -> INT64"], |_, args| {
        Ok(Value::Int64(array(args, 0)?.len() as i64))
    }),
    entry!(
        "array_functions",
        "array_concat",
        "ARRAY_CONCAT",
        Propagate,
        ["(ARRAY<T>, ARRAY<T>...) -> ARRAY<T>"],
        |_, args| {
            let mut items = Vec::new();
            for index in 0..args.len() {
                let part = array(args, index)?;
                check_size("ARRAY_CONCAT", (items.len() + part.len()).saturating_mul(size_of::<Value>()))?;
                items.extend(part.iter().cloned());
            }
            Ok(Value::array(items))
        }
    ),
    entry!("array_functions", "array_reverse", "ARRAY_REVERSE", Propagate, ["(ARRAY<T>) -> ARRAY<T>"], |_, args| {
        Ok(Value::array(array(args, 0)?.iter().rev().cloned().collect()))
    }),
    entry!("array_functions", "array_first", "ARRAY_FIRST", Propagate, ["(ARRAY<T>) -> T"], |_, args| {
        array(args, 0)?
            .first()
            .cloned()
            .ok_or_else(|| SqlError::evaluation("ARRAY_FIRST cannot get the first element of an empty array"))
    }),
    entry!("array_functions", "array_last", "ARRAY_LAST", Propagate, ["(ARRAY<T>) -> T"], |_, args| {
        array(args, 0)?
            .last()
            .cloned()
            .ok_or_else(|| SqlError::evaluation("ARRAY_LAST cannot get the last element of an empty array"))
    }),
    entry!(
        "array_functions",
        "array_slice",
        "ARRAY_SLICE",
        Propagate,
        ["(ARRAY<T>, INT64, INT64) -> ARRAY<T>"],
        |_, args| {
            let items = array(args, 0)?;
            let length = items.len() as i64;
            // Offsets count from 0, or from the end; both are inclusive and clipped.
            let place = |offset: i64| if offset < 0 { offset.saturating_add(length) } else { offset };
            let start = place(int(args, 1)?).max(0);
            let end = place(int(args, 2)?).min(length - 1);
            if start > end {
                return Ok(Value::array(Vec::new()));
            }
            Ok(Value::array(items.get(start as usize..=end as usize).unwrap_or_default().to_vec()))
        }
    ),
    // NULL elements are left out, or written as the third argument.
    entry!(
        "array_functions",
        "array_to_string",
        "ARRAY_TO_STRING",
        Propagate,
        ["(ARRAY<STRING>, STRING, [STRING]) -> STRING", "(ARRAY<BYTES>, BYTES, [BYTES]) -> BYTES"],
        |_, args| {
            let items = array(args, 0)?;
            if let Value::Bytes(delimiter) = any(args, 1) {
                let null = if args.len() > 2 { Some(crate::functions::args::bytes(args, 2)?) } else { None };
                let pieces: Vec<&[u8]> = items
                    .iter()
                    .filter_map(|item| match item {
                        Value::Bytes(bytes) => Some(&**bytes),
                        _ => null,
                    })
                    .collect();
                return Ok(Value::bytes(pieces.join(&**delimiter)));
            }
            let null = optional_string(args, 2)?;
            let pieces: Vec<&str> = items
                .iter()
                .filter_map(|item| match item {
                    Value::String(text) => Some(&**text),
                    _ => null,
                })
                .collect();
            Ok(Value::string(pieces.join(string(args, 1)?)))
        }
    ),
    entry!(
        "array_functions",
        "generate_array",
        "GENERATE_ARRAY",
        Propagate,
        [
            "(INT64, INT64, [INT64]) -> ARRAY<INT64>",
            "(NUMERIC, NUMERIC, [NUMERIC]) -> ARRAY<NUMERIC>",
            "(BIGNUMERIC, BIGNUMERIC, [BIGNUMERIC]) -> ARRAY<BIGNUMERIC>",
            "(FLOAT64, FLOAT64, [FLOAT64]) -> ARRAY<FLOAT64>",
        ],
        generate
    ),
];

fn generate(_: &Call, args: &[Value]) -> Result<Value> {
    let too_many = || fail(format!("Cannot generate arrays with more than {MAX_GENERATED} elements."));
    let zero = || fail("Sequence step cannot be 0.");
    let mut items = Vec::new();
    match any(args, 0) {
        Value::Int64(start) => {
            let (end, step) = (int(args, 1)?, if args.len() > 2 { int(args, 2)? } else { 1 });
            if step == 0 {
                return zero();
            }
            let mut at = Some(*start);
            while let Some(value) = at.filter(|value| if step > 0 { *value <= end } else { *value >= end }) {
                if items.len() >= MAX_GENERATED {
                    return too_many();
                }
                items.push(Value::Int64(value));
                at = value.checked_add(step);
            }
        }
        Value::Float64(start) => {
            let end = crate::functions::args::float(args, 1)?;
            let step = if args.len() > 2 { crate::functions::args::float(args, 2)? } else { 1.0 };
            if step == 0.0 {
                return zero();
            }
            if start.is_nan() || end.is_nan() || step.is_nan() {
                return fail("Sequence start, end and step cannot be NaN.");
            }
            if step.is_infinite() {
                return fail("Sequence step cannot be +/-inf.");
            }
            let mut count = 0.0;
            loop {
                let value = start + count * step;
                if if step > 0.0 { value > end } else { value < end } {
                    break;
                }
                if items.len() >= MAX_GENERATED {
                    return too_many();
                }
                items.push(Value::Float64(value));
                count += 1.0;
            }
        }
        Value::Numeric(start) => {
            let end = crate::functions::args::numeric(args, 1)?;
            let step = if args.len() > 2 {
                crate::functions::args::numeric(args, 2)?
            } else {
                crate::value::Numeric::from_i64(1)
            };
            if step.raw() == 0 {
                return zero();
            }
            let mut at = Some(*start);
            while let Some(value) =
                at.filter(|value| if step.raw() > 0 { value.raw() <= end.raw() } else { value.raw() >= end.raw() })
            {
                if items.len() >= MAX_GENERATED {
                    return too_many();
                }
                items.push(Value::Numeric(value));
                at = value.add(step);
            }
        }
        Value::BigNumeric(start) => {
            let end = crate::functions::args::big(args, 1)?;
            let one = big::from_i64(1);
            let step = if args.len() > 2 { **crate::functions::args::big(args, 2)? } else { one };
            if step.is_zero() {
                return zero();
            }
            let mut at = Some(**start);
            while let Some(value) = at.filter(|value| if step.is_positive() { value <= end } else { value >= end }) {
                if items.len() >= MAX_GENERATED {
                    return too_many();
                }
                items.push(Value::BigNumeric(std::sync::Arc::new(value)));
                at = big::add(&value, &step);
            }
        }
        other => return Err(SqlError::internal(format!("GENERATE_ARRAY of {other:?}"))),
    }
    Ok(Value::array(items))
}
