//! Reading files and rows from outside into columns.

pub mod autodetect;
pub mod avro;
pub mod coerce;
pub mod convert;
pub mod csv;
pub mod encoding;
pub mod ndjson;

use scrimmage_googlesql::catalog::Schema;
use scrimmage_googlesql::exec::column::Batch;

/// One bad row of a load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowError {
    pub message: String,
}

/// What a load read, or why it gave up.
#[derive(Debug)]
pub struct Loaded {
    pub batch: Batch,
    /// Rows that were bad and left out, within `maxBadRecords`.
    pub skipped: Vec<RowError>,
}

/// A load that met more bad rows than it may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadFailed {
    /// Rows read until it gave up.
    pub rows: u64,
    pub errors: Vec<RowError>,
}

/// What the load's configuration says about bad input.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    pub max_bad_records: usize,
    pub ignore_unknown_values: bool,
}

/// Columns under construction, row by row.
pub(crate) struct Rows<'a> {
    schema: &'a Schema,
    builders: Vec<Vec<scrimmage_googlesql::Value>>,
    len: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Rows<'a> {
        Rows { schema, builders: vec![Vec::new(); schema.columns.len()], len: 0 }
    }

    /// Values in schema order.
    pub(crate) fn push(&mut self, row: Vec<scrimmage_googlesql::Value>) {
        for (builder, value) in self.builders.iter_mut().zip(row) {
            builder.push(value);
        }
        self.len += 1;
    }

    pub(crate) fn finish(self) -> Batch {
        use scrimmage_googlesql::exec::column::Column;
        let columns = self.schema.columns.iter().zip(self.builders);
        let columns =
            columns.map(|(column, values)| std::sync::Arc::new(Column::from_values(&column.ty, values))).collect();
        Batch::new(columns, self.len)
    }
}
