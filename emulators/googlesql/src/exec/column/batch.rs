//! Batches: rows, column by column.

use std::sync::Arc;

use super::{Column, ColumnBuilder};
use crate::exec::bitmap::Bitmap;
use crate::types::Type;
use crate::value::Value;

/// Rows, column by column; all columns have `len` entries.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub len: usize,
    pub columns: Vec<Arc<Column>>,
}

impl Batch {
    pub fn new(columns: Vec<Arc<Column>>, len: usize) -> Batch {
        Batch { len, columns }
    }

    /// Builds a batch from rows; `types` are the columns'.
    pub fn from_rows(types: &[Type], rows: impl IntoIterator<Item = Vec<Value>>) -> Batch {
        let mut builders: Vec<ColumnBuilder> = types.iter().map(ColumnBuilder::new).collect();
        let mut len = 0;
        for row in rows {
            len += 1;
            let mut row = row.into_iter();
            for builder in &mut builders {
                builder.push(row.next().unwrap_or_default());
            }
        }
        Batch { len, columns: builders.into_iter().map(|builder| Arc::new(builder.finish_compact())).collect() }
    }

    pub fn row(&self, index: usize) -> Vec<Value> {
        self.columns.iter().map(|column| column.get(index)).collect()
    }

    pub fn rows(&self) -> impl Iterator<Item = Vec<Value>> + '_ {
        (0..self.len).map(|index| self.row(index))
    }

    /// The rows at `rows`, in that order; [`NO_ROW`] gives NULLs.
    pub fn gather(&self, rows: &[u32]) -> Batch {
        Batch { len: rows.len(), columns: self.columns.iter().map(|column| Arc::new(column.gather(rows))).collect() }
    }

    pub fn filter(&self, keep: &Bitmap) -> Batch {
        if keep.len() == self.len && keep.all() {
            return self.clone();
        }
        self.gather(&keep.ones())
    }

    pub fn slice(&self, from: usize, len: usize) -> Batch {
        let to = (from + len).min(self.len);
        let from = from.min(to);
        if (from, to) == (0, self.len) {
            return self.clone();
        }
        let columns = self.columns.iter().map(|column| Arc::new(column.slice(from, to - from))).collect();
        Batch { len: to - from, columns }
    }

    /// One batch of all rows. The batches have the same columns; none gives an empty batch without columns.
    pub fn concat(batches: &[Batch]) -> Batch {
        match batches {
            [] => Batch::default(),
            [only] => only.clone(),
            [first, ..] => {
                let columns = (0..first.columns.len()).map(|index| {
                    let parts: Vec<&Column> =
                        batches.iter().filter_map(|batch| batch.columns.get(index).map(|column| &**column)).collect();
                    Arc::new(Column::concat(&parts))
                });
                Batch { columns: columns.collect(), len: batches.iter().map(|batch| batch.len).sum() }
            }
        }
    }

    pub fn memory(&self) -> usize {
        self.columns.iter().map(|column| column.memory()).sum::<usize>() + size_of::<Batch>()
    }
}
