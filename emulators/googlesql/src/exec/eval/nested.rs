//! Structs and arrays: made, taken apart, mapped.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::exec::column::{Column, ColumnBuilder};
use crate::exec::context::Run;
use crate::exec::frame::Frame;
use crate::plan::{ColumnId, Expr, HigherFunction, IndexBase};
use crate::value::Value;

impl<'p> Run<'p> {
    pub(super) fn make_struct(&self, fields: &'p [Expr], frame: &Frame<'_>) -> Result<Arc<Column>> {
        let columns = self.eval_all(fields, frame)?;
        let row = |row| Value::structure(columns.iter().map(|column| column.get(row)).collect());
        Ok(Arc::new(if columns.iter().all(|column| matches!(&**column, Column::Constant(..))) {
            Column::constant(row(0), frame.len)
        } else {
            Column::Any((0..frame.len).map(row).collect())
        }))
    }

    pub(super) fn make_array(&self, items: &'p [Expr], frame: &Frame<'_>) -> Result<Arc<Column>> {
        let columns = self.eval_all(items, frame)?;
        let row = |row| Value::array(columns.iter().map(|column| column.get(row)).collect());
        Ok(Arc::new(if columns.iter().all(|column| matches!(&**column, Column::Constant(..))) {
            Column::constant(row(0), frame.len)
        } else {
            Column::Any((0..frame.len).map(row).collect())
        }))
    }

    pub(super) fn struct_field(
        &self,
        inner: &'p Expr,
        index: usize,
        expr: &'p Expr,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let column = self.eval(inner, frame)?;
        let field = |value: &Value| match value {
            Value::Struct(fields) => fields.get(index).cloned().unwrap_or_default(),
            _ => Value::Null,
        };
        if let Column::Constant(value, len) = &*column {
            return Ok(Arc::new(Column::constant(field(value), *len)));
        }
        let mut builder = ColumnBuilder::with_capacity(&expr.ty, frame.len);
        match &*column {
            Column::Any(values) => values.iter().for_each(|value| builder.push(field(value))),
            other => (0..frame.len).for_each(|row| builder.push(field(&other.get(row)))),
        }
        Ok(Arc::new(builder.finish()))
    }

    pub(super) fn array_element(
        &self,
        array: &'p Expr,
        index: &'p Expr,
        from: IndexBase,
        safe: bool,
        expr: &'p Expr,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let arrays = self.eval(array, frame)?;
        let indexes = self.eval(index, frame)?;
        let mut builder = ColumnBuilder::with_capacity(&expr.ty, frame.len);
        for row in 0..frame.len {
            let (Value::Array(items), Some(index)) = (arrays.get(row), indexes.int_at(row)) else {
                builder.push_null();
                continue;
            };
            let base = i64::from(from == IndexBase::Ordinal);
            match index.checked_sub(base).and_then(|at| usize::try_from(at).ok()) {
                Some(at) if at < items.len() => builder.push(items.get(at).cloned().unwrap_or_default()),
                _ if safe => builder.push_null(),
                Some(_) => {
                    return Err(SqlError::evaluation(format!("Array index {index} is out of bounds (overflow)")));
                }
                None => {
                    return Err(SqlError::evaluation(format!("Array index {index} is out of bounds (underflow)")));
                }
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    /// The body over all elements of all rows at once, then cut back into arrays.
    pub(super) fn higher(
        &self,
        function: HigherFunction,
        args: &'p [Expr],
        parameters: &[ColumnId],
        body: &'p Expr,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let [array, ..] = args else {
            return Err(SqlError::internal("a function over an array without its array"));
        };
        let arrays = self.eval(array, frame)?;
        let rows: Vec<Option<Arc<Vec<Value>>>> = (0..frame.len)
            .map(|row| match arrays.get(row) {
                Value::Array(items) => Some(items),
                _ => None,
            })
            .collect();
        let (mut origin, mut offsets, mut elements) = (Vec::new(), Vec::new(), Vec::new());
        for (row, items) in rows.iter().enumerate() {
            for (offset, item) in items.iter().flat_map(|items| items.iter()).enumerate() {
                origin.push(row as u32);
                offsets.push(Value::Int64(offset as i64));
                elements.push(item.clone());
            }
        }
        let outer = frame.select(&origin);
        let mut values = [Some(elements), Some(offsets)].into_iter();
        let bound: Vec<(ColumnId, Arc<Column>)> =
            parameters.iter().filter_map(|id| Some((*id, Arc::new(Column::Any(values.next().flatten()?))))).collect();
        let mapped = self.eval(body, &outer.bind(&bound))?;
        let mut next = 0;
        let out = rows.into_iter().map(|items| {
            let Some(items) = items else { return Value::Null };
            let first = next;
            next += items.len();
            Value::array(match function {
                HigherFunction::Transform => (first..next).map(|at| mapped.get(at)).collect(),
                HigherFunction::Filter => items
                    .iter()
                    .zip(first..next)
                    .filter(|(_, at)| mapped.bool_at(*at) == Some(true))
                    .map(|(item, _)| item.clone())
                    .collect(),
            })
        });
        Ok(Arc::new(Column::Any(out.collect())))
    }
}
