//! MERGE: pairs of target and source rows, then the first clause that applies to each.
//!
//! The target is read twice: once only the columns that conditions and values look at, to find out what
//! happens; then whole rows, of which only the updated ones are taken.

use std::sync::Arc;

use super::{Touched, assigned, row_ids, stored};
use crate::catalog::{RowId, TableChange};
use crate::error::{Result, SqlError};
use crate::exec::bitmap::Bitmap;
use crate::exec::change;
use crate::exec::column::{Batch, Column, NO_ROW};
use crate::exec::context::{Flow, JOINS, Run};
use crate::exec::frame::{Env, Frame, Layout, Part};
use crate::exec::keys::{Buckets, FastMap, Grouper};
use crate::exec::node::{Node, split_on};
use crate::exec::ops::drop_null_keys;
use crate::exec::refs::{self, Ids};
use crate::plan::{Assignment, Expr, ExprKind, Merge, MergeAction, MergeClause, MergeWhen};
use crate::value::Value;

/// Pairs looked at together.
const CHUNK: usize = 65_536;

/// Both sides in view: row `i` of a frame is target row `target[i]` and source row `source[i]`; [`NO_ROW`] for none.
struct Sides<'m> {
    target: (&'m Layout, &'m Batch),
    source: (&'m Layout, &'m Batch),
}

impl<'m> Sides<'m> {
    fn parts<'f>(&'f self, target: &'f [u32], source: &'f [u32]) -> [Part<'f>; 2] {
        [
            Part { layout: self.target.0, columns: &self.target.1.columns, rows: Some(target) },
            Part { layout: self.source.0, columns: &self.source.1.columns, rows: Some(source) },
        ]
    }
}

/// The rows that an UPDATE clause changes, and its values for them.
struct Updated<'p> {
    assignments: &'p [Assignment],
    ids: Vec<RowId>,
    /// Parallel to `assignments`.
    values: Vec<Arc<Column>>,
}

impl<'p> Run<'p> {
    pub(in crate::exec) fn merge(&self, merge: &'p Merge) -> Result<TableChange> {
        let source_ids: Ids = refs::output(&merge.source).into_iter().collect();
        let target_ids: Ids = merge.columns.iter().copied().chain([merge.row_id]).collect();
        let by_source = merge.clauses.iter().any(|clause| clause.when == MergeWhen::NotMatchedBySource);
        let never = matches!(merge.on.kind, ExprKind::Literal(Value::Bool(false) | Value::Null));

        let on = split_on(&merge.on, &target_ids, &source_ids);
        let mut looked_at = refs_of(merge);
        looked_at.insert(merge.row_id);
        let seen = |ids: &Ids| -> Ids { looked_at.intersection(ids).copied().collect() };
        // A condition on the target alone decides which target rows can match. It may be applied first
        // unless the rows that do not match matter.
        let (early, late) = if by_source { (Vec::new(), on.left_only) } else { (on.left_only, Vec::new()) };
        let residual: Vec<&'p Expr> = on.residual.into_iter().chain(late).collect();

        let source_node = Node::compile_filtered(&merge.source, Vec::new(), &seen(&source_ids))?;
        let (source, _source_held) = self.collect_one(JOINS, &source_node, &Env::ROOT)?;
        let target_node = Node::compile_filtered(&merge.target, early, &seen(&target_ids))?;
        let (target, _target_held) = if (never || source.len == 0) && !by_source {
            (crate::exec::ops::empty(target_node.layout.ids.len()), self.hold(0)?)
        } else {
            self.collect_one(JOINS, &target_node, &Env::ROOT)?
        };
        let sides = Sides { target: (&target_node.layout, &target), source: (&source_node.layout, &source) };

        let pairs = if never { (Vec::new(), Vec::new()) } else { self.pairs(&on.keys, &residual, &sides)? };
        let mut target_matched = Bitmap::filled(false, target.len);
        let mut source_matched = Bitmap::filled(false, source.len);
        pairs.0.iter().for_each(|row| target_matched.set(*row as usize, true));
        pairs.1.iter().for_each(|row| source_matched.set(*row as usize, true));
        let alone = |matched: &Bitmap| -> Vec<u32> {
            (0..matched.len() as u32).filter(|row| !matched.get(*row as usize)).collect()
        };
        let target_alone = if by_source { alone(&target_matched) } else { Vec::new() };
        let source_alone = alone(&source_matched);

        let mut change = change(&merge.table);
        let mut touched = Touched::default();
        let mut updates = Vec::new();
        let ids = match target_node.layout.position(merge.row_id).and_then(|at| target.columns.get(at)) {
            Some(column) => row_ids(column, target.len)?,
            None => Vec::new(),
        };
        let groups = [
            (MergeWhen::Matched, pairs.0, pairs.1),
            (MergeWhen::NotMatchedByTarget, vec![NO_ROW; source_alone.len()], source_alone),
            (MergeWhen::NotMatchedBySource, target_alone.clone(), vec![NO_ROW; target_alone.len()]),
        ];
        for (when, mut targets, mut sources) in groups {
            for clause in merge.clauses.iter().filter(|clause| clause.when == when) {
                if targets.is_empty() {
                    break;
                }
                let (taken, rest) = self.taken(clause, &sides, &targets, &sources)?;
                let of = |side: &[u32], rows: &[u32]| -> Vec<u32> {
                    rows.iter().filter_map(|at| side.get(*at as usize).copied()).collect()
                };
                let (taken_targets, taken_sources) = (of(&targets, &taken), of(&sources, &taken));
                (targets, sources) = (of(&targets, &rest), of(&sources, &rest));
                if taken.is_empty() {
                    continue;
                }
                let parts = sides.parts(&taken_targets, &taken_sources);
                let frame = Frame::parts(&parts, taken.len(), &Env::ROOT);
                match &clause.action {
                    MergeAction::Insert(values) => {
                        let rows = self.new_rows(&merge.table, values, &frame)?;
                        change.stats.inserted += rows.len as u64;
                        change.added.push(rows);
                    }
                    MergeAction::Delete => {
                        for row in &taken_targets {
                            touched.add(ids.get(*row as usize).copied().unwrap_or_default())?;
                        }
                        change.stats.deleted += taken.len() as u64;
                    }
                    MergeAction::Update(assignments) => {
                        let ids: Vec<RowId> =
                            taken_targets.iter().filter_map(|row| ids.get(*row as usize).copied()).collect();
                        ids.iter().try_for_each(|id| touched.add(*id))?;
                        let mut values = Vec::with_capacity(assignments.len());
                        for assignment in assignments {
                            values.push(self.eval(&assignment.value, &frame)?);
                        }
                        change.stats.updated += taken.len() as u64;
                        updates.push(Updated { assignments, ids, values });
                    }
                }
            }
        }
        self.updated_rows(merge, &updates, &mut change)?;
        change.removed = touched.sorted();
        Ok(change)
    }

