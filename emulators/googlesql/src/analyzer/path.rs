//! Names in expressions: `a`, `t.a.b`, `expr.field`, `array[…]`.

use crate::ast::{self, ExprKind as A};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Expr, ExprKind, IndexBase};
use crate::types::Type;
use crate::value::Value;

use super::scope::{NameList, RangeVariable, Target};
use super::{Analyzer, Cx, column, string};

/// The name that an expression gives to a column or field when it has no alias: a path's last part.
pub(super) fn implied_name(expr: &ast::Expr) -> Option<String> {
    match &expr.kind {
        A::Name(name) => Some(name.name.clone()),
        A::Field { field, .. } => Some(field.name.clone()),
        A::Parenthesized(inner) => match inner.kind {
            A::Parenthesized(_) | A::Name(_) | A::Field { .. } => implied_name(inner),
            _ => None,
        },
        _ => None,
    }
}

/// `a.b.c` taken apart: the base (a name, or another expression) and the fields behind it.
pub(super) fn flatten(expr: &ast::Expr) -> (&ast::Expr, Vec<&ast::Ident>) {
    let mut fields = Vec::new();
    let mut base = expr;
    while let A::Field { expr, field } = &base.kind {
        fields.push(field);
        base = expr;
    }
    fields.reverse();
    (base, fields)
}

