//! google.cloud.bigquery.storage.v1.BigQueryWrite.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use scrimmage_core::{Code, Status, Timestamp};
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use tonic::{Request, Response, Streaming};
use wire::big_query_write_server::BigQueryWrite;
use wire::storage_error::StorageErrorCode;
use wire::write_stream::Type as StreamType;

use super::append::Connection;
use super::{blocking, engine_status, ready, schema, storage_status, table_path, to_wire};
use crate::engine::dataset::{TableEntry, TableKind};
use crate::engine::store::WriteMode;
use crate::engine::write_stream::{StoredRows, StreamError, StreamKind, WriteStream};
use crate::jobs::destination;
use crate::service::App;
use crate::texts;

#[derive(Clone, Debug)]
pub struct WriteService {
    pub(super) app: Arc<App>,
}

/// `projects/P/datasets/D/tables/T/streams/S`; `_default` is always there, also without `streams/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamName {
    pub name: String,
    pub table: TablePath,
    pub is_default: bool,
}

impl StreamName {
    pub fn parse(name: &str) -> Option<StreamName> {
        let (table, stream) = name.rsplit_once('/')?;
        let table = match table.strip_suffix("/streams") {
            Some(table) => table,
            None if stream == "_default" => table,
            None => return None,
        };
        if stream.is_empty() {
            return None;
        }
        Some(StreamName { name: name.to_owned(), table: table_path(table)?, is_default: stream == "_default" })
    }

    fn read(field: &str, name: &str) -> Result<StreamName, Status> {
        StreamName::parse(name).ok_or_else(|| Status::invalid_argument(texts::bad_resource(field, name)))
    }
}

/// The gRPC code and `StorageError` code of a stream's refusal.
pub fn error_code(error: &StreamError) -> (Code, StorageErrorCode) {
    match error {
        StreamError::OffsetExists { .. } | StreamError::FlushAgain(_) => {
            (Code::AlreadyExists, StorageErrorCode::OffsetAlreadyExists)
        }
        StreamError::OffsetBeyond { .. } | StreamError::FlushBeyond(_) => {
            (Code::OutOfRange, StorageErrorCode::OffsetOutOfRange)
        }
        StreamError::Finalized => (Code::InvalidArgument, StorageErrorCode::StreamFinalized),
        StreamError::AlreadyCommitted => (Code::AlreadyExists, StorageErrorCode::StreamAlreadyCommitted),
        StreamError::NotFinalized => (Code::InvalidArgument, StorageErrorCode::InvalidStreamState),
        StreamError::NotPending | StreamError::NotBuffered => {
            (Code::InvalidArgument, StorageErrorCode::InvalidStreamType)
        }
    }
}

/// No such stream or table.
pub fn not_found(entity: &str) -> tonic::Status {
    storage_status(Code::NotFound, texts::REQUESTED_ENTITY, entity, StorageErrorCode::StreamNotFound)
}

/// Views and snapshots take no rows.
pub fn writable(entry: &TableEntry) -> Result<(), Status> {
    match entry.kind {
        TableKind::Table | TableKind::Clone { .. } => Ok(()),
        _ => Err(Status::invalid_argument(texts::write_to_view(&entry.current().path))),
    }
}

/// Appends rows to a stream's table, arranged for the schema that it has now; when this returns they are kept.
/// `made` is the commit that made the table that the rows are meant for (none: whatever has its name). Rows of this
/// API can be changed by DML at once: they are in no streaming buffer that would keep them.
pub fn write_rows(
    app: &App,
    now: Timestamp,
    stream: &StreamName,
    made: Option<u64>,
    rows: Vec<StoredRows>,
) -> Result<(), tonic::Status> {
    let table = &stream.table;
    let mut store = app.store.lock();
    let entry = store.table(table).ok().filter(|entry| made.is_none_or(|made| made == entry.made));
    let entry = entry.ok_or_else(|| not_found(&stream.name))?;
    writable(entry)?;
    let current = entry.current().shape.schema.clone();
    let mut batches = Vec::with_capacity(rows.len());
    for (schema, batch) in rows {
        if schema == current {
            batches.push(batch);
        } else {
            let arranged = destination::arrange(&batch, &schema, &current);
            batches.push(arranged.map_err(|error| Status::invalid_argument(error.message))?);
        }
    }
    batches.retain(|batch| batch.len > 0);
    if !batches.is_empty() {
        store.write(now, table, None, batches, WriteMode::Append, None).map_err(|error| engine_status(&error))?;
    }
    Ok(store.finish().map_err(Status::from)?)
}

