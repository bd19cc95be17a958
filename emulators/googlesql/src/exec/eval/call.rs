//! Scalar functions and casts: the row loop, and the ways around it.

use std::sync::Arc;

use super::kernels;
use crate::cast;
use crate::error::{ErrorKind, Result};
use crate::exec::column::{Column, ColumnBuilder, value_memory};
use crate::exec::context::{OTHER, Run, out_of_memory};
use crate::exec::frame::Frame;
use crate::functions::{Call, Nulls, ScalarFunction};
use crate::plan::Expr;
use crate::types::{Type, TypeParams};
use crate::value::Value;

impl<'p> Run<'p> {
    pub(super) fn call(
        &self,
        function: &'static ScalarFunction,
        args: &'p [Expr],
        safe: bool,
        expr: &'p Expr,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let columns = self.eval_all(args, frame)?;
        if let Some(column) = kernels::call(function.name, &columns, frame.len) {
            return Ok(Arc::new(column));
        }
        let arg_types: Vec<Type> = args.iter().map(|arg| arg.ty.clone()).collect();
        let call = Call { ctx: &self.ctx.eval, arg_types: &arg_types, result_type: &expr.ty };
        let one = |values: &[Value]| {
            if function.nulls == Nulls::Propagate && values.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            match (function.code)(&call, values) {
                Err(error) if safe && error.kind == ErrorKind::Evaluation => Ok(Value::Null),
                result => result,
            }
        };
        self.row_loop(&columns, &expr.ty, frame.len, function.volatile, one)
    }

    /// `code` once a row; once altogether where all arguments are constant, once a distinct value where the
    /// only argument that varies is a dictionary. `volatile` code runs once a row in any case.
    pub(super) fn row_loop(
        &self,
        columns: &[Arc<Column>],
        ty: &Type,
        len: usize,
        volatile: bool,
        code: impl Fn(&[Value]) -> Result<Value>,
    ) -> Result<Arc<Column>> {
        let mut values: Vec<Value> = columns.iter().map(|column| column.get(0)).collect();
        let mut varying = columns.iter().enumerate().filter(|(_, column)| !matches!(***column, Column::Constant(..)));
        let first = varying.next();
        if !volatile {
            match (first, varying.next()) {
                (None, _) => return Ok(Arc::new(Column::constant(code(&values)?, len))),
                (Some((position, column)), None) => {
                    if let Column::Dictionary(dictionary) = &**column {
                        let mut known: Vec<Option<Value>> = vec![None; dictionary.values.len() + 1];
                        let mut builder = ColumnBuilder::with_capacity(ty, len);
                        for at in dictionary.codes.iter().take(len) {
                            let at = (*at as usize).min(dictionary.values.len());
                            let Some(slot) = known.get_mut(at) else { continue };
                            if slot.is_none() {
                                if let Some(value) = values.get_mut(position) {
                                    let text = dictionary.values.get(at);
                                    *value = text.map_or(Value::Null, |text| Value::String(text.clone()));
                                }
                                *slot = Some(code(&values)?);
                            }
                            builder.push(slot.clone().unwrap_or_default());
                        }
                        return Ok(Arc::new(builder.finish()));
                    }
                }
                _ => {}
            }
        }
        let varying: Vec<usize> = (0..columns.len())
            .filter(|at| columns.get(*at).is_some_and(|column| !matches!(**column, Column::Constant(..))))
            .collect();
        let mut builder = ColumnBuilder::with_capacity(ty, len);
        let mut bytes = 0;
        for row in 0..len {
            for at in &varying {
                if let (Some(value), Some(column)) = (values.get_mut(*at), columns.get(*at)) {
                    *value = column.get(row);
                }
            }
            let value = code(&values)?;
            // A function may make much of little (REPEAT, GENERATE_ARRAY): a batch of that is not for free.
            if let Value::String(_) | Value::Bytes(_) | Value::Array(_) = &value {
                let before = bytes;
                bytes += value_memory(&value);
                if bytes > self.ctx.memory_limit {
                    return Err(out_of_memory(bytes, self.ctx.memory_limit, OTHER, bytes));
                }
                if bytes >> 20 != before >> 20 {
                    self.step(0)?;
                }
            }
            builder.push(value);
            self.tick(row)?;
        }
        Ok(Arc::new(builder.finish()))
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn cast(
        &self,
        inner: &'p Expr,
        to: &Type,
        params: &TypeParams,
        safe: bool,
        format: Option<&'p Expr>,
        time_zone: Option<&'p Expr>,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let mut columns = vec![self.eval(inner, frame)?];
        if format.is_none() && time_zone.is_none() && params.is_empty() {
            if inner.ty == *to {
                return Ok(columns.swap_remove(0));
            }
            if let Some(column) = columns.first().and_then(|column| kernels::cast(column, to, frame.len)) {
                return Ok(Arc::new(column));
            }
        }
        for extra in [format, time_zone].into_iter().flatten() {
            columns.push(self.eval(extra, frame)?);
        }
        let code = |values: &[Value]| {
            let (Some(value), rest) = (values.first(), values.get(1..).unwrap_or_default()) else {
                return Ok(Value::Null);
            };
            if rest.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            let text = |wanted: bool, at: usize| match rest.get(at) {
                Some(Value::String(text)) if wanted => Some(&**text),
                _ => None,
            };
            let format_text = text(format.is_some(), 0);
            let zone_text = text(time_zone.is_some(), usize::from(format.is_some()));
            let ctx = &self.ctx.eval;
            let result = match format_text {
                Some(format) if !value.is_null() => cast::format::cast_with_format(value, to, format, zone_text, ctx),
                _ => cast::cast(value, &inner.ty, to, ctx),
            };
            match result.and_then(|value| cast::enforce(value, to, params)) {
                Err(error) if safe && error.kind == ErrorKind::Evaluation => Ok(Value::Null),
                result => result,
            }
        };
        self.row_loop(&columns, to, frame.len, false, code)
    }
}
