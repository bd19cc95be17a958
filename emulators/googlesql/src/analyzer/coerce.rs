//! Implicit conversion: whether an expression may become another type, and the node that does it.

use crate::coercion::{self, Origin};
use crate::error::{Pos, Result, SqlError};
use crate::functions::resolve::ArgInfo;
use crate::plan::{Expr, ExprKind};
use crate::types::{Type, TypeParams};
use crate::value::Value;

use super::{Analyzer, literal};

/// A NULL that was written without a type.
fn is_null_literal(expr: &Expr) -> bool {
    matches!((&expr.kind, &expr.ty), (ExprKind::Literal(Value::Null), Type::Int64))
}

/// `[]` that was written without a type.
fn is_empty_array(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::MakeArray(items) if items.is_empty()) && expr.ty == Type::array(Type::Int64)
}

/// ERROR(…) never gives a value, so it takes whatever type its surroundings want.
fn is_error_call(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { function, .. } if function.name == "error")
}

fn origin(expr: &Expr) -> Origin {
    match &expr.kind {
        // `NUMERIC '1'` says its type itself: it turns into nothing that a column of it would not.
        ExprKind::Literal(_) if matches!(expr.ty, Type::Numeric | Type::BigNumeric) => Origin::Expression,
        ExprKind::Literal(_) => Origin::Literal,
        ExprKind::MakeArray(items) | ExprKind::MakeStruct(items) => {
            if items.iter().all(|item| origin(item) == Origin::Literal) { Origin::Literal } else { Origin::Expression }
        }
        _ => Origin::Expression,
    }
}

/// A literal, or a constructor of literals.
pub(super) fn is_literal(expr: &Expr) -> bool {
    origin(expr) == Origin::Literal || matches!(expr.kind, ExprKind::MakeStruct(_)) && super::visit::is_constant(expr)
}

fn coercible(expr: &Expr, ty: &Type) -> bool {
    if expr.ty == *ty || is_null_literal(expr) || is_error_call(expr) {
        return true;
    }
    match (&expr.kind, ty) {
        (ExprKind::MakeArray(items), Type::Array(element)) => {
            (items.is_empty() && is_empty_array(expr))
                || items.iter().all(|item| coercible(item, element)) && !items.is_empty()
        }
        (ExprKind::MakeStruct(items), Type::Struct(fields)) => {
            items.len() == fields.fields.len()
                && items.iter().zip(&fields.fields).all(|(item, field)| coercible(item, &field.ty))
        }
        _ => coercion::coerces(&expr.ty, ty, origin(expr)),
    }
}

fn assignable(expr: &Expr, ty: &Type) -> bool {
    if coercible(expr, ty) {
        return true;
    }
    match (&expr.kind, ty) {
        (ExprKind::MakeArray(items), Type::Array(element)) => items.iter().all(|item| assignable(item, element)),
        (ExprKind::MakeStruct(items), Type::Struct(fields)) => {
            items.len() == fields.fields.len()
                && items.iter().zip(&fields.fields).all(|(item, field)| assignable(item, &field.ty))
        }
        _ => coercion::assigns(&expr.ty, ty, origin(expr)),
    }
}

pub(super) fn arg_info(expr: &Expr, name: Option<String>) -> ArgInfo {
    ArgInfo {
        ty: (!is_null_literal(expr) && !is_error_call(expr)).then(|| expr.ty.clone()),
        is_literal: origin(expr) == Origin::Literal,
        is_parameter: false,
        untyped_array: is_empty_array(expr),
        name,
        is_date_part: false,
    }
}

