//! Operators: each takes its inputs' batches and hands its own to a sink, which may say that it has enough.

mod aggregate;
mod cte;
mod join;
mod lookup;
mod set;
mod sort;
mod unnest;
mod window;

pub(super) use join::drop_null_keys;

use std::sync::Arc;

use crate::catalog::{HintOp, ScanHint, ScanRequest, Table};
use crate::error::{Result, SqlError};
use crate::exec::column::{Batch, Column, ColumnBuilder};
use crate::exec::context::{Flow, Held, OTHER, Run, Sink};
use crate::exec::frame::{Env, Frame};
use crate::exec::keys::Grouper;
use crate::exec::node::{Node, Op};
use crate::plan::{ColumnId, Expr};
use crate::types::Type;
use crate::value::Value;

/// Rows that operators which multiply rows put into one batch.
const CHUNK: usize = 65_536;

impl<'p> Run<'p> {
    /// Runs an operator until its rows or the sink's wish for more end.
    pub(super) fn run(&self, node: &Node<'p>, env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        match &node.op {
            Op::Scan { table, columns, row_id, hints } => self.scan(table, columns, *row_id, hints, env, sink),
            Op::SingleRow => {
                self.step(1)?;
                sink(Batch::new(Vec::new(), 1))
            }
            Op::Values { types, rows } => self.values(types, rows, env, sink),
            Op::Filter { input, predicates, keep } => self.filter(input, predicates, keep, env, sink),
            Op::Lookup(lookup) => self.lookup(lookup, env, sink),
            Op::Compute { input, keep, columns, produced } => self.compute(input, keep, columns, produced, env, sink),
            Op::Join(join) => self.join(join, env, sink),
            Op::Unnest { arrays, offset, strict } => self.unnest(arrays, *offset, *strict, env, sink),
            Op::Aggregate { input, keys, sets, grouping, calls } => {
                self.aggregate(input, keys, *sets, grouping, calls, env, sink)
            }
            Op::Window { input, keep, groups } => self.window(input, keep, groups, env, sink),
            Op::Distinct { input, columns } => self.distinct(input, columns, env, sink),
            Op::Sort { input, keys, keep, limit } => self.sort(input, keys, keep, *limit, env, sink),
            Op::Limit { input, limit, offset } => self.limit(input, *limit, *offset, env, sink),
            Op::SetOperation { kind, all, inputs, types } => self.set_operation(*kind, *all, inputs, types, env, sink),
            Op::With { ctes, body } => self.with(ctes, body, env, sink),
            Op::CteRef { cte, columns } => self.cte_ref(*cte, columns, env, sink),
            Op::Sample { input, percent } => self.sample(input, percent, env, sink),
        }
    }

    /// All batches of an operator, held in memory.
    pub(super) fn collect(&self, node: &Node<'p>, env: &Env<'_>) -> Result<(Vec<Batch>, Held<'_>)> {
        self.collect_for(OTHER, node, env)
    }

    fn collect_for(&self, consumer: &'static str, node: &Node<'p>, env: &Env<'_>) -> Result<(Vec<Batch>, Held<'_>)> {
        let mut held = self.hold_for(consumer, 0)?;
        let mut batches = Vec::new();
        self.run(node, env, &mut |batch: Batch| {
            if batch.len > 0 {
                held.grow(batch.memory())?;
                batches.push(batch);
            }
            Ok(Flow::More)
        })?;
        Ok((batches, held))
    }

    /// As [`Run::collect`], in one batch that has the node's columns even without rows.
    pub(super) fn collect_one(
        &self,
        consumer: &'static str,
        node: &Node<'p>,
        env: &Env<'_>,
    ) -> Result<(Batch, Held<'_>)> {
        let (batches, mut held) = self.collect_for(consumer, node, env)?;
        if batches.is_empty() {
            return Ok((empty(node.layout.ids.len()), held));
        }
        let merge = batches.len() > 1;
        let batch = Batch::concat(&batches);
        if merge {
            held.grow(batch.memory())?;
            drop(batches);
            held.at_most(batch.memory());
        }
        Ok((batch, held))
    }

    fn scan(
        &self,
        table: &'p Arc<dyn Table>,
        columns: &[usize],
        row_ids: bool,
        hints: &[(usize, HintOp, &'p Expr)],
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let mut known = Vec::new();
        for (column, op, expr) in hints {
            // An expression that fails here fails again, and with its own text, where it filters rows.
            if let Ok(value) = self.eval_once(expr, env) {
                if value.is_null() {
                    return Ok(Flow::More);
                }
                known.push(ScanHint { column: *column, op: *op, value });
            }
        }
        let request = ScanRequest { columns: columns.to_vec(), row_ids, hints: known };
        for batch in table.scan(&request)? {
            self.step(batch.len)?;
            if batch.len > 0 && sink(batch)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::More)
    }

    fn values(&self, types: &'p [Type], rows: &'p [Vec<Expr>], env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        let mut builders: Vec<ColumnBuilder> = types.iter().map(ColumnBuilder::new).collect();
        for (row, exprs) in rows.iter().enumerate() {
            for (builder, expr) in builders.iter_mut().zip(exprs) {
                builder.push(self.eval_once(expr, env)?);
            }
            self.tick(row)?;
        }
        self.step(rows.len())?;
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        sink(Batch::new(columns, rows.len()))
    }

    pub(super) fn filter(
        &self,
        input: &Node<'p>,
        predicates: &[&'p Expr],
        keep: &[usize],
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        self.run(input, env, &mut |batch: Batch| {
            self.step(batch.len)?;
            let rows = self.passing(predicates, &Frame::batch(&input.layout, &batch, env))?;
            if rows.is_empty() { Ok(Flow::More) } else { sink(take(&batch, keep, &rows)) }
        })
    }

    /// The rows for which all predicates are TRUE; each is evaluated for the rows that passed those before.
    pub(super) fn passing(&self, predicates: &[&'p Expr], frame: &Frame<'_>) -> Result<Vec<u32>> {
        let mut rows: Option<Vec<u32>> = None;
        for predicate in predicates {
            rows = Some(match rows {
                None => self.rows_where(predicate, frame)?,
                Some(rows) if rows.is_empty() => return Ok(rows),
                Some(rows) if rows.len() == frame.len => self.rows_where(predicate, frame)?,
                Some(rows) => {
                    let passed = self.rows_where(predicate, &frame.select(&rows))?;
                    passed.iter().filter_map(|at| rows.get(*at as usize).copied()).collect()
                }
            });
        }
        Ok(rows.unwrap_or_else(|| (0..frame.len as u32).collect()))
    }

    fn compute(
        &self,
        input: &Node<'p>,
        keep: &[usize],
        columns: &[(ColumnId, &'p Expr)],
        produced: &[usize],
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        self.run(input, env, &mut |batch: Batch| {
            self.step(batch.len)?;
            let computed = {
                let frame = Frame::batch(&input.layout, &batch, env);
                let mut computed: Vec<(ColumnId, Arc<Column>)> = Vec::with_capacity(columns.len());
                for (id, expr) in columns {
                    let column = self.eval(expr, &frame.bind(&computed))?;
                    computed.push((*id, column));
                }
                computed
            };
            let mut out = pick(&batch, keep);
            out.columns.extend(produced.iter().filter_map(|at| computed.get(*at).map(|(_, column)| column.clone())));
            sink(out)
        })
    }

    fn distinct(&self, input: &Node<'p>, columns: &[usize], env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        let mut held = self.hold(0)?;
        let mut grouper: Option<Grouper> = None;
        let mut fresh = Vec::new();
        self.run(input, env, &mut |batch: Batch| {
            self.step(batch.len)?;
            let batch = pick(&batch, columns);
            if batch.len == 0 {
                return Ok(Flow::More);
            }
            let grouper = grouper.get_or_insert_with(|| Grouper::for_columns(&batch.columns));
            fresh.clear();
            grouper.group(&batch.columns, batch.len, &mut fresh);
            held.at_least(grouper.memory())?;
            if fresh.is_empty() { Ok(Flow::More) } else { sink(batch.gather(&fresh)) }
        })
    }

    fn limit(
        &self,
        input: &Node<'p>,
        limit: Option<&'p Expr>,
        offset: Option<&'p Expr>,
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let mut skip = self.row_count(offset, env)?.unwrap_or(0);
        let mut left = self.row_count(limit, env)?.unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(Flow::More);
        }
        let mut flow = Flow::More;
        self.run(input, env, &mut |batch: Batch| {
            let skipped = skip.min(batch.len);
            skip -= skipped;
            let wanted = (batch.len - skipped).min(left);
            left -= wanted;
            if wanted > 0 {
                flow = sink(batch.slice(skipped, wanted))?;
            }
            Ok(if left == 0 { Flow::Stop } else { flow })
        })?;
        Ok(flow)
    }

    /// LIMIT's and OFFSET's operand; the analyzer has seen that it is a constant, not that it is no NULL.
    pub(super) fn row_count(&self, expr: Option<&'p Expr>, env: &Env<'_>) -> Result<Option<usize>> {
        let Some(expr) = expr else { return Ok(None) };
        match self.eval_once(expr, env)? {
            Value::Int64(count) => {
                Ok(Some(usize::try_from(count).map_err(|_| {
                    SqlError::evaluation(format!("Limit/offset parameter must not be negative: {count}"))
                })?))
            }
            _ => Err(SqlError::evaluation("Limit/offset parameter must not be NULL")),
        }
    }

    fn sample(&self, input: &Node<'p>, percent: &'p Expr, env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        let percent = match self.eval_once(percent, env)? {
            Value::Int64(percent) => percent as f64,
            Value::Float64(percent) => percent,
            _ => return Err(SqlError::evaluation("PERCENT value must not be NULL")),
        };
        if !(0.0..=100.0).contains(&percent) {
            return Err(SqlError::evaluation("PERCENT value must be in the range [0, 100]"));
        }
        let mut state = self.ctx.eval.draws.next_u64() | 1;
        self.run(input, env, &mut |batch: Batch| {
            self.step(batch.len)?;
            let rows: Vec<u32> = (0..batch.len as u32)
                .filter(|_| {
                    // xorshift64: reproducible from the statement's seed, and more than good enough to pick rows.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 11) as f64 / (1u64 << 53) as f64 * 100.0 < percent
                })
                .collect();
            if rows.is_empty() { Ok(Flow::More) } else { sink(batch.gather(&rows)) }
        })
    }
}

/// A batch of no rows with so many columns.
pub(super) fn empty(columns: usize) -> Batch {
    Batch::new((0..columns).map(|_| Arc::new(Column::nulls(0))).collect(), 0)
}

/// The columns at `keep`.
pub(super) fn pick(batch: &Batch, keep: &[usize]) -> Batch {
    Batch::new(keep.iter().filter_map(|at| batch.columns.get(*at).cloned()).collect(), batch.len)
}

/// The columns at `keep` of the rows at `rows`, which are distinct and ascending.
pub(super) fn take(batch: &Batch, keep: &[usize], rows: &[u32]) -> Batch {
    let picked = pick(batch, keep);
    if rows.len() == batch.len { picked } else { picked.gather(rows) }
}
