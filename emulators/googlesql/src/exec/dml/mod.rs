//! DML: what a statement does to its table, computed against one version of it.

mod merge;
mod store;

use std::collections::HashSet;
use std::sync::Arc;

pub(super) use store::stored;

use super::change;
use crate::catalog::{RowId, Table, TableChange};
use crate::error::{Result, SqlError};
use crate::exec::column::{Batch, Column};
use crate::exec::context::{Flow, Run};
use crate::exec::frame::{Env, Frame};
use crate::exec::node::Node;
use crate::exec::refs::{self, Ids};
use crate::plan::{Assignment, ColumnId, Delete, Expr, Insert, InsertValue, Update};

const AT_MOST_ONE: &str = "UPDATE/MERGE must match at most one source row for each target row";

/// TRUNCATE looks at no row.
pub(super) fn truncate(table: &Arc<dyn Table>) -> TableChange {
    let mut change = change(table);
    change.truncate = true;
    change.stats.deleted = table.row_count();
    change
}

/// Row ids of a scan's last column.
fn row_ids(column: &Column, len: usize) -> Result<Vec<RowId>> {
    let id = |row| column.int_at(row).map(|id| id as RowId);
    (0..len).map(|row| id(row).ok_or_else(|| SqlError::internal("a table gave a row without an id"))).collect()
}

/// Row ids seen once each.
#[derive(Default)]
struct Touched {
    seen: HashSet<RowId>,
}

impl Touched {
    fn add(&mut self, id: RowId) -> Result<()> {
        if self.seen.insert(id) { Ok(()) } else { Err(SqlError::evaluation(AT_MOST_ONE)) }
    }

    fn sorted(self) -> Vec<RowId> {
        let mut ids: Vec<RowId> = self.seen.into_iter().collect();
        ids.sort_unstable();
        ids
    }
}

fn assigned(assignments: &[Assignment], column: usize) -> Option<&Assignment> {
    assignments.iter().find(|assignment| assignment.column == column)
}

impl<'p> Run<'p> {
    pub(super) fn insert(&self, insert: &'p Insert) -> Result<TableChange> {
        let mut needed = Ids::new();
        for value in &insert.values {
            match value {
                InsertValue::Column(id) => {
                    needed.insert(*id);
                }
                InsertValue::Expr(expr) => refs::expr_ids(expr, &mut needed),
            }
        }
        let needed: Vec<ColumnId> = needed.into_iter().collect();
        let node = Node::compile(&insert.query, &needed)?;
        let schema = insert.table.schema();
        let mut change = change(&insert.table);
        let mut held = self.hold(0)?;
        self.run(&node, &Env::ROOT, &mut |batch: Batch| {
            if batch.len == 0 {
                return Ok(Flow::More);
            }
            let frame = Frame::batch(&node.layout, &batch, &Env::ROOT);
            let columns = insert
                .values
                .iter()
                .map(|value| match value {
                    InsertValue::Column(id) => frame.column(*id),
                    InsertValue::Expr(expr) => self.eval(expr, &frame),
                })
                .collect::<Result<_>>()?;
            let rows = stored(schema, Batch::new(columns, batch.len))?;
            held.grow(rows.memory())?;
            change.stats.inserted += rows.len as u64;
            change.added.push(rows);
            Ok(Flow::More)
        })?;
        Ok(change)
    }

    pub(super) fn update(&self, update: &'p Update) -> Result<TableChange> {
        let mut needed: Ids = update.columns.iter().copied().chain([update.row_id]).collect();
        for assignment in &update.assignments {
            refs::expr_ids(&assignment.value, &mut needed);
        }
        let needed: Vec<ColumnId> = needed.into_iter().collect();
        let node = Node::compile(&update.input, &needed)?;
        let schema = update.table.schema();
        let mut change = change(&update.table);
        let mut touched = Touched::default();
        let mut held = self.hold(0)?;
        self.run(&node, &Env::ROOT, &mut |batch: Batch| {
            if batch.len == 0 {
                return Ok(Flow::More);
            }
            let frame = Frame::batch(&node.layout, &batch, &Env::ROOT);
            for id in row_ids(&*frame.column(update.row_id)?, batch.len)? {
                touched.add(id)?;
            }
            let mut columns = Vec::with_capacity(update.columns.len());
            for (position, id) in update.columns.iter().enumerate() {
                columns.push(match assigned(&update.assignments, position) {
                    Some(assignment) => self.eval(&assignment.value, &frame)?,
                    None => frame.column(*id)?,
                });
            }
            let rows = stored(schema, Batch::new(columns, batch.len))?;
            held.grow(rows.memory() + rows.len * 16)?;
            change.stats.updated += rows.len as u64;
            change.added.push(rows);
            Ok(Flow::More)
        })?;
        change.removed = touched.sorted();
        Ok(change)
    }

    pub(super) fn delete(&self, delete: &'p Delete) -> Result<TableChange> {
        let node = Node::compile(&delete.input, &[delete.row_id])?;
        let mut change = change(&delete.table);
        let mut touched = HashSet::new();
        let mut held = self.hold(0)?;
        self.run(&node, &Env::ROOT, &mut |batch: Batch| {
            if batch.len == 0 {
                return Ok(Flow::More);
            }
            let frame = Frame::batch(&node.layout, &batch, &Env::ROOT);
            touched.extend(row_ids(&*frame.column(delete.row_id)?, batch.len)?);
            held.at_least(touched.capacity() * 16)?;
            Ok(Flow::More)
        })?;
        change.removed = touched.into_iter().collect();
        change.removed.sort_unstable();
        change.stats.deleted = change.removed.len() as u64;
        Ok(change)
    }

    /// `exprs` over the frame, as rows of the table.
    fn new_rows(&self, table: &Arc<dyn Table>, exprs: &'p [Expr], frame: &Frame<'_>) -> Result<Batch> {
        stored(table.schema(), Batch::new(self.eval_all(exprs, frame)?, frame.len))
    }
}
