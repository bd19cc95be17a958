//! Tables for those who write from within the process: no HTTP, the same streaming path.

use scrimmage_googlesql::catalog::{Mode, Schema, TablePath};
use serde_json::{Map, Value};

use super::tabledata::Incoming;
use super::{App, tabledata};
use crate::BigQuery;
use crate::engine::dataset::TableKind;
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
    /// it was written, else why not. They are kept when this returns.
    pub fn direct_insert(
        &self,
        path: &TablePath,
        rows: &[Map<String, Value>],
    ) -> Result<Vec<Option<String>>, DirectError> {
        self.app.expire();
        let rows: Vec<_> = rows.iter().map(|row| (None, row)).collect();
        let incoming = Incoming { rows: &rows, partition: None, ignore_unknown: false, skip_invalid: true };
        let bad = tabledata::stream_in(&self.app, path, &incoming).map_err(|error| match error.code {
            404 => DirectError::NotFound(error.message),
            _ => DirectError::Refused(error.message),
        })?;
        let mut fates = vec![None; rows.len()];
        for (index, misfit) in bad {
            fates[index] = Some(misfit.streaming_text());
        }
        Ok(fates)
    }
}

fn schema(app: &App, path: &TablePath) -> Result<Schema, DirectError> {
    app.store.check().map_err(|problem| DirectError::Refused(problem.to_string()))?;
    app.expire();
    let store = app.store.lock();
    let entry = store.table(path).map_err(|_| DirectError::NotFound(texts::table_gone(path)))?;
    if !matches!(entry.kind, TableKind::Table | TableKind::Clone { .. }) {
        let text = format!("Cannot add rows to a table of type {}.", entry.kind.name());
        return Err(DirectError::Refused(text));
    }
    Ok(entry.current().shape.schema.clone())
}
