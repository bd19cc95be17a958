//! BigQuery: datasets, versioned tables, jobs and the REST API over the GoogleSQL engine.
//!
//! `engine` is the state (no I/O, no clock), `catalog` what a statement sees of it, `jobs` what takes
//! time, `load` reads files, `service` is the REST edge.

pub mod catalog;
pub mod engine;
pub mod formats;
mod information_schema;
pub mod jobs;
pub mod keep;
pub mod limits;
pub mod load;
mod row_access;
pub mod service;
pub mod texts;

use std::sync::Arc;

use scrimmage_core::{Context, DataError};
use scrimmage_protos::google::cloud::bigquery::storage::v1::big_query_read_server::BigQueryReadServer;
use scrimmage_protos::google::cloud::bigquery::storage::v1::big_query_write_server::BigQueryWriteServer;
use service::App;
use service::storage::read::ReadService;
use service::storage::write::WriteService;

/// One BigQuery, empty at first. Clones share it.
#[derive(Clone, Debug)]
pub struct BigQuery {
    app: Arc<App>,
}

impl BigQuery {
    /// In memory, whatever the context says.
    pub fn new(ctx: Context) -> BigQuery {
        BigQuery { app: Arc::new(App::new(ctx)) }
    }

    /// With what the context's folder holds, where it names one; changes are kept there.
    pub fn open(ctx: Context) -> Result<BigQuery, DataError> {
        Ok(BigQuery { app: Arc::new(App::open(ctx)?) })
    }

    /// The REST API under `/bigquery/v2` and `/upload/bigquery/v2`, and without the prefix.
    pub fn router(&self) -> axum::Router {
        service::router(self.app.clone())
    }

    /// The gRPC service `google.cloud.bigquery.storage.v1.BigQueryRead`.
    pub fn storage_read(&self) -> BigQueryReadServer<ReadService> {
        service::storage::read_server(&self.app)
    }

    /// The gRPC service `google.cloud.bigquery.storage.v1.BigQueryWrite`.
    pub fn storage_write(&self) -> BigQueryWriteServer<WriteService> {
        service::storage::write_server(&self.app)
    }

    /// Forgets every dataset and job.
    pub fn reset(&self) {
        self.app.reset();
    }
}
