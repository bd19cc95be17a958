//! Many tables read as one: `` `dataset.prefix_*` `` with its `_TABLE_SUFFIX`.

use std::sync::Arc;

use scrimmage_googlesql::catalog::{ColumnDef, ScanHint, ScanRequest, Schema, Table, TablePath};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::{Type, Value};

use super::table::{TableVersion, plain_column};

/// The tables that a wildcard matches, with what the star stood for, in name order.
#[derive(Debug)]
pub struct WildcardTable {
    path: TablePath,
    schema: Schema,
    pseudo: Vec<ColumnDef>,
    members: Vec<(String, Arc<TableVersion>)>,
}

impl WildcardTable {
    /// `newest` is the member created last: its schema is the wildcard's, as BigQuery documents.
    pub fn new(path: TablePath, newest: &TableVersion, members: Vec<(String, Arc<TableVersion>)>) -> WildcardTable {
        WildcardTable {
            path,
            schema: newest.shape.schema.clone(),
            pseudo: vec![plain_column("_TABLE_SUFFIX", Type::String)],
            members,
        }
    }

    pub fn members(&self) -> impl Iterator<Item = &Arc<TableVersion>> {
        self.members.iter().map(|(_, version)| version)
    }
}

impl Table for WildcardTable {
    fn path(&self) -> &TablePath {
        &self.path
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn pseudo_columns(&self) -> &[ColumnDef] {
        &self.pseudo
    }

    fn row_count(&self) -> u64 {
        self.members.iter().map(|(_, version)| version.rows).sum()
    }

    fn scan(&self, request: &ScanRequest) -> scrimmage_googlesql::Result<Vec<Batch>> {
        let mut batches = Vec::new();
        for (suffix, version) in &self.members {
            // Columns are found by name; a table without one gives NULL.
            let positions: Vec<Option<usize>> = request
                .columns
                .iter()
                .map(|wanted| {
                    self.schema.columns.get(*wanted).and_then(|column| version.shape.schema.position(&column.name))
                })
                .collect();
            let inner = ScanRequest {
                columns: positions.iter().flatten().copied().collect(),
                row_ids: false,
                hints: Vec::new(),
            };
            for batch in version.scan(&inner)? {
                let mut read = batch.columns.iter();
                let columns = request
                    .columns
                    .iter()
                    .zip(&positions)
                    .map(|(wanted, position)| {
                        if position.is_some()
                            && let Some(column) = read.next()
                        {
                            return column.clone();
                        }
                        let value = match self.schema.columns.get(*wanted).map(|column| &column.ty) {
                            Some(Type::Array(_)) => Value::array(Vec::new()),
                            Some(_) => return Arc::new(Column::nulls(batch.len)),
                            None => Value::string(suffix),
                        };
                        Arc::new(Column::constant(value, batch.len))
                    })
                    .collect();
                batches.push(Batch::new(columns, batch.len));
            }
        }
        Ok(batches)
    }

    fn logical_bytes(&self, columns: &[usize], _hints: &[ScanHint]) -> u64 {
        let names: Vec<&str> =
            columns.iter().filter_map(|at| self.schema.columns.get(*at)).map(|column| column.name.as_str()).collect();
        let sizes = self.members.iter().map(|(_, version)| {
            let own: Vec<usize> = names.iter().filter_map(|name| version.shape.schema.position(name)).collect();
            Table::logical_bytes(&**version, &own, &[])
        });
        sizes.sum()
    }

    fn read_only(&self) -> bool {
        true
    }
}
