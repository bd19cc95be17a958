//! Conditions: AND, OR, IS, BETWEEN, IN, LIKE ANY, CASE. Most evaluate only as far as they must.

use crate::ast::{self, InList, IsTest, Quantifier};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Expr, ExprKind, Rel, SubqueryKind};
use crate::types::Type;
use crate::value::Value;

use super::{Analyzer, Cx, column, literal};

impl Analyzer<'_> {
    pub(super) fn between(
        &self,
        operand: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
        negated: bool,
        cx: &Cx,
        pos: Pos,
    ) -> Result<Expr> {
        let parts = vec![self.expr(operand, cx)?, self.expr(low, cx)?, self.expr(high, cx)?];
        let mut parts = self.without_collation(parts)?;
        let named: Vec<String> = parts.iter().map(|part| self.type_name_of(part)).collect();
        if self.unify(&mut parts)?.is_err() {
            let mut types: Vec<String> = named.clone();
            types.sort();
            types.dedup();
            let text = format!(
                "No matching signature for operator BETWEEN for argument types: {}\n  Signature: (T1) BETWEEN (T1) AND \
                 (T1)\n    Unable to find common supertype for templated argument <T1>\n      Input types for <T1>: \
                 {{{}}}",
                named.join(", "),
                types.join(", ")
            );
            return Err(SqlError::analysis(text).at(pos));
        }
        let [operand, low, high] =
            <[Expr; 3]>::try_from(parts).map_err(|_| SqlError::internal("BETWEEN's operands"))?;
        let test = self.bind(operand, |operand| {
            let low = self.call_scalar("$greater_or_equal", vec![operand.clone(), low], pos)?;
            let high = self.call_scalar("$less_or_equal", vec![operand.clone(), high], pos)?;
            Ok(Expr { kind: ExprKind::And(vec![low, high]), ty: Type::Bool, pos })
        })?;
        self.negate_if(test, negated)
    }

    pub(super) fn in_list(&self, operand: &ast::Expr, list: &InList, negated: bool, cx: &Cx, pos: Pos) -> Result<Expr> {
        match list {
            InList::Exprs(items) => {
                let mut parts = vec![self.expr(operand, cx)?];
                for item in items {
                    parts.push(self.expr(item, cx)?);
                }
                parts = self.without_collation(parts)?;
                let named: Vec<String> = parts.iter().map(|part| self.type_name_of(part)).collect();
                if self.unify(&mut parts)?.is_err() {
                    let mut types = named.clone();
                    types.sort();
                    types.dedup();
                    let text = format!(
                        "No matching signature for operator IN for argument types: {}\n  Signature: T1 IN (T1, [T1, \
                         ...])\n    Unable to find common supertype for templated argument <T1>\n      Input types for \
                         <T1>: {{{}}}",
                        named_list(&named),
                        types.join(", ")
                    );
                    return Err(SqlError::analysis(text).at(pos));
                }
                let test = self.in_exprs(parts, pos)?;
                self.negate_if(test, negated)
            }
            InList::Unnest(array) => {
                let value = self.expr(operand, cx)?;
                let array = self.expr(array, cx)?;
                let Type::Array(_) = &array.ty else {
                    let text =
                        format!("Second argument of IN UNNEST must be an array but was {}", self.type_name_of(&array));
                    return Err(SqlError::analysis(text).at(array.pos));
                };
                let test = self.call_scalar("$in_array", vec![value, array], pos)?;
                self.negate_if(test, negated)
            }
            InList::Query(query) => {
                let value = self.expr(operand, cx)?;
                let query_pos = query.pos;
                let query = self.subquery(query, cx)?;
                let [out] = query.columns.as_slice() else {
                    return Err(
                        SqlError::analysis("Subquery of type IN must have only one output column").at(query_pos)
                    );
                };
                let mut pair = vec![value, column(out.id, out.ty.clone(), query_pos)];
                if self.unify(&mut pair)?.is_err() {
                    let text = format!(
                        "Cannot execute IN subquery with uncomparable types {} and {}",
                        self.type_name_of(&pair[0]),
                        out.ty
                    );
                    return Err(SqlError::analysis(text).at(pos));
                }
                self.in_rel(pair, query.rel, negated, pos)
            }
        }
    }

    pub(super) fn in_exprs(&self, mut parts: Vec<Expr>, pos: Pos) -> Result<Expr> {
        if parts.len() > 4 && crate::functions::scalar("$in").is_some() {
            return self.call_scalar("$in", parts, pos);
        }
        let operand = parts.remove(0);
        self.bind(operand, |operand| {
            let mut tests = parts
                .into_iter()
                .map(|item| self.call_scalar("$equal", vec![operand.clone(), item], pos))
                .collect::<Result<Vec<_>>>()?;
            if tests.len() == 1 {
                return Ok(tests.remove(0));
            }
            Ok(Expr { kind: ExprKind::Or(tests), ty: Type::Bool, pos })
        })
    }

    /// `pair` is the operand and the relation's (perhaps converted) column.
    pub(super) fn in_rel(&self, pair: Vec<Expr>, rel: Rel, negated: bool, pos: Pos) -> Result<Expr> {
        let [operand, item] = <[Expr; 2]>::try_from(pair).map_err(|_| SqlError::internal("IN's operands"))?;
        let (rel, id) = self.computed(rel, item);
        Ok(Expr {
            kind: ExprKind::Subquery {
                kind: SubqueryKind::In { expr: Box::new(operand), negated },
                rel: Box::new(rel),
                column: id,
                correlated: Vec::new(),
            },
            ty: Type::Bool,
            pos,
        })
    }

    /// The relation with `expr` as one of its columns.
    pub(super) fn computed(&self, rel: Rel, expr: Expr) -> (Rel, crate::plan::ColumnId) {
        if let ExprKind::Column(id) = expr.kind {
            return (rel, id);
        }
        let id = self.new_column();
        (Rel::Compute { input: Box::new(rel), columns: vec![(id, expr)] }, id)
    }

    pub(super) fn like_quantified(
        &self,
        operand: &ast::Expr,
        quantifier: Quantifier,
        list: &InList,
        negated: bool,
        cx: &Cx,
        pos: Pos,
    ) -> Result<Expr> {
        let all = quantifier == Quantifier::All;
        let value = self.expr(operand, cx)?;
        let like = |value: Expr, pattern: Expr| -> Result<Expr> {
            let like = self.call_scalar("$like", vec![value, pattern], pos)?;
            self.negate_if(like, negated)
        };
        match list {
            InList::Exprs(items) => {
                let patterns = items.iter().map(|item| self.expr(item, cx)).collect::<Result<Vec<_>>>()?;
                self.bind(value, |value| {
                    let tests =
                        patterns.into_iter().map(|pattern| like(value.clone(), pattern)).collect::<Result<Vec<_>>>()?;
                    let kind = if all { ExprKind::And(tests) } else { ExprKind::Or(tests) };
                    Ok(Expr { kind, ty: Type::Bool, pos })
                })
            }
            InList::Unnest(_) | InList::Query(_) => {
                let (rel, pattern) = match list {
                    InList::Unnest(array) => {
                        let array = self.expr(array, cx)?;
                        let Type::Array(element) = array.ty.clone() else {
                            let text = format!("UNNEST of LIKE needs an array but was {}", self.type_name_of(&array));
                            return Err(SqlError::analysis(text).at(array.pos));
                        };
                        let id = self.new_column();
                        let pos = array.pos;
                        let rel = Rel::Unnest { arrays: vec![(id, array)], offset: None, strict: false };
                        (rel, column(id, (*element).clone(), pos))
                    }
                    InList::Query(query) => {
                        let query_pos = query.pos;
                        let query = self.subquery(query, cx)?;
                        let [out] = query.columns.as_slice() else {
                            let text = "Subquery of type LIKE must have only one output column";
                            return Err(SqlError::analysis(text).at(query_pos));
                        };
                        let out = column(out.id, out.ty.clone(), query_pos);
                        (query.rel, out)
                    }
                    InList::Exprs(_) => return Err(SqlError::internal("a list of patterns")),
                };
                // x LIKE ANY (rows) is TRUE IN (rows' tests); ALL is NOT (FALSE IN (rows' tests)).
                self.bind(value, |value| {
                    let test = like(value.clone(), pattern)?;
                    let (rel, id) = self.computed(rel, test);
                    let wanted = literal(Value::Bool(!all), Type::Bool, pos);
                    Ok(Expr {
                        kind: ExprKind::Subquery {
                            kind: SubqueryKind::In { expr: Box::new(wanted), negated: all },
                            rel: Box::new(rel),
                            column: id,
                            correlated: Vec::new(),
                        },
                        ty: Type::Bool,
                        pos,
                    })
                })
            }
        }
    }

    pub(super) fn case(
        &self,
        operand: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        cx: &Cx,
        pos: Pos,
    ) -> Result<Expr> {
        let mut results = Vec::with_capacity(branches.len() + 1);
        for (_, result) in branches {
            results.push(self.expr(result, cx)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.expr(otherwise, cx)?);
        }
        let found: Vec<String> = results.iter().map(|result| self.type_name_of(result)).collect();
        let ty = match self.unify(&mut results)? {
            Ok(ty) => ty,
            Err(_) => {
                let text = format!(
                    "No matching signature for operator CASE; all THEN/ELSE arguments must be coercible to a common \
                     type but found: {}",
                    found.join(", ")
                );
                return Err(SqlError::analysis(text).at(pos));
            }
        };
        let otherwise = if otherwise.is_some() { results.pop().map(Box::new) } else { None };
        let whole = |tests: Vec<Expr>| {
            let branches = tests.into_iter().zip(results).collect();
            Expr { kind: ExprKind::Case { branches, otherwise }, ty, pos }
        };
        match operand {
            None => {
                let mut tests = Vec::with_capacity(branches.len());
                for (test, _) in branches {
                    let test = self.expr(test, cx)?;
                    let test = match self.implicit(test, &Type::Bool)? {
                        Ok(test) => test,
                        Err(test) => {
                            let text = format!("CASE condition should return type BOOL, but returns {}", test.ty);
                            return Err(SqlError::analysis(text).at(test.pos));
                        }
                    };
                    tests.push(test);
                }
                Ok(whole(tests))
            }
            Some(operand) => {
                let mut parts = vec![self.expr(operand, cx)?];
                for (value, _) in branches {
                    parts.push(self.expr(value, cx)?);
                }
                let found: Vec<String> = parts.iter().map(|part| self.type_name_of(part)).collect();
                if self.unify(&mut parts)?.is_err() {
                    let text = format!(
                        "No matching signature for operator CASE; the CASE value and WHEN arguments must be comparable \
                         but found: {}",
                        found.join(", ")
                    );
                    return Err(SqlError::analysis(text).at(pos));
                }
                let operand = parts.remove(0);
                self.bind(operand, |operand| {
                    let mut tests = Vec::with_capacity(parts.len());
                    for value in parts {
                        let pos = value.pos;
                        tests.push(self.call_scalar("$equal", vec![operand.clone(), value], pos)?);
                    }
                    Ok(whole(tests))
                })
            }
        }
    }

    pub(super) fn logical(&self, items: &[ast::Expr], name: &str, cx: &Cx, pos: Pos) -> Result<Expr> {
        let mut resolved = Vec::with_capacity(items.len());
        for item in items {
            resolved.push(self.expr(item, cx)?);
        }
        let types: Vec<String> = resolved.iter().map(|item| self.type_name_of(item)).collect();
        let mut operands = Vec::with_capacity(resolved.len());
        for item in resolved {
            match self.implicit(item, &Type::Bool)? {
                Ok(operand) => operands.push(operand),
                Err(_) => {
                    let text = format!(
                        "No matching signature for operator {name} for argument types: {}\n  Signature: BOOL {name} \
                         BOOL\n    Argument types don't match",
                        types.join(", ")
                    );
                    return Err(SqlError::analysis(text).at(pos));
                }
            }
        }
        let kind = if name == "AND" { ExprKind::And(operands) } else { ExprKind::Or(operands) };
        Ok(Expr { kind, ty: Type::Bool, pos })
    }

    pub(super) fn is_test(&self, operand: &ast::Expr, what: IsTest, negated: bool, cx: &Cx, pos: Pos) -> Result<Expr> {
        let resolved = self.expr(operand, cx)?;
        let test = match what {
            IsTest::Null => self.call_scalar("$is_null", vec![resolved], pos)?,
            IsTest::True => self.call_scalar("$is_true", vec![resolved], pos)?,
            IsTest::False => self.call_scalar("$is_false", vec![resolved], pos)?,
            IsTest::Unknown => {
                let operand = match self.implicit(resolved, &Type::Bool)? {
                    Ok(operand) => operand,
                    Err(found) => {
                        let text =
                            format!("No matching signature for operator IS UNKNOWN for argument types: {}", found.ty);
                        return Err(SqlError::analysis(text).at(pos));
                    }
                };
                self.call_scalar("$is_null", vec![operand], pos)?
            }
        };
        self.negate_if(test, negated)
    }
}

fn named_list(names: &[String]) -> String {
    match names.split_first() {
        Some((first, rest)) => format!("{first}, {{{}}}", rest.join(", ")),
        None => String::new(),
    }
}
