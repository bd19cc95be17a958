//! Subqueries in expressions: run once where nothing outside changes them, else once for each distinct
//! combination of the outer values that they read.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::exec::column::{Batch, Column, ColumnBuilder, NO_ROW};
use crate::exec::context::{Flow, Run};
use crate::exec::frame::{Env, Frame};
use crate::exec::keys::{FastMap, Grouper};
use crate::exec::node::Node;
use crate::functions::{Call, Nulls, ScalarFunction};
use crate::plan::{ColumnId, Expr, Rel, SubqueryKind};
use crate::types::Type;
use crate::value::Value;
use crate::value::compare::{GroupKey, group_key};

/// Distinct combinations of outer values whose results are kept.
const MEMO_LIMIT: usize = 100_000;

/// A subquery prepared, with its results so far.
pub(super) struct Subquery<'p> {
    node: Node<'p>,
    /// The CTEs from outside that it reads.
    reads: Vec<usize>,
    memo: RefCell<FastMap<GroupKey, Rc<Answer>>>,
}

/// What a subquery came to for one combination of outer values.
enum Answer {
    Value(Value),
    Members(RefCell<Members>),
}

/// The values of an IN subquery.
struct Members {
    grouper: Grouper,
    any: bool,
    null: bool,
    /// Kept where equality is not that of grouping: values with parts that may be NULL.
    values: Vec<Value>,
}

