//! One AppendRows connection: its stream, its writer schema, and what becomes of each request.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use prost_reflect::MessageDescriptor;
use prost_types::Any;
use scrimmage_core::{Code, Status};
use scrimmage_googlesql::catalog::{ColumnDef, Mode, Schema};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::{Type, Value, parser};
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use scrimmage_protos::google::rpc;
use wire::append_rows_request::{MissingValueInterpretation, Rows as WireRows};
use wire::storage_error::StorageErrorCode;

use super::proto_rows::{self, Layout, SchemaMisfit};
use super::write::{StreamName, error_code, not_found, write_rows};
use super::{schema, storage_status};
use crate::engine::write_stream::{StreamError, StreamKind};
use crate::formats::arrow_read;
use crate::jobs::query;
use crate::load::coerce;
use crate::service::App;
use crate::{limits, texts};

/// What a connection remembers from one request to the next.
#[derive(Default)]
pub struct Connection {
    stream: Option<StreamName>,
    proto: Option<MessageDescriptor>,
    /// How the message's fields go with the columns of the schema beside it.
    layout: Option<(Schema, Arc<Layout>)>,
    arrow: Option<Vec<u8>>,
    missing: HashMap<String, MissingValueInterpretation>,
    default_missing: MissingValueInterpretation,
    /// The schema that the writer knows of.
    known: Option<Schema>,
}

/// What the rows of a request are refused for; the connection stays open.
struct Refused {
    code: Code,
    text: String,
    storage: Option<StorageErrorCode>,
    rows: Vec<wire::RowError>,
}

enum Failure {
    /// Told in the answer.
    Refused(Refused),
    /// Ends the connection.
    Fatal(tonic::Status),
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Failure {
        Failure::Fatal(status)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::Fatal(status.into())
    }
}

impl Connection {
    /// Answers one request, or ends the connection.
    pub fn append(
        &mut self,
        app: &App,
        request: wire::AppendRowsRequest,
    ) -> Result<wire::AppendRowsResponse, tonic::Status> {
        super::ready(app)?;
        let mut answer = wire::AppendRowsResponse::default();
        let done = self.try_append(app, request, &mut answer);
        answer.write_stream = self.stream.as_ref().map(|stream| stream.name.clone()).unwrap_or_default();
        match done {
            Ok(offset) => {
                let offset = offset.filter(|_| self.stream.as_ref().is_some_and(|stream| !stream.is_default));
                answer.response = Some(wire::append_rows_response::Response::AppendResult(
                    wire::append_rows_response::AppendResult { offset },
                ));
                Ok(answer)
            }
            Err(Failure::Fatal(status)) => Err(status),
            Err(Failure::Refused(refused)) => {
                let entity = &answer.write_stream;
                let details = refused.storage.map(|code| {
                    let error = wire::StorageError {
                        code: code.into(),
                        entity: entity.clone(),
                        error_message: refused.text.clone(),
                    };
                    Any {
                        type_url: "type.googleapis.com/google.cloud.bigquery.storage.v1.StorageError".into(),
                        value: error.encode_to_vec(),
                    }
                });
                answer.response = Some(wire::append_rows_response::Response::Error(rpc::Status {
                    code: refused.code.number(),
                    message: texts::with_entity(&refused.text, entity),
                    details: details.into_iter().collect(),
                }));
                answer.row_errors = refused.rows;
                Ok(answer)
            }
        }
    }

    fn try_append(
        &mut self,
        app: &App,
        request: wire::AppendRowsRequest,
        answer: &mut wire::AppendRowsResponse,
    ) -> Result<Option<i64>, Failure> {
        let size = request.encoded_len();
        if size > limits::APPEND_BYTES {
            let text = texts::append_too_large(size, limits::APPEND_BYTES);
            return Err(Status::invalid_argument(text).into());
        }
        self.take_settings(&request)?;
        let stream = self.stream.clone().ok_or_else(|| Status::invalid_argument(texts::NO_WRITE_STREAM))?;
        self.take_schema(&request, &stream)?;
        let made;
        let table = {
            let store = app.store.lock();
            let entry = store.table(&stream.table).map_err(|_| not_found(&stream.name))?;
            super::write::writable(entry)?;
            made = entry.made;
            entry.current().shape.schema.clone()
        };
        if self.known.as_ref().is_some_and(|known| *known != table) {
            answer.updated_schema = Some(schema::table_schema(&table.columns));
        }
        self.known = Some(table.clone());
        let offset = request.offset;
        if stream.is_default && offset.is_some() {
            return Err(Status::invalid_argument(texts::with_entity(texts::DEFAULT_OFFSET, &stream.name)).into());
        }
        // An offset that is wrong is told before rows that are.
        if !stream.is_default {
            let mut streams = app.storage.streams();
            let own = streams.get(&stream.name).filter(|own| own.made == made);
            own.ok_or_else(|| not_found(&stream.name))?.check_append(offset).map_err(refusal)?;
        }
        let batch = match request.rows {
            Some(WireRows::ProtoRows(data)) => self.proto_batch(app, &stream, &table, data)?,
            Some(WireRows::ArrowRows(data)) => self.arrow_batch(app, &stream, &table, data)?,
            None => return Err(Status::invalid_argument(texts::NO_ROWS).into()),
        };
        let now = app.ctx.clock.now();
        if stream.is_default {
            write_rows(app, now, &stream, None, vec![(table, batch)])?;
            return Ok(None);
        }
        let mut streams = app.storage.streams();
        let hidden = streams.hidden_bytes();
        let own = streams.get(&stream.name).ok_or_else(|| not_found(&stream.name))?;
        own.check_append(offset).map_err(refusal)?;
        if own.kind != StreamKind::Committed && hidden + batch.memory() > limits::HIDDEN_ROWS_BYTES {
            return Err(Status::resource_exhausted(texts::HIDDEN_ROWS_FULL).into());
        }
        // What cannot be written has not been appended: the writer may send it again.
        if own.kind == StreamKind::Committed {
            write_rows(app, now, &stream, Some(own.made), vec![(table.clone(), batch.clone())])?;
        }
        own.used = now;
        Ok(Some(own.append(table, batch)))
    }

