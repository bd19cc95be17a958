//! Joins: by hash where there are equal pairs, else every pair; lateral ones row by row.

use std::sync::Arc;

use super::{CHUNK, pick};
use crate::error::Result;
use crate::exec::bitmap::Bitmap;
use crate::exec::column::{Batch, Column, NO_ROW};
use crate::exec::context::{Flow, JOINS, Run, Sink};
use crate::exec::frame::{Env, Frame, Part};
use crate::exec::keys::{Buckets, Grouper};
use crate::exec::node::{Join, Op};
use crate::plan::JoinKind;
use crate::value::Value;

/// Pairs of rows found so far, in the order of the left batch's rows `from..to`.
#[derive(Default)]
struct Pairs {
    left: Vec<u32>,
    right: Vec<u32>,
    from: usize,
    to: usize,
}

impl<'p> Run<'p> {
    pub(super) fn join(&self, join: &Join<'p>, env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        if join.lateral {
            return match &join.right.op {
                Op::Unnest { arrays, offset, strict } => self.lateral_unnest(join, arrays, *offset, *strict, env, sink),
                _ => self.lateral(join, env, sink),
            };
        }
        let (right, mut held) = self.collect_one(JOINS, &join.right, env)?;
        let keep_unmatched_left = matches!(join.kind, JoinKind::Left | JoinKind::Full);
        let keep_unmatched_right = matches!(join.kind, JoinKind::Right | JoinKind::Full);
        if right.len == 0 && !keep_unmatched_left {
            return Ok(Flow::More);
        }
        let mut matched = keep_unmatched_right.then(|| Bitmap::filled(false, right.len));

        let mut table = if join.keys.is_empty() {
            None
        } else {
            let frame = Frame::batch(&join.right.layout, &right, env);
            let keys: Vec<Arc<Column>> =
                join.keys.iter().map(|(_, key)| self.eval(key, &frame)).collect::<Result<_>>()?;
            let mut grouper = Grouper::new(join.keys.iter().map(|(_, key)| &key.ty));
            let mut ids = grouper.group(&keys, right.len, &mut Vec::new());
            drop_null_keys(&keys, &mut ids);
            let buckets = Buckets::new(&ids, grouper.groups());
            held.grow(grouper.memory() + buckets.memory())?;
            Some((grouper, buckets))
        };

