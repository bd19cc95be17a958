//! Comparing values. Equality knows all values, null and the absent one among them; an order there
//! is only between values of one type.

use std::cmp::Ordering;

use super::{Evaluated, Failure, type_name};
use crate::value::Value;

pub(super) fn special(name: &str, values: &[Option<Value>]) -> Evaluated {
    let answer = |flag: bool| Ok(Some(Value::Bool(flag)));
    let first = values.first().and_then(Option::as_ref);
    let second = values.get(1).and_then(Option::as_ref);
    match name {
        "equal" => answer(equal(first, second)),
        "not_equal" => answer(!equal(first, second)),
        "less_than" => answer(order(first, second) == Some(Ordering::Less)),
        "greater_than" => answer(order(first, second) == Some(Ordering::Greater)),
        "less_than_or_equal" => answer(equal(first, second) || order(first, second) == Some(Ordering::Less)),
        "greater_than_or_equal" => answer(equal(first, second) || order(first, second) == Some(Ordering::Greater)),
        "between" => {
            let third = values.get(2).and_then(Option::as_ref);
            let above = equal(first, second) || order(first, second) == Some(Ordering::Greater);
            let below = equal(first, third) || order(first, third) == Some(Ordering::Less);
            answer(above && below)
        }
        "cmp" => Ok(Some(match (first, second) {
            (Some(a), Some(b)) => Value::Int(a.compare(b) as i64),
            _ => Value::Null,
        })),
        "equal_any" => Ok(any(name, first, second)?),
        "not_equal_any" => Ok(match any(name, first, second)? {
            Some(Value::Bool(found)) => Some(Value::Bool(!found)),
            other => other,
        }),
        "array_contains" => {
            Ok(within(name, first)?.map(|values| Value::Bool(has(values, second))).or(Some(Value::Null)))
        }
        "array_contains_all" | "array_contains_any" => {
            let (Some(values), Some(wanted)) = (within(name, first)?, within(name, second)?) else {
                return Ok(Some(Value::Null));
            };
            let mut each = wanted.iter().map(|one| has(values, Some(one)));
            answer(if name == "array_contains_all" { each.all(|found| found) } else { each.any(|found| found) })
        }
        "maximum" => Ok(Some(extreme(values, Ordering::Greater))),
        "minimum" => Ok(Some(extreme(values, Ordering::Less))),
        "type" => Ok(first.map(|value| Value::string(type_name(value)))),
        "is_type" => is_type(first, second),
        "storage_size" => {
            Ok(first.map(|value| Value::Int(i64::try_from(value.size()).unwrap_or(i64::MAX))).or(Some(Value::Null)))
        }
        _ => Err(Failure::invalid(format!("Unknown function \"{name}\"."))),
    }
}

fn equal(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.equivalent(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The order between two values of one type; NaN and null have none.
fn order(a: Option<&Value>, b: Option<&Value>) -> Option<Ordering> {
    let (a, b) = (a?, b?);
    let ordered = a.bracket() == b.bracket() && !a.is_nan() && !b.is_nan() && *a != Value::Null;
    ordered.then(|| a.compare(b))
}

fn has(values: &[Value], wanted: Option<&Value>) -> bool {
    wanted.is_some_and(|wanted| values.iter().any(|value| value.equivalent(wanted)))
}

/// An array's elements; `None` for null and what is absent.
fn within<'a>(name: &str, array: Option<&'a Value>) -> Result<Option<&'a [Value]>, Failure> {
    match array {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(values)) => Ok(Some(values)),
        Some(other) => Err(Failure::invalid(format!("Function \"{name}\" takes array, not {}.", type_name(other)))),
    }
}

fn any(name: &str, value: Option<&Value>, array: Option<&Value>) -> Evaluated {
    Ok(Some(within(name, array)?.map_or(Value::Null, |values| Value::Bool(has(values, value)))))
}

/// The largest or smallest of what is there and not null: of an array's elements where an array is
/// the only argument.
fn extreme(values: &[Option<Value>], wanted: Ordering) -> Value {
    let mut best: Option<&Value> = None;
    let candidates: Vec<&Value> = match values {
        [Some(Value::Array(elements))] => elements.iter().collect(),
        _ => values.iter().flatten().collect(),
    };
    for value in candidates.into_iter().filter(|value| **value != Value::Null) {
        if best.is_none_or(|best| value.compare(best) == wanted) {
            best = Some(value);
        }
    }
    best.cloned().unwrap_or(Value::Null)
}

fn is_type(value: Option<&Value>, kind: Option<&Value>) -> Evaluated {
    const KINDS: [&str; 20] = [
        "null",
        "array",
        "boolean",
        "bytes",
        "timestamp",
        "geo_point",
        "number",
        "int32",
        "int64",
        "float64",
        "decimal128",
        "map",
        "reference",
        "string",
        "vector",
        "max_key",
        "min_key",
        "object_id",
        "regex",
        "request_timestamp",
    ];
    let Some(Value::String(kind)) = kind else {
        return Err(Failure::invalid("Function \"is_type\" takes the name of a type as its second argument."));
    };
    if !KINDS.contains(&&**kind) {
        return Err(Failure::invalid(format!("Function \"is_type\" knows no type \"{kind}\".")));
    }
    let Some(value) = value else { return Ok(None) };
    Ok(Some(Value::Bool(type_name(value) == &**kind || (&**kind == "number" && value.is_number()))))
}
