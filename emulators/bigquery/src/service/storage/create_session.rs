//! CreateReadSession: which rows and columns, as of when, in how many streams.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_ipc::CompressionType;
use scrimmage_core::{Status, Timestamp};
use scrimmage_googlesql::ast::{QueryBody, Statement, StatementKind};
use scrimmage_googlesql::catalog::{ColumnDef, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::parser;
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use wire::arrow_serialization_options::CompressionCodec;
use wire::read_session::Schema as SessionSchema;
use wire::read_session::table_read_options::OutputFormatSerializationOptions;

use super::sessions::{Rows, Wire};
use super::{engine_status, from_wire, sql_status, table_path, to_wire};
use crate::catalog::NameScope;
use crate::engine::dataset::TableKind;
use crate::engine::policy::Identity;
use crate::formats::avro_encode::Encoder;
use crate::formats::{arrow_schema, arrow_write, avro_schema};
use crate::jobs::statement::{Runner, Surroundings};
use crate::service::App;
use crate::service::selection::{self, Picked};
use crate::{limits, row_access, texts};

pub fn create(
    app: &App,
    reader: &Arc<Identity>,
    request: wire::CreateReadSessionRequest,
) -> Result<wire::ReadSession, Status> {
    let now = app.ctx.clock.now();
    let project = request
        .parent
        .strip_prefix("projects/")
        .filter(|project| !project.is_empty() && !project.contains('/'))
        .ok_or_else(|| Status::invalid_argument(texts::bad_resource("parent", &request.parent)))?;
    let mut session = request.read_session.ok_or_else(|| Status::invalid_argument("Missing read_session"))?;
    let path = table_path(&session.table)
        .ok_or_else(|| Status::invalid_argument(texts::bad_resource("read_session.table", &session.table)))?;
    let options = session.read_options.clone().unwrap_or_default();
    let format = wire::DataFormat::try_from(session.data_format).unwrap_or_default();
    if format == wire::DataFormat::Unspecified {
        return Err(Status::invalid_argument(texts::DATA_FORMAT));
    }
    if request.max_stream_count < 0 || request.preferred_min_stream_count < 0 {
        return Err(Status::invalid_argument(texts::NEGATIVE_STREAMS));
    }
    if request.max_stream_count > 0 && request.preferred_min_stream_count > request.max_stream_count {
        return Err(Status::invalid_argument(texts::MIN_OVER_MAX_STREAMS));
    }
    if options.row_restriction.len() > limits::ROW_RESTRICTION_BYTES {
        return Err(Status::invalid_argument(texts::row_restriction_too_long(limits::ROW_RESTRICTION_BYTES)));
    }
    let at = match session.table_modifiers.as_ref().and_then(|modifiers| modifiers.snapshot_time.as_ref()) {
        Some(at) => Some(from_wire(at).ok_or_else(|| Status::invalid_argument("Invalid snapshot_time"))?),
        None => None,
    };
    // Columns and rows are of one moment, whatever becomes of the table meanwhile.
    let view = View { seq: app.store.lock().seq(), at, reader };
    let (columns, total_rows) = table_columns(app, now, &path, &view)?;
    let wanted: Vec<&str> = options.selected_fields.iter().map(String::as_str).collect();
    let selection = selection::select(&columns, &wanted)
        .map_err(|unknown| Status::invalid_argument(texts::unknown_selected_fields(&unknown)))?;
    let batches = rows(app, project, &path, &view, &selection, &options)?;
    let picked: Vec<ColumnDef> = selection.iter().map(Picked::column).collect();
    let total = batches.iter().map(|batch| batch.len).sum::<usize>();
    let bytes = batches.iter().map(Batch::memory).sum::<usize>();
    let wire = match format {
        wire::DataFormat::Arrow => {
            let compression = match &options.output_format_serialization_options {
                Some(OutputFormatSerializationOptions::ArrowSerializationOptions(arrow)) => {
                    match CompressionCodec::try_from(arrow.buffer_compression).unwrap_or_default() {
                        CompressionCodec::CompressionUnspecified => None,
                        CompressionCodec::Lz4Frame => Some(CompressionType::LZ4_FRAME),
                        CompressionCodec::Zstd => Some(CompressionType::ZSTD),
                    }
                }
                _ => None,
            };
            let schema = Arc::new(arrow_schema::arrow_schema(&picked));
            let message = arrow_write::schema_message(&schema).map_err(|error| Status::internal(error.to_string()))?;
            session.schema =
                Some(SessionSchema::ArrowSchema(wire::ArrowSchema { serialized_schema: message.clone().into() }));
            Wire::Arrow { schema, message, types: picked.iter().map(|column| column.ty.clone()).collect(), compression }
        }
        _ => {
            let schema = avro_schema::avro_schema(&picked, avro_schema::Style::Read);
            session.schema = Some(SessionSchema::AvroSchema(wire::AvroSchema { schema: schema.clone() }));
            Wire::Avro { schema, encoder: Encoder::new(&picked, avro_schema::Style::Read) }
        }
    };
    let count = stream_count(total, request.max_stream_count as usize, request.preferred_min_stream_count as usize);
    let expires = now + limits::READ_SESSION;
    let kept = Rows { batches, total, wire, row_bytes: bytes / total.max(1) + 1 };
    let opened = app.storage.sessions.open(now, project, kept, count, expires);
    let (name, streams) = opened.ok_or_else(|| Status::resource_exhausted(texts::READ_SESSIONS_FULL))?;
    session.name = name;
    session.streams = streams.into_iter().map(|name| wire::ReadStream { name }).collect();
    session.expire_time = Some(to_wire(expires));
    session.estimated_total_bytes_scanned = bytes as i64;
    session.estimated_total_physical_file_size = bytes as i64;
    session.estimated_row_count = if options.row_restriction.is_empty() { total as i64 } else { total_rows as i64 };
    Ok(session)
}

/// None for no rows; one for few, more for many, as far as the caller allows.
fn stream_count(rows: usize, max: usize, preferred_min: usize) -> usize {
    let max = if max == 0 { limits::READ_STREAMS } else { max.min(limits::READ_STREAMS) };
    (rows / limits::ROWS_PER_STREAM + 1).max(preferred_min).min(max).min(rows)
}

/// Whose eyes a session reads with, and as of when.
struct View<'a> {
    /// The commit.
    seq: u64,
    /// `snapshot_time`
    at: Option<Timestamp>,
    reader: &'a Arc<Identity>,
}