        let mut flow = self.run(&join.left, env, &mut |left: Batch| {
            self.step(left.len)?;
            let mut pairs = Pairs::default();
            let mut emit = |pairs: &mut Pairs, to: usize| {
                pairs.to = to;
                let flow = self.emit(join, &left, &right, pairs, keep_unmatched_left, matched.as_mut(), env, sink)?;
                *pairs = Pairs { from: to, ..Pairs::default() };
                Ok::<_, crate::error::SqlError>(flow)
            };
            match &mut table {
                Some((grouper, buckets)) => {
                    let frame = Frame::batch(&join.left.layout, &left, env);
                    let keys: Vec<Arc<Column>> =
                        join.keys.iter().map(|(key, _)| self.eval(key, &frame)).collect::<Result<_>>()?;
                    let mut ids = grouper.find(&keys, left.len);
                    drop_null_keys(&keys, &mut ids);
                    for (row, id) in ids.into_iter().enumerate() {
                        let found = if id == NO_ROW { &[][..] } else { buckets.rows(id) };
                        pairs.left.extend(std::iter::repeat_n(row as u32, found.len()));
                        pairs.right.extend_from_slice(found);
                        if pairs.left.len() >= CHUNK && emit(&mut pairs, row + 1)? == Flow::Stop {
                            return Ok(Flow::Stop);
                        }
                    }
                }
                None => {
                    for row in 0..left.len {
                        pairs.left.extend(std::iter::repeat_n(row as u32, right.len));
                        pairs.right.extend(0..right.len as u32);
                        if pairs.left.len() >= CHUNK {
                            self.step(pairs.left.len())?;
                            if emit(&mut pairs, row + 1)? == Flow::Stop {
                                return Ok(Flow::Stop);
                            }
                        }
                    }
                }
            }
            emit(&mut pairs, left.len)
        })?;
        if let (Flow::More, Some(matched)) = (flow, matched) {
            let rest: Vec<u32> = (0..right.len as u32).filter(|row| !matched.get(*row as usize)).collect();
            for rows in rest.chunks(CHUNK) {
                let mut out = Batch::new(Vec::new(), rows.len());
                out.columns.extend(join.keep_left.iter().map(|_| Arc::new(Column::nulls(rows.len()))));
                out.columns.extend(pick(&right, &join.keep_right).gather(rows).columns);
                flow = sink(out)?;
                if flow == Flow::Stop {
                    break;
                }
            }
        }
        Ok(flow)
    }

    /// Applies the residual conditions to the pairs, adds left rows without a partner, and hands them on.
    #[allow(clippy::too_many_arguments)]
    fn emit(
        &self,
        join: &Join<'p>,
        left: &Batch,
        right: &Batch,
        pairs: &mut Pairs,
        keep_unmatched_left: bool,
        matched_right: Option<&mut Bitmap>,
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        self.step(pairs.left.len())?;
        if !join.residual.is_empty() && !pairs.left.is_empty() {
            let parts = [
                Part { layout: &join.left.layout, columns: &left.columns, rows: Some(&pairs.left) },
                Part { layout: &join.right.layout, columns: &right.columns, rows: Some(&pairs.right) },
            ];
            let rows = self.passing(&join.residual, &Frame::parts(&parts, pairs.left.len(), env))?;
            if rows.len() < pairs.left.len() {
                let of = |side: &[u32]| rows.iter().filter_map(|at| side.get(*at as usize).copied()).collect();
                (pairs.left, pairs.right) = (of(&pairs.left), of(&pairs.right));
            }
        }
        if let Some(matched) = matched_right {
            pairs.right.iter().for_each(|row| matched.set(*row as usize, true));
        }
        if keep_unmatched_left {
            pad_left(pairs);
        }
        if pairs.left.is_empty() {
            return Ok(Flow::More);
        }
        let left_columns = pick(left, &join.keep_left);
        let identity = pairs.left.len() == left.len && pairs.left.iter().enumerate().all(|(at, row)| at as u32 == *row);
        let mut out = if identity { left_columns } else { left_columns.gather(&pairs.left) };
        out.columns.extend(pick(right, &join.keep_right).gather(&pairs.right).columns);
        sink(out)
    }

    /// Runs the right side once for each row of the left.
    fn lateral(&self, join: &Join<'p>, env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        let keep_unmatched_left = matches!(join.kind, JoinKind::Left | JoinKind::Full);
        self.run(&join.left, env, &mut |left: Batch| {
            self.step(left.len)?;
            let mut pairs = Pairs::default();
            let mut found: Vec<Batch> = Vec::new();
            let mut count = 0;
            for row in 0..left.len {
                let values: Vec<Value> = left.row(row);
                let inner = Env::within(env, &join.left.layout.ids, &values);
                self.run(&join.right, &inner, &mut |batch: Batch| {
                    if batch.len > 0 {
                        pairs.left.extend(std::iter::repeat_n(row as u32, batch.len));
                        pairs.right.extend(count..count + batch.len as u32);
                        count += batch.len as u32;
                        found.push(batch);
                    }
                    Ok(Flow::More)
                })?;
                if pairs.left.len() >= CHUNK || row + 1 == left.len {
                    let right = match found.as_slice() {
                        [] => super::empty(join.right.layout.ids.len()),
                        batches => Batch::concat(batches),
                    };
                    pairs.to = row + 1;
                    let flow = self.emit(join, &left, &right, &mut pairs, keep_unmatched_left, None, env, sink)?;
                    if flow == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                    pairs = Pairs { from: row + 1, ..Pairs::default() };
                    found.clear();
                    count = 0;
                }
            }
            Ok(Flow::More)
        })
    }

    fn lateral_unnest(
        &self,
        join: &Join<'p>,
        arrays: &'p [(crate::plan::ColumnId, crate::plan::Expr)],
        offset: bool,
        strict: bool,
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let keep_unmatched_left = matches!(join.kind, JoinKind::Left | JoinKind::Full);
        self.run(&join.left, env, &mut |left: Batch| {
            self.step(left.len)?;
            let mut from = 0;
            while from < left.len {
                let (right, origin, to) = {
                    let frame = Frame::batch(&join.left.layout, &left, env);
                    self.expand(arrays, offset, strict, &frame, from)?
                };
                let mut pairs = Pairs { right: (0..origin.len() as u32).collect(), left: origin, from, to };
                let flow = self.emit(join, &left, &right, &mut pairs, keep_unmatched_left, None, env, sink)?;
                if flow == Flow::Stop {
                    return Ok(Flow::Stop);
                }
                from = to;
            }
            Ok(Flow::More)
        })
    }
}

/// A key with a NULL in it matches nothing; neither does one with a NaN.
pub(in crate::exec) fn drop_null_keys(keys: &[Arc<Column>], ids: &mut [u32]) {
    for key in keys {
        let floats = matches!(**key, Column::Float64(_) | Column::Constant(Value::Float64(_), _) | Column::Any(_));
        if key.has_no_nulls() && !floats {
            continue;
        }
        for (row, id) in ids.iter_mut().enumerate() {
            if key.is_null(row) || floats && key.float_at(row).is_some_and(f64::is_nan) {
                *id = NO_ROW;
            }
        }
    }
}

/// Adds the left rows that no pair has, with no right row, each in its place.
fn pad_left(pairs: &mut Pairs) {
    let mut left = Vec::with_capacity(pairs.left.len());
    let mut right = Vec::with_capacity(pairs.right.len());
    let mut found = pairs.left.iter().zip(&pairs.right).peekable();
    for row in pairs.from as u32..pairs.to as u32 {
        let before = left.len();
        while let Some((_, partner)) = found.next_if(|(of, _)| **of == row) {
            left.push(row);
            right.push(*partner);
        }
        if left.len() == before {
            left.push(row);
            right.push(NO_ROW);
        }
    }
    (pairs.left, pairs.right) = (left, right);
}