impl Analyzer<'_> {
    pub(super) fn path_expr(&self, expr: &ast::Expr, cx: &Cx) -> Result<Expr> {
        let (base, fields) = flatten(expr);
        let A::Name(first) = &base.kind else {
            let mut value = self.expr(base, cx)?;
            for field in fields {
                value = self.field(value, field)?;
            }
            return Ok(value);
        };
        let resolved = self.name_path(first, &fields, cx)?;
        if !fields.is_empty() {
            let mut spelled = first.name.clone();
            for field in &fields {
                spelled.push('.');
                spelled.push_str(&field.name);
            }
            self.spelled.borrow_mut().insert(first.pos, spelled);
        }
        Ok(resolved)
    }

    /// `first.rest…` in the scope.
    fn name_path(&self, first: &ast::Ident, rest: &[&ast::Ident], cx: &Cx) -> Result<Expr> {
        let pos = first.pos;
        let Some(target) = cx.scope.find(&first.name) else {
            return self.unknown_name(first, rest, cx);
        };
        let (mut value, rest) = match target {
            Target::Range(range) => match (&**range, rest.split_first()) {
                (RangeVariable::Value { id, ty }, _) => (column(*id, ty.clone(), pos), rest),
                (RangeVariable::Row(names), None) => (row_struct(names, pos), rest),
                (RangeVariable::Row(names), Some((field, rest))) => match names.find(&field.name) {
                    Some(Target::Column { id, ty }) => (column(*id, ty.clone(), pos), rest),
                    Some(Target::Field { id, ty, index }) => (struct_field(column(*id, ty.clone(), pos), *index), rest),
                    Some(Target::Expr(expr)) => ((**expr).clone(), rest),
                    Some(Target::Ambiguous) => {
                        let text = format!("Column name {} is ambiguous", field.name);
                        return Err(SqlError::analysis(text).at(field.pos));
                    }
                    Some(Target::Range(_)) | None => {
                        let hint = super::suggest::closest(&field.name, names.spellings())
                            .map(|near| format!("; Did you mean {near}?"))
                            .unwrap_or_default();
                        let text = format!("Name {} not found inside {}{hint}", field.name, first.name);
                        return Err(SqlError::analysis(text).at(field.pos));
                    }
                },
            },
            Target::Column { id, ty } => (column(*id, ty.clone(), pos), rest),
            Target::Field { id, ty, index } => (struct_field(column(*id, ty.clone(), pos), *index), rest),
            Target::Expr(expr) => {
                let mut expr = (**expr).clone();
                expr.pos = pos;
                (expr, rest)
            }
            Target::Ambiguous => {
                return Err(SqlError::analysis(format!("Column name {} is ambiguous", first.name)).at(pos));
            }
        };
        for field in rest {
            value = self.field(value, field)?;
        }
        Ok(value)
    }

    fn unknown_name(&self, first: &ast::Ident, rest: &[&ast::Ident], cx: &Cx) -> Result<Expr> {
        if let Some((ty, value)) = self.ctx.variables.get(&first.name.to_lowercase()) {
            let mut value = super::expr::fixed(ty, value, first.pos);
            for field in rest {
                value = self.field(value, field)?;
            }
            return Ok(value);
        }
        let lower = first.name.to_lowercase();
        if matches!(lower.as_str(), "current_date" | "current_datetime" | "current_time" | "current_timestamp")
            && !first.quoted
        {
            let mut value = self.call_scalar(&lower, Vec::new(), first.pos)?;
            for field in rest {
                value = self.field(value, field)?;
            }
            return Ok(value);
        }
        let hint = cx.scope.suggest(&first.name).map(|near| format!("; Did you mean {near}?")).unwrap_or_default();
        Err(SqlError::analysis(format!("Unrecognized name: {}{hint}", first.name)).at(first.pos))
    }

    /// `value.field`.
    pub(super) fn field(&self, value: Expr, field: &ast::Ident) -> Result<Expr> {
        let pos = value.pos;
        match &value.ty {
            Type::Struct(fields) => {
                let mut found =
                    fields.fields.iter().enumerate().filter(|(_, known)| known.name.eq_ignore_ascii_case(&field.name));
                let Some((index, _)) = found.next() else {
                    let hint =
                        super::suggest::closest(&field.name, fields.fields.iter().map(|known| known.name.as_str()))
                            .map(|near| format!("; Did you mean {near}?"))
                            .unwrap_or_default();
                    let text = format!("Field name {} does not exist in {}{hint}", field.name, value.ty);
                    return Err(SqlError::analysis(text).at(field.pos));
                };
                if found.next().is_some() {
                    let text = format!("Field name {} is ambiguous in {}", field.name, value.ty);
                    return Err(SqlError::analysis(text).at(field.pos));
                }
                Ok(struct_field(value, index))
            }
            Type::Json => self.call_scalar("$json_subscript", vec![value, string(&field.name, field.pos)], pos),
            Type::Array(_) => {
                let text = format!("Cannot access field {} on a value with type {}", field.name, value.ty);
                Err(SqlError::analysis(text).at(field.pos))
            }
            ty => {
                let text = format!("Cannot access field {} on a value with type {ty}", field.name);
                Err(SqlError::analysis(text).at(field.pos))
            }
        }
    }

    /// `base[index]`, with OFFSET and its kin.
    pub(super) fn subscript(&self, base: &ast::Expr, index: &ast::Expr, cx: &Cx, pos: Pos) -> Result<Expr> {
        let base = self.expr(base, cx)?;
        let accessor_pos = index.pos;
        let (accessor, index) = match &index.kind {
            A::Call(call) if call.name.parts.len() == 1 && call.args.len() == 1 => {
                match call.name.parts[0].name.to_ascii_uppercase().as_str() {
                    "OFFSET" => (Some((IndexBase::Offset, false)), &call.args[0]),
                    "ORDINAL" => (Some((IndexBase::Ordinal, false)), &call.args[0]),
                    "SAFE_OFFSET" => (Some((IndexBase::Offset, true)), &call.args[0]),
                    "SAFE_ORDINAL" => (Some((IndexBase::Ordinal, true)), &call.args[0]),
                    _ => (None, index),
                }
            }
            _ => (None, index),
        };
        let index_pos = index.pos;
        match base.ty.clone() {
            Type::Array(element) => {
                let (from, safe) = accessor.unwrap_or((IndexBase::Offset, false));
                let index = self.expr(index, cx)?;
                match self.implicit(index, &Type::Int64)? {
                    Ok(index) => Ok(Expr {
                        kind: ExprKind::ArrayElement { array: Box::new(base), index: Box::new(index), from, safe },
                        ty: (*element).clone(),
                        pos,
                    }),
                    Err(found) => {
                        let text = format!(
                            "Array position in [] must be coercible to INT64 type, but has type {}",
                            self.type_name_of(&found)
                        );
                        Err(SqlError::analysis(text).at(index_pos))
                    }
                }
            }
            Type::Struct(fields) => {
                let (from, _) = accessor.unwrap_or((IndexBase::Offset, false));
                let index = self.expr(index, cx)?;
                let ExprKind::Literal(Value::Int64(number)) = index.kind else {
                    let text = "Field element access is only supported for literal integer positions";
                    return Err(SqlError::analysis(text).at(index_pos));
                };
                let number = if from == IndexBase::Ordinal { number.checked_sub(1) } else { Some(number) };
                let position = number.and_then(|number| usize::try_from(number).ok());
                match position.filter(|position| *position < fields.fields.len()) {
                    Some(position) => Ok(struct_field(base, position)),
                    None => {
                        let text = format!("Field ordinal {} is out of bounds in {}", number.unwrap_or(0), base.ty);
                        Err(SqlError::analysis(text).at(index_pos))
                    }
                }
            }
            Type::Json => {
                let index = self.expr(index, cx)?;
                if let Some((from, safe)) = accessor {
                    let accessor = match (from, safe) {
                        (IndexBase::Offset, false) => "OFFSET",
                        (IndexBase::Offset, true) => "SAFE_OFFSET",
                        (IndexBase::Ordinal, false) => "ORDINAL",
                        (IndexBase::Ordinal, true) => "SAFE_ORDINAL",
                    };
                    let text = format!(
                        "Subscript access using [{accessor}({})] is not supported on values of type JSON",
                        self.type_name_of(&index)
                    );
                    return Err(SqlError::analysis(text).at(accessor_pos));
                }
                self.call_scalar("$json_subscript", vec![base, index], pos)
            }
            ty => {
                let text = format!("Element access using [] is not supported on values of type {ty}");
                Err(SqlError::analysis(text).at(pos))
            }
        }
    }
}

pub(super) fn struct_field(value: Expr, index: usize) -> Expr {
    let pos = value.pos;
    let ty = match &value.ty {
        Type::Struct(fields) => fields.fields.get(index).map_or(Type::Int64, |field| field.ty.clone()),
        _ => Type::Int64,
    };
    // A field of a constructor is its argument.
    if let ExprKind::MakeStruct(mut fields) = value.kind {
        if index < fields.len() && fields[index].ty == ty {
            return fields.swap_remove(index);
        }
        let whole = Expr { kind: ExprKind::MakeStruct(fields), ty: value.ty, pos };
        return Expr { kind: ExprKind::StructField { expr: Box::new(whole), index }, ty, pos };
    }
    Expr { kind: ExprKind::StructField { expr: Box::new(value), index }, ty, pos }
}

/// A whole row as one value: what a range variable by itself means.
pub(super) fn row_struct(names: &NameList, pos: Pos) -> Expr {
    let fields =
        names.columns.iter().map(|named| (named.name.to_string(), column(named.id, named.ty.clone(), pos))).collect();
    super::expr::make_struct(fields, pos)
}