impl<'p> Run<'p> {
    pub(super) fn subquery(
        &self,
        kind: &'p SubqueryKind,
        rel: &'p Rel,
        column: ColumnId,
        correlated: &'p [ColumnId],
        expr: &'p Expr,
        frame: &Frame<'_>,
    ) -> Result<Arc<Column>> {
        let subquery = self.prepared(rel, column, kind, correlated)?;
        let fixed = {
            let ctes = self.ctes.borrow();
            subquery.reads.iter().all(|id| ctes.get(id).is_none_or(|cte| cte.fixed))
        };
        let outer: Vec<Arc<Column>> = correlated.iter().map(|id| frame.column(*id)).collect::<Result<_>>()?;
        let tested = match kind {
            SubqueryKind::In { expr, .. } | SubqueryKind::Quantified { expr, .. } => Some(self.eval(expr, frame)?),
            SubqueryKind::Scalar | SubqueryKind::Array | SubqueryKind::Exists => None,
        };
        let tested_type = match kind {
            SubqueryKind::In { expr, .. } | SubqueryKind::Quantified { expr, .. } => Some(&expr.ty),
            _ => None,
        };

        if outer.iter().all(|column| matches!(**column, Column::Constant(..))) {
            let values: Vec<Value> = outer.iter().map(|column| column.get(0)).collect();
            let answer = self.answer(&subquery, kind, column, correlated, values, fixed, tested_type, frame.env)?;
            return match &tested {
                None => Ok(Arc::new(match &*answer {
                    Answer::Value(value) => Column::constant(value.clone(), frame.len),
                    Answer::Members(_) => Column::nulls(frame.len),
                })),
                Some(tested) => self.test_members(kind, &answer, tested, frame.len, expr),
            };
        }

        let mut builder = ColumnBuilder::with_capacity(&expr.ty, frame.len);
        for row in 0..frame.len {
            let values: Vec<Value> = outer.iter().map(|column| column.get(row)).collect();
            let answer = self.answer(&subquery, kind, column, correlated, values, fixed, tested_type, frame.env)?;
            match (&*answer, &tested) {
                (Answer::Value(value), _) => builder.push(value.clone()),
                (Answer::Members(_), Some(tested)) => {
                    builder.push(self.test_members(kind, &answer, &Arc::new(tested.slice(row, 1)), 1, expr)?.get(0));
                }
                (Answer::Members(_), None) => builder.push_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn prepared(
        &self,
        rel: &'p Rel,
        column: ColumnId,
        kind: &SubqueryKind,
        correlated: &[ColumnId],
    ) -> Result<Rc<Subquery<'p>>> {
        let address = std::ptr::from_ref(rel) as usize;
        if let Some(known) = self.subqueries.borrow().get(&address) {
            return Ok(known.clone());
        }
        let needed: &[ColumnId] = if matches!(kind, SubqueryKind::Exists) { &[] } else { &[column] };
        let node = Node::compile(rel, needed)?.index(correlated);
        let mut reads = Vec::new();
        node.cte_reads(&mut reads);
        let subquery = Rc::new(Subquery { node, reads, memo: RefCell::default() });
        self.subqueries.borrow_mut().insert(address, subquery.clone());
        Ok(subquery)
    }

    #[allow(clippy::too_many_arguments)]
    fn answer(
        &self,
        subquery: &Subquery<'p>,
        kind: &'p SubqueryKind,
        column: ColumnId,
        correlated: &[ColumnId],
        values: Vec<Value>,
        fixed: bool,
        tested_type: Option<&Type>,
        env: &Env<'_>,
    ) -> Result<Rc<Answer>> {
        let key = group_key(values);
        if fixed && let Some(known) = subquery.memo.borrow().get(&key) {
            return Ok(known.clone());
        }
        let env = Env::within(env, correlated, &key.0);
        let answer = Rc::new(self.run_subquery(&subquery.node, kind, column, tested_type, &env)?);
        if fixed {
            let mut memo = subquery.memo.borrow_mut();
            if memo.len() < MEMO_LIMIT {
                memo.insert(key, answer.clone());
            }
        }
        Ok(answer)
    }

    fn run_subquery(
        &self,
        node: &Node<'p>,
        kind: &'p SubqueryKind,
        column: ColumnId,
        tested_type: Option<&Type>,
        env: &Env<'_>,
    ) -> Result<Answer> {
        self.step(1)?;
        if let SubqueryKind::Exists = kind {
            let mut any = false;
            self.run(node, env, &mut |batch: Batch| {
                any |= batch.len > 0;
                Ok(if any { Flow::Stop } else { Flow::More })
            })?;
            return Ok(Answer::Value(Value::Bool(any)));
        }
        let at = node.layout.require(column)?;
        let mut held = self.hold(0)?;
        match kind {
            SubqueryKind::Scalar => {
                let mut found: Option<Value> = None;
                self.run(node, env, &mut |batch: Batch| {
                    if batch.len > usize::from(found.is_none()) {
                        return Err(SqlError::evaluation("Scalar subquery produced more than one element"));
                    }
                    if batch.len == 1 {
                        found = batch.columns.get(at).map(|column| column.get(0));
                    }
                    Ok(Flow::More)
                })?;
                Ok(Answer::Value(found.unwrap_or_default()))
            }
            SubqueryKind::Array => {
                let mut items = Vec::new();
                self.run(node, env, &mut |batch: Batch| {
                    if let Some(column) = batch.columns.get(at) {
                        held.grow(column.memory())?;
                        items.extend((0..batch.len).map(|row| column.get(row)));
                    }
                    Ok(Flow::More)
                })?;
                Ok(Answer::Value(Value::array(items)))
            }
            SubqueryKind::Exists | SubqueryKind::In { .. } | SubqueryKind::Quantified { .. } => {
                let mut members =
                    Members { grouper: Grouper::new(tested_type), any: false, null: false, values: Vec::new() };
                let keep = matches!(kind, SubqueryKind::Quantified { .. })
                    || tested_type.is_some_and(|ty| matches!(ty, Type::Struct(_) | Type::Array(_)));
                let mut fresh = Vec::new();
                self.run(node, env, &mut |batch: Batch| {
                    let Some(column) = batch.columns.get(at) else { return Ok(Flow::Stop) };
                    if batch.len == 0 {
                        return Ok(Flow::More);
                    }
                    fresh.clear();
                    members.grouper.group(std::slice::from_ref(column), batch.len, &mut fresh);
                    for row in &fresh {
                        members.any = true;
                        members.null |= column.is_null(*row as usize);
                        if keep {
                            members.values.push(column.get(*row as usize));
                        }
                    }
                    held.at_least(members.grouper.memory())?;
                    Ok(Flow::More)
                })?;
                Ok(Answer::Members(RefCell::new(members)))
            }
        }
    }

    fn test_members(
        &self,
        kind: &'p SubqueryKind,
        answer: &Answer,
        tested: &Arc<Column>,
        len: usize,
        expr: &'p Expr,
    ) -> Result<Arc<Column>> {
        let Answer::Members(members) = answer else { return Ok(Arc::new(Column::nulls(len))) };
        let mut members = members.borrow_mut();
        match kind {
            SubqueryKind::In { negated, .. } => {
                let found = members.grouper.find(std::slice::from_ref(tested), len);
                let mut out = ColumnBuilder::with_capacity(&Type::Bool, len);
                for (row, found) in found.into_iter().enumerate() {
                    let is_member = if !members.any {
                        Some(false)
                    } else if tested.is_null(row) {
                        None
                    } else if !members.values.is_empty() {
                        let value = tested.get(row);
                        any_of(members.values.iter().map(|member| crate::value::compare::sql_equal(&value, member)))
                    } else if tested.float_at(row).is_some_and(f64::is_nan) || found == NO_ROW {
                        if members.null { None } else { Some(false) }
                    } else {
                        Some(true)
                    };
                    out.push(is_member.map_or(Value::Null, |is_member| Value::Bool(is_member != *negated)));
                }
                Ok(Arc::new(out.finish()))
            }
            SubqueryKind::Quantified { expr: operand, function, all } => {
                let arg_types = [operand.ty.clone(), operand.ty.clone()];
                let call = Call { ctx: &self.ctx.eval, arg_types: &arg_types, result_type: &expr.ty };
                let mut out = ColumnBuilder::with_capacity(&Type::Bool, len);
                for row in 0..len {
                    let value = tested.get(row);
                    let tests: Vec<Option<bool>> = members
                        .values
                        .iter()
                        .map(|member| test_pair(function, &call, &value, member))
                        .collect::<Result<_>>()?;
                    let truth = if *all {
                        any_of(tests.into_iter().map(|test| test.map(|test| !test))).map(|any| !any)
                    } else {
                        any_of(tests.into_iter())
                    };
                    out.push(truth.map_or(Value::Null, Value::Bool));
                }
                Ok(Arc::new(out.finish()))
            }
            SubqueryKind::Scalar | SubqueryKind::Array | SubqueryKind::Exists => Ok(Arc::new(Column::nulls(len))),
        }
    }
}

/// Three-valued OR.
fn any_of(tests: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(false);
    for test in tests {
        match test {
            Some(true) => return Some(true),
            None => result = None,
            Some(false) => {}
        }
    }
    result
}

fn test_pair(function: &ScalarFunction, call: &Call<'_>, a: &Value, b: &Value) -> Result<Option<bool>> {
    if function.nulls == Nulls::Propagate && (a.is_null() || b.is_null()) {
        return Ok(None);
    }
    Ok(match (function.code)(call, &[a.clone(), b.clone()])? {
        Value::Bool(truth) => Some(truth),
        _ => None,
    })
}
