//! Firestore's total order of values, and the equality that queries and array transforms use.
//!
//! `null < booleans < NaN < numbers < timestamps < strings < bytes < references < geo points <
//! arrays < vectors < maps` (documented under "Data types, value type ordering").

use std::cmp::Ordering;

use super::{Fields, Value};
use crate::path::compare_resource_names;

/// The bracket that range filters stay in. Integers and doubles share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bracket {
    Null,
    Bool,
    Number,
    Timestamp,
    String,
    Bytes,
    Reference,
    Geo,
    Array,
    Vector,
    Map,
}

impl Value {
    pub fn bracket(&self) -> Bracket {
        match self {
            Value::Null => Bracket::Null,
            Value::Bool(_) => Bracket::Bool,
            Value::Int(_) | Value::Double(_) => Bracket::Number,
            Value::Timestamp(_) => Bracket::Timestamp,
            Value::String(_) => Bracket::String,
            Value::Bytes(_) => Bracket::Bytes,
            Value::Reference(_) => Bracket::Reference,
            Value::Geo { .. } => Bracket::Geo,
            Value::Array(_) => Bracket::Array,
            Value::Map(_) if self.as_vector().is_some() => Bracket::Vector,
            Value::Map(_) => Bracket::Map,
        }
    }

    /// The total order. `3` and `3.0`, and the zeros, are equal in it.
    pub fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => compare_doubles(*a, *b),
            (Value::Int(a), Value::Double(b)) => compare_int_to_double(*a, *b),
            (Value::Double(a), Value::Int(b)) => compare_int_to_double(*b, *a).reverse(),
            (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Reference(a), Value::Reference(b)) => compare_resource_names(a, b),
            (Value::Geo { latitude: a_lat, longitude: a_long }, Value::Geo { latitude: b_lat, longitude: b_long }) => {
                compare_doubles(*a_lat, *b_lat).then(compare_doubles(*a_long, *b_long))
            }
            (Value::Array(a), Value::Array(b)) => compare_slices(a, b),
            (Value::Map(a), Value::Map(b)) => match (self.as_vector(), other.as_vector()) {
                (Some(a), Some(b)) => a.len().cmp(&b.len()).then_with(|| compare_slices(a, b)),
                (None, None) => compare_fields(a, b),
                _ => self.bracket().cmp(&other.bracket()),
            },
            _ => self.bracket().cmp(&other.bracket()),
        }
    }

    /// Equal in the total order: what array transforms and `in` mean by "the same".
    pub fn equivalent(&self, other: &Value) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

fn compare_slices(a: &[Value], b: &[Value]) -> Ordering {
    for (a, b) in a.iter().zip(b) {
        let order = a.compare(b);
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn compare_fields(a: &Fields, b: &Fields) -> Ordering {
    for ((a_key, a_value), (b_key, b_value)) in a.iter().zip(b.iter()) {
        let order = a_key.as_bytes().cmp(b_key.as_bytes()).then_with(|| a_value.compare(b_value));
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// NaN first, the zeros equal.
fn compare_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Exact, without rounding the integer to a double.
fn compare_int_to_double(int: i64, double: f64) -> Ordering {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        return Ordering::Greater;
    }
    if double >= TWO_TO_63 {
        return Ordering::Less;
    }
    if double < -TWO_TO_63 {
        return Ordering::Greater;
    }
    // Within range, so truncation is exact and the fraction decides ties.
    let whole = double.trunc();
    int.cmp(&(whole as i64)).then_with(|| 0.0_f64.partial_cmp(&(double - whole)).unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{VECTOR_TYPE, VECTOR_TYPE_KEY, VECTOR_VALUE_KEY};
    use scrimmage_core::Timestamp;
    use std::sync::Arc;

    fn map(entries: &[(&str, Value)]) -> Value {
        Value::map(entries.iter().map(|(key, value)| (Arc::from(*key), value.clone())).collect())
    }

    fn vector(numbers: &[f64]) -> Value {
        let numbers = numbers.iter().map(|number| Value::Double(*number)).collect();
        map(&[(VECTOR_TYPE_KEY, Value::string(VECTOR_TYPE)), (VECTOR_VALUE_KEY, Value::array(numbers))])
    }

    #[test]
    fn the_documented_ladder() {
        let ladder = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Double(f64::NAN),
            Value::Double(f64::NEG_INFINITY),
            Value::Int(i64::MIN),
            Value::Double(-0.5),
            Value::Int(0),
            Value::Double(0.5),
            Value::Int(9_007_199_254_740_992),
            Value::Int(9_007_199_254_740_993),
            Value::Double(f64::INFINITY),
            Value::Timestamp(Timestamp::EPOCH),
            Value::string(""),
            Value::string("a"),
            Value::string("ä"),
            Value::string("\u{ffff}"),
            Value::string("\u{10000}"),
            Value::Bytes(Arc::from([0_u8].as_slice())),
            Value::Reference(Arc::from("projects/p/databases/d/documents/a/b")),
            Value::Geo { latitude: 1.0, longitude: 2.0 },
            Value::array(vec![]),
            Value::array(vec![Value::Int(1)]),
            vector(&[9.0]),
            vector(&[1.0, 1.0]),
            map(&[]),
            map(&[("a", Value::Int(1))]),
            map(&[("a", Value::Int(1)), ("b", Value::Null)]),
            map(&[("b", Value::Null)]),
        ];
        for (i, a) in ladder.iter().enumerate() {
            for (j, b) in ladder.iter().enumerate() {
                assert_eq!(a.compare(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn numbers_of_both_kinds_compare_exactly() {
        assert!(Value::Int(3).equivalent(&Value::Double(3.0)));
        assert!(Value::Double(0.0).equivalent(&Value::Double(-0.0)));
        assert!(Value::Double(f64::NAN).equivalent(&Value::Double(f64::NAN)));
        assert_eq!(Value::Int(i64::MAX).compare(&Value::Double(9_223_372_036_854_775_808.0)), Ordering::Less);
        assert_eq!(Value::Int(-3).compare(&Value::Double(-3.5)), Ordering::Greater);
    }
}
