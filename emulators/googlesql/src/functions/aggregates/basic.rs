//! COUNT, SUM, AVG, MIN, MAX, logic and bits.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::aggregates::{Allows, PLAIN, aggregate};
use crate::functions::args::any;
use crate::functions::{Accumulator, AggregateFunction};
use crate::types::Type;
use crate::value::numeric::DecimalSum;
use crate::value::{Interval, Value, sql_cmp};

pub(crate) static TABLE: &[AggregateFunction] = &[
    aggregate!(
        "aggregate_functions",
        "$count_star",
        "COUNT",
        Allows { ignores_nulls: false, distinct: false, ..PLAIN },
        ["() -> INT64"],
        |_| { Box::new(Count(0)) }
    ),
    aggregate!("aggregate_functions", "count", "COUNT", PLAIN, ["(ANY) -> INT64"], |_| Box::new(Count(0))),
    aggregate!("aggregate_functions", "countif", "COUNTIF", PLAIN, ["(BOOL) -> INT64"], |_| Box::new(CountIf(0))),
    aggregate!(
        "aggregate_functions",
        "sum",
        "SUM",
        PLAIN,
        [
            "(INT64) -> INT64",
            "(FLOAT64) -> FLOAT64",
            "(NUMERIC) -> NUMERIC",
            "(BIGNUMERIC) -> BIGNUMERIC",
            "(INTERVAL) -> INTERVAL",
        ],
        |_| Box::new(Sum::default())
    ),
    aggregate!(
        "aggregate_functions",
        "avg",
        "AVG",
        PLAIN,
        [
            "(INT64) -> FLOAT64",
            "(FLOAT64) -> FLOAT64",
            "(NUMERIC) -> NUMERIC",
            "(BIGNUMERIC) -> BIGNUMERIC",
            "(INTERVAL) -> INTERVAL",
        ],
        |_| Box::new(Average::default())
    ),
    aggregate!("aggregate_functions", "min", "MIN", PLAIN, ["(ORDERABLE<T>) -> T"], |_| Box::new(Extreme {
        best: Value::Null,
        max: false
    })),
    aggregate!("aggregate_functions", "max", "MAX", PLAIN, ["(ORDERABLE<T>) -> T"], |_| Box::new(Extreme {
        best: Value::Null,
        max: true
    })),
    aggregate!(
        "aggregate_functions",
        "max_by",
        "MAX_BY",
        Allows { ignores_nulls: false, distinct: false, ..PLAIN },
        ["(T, ORDERABLE<U>) -> T"],
        |_| Box::new(ExtremeBy { best: Value::Null, key: Value::Null, max: true })
    ),
    aggregate!(
        "aggregate_functions",
        "min_by",
        "MIN_BY",
        Allows { ignores_nulls: false, distinct: false, ..PLAIN },
        ["(T, ORDERABLE<U>) -> T"],
        |_| Box::new(ExtremeBy { best: Value::Null, key: Value::Null, max: false })
    ),
    aggregate!("aggregate_functions", "logical_and", "LOGICAL_AND", PLAIN, ["(BOOL) -> BOOL"], |_| Box::new(Fold {
        value: None,
        fold: |a, b| match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => Value::Bool(*a && *b),
            _ => Value::Null,
        }
    })),
    aggregate!("aggregate_functions", "logical_or", "LOGICAL_OR", PLAIN, ["(BOOL) -> BOOL"], |_| Box::new(Fold {
        value: None,
        fold: |a, b| match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => Value::Bool(*a || *b),
            _ => Value::Null,
        }
    })),
    aggregate!("aggregate_functions", "bit_and", "BIT_AND", PLAIN, ["(INT64) -> INT64"], |_| Box::new(Fold {
        value: None,
        fold: |a, b| bits(a, b, |a, b| a & b)
    })),
    aggregate!("aggregate_functions", "bit_or", "BIT_OR", PLAIN, ["(INT64) -> INT64"], |_| Box::new(Fold {
        value: None,
        fold: |a, b| bits(a, b, |a, b| a | b)
    })),
    aggregate!("aggregate_functions", "bit_xor", "BIT_XOR", PLAIN, ["(INT64) -> INT64"], |_| Box::new(Fold {
        value: None,
        fold: |a, b| bits(a, b, |a, b| a ^ b)
    })),
];

fn bits(a: &Value, b: &Value, fold: fn(i64, i64) -> i64) -> Value {
    match (a, b) {
        (Value::Int64(a), Value::Int64(b)) => Value::Int64(fold(*a, *b)),
        _ => Value::Null,
    }
}

struct Count(i64);

