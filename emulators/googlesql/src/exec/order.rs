//! Sorting rows by several keys: keys are made comparable once, then only positions move.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::exec::bitmap::Bitmap;
use crate::exec::column::{Column, Primitive};
use crate::plan::SortKey;
use crate::value::Value;
use crate::value::compare::sql_cmp;

/// One key's values for all rows.
struct Key {
    values: Values,
    descending: bool,
    nulls_first: bool,
}

enum Values {
    /// Integers in the values' order.
    Ints(Vec<i64>, Option<Bitmap>),
    Strings(Arc<Column>),
    Any(Vec<Value>),
}

/// The keys of some rows, ready to compare.
pub(super) struct SortRows {
    keys: Vec<Key>,
}

/// A float as an integer of the same order: NaN lowest, -0 equal to 0.
pub(super) fn float_rank(value: f64) -> i64 {
    if value.is_nan() {
        return i64::MIN;
    }
    let bits = (if value == 0.0 { 0.0 } else { value }).to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn ints<T: Copy + Default>(p: &Primitive<T>, rank: impl Fn(T) -> i64) -> Values {
    Values::Ints(p.values.iter().map(|value| rank(*value)).collect(), p.valid.clone())
}

fn comparable(column: &Arc<Column>) -> Values {
    match &**column {
        Column::Bool(p) => ints(p, i64::from),
        Column::Int64(p) | Column::Time(p) | Column::Datetime(p) | Column::Timestamp(p) => ints(p, |value| value),
        Column::Date(p) => ints(p, i64::from),
        Column::Float64(p) => ints(p, float_rank),
        Column::String(_) => Values::Strings(column.clone()),
        Column::Dictionary(d) => {
            let mut order: Vec<u32> = (0..d.values.len() as u32).collect();
            order.sort_by_key(|at| d.values.get(*at as usize));
            let mut ranks = vec![0; order.len()];
            for (rank, at) in order.iter().enumerate() {
                if let Some(slot) = ranks.get_mut(*at as usize) {
                    *slot = rank as i64;
                }
            }
            let all: Primitive<i64> = d.codes.iter().map(|code| ranks.get(*code as usize).copied()).collect();
            Values::Ints(all.values, all.valid)
        }
        other => Values::Any((0..other.len()).map(|row| other.get(row)).collect()),
    }
}

impl Key {
    fn is_null(&self, row: u32) -> bool {
        let row = row as usize;
        match &self.values {
            Values::Ints(_, valid) => valid.as_ref().is_some_and(|valid| !valid.get(row)),
            Values::Strings(column) => column.is_null(row),
            Values::Any(values) => values.get(row).is_none_or(Value::is_null),
        }
    }

    #[inline]
    fn compare(&self, a: u32, b: u32) -> Ordering {
        let ordering = match &self.values {
            Values::Ints(values, None) => values.get(a as usize).cmp(&values.get(b as usize)),
            _ => match (self.is_null(a), self.is_null(b)) {
                (true, true) => return Ordering::Equal,
                (true, false) => return if self.nulls_first { Ordering::Less } else { Ordering::Greater },
                (false, true) => return if self.nulls_first { Ordering::Greater } else { Ordering::Less },
                (false, false) => match &self.values {
                    Values::Ints(values, _) => values.get(a as usize).cmp(&values.get(b as usize)),
                    Values::Strings(column) => column.str_at(a as usize).cmp(&column.str_at(b as usize)),
                    Values::Any(values) => match (values.get(a as usize), values.get(b as usize)) {
                        (Some(a), Some(b)) => sql_cmp(a, b),
                        _ => Ordering::Equal,
                    },
                },
            },
        };
        if self.descending { ordering.reverse() } else { ordering }
    }
}

impl SortRows {
    /// `columns` are the keys' values, in the keys' order.
    pub fn new(keys: &[SortKey], columns: &[Arc<Column>]) -> SortRows {
        let keys = keys.iter().zip(columns).map(|(key, column)| Key {
            values: comparable(column),
            descending: key.descending,
            nulls_first: key.nulls_first,
        });
        SortRows { keys: keys.collect() }
    }

    #[inline]
    pub fn compare(&self, a: u32, b: u32) -> Ordering {
        for key in &self.keys {
            match key.compare(a, b) {
                Ordering::Equal => {}
                other => return other,
            }
        }
        Ordering::Equal
    }

    /// Sorts positions; equal ones stay in their order.
    pub fn sort(&self, rows: &mut [u32]) {
        if !self.keys.is_empty() {
            rows.sort_by(|a, b| self.compare(*a, *b));
        }
    }

    /// The first `count` of `0..len` in order, equal ones in their order.
    pub fn first(&self, len: usize, count: usize) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..len as u32).collect();
        if count > 0 && count < len / 2 {
            // Ties by position make the order total, so that an unstable selection is as good as a stable one.
            rows.select_nth_unstable_by(count - 1, |a, b| self.compare(*a, *b).then(a.cmp(b)));
            rows.truncate(count);
        }
        self.sort_total(&mut rows);
        rows.truncate(count);
        rows
    }

    fn sort_total(&self, rows: &mut [u32]) {
        rows.sort_unstable_by(|a, b| self.compare(*a, *b).then(a.cmp(b)));
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let key = |key: &Key| match &key.values {
            Values::Ints(values, _) => values.capacity() * 8,
            Values::Strings(_) => 0,
            Values::Any(values) => values.capacity() * size_of::<Value>(),
        };
        self.keys.iter().map(key).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floats_rank_as_sql_orders_them() {
        let ordered = [f64::NAN, f64::NEG_INFINITY, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-300, 2.0, f64::INFINITY];
        for pair in ordered.windows(2) {
            assert!(float_rank(pair[0]) < float_rank(pair[1]), "{pair:?}");
        }
        assert_eq!(float_rank(-0.0), float_rank(0.0));
    }

    proptest! {
        #[test]
        fn float_ranks_agree_with_comparison(a: f64, b: f64) {
            prop_assert_eq!(float_rank(a).cmp(&float_rank(b)), sql_cmp(&Value::Float64(a), &Value::Float64(b)));
        }
    }
}