type Answers = Pin<Box<dyn Stream<Item = Result<wire::AppendRowsResponse, tonic::Status>> + Send>>;

#[tonic::async_trait]
impl BigQueryWrite for WriteService {
    async fn create_write_stream(
        &self,
        request: Request<wire::CreateWriteStreamRequest>,
    ) -> Result<Response<wire::WriteStream>, tonic::Status> {
        let wire::CreateWriteStreamRequest { parent, write_stream } = request.into_inner();
        ready(&self.app)?;
        let table =
            table_path(&parent).ok_or_else(|| Status::invalid_argument(texts::bad_resource("parent", &parent)))?;
        let wanted = write_stream.unwrap_or_default();
        let kind = match wire::write_stream::Type::try_from(wanted.r#type).unwrap_or_default() {
            StreamType::Committed => StreamKind::Committed,
            StreamType::Pending => StreamKind::Pending,
            StreamType::Buffered => StreamKind::Buffered,
            StreamType::Unspecified => return Err(Status::invalid_argument(texts::STREAM_TYPE).into()),
        };
        let now = self.app.ctx.clock.now();
        let made = {
            let store = self.app.store.lock();
            let missing =
                || storage_status(Code::NotFound, texts::REQUESTED_ENTITY, &parent, StorageErrorCode::TableNotFound);
            let entry = store.table(&table).map_err(|_| missing())?;
            writable(entry)?;
            entry.made
        };
        let service = self.clone();
        let stream = blocking(move || {
            let name = service.app.storage.streams().create(WriteStream::new(table, made, kind, now));
            service.show(&name, true)
        });
        Ok(Response::new(stream.await?))
    }

    type AppendRowsStream = Answers;

