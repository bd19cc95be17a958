//! The Storage Read and Write APIs: gRPC services on the same port and the same tables.

mod append;
pub mod create_session;
mod proto_rows;
pub mod read;
mod schema;
mod sessions;
pub mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message;
use prost_types::Any;
use scrimmage_core::{Code, Status, Timestamp};
use scrimmage_googlesql::SqlError;
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use scrimmage_protos::google::rpc;
use wire::big_query_read_server::BigQueryReadServer;
use wire::big_query_write_server::BigQueryWriteServer;
use wire::storage_error::StorageErrorCode;

use crate::catalog::NotKept;
use crate::engine::EngineError;
use crate::engine::write_stream::WriteStreams;
use crate::limits;
use crate::service::App;

/// What both APIs remember between calls.
#[derive(Debug, Default)]
pub struct Storage {
    sessions: sessions::Sessions,
    write_streams: Mutex<WriteStreams>,
}

impl Storage {
    /// Names are made of numbers from this one on.
    pub fn counted_from(first: u64) -> Storage {
        Storage {
            // A session's streams have numbers of twenty bits of their own.
            sessions: sessions::Sessions::counted_from(first >> 8),
            write_streams: Mutex::new(WriteStreams::counted_from(first)),
        }
    }

    /// Forgets what nobody can use or used for long.
    pub fn expire(&self, app: &App, now: Timestamp) {
        self.sessions.expire(now);
        let mut streams = self.streams();
        let store = app.store.lock();
        streams.retain(|stream| {
            let age = now.since(stream.used);
            age < limits::WRITE_STREAM && store.table(&stream.table).is_ok_and(|entry| entry.made == stream.made)
        });
    }

    pub fn clear(&self) {
        self.sessions.clear();
        self.streams().clear();
    }

    /// The write streams. Locked before the store where both are.
    fn streams(&self) -> MutexGuard<'_, WriteStreams> {
        self.write_streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gRPC service `google.cloud.bigquery.storage.v1.BigQueryRead`.
pub fn read_server(app: &Arc<App>) -> BigQueryReadServer<read::ReadService> {
    BigQueryReadServer::new(read::ReadService { app: app.clone() })
        .max_decoding_message_size(limits::STORAGE_MESSAGE_BYTES)
        .max_encoding_message_size(usize::MAX)
}

/// The gRPC service `google.cloud.bigquery.storage.v1.BigQueryWrite`.
pub fn write_server(app: &Arc<App>) -> BigQueryWriteServer<write::WriteService> {
    BigQueryWriteServer::new(write::WriteService { app: app.clone() })
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
        EngineError::RowsDenied(_) => Code::PermissionDenied,
        EngineError::DatasetInUse { .. } | EngineError::StreamingBuffer(_) => Code::FailedPrecondition,
        EngineError::Invalid(_) => Code::InvalidArgument,
    };
    Status::new(code, error.to_string())
}

/// A refusal with the `StorageError` that the Write API adds.
fn storage_status(code: Code, text: &str, entity: &str, storage: StorageErrorCode) -> tonic::Status {
    let error = wire::StorageError { code: storage.into(), entity: entity.to_owned(), error_message: text.to_owned() };
    let message = crate::texts::with_entity(text, entity);
    let detail = Any {
        type_url: "type.googleapis.com/google.cloud.bigquery.storage.v1.StorageError".into(),
        value: error.encode_to_vec(),
    };
    let encoded = rpc::Status { code: code.number(), message: message.clone(), details: vec![detail] };
    tonic::Status::with_details(tonic::Code::from_i32(code.number()), message, encoded.encode_to_vec().into())
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

impl From<NotKept> for Status {
    fn from(problem: NotKept) -> Status {
        Status::unavailable(problem.to_string())
    }
}

/// Before each call: what has expired by the clock is gone, and nothing is shown or taken that would be gone after a
/// restart.
fn ready(app: &App) -> Result<(), Status> {
    app.store.check()?;
    app.expire();
    Ok(())
}

/// Runs work that takes a while off the runtime's own threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, tonic::Status> + Send + 'static,
) -> Result<T, tonic::Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "a storage call ended early");
            Err(tonic::Status::internal(crate::texts::INTERNAL))
        }
    }
}
