//! Tables for those who write from within the process: no HTTP, the same streaming path.

use scrimmage_googlesql::catalog::{Mode, Schema, TablePath};
use serde_json::{Map, Value};

use super::App;
use crate::BigQuery;
use crate::engine::dataset::TableKind;
use crate::load::{Rows, coerce};
use crate::texts;

/// Why rows cannot be written to a table at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DirectError {
    NotFound(String),
    /// A view, or the store does not take it.
    Refused(String),
}

/// A top-level column: its name, its type in GoogleSQL, and whether it may not be NULL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectColumn {
    pub name: String,
    pub kind: String,
    pub required: bool,
}

impl BigQuery {
    /// The columns of a table that can be written to.
    pub fn direct_columns(&self, path: &TablePath) -> Result<Vec<DirectColumn>, DirectError> {
        let schema = schema(&self.app, path)?;
        let column = |column: scrimmage_googlesql::catalog::ColumnDef| DirectColumn {
            kind: column.ty.to_string(),
            required: column.mode == Mode::Required,
            name: column.name,
        };
        Ok(schema.columns.into_iter().map(column).collect())
    }

    /// Writes rows as `tabledata.insertAll` with `skipInvalidRows` does; one entry a row: none where
    /// it was written, else why not.
    pub fn direct_insert(
        &self,
        path: &TablePath,
        rows: &[Map<String, Value>],
    ) -> Result<Vec<Option<String>>, DirectError> {
        let schema = schema(&self.app, path)?;
        let mut good = Rows::new(&schema);
        let mut fates = Vec::with_capacity(rows.len());
        for row in rows {
            match coerce::row(&schema.columns, row, false) {
                Ok(values) => {
                    good.push(values);
                    fates.push(None);
                }
                Err(misfit) => fates.push(Some(misfit.streaming_text())),
            }
        }
        let batch = good.finish();
        if batch.len > 0 {
            let now = self.app.ctx.clock.now();
            let written = self.app.store.lock().write_streaming(now, path, batch, None);
            written.map_err(|error| DirectError::Refused(error.to_string()))?;
        }
        Ok(fates)
    }
}

fn schema(app: &App, path: &TablePath) -> Result<Schema, DirectError> {
    let mut store = app.store.lock();
    let entry = store.entry(path).map_err(|_| DirectError::NotFound(texts::table_gone(path)))?;
    if !matches!(entry.kind, TableKind::Table | TableKind::Clone { .. }) {
        let text = format!("Cannot add rows to a table of type {}.", entry.kind.name());
        return Err(DirectError::Refused(text));
    }
    Ok(entry.current().shape.schema.clone())
}
