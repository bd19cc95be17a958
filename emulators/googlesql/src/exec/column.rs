//! Columns and batches: what tables store and operators pass on.

mod batch;
mod build;
mod store;

use std::collections::HashMap;
use std::sync::Arc;

pub use batch::Batch;
pub use build::ColumnBuilder;
pub use store::{Blobs, Dictionary, Primitive, Strings};

use crate::exec::bitmap::Bitmap;
use crate::types::Type;
use crate::value::{Numeric, Value};

/// Stands for "no row" in [`Column::gather`]: the missing side of an outer join.
pub const NO_ROW: u32 = u32::MAX;

/// An immutable column of one type. The variants are the executor's own affair; others build a column
/// with [`Column::from_values`] or a [`ColumnBuilder`] and read it with [`Column::get`] or [`Column::str_at`].
#[derive(Clone, Debug)]
pub enum Column {
    Bool(Primitive<bool>),
    Int64(Primitive<i64>),
    Float64(Primitive<f64>),
    Numeric(Primitive<Numeric>),
    Date(Primitive<i32>),
    Time(Primitive<i64>),
    Datetime(Primitive<i64>),
    Timestamp(Primitive<i64>),
    String(Strings),
    Dictionary(Dictionary),
    Bytes(Blobs),
    /// The same value in every row: literals, and columns that are all NULL.
    Constant(Value, usize),
    /// Any type, one value each.
    Any(Vec<Value>),
}

impl Default for Column {
    /// No rows.
    fn default() -> Column {
        Column::Constant(Value::Null, 0)
    }
}

/// Runs `$body` for whichever primitive variant the column has, rebuilding the same variant around it.
macro_rules! map_primitive {
    ($column:expr, $p:ident => $body:expr, $($other:tt)*) => {
        match $column {
            Column::Bool($p) => Column::Bool($body),
            Column::Int64($p) => Column::Int64($body),
            Column::Float64($p) => Column::Float64($body),
            Column::Numeric($p) => Column::Numeric($body),
            Column::Date($p) => Column::Date($body),
            Column::Time($p) => Column::Time($body),
            Column::Datetime($p) => Column::Datetime($body),
            Column::Timestamp($p) => Column::Timestamp($body),
            $($other)*
        }
    };
}

macro_rules! with_primitive {
    ($column:expr, $p:ident => $body:expr, $($other:tt)*) => {
        match $column {
            Column::Bool($p) => $body,
            Column::Int64($p) => $body,
            Column::Float64($p) => $body,
            Column::Numeric($p) => $body,
            Column::Date($p) => $body,
            Column::Time($p) | Column::Datetime($p) | Column::Timestamp($p) => $body,
            $($other)*
        }
    };
}

impl Column {
    /// Builds a column of type `ty`; each value is NULL or of that type. Strings of which few are
    /// distinct are stored once each.
    pub fn from_values(ty: &Type, values: impl IntoIterator<Item = Value>) -> Column {
        let values = values.into_iter();
        let mut builder = ColumnBuilder::with_capacity(ty, values.size_hint().0);
        for value in values {
            builder.push(value);
        }
        builder.finish_compact()
    }

    /// The same value `len` times, in constant space.
    pub fn constant(value: Value, len: usize) -> Column {
        Column::Constant(value, len)
    }

    /// NULL `len` times.
    pub fn nulls(len: usize) -> Column {
        Column::Constant(Value::Null, len)
    }

