//! Field transforms: values that the service computes from what is stored.

use std::sync::Arc;

use scrimmage_core::Timestamp;

use crate::path::FieldPath;
use crate::value::{Fields, Value};

/// One transform of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    pub path: FieldPath,
    pub kind: Kind,
}

/// What to compute. The operands of the numeric ones are numbers, by construction at the edge.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The commit's time.
    ServerTime,
    Increment(Value),
    Maximum(Value),
    Minimum(Value),
    AppendMissing(Vec<Value>),
    RemoveAll(Vec<Value>),
}

/// Applies one transform and returns its result for the client: array transforms report null.
pub fn apply(transform: &Transform, fields: &mut Fields, commit_time: Timestamp) -> Value {
    let stored = transform.path.get(fields);
    let (new, result) = match &transform.kind {
        Kind::ServerTime => same(Value::Timestamp(commit_time)),
        Kind::Increment(by) => same(increment(stored, by)),
        Kind::Maximum(operand) => same(extreme(stored, operand, std::cmp::Ordering::Greater)),
        Kind::Minimum(operand) => same(extreme(stored, operand, std::cmp::Ordering::Less)),
        Kind::AppendMissing(values) => (append_missing(stored, values), Value::Null),
        Kind::RemoveAll(values) => (remove_all(stored, values), Value::Null),
    };
    transform.path.set(fields, new);
    result
}

fn same(value: Value) -> (Value, Value) {
    (value.clone(), value)
}

fn increment(stored: Option<&Value>, by: &Value) -> Value {
    match (stored, by) {
        (Some(Value::Int(a)), Value::Int(b)) => Value::Int(a.saturating_add(*b)),
        (Some(Value::Int(a)), Value::Double(b)) => Value::Double(*a as f64 + b),
        (Some(Value::Double(a)), Value::Int(b)) => Value::Double(a + *b as f64),
        (Some(Value::Double(a)), Value::Double(b)) => Value::Double(a + b),
        _ => by.clone(),
    }
}

/// The operand where it is beyond the stored number in the direction `wanted`; NaN is beyond all.
fn extreme(stored: Option<&Value>, operand: &Value, wanted: std::cmp::Ordering) -> Value {
    match stored {
        Some(stored) if stored.is_number() => {
            if stored.is_nan() || (!operand.is_nan() && operand.compare(stored) != wanted) {
                stored.clone()
            } else {
                operand.clone()
            }
        }
        _ => operand.clone(),
    }
}

fn append_missing(stored: Option<&Value>, values: &[Value]) -> Value {
    let mut array = match stored {
        Some(Value::Array(array)) => Arc::clone(array),
        _ => Arc::default(),
    };
    for value in values {
        if !array.iter().any(|element| element.equivalent(value)) {
            Arc::make_mut(&mut array).push(value.clone());
        }
    }
    Value::Array(array)
}

fn remove_all(stored: Option<&Value>, values: &[Value]) -> Value {
    let kept = match stored {
        Some(Value::Array(array)) => {
            array.iter().filter(|element| !values.iter().any(|value| value.equivalent(element))).cloned().collect()
        }
        _ => Vec::new(),
    };
    Value::array(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stored: Option<Value>, kind: Kind) -> (Value, Value) {
        let mut fields = Fields::new();
        let path = FieldPath::parse("f").unwrap();
        if let Some(stored) = stored {
            path.set(&mut fields, stored);
        }
        let result = apply(&Transform { path: path.clone(), kind }, &mut fields, Timestamp::from_micros(7));
        (path.get(&fields).unwrap().clone(), result)
    }

    fn new(stored: Value, kind: Kind) -> Value {
        run(Some(stored), kind).0
    }

    #[test]
    fn increments_saturate_and_doubles_win() {
        assert_eq!(new(Value::Int(1), Kind::Increment(Value::Int(2))), Value::Int(3));
        assert_eq!(new(Value::Int(i64::MAX), Kind::Increment(Value::Int(2))), Value::Int(i64::MAX));
        assert_eq!(new(Value::Int(i64::MIN), Kind::Increment(Value::Int(-2))), Value::Int(i64::MIN));
        assert_eq!(new(Value::Int(1), Kind::Increment(Value::Double(0.5))), Value::Double(1.5));
        assert_eq!(new(Value::Double(0.5), Kind::Increment(Value::Int(1))), Value::Double(1.5));
        assert_eq!(new(Value::string("x"), Kind::Increment(Value::Int(4))), Value::Int(4));
        assert_eq!(run(None, Kind::Increment(Value::Int(4))), (Value::Int(4), Value::Int(4)));
    }

    #[test]
    fn extremes_keep_the_stored_of_equals_and_nan_wins() {
        assert_eq!(new(Value::Int(3), Kind::Maximum(Value::Double(3.0))), Value::Int(3));
        assert_eq!(new(Value::Int(3), Kind::Maximum(Value::Double(3.5))), Value::Double(3.5));
        assert_eq!(new(Value::Double(-0.0), Kind::Maximum(Value::Int(0))), Value::Double(-0.0));
        assert_eq!(new(Value::Int(3), Kind::Minimum(Value::Int(2))), Value::Int(2));
        assert_eq!(new(Value::Int(3), Kind::Minimum(Value::Double(f64::NAN))), Value::Double(f64::NAN));
        assert_eq!(new(Value::Double(f64::NAN), Kind::Maximum(Value::Int(9))), Value::Double(f64::NAN));
        assert_eq!(new(Value::Bool(true), Kind::Minimum(Value::Int(9))), Value::Int(9));
    }

    #[test]
    fn arrays_compare_by_query_equality_and_report_null() {
        let stored = Value::array(vec![Value::Int(1), Value::Double(f64::NAN), Value::Int(1)]);
        let append = vec![Value::Double(1.0), Value::Double(f64::NAN), Value::Null, Value::Null];
        let (after, result) = run(Some(stored.clone()), Kind::AppendMissing(append));
        assert_eq!(after, Value::array(vec![Value::Int(1), Value::Double(f64::NAN), Value::Int(1), Value::Null]));
        assert_eq!(result, Value::Null);
        assert_eq!(new(stored, Kind::RemoveAll(vec![Value::Double(1.0)])), Value::array(vec![Value::Double(f64::NAN)]));
        assert_eq!(new(Value::Int(1), Kind::RemoveAll(vec![])), Value::array(vec![]));
        assert_eq!(new(Value::Int(1), Kind::AppendMissing(vec![])), Value::array(vec![]));
    }

    #[test]
    fn server_time_is_the_commits() {
        let time = Value::Timestamp(Timestamp::from_micros(7));
        assert_eq!(run(None, Kind::ServerTime), (time.clone(), time));
    }
}