impl Analyzer<'_> {
    /// The type as messages about arguments print it.
    pub(super) fn type_name_of(&self, expr: &Expr) -> String {
        if is_null_literal(expr) {
            "NULL".to_owned()
        } else if is_empty_array(expr) {
            "ARRAY<>".to_owned()
        } else {
            expr.ty.to_string()
        }
    }

    /// A NULL or `[]` that has no type of its own.
    pub(super) fn is_untyped(&self, expr: &Expr) -> bool {
        is_null_literal(expr) || is_empty_array(expr)
    }

    pub(super) fn retype(&self, expr: Expr, ty: &Type) -> Expr {
        match expr.kind {
            ExprKind::Literal(Value::Null) => literal(Value::Null, ty.clone(), expr.pos),
            ExprKind::MakeArray(items) if items.is_empty() && matches!(ty, Type::Array(_)) => {
                Expr { kind: ExprKind::MakeArray(items), ty: ty.clone(), pos: expr.pos }
            }
            _ => expr,
        }
    }

    pub(super) fn cast_value(&self, value: &Value, from: &Type, to: &Type) -> Result<Value> {
        crate::cast::cast(value, from, to, self.ctx.eval)
    }

    /// Converted where GoogleSQL converts by itself; else the expression comes back. A literal whose value does not
    /// fit its new type is an error at once.
    pub(super) fn implicit(&self, expr: Expr, ty: &Type) -> Result<Result<Expr, Expr>> {
        if expr.ty == *ty && !is_null_literal(&expr) {
            return Ok(Ok(expr));
        }
        if !coercible(&expr, ty) {
            return Ok(Err(expr));
        }
        self.convert(expr, ty).map(Ok)
    }

    /// As [`Self::implicit`], with what assignments to columns and variables allow besides.
    pub(super) fn assign(&self, expr: Expr, ty: &Type) -> Result<Option<Expr>> {
        if expr.ty == *ty && !is_null_literal(&expr) {
            return Ok(Some(expr));
        }
        if !assignable(&expr, ty) {
            return Ok(None);
        }
        self.convert(expr, ty).map(Some)
    }

    pub(super) fn castable(&self, expr: &Expr, ty: &Type) -> bool {
        self.is_untyped(expr) && (is_null_literal(expr) || matches!(ty, Type::Array(_)))
            || coercible(expr, ty)
            || crate::cast::castable(&expr.ty, ty)
    }

    /// The conversion itself; whether it is allowed was asked before.
    pub(super) fn convert(&self, expr: Expr, ty: &Type) -> Result<Expr> {
        let pos = expr.pos;
        if expr.ty == *ty {
            return Ok(expr);
        }
        match expr.kind {
            ExprKind::Literal(Value::Null) => Ok(literal(Value::Null, ty.clone(), pos)),
            ExprKind::Literal(value) => match self.cast_literal(&value, &expr.ty, ty, pos) {
                Ok(value) => Ok(literal(value, ty.clone(), pos)),
                Err(_) => {
                    let text = format!("Could not cast literal {} to type {ty}", literal_text(&value));
                    Err(SqlError::analysis(text).at(pos))
                }
            },
            ExprKind::MakeArray(items) => match ty {
                Type::Array(element) => {
                    let items =
                        items.into_iter().map(|item| self.convert(item, element)).collect::<Result<Vec<_>>>()?;
                    Ok(Expr { kind: ExprKind::MakeArray(items), ty: ty.clone(), pos })
                }
                _ => Ok(implicit_cast(Expr { kind: ExprKind::MakeArray(items), ..expr }, ty)),
            },
            ExprKind::MakeStruct(items) => match ty {
                Type::Struct(fields) if fields.fields.len() == items.len() => {
                    let items = items
                        .into_iter()
                        .zip(&fields.fields)
                        .map(|(item, field)| self.convert(item, &field.ty))
                        .collect::<Result<Vec<_>>>()?;
                    Ok(Expr { kind: ExprKind::MakeStruct(items), ty: ty.clone(), pos })
                }
                _ => Ok(implicit_cast(Expr { kind: ExprKind::MakeStruct(items), ..expr }, ty)),
            },
            kind => {
                let expr = Expr { kind, ..expr };
                if is_error_call(&expr) {
                    return Ok(Expr { ty: ty.clone(), ..expr });
                }
                Ok(implicit_cast(expr, ty))
            }
        }
    }

    fn cast_literal(&self, value: &Value, from: &Type, to: &Type, pos: Pos) -> Result<Value> {
        if let (Value::Float64(_), Type::Numeric | Type::BigNumeric) = (value, to)
            && let Some(text) = self.digits.borrow().get(&pos)
        {
            return self.cast_value(&Value::string(text), &Type::String, to);
        }
        self.cast_value(value, from, to)
    }

    /// Converts all to the one type they share. The inner `Err`: there is none.
    pub(super) fn unify(&self, exprs: &mut Vec<Expr>) -> Result<Result<Type, ()>> {
        if let Some((first, rest)) = exprs.split_first()
            && !self.is_untyped(first)
            && rest.iter().all(|expr| expr.ty == first.ty && !self.is_untyped(expr))
        {
            return Ok(Ok(first.ty.clone()));
        }
        let Some(ty) = self.common_type(exprs) else { return Ok(Err(())) };
        let converted =
            std::mem::take(exprs).into_iter().map(|expr| self.convert(expr, &ty)).collect::<Result<Vec<_>>>()?;
        *exprs = converted;
        Ok(Ok(ty))
    }

    /// Struct constructors join field by field, so that a NULL field takes the type of its peers.
    fn common_struct(&self, exprs: &[&Expr]) -> Option<Type> {
        if !exprs.iter().any(|expr| matches!(expr.kind, ExprKind::MakeStruct(_))) {
            return None;
        }
        let Type::Struct(first) = &exprs.first()?.ty else { return None };
        let width = first.fields.len();
        let mut columns: Vec<Vec<Expr>> = vec![Vec::with_capacity(exprs.len()); width];
        for expr in exprs {
            let Type::Struct(ty) = &expr.ty else { return None };
            if ty.fields.len() != width {
                return None;
            }
            for (index, (column, field)) in columns.iter_mut().zip(&ty.fields).enumerate() {
                column.push(match &expr.kind {
                    ExprKind::MakeStruct(items) => items.get(index)?.clone(),
                    _ => super::column(crate::plan::ColumnId(u32::MAX), field.ty.clone(), expr.pos),
                });
            }
        }
        let mut fields = Vec::with_capacity(width);
        for (column, field) in columns.iter().zip(&first.fields) {
            fields.push((field.name.clone(), self.common_type(column)?));
        }
        Some(Type::struct_of(fields))
    }

    /// The type that all of them coerce to.
    pub(super) fn common_type(&self, exprs: &[Expr]) -> Option<Type> {
        let typed: Vec<&Expr> = exprs.iter().filter(|expr| !self.is_untyped(expr) && !is_error_call(expr)).collect();
        if typed.is_empty() {
            return Some(exprs.iter().find(|expr| is_empty_array(expr)).map_or(Type::Int64, |expr| expr.ty.clone()));
        }
        let found = coercion::supertype(typed.iter().map(|expr| (Some(&expr.ty), origin(expr))));
        if let Some(ty) = self.common_struct(&typed) {
            return Some(ty);
        }
        let fits = |ty: &Type| exprs.iter().all(|expr| coercible(expr, ty));
        if let Some(ty) = found
            && fits(&ty)
        {
            return Some(ty);
        }
        typed.iter().map(|expr| &expr.ty).find(|ty| fits(ty)).cloned()
    }
}

fn implicit_cast(expr: Expr, ty: &Type) -> Expr {
    let pos = expr.pos;
    Expr {
        kind: ExprKind::Cast {
            expr: Box::new(expr),
            params: TypeParams::default(),
            safe: false,
            format: None,
            time_zone: None,
        },
        ty: ty.clone(),
        pos,
    }
}

fn literal_text(value: &Value) -> String {
    match value {
        Value::String(text) => super::expr::quote(text),
        Value::Int64(number) => number.to_string(),
        Value::Float64(number) => number.to_string(),
        Value::Bool(value) => value.to_string().to_uppercase(),
        other => format!("{other:?}"),
    }
}
