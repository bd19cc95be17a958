//! Columns and batches: what tables store and operators pass on.

use std::sync::Arc;

use crate::types::Type;
use crate::value::Value;

/// Rows, column by column; all columns have `len` entries.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub len: usize,
    pub columns: Vec<Arc<Column>>,
}

/// An immutable column of one type. The variants are the executor's own affair; others build a column
/// with [`Column::from_values`] and read it with [`Column::get`].
#[derive(Clone, Debug)]
pub enum Column {
    /// Any type, one value each.
    Any(Vec<Value>),
}

impl Column {
    /// Builds a column of type `ty`; each value is NULL or of that type.
    pub fn from_values(_ty: &Type, values: impl IntoIterator<Item = Value>) -> Column {
        Column::Any(values.into_iter().collect())
    }

    pub fn len(&self) -> usize {
        match self {
            Column::Any(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`; NULL past the end.
    pub fn get(&self, index: usize) -> Value {
        match self {
            Column::Any(values) => values.get(index).cloned().unwrap_or_default(),
        }
    }
}

impl Batch {
    pub fn new(columns: Vec<Arc<Column>>, len: usize) -> Batch {
        Batch { len, columns }
    }

    pub fn row(&self, index: usize) -> Vec<Value> {
        self.columns.iter().map(|column| column.get(index)).collect()
    }
}
