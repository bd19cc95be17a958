//! RANGE functions.

use std::sync::Arc;

use crate::cast::make_range;
use crate::error::Result;
use crate::functions::args::{any, any_null, fail, interval, range};
use crate::functions::dates::add_interval;
use crate::functions::{Call, ScalarFunction, entry};
use crate::types::Type;
use crate::value::{RangeValue, Value, sql_cmp};

/// The longest array that GENERATE_RANGE_ARRAY makes.
const MAX_GENERATED: usize = 1 << 20;

pub(crate) static TABLE: &[ScalarFunction] = &[
    // A NULL bound is unbounded.
    entry!(
        "range-functions",
        "range",
        "RANGE",
        Handled,
        [
            "(DATE, DATE) -> RANGE<DATE>",
            "(DATETIME, DATETIME) -> RANGE<DATETIME>",
            "(TIMESTAMP, TIMESTAMP) -> RANGE<TIMESTAMP>",
        ],
        |_, args| {
            let bound = |index: usize| Some(any(args, index).clone()).filter(|bound| !bound.is_null());
            make_range(bound(0), bound(1))
        }
    ),
    entry!("range-functions", "range_start", "RANGE_START", Propagate, ["(RANGE<T>) -> T"], |_, args| {
        Ok(range(args, 0)?.start.clone().unwrap_or_default())
    }),
    entry!("range-functions", "range_end", "RANGE_END", Propagate, ["(RANGE<T>) -> T"], |_, args| {
        Ok(range(args, 0)?.end.clone().unwrap_or_default())
    }),
    entry!(
        "range-functions",
        "range_contains",
        "RANGE_CONTAINS",
        Propagate,
        ["(RANGE<T>, RANGE<T>) -> BOOL", "(RANGE<T>, T) -> BOOL"],
        |_, args| {
            let outer = range(args, 0)?;
            Ok(Value::Bool(match any(args, 1) {
                Value::Range(inner) => !start_before(inner, outer) && !end_after(inner, outer),
                point => {
                    outer.start.as_ref().is_none_or(|start| sql_cmp(start, point).is_le())
                        && outer.end.as_ref().is_none_or(|end| sql_cmp(point, end).is_lt())
                }
            }))
        }
    ),
    entry!(
        "range-functions",
        "range_overlaps",
        "RANGE_OVERLAPS",
        Propagate,
        ["(RANGE<T>, RANGE<T>) -> BOOL"],
        |_, args| Ok(Value::Bool(overlap(range(args, 0)?, range(args, 1)?)))
    ),
    entry!(
        "range-functions",
        "range_intersect",
        "RANGE_INTERSECT",
        Propagate,
        ["(RANGE<T>, RANGE<T>) -> RANGE<T>"],
        |_, args| {
            let (a, b) = (range(args, 0)?, range(args, 1)?);
            if !overlap(a, b) {
                return fail(
                    "Provided RANGE inputs do not overlap. Please check RANGE_OVERLAPS before calling RANGE_INTERSECT",
                );
            }
            let start = if start_before(a, b) { &b.start } else { &a.start };
            let end = if end_after(a, b) { &b.end } else { &a.end };
            Ok(Value::Range(Arc::new(RangeValue { start: start.clone(), end: end.clone() })))
        }
    ),
    entry!(
        "range-functions",
        "generate_range_array",
        "GENERATE_RANGE_ARRAY",
        Handled,
        ["(RANGE<T>, INTERVAL, [include_last_partial_range => BOOL]) -> ARRAY<RANGE<T>>"],
        generate
    ),
];

/// Whether `a` begins earlier than `b`.
fn start_before(a: &RangeValue, b: &RangeValue) -> bool {
    match (&a.start, &b.start) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(a), Some(b)) => sql_cmp(a, b).is_lt(),
    }
}

/// Whether `a` ends later than `b`.
fn end_after(a: &RangeValue, b: &RangeValue) -> bool {
    match (&a.end, &b.end) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(a), Some(b)) => sql_cmp(a, b).is_gt(),
    }
}

fn overlap(a: &RangeValue, b: &RangeValue) -> bool {
    let before = |end: &Option<Value>, start: &Option<Value>| match (end, start) {
        (Some(end), Some(start)) => sql_cmp(end, start).is_le(),
        _ => false,
    };
    !before(&a.end, &b.start) && !before(&b.end, &a.start)
}

fn generate(call: &Call, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let partial = !matches!(args.get(2), Some(Value::Bool(false)));
    let (whole, step) = (range(args, 0)?, interval(args, 1)?);
    let (Some(start), Some(end)) = (&whole.start, &whole.end) else {
        return fail("Range start and end must be bounded for GENERATE_RANGE_ARRAY");
    };
    if step.total_micros() <= 0 {
        return fail("The step of GENERATE_RANGE_ARRAY must be positive");
    }
    let is_date = matches!(call.arg_types.first().and_then(Type::element), Some(Type::Date));
    if is_date && step.micros != 0 {
        return fail("The step of GENERATE_RANGE_ARRAY over DATE must not have a time part");
    }
    let mut items = Vec::new();
    let mut from = start.clone();
    let mut count = 0i64;
    while sql_cmp(&from, end).is_lt() {
        if items.len() >= MAX_GENERATED {
            return fail(format!("Cannot generate arrays with more than {MAX_GENERATED} elements."));
        }
        count += 1;
        let to = step.mul(count).and_then(|total| add_interval(call, start, &total)).ok();
        let to = match to {
            Some(Value::Datetime(micros)) if is_date => {
                Some(Value::Date(micros.div_euclid(crate::value::civil::DAY_MICROS) as i32))
            }
            other => other,
        };
        let inside = to.filter(|to| sql_cmp(to, end).is_le());
        let Some(to) = inside else {
            if partial {
                items.push(Value::Range(Arc::new(RangeValue { start: Some(from), end: Some(end.clone()) })));
            }
            break;
        };
        items.push(Value::Range(Arc::new(RangeValue { start: Some(from), end: Some(to.clone()) })));
        from = to;
    }
    Ok(Value::array(items))
}
