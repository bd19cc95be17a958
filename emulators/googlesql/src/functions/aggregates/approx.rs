//! APPROX_COUNT_DISTINCT, APPROX_QUANTILES, APPROX_TOP_COUNT, APPROX_TOP_SUM.
//!
//! They are exact here, which the approximations allow.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::aggregates::{Allows, PLAIN, aggregate};
use crate::functions::args::{any, fail};
use crate::functions::operators::number_text;
use crate::functions::{Accumulator, AggregateFunction};
use crate::types::Type;
use crate::value::{GroupKey, Value, group_key, sql_cmp};

/// The most that a second argument may ask for.
const MAX_ENTRIES: i64 = 100_000;

pub(crate) static TABLE: &[AggregateFunction] = &[
    aggregate!(
        "approximate_aggregate_functions",
        "approx_count_distinct",
        "APPROX_COUNT_DISTINCT",
        PLAIN,
        ["(GROUPABLE<T>) -> INT64"],
        |_| Box::new(CountDistinct(HashSet::new()))
    ),
    aggregate!(
        "approximate_aggregate_functions",
        "approx_quantiles",
        "APPROX_QUANTILES",
        Allows { null_modifier: true, ..PLAIN },
        ["(ORDERABLE<T>, INT64) -> ARRAY<T>"],
        |_| Box::new(Quantiles { values: Vec::new(), count: None })
    ),
    aggregate!(
        "approximate_aggregate_functions",
        "approx_top_count",
        "APPROX_TOP_COUNT",
        Allows { ignores_nulls: false, ..PLAIN },
        ["(GROUPABLE<T>, INT64) -> ?"],
        |_| Box::new(Top { name: "APPROX_TOP_COUNT", groups: HashMap::new(), order: Vec::new(), count: None }),
        |types| top_type(types, "count", Type::Int64)
    ),
    aggregate!(
        "approximate_aggregate_functions",
        "approx_top_sum",
        "APPROX_TOP_SUM",
        Allows { ignores_nulls: false, ..PLAIN },
        [
            "(GROUPABLE<T>, INT64, INT64) -> ?",
            "(GROUPABLE<T>, FLOAT64, INT64) -> ?",
            "(GROUPABLE<T>, NUMERIC, INT64) -> ?",
            "(GROUPABLE<T>, BIGNUMERIC, INT64) -> ?",
        ],
        |_| Box::new(Top { name: "APPROX_TOP_SUM", groups: HashMap::new(), order: Vec::new(), count: None }),
        |types| top_type(types, "sum", types.get(1).cloned().unwrap_or(Type::Int64))
    ),
];

fn top_type(types: &[Type], name: &str, weight: Type) -> Result<Type> {
    let value = types.first().cloned().unwrap_or(Type::Int64);
    Ok(Type::array(Type::struct_of([("value", value), (name, weight)])))
}

struct CountDistinct(HashSet<GroupKey>);

impl Accumulator for CountDistinct {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        self.0.insert(group_key(vec![any(args, 0).clone()]));
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(Value::Int64(self.0.len() as i64))
    }
}

/// The constant that says how many are wanted; the same in every row.
fn wanted(name: &str, which: &str, value: &Value) -> Result<usize> {
    match value {
        Value::Int64(count) if *count <= 0 => fail(format!("The {which} argument to {name} function must be positive")),
        Value::Int64(count) if *count > MAX_ENTRIES => {
            fail(format!("The {which} argument to {name} function cannot be greater than {MAX_ENTRIES}"))
        }
        Value::Int64(count) => Ok(*count as usize),
        _ => fail(format!("The {which} argument to {name} function must not be NULL")),
    }
}

struct Quantiles {
    values: Vec<Value>,
    count: Option<usize>,
}

impl Accumulator for Quantiles {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        if self.count.is_none() {
            self.count = Some(wanted("APPROX_QUANTILES", "second", any(args, 1))?);
        }
        self.values.push(any(args, 0).clone());
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        let Some(count) = self.count else { return Ok(Value::Null) };
        let mut values = self.values.clone();
        values.sort_by(sql_cmp);
        let last = values.len().saturating_sub(1);
        let items = (0..=count)
            .map(|index| {
                // The least value that this share of all values does not exceed.
                let at = (values.len() * index).div_ceil(count.max(1)).saturating_sub(1);
                values.get(at.min(last)).cloned().unwrap_or_default()
            })
            .collect();
        Ok(Value::array(items))
    }
}

/// Values with their counts or summed weights.
struct Top {
    name: &'static str,
    groups: HashMap<GroupKey, usize>,
    order: Vec<(Value, Value)>,
    count: Option<usize>,
}

impl Accumulator for Top {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let sums = self.name == "APPROX_TOP_SUM";
        if self.count.is_none() {
            let which = if sums { 2 } else { 1 };
            self.count = Some(wanted(self.name, "second", any(args, which))?);
        }
        let weight = if sums { any(args, 1).clone() } else { Value::Int64(1) };
        let negative = match &weight {
            Value::Int64(weight) => *weight < 0,
            Value::Float64(weight) => weight.is_nan() || *weight < 0.0,
            Value::Numeric(weight) => weight.raw() < 0,
            Value::BigNumeric(weight) => weight.is_negative(),
            _ => false,
        };
        if negative {
            return fail(format!(
                "{} does not support negative or NaN weights in the second argument; got {}",
                self.name,
                number_text(&weight)
            ));
        }
        let value = any(args, 0);
        let next = self.order.len();
        let index = *self.groups.entry(group_key(vec![value.clone()])).or_insert(next);
        match self.order.get_mut(index) {
            None => self.order.push((value.clone(), weight)),
            Some((_, sum)) => *sum = plus(sum, &weight)?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        let Some(count) = self.count else { return Ok(Value::Null) };
        // Stable: among equals the first seen stays first. A NULL weight comes last.
        let mut order = self.order.clone();
        order.sort_by(|a, b| sql_cmp(&b.1, &a.1));
        let items = order.into_iter().take(count).map(|(value, sum)| Value::structure(vec![value, sum]));
        Ok(Value::array(items.collect()))
    }
}

fn plus(a: &Value, b: &Value) -> Result<Value> {
    let overflow = || SqlError::evaluation(format!("int64 overflow: {} + {}", number_text(a), number_text(b)));
    match (a, b) {
        (Value::Null, other) | (other, Value::Null) => Ok(other.clone()),
        (Value::Int64(a), Value::Int64(b)) => a.checked_add(*b).map(Value::Int64).ok_or_else(overflow),
        (Value::Float64(a), Value::Float64(b)) => Ok(Value::Float64(a + b)),
        (Value::Numeric(a), Value::Numeric(b)) => a.add(*b).map(Value::Numeric).ok_or_else(overflow),
        (Value::BigNumeric(a), Value::BigNumeric(b)) => {
            crate::value::numeric::big::add(a, b).map(|value| Value::BigNumeric(Arc::new(value))).ok_or_else(overflow)
        }
        _ => Err(SqlError::internal("weights of different types")),
    }
}
