//! BigQuery subscriptions write into the suite's own BigQuery.

use scrimmage_bigquery::BigQuery;
use scrimmage_bigquery::service::direct::DirectError;
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_pubsub::service::sink::{Column, TableSink, Unwritable};
use serde_json::{Map, Value};

#[derive(Clone, Debug)]
pub(crate) struct Sink(pub BigQuery);

fn path([project, dataset, table]: [&str; 3]) -> TablePath {
    TablePath { project: project.to_owned(), dataset: dataset.to_owned(), table: table.to_owned() }
}

fn unwritable(error: DirectError) -> Unwritable {
    match error {
        DirectError::NotFound(_) => Unwritable::NotFound,
        DirectError::Refused(why) => Unwritable::Other(why),
    }
}

impl TableSink for Sink {
    fn columns(&self, table: [&str; 3]) -> Result<Vec<Column>, Unwritable> {
        let columns = self.0.direct_columns(&path(table)).map_err(unwritable)?;
        let column = |column: scrimmage_bigquery::service::direct::DirectColumn| Column {
            name: column.name,
            kind: column.kind,
            required: column.required,
        };
        Ok(columns.into_iter().map(column).collect())
    }

    fn write(&self, table: [&str; 3], rows: Vec<Map<String, Value>>) -> Result<Vec<Option<String>>, Unwritable> {
        self.0.direct_insert(&path(table), &rows).map_err(unwritable)
    }
}