impl Accumulator for Count {
    fn add(&mut self, _: &[Value]) -> Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(Value::Int64(self.0))
    }
}

struct CountIf(i64);

impl Accumulator for CountIf {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        self.0 += i64::from(matches!(any(args, 0), Value::Bool(true)));
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(Value::Int64(self.0))
    }
}

/// A sum and a mean of FLOAT64, with a running compensation for what rounding lost.
#[derive(Clone, Copy, Default)]
pub(crate) struct FloatTotal {
    count: i64,
    float: f64,
    lost: f64,
    /// The same sum with its addends made small, for when the other overflows on its way to a sum that does not.
    small: f64,
    /// An addend was infinite or NaN, so an infinite sum is no overflow.
    special: bool,
    /// Kept beside the sum for when that overflows.
    mean: f64,
}

impl FloatTotal {
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.special |= !value.is_finite();
        let sum = self.float + value;
        self.lost +=
            if self.float.abs() >= value.abs() { (self.float - sum) + value } else { (value - sum) + self.float };
        self.float = sum;
        self.small += value * SMALL;
        let count = self.count as f64;
        self.mean += value / count - self.mean / count;
    }

    fn total(&self) -> f64 {
        if self.special || self.float.is_finite() && self.lost.is_finite() {
            return if self.lost.is_finite() { self.float + self.lost } else { self.float };
        }
        self.small / SMALL
    }

    /// `None` of nothing.
    pub fn sum(&self) -> Result<Option<f64>> {
        let sum = self.total();
        match self.count {
            0 => Ok(None),
            _ if sum.is_finite() || self.special => Ok(Some(sum)),
            _ => Err(SqlError::evaluation("Error in SUM aggregation: double overflow")),
        }
    }

    /// `None` of nothing.
    pub fn average(&self) -> Option<f64> {
        let sum = self.total();
        let mean = if sum.is_finite() || self.special { sum / self.count as f64 } else { self.mean };
        (self.count > 0).then_some(mean)
    }
}

/// Exact totals of every number type; FLOAT64 with a running compensation for what rounding lost.
#[derive(Default)]
pub(crate) struct Total {
    pub count: i64,
    int: i128,
    float: FloatTotal,
    decimal: DecimalSum,
    interval: (i128, i128, i128),
}

impl Total {
    pub(crate) fn add(&mut self, value: &Value) {
        self.count += 1;
        match value {
            Value::Int64(value) => self.int += i128::from(*value),
            Value::Float64(value) => self.float.add(*value),
            Value::Numeric(value) => self.decimal.add_numeric(*value),
            Value::BigNumeric(value) => self.decimal.add_big(value),
            Value::Interval(value) => {
                self.interval.0 += i128::from(value.months);
                self.interval.1 += i128::from(value.days);
                self.interval.2 += i128::from(value.micros);
            }
            _ => {}
        }
    }
}

/// A power of two, so that multiplying by it loses nothing.
const SMALL: f64 = 1.0 / (1u64 << 60) as f64;

