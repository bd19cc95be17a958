//! SQL's equality, order and grouping: what `=`, ORDER BY and GROUP BY think of two values.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::value::json::Json;
use crate::value::{RangeValue, Value};

/// `a = b`: `None` is NULL. NaN equals nothing; structs and arrays compare part by part, FALSE winning over NULL.
pub fn sql_equal(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Struct(a), Value::Struct(b)) | (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return Some(false);
            }
            let mut result = Some(true);
            for (a, b) in a.iter().zip(b.iter()) {
                match sql_equal(a, b) {
                    Some(false) => return Some(false),
                    None => result = None,
                    Some(true) => {}
                }
            }
            result
        }
        (Value::Float64(a), Value::Float64(b)) => Some(a == b),
        _ => Some(sql_cmp(a, b) == Ordering::Equal),
    }
}

/// `a < b` and its kin: `None` is NULL; a comparison with NaN is FALSE whatever the operator.
pub fn sql_less(a: &Value, b: &Value, test: fn(Ordering) -> bool) -> Option<bool> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Float64(a), Value::Float64(b)) => Some(a.partial_cmp(b).is_some_and(test)),
        _ => Some(test(sql_cmp(a, b))),
    }
}

/// The order of ORDER BY, ascending: NULL lowest, then NaN; -0 equals 0.
///
/// Values of different types (which the analyzer excludes) order by type, so that the order stays total.
pub fn sql_cmp(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int64(a), Value::Int64(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Float64(a), Value::Float64(b)) => cmp_float(*a, *b),
        (Value::Numeric(a), Value::Numeric(b)) => a.raw().cmp(&b.raw()),
        (Value::BigNumeric(a), Value::BigNumeric(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b))
        | (Value::Datetime(a), Value::Datetime(b))
        | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Interval(a), Value::Interval(b)) => a.total_micros().cmp(&b.total_micros()),
        (Value::Range(a), Value::Range(b)) => cmp_range(a, b),
        (Value::Array(a), Value::Array(b)) | (Value::Struct(a), Value::Struct(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                match sql_cmp(a, b) {
                    Ordering::Equal => {}
                    other => return other,
                }
            }
            a.len().cmp(&b.len())
        }
        (Value::Json(a), Value::Json(b)) => cmp_json(a, b),
        (Value::Geography(a), Value::Geography(b)) => format!("{a:?}").cmp(&format!("{b:?}")),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn cmp_float(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// By start, then by end; an unbounded start is lowest, an unbounded end highest.
fn cmp_range(a: &RangeValue, b: &RangeValue) -> Ordering {
    let start = match (&a.start, &b.start) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => sql_cmp(a, b),
    };
    start.then_with(|| match (&a.end, &b.end) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => sql_cmp(a, b),
    })
}

/// JSON has no order in SQL; this one only has to be total.
fn cmp_json(a: &Json, b: &Json) -> Ordering {
    a.to_string().cmp(&b.to_string())
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int64(_) => 2,
        Value::Float64(_) => 3,
        Value::Numeric(_) => 4,
        Value::BigNumeric(_) => 5,
        Value::String(_) => 6,
        Value::Bytes(_) => 7,
        Value::Date(_) => 8,
        Value::Time(_) => 9,
        Value::Datetime(_) => 10,
        Value::Timestamp(_) => 11,
        Value::Interval(_) => 12,
        Value::Json(_) => 13,
        Value::Geography(_) => 14,
        Value::Range(_) => 15,
        Value::Array(_) => 16,
        Value::Struct(_) => 17,
    }
}

/// Equality of GROUP BY, DISTINCT, set operations and IS NOT DISTINCT FROM: NULL equals NULL, NaN equals NaN, -0 equals 0.
pub fn group_equal(a: &Value, b: &Value) -> bool {
    sql_cmp(a, b) == Ordering::Equal
}

/// A hash that agrees with [`group_equal`].
pub fn group_hash<H: Hasher>(value: &Value, state: &mut H) {
    match value {
        Value::Null => state.write_u8(0),
        Value::Bool(value) => value.hash(state),
        Value::Int64(value) | Value::Time(value) | Value::Datetime(value) | Value::Timestamp(value) => {
            state.write_i64(*value);
        }
        Value::Float64(value) => {
            let canonical = if value.is_nan() {
                f64::NAN
            } else if *value == 0.0 {
                0.0
            } else {
                *value
            };
            state.write_u64(canonical.to_bits());
        }
        Value::Numeric(value) => value.raw().hash(state),
        Value::BigNumeric(value) => value.hash(state),
        Value::String(value) => value.hash(state),
        Value::Bytes(value) => value.hash(state),
        Value::Date(value) => state.write_i32(*value),
        Value::Interval(value) => value.total_micros().hash(state),
        Value::Json(value) => value.to_string().hash(state),
        Value::Geography(value) => format!("{value:?}").hash(state),
        Value::Range(value) => {
            for bound in [&value.start, &value.end] {
                match bound {
                    None => state.write_u8(1),
                    Some(bound) => group_hash(bound, state),
                }
            }
        }
        Value::Array(items) | Value::Struct(items) => {
            state.write_usize(items.len());
            for item in items.iter() {
                group_hash(item, state);
            }
        }
    }
}

/// A value, or several side by side, as a key of a hash map with the equality of GROUP BY.
#[derive(Clone, Debug)]
pub struct GroupKey(pub Box<[Value]>);

/// The key of one row's grouping values.
pub fn group_key(values: impl Into<Box<[Value]>>) -> GroupKey {
    GroupKey(values.into())
}

impl PartialEq for GroupKey {
    fn eq(&self, other: &GroupKey) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).all(|(a, b)| group_equal(a, b))
    }
}

impl Eq for GroupKey {}

impl Hash for GroupKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for value in self.0.iter() {
            group_hash(value, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn order_puts_null_then_nan_first() {
        let mut values =
            [Value::Float64(1.0), Value::Null, Value::Float64(f64::NAN), Value::Float64(f64::NEG_INFINITY)];
        values.sort_by(sql_cmp);
        assert!(matches!(
            values[..],
            [Value::Null, Value::Float64(nan), Value::Float64(f64::NEG_INFINITY), Value::Float64(1.0)] if nan.is_nan()
        ));
    }

    #[test]
    fn equality_is_three_valued_through_structs() {
        let pair = |a, b| Value::structure(vec![a, b]);
        let one = Value::Int64(1);
        let two = Value::Int64(2);
        assert_eq!(sql_equal(&pair(one.clone(), Value::Null), &pair(one.clone(), two.clone())), None);
        assert_eq!(sql_equal(&pair(one.clone(), Value::Null), &pair(two.clone(), two.clone())), Some(false));
        assert_eq!(sql_equal(&pair(one.clone(), two.clone()), &pair(one, two)), Some(true));
        assert_eq!(sql_equal(&Value::Float64(f64::NAN), &Value::Float64(f64::NAN)), Some(false));
    }

    #[test]
    fn grouping_merges_nulls_nans_and_zeros() {
        let keys: HashSet<GroupKey> = [0.0, -0.0, f64::NAN, -f64::NAN]
            .into_iter()
            .map(Value::Float64)
            .chain([Value::Null, Value::Null])
            .map(|value| group_key(vec![value]))
            .collect();
        assert_eq!(keys.len(), 3);
    }
}
