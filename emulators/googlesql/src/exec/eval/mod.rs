//! Expressions over a frame of rows: each gives a column as long as the frame.
//!
//! A branch that a row does not take is evaluated without that row, so errors come only from rows for
//! which SQL evaluates the expression. With no rows nothing is evaluated at all.

mod call;
mod javascript;
mod kernels;
mod logic;
mod nested;

use std::sync::Arc;

use crate::error::Result;
use crate::exec::column::{Column, NO_ROW};
use crate::exec::context::Run;
use crate::exec::frame::Frame;
use crate::plan::{Expr, ExprKind};
use crate::value::Value;

impl<'p> Run<'p> {
    /// `expr` for each row of `frame`.
    pub(super) fn eval(&self, expr: &'p Expr, frame: &Frame<'_>) -> Result<Arc<Column>> {
        if frame.len == 0 {
            return Ok(Arc::new(Column::nulls(0)));
        }
        match &expr.kind {
            ExprKind::Literal(value) => Ok(Arc::new(Column::constant(value.clone(), frame.len))),
            ExprKind::Column(id) => frame.column(*id),
            ExprKind::Call { function, args, safe } => self.call(function, args, *safe, expr, frame),
            ExprKind::Cast { expr: inner, params, safe, format, time_zone } => {
                self.cast(inner, &expr.ty, params, *safe, format.as_deref(), time_zone.as_deref(), frame)
            }
            ExprKind::And(items) => self.and_or(items, false, frame),
            ExprKind::Or(items) => self.and_or(items, true, frame),
            ExprKind::Case { branches, otherwise } => self.case(branches, otherwise.as_deref(), frame),
            ExprKind::Coalesce(items) => self.coalesce(items, frame),
            ExprKind::IfError { attempt, fallback } => self.if_error(attempt, fallback, frame),
            ExprKind::IsError(inner) => self.is_error(inner, frame),
            ExprKind::Let { bindings, body } => self.bind(bindings, body, frame),
            ExprKind::MakeStruct(fields) => self.make_struct(fields, frame),
            ExprKind::MakeArray(items) => self.make_array(items, frame),
            ExprKind::StructField { expr: inner, index } => self.struct_field(inner, *index, expr, frame),
            ExprKind::ArrayElement { array, index, from, safe } => {
                self.array_element(array, index, *from, *safe, expr, frame)
            }
            ExprKind::Higher { function, args, parameters, body } => {
                self.higher(*function, args, parameters, body, frame)
            }
            ExprKind::Subquery { kind, rel, column, correlated } => {
                self.subquery(kind, rel, *column, correlated, expr, frame)
            }
            ExprKind::JavaScript { routine, args } => self.javascript(routine, args, expr, frame),
        }
    }

    pub(super) fn eval_all(&self, exprs: &'p [Expr], frame: &Frame<'_>) -> Result<Vec<Arc<Column>>> {
        exprs.iter().map(|expr| self.eval(expr, frame)).collect()
    }

    /// One value: `expr` over a single row without columns.
    pub(super) fn eval_once(&self, expr: &'p Expr, env: &super::frame::Env<'_>) -> Result<Value> {
        Ok(self.eval(expr, &Frame::bare(1, env))?.get(0))
    }

    /// The rows for which `expr` is TRUE, ascending.
    pub(super) fn rows_where(&self, expr: &'p Expr, frame: &Frame<'_>) -> Result<Vec<u32>> {
        Ok(true_rows(&*self.eval(expr, frame)?, frame.len))
    }
}

/// The rows of a BOOL column that are TRUE.
pub(super) fn true_rows(column: &Column, len: usize) -> Vec<u32> {
    match column {
        Column::Constant(Value::Bool(true), _) => (0..len as u32).collect(),
        Column::Constant(..) => Vec::new(),
        Column::Bool(p) => match &p.valid {
            None => p.values.iter().take(len).enumerate().filter(|(_, v)| **v).map(|(i, _)| i as u32).collect(),
            Some(valid) => {
                let rows = p.values.iter().take(len).enumerate();
                rows.filter(|(i, v)| **v && valid.get(*i)).map(|(i, _)| i as u32).collect()
            }
        },
        _ => (0..len).filter(|row| column.bool_at(*row) == Some(true)).map(|row| row as u32).collect(),
    }
}

/// Puts columns of disjoint rows together into one of `len` rows; rows in none are NULL.
pub(super) fn scatter(len: usize, mut pieces: Vec<(Vec<u32>, Arc<Column>)>) -> Arc<Column> {
    match pieces.as_slice() {
        [] => return Arc::new(Column::nulls(len)),
        // Rows are distinct and ascending within a piece, so a full one is in order.
        [(rows, _)] if rows.len() == len => {
            if let Some((_, column)) = pieces.pop() {
                return column;
            }
        }
        _ => {}
    }
    let mut from = vec![NO_ROW; len];
    let mut next = 0;
    for (rows, _) in &pieces {
        for row in rows {
            if let Some(slot) = from.get_mut(*row as usize) {
                *slot = next;
            }
            next += 1;
        }
    }
    let parts: Vec<&Column> = pieces.iter().map(|(_, column)| &**column).collect();
    Arc::new(Column::concat(&parts).gather(&from))
}
