//! UNNEST: elements of arrays as rows.

use std::sync::Arc;

use super::CHUNK;
use crate::error::{Result, SqlError};
use crate::exec::column::{Batch, Column, ColumnBuilder, Primitive};
use crate::exec::context::{Flow, Run, Sink};
use crate::exec::frame::{Env, Frame};
use crate::plan::{ColumnId, Expr};
use crate::types::Type;
use crate::value::Value;

impl<'p> Run<'p> {
    pub(super) fn unnest(
        &self,
        arrays: &'p [(ColumnId, Expr)],
        offset: bool,
        strict: bool,
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let frame = Frame::bare(1, env);
        let (batch, ..) = self.expand(arrays, offset, strict, &frame, 0)?;
        self.step(batch.len)?;
        let mut from = 0;
        while from < batch.len {
            if sink(batch.slice(from, CHUNK))? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            from += CHUNK;
        }
        Ok(Flow::More)
    }

    /// The elements of the arrays of the frame's rows from `from` on: a batch of them (and of their offsets),
    /// the row each belongs to, and the row before which it stopped, which is some chunk further.
    pub(super) fn expand(
        &self,
        arrays: &'p [(ColumnId, Expr)],
        offset: bool,
        strict: bool,
        frame: &Frame<'_>,
        from: usize,
    ) -> Result<(Batch, Vec<u32>, usize)> {
        let columns: Vec<Arc<Column>> = arrays.iter().map(|(_, expr)| self.eval(expr, frame)).collect::<Result<_>>()?;
        let mut builders: Vec<ColumnBuilder> =
            arrays.iter().map(|(_, expr)| ColumnBuilder::new(expr.ty.element().unwrap_or(&Type::Int64))).collect();
        let mut origin = Vec::new();
        let mut offsets: Vec<i64> = Vec::new();
        let mut row = from;
        while row < frame.len && origin.len() < CHUNK {
            let items: Vec<Option<Arc<Vec<Value>>>> = columns
                .iter()
                .map(|column| match column.get(row) {
                    Value::Array(items) => Some(items),
                    _ => None,
                })
                .collect();
            let count = |items: &Option<Arc<Vec<Value>>>| items.as_ref().map_or(0, |items| items.len());
            let longest = items.iter().map(count).max().unwrap_or(0);
            if strict && items.iter().any(|items| count(items) != longest) {
                return Err(SqlError::evaluation("Unnested arrays under STRICT mode must have equal lengths"));
            }
            for (builder, items) in builders.iter_mut().zip(&items) {
                let items = items.as_ref().map_or(&[][..], |items| items.as_slice());
                items.iter().for_each(|item| builder.push(item.clone()));
                (items.len()..longest).for_each(|_| builder.push_null());
            }
            origin.extend(std::iter::repeat_n(row as u32, longest));
            if offset {
                offsets.extend(0..longest as i64);
            }
            row += 1;
        }
        let mut out: Vec<Arc<Column>> = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        if offset {
            out.push(Arc::new(Column::Int64(Primitive::new(offsets))));
        }
        Ok((Batch::new(out, origin.len()), origin, row))
    }
}
