//! Runs a plan over batches of columns.
//!
//! [`execute`] prepares the plan (`node`), then pushes batches from the scans up through the operators
//! (`ops`) to a sink; expressions (`eval`) turn columns into columns. Nothing here does I/O or reads a clock.

mod accumulate;
pub mod bitmap;
pub mod column;
mod context;
mod dml;
mod eval;
mod frame;
mod javascript;
mod keys;
mod node;
mod ops;
mod order;
mod refs;
#[cfg(test)]
mod sql_tests;
mod subquery;
#[cfg(test)]
mod tests;
mod text_map;
mod totals;

pub use context::{DEFAULT_MEMORY_LIMIT, ExecContext};
pub use javascript::JavaScript;

use crate::catalog::{DdlAction, Outcome, QueryResult, TableChange};
use crate::error::Result;
use crate::exec::column::Batch;
use crate::exec::context::Run;
use crate::exec::frame::Env;
use crate::exec::node::Node;
use crate::functions::EvalContext;
use crate::plan::{Ddl, Expr, MergeAction, Plan, Query};
use crate::stack;
use crate::value::Value;

/// Runs a statement. Nothing is changed: DML and DDL come back as what is to be applied.
///
/// # Errors
/// Whatever evaluation raises, with GoogleSQL's texts; `ResourcesExceeded` and `Cancelled` as `ctx` says.
pub fn execute(plan: &Plan, ctx: &ExecContext) -> Result<Outcome> {
    stack::with_room(plan_height(plan), || {
        let run = Run::new(ctx);
        match plan {
            Plan::Query(query) => Ok(Outcome::Query(run.query(query)?)),
            Plan::Insert(insert) => Ok(Outcome::Dml(run.insert(insert)?)),
            Plan::Update(update) => Ok(Outcome::Dml(run.update(update)?)),
            Plan::Delete(delete) => Ok(Outcome::Dml(run.delete(delete)?)),
            Plan::Merge(merge) => Ok(Outcome::Dml(run.merge(merge)?)),
            Plan::Truncate { table } => Ok(Outcome::Dml(dml::truncate(table))),
            Plan::Ddl(ddl) => Ok(Outcome::Ddl(run.ddl(ddl)?)),
        }
    })?
}

/// The value of an expression that reads no columns; it may have subqueries.
///
/// # Errors
/// As [`execute`].
pub fn eval_constant(expr: &Expr, ctx: &EvalContext) -> Result<Value> {
    eval_row(std::slice::from_ref(expr), &ExecContext::new(ctx.clone()))
        .map(|mut values| values.pop().unwrap_or_default())
}

/// The values of several expressions that read no columns, in order.
///
/// # Errors
/// As [`execute`].
pub fn eval_row(exprs: &[Expr], ctx: &ExecContext) -> Result<Vec<Value>> {
    let height = exprs.iter().map(refs::expr_depth).max().unwrap_or(0);
    stack::with_room(u32::try_from(height).unwrap_or(u32::MAX), || {
        let run = Run::new(ctx);
        exprs.iter().map(|expr| run.eval_once(expr, &Env::ROOT)).collect()
    })?
}

fn plan_height(plan: &Plan) -> u32 {
    let exprs = |exprs: &mut dyn Iterator<Item = &Expr>| exprs.map(refs::expr_depth).max().unwrap_or(0);
    let height = match plan {
        Plan::Query(query) => refs::rel_depth(&query.rel),
        Plan::Insert(insert) => refs::rel_depth(&insert.query),
        Plan::Update(update) => refs::rel_depth(&update.input)
            .max(exprs(&mut update.assignments.iter().map(|assignment| &assignment.value))),
        Plan::Delete(delete) => refs::rel_depth(&delete.input),
        Plan::Merge(merge) => {
            let values = merge.clauses.iter().map(|clause| {
                let values = match &clause.action {
                    MergeAction::Insert(values) => exprs(&mut values.iter()),
                    MergeAction::Update(assignments) => {
                        exprs(&mut assignments.iter().map(|assignment| &assignment.value))
                    }
                    MergeAction::Delete => 0,
                };
                values.max(exprs(&mut clause.condition.iter()))
            });
            values.max().unwrap_or(0).max(refs::rel_depth(&merge.source)).max(refs::expr_depth(&merge.on))
        }
        Plan::Truncate { .. } => 0,
        Plan::Ddl(ddl) => ddl
            .query
            .as_ref()
            .map_or(0, |query| refs::rel_depth(&query.rel))
            .max(exprs(&mut ddl.options.iter().map(|(_, value)| value))),
    };
    u32::try_from(height).unwrap_or(u32::MAX)
}

impl<'p> Run<'p> {
    fn query(&self, query: &'p Query) -> Result<QueryResult> {
        let ids: Vec<_> = query.columns.iter().map(|column| column.id).collect();
        let node = Node::compile(&query.rel, &ids)?;
        let positions: Vec<usize> = ids.iter().map(|id| node.layout.require(*id)).collect::<Result<_>>()?;
        let (batches, _held) = self.collect(&node, &Env::ROOT)?;
        let mut anonymous = 0;
        let columns = query.columns.iter().map(|column| {
            let name = column.name.clone().unwrap_or_else(|| {
                anonymous += 1;
                format!("f{}_", anonymous - 1)
            });
            (name, column.ty.clone())
        });
        let columns = columns.collect();
        Ok(QueryResult { columns, batches: batches.iter().map(|batch| ops::pick(batch, &positions)).collect() })
    }

    fn ddl(&self, ddl: &'p Ddl) -> Result<DdlAction> {
        let rows: Option<Vec<Batch>> = match &ddl.query {
            None => None,
            Some(query) => {
                let batches = self.query(query)?.batches;
                Some(match &ddl.schema {
                    None => batches,
                    Some(schema) => {
                        batches.into_iter().map(|batch| dml::stored(schema, batch)).collect::<Result<_>>()?
                    }
                })
            }
        };
        let mut options = Vec::with_capacity(ddl.options.len());
        for (name, expr) in &ddl.options {
            options.push((name.to_lowercase(), self.eval_once(expr, &Env::ROOT)?, expr.ty.clone()));
        }
        Ok(DdlAction {
            statement: ddl.statement.clone(),
            target: ddl.target.clone(),
            schema: ddl.schema.clone(),
            rows,
            options,
        })
    }
}

/// A change of nothing yet.
fn change(table: &std::sync::Arc<dyn crate::catalog::Table>) -> TableChange {
    TableChange {
        table: table.clone(),
        removed: Vec::new(),
        added: Vec::new(),
        truncate: false,
        stats: crate::catalog::DmlStats::default(),
    }
}
