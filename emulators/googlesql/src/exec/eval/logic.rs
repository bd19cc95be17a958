//! Expressions that choose: AND, OR, CASE, COALESCE, IFERROR, and names bound once.

use std::sync::Arc;

use super::scatter;
use crate::error::{ErrorKind, Result};
use crate::exec::column::{Column, ColumnBuilder, Primitive};
use crate::exec::context::Run;
use crate::exec::frame::Frame;
use crate::plan::{ColumnId, Expr};
use crate::types::Type;
use crate::value::Value;

impl<'p> Run<'p> {
    /// AND (`deciding` false) and OR (`deciding` true): an operand is evaluated for the rows that none before it decided.
    pub(super) fn and_or(&self, items: &'p [Expr], deciding: bool, frame: &Frame<'_>) -> Result<Arc<Column>> {
        let len = frame.len;
        let mut result: Primitive<bool> = Primitive::new(vec![!deciding; len]);
        let mut unknown: Vec<u32> = Vec::new();
        // `None`: all rows.
        let mut open: Option<Vec<u32>> = None;
        for item in items {
            let column = match &open {
                None => self.eval(item, frame)?,
                Some(rows) if rows.is_empty() => break,
                Some(rows) => self.eval(item, &frame.select(rows))?,
            };
            let count = open.as_ref().map_or(len, Vec::len);
            let mut still = Vec::with_capacity(count);
            for index in 0..count {
                let row = open.as_ref().map_or(index as u32, |rows| rows.get(index).copied().unwrap_or_default());
                match column.bool_at(index) {
                    Some(value) if value == deciding => {
                        if let Some(slot) = result.values.get_mut(row as usize) {
                            *slot = deciding;
                        }
                    }
                    Some(_) => still.push(row),
                    None => {
                        unknown.push(row);
                        still.push(row);
                    }
                }
            }
            open = if still.len() == len { None } else { Some(still) };
        }
        if !unknown.is_empty() {
            let mut valid = crate::exec::bitmap::Bitmap::filled(true, len);
            for row in unknown {
                if result.values.get(row as usize) == Some(&!deciding) {
                    valid.set(row as usize, false);
                }
            }
            result.valid = Some(valid);
        }
        Ok(Arc::new(Column::Bool(result)))
    }

    pub(super) fn case(
        &self,
        branches: &'p [(Expr, Expr)],
        otherwise: Option<&'p Expr>,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let mut open: Vec<u32> = (0..frame.len as u32).collect();
        let mut pieces = Vec::new();
        for (condition, result) in branches {
            if open.is_empty() {
                break;
            }
            let truth = self.eval_some(condition, &open, frame)?;
            let (mut taken, mut rest) = (Vec::new(), Vec::new());
            for (index, row) in open.iter().enumerate() {
                if truth.bool_at(index) == Some(true) { taken.push(*row) } else { rest.push(*row) }
            }
            open = rest;
            if !taken.is_empty() {
                let column = self.eval_some(result, &taken, frame)?;
                pieces.push((taken, column));
            }
        }
        if let (Some(otherwise), false) = (otherwise, open.is_empty()) {
            let column = self.eval_some(otherwise, &open, frame)?;
            pieces.push((open, column));
        }
        Ok(scatter(frame.len, pieces))
    }

    pub(super) fn coalesce(&self, items: &'p [Expr], frame: &Frame<'_>) -> Result<Arc<Column>> {
        let mut open: Vec<u32> = (0..frame.len as u32).collect();
        let mut pieces = Vec::new();
        for item in items {
            if open.is_empty() {
                break;
            }
            let column = self.eval_some(item, &open, frame)?;
            if column.has_no_nulls() {
                pieces.push((std::mem::take(&mut open), column));
                break;
            }
            let (mut rows, mut picks, mut rest) = (Vec::new(), Vec::new(), Vec::new());
            for (index, row) in open.iter().enumerate() {
                if column.is_null(index) {
                    rest.push(*row);
                } else {
                    rows.push(*row);
                    picks.push(index as u32);
                }
            }
            open = rest;
            if !rows.is_empty() {
                let column = if picks.len() == column.len() { column } else { Arc::new(column.gather(&picks)) };
                pieces.push((rows, column));
            }
        }
        Ok(scatter(frame.len, pieces))
    }

    /// `expr` for some rows of the frame, ascending.
    pub(super) fn eval_some(&self, expr: &'p Expr, rows: &[u32], frame: &Frame<'_>) -> Result<Arc<Column>> {
        if rows.len() == frame.len { self.eval(expr, frame) } else { self.eval(expr, &frame.select(rows)) }
    }

    /// For each row the value, or `None` where evaluating it fails. Errors that no function could have
    /// raised (memory, cancellation, bugs) still end the statement.
    fn eval_fallible(&self, expr: &'p Expr, frame: &Frame<'_>) -> Result<Vec<Option<Value>>> {
        match self.eval(expr, frame) {
            Ok(column) => Ok((0..frame.len).map(|row| Some(column.get(row))).collect()),
            Err(error) if error.kind == ErrorKind::Evaluation => (0..frame.len as u32)
                .map(|row| match self.eval(expr, &frame.select(&[row])) {
                    Ok(column) => Ok(Some(column.get(0))),
                    Err(error) if error.kind == ErrorKind::Evaluation => Ok(None),
                    Err(error) => Err(error),
                })
                .collect(),
            Err(error) => Err(error),
        }
    }

    pub(super) fn if_error(&self, attempt: &'p Expr, fallback: &'p Expr, frame: &Frame<'_>) -> Result<Arc<Column>> {
        let values = self.eval_fallible(attempt, frame)?;
        let failed: Vec<u32> =
            values.iter().enumerate().filter(|(_, value)| value.is_none()).map(|(row, _)| row as u32).collect();
        let replaced = self.eval(fallback, &frame.select(&failed))?;
        let mut next = 0;
        let mut builder = ColumnBuilder::with_capacity(&attempt.ty, frame.len);
        for value in values {
            builder.push(value.unwrap_or_else(|| {
                next += 1;
                replaced.get(next - 1)
            }));
        }
        Ok(Arc::new(builder.finish()))
    }

    pub(super) fn is_error(&self, expr: &'p Expr, frame: &Frame<'_>) -> Result<Arc<Column>> {
        let values = self.eval_fallible(expr, frame)?;
        Ok(Arc::new(Column::from_values(&Type::Bool, values.iter().map(|value| Value::Bool(value.is_none())))))
    }

    pub(super) fn bind(
        &self,
        bindings: &'p [(ColumnId, Expr)],
        body: &'p Expr,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let mut columns = Vec::with_capacity(bindings.len());
        for (id, expr) in bindings {
            let column = self.eval(expr, &frame.bind(&columns))?;
            columns.push((*id, column));
        }
        self.eval(body, &frame.bind(&columns))
    }
}
