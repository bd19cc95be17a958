//! The Storage Read and Write APIs: gRPC services on the same port and the same tables.

pub mod create_session;
pub mod read;
mod sessions;

use std::sync::Arc;

use scrimmage_core::{Code, Status, Timestamp};
use scrimmage_googlesql::SqlError;
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_protos::google::cloud::bigquery::storage::v1::big_query_read_server::BigQueryReadServer;

use crate::engine::EngineError;
use crate::limits;
use crate::service::App;

/// What both APIs remember between calls.
#[derive(Debug, Default)]
pub struct Storage {
    sessions: sessions::Sessions,
}

impl Storage {
    pub fn clear(&self) {
        self.sessions.clear();
    }
}

/// The gRPC service `google.cloud.bigquery.storage.v1.BigQueryRead`.
pub fn read_server(app: &Arc<App>) -> BigQueryReadServer<read::ReadService> {
    BigQueryReadServer::new(read::ReadService { app: app.clone() })
        .max_decoding_message_size(limits::STORAGE_MESSAGE_BYTES)
        .max_encoding_message_size(usize::MAX)
}

/// `projects/P/datasets/D/tables/T`.
fn table_path(name: &str) -> Option<TablePath> {
    let mut parts = name.split('/');
    let mut next = |key: &str| {
        let found = parts.next() == Some(key);
        parts.next().filter(|value| found && !value.is_empty() && !value.contains('`')).map(str::to_owned)
    };
    let path = TablePath { project: next("projects")?, dataset: next("datasets")?, table: next("tables")? };
    parts.next().is_none().then_some(path)
}

/// A timestamp of the wire; `None` where it is out of SQL's range.
fn from_wire(at: &prost_types::Timestamp) -> Option<Timestamp> {
    let micros = at.seconds.checked_mul(1_000_000)?.checked_add(i64::from(at.nanos / 1_000))?;
    scrimmage_googlesql::value::civil::micros_in_range(micros).map(Timestamp::from_micros)
}

fn to_wire(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos: micros.rem_euclid(1_000_000) as i32 * 1_000 }
}

/// The engine's refusals as gRPC has them.
fn engine_status(error: &EngineError) -> Status {
    let code = match error {
        EngineError::TableNotFound(_) | EngineError::DatasetNotFound { .. } | EngineError::NotFound(_) => {
            Code::NotFound
        }
        EngineError::TableExists(_) | EngineError::DatasetExists { .. } => Code::AlreadyExists,
        EngineError::Quota(_) | EngineError::TooManyDml(_) => Code::ResourceExhausted,
        EngineError::Unsupported(_) => Code::Unimplemented,
        EngineError::Conflict(_) => Code::Aborted,
        EngineError::DatasetInUse { .. } | EngineError::StreamingBuffer(_) => Code::FailedPrecondition,
        EngineError::Invalid(_) => Code::InvalidArgument,
    };
    Status::new(code, error.to_string())
}

/// A failed restriction as CreateReadSession words it.
fn sql_status(error: &SqlError) -> Status {
    use scrimmage_googlesql::ErrorKind;
    match error.kind {
        ErrorKind::NotFound => Status::not_found(error.message.clone()),
        ErrorKind::Unsupported => Status::unimplemented(error.to_string()),
        ErrorKind::Internal => Status::internal(error.to_string()),
        ErrorKind::Cancelled => Status::cancelled(error.to_string()),
        ErrorKind::ResourcesExceeded => Status::resource_exhausted(error.to_string()),
        _ => Status::invalid_argument(crate::texts::read_query_error(&error.to_string())),
    }
}

/// Runs work that takes a while off the runtime's own threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, tonic::Status> + Send + 'static,
) -> Result<T, tonic::Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "a storage call ended early");
            Err(tonic::Status::internal("An internal error occurred and the request could not be completed."))
        }
    }
}
