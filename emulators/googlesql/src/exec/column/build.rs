//! Building columns value by value.

use super::store::{BlobsBuilder, StringsBuilder};
use super::{Column, Primitive};
use crate::types::Type;
use crate::value::{Numeric, Value};

/// Collects the values of one column.
#[derive(Debug)]
pub struct ColumnBuilder {
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// No type known yet: so many NULLs.
    Untyped(usize),
    Bool(Primitive<bool>),
    Int64(Primitive<i64>),
    Float64(Primitive<f64>),
    Numeric(Primitive<Numeric>),
    Date(Primitive<i32>),
    Time(Primitive<i64>),
    Datetime(Primitive<i64>),
    Timestamp(Primitive<i64>),
    String(StringsBuilder),
    Bytes(BlobsBuilder),
    Any(Vec<Value>),
}

impl ColumnBuilder {
    pub fn new(ty: &Type) -> ColumnBuilder {
        ColumnBuilder::with_capacity(ty, 0)
    }

    /// Takes its type from the first value that has one.
    pub(super) fn untyped() -> ColumnBuilder {
        ColumnBuilder { data: Data::Untyped(0) }
    }

    pub fn with_capacity(ty: &Type, rows: usize) -> ColumnBuilder {
        fn primitive<T>(rows: usize) -> Primitive<T> {
            Primitive { values: Vec::with_capacity(rows), valid: None }
        }
        let data = match ty {
            Type::Bool => Data::Bool(primitive(rows)),
            Type::Int64 => Data::Int64(primitive(rows)),
            Type::Float64 => Data::Float64(primitive(rows)),
            Type::Numeric => Data::Numeric(primitive(rows)),
            Type::Date => Data::Date(primitive(rows)),
            Type::Time => Data::Time(primitive(rows)),
            Type::Datetime => Data::Datetime(primitive(rows)),
            Type::Timestamp => Data::Timestamp(primitive(rows)),
            Type::String => Data::String(StringsBuilder::with_capacity(rows)),
            Type::Bytes => Data::Bytes(BlobsBuilder::default()),
            _ => Data::Any(Vec::with_capacity(rows)),
        };
        ColumnBuilder { data }
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Untyped(len) => *len,
            Data::Bool(p) => p.values.len(),
            Data::Int64(p) | Data::Time(p) | Data::Datetime(p) | Data::Timestamp(p) => p.values.len(),
            Data::Float64(p) => p.values.len(),
            Data::Numeric(p) => p.values.len(),
            Data::Date(p) => p.values.len(),
            Data::String(s) => s.offsets.len(),
            Data::Bytes(b) => b.offsets.len(),
            Data::Any(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A value of another type than the column's is kept as it is; the column then takes more space.
    #[inline]
    pub fn push(&mut self, value: Value) {
        match (&mut self.data, value) {
            (Data::Bool(p), Value::Bool(v)) => p.push(Some(v)),
            (Data::Int64(p), Value::Int64(v)) => p.push(Some(v)),
            (Data::Float64(p), Value::Float64(v)) => p.push(Some(v)),
            (Data::Numeric(p), Value::Numeric(v)) => p.push(Some(v)),
            (Data::Date(p), Value::Date(v)) => p.push(Some(v)),
            (Data::Time(p), Value::Time(v)) => p.push(Some(v)),
            (Data::Datetime(p), Value::Datetime(v)) => p.push(Some(v)),
            (Data::Timestamp(p), Value::Timestamp(v)) => p.push(Some(v)),
            (Data::String(s), Value::String(v)) if s.fits(v.len()) => s.push(Some(&v)),
            (Data::Bytes(b), Value::Bytes(v)) if b.fits(v.len()) => b.push(Some(&v)),
            (Data::Any(values), value) => values.push(value),
            (_, Value::Null) => self.push_null(),
            (_, value) => self.push_other(value),
        }
    }

    pub fn push_null(&mut self) {
        match &mut self.data {
            Data::Untyped(len) => *len += 1,
            Data::Bool(p) => p.push(None),
            Data::Int64(p) | Data::Time(p) | Data::Datetime(p) | Data::Timestamp(p) => p.push(None),
            Data::Float64(p) => p.push(None),
            Data::Numeric(p) => p.push(None),
            Data::Date(p) => p.push(None),
            Data::String(s) => s.push(None),
            Data::Bytes(b) => b.push(None),
            Data::Any(values) => values.push(Value::Null),
        }
    }

    /// A string without making a value of it first.
    pub fn push_str(&mut self, text: &str) {
        match &mut self.data {
            Data::String(s) if s.fits(text.len()) => s.push(Some(text)),
            _ => self.push(Value::string(text)),
        }
    }

    fn push_other(&mut self, value: Value) {
        if let Data::Untyped(nulls) = self.data
            && let Some(ty) = scalar_type(&value)
        {
            *self = ColumnBuilder::new(&ty);
            (0..nulls).for_each(|_| self.push_null());
            self.push(value);
            return;
        }
        self.push_other_any(value);
    }

    /// Goes over to one value a row.
    fn push_other_any(&mut self, value: Value) {
        if !matches!(self.data, Data::Any(_)) {
            let column = std::mem::replace(&mut self.data, Data::Untyped(0)).into_column();
            self.data = Data::Any((0..column.len()).map(|index| column.get(index)).collect());
        }
        if let Data::Any(values) = &mut self.data {
            values.push(value);
        }
    }

    /// Row `index` of `column`.
    pub fn push_from(&mut self, column: &Column, index: usize) {
        match (&mut self.data, column) {
            (Data::Bool(to), Column::Bool(from)) => to.push(from.get(index)),
            (Data::Int64(to), Column::Int64(from)) => to.push(from.get(index)),
            (Data::Float64(to), Column::Float64(from)) => to.push(from.get(index)),
            (Data::Numeric(to), Column::Numeric(from)) => to.push(from.get(index)),
            (Data::Date(to), Column::Date(from)) => to.push(from.get(index)),
            (Data::Time(to), Column::Time(from))
            | (Data::Datetime(to), Column::Datetime(from))
            | (Data::Timestamp(to), Column::Timestamp(from)) => to.push(from.get(index)),
            (Data::String(to), Column::String(from)) if to.fits(from.data.len()) => to.push(from.get(index)),
            (Data::String(to), Column::Dictionary(from)) => match from.get(index) {
                Some(text) if !to.fits(text.len()) => self.push(Value::String(text.clone())),
                text => to.push(text.map(|text| &**text)),
            },
            (Data::Bytes(to), Column::Bytes(from)) if to.fits(from.data.len()) => to.push(from.get(index)),
            _ => self.push(column.get(index)),
        }
    }

    /// All rows of `column`.
    pub fn extend(&mut self, column: &Column) {
        if let Data::Untyped(nulls) = self.data
            && nulls == 0
        {
            match column {
                Column::String(_) | Column::Dictionary(_) => self.data = Data::String(StringsBuilder::default()),
                Column::Bytes(_) => self.data = Data::Bytes(BlobsBuilder::default()),
                Column::Any(_) | Column::Constant(..) => {}
                _ => {
                    if let Some(data) = Data::from_primitive(column) {
                        self.data = data;
                        return;
                    }
                }
            }
        }
        match (&mut self.data, column) {
            (Data::Bool(to), Column::Bool(from)) => to.extend(from),
            (Data::Int64(to), Column::Int64(from)) => to.extend(from),
            (Data::Float64(to), Column::Float64(from)) => to.extend(from),
            (Data::Numeric(to), Column::Numeric(from)) => to.extend(from),
            (Data::Date(to), Column::Date(from)) => to.extend(from),
            (Data::Time(to), Column::Time(from))
            | (Data::Datetime(to), Column::Datetime(from))
            | (Data::Timestamp(to), Column::Timestamp(from)) => to.extend(from),
            (Data::Any(to), Column::Any(from)) => to.extend_from_slice(from),
            (Data::Untyped(nulls), Column::Constant(Value::Null, len)) => *nulls += len,
            (Data::Untyped(0), Column::Any(from)) => self.data = Data::Any(from.clone()),
            _ => (0..column.len()).for_each(|index| self.push_from(column, index)),
        }
    }

    pub fn finish(self) -> Column {
        self.data.into_column()
    }

    /// As [`ColumnBuilder::finish`] and [`Column::compact`].
    pub fn finish_compact(self) -> Column {
        self.finish().compact()
    }
}

impl Data {
    fn from_primitive(column: &Column) -> Option<Data> {
        Some(match column {
            Column::Bool(p) => Data::Bool(p.clone()),
            Column::Int64(p) => Data::Int64(p.clone()),
            Column::Float64(p) => Data::Float64(p.clone()),
            Column::Numeric(p) => Data::Numeric(p.clone()),
            Column::Date(p) => Data::Date(p.clone()),
            Column::Time(p) => Data::Time(p.clone()),
            Column::Datetime(p) => Data::Datetime(p.clone()),
            Column::Timestamp(p) => Data::Timestamp(p.clone()),
            _ => return None,
        })
    }

    fn into_column(self) -> Column {
        match self {
            Data::Untyped(len) => Column::nulls(len),
            Data::Bool(p) => Column::Bool(p),
            Data::Int64(p) => Column::Int64(p),
            Data::Float64(p) => Column::Float64(p),
            Data::Numeric(p) => Column::Numeric(p),
            Data::Date(p) => Column::Date(p),
            Data::Time(p) => Column::Time(p),
            Data::Datetime(p) => Column::Datetime(p),
            Data::Timestamp(p) => Column::Timestamp(p),
            // `fits` was asked before each push, so the offsets reach.
            Data::String(s) => s.finish().map_or(Column::Any(Vec::new()), Column::String),
            Data::Bytes(b) => b.finish().map_or(Column::Any(Vec::new()), Column::Bytes),
            Data::Any(values) => Column::Any(values),
        }
    }
}

/// The type of a scalar value that has a typed column; `None` for the others.
pub(super) fn scalar_type(value: &Value) -> Option<Type> {
    Some(match value {
        Value::Bool(_) => Type::Bool,
        Value::Int64(_) => Type::Int64,
        Value::Float64(_) => Type::Float64,
        Value::Numeric(_) => Type::Numeric,
        Value::Date(_) => Type::Date,
        Value::Time(_) => Type::Time,
        Value::Datetime(_) => Type::Datetime,
        Value::Timestamp(_) => Type::Timestamp,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        _ => return None,
    })
}