    pub fn len(&self) -> usize {
        with_primitive!(self, p => p.values.len(),
            Column::String(s) => s.len(),
            Column::Dictionary(d) => d.codes.len(),
            Column::Bytes(b) => b.len(),
            Column::Constant(_, len) => *len,
            Column::Any(values) => values.len(),
        )
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`; NULL past the end.
    pub fn get(&self, index: usize) -> Value {
        match self {
            Column::Bool(p) => p.get(index).map_or(Value::Null, Value::Bool),
            Column::Int64(p) => p.get(index).map_or(Value::Null, Value::Int64),
            Column::Float64(p) => p.get(index).map_or(Value::Null, Value::Float64),
            Column::Numeric(p) => p.get(index).map_or(Value::Null, Value::Numeric),
            Column::Date(p) => p.get(index).map_or(Value::Null, Value::Date),
            Column::Time(p) => p.get(index).map_or(Value::Null, Value::Time),
            Column::Datetime(p) => p.get(index).map_or(Value::Null, Value::Datetime),
            Column::Timestamp(p) => p.get(index).map_or(Value::Null, Value::Timestamp),
            Column::String(s) => s.get(index).map_or(Value::Null, |text| Value::String(Arc::from(text))),
            Column::Dictionary(d) => d.get(index).map_or(Value::Null, |text| Value::String(text.clone())),
            Column::Bytes(b) => b.get(index).map_or(Value::Null, |bytes| Value::Bytes(Arc::from(bytes))),
            Column::Constant(value, len) if index < *len => value.clone(),
            Column::Constant(..) => Value::Null,
            Column::Any(values) => values.get(index).cloned().unwrap_or_default(),
        }
    }

    /// Whether the value at `index` is NULL (as it is past the end).
    #[inline]
    pub fn is_null(&self, index: usize) -> bool {
        with_primitive!(self, p => !p.is_valid(index) || index >= p.values.len(),
            Column::String(s) => s.get(index).is_none(),
            Column::Dictionary(d) => d.get(index).is_none(),
            Column::Bytes(b) => b.get(index).is_none(),
            Column::Constant(value, len) => value.is_null() || index >= *len,
            Column::Any(values) => values.get(index).is_none_or(Value::is_null),
        )
    }

    /// True where no row can be NULL; false does not mean that one is.
    pub fn has_no_nulls(&self) -> bool {
        with_primitive!(self, p => p.valid.as_ref().is_none_or(Bitmap::all),
            Column::String(s) => s.valid.as_ref().is_none_or(Bitmap::all),
            Column::Bytes(b) => b.valid.as_ref().is_none_or(Bitmap::all),
            Column::Constant(value, _) => !value.is_null(),
            Column::Dictionary(_) | Column::Any(_) => false,
        )
    }

    /// The string at `index` without copying it; `None` for NULL and for columns of other types.
    #[inline]
    pub fn str_at(&self, index: usize) -> Option<&str> {
        match self {
            Column::String(s) => s.get(index),
            Column::Dictionary(d) => d.get(index).map(|text| &**text),
            Column::Constant(Value::String(text), len) if index < *len => Some(text),
            Column::Any(values) => match values.get(index) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The BOOL at `index`; `None` for NULL and for columns of other types.
    #[inline]
    pub fn bool_at(&self, index: usize) -> Option<bool> {
        match self {
            Column::Bool(p) => p.get(index),
            Column::Constant(Value::Bool(value), len) if index < *len => Some(*value),
            Column::Any(values) => match values.get(index) {
                Some(Value::Bool(value)) => Some(*value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value at `index` of a type that is an integer underneath (BOOL, INT64, DATE, TIME, DATETIME, TIMESTAMP).
    #[inline]
    pub fn int_at(&self, index: usize) -> Option<i64> {
        match self {
            Column::Int64(p) | Column::Time(p) | Column::Datetime(p) | Column::Timestamp(p) => p.get(index),
            Column::Date(p) => p.get(index).map(i64::from),
            Column::Bool(p) => p.get(index).map(i64::from),
            Column::Constant(value, len) if index < *len => value_int(value),
            Column::Any(values) => values.get(index).and_then(value_int),
            _ => None,
        }
    }

    /// The FLOAT64 at `index`; `None` for NULL and for columns of other types.
    #[inline]
    pub fn float_at(&self, index: usize) -> Option<f64> {
        match self {
            Column::Float64(p) => p.get(index),
            Column::Constant(Value::Float64(value), len) if index < *len => Some(*value),
            Column::Any(values) => match values.get(index) {
                Some(Value::Float64(value)) => Some(*value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The rows at `rows`, in that order; an index past the end gives NULL.
    pub fn gather(&self, rows: &[u32]) -> Column {
        map_primitive!(self, p => p.gather(rows),
            Column::String(s) => {
                let mut out = store::StringsBuilder::with_capacity(rows.len());
                for row in rows {
                    out.push(s.get(*row as usize));
                }
                out.finish().map_or_else(|| self.gather_any(rows), Column::String)
            }
            Column::Dictionary(d) => Column::Dictionary(Dictionary {
                codes: rows.iter().map(|row| d.codes.get(*row as usize).copied().unwrap_or(NO_ROW)).collect(),
                values: d.values.clone(),
            }),
            Column::Bytes(b) => {
                let mut out = store::BlobsBuilder::default();
                for row in rows {
                    out.push(b.get(*row as usize));
                }
                out.finish().map_or_else(|| self.gather_any(rows), Column::Bytes)
            }
            Column::Constant(value, len) if value.is_null() || rows.iter().all(|row| (*row as usize) < *len) => {
                Column::Constant(value.clone(), rows.len())
            }
            Column::Constant(..) | Column::Any(_) => self.gather_any(rows),
        )
    }

    fn gather_any(&self, rows: &[u32]) -> Column {
        Column::Any(rows.iter().map(|row| self.get(*row as usize)).collect())
    }

    /// The rows whose bit is set.
    pub fn filter(&self, keep: &Bitmap) -> Column {
        self.gather(&keep.ones())
    }

    /// Rows `from..from + len`, cut at the end.
    pub fn slice(&self, from: usize, len: usize) -> Column {
        let to = (from + len).min(self.len());
        let from = from.min(to);
        map_primitive!(self, p => p.slice(from, to),
            Column::Dictionary(d) => Column::Dictionary(Dictionary {
                codes: d.codes.get(from..to).unwrap_or_default().to_vec(),
                values: d.values.clone(),
            }),
            Column::Constant(value, _) => Column::Constant(value.clone(), to - from),
            Column::Any(values) => Column::Any(values.get(from..to).unwrap_or_default().to_vec()),
            Column::String(_) | Column::Bytes(_) => {
                self.gather(&(from as u32..to as u32).collect::<Vec<_>>())
            }
        )
    }

    /// All rows of `columns`, one after the other. They are of one type, or constants.
    pub fn concat(columns: &[&Column]) -> Column {
        if let [only] = columns {
            return (*only).clone();
        }
        let len = columns.iter().map(|column| column.len()).sum();
        if columns.iter().all(|column| matches!(column, Column::Constant(Value::Null, _)) || column.is_empty()) {
            return Column::nulls(len);
        }
        if let Some(Column::Dictionary(first)) = columns.first() {
            let same = |column: &&&Column| match column {
                Column::Dictionary(d) => Arc::ptr_eq(&d.values, &first.values),
                _ => false,
            };
            if columns.iter().filter(same).count() == columns.len() {
                let mut codes = Vec::with_capacity(len);
                for column in columns {
                    if let Column::Dictionary(d) = column {
                        codes.extend_from_slice(&d.codes);
                    }
                }
                return Column::Dictionary(Dictionary { codes, values: first.values.clone() });
            }
        }
        let mut builder = ColumnBuilder::untyped();
        for column in columns {
            builder.extend(column);
        }
        builder.finish()
    }

    /// The type, where the way the column is stored shows it.
    pub fn primitive_type(&self) -> Option<Type> {
        Some(match self {
            Column::Bool(_) => Type::Bool,
            Column::Int64(_) => Type::Int64,
            Column::Float64(_) => Type::Float64,
            Column::Numeric(_) => Type::Numeric,
            Column::Date(_) => Type::Date,
            Column::Time(_) => Type::Time,
            Column::Datetime(_) => Type::Datetime,
            Column::Timestamp(_) => Type::Timestamp,
            Column::String(_) | Column::Dictionary(_) => Type::String,
            Column::Bytes(_) => Type::Bytes,
            Column::Constant(value, _) => return build::scalar_type(value),
            Column::Any(_) => return None,
        })
    }

    /// Bytes that the column occupies, roughly.
    pub fn memory(&self) -> usize {
        let heap = with_primitive!(self, p => p.memory(),
            Column::String(s) => {
                s.offsets.capacity() * 4 + s.data.capacity() + s.valid.as_ref().map_or(0, Bitmap::memory)
            }
            Column::Bytes(b) => {
                b.offsets.capacity() * 4 + b.data.capacity() + b.valid.as_ref().map_or(0, Bitmap::memory)
            }
            // Many columns may share the values: each bears its part.
            Column::Dictionary(d) => {
                d.codes.capacity() * 4 + d.values.len() * 48 / Arc::strong_count(&d.values).max(1)
            }
            Column::Constant(value, _) => value_memory(value),
            Column::Any(values) => values.iter().map(value_memory).sum(),
        );
        heap + size_of::<Column>()
    }

    /// The same column in less space where that is cheap to find out: strings of which few are distinct.
    pub fn compact(self) -> Column {
        let Column::String(strings) = &self else { return self };
        let len = strings.len();
        if len < 64 {
            return self;
        }
        let limit = (len / 8).min(65_536);
        let mut seen: HashMap<&str, u32> = HashMap::new();
        let mut values: Vec<Arc<str>> = Vec::new();
        let mut codes = Vec::with_capacity(len);
        for index in 0..len {
            codes.push(match strings.get(index) {
                None => NO_ROW,
                Some(text) => match seen.get(text) {
                    Some(code) => *code,
                    None if values.len() >= limit => return self,
                    None => {
                        let code = values.len() as u32;
                        values.push(Arc::from(text));
                        seen.insert(text, code);
                        code
                    }
                },
            });
        }
        Column::Dictionary(Dictionary { codes, values: Arc::new(values) })
    }
}

fn value_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int64(v) | Value::Time(v) | Value::Datetime(v) | Value::Timestamp(v) => Some(*v),
        Value::Date(v) => Some(i64::from(*v)),
        Value::Bool(v) => Some(i64::from(*v)),
        _ => None,
    }
}

/// Bytes of one value, with what it points to.
pub fn value_memory(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len() + 16,
            Value::Bytes(bytes) => bytes.len() + 16,
            Value::BigNumeric(_) => 48,
            Value::Interval(_) => 40,
            Value::Json(_) => 128,
            Value::Geography(shape) => shape.vertices().count() * 16 + 40,
            Value::Range(_) => 64,
            Value::Array(items) | Value::Struct(items) => 40 + items.iter().map(value_memory).sum::<usize>(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values compared as they print: `Value` has no equality of Rust's.
    fn shown(column: &Column) -> Vec<String> {
        (0..column.len()).map(|index| format!("{:?}", column.get(index))).collect()
    }

    fn samples() -> Vec<(Type, Vec<Value>)> {
        vec![
            (Type::Bool, vec![Value::Bool(true), Value::Null, Value::Bool(false)]),
            (Type::Int64, vec![Value::Int64(3), Value::Int64(-1), Value::Null]),
            (Type::Float64, vec![Value::Null, Value::Float64(0.5)]),
            (Type::Numeric, vec![Value::Numeric(Numeric(1_500_000_000)), Value::Null]),
            (Type::Date, vec![Value::Date(-4), Value::Null]),
            (Type::Timestamp, vec![Value::Timestamp(7), Value::Timestamp(8)]),
            (Type::String, vec![Value::string("é"), Value::Null, Value::string(""), Value::string("abc")]),
            (Type::Bytes, vec![Value::bytes([1, 2]), Value::Null]),
            (Type::array(Type::Int64), vec![Value::array(vec![Value::Int64(1)]), Value::Null]),
        ]
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        for (ty, values) in samples() {
            let column = Column::from_values(&ty, values.clone());
            assert_eq!(shown(&column), shown(&Column::Any(values.clone())), "{ty}");
            for (index, value) in values.iter().enumerate() {
                assert_eq!(column.is_null(index), value.is_null(), "{ty}");
            }
            assert!(column.is_null(values.len()));
        }
    }

    #[test]
    fn gather_slice_and_concat_agree_with_values() {
        for (ty, values) in samples() {
            let column = Column::from_values(&ty, values.clone());
            let any = Column::Any(values);
            let rows = [1, 0, NO_ROW, 1];
            assert_eq!(shown(&column.gather(&rows)), shown(&any.gather(&rows)), "{ty}");
            assert_eq!(shown(&column.slice(1, 9)), shown(&any.slice(1, 9)), "{ty}");
            let parts = [&column, &Column::nulls(2), &column.slice(0, 1)];
            let expected = Column::concat(&[&any, &Column::nulls(2), &any.slice(0, 1)]);
            assert_eq!(shown(&Column::concat(&parts)), shown(&expected), "{ty}");
            let parts = [&Column::nulls(2), &column];
            assert_eq!(shown(&Column::concat(&parts)), shown(&Column::concat(&[&Column::nulls(2), &any])), "{ty}");
        }
    }

    #[test]
    fn repeated_strings_are_stored_once() {
        let values: Vec<Value> = (0..1000)
            .map(|n| if n % 7 == 0 { Value::Null } else { Value::string(format!("system-{}", n % 5)) })
            .collect();
        let column = Column::from_values(&Type::String, values.clone());
        assert!(matches!(&column, Column::Dictionary(d) if d.values.len() == 5));
        assert_eq!(shown(&column), shown(&Column::Any(values.clone())));
        assert!(column.memory() < 6_000, "{}", column.memory());
        let twice = Column::concat(&[&column, &column]);
        assert!(matches!(twice, Column::Dictionary(_)));
        assert_eq!(twice.str_at(1001), Some("system-1"));
        let distinct = Column::from_values(&Type::String, (0..1000).map(|n| Value::string(n.to_string())));
        assert!(matches!(distinct, Column::String(_)));
    }

    #[test]
    fn a_value_of_another_type_is_kept() {
        let mut builder = ColumnBuilder::new(&Type::Int64);
        builder.push(Value::Int64(1));
        builder.push(Value::string("x"));
        builder.push_null();
        assert_eq!(shown(&builder.finish()), ["Int64(1)", "String(\"x\")", "Null"]);
    }

    #[test]
    fn batches_concatenate_and_filter() {
        let types = [Type::Int64, Type::String];
        let batch = Batch::from_rows(&types, (0..3).map(|n| vec![Value::Int64(n), Value::string(n.to_string())]));
        let all = Batch::concat(&[batch.clone(), batch.slice(2, 1)]);
        assert_eq!(all.len, 4);
        let kept = all.filter(&[false, true, false, true].into_iter().collect());
        assert_eq!(
            format!("{:?}", kept.rows().collect::<Vec<_>>()),
            r#"[[Int64(1), String("1")], [Int64(2), String("2")]]"#
        );
    }
}
