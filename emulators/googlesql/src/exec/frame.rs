//! Where an expression finds its columns: batches, selections of their rows, bound names, outer rows.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::exec::column::{Batch, Column};
use crate::exec::keys::FastMap;
use crate::plan::ColumnId;
use crate::value::Value;

/// The columns that an operator produces, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub ids: Vec<ColumnId>,
    index: FastMap<u32, u32>,
}

impl Layout {
    pub fn new(ids: Vec<ColumnId>) -> Layout {
        let mut index = FastMap::default();
        for (position, id) in ids.iter().enumerate() {
            index.entry(id.0).or_insert(position as u32);
        }
        Layout { ids, index }
    }

    #[inline]
    pub fn position(&self, id: ColumnId) -> Option<usize> {
        self.index.get(&id.0).map(|position| *position as usize)
    }

    /// The position of a column that the plan promises.
    pub fn require(&self, id: ColumnId) -> Result<usize> {
        self.position(id).ok_or_else(|| missing(id))
    }
}

fn missing(id: ColumnId) -> SqlError {
    SqlError::internal(format!("column {} is not produced where it is used", id.0))
}

/// The current row of the queries around a correlated subquery or lateral join.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Env<'e> {
    parent: Option<&'e Env<'e>>,
    ids: &'e [ColumnId],
    values: &'e [Value],
}

impl<'e> Env<'e> {
    pub const ROOT: Env<'static> = Env { parent: None, ids: &[], values: &[] };

    pub fn within(parent: &'e Env<'e>, ids: &'e [ColumnId], values: &'e [Value]) -> Env<'e> {
        Env { parent: Some(parent), ids, values }
    }

    pub fn is_root(&self) -> bool {
        self.ids.is_empty() && self.parent.is_none_or(Env::is_root)
    }

    fn get(&self, id: ColumnId) -> Option<&'e Value> {
        match self.ids.iter().position(|known| *known == id) {
            Some(at) => self.values.get(at),
            None => self.parent.and_then(|parent| parent.get(id)),
        }
    }
}

/// One side of the rows in view; `rows` picks and orders them, [`crate::exec::column::NO_ROW`] is a row of NULLs.
pub(crate) struct Part<'f> {
    pub layout: &'f Layout,
    pub columns: &'f [Arc<Column>],
    pub rows: Option<&'f [u32]>,
}

/// `len` rows that an expression is evaluated over. Columns are gathered when asked for, not before.
pub(crate) struct Frame<'f> {
    pub len: usize,
    source: Source<'f>,
    pub env: &'f Env<'f>,
}

enum Source<'f> {
    Batch { layout: &'f Layout, columns: &'f [Arc<Column>] },
    Parts(&'f [Part<'f>]),
    Select { parent: &'f Frame<'f>, rows: &'f [u32] },
    Bind { parent: &'f Frame<'f>, columns: &'f [(ColumnId, Arc<Column>)] },
}

impl<'f> Frame<'f> {
    pub fn batch(layout: &'f Layout, batch: &'f Batch, env: &'f Env<'f>) -> Frame<'f> {
        Frame { len: batch.len, source: Source::Batch { layout, columns: &batch.columns }, env }
    }

    /// `len` rows without columns of their own.
    pub fn bare(len: usize, env: &'f Env<'f>) -> Frame<'f> {
        Frame { len, source: Source::Parts(&[]), env }
    }

    pub fn parts(parts: &'f [Part<'f>], len: usize, env: &'f Env<'f>) -> Frame<'f> {
        Frame { len, source: Source::Parts(parts), env }
    }

    /// Some of this frame's rows.
    pub fn select(&'f self, rows: &'f [u32]) -> Frame<'f> {
        Frame { len: rows.len(), source: Source::Select { parent: self, rows }, env: self.env }
    }

    /// The same rows with more columns, which are as long as the frame.
    pub fn bind(&'f self, columns: &'f [(ColumnId, Arc<Column>)]) -> Frame<'f> {
        Frame { len: self.len, source: Source::Bind { parent: self, columns }, env: self.env }
    }

    fn find(&self, id: ColumnId) -> Option<Arc<Column>> {
        match &self.source {
            Source::Batch { layout, columns } => columns.get(layout.position(id)?).cloned(),
            Source::Parts(parts) => parts.iter().find_map(|part| {
                let column = part.columns.get(part.layout.position(id)?)?;
                Some(match part.rows {
                    None => column.clone(),
                    Some(rows) => Arc::new(column.gather(rows)),
                })
            }),
            Source::Select { parent, rows } => Some(Arc::new(parent.find(id)?.gather(rows))),
            Source::Bind { parent, columns } => match columns.iter().find(|(bound, _)| *bound == id) {
                Some((_, column)) => Some(column.clone()),
                None => parent.find(id),
            },
        }
    }

    /// The column `id`, from the frame or, the same in every row, from the queries around.
    pub fn column(&self, id: ColumnId) -> Result<Arc<Column>> {
        if let Some(column) = self.find(id) {
            return Ok(column);
        }
        let value = self.env.get(id).ok_or_else(|| missing(id))?;
        Ok(Arc::new(Column::constant(value.clone(), self.len)))
    }
}
