//! PIVOT and UNPIVOT.

use std::collections::HashSet;

use crate::ast::{self, ExprKind as A};
use crate::error::{Result, SqlError};
use crate::plan::{ColumnId, Expr, ExprKind, JoinKind, Rel};
use crate::types::Type;
use crate::value::Value;

use super::aggregate::groupable;
use super::from::{Source, aliased};
use super::scope::{NameList, NamedColumn, Scope};
use super::visit::{aggregate_exprs_mut, is_constant, walk_expr_mut};
use super::{Analyzer, Calls, Cx, Inside, column, literal, string};

impl Analyzer<'_> {
    pub(super) fn pivot(&self, rel: Rel, names: NameList, pivot: &ast::Pivot, outer: Option<&Scope>) -> Result<Source> {
        let (rel, names) = self.apart(rel, names);
        let scope = Scope::new(&names, outer);
        let input = self.expr(&pivot.input, &Cx::plain(&scope, "PIVOT FOR clause"))?;
        if !groupable(&input.ty) {
            let text =
                format!("Type {} cannot be used as a FOR expression in PIVOT because it is not groupable", input.ty);
            return Err(SqlError::analysis(text).at(input.pos));
        }
        let mut read: HashSet<ColumnId> = HashSet::new();
        note_columns(&mut input.clone(), &mut read);

        let mut aggregates = Vec::with_capacity(pivot.aggregates.len());
        for (expr, alias) in &pivot.aggregates {
            let calls = Calls::new(&[]);
            let cx = Cx {
                scope: &scope,
                input: &scope,
                clause: "PIVOT clause",
                calls: Some(&calls),
                aggregates: true,
                windows: false,
                inside: Inside::Nothing,
            };
            let resolved = self.expr(expr, &cx)?;
            let mut found = calls.aggregates.borrow_mut();
            let call = match (found.len(), &resolved.kind) {
                (1, ExprKind::Column(id)) if found[0].0 == *id => found.remove(0).1,
                _ => {
                    let text = "PIVOT expression must be an aggregate function call";
                    return Err(SqlError::analysis(text).at(expr.pos));
                }
            };
            let mut copy = call.clone();
            aggregate_exprs_mut(&mut copy, &mut |expr| note_columns(expr, &mut read));
            aggregates.push((call, alias.as_ref().map(|alias| alias.name.clone())));
        }
        if aggregates.len() > 1
            && let Some(index) = aggregates.iter().position(|(_, alias)| alias.is_none())
        {
            let text = "PIVOT expression must have an alias unless there is exactly one pivot expression";
            return Err(SqlError::analysis(text).at(pivot.aggregates[index].0.pos));
        }

        // What neither the aggregates nor FOR read is grouped by.
        let mut keys = Vec::new();
        let mut out: Vec<NamedColumn> = Vec::new();
        for (name, expr) in super::select::star_columns(&names.columns, pivot.pos) {
            let mut reads = HashSet::new();
            note_columns(&mut expr.clone(), &mut reads);
            if reads.iter().any(|id| read.contains(id)) {
                continue;
            }
            if !groupable(&expr.ty) {
                let text = format!(
                    "Column {name} of type {} cannot be used as an implicit grouping column of a PIVOT clause",
                    expr.ty
                );
                return Err(SqlError::analysis(text).at(pivot.pos));
            }
            let id = self.new_column();
            out.push(NamedColumn::new(&name, id, expr.ty.clone()));
            keys.push((id, expr));
        }

        let mut calls = Vec::with_capacity(pivot.values.len() * aggregates.len());
        for (value, alias) in &pivot.values {
            let resolved = self.expr(value, &Cx::plain(&scope, "PIVOT IN clause"))?;
            if !is_constant(&resolved) {
                return Err(SqlError::analysis("IN expression in PIVOT clause must be constant").at(value.pos));
            }
            let label = match alias {
                Some(alias) => alias.name.clone(),
                None => self.pivot_label(&resolved, value)?,
            };
            let found = self.type_name_of(&resolved);
            let resolved = self.implicit(resolved, &input.ty)?.map_err(|_| {
                let text = format!(
                    "PIVOT values must be type-compatible with the FOR expression; {found} is not with {}",
                    input.ty
                );
                SqlError::analysis(text).at(value.pos)
            })?;
            for (call, alias) in &aggregates {
                let test =
                    self.call_scalar("$is_not_distinct_from", vec![input.clone(), resolved.clone()], value.pos)?;
                let mut call = call.clone();
                call.filter = Some(Box::new(match call.filter.take() {
                    Some(filter) => Expr { kind: ExprKind::And(vec![*filter, test]), ty: Type::Bool, pos: value.pos },
                    None => test,
                }));
                let name = match alias {
                    Some(alias) => format!("{alias}_{label}"),
                    // A name cannot begin with a digit.
                    None if label.starts_with(|first: char| first.is_ascii_digit()) => format!("_{label}"),
                    None => label.clone(),
                };
                let id = self.new_column();
                out.push(NamedColumn::new(&name, id, call.ty.clone()));
                calls.push((id, call));
            }
        }
        let rel = Rel::Aggregate { input: Box::new(rel), keys, sets: None, grouping: Vec::new(), calls };
        Ok((rel, aliased(NameList::of_columns(out), pivot.alias.as_ref())))
    }

    /// Columns that are one and the same get ids of their own, so that one can be read and the other grouped by.
    fn apart(&self, rel: Rel, names: NameList) -> Source {
        let mut seen: HashSet<ColumnId> = HashSet::new();
        let mut copies: Vec<(ColumnId, Expr)> = Vec::new();
        let mut columns = names.columns.clone();
        for named in &mut columns {
            if !seen.insert(named.id) {
                let id = self.new_column();
                copies.push((id, column(named.id, named.ty.clone(), 0)));
                named.id = id;
            }
        }
        if copies.is_empty() {
            return (rel, names);
        }
        let mut apart = NameList::of_columns(columns);
        if let [(alias, _)] = names.ranges.as_slice() {
            apart = apart.with_alias(alias);
        }
        (Rel::Compute { input: Box::new(rel), columns: copies }, apart)
    }

    /// The name of a pivot column from its value, where it has no alias.
    fn pivot_label(&self, value: &Expr, written: &ast::Expr) -> Result<String> {
        let constant = crate::exec::eval_constant(value, self.ctx.eval)?;
        let text = match &constant {
            Value::Null => return Ok("NULL".to_owned()),
            Value::Bool(value) => return Ok(if *value { "TRUE" } else { "FALSE" }.to_owned()),
            Value::String(text) => return Ok(text.to_string()),
            other => match self.cast_value(other, &value.ty, &Type::String) {
                Ok(Value::String(text)) => text.to_string(),
                _ => {
                    let text = format!("PIVOT values of type {} need an alias", value.ty);
                    return Err(SqlError::analysis(text).at(written.pos));
                }
            },
        };
        let mut label = String::with_capacity(text.len() + 1);
        for letter in text.chars() {
            match letter {
                '-' if label.is_empty() && value.ty.is_numeric() => label.push_str("minus_"),
                '.' if value.ty.is_numeric() => label.push_str("_point_"),
                letter if letter.is_alphanumeric() => label.push(letter),
                _ => label.push('_'),
            }
        }
        Ok(label)
    }

    pub(super) fn unpivot(&self, rel: Rel, names: NameList, unpivot: &ast::Unpivot) -> Result<Source> {
        let scope = Scope::new(&names, None);
        let cx = Cx::plain(&scope, "UNPIVOT clause");
        let width = unpivot.values.len();
        let mut used: HashSet<ColumnId> = HashSet::new();
        let mut cells: Vec<Vec<Expr>> = vec![Vec::new(); width];
        let mut labels: Vec<Expr> = Vec::new();
        for (columns, label) in &unpivot.groups {
            if columns.len() != width {
                let text = format!(
                    "The number of new columns introduced as value columns must be the same as the number of columns \
                     in the column groups of UNPIVOT IN clause; expected {width}, found {}",
                    columns.len()
                );
                return Err(SqlError::analysis(text).at(unpivot.pos));
            }
            let mut spelled = Vec::with_capacity(columns.len());
            for (path, cells) in columns.iter().zip(&mut cells) {
                let mut parts = path.parts.iter();
                let Some(first) = parts.next() else { continue };
                let mut expr = ast::Expr { kind: A::Name(first.clone()), pos: first.pos, end: first.pos };
                for part in parts {
                    expr = ast::Expr {
                        pos: expr.pos,
                        end: part.pos,
                        kind: A::Field { expr: Box::new(expr), field: part.clone() },
                    };
                }
                let mut value = self.expr(&expr, &cx)?;
                note_columns(&mut value, &mut used);
                cells.push(value);
                spelled.extend(path.parts.last().map(|part| part.name.clone()));
            }
            labels.push(match label {
                Some(label) => self.expr(label, &cx)?,
                None => string(spelled.join("_"), unpivot.pos),
            });
        }
        let same_type = |exprs: &[Expr]| exprs.windows(2).all(|pair| pair[0].ty == pair[1].ty);
        let mut arrays: Vec<(ColumnId, Expr)> = Vec::with_capacity(width + 1);
        let mut unwrapped: Vec<(ColumnId, Expr)> = Vec::new();
        let mut out: Vec<NamedColumn> = names
            .columns
            .iter()
            .filter(|named| !used.contains(&named.id))
            .map(|named| NamedColumn { hidden_from_names: false, ..named.clone() })
            .collect();
        for (cells, name) in cells.into_iter().zip(&unpivot.values) {
            if !same_type(&cells) {
                let found: Vec<String> = cells.iter().map(|cell| cell.ty.to_string()).collect();
                let text = format!(
                    "The datatype of column does not match with other datatypes in the IN clause. Expected {}, Found {}",
                    found.first().cloned().unwrap_or_default(),
                    found.iter().find(|ty| Some(*ty) != found.first()).cloned().unwrap_or_default()
                );
                return Err(SqlError::analysis(text).at(unpivot.pos));
            }
            let Some(ty) = cells.first().map(|cell| cell.ty.clone()) else { continue };
            let id = self.new_column();
            if matches!(ty, Type::Array(_)) {
                // An array holds no arrays: each is put into a struct, and taken out of it behind.
                let wrapped = Type::struct_of([("value", ty.clone())]);
                let cells = cells
                    .into_iter()
                    .map(|cell| Expr { pos: cell.pos, ty: wrapped.clone(), kind: ExprKind::MakeStruct(vec![cell]) })
                    .collect();
                let inner = self.new_column();
                out.push(NamedColumn::new(&name.name, id, ty.clone()));
                let whole = column(inner, wrapped.clone(), unpivot.pos);
                let kind = ExprKind::StructField { expr: Box::new(whole), index: 0 };
                unwrapped.push((id, Expr { kind, ty, pos: unpivot.pos }));
                arrays.push((
                    inner,
                    Expr { kind: ExprKind::MakeArray(cells), ty: Type::array(wrapped), pos: unpivot.pos },
                ));
                continue;
            }
            out.push(NamedColumn::new(&name.name, id, ty.clone()));
            arrays.push((id, Expr { kind: ExprKind::MakeArray(cells), ty: Type::array(ty), pos: unpivot.pos }));
        }
        let values = unpivot.values.len();
        let value_ids: Vec<(ColumnId, Type)> =
            out.iter().rev().take(values).map(|named| (named.id, named.ty.clone())).collect();
        let label_ty = self
            .unify(&mut labels)?
            .map_err(|()| SqlError::analysis("All labels of UNPIVOT's IN clause must have one type").at(unpivot.pos))?;
        let id = self.new_column();
        out.push(NamedColumn::new(&unpivot.name.name, id, label_ty.clone()));
        arrays.push((id, Expr { kind: ExprKind::MakeArray(labels), ty: Type::array(label_ty), pos: unpivot.pos }));

        let unnest = Rel::Unnest { arrays, offset: None, strict: false };
        let mut rel =
            Rel::Join { kind: JoinKind::Cross, left: Box::new(rel), right: Box::new(unnest), on: None, lateral: true };
        if !unwrapped.is_empty() {
            rel = Rel::Compute { input: Box::new(rel), columns: unwrapped };
        }
        if !unpivot.include_nulls {
            let mut tests = Vec::with_capacity(value_ids.len());
            for (id, ty) in value_ids {
                let is_null = self.call_scalar("$is_null", vec![column(id, ty, unpivot.pos)], unpivot.pos)?;
                tests.push(self.negate_if(is_null, true)?);
            }
            let predicate = match tests.len() {
                1 => tests.remove(0),
                0 => literal(Value::Bool(true), Type::Bool, unpivot.pos),
                _ => Expr { kind: ExprKind::Or(tests), ty: Type::Bool, pos: unpivot.pos },
            };
            rel = Rel::Filter { input: Box::new(rel), predicate };
        }
        Ok((rel, aliased(NameList::of_columns(out), unpivot.alias.as_ref())))
    }
}

fn note_columns(expr: &mut Expr, into: &mut HashSet<ColumnId>) {
    walk_expr_mut(expr, &mut |part| {
        if let ExprKind::Column(id) = part.kind {
            into.insert(id);
        }
        true
    });
}
