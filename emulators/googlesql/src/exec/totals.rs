//! SUM, AVG, MIN and MAX with little memory a group: what a query with many groups spends its time on.

use std::sync::Arc;

use super::column::{Column, ColumnBuilder, Primitive};
use crate::error::{Result, SqlError};
use crate::functions::aggregates::FloatTotal;
use crate::plan::AggregateCall;
use crate::types::Type;
use crate::value::Value;
use crate::value::numeric::DecimalSum;

/// The groups of one call.
pub(super) enum Totals {
    Float {
        totals: Vec<FloatTotal>,
        average: bool,
    },
    Numeric {
        totals: Vec<NumericTotal>,
        average: bool,
    },
    /// Integers whose average is wanted.
    IntAverage(Vec<(i128, i64)>),
    Text {
        best: Vec<Option<Box<str>>>,
        max: bool,
        bytes: usize,
    },
}

/// An exact sum of more than NUMERIC's range: `carry` counts how often `low` went around.
#[derive(Clone, Copy, Default)]
pub(super) struct NumericTotal {
    low: i128,
    carry: i64,
    count: i64,
}

impl NumericTotal {
    fn add(&mut self, value: i128) {
        let (sum, around) = self.low.overflowing_add(value);
        self.low = sum;
        self.carry += if !around {
            0
        } else if value < 0 {
            -1
        } else {
            1
        };
        self.count += 1;
    }
}

impl Totals {
    /// `None` for calls that are not of these.
    pub fn new(call: &AggregateCall) -> Option<Totals> {
        let average = call.function.name == "avg";
        let max = call.function.name == "max";
        Some(match (call.function.name, call.args.first().map(|arg| &arg.ty)?) {
            ("sum" | "avg", Type::Float64) => Totals::Float { totals: Vec::new(), average },
            ("sum" | "avg", Type::Numeric) => Totals::Numeric { totals: Vec::new(), average },
            ("avg", Type::Int64) => Totals::IntAverage(Vec::new()),
            ("min" | "max", Type::String) => Totals::Text { best: Vec::new(), max, bytes: 0 },
            _ => return None,
        })
    }

    pub fn add(&mut self, ids: &[u32], groups: usize, column: &Column) {
        match self {
            Totals::Float { totals, .. } => {
                totals.resize(groups, FloatTotal::default());
                for (row, id) in ids.iter().enumerate() {
                    if let (Some(total), Some(value)) = (totals.get_mut(*id as usize), column.float_at(row)) {
                        total.add(value);
                    }
                }
            }
            Totals::Numeric { totals, .. } => {
                totals.resize(groups, NumericTotal::default());
                for (row, id) in ids.iter().enumerate() {
                    let value = match column {
                        Column::Numeric(values) => values.get(row),
                        other => match other.get(row) {
                            Value::Numeric(value) => Some(value),
                            _ => None,
                        },
                    };
                    if let (Some(total), Some(value)) = (totals.get_mut(*id as usize), value) {
                        total.add(value.raw());
                    }
                }
            }
            Totals::IntAverage(totals) => {
                totals.resize(groups, (0, 0));
                for (row, id) in ids.iter().enumerate() {
                    if let (Some(total), Some(value)) = (totals.get_mut(*id as usize), column.int_at(row)) {
                        *total = (total.0 + i128::from(value), total.1 + 1);
                    }
                }
            }
            Totals::Text { best, max, bytes } => {
                best.resize(groups, None);
                for (row, id) in ids.iter().enumerate() {
                    let (Some(best), Some(text)) = (best.get_mut(*id as usize), column.str_at(row)) else { continue };
                    let better = match best {
                        None => true,
                        Some(best) if *max => text > &**best,
                        Some(best) => text < &**best,
                    };
                    if better {
                        *bytes += text.len();
                        *best = Some(text.into());
                    }
                }
            }
        }
    }

    /// Bytes held, roughly.
    pub fn memory(&self) -> usize {
        match self {
            Totals::Float { totals, .. } => totals.capacity() * size_of::<FloatTotal>(),
            Totals::Numeric { totals, .. } => totals.capacity() * size_of::<NumericTotal>(),
            Totals::IntAverage(totals) => totals.capacity() * 32,
            Totals::Text { best, bytes, .. } => best.capacity() * 16 + bytes,
        }
    }

    pub fn finish(self, groups: usize) -> Result<Column> {
        match self {
            Totals::Float { mut totals, average } => {
                totals.resize(groups, FloatTotal::default());
                let mut out = Primitive::default();
                for total in &totals {
                    let value = if average { total.average() } else { total.sum()? };
                    out.push(value);
                }
                Ok(Column::Float64(out))
            }
            Totals::Numeric { mut totals, average } => {
                totals.resize(groups, NumericTotal::default());
                let mut out = Primitive::default();
                for total in &totals {
                    if total.count == 0 {
                        out.push(None);
                        continue;
                    }
                    let sum = DecimalSum::from_parts(total.low, total.carry);
                    let value = if average { sum.numeric_average(total.count) } else { sum.numeric() };
                    let name = if average { "AVG" } else { "SUM" };
                    out.push(Some(value.ok_or_else(|| SqlError::evaluation(format!("numeric overflow: {name}")))?));
                }
                Ok(Column::Numeric(out))
            }
            Totals::IntAverage(mut totals) => {
                totals.resize(groups, (0, 0));
                let mut out = Primitive::default();
                for (sum, count) in totals {
                    out.push((count > 0).then(|| sum as f64 / count as f64));
                }
                Ok(Column::Float64(out))
            }
            Totals::Text { mut best, .. } => {
                best.resize(groups, None);
                let mut out = ColumnBuilder::with_capacity(&Type::String, groups);
                for text in best {
                    out.push(text.map_or(Value::Null, |text| Value::String(Arc::from(text))));
                }
                Ok(out.finish())
            }
        }
    }
}
