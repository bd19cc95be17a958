//! Aggregate functions: what the accumulators of the stage `aggregate` gather.

use std::cmp::Ordering;

use super::Failure;
use super::functions::arithmetic;
use crate::value::Value;

/// Whether there is an accumulator of this name.
pub fn is_known(name: &str) -> bool {
    matches!(
        name,
        "count"
            | "count_if"
            | "count_distinct"
            | "sum"
            | "average"
            | "minimum"
            | "maximum"
            | "first"
            | "last"
            | "array_agg"
            | "array_agg_distinct"
    )
}

/// One accumulator of one group.
#[derive(Debug)]
pub enum Accumulator {
    Count(i64),
    /// Counts what is there and not null.
    CountValues(i64),
    CountIf(i64),
    Distinct(Vec<Value>, Kind),
    Sum(Option<Value>),
    Average {
        sum: f64,
        count: i64,
    },
    Extreme {
        best: Option<Value>,
        wanted: Ordering,
    },
    First(Option<Value>),
    Last(Option<Value>),
    All(Vec<Value>),
}

/// What becomes of distinct values.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Count,
    Array,
}

impl Accumulator {
    pub fn new(name: &str, arguments: usize) -> Result<Accumulator, Failure> {
        let accumulator = match (name, arguments) {
            ("count", 0) => return Ok(Accumulator::Count(0)),
            ("count", _) => Accumulator::CountValues(0),
            ("count_if", _) => Accumulator::CountIf(0),
            ("count_distinct", _) => Accumulator::Distinct(Vec::new(), Kind::Count),
            ("array_agg_distinct", _) => Accumulator::Distinct(Vec::new(), Kind::Array),
            ("sum", _) => Accumulator::Sum(None),
            ("average", _) => Accumulator::Average { sum: 0.0, count: 0 },
            ("minimum", _) => Accumulator::Extreme { best: None, wanted: Ordering::Less },
            ("maximum", _) => Accumulator::Extreme { best: None, wanted: Ordering::Greater },
            ("first", _) => Accumulator::First(None),
            ("last", _) => Accumulator::Last(None),
            ("array_agg", _) => Accumulator::All(Vec::new()),
            _ => return Err(Failure::invalid(format!("Unknown accumulator \"{name}\"."))),
        };
        if arguments == 1 {
            Ok(accumulator)
        } else {
            Err(Failure::invalid(format!("The accumulator \"{name}\" takes one argument, not {arguments}.")))
        }
    }

    /// Takes in what one row has; `None` is an absent value.
    pub fn add(&mut self, value: Option<Value>) -> Result<(), Failure> {
        match self {
            Accumulator::Count(count) => *count += 1,
            Accumulator::CountValues(count) => *count += i64::from(value.is_some_and(|value| value != Value::Null)),
            Accumulator::CountIf(count) => *count += i64::from(value == Some(Value::Bool(true))),
            Accumulator::Distinct(seen, kind) => {
                let value = match kind {
                    Kind::Count if matches!(value, None | Some(Value::Null)) => return Ok(()),
                    _ => value.unwrap_or(Value::Null),
                };
                // In order, so that looking one up is not a walk over all.
                if let Err(at) = seen.binary_search_by(|other| other.compare(&value)) {
                    seen.insert(at, value);
                }
            }
            Accumulator::Sum(sum) => {
                if let Some(value) = value.filter(Value::is_number) {
                    *sum = Some(match sum.take() {
                        None => value,
                        Some(sum) => arithmetic::sum(&sum, &value),
                    });
                }
            }
            Accumulator::Average { sum, count } => {
                if let Some(number) = value.as_ref().and_then(arithmetic::number) {
                    *sum += number;
                    *count += 1;
                }
            }
            Accumulator::Extreme { best, wanted } => {
                if let Some(value) = value.filter(|value| *value != Value::Null)
                    && best.as_ref().is_none_or(|best| value.compare(best) == *wanted)
                {
                    *best = Some(value);
                }
            }
            Accumulator::First(first) => {
                first.get_or_insert(value.unwrap_or(Value::Null));
            }
            Accumulator::Last(last) => *last = Some(value.unwrap_or(Value::Null)),
            Accumulator::All(values) => values.push(value.unwrap_or(Value::Null)),
        }
        Ok(())
    }

    pub fn result(self) -> Value {
        match self {
            Accumulator::Count(count) | Accumulator::CountValues(count) | Accumulator::CountIf(count) => {
                Value::Int(count)
            }
            Accumulator::Distinct(seen, Kind::Count) => Value::Int(i64::try_from(seen.len()).unwrap_or(i64::MAX)),
            Accumulator::Distinct(seen, Kind::Array) | Accumulator::All(seen) => Value::array(seen),
            Accumulator::Sum(sum) => sum.unwrap_or(Value::Int(0)),
            Accumulator::Average { count: 0, .. } => Value::Null,
            Accumulator::Average { sum, count } => Value::Double(sum / count as f64),
            Accumulator::Extreme { best, .. } => best.unwrap_or(Value::Null),
            Accumulator::First(value) | Accumulator::Last(value) => value.unwrap_or(Value::Null),
        }
    }
}