    /// Stream, interpretations of missing values: what a request leaves out stays as it was.
    fn take_settings(&mut self, request: &wire::AppendRowsRequest) -> Result<(), Status> {
        if !request.write_stream.is_empty() {
            let stream = StreamName::parse(&request.write_stream)
                .ok_or_else(|| Status::invalid_argument(texts::bad_resource("write_stream", &request.write_stream)))?;
            match &self.stream {
                Some(own) if own.name == stream.name => {}
                // Several tables may share a connection to their default streams.
                Some(own) if own.is_default && stream.is_default => {
                    *self = Connection { stream: Some(stream), ..Connection::default() };
                }
                Some(_) => return Err(Status::invalid_argument(texts::STREAM_SWITCH)),
                None => self.stream = Some(stream),
            }
        }
        if !request.missing_value_interpretations.is_empty() {
            let read = |(name, value): (&String, &i32)| {
                (name.to_lowercase(), MissingValueInterpretation::try_from(*value).unwrap_or_default())
            };
            self.missing = request.missing_value_interpretations.iter().map(read).collect();
        }
        let default =
            MissingValueInterpretation::try_from(request.default_missing_value_interpretation).unwrap_or_default();
        if default != MissingValueInterpretation::Unspecified {
            self.default_missing = default;
        }
        Ok(())
    }

    /// The writer's schema counts for what follows also where this request's rows are refused.
    fn take_schema(&mut self, request: &wire::AppendRowsRequest, stream: &StreamName) -> Result<(), Failure> {
        match &request.rows {
            Some(WireRows::ProtoRows(data)) => {
                let schema = data.writer_schema.as_ref();
                if let Some(descriptor) = schema.and_then(|schema| schema.proto_descriptor.as_ref()) {
                    let message = proto_rows::message_type(descriptor);
                    self.proto = Some(message.map_err(|misfit| misfit_failure(misfit, stream))?);
                    self.layout = None;
                }
            }
            Some(WireRows::ArrowRows(data)) => {
                let schema = data.writer_schema.as_ref();
                if let Some(schema) = schema.filter(|schema| !schema.serialized_schema.is_empty()) {
                    self.arrow = Some(schema.serialized_schema.to_vec());
                }
            }
            None => {}
        }
        Ok(())
    }

    fn proto_batch(
        &mut self,
        app: &App,
        stream: &StreamName,
        table: &Schema,
        data: wire::append_rows_request::ProtoData,
    ) -> Result<Batch, Failure> {
        let message = self.proto.clone().ok_or_else(|| Status::invalid_argument(texts::NO_WRITER_SCHEMA))?;
        let layout = match &self.layout {
            Some((schema, layout)) if schema == table => layout.clone(),
            _ => {
                let layout = Layout::new(&table.columns, &message).map_err(|misfit| misfit_failure(misfit, stream))?;
                let layout = Arc::new(layout);
                self.layout = Some((table.clone(), layout.clone()));
                layout
            }
        };
        let rows = data.rows.map(|rows| rows.serialized_rows).unwrap_or_default();
        let missing = |column: &ColumnDef| self.missing_value(app, column);
        let types: Vec<Type> = table.columns.iter().map(|column| column.ty.clone()).collect();
        let mut read = Vec::with_capacity(rows.len());
        let mut bad = Vec::new();
        for (index, bytes) in rows.iter().enumerate() {
            match proto_rows::row(&layout, &message, bytes, &missing) {
                Ok(values) => read.push(values),
                Err(message) => bad.push(row_error(index, message)),
            }
        }
        refuse_bad(bad)?;
        Ok(Batch::from_rows(&types, read))
    }