    async fn append_rows(
        &self,
        request: Request<Streaming<wire::AppendRowsRequest>>,
    ) -> Result<Response<Answers>, tonic::Status> {
        let state = Some((self.app.clone(), request.into_inner(), Connection::default()));
        let answers = futures::stream::unfold(state, |state| async move {
            let (app, mut requests, mut connection) = state?;
            let request = match requests.message().await {
                Ok(Some(request)) => request,
                Ok(None) => return None,
                Err(status) => return Some((Err(status), None)),
            };
            let worker = app.clone();
            let done = blocking(move || {
                let answer = connection.append(&worker, request);
                Ok((answer, connection))
            });
            match done.await {
                Ok((Ok(answer), connection)) => Some((Ok(answer), Some((app, requests, connection)))),
                Ok((Err(status), _)) | Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_write_stream(
        &self,
        request: Request<wire::GetWriteStreamRequest>,
    ) -> Result<Response<wire::WriteStream>, tonic::Status> {
        let request = request.into_inner();
        let is_full = request.view == i32::from(wire::WriteStreamView::Full);
        let service = self.clone();
        Ok(Response::new(blocking(move || service.show(&request.name, is_full)).await?))
    }

    async fn finalize_write_stream(
        &self,
        request: Request<wire::FinalizeWriteStreamRequest>,
    ) -> Result<Response<wire::FinalizeWriteStreamResponse>, tonic::Status> {
        let name = request.into_inner().name;
        let service = self.clone();
        let row_count = blocking(move || {
            service.explicit("name", &name)?;
            let mut streams = service.app.storage.streams();
            Ok(streams.get(&name).ok_or_else(|| not_found(&name))?.finalize())
        });
        Ok(Response::new(wire::FinalizeWriteStreamResponse { row_count: row_count.await? }))
    }

    async fn batch_commit_write_streams(
        &self,
        request: Request<wire::BatchCommitWriteStreamsRequest>,
    ) -> Result<Response<wire::BatchCommitWriteStreamsResponse>, tonic::Status> {
        let wire::BatchCommitWriteStreamsRequest { parent, write_streams } = request.into_inner();
        let table = table_path(parent.trim_end_matches('/'))
            .ok_or_else(|| Status::invalid_argument(texts::bad_resource("parent", &parent)))?;
        let app = self.app.clone();
        let answer = blocking(move || {
            ready(&app)?;
            let now = app.ctx.clock.now();
            let mut streams = app.storage.streams();
            let made = app.store.lock().table(&table).map(|entry| entry.made).map_err(|_| not_found(&parent))?;
            let mut errors = Vec::new();
            for (index, name) in write_streams.iter().enumerate() {
                let refused = match streams.get(name) {
                    Some(stream) if stream.table == table && stream.made == made => {
                        stream.check_commit().err().map(|error| (error_code(&error).1, error.to_string()))
                    }
                    _ => Some((StorageErrorCode::StreamNotFound, texts::REQUESTED_ENTITY.to_owned())),
                };
                let refused = refused.or_else(|| {
                    let again = write_streams.iter().take(index).any(|earlier| earlier == name);
                    again.then(|| (StorageErrorCode::InvalidStreamState, texts::STREAM_TWICE.to_owned()))
                });
                if let Some((code, text)) = refused {
                    errors.push(wire::StorageError { code: code.into(), entity: name.clone(), error_message: text });
                }
            }
            if !errors.is_empty() {
                return Ok(wire::BatchCommitWriteStreamsResponse { commit_time: None, stream_errors: errors });
            }
            let mut rows = Vec::new();
            for name in &write_streams {
                rows.extend(streams.get(name).into_iter().flat_map(|stream| stream.pending()));
            }
            // Written first: a stream whose rows could not be written is not committed, and may be tried again.
            let target = StreamName { name: parent, table, is_default: false };
            write_rows(&app, now, &target, Some(made), rows)?;
            for name in &write_streams {
                if let Some(stream) = streams.get(name) {
                    stream.commit(now);
                }
            }
            Ok(wire::BatchCommitWriteStreamsResponse { commit_time: Some(to_wire(now)), stream_errors: Vec::new() })
        });
        Ok(Response::new(answer.await?))
    }

    async fn flush_rows(
        &self,
        request: Request<wire::FlushRowsRequest>,
    ) -> Result<Response<wire::FlushRowsResponse>, tonic::Status> {
        let wire::FlushRowsRequest { write_stream, offset } = request.into_inner();
        let service = self.clone();
        let offset = blocking(move || {
            let name = service.explicit("write_stream", &write_stream)?;
            let app = &service.app;
            let mut streams = app.storage.streams();
            let stream = streams.get(&write_stream).ok_or_else(|| not_found(&write_stream))?;
            let (offset, rows) = stream.unflushed(offset).map_err(|error| {
                let (code, storage) = error_code(&error);
                storage_status(code, &error.to_string(), &write_stream, storage)
            })?;
            write_rows(app, app.ctx.clock.now(), &name, Some(stream.made), rows)?;
            stream.flushed(offset);
            Ok(offset)
        });
        Ok(Response::new(wire::FlushRowsResponse { offset: offset.await? }))
    }
}

impl WriteService {
    /// A stream that somebody created: the default one has none of these calls.
    fn explicit(&self, field: &str, name: &str) -> Result<StreamName, tonic::Status> {
        let stream = StreamName::read(field, name)?;
        if stream.is_default {
            let code = StorageErrorCode::InvalidStreamType;
            return Err(storage_status(Code::InvalidArgument, texts::DEFAULT_FINALIZE, name, code));
        }
        self.alive(&stream)?;
        Ok(stream)
    }

    /// Whether the stream's table is the one that it was made for.
    fn alive(&self, stream: &StreamName) -> Result<(), tonic::Status> {
        ready(&self.app)?;
        let made = self.app.storage.streams().get(&stream.name).map(|own| own.made);
        let store = self.app.store.lock();
        match (store.table(&stream.table), made) {
            (Ok(_), None) if stream.is_default => Ok(()),
            (Ok(entry), Some(made)) if entry.made == made => Ok(()),
            _ => Err(not_found(&stream.name)),
        }
    }

    fn show(&self, name: &str, is_full: bool) -> Result<wire::WriteStream, tonic::Status> {
        let stream = StreamName::read("name", name)?;
        self.alive(&stream)?;
        let mut shown = wire::WriteStream {
            name: name.to_owned(),
            r#type: StreamType::Committed.into(),
            write_mode: wire::write_stream::WriteMode::Insert.into(),
            location: "us".into(),
            ..wire::WriteStream::default()
        };
        if let Some(own) = self.app.storage.streams().get(name) {
            let kind = match own.kind {
                StreamKind::Committed => StreamType::Committed,
                StreamKind::Pending => StreamType::Pending,
                StreamKind::Buffered => StreamType::Buffered,
            };
            shown.r#type = kind.into();
            shown.create_time = Some(to_wire(own.created));
            shown.commit_time = own.committed.map(to_wire);
        }
        if is_full {
            let store = self.app.store.lock();
            let entry = store.table(&stream.table).map_err(|_| not_found(name))?;
            shown.table_schema = Some(schema::table_schema(&entry.current().shape.schema.columns));
        }
        Ok(shown)
    }
}