    /// The pairs for which ON is TRUE, in the target's order.
    fn pairs(
        &self,
        keys: &[(&'p Expr, &'p Expr)],
        residual: &[&'p Expr],
        sides: &Sides<'_>,
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        let (target, source) = (sides.target.1, sides.source.1);
        let mut out = (Vec::new(), Vec::new());
        if target.len == 0 || source.len == 0 {
            return Ok(out);
        }
        let mut open: (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut flush = |open: &mut (Vec<u32>, Vec<u32>)| -> Result<()> {
            self.step(open.0.len())?;
            if residual.is_empty() {
                out.0.append(&mut open.0);
                out.1.append(&mut open.1);
                return Ok(());
            }
            let parts = sides.parts(&open.0, &open.1);
            for at in self.passing(residual, &Frame::parts(&parts, open.0.len(), &Env::ROOT))? {
                out.0.push(open.0.get(at as usize).copied().unwrap_or(NO_ROW));
                out.1.push(open.1.get(at as usize).copied().unwrap_or(NO_ROW));
            }
            open.0.clear();
            open.1.clear();
            Ok(())
        };
        if keys.is_empty() {
            for row in 0..target.len as u32 {
                open.0.extend(std::iter::repeat_n(row, source.len));
                open.1.extend(0..source.len as u32);
                if open.0.len() >= CHUNK {
                    flush(&mut open)?;
                }
            }
        } else {
            let of = |layout, batch, exprs: Vec<&'p Expr>| -> Result<Vec<Arc<Column>>> {
                let frame = Frame::batch(layout, batch, &Env::ROOT);
                exprs.into_iter().map(|expr| self.eval(expr, &frame)).collect()
            };
            let source_keys = of(sides.source.0, source, keys.iter().map(|(_, key)| *key).collect())?;
            let target_keys = of(sides.target.0, target, keys.iter().map(|(key, _)| *key).collect())?;
            let mut grouper = Grouper::new(keys.iter().map(|(key, _)| &key.ty));
            let mut ids = grouper.group(&source_keys, source.len, &mut Vec::new());
            drop_null_keys(&source_keys, &mut ids);
            let buckets = Buckets::new(&ids, grouper.groups());
            let mut found = grouper.find(&target_keys, target.len);
            drop_null_keys(&target_keys, &mut found);
            for (row, id) in found.into_iter().enumerate() {
                if id == NO_ROW {
                    continue;
                }
                let partners = buckets.rows(id);
                open.0.extend(std::iter::repeat_n(row as u32, partners.len()));
                open.1.extend_from_slice(partners);
                if open.0.len() >= CHUNK {
                    flush(&mut open)?;
                }
            }
        }
        flush(&mut open)?;
        Ok(out)
    }

    /// Which of the rows the clause applies to, and which are left for the next.
    fn taken(
        &self,
        clause: &'p MergeClause,
        sides: &Sides<'_>,
        targets: &[u32],
        sources: &[u32],
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        let all = 0..targets.len() as u32;
        let Some(condition) = &clause.condition else { return Ok((all.collect(), Vec::new())) };
        let parts = sides.parts(targets, sources);
        let taken = self.rows_where(condition, &Frame::parts(&parts, targets.len(), &Env::ROOT))?;
        let mut next = taken.iter().peekable();
        let rest = all.filter(|row| next.next_if_eq(&row).is_none()).collect();
        Ok((taken, rest))
    }

    /// Reads the whole rows that are updated and puts the new values in.
    fn updated_rows(&self, merge: &'p Merge, updates: &[Updated<'p>], change: &mut TableChange) -> Result<()> {
        let mut places: FastMap<RowId, (u32, u32)> = FastMap::default();
        for (clause, update) in updates.iter().enumerate() {
            for (row, id) in update.ids.iter().enumerate() {
                places.insert(*id, (clause as u32, row as u32));
            }
        }
        if places.is_empty() {
            return Ok(());
        }
        let needed: Ids = merge.columns.iter().copied().chain([merge.row_id]).collect();
        let node = Node::compile_filtered(&merge.target, Vec::new(), &needed)?;
        let mut positions = Vec::with_capacity(merge.columns.len());
        for id in &merge.columns {
            positions.push(node.layout.require(*id)?);
        }
        let id_position = node.layout.require(merge.row_id)?;
        let schema = merge.table.schema();
        let mut held = self.hold(0)?;
        let mut left = places.len();
        self.run(&node, &Env::ROOT, &mut |batch: Batch| {
            let Some(ids) = batch.columns.get(id_position) else {
                return Err(SqlError::internal("a table gave rows without ids"));
            };
            let mut found: Vec<(Vec<u32>, Vec<u32>)> = vec![Default::default(); updates.len()];
            for (row, id) in row_ids(ids, batch.len)?.into_iter().enumerate() {
                if let Some((clause, place)) = places.get(&id)
                    && let Some((rows, values)) = found.get_mut(*clause as usize)
                {
                    rows.push(row as u32);
                    values.push(*place);
                }
            }
            for (update, (rows, places)) in updates.iter().zip(found) {
                if rows.is_empty() {
                    continue;
                }
                left = left.saturating_sub(rows.len());
                let mut columns = Vec::with_capacity(positions.len());
                for (column, position) in positions.iter().enumerate() {
                    let value = assigned(update.assignments, column)
                        .and_then(|wanted| update.assignments.iter().position(|other| std::ptr::eq(other, wanted)))
                        .and_then(|at| update.values.get(at));
                    columns.push(match (value, batch.columns.get(*position)) {
                        (Some(value), _) => Arc::new(value.gather(&places)),
                        (None, Some(old)) => Arc::new(old.gather(&rows)),
                        (None, None) => Arc::new(Column::nulls(rows.len())),
                    });
                }
                let rows = stored(schema, Batch::new(columns, rows.len()))?;
                held.grow(rows.memory())?;
                change.added.push(rows);
            }
            Ok(if left == 0 { Flow::Stop } else { Flow::More })
        })?;
        Ok(())
    }
}

/// All columns that the statement's conditions and values read.
fn refs_of(merge: &Merge) -> Ids {
    let mut ids = Ids::new();
    refs::expr_ids(&merge.on, &mut ids);
    for clause in &merge.clauses {
        clause.condition.iter().for_each(|condition| refs::expr_ids(condition, &mut ids));
        match &clause.action {
            MergeAction::Insert(values) => values.iter().for_each(|value| refs::expr_ids(value, &mut ids)),
            MergeAction::Update(assignments) => {
                assignments.iter().for_each(|assignment| refs::expr_ids(&assignment.value, &mut ids));
            }
            MergeAction::Delete => {}
        }
    }
    ids
}