    fn arrow_batch(
        &mut self,
        app: &App,
        stream: &StreamName,
        table: &Schema,
        data: wire::append_rows_request::ArrowData,
    ) -> Result<Batch, Failure> {
        let schema = self.arrow.as_ref().ok_or_else(|| Status::invalid_argument(texts::NO_WRITER_SCHEMA))?;
        let rows = data.rows.map(|rows| rows.serialized_record_batch).unwrap_or_default();
        let batches = arrow_read::read_ipc(schema, &rows).map_err(Status::invalid_argument)?;
        let mut read = Vec::new();
        for batch in &batches {
            let fields = batch.schema();
            let extra: Vec<String> = fields
                .fields()
                .iter()
                .filter(|field| table.position(field.name()).is_none())
                .map(|field| field.name().clone())
                .collect();
            if !extra.is_empty() {
                return Err(misfit_failure(SchemaMisfit::ExtraFields(extra), stream));
            }
            let mut columns = Vec::with_capacity(table.columns.len());
            let mut bad = Vec::new();
            for column in &table.columns {
                let at = fields.fields().iter().position(|field| field.name().eq_ignore_ascii_case(&column.name));
                let values = match at {
                    Some(at) => {
                        let values = arrow_read::column_values(batch.column(at), column);
                        let values = values.map_err(|what| misfit_failure(SchemaMisfit::Mismatch(what), stream))?;
                        check_column(column, values, &mut bad)
                    }
                    None if matches!(column.ty, Type::Array(_)) => vec![Value::array(Vec::new()); batch.num_rows()],
                    None => {
                        let mut values = Vec::with_capacity(batch.num_rows());
                        for row in 0..batch.num_rows() {
                            values.push(self.missing_value(app, column).unwrap_or_else(|message| {
                                bad.push(row_error(row, message));
                                Value::Null
                            }));
                        }
                        check_column(column, values, &mut bad)
                    }
                };
                columns.push(Arc::new(Column::from_values(&column.ty, values)));
            }
            refuse_bad(bad)?;
            read.push(Batch::new(columns, batch.num_rows()));
        }
        Ok(match read.len() {
            1 => read.swap_remove(0),
            _ => Batch::concat(&read),
        })
    }

    /// NULL, or the column's default where the writer asked for that.
    fn missing_value(&self, app: &App, column: &ColumnDef) -> Result<Value, String> {
        let wanted = self.missing.get(&column.name.to_lowercase()).copied().unwrap_or_default();
        let wanted = if wanted == MissingValueInterpretation::Unspecified { self.default_missing } else { wanted };
        let Some(default) = column.default.as_ref().filter(|_| wanted == MissingValueInterpretation::DefaultValue)
        else {
            return Ok(Value::Null);
        };
        let failed = |error: scrimmage_googlesql::SqlError| format!("Field {}: {error}", column.name);
        let expr = parser::parse_expression(default).map_err(failed)?;
        query::default_value(&expr, &column.ty, app.ctx.clock.now(), &app.draws).map_err(failed)
    }
}

/// Enforces parameters and REQUIRED; rows that fail are noted.
fn check_column(column: &ColumnDef, values: Vec<Value>, bad: &mut Vec<wire::RowError>) -> Vec<Value> {
    let mut checked = Vec::with_capacity(values.len());
    for (row, value) in values.into_iter().enumerate() {
        if value.is_null() && column.mode == Mode::Required {
            bad.push(row_error(row, format!("Field {}: Required field cannot be null", column.name)));
        }
        match coerce::check(value, &column.ty, &column.params, &column.name) {
            Ok(value) => checked.push(value),
            Err(misfit) => {
                bad.push(row_error(row, misfit.to_string()));
                checked.push(Value::Null);
            }
        }
    }
    checked
}

fn row_error(index: usize, message: String) -> wire::RowError {
    wire::RowError { index: index as i64, code: wire::row_error::RowErrorCode::FieldsError.into(), message }
}

fn refuse_bad(mut bad: Vec<wire::RowError>) -> Result<(), Failure> {
    if bad.is_empty() {
        return Ok(());
    }
    bad.sort_by_key(|error| error.index);
    bad.truncate(limits::ROW_ERRORS_LISTED);
    Err(Failure::Refused(Refused {
        code: Code::InvalidArgument,
        text: texts::ROW_ERRORS.into(),
        storage: None,
        rows: bad,
    }))
}

fn refusal(error: StreamError) -> Failure {
    let (code, storage) = error_code(&error);
    Failure::Refused(Refused { code, text: error.to_string(), storage: Some(storage), rows: Vec::new() })
}

fn misfit_failure(misfit: SchemaMisfit, stream: &StreamName) -> Failure {
    let entity = stream.name.as_str();
    match misfit {
        SchemaMisfit::ExtraFields(fields) => {
            let text = texts::extra_fields(&fields);
            Failure::Fatal(storage_status(
                Code::InvalidArgument,
                &text,
                entity,
                StorageErrorCode::SchemaMismatchExtraFields,
            ))
        }
        SchemaMisfit::Invalid(why) | SchemaMisfit::Mismatch(why) => {
            Status::invalid_argument(texts::with_entity(&why, entity)).into()
        }
        SchemaMisfit::ChangeColumns => Status::unimplemented(texts::CHANGE_COLUMNS).into(),
    }
}
