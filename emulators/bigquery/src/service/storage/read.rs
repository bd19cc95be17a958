//! google.cloud.bigquery.storage.v1.BigQueryRead.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use scrimmage_core::Status;
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use tonic::{Request, Response};
use wire::big_query_read_server::BigQueryRead;
use wire::read_rows_response::{Rows as WireRows, Schema as RowsSchema};

use super::sessions::{Found, Rows, Wire};
use super::{blocking, create_session, ready};
use crate::formats::arrow_write;
use crate::service::{App, identity};
use crate::{limits, texts};

#[derive(Clone, Debug)]
pub struct ReadService {
    pub(super) app: Arc<App>,
}

type Answers = Pin<Box<dyn Stream<Item = Result<wire::ReadRowsResponse, tonic::Status>> + Send>>;

#[tonic::async_trait]
impl BigQueryRead for ReadService {
    async fn create_read_session(
        &self,
        request: Request<wire::CreateReadSessionRequest>,
    ) -> Result<Response<wire::ReadSession>, tonic::Status> {
        let app = self.app.clone();
        let identity = Arc::new(identity::of(request.metadata().as_ref()));
        let session = blocking(move || {
            ready(&app)?;
            Ok(create_session::create(&app, &identity, request.into_inner())?)
        });
        let session = session.await?;
        Ok(Response::new(session))
    }

    type ReadRowsStream = Answers;

    async fn read_rows(&self, request: Request<wire::ReadRowsRequest>) -> Result<Response<Answers>, tonic::Status> {
        let wire::ReadRowsRequest { read_stream, offset } = request.into_inner();
        let found = self.find(&read_stream)?;
        let length = found.rows.len();
        let offset = usize::try_from(offset).map_err(|_| Status::invalid_argument(texts::NEGATIVE_OFFSET))?;
        if offset > length {
            return Err(Status::failed_precondition(texts::read_offset_unallocated(offset)).into());
        }
        let rows = found.session.rows;
        let answers = Responses { next: found.rows.start + offset, stream: found.rows, rows, is_first: true };
        Ok(Response::new(Box::pin(futures::stream::iter(answers))))
    }

    async fn split_read_stream(
        &self,
        request: Request<wire::SplitReadStreamRequest>,
    ) -> Result<Response<wire::SplitReadStreamResponse>, tonic::Status> {
        let wire::SplitReadStreamRequest { name, fraction } = request.into_inner();
        let found = self.find(&name)?;
        // 0 is what a caller that names no fraction sends: the service decides.
        let fraction = if fraction == 0.0 { 0.5 } else { fraction };
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Status::invalid_argument(texts::SPLIT_FRACTION).into());
        }
        let before = (found.rows.len() as f64 * fraction) as usize;
        // A stream that cannot be cut yields no streams, and is to be read as it is.
        if before == 0 || before == found.rows.len() {
            return Ok(Response::new(wire::SplitReadStreamResponse::default()));
        }
        let split = self.app.storage.sessions.split(&name, found.rows.start + before);
        let (primary, remainder) = split.ok_or_else(|| Status::not_found(texts::read_stream_not_found(&name)))?;
        Ok(Response::new(wire::SplitReadStreamResponse {
            primary_stream: Some(wire::ReadStream { name: primary }),
            remainder_stream: Some(wire::ReadStream { name: remainder }),
        }))
    }
}

impl ReadService {
    fn find(&self, name: &str) -> Result<Found, Status> {
        self.app.store.check()?;
        let found = self.app.storage.sessions.find(name);
        let found = found.ok_or_else(|| Status::not_found(texts::read_stream_not_found(name)))?;
        if found.session.expires <= self.app.ctx.clock.now() {
            return Err(Status::failed_precondition(texts::read_session_expired(name, found.session.expires)));
        }
        Ok(found)
    }
}

/// The answers of one ReadRows call, each made when the client is ready for it.
struct Responses {
    rows: Arc<Rows>,
    /// The stream's rows within the session.
    stream: Range<usize>,
    next: usize,
    is_first: bool,
}

impl Iterator for Responses {
    type Item = Result<wire::ReadRowsResponse, tonic::Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.stream.end {
            return None;
        }
        let response = self.response();
        if response.is_err() {
            self.next = self.stream.end;
        }
        Some(response.map_err(tonic::Status::from))
    }
}

impl Responses {
    fn response(&mut self) -> Result<wire::ReadRowsResponse, Status> {
        // The batch that the next row is in.
        let mut first = 0;
        let batch = self.rows.batches.iter().find(|batch| {
            let found = self.next < first + batch.len;
            if !found {
                first += batch.len;
            }
            found
        });
        let batch = batch.ok_or_else(|| Status::internal("a stream has fewer rows than it should"))?;
        let from = self.next - first;
        let most = (limits::READ_RESPONSE_BYTES / self.rows.row_bytes).clamp(1, limits::READ_RESPONSE_ROWS);
        let count = most.min(batch.len - from).min(self.stream.end - self.next);
        let (rows, schema, bytes) = match &self.rows.wire {
            Wire::Arrow { schema, message, types, compression } => {
                let part = if count == batch.len { batch.clone() } else { batch.slice(from, count) };
                let record = arrow_write::record_batch(&part, types, schema);
                let encoded = record.and_then(|record| arrow_write::batch_message(&record, *compression));
                let encoded = encoded.map_err(|error| Status::internal(error.to_string()))?;
                let bytes = encoded.len();
                #[allow(deprecated)]
                let rows = wire::ArrowRecordBatch { serialized_record_batch: encoded.into(), row_count: count as i64 };
                let schema = wire::ArrowSchema { serialized_schema: message.clone().into() };
                (WireRows::ArrowRecordBatch(rows), RowsSchema::ArrowSchema(schema), bytes)
            }
            Wire::Avro { schema, encoder } => {
                let mut encoded = Vec::new();
                (from..from + count).for_each(|row| encoder.row(batch, row, &mut encoded));
                let bytes = encoded.len();
                #[allow(deprecated)]
                let rows = wire::AvroRows { serialized_binary_rows: encoded.into(), row_count: count as i64 };
                let schema = wire::AvroSchema { schema: schema.clone() };
                (WireRows::AvroRows(rows), RowsSchema::AvroSchema(schema), bytes)
            }
        };
        let progress = |row: usize| (row - self.stream.start) as f64 / self.stream.len() as f64;
        let (start, end) = (progress(self.next), progress(self.next + count));
        self.next += count;
        Ok(wire::ReadRowsResponse {
            rows: Some(rows),
            row_count: count as i64,
            stats: Some(wire::StreamStats {
                progress: Some(wire::stream_stats::Progress { at_response_start: start, at_response_end: end }),
            }),
            throttle_state: Some(wire::ThrottleState { throttle_percent: 0 }),
            schema: std::mem::take(&mut self.is_first).then_some(schema),
            uncompressed_byte_size: Some(bytes as i64),
        })
    }
}