fn table_columns(app: &App, now: Timestamp, path: &TablePath, view: &View) -> Result<(Vec<ColumnDef>, u64), Status> {
    let store = app.store.lock();
    let not_found = || Status::not_found(texts::table_gone(path));
    let version = match view.at {
        Some(at) => store.version_as_of(now, path, at).map_err(|error| engine_status(&error))?,
        None => store.version_at(path, view.seq).map_err(|_| not_found())?,
    };
    if let Ok(entry) = store.table(path) {
        if let TableKind::View { .. } | TableKind::MaterializedView { .. } | TableKind::External { .. } = entry.kind {
            return Err(Status::invalid_argument(texts::read_of_view(path)));
        }
        // As documented: this API is for those who see all rows.
        row_access::check_whole(entry, view.reader).map_err(|error| engine_status(&error))?;
    }
    Ok((version.shape.schema.columns.clone(), version.rows))
}

/// What the table is called in the session's query: its own name could be that of a column, and hide it.
const ALIAS: &str = "__read_session_table";

/// The rows that satisfy the restriction. A query does it, so that filters on partitions are asked for where the
/// table wants them and mean what they mean in SQL.
fn rows(
    app: &App,
    project: &str,
    path: &TablePath,
    view: &View,
    picked: &[Picked],
    options: &wire::read_session::TableReadOptions,
) -> Result<Vec<Batch>, Status> {
    let names: Vec<String> = picked.iter().map(|picked| format!("{ALIAS}.`{}`", picked.column.name)).collect();
    let as_of =
        view.at.map_or(String::new(), |at| format!(" FOR SYSTEM_TIME AS OF TIMESTAMP_MICROS({})", at.as_micros()));
    let sample = match options.sample_percentage {
        None => String::new(),
        Some(percent) if (0.0..=100.0).contains(&percent) => format!(" TABLESAMPLE SYSTEM ({percent:?} PERCENT)"),
        Some(_) => return Err(Status::invalid_argument(texts::SAMPLE_PERCENTAGE)),
    };
    let from = format!("`{}`.`{}`.`{}`", path.project, path.dataset, path.table);
    let sql = format!("SELECT {} FROM {from}{as_of} AS {ALIAS}{sample} WHERE TRUE", names.join(", "));
    let statement = parser::parse_statement(&sql).map_err(|error| sql_status(&error))?;
    let restriction = options.row_restriction.trim();
    let statement = restricted(statement, restriction, &options.row_restriction)?;
    let scope = NameScope { project: project.to_owned(), dataset: None };
    let runner = Runner { pinned: Some(view.seq), ..Runner::new(app, scope, view.reader.clone()) };
    let around = Surroundings { variables: &HashMap::new(), parameters: &runner.parameters, time_zone: "UTC" };
    let done = runner.run(&statement, around).map_err(|error| sql_status(&error.locate(&options.row_restriction)))?;
    let batches = done.query.map_or_else(Vec::new, |query| query.batches);
    Ok(batches.into_iter().filter(|batch| batch.len > 0).map(|batch| selection::pruned(batch, picked)).collect())
}

/// The statement with the restriction in the place of its filter.
fn restricted(mut statement: Statement, restriction: &str, whole: &str) -> Result<Statement, Status> {
    let StatementKind::Query(query) = &mut statement.kind else { return Ok(statement) };
    let QueryBody::Select(select) = &mut query.body else { return Ok(statement) };
    select.filter = if restriction.is_empty() {
        None
    } else {
        Some(parser::parse_expression(whole).map_err(|error| sql_status(&error.locate(whole)))?)
    };
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_as_many_as_rows_and_caller_allow() {
        assert_eq!(stream_count(0, 0, 0), 0);
        assert_eq!(stream_count(5, 0, 0), 1);
        assert_eq!(stream_count(5, 1, 0), 1);
        assert_eq!(stream_count(5, 10, 3), 3);
        assert_eq!(stream_count(2, 10, 3), 2);
        assert_eq!(stream_count(limits::ROWS_PER_STREAM * 4, 3, 0), 3);
    }
}