fn part(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[derive(Default)]
struct Sum {
    total: Total,
    kind: Option<Value>,
}

impl Accumulator for Sum {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let value = any(args, 0);
        self.total.add(value);
        if self.kind.is_none() {
            self.kind = Some(value.clone());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        let total = &self.total;
        match self.kind {
            None => Ok(Value::Null),
            Some(Value::Int64(_)) => i64::try_from(total.int)
                .map(Value::Int64)
                .map_err(|_| SqlError::evaluation("Error in SUM aggregation: integer overflow")),
            Some(Value::Float64(_)) => Ok(total.float.sum()?.map_or(Value::Null, Value::Float64)),
            Some(Value::Numeric(_)) => {
                total.decimal.numeric().map(Value::Numeric).ok_or_else(|| SqlError::evaluation("numeric overflow: SUM"))
            }
            Some(Value::BigNumeric(_)) => total
                .decimal
                .big()
                .map(|value| Value::BigNumeric(Arc::new(value)))
                .ok_or_else(|| SqlError::evaluation("BIGNUMERIC overflow: SUM")),
            Some(Value::Interval(_)) => {
                let (months, days, micros) = total.interval;
                Ok(Value::Interval(Arc::new(Interval::checked(part(months), part(days), part(micros))?)))
            }
            Some(_) => Err(SqlError::internal("SUM of no number")),
        }
    }
}

#[derive(Default)]
struct Average {
    total: Total,
    kind: Option<Value>,
}

impl Accumulator for Average {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let value = any(args, 0);
        self.total.add(value);
        if self.kind.is_none() {
            self.kind = Some(value.clone());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        let total = &self.total;
        match self.kind {
            None => Ok(Value::Null),
            Some(Value::Int64(_)) => Ok(Value::Float64(total.int as f64 / total.count as f64)),
            Some(Value::Float64(_)) => Ok(total.float.average().map_or(Value::Null, Value::Float64)),
            Some(Value::Numeric(_)) => total
                .decimal
                .numeric_average(total.count)
                .map(Value::Numeric)
                .ok_or_else(|| SqlError::evaluation("numeric overflow: AVG")),
            Some(Value::BigNumeric(_)) => total
                .decimal
                .big_average(total.count)
                .map(|value| Value::BigNumeric(Arc::new(value)))
                .ok_or_else(|| SqlError::evaluation("BIGNUMERIC overflow: AVG")),
            Some(Value::Interval(_)) => {
                // What months do not divide evenly becomes days, and days microseconds.
                let (months, days, micros) = total.interval;
                let count = i128::from(total.count);
                let days = days + months % count * 30;
                let micros = micros + days % count * i128::from(crate::value::civil::DAY_MICROS);
                let interval = Interval::checked(part(months / count), part(days / count), part(micros / count))?;
                Ok(Value::Interval(Arc::new(interval)))
            }
            Some(_) => Err(SqlError::internal("AVG of no number")),
        }
    }
}

struct Extreme {
    best: Value,
    max: bool,
}

impl Accumulator for Extreme {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let value = any(args, 0);
        let is_nan = |value: &Value| matches!(value, Value::Float64(value) if value.is_nan());
        // NaN wins over every number.
        if self.best.is_null() || is_nan(value) {
            self.best = value.clone();
        } else if !is_nan(&self.best) {
            let order = sql_cmp(value, &self.best);
            if if self.max { order.is_gt() } else { order.is_lt() } {
                self.best = value.clone();
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(self.best.clone())
    }
}

struct ExtremeBy {
    best: Value,
    key: Value,
    max: bool,
}

impl Accumulator for ExtremeBy {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let key = any(args, 1);
        if key.is_null() {
            return Ok(());
        }
        let order = sql_cmp(key, &self.key);
        if self.key.is_null() || if self.max { order.is_gt() } else { order.is_lt() } {
            self.key = key.clone();
            self.best = any(args, 0).clone();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(self.best.clone())
    }
}

struct Fold {
    value: Option<Value>,
    fold: fn(&Value, &Value) -> Value,
}

impl Accumulator for Fold {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let value = any(args, 0);
        self.value = Some(match &self.value {
            None => value.clone(),
            Some(known) => (self.fold)(known, value),
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(self.value.clone().unwrap_or_default())
    }
}

/// The element type of an array that gathers `args`, which must not be arrays themselves.
pub(crate) fn array_of_first(function: &str, args: &[Type]) -> Result<Type> {
    match args.first() {
        Some(ty @ Type::Array(_)) => {
            Err(SqlError::analysis(format!("The argument to {function} must not be an array type but was {ty}")))
        }
        Some(ty) => Ok(Type::array(ty.clone())),
        None => Ok(Type::array(Type::Int64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::aggregate as find;
    use crate::functions::aggregates::testing::{ints, run};

    #[test]
    fn sums_are_exact_and_checked() {
        let sum = find("sum").expect("there");
        let max = i64::MAX;
        assert!(matches!(run(sum, &[Type::Int64], &ints(&[max, 1, -1])), Ok(Value::Int64(value)) if value == max));
        assert_eq!(
            run(sum, &[Type::Int64], &ints(&[max, 1])).unwrap_err().message,
            "Error in SUM aggregation: integer overflow"
        );
        let floats: Vec<Vec<Value>> = [1e16, 1.0, -1e16].iter().map(|value| vec![Value::Float64(*value)]).collect();
        assert!(matches!(run(sum, &[Type::Float64], &floats), Ok(Value::Float64(1.0))));
        assert!(matches!(run(sum, &[Type::Int64], &[vec![Value::Null]]), Ok(Value::Null)));
    }

    #[test]
    fn extremes_prefer_nan() {
        let rows: Vec<Vec<Value>> = [1.0, f64::NAN, -1.0].iter().map(|value| vec![Value::Float64(*value)]).collect();
        for name in ["min", "max"] {
            let result = run(find(name).expect("there"), &[Type::Float64], &rows);
            assert!(matches!(result, Ok(Value::Float64(value)) if value.is_nan()));
        }
        let average = run(find("avg").expect("there"), &[Type::Int64], &ints(&[1, 2, 4]));
        assert!(matches!(average, Ok(Value::Float64(value)) if (value - 7.0 / 3.0).abs() < 1e-12));
    }
}
