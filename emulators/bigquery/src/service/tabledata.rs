//! tabledata.list and tabledata.insertAll.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::{ColumnDef, Schema, TablePath};
use serde_json::{Map, Value, json};

use super::cells::{self, Timestamps};
use super::error::{ApiError, ApiResult};
use super::selection::{self, Picked};
use super::{App, Caller, Params, body, etag, partitions_summary, read_token, write_token};
use scrimmage_core::Timestamp;

use crate::engine::Store;
use crate::engine::dataset::TableKind;
use crate::engine::partition::PartitionId;
use crate::engine::store::NewTable;
use crate::engine::table::{Segment, Shape, TableVersion};
use crate::limits;
use crate::load::coerce::Misfit;
use crate::load::{Rows, coerce};
use crate::row_access;
use crate::texts;

/// How a request wants timestamps.
pub fn timestamps(params: &Params) -> Timestamps {
    match params.text("formatOptions.timestampOutputFormat") {
        Some("INT64") => Timestamps::Int64Micros,
        Some("ISO8601_STRING") => Timestamps::Iso8601,
        _ if params.flag("formatOptions.useInt64Timestamp") => Timestamps::Int64Micros,
        _ => Timestamps::FloatSeconds,
    }
}

/// A page of a table's rows.
pub struct Page {
    pub rows: Vec<Value>,
    pub next: Option<String>,
}

/// Rows from an offset (a token counts for more than `startIndex`) up to `maxResults` and the page's limits.
pub fn read_page(version: &TableVersion, params: &Params, max: Option<usize>, format: Timestamps) -> ApiResult<Page> {
    let from = match params.text("pageToken").filter(|token| !token.is_empty()) {
        Some(token) => read_token(token)?,
        None => params.number("startIndex")?.unwrap_or(0),
    };
    let count = max.unwrap_or(limits::PAGE_ROWS).min(limits::PAGE_ROWS);
    let types: Vec<Type> = version.shape.schema.columns.iter().map(|column| column.ty.clone()).collect();
    let batches = version.batches();
    let mut rows = cells::rows(&batches, &types, from, count, format);
    // A page holds about ten megabytes: rows are close to equal in size, so a sample decides.
    let sample: usize = rows.iter().take(16).map(|row| row.to_string().len()).sum();
    if let Some(average) = sample.checked_div(rows.len().min(16)).filter(|average| *average > 0) {
        rows.truncate((limits::PAGE_BYTES / average).max(1));
    }
    let end = from + rows.len();
    let more = (end as u64) < version.rows && !rows.is_empty();
    Ok(Page { rows, next: more.then(|| write_token(end)) })
}

pub async fn list(
    State(app): State<Arc<App>>,
    Path((project, dataset, table)): Path<(String, String, String)>,
    params: Params,
    caller: Caller,
) -> ApiResult<Json<Value>> {
    let (table, partition) = match table.split_once('$') {
        Some((table, partition)) => (table.to_owned(), Some(partition.to_owned())),
        None => (table, None),
    };
    let path = TablePath { project, dataset, table };
    let version = {
        let store = app.store.lock();
        match store.table(&path) {
            Ok(entry)
                if matches!(
                    entry.kind,
                    TableKind::View { .. } | TableKind::MaterializedView { .. } | TableKind::External { .. }
                ) =>
            {
                return Err(ApiError::invalid(format!("Cannot list a table of type {}.", entry.kind.name())));
            }
            Ok(entry) if partition.as_deref() == Some(partitions_summary::DECORATOR) => {
                partitions_summary::version(entry)?
            }
            Ok(entry) => {
                row_access::check_whole(entry, &caller.identity)?;
                entry.current().clone()
            }
            Err(_) => return Err(ApiError::not_found(texts::table_gone(&path))),
        }
    };
    let version = match partition {
        Some(partition) if partition != partitions_summary::DECORATOR => {
            Arc::new(version.only(&partition).ok_or_else(|| {
                ApiError::invalid(format!("Invalid partition decorator ${partition} for table {}", path.table))
            })?)
        }
        _ => version,
    };
    let version = match params.text("selectedFields") {
        Some(fields) if !fields.is_empty() => select_fields(&version, fields)?,
        _ => version,
    };
    let page = read_page(&version, &params, params.number("maxResults")?, timestamps(&params))?;
    let mut list = json!({
        "kind": "bigquery#tableDataList",
        "etag": etag(&format!("{}{}", version.path.table, version.seq)),
        "totalRows": version.rows.to_string(),
    });
    if let Some(next) = page.next {
        list["pageToken"] = json!(next);
    }
    if !page.rows.is_empty() {
        list["rows"] = Value::Array(page.rows);
    }
    Ok(Json(list))
}

/// The same rows with only the named columns, and of records only the named fields (`a.b`).
fn select_fields(version: &Arc<TableVersion>, fields: &str) -> ApiResult<Arc<TableVersion>> {
    let wanted: Vec<&str> = fields.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let picked = selection::select(&version.shape.schema.columns, &wanted)
        .map_err(|unknown| ApiError::invalid(texts::unknown_selected_fields(&unknown)).at("selectedFields"))?;
    let columns: Vec<ColumnDef> = picked.iter().map(|picked| picked.column.clone()).collect();
    let shape = Arc::new(version.shape.with_schema(Schema { columns }));
    let with = |shape, segments| TableVersion::new(version.path.clone(), version.seq, version.at, shape, segments);
    let narrow = with(shape, version.segments.clone());
    if picked.iter().all(|picked| picked.fields.is_none()) {
        return Ok(Arc::new(narrow));
    }
    let schema = Schema { columns: picked.iter().map(Picked::column).collect() };
    let shape = Shape::new(schema, None, Vec::new(), false);
    let storage: Arc<[u32]> = shape.storage.clone().into();
    let batches = narrow.batches().into_iter().map(|batch| selection::pruned(batch, &picked));
    let segment = |batch| Arc::new(Segment::new(0, PartitionId::Whole, storage.clone(), batch));
    Ok(Arc::new(with(Arc::new(shape), batches.map(segment).collect())))
}

/// The table that a template and a suffix name, made like the template where it is missing.
fn from_template(store: &mut Store, now: Timestamp, template: &TablePath, suffix: &str) -> ApiResult<TablePath> {
    let path = TablePath { table: format!("{}{suffix}", template.table), ..template.clone() };
    if store.table(&path).is_err() {
        let entry = store.table(template).map_err(|_| ApiError::not_found(texts::table_gone(template)))?;
        let new = NewTable {
            shape: (*entry.current().shape).clone(),
            kind: TableKind::Table,
            expires: entry.expires,
            metadata: entry.metadata.clone(),
        };
        store.create_table(now, &path, new, Vec::new(), false)?;
    }
    Ok(path)
}

/// Rows for the streaming path, as they came: each with its `insertId`.
pub(super) struct Incoming<'a> {
    pub rows: &'a [(Option<&'a str>, &'a Map<String, Value>)],
    /// Of a table partitioned by ingestion time: where they belong.
    pub partition: Option<&'a str>,
    pub ignore_unknown: bool,
    /// Writes the good rows where others are bad; else none.
    pub skip_invalid: bool,
}

/// Streams rows in; when this returns they are kept. Answers which rows are bad, by position.
pub(super) fn stream_in(app: &App, path: &TablePath, incoming: &Incoming) -> ApiResult<Vec<(usize, Misfit)>> {
    loop {
        let shape = {
            let store = app.store.lock();
            let entry = store.table(path).map_err(|_| ApiError::not_found(texts::table_gone(path)))?;
            if !matches!(entry.kind, TableKind::Table | TableKind::Clone { .. }) {
                return Err(ApiError::invalid(format!("Cannot add rows to a table of type {}.", entry.kind.name())));
            }
            entry.current().shape.clone()
        };
        let partition = match incoming.partition {
            None => None,
            Some(id) => Some(shape.partitioning.as_ref().and_then(|own| own.parse(id)).ok_or_else(|| {
                ApiError::invalid(format!("Invalid partition decorator ${id} for table {}", path.table))
            })?),
        };
        let (mut good, mut bad) = (Vec::with_capacity(incoming.rows.len()), Vec::new());
        for (index, (insert_id, row)) in incoming.rows.iter().enumerate() {
            match coerce::row(&shape.schema.columns, row, incoming.ignore_unknown) {
                Ok(values) => good.push((*insert_id, values)),
                Err(misfit) => bad.push((index, misfit)),
            }
        }
        if good.is_empty() || (!bad.is_empty() && !incoming.skip_invalid) {
            return Ok(bad);
        }
        let now = app.ctx.clock.now();
        let mut store = app.store.lock();
        // Rows are laid out for this shape and no other.
        if !store.table(path).is_ok_and(|entry| Arc::ptr_eq(&entry.current().shape, &shape)) {
            continue;
        }
        let entry = store.entry(path)?;
        let mut read = Rows::new(&shape.schema);
        for (insert_id, values) in good {
            if entry.stream.is_new(now, insert_id) {
                read.push(values);
            }
        }
        let batch = read.finish();
        if batch.len > 0 {
            store.write_streaming(now, path, batch, partition)?;
        }
        store.finish()?;
        return Ok(bad);
    }
}

pub async fn insert_all(
    State(app): State<Arc<App>>,
    Path((project, dataset, table)): Path<(String, String, String)>,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    // Many rows take a while.
    let work = tokio::task::spawn_blocking(move || insert(&app, project, dataset, &table, &bytes));
    match work.await {
        Ok(answer) => answer.map(Json),
        Err(error) => {
            tracing::error!(%error, "insertAll ended early");
            Err(ApiError::new(500, "internalError", texts::INTERNAL))
        }
    }
}

fn insert(app: &App, project: String, dataset: String, table: &str, bytes: &[u8]) -> ApiResult<Value> {
    let body = body(bytes)?;
    let flag = |key: &str| body.get(key).and_then(Value::as_bool).unwrap_or(false);
    let (table, partition) = match table.split_once('$') {
        Some((table, partition)) => (table, Some(partition)),
        None => (table, None),
    };
    let mut path = TablePath { project, dataset, table: table.to_owned() };
    let rows = body
        .get("rows")
        .and_then(Value::as_array)
        .filter(|rows| !rows.is_empty())
        .ok_or_else(|| ApiError::invalid("No rows present in the request."))?;
    if rows.len() > limits::INSERT_ALL_ROWS {
        return Err(ApiError::invalid(format!(
            "Too many rows present in the request, limit: {} row count: {}.",
            limits::INSERT_ALL_ROWS,
            rows.len()
        )));
    }
    if let Some(suffix) = body.get("templateSuffix").and_then(Value::as_str).filter(|suffix| !suffix.is_empty()) {
        path = from_template(&mut app.store.lock(), app.ctx.clock.now(), &path, suffix)?;
    }
    let empty = Map::new();
    let read = |row| {
        let row: &Value = row;
        let object = row.get("json").and_then(Value::as_object).unwrap_or(&empty);
        (row.get("insertId").and_then(Value::as_str), object)
    };
    let incoming = Incoming {
        rows: &rows.iter().map(read).collect::<Vec<_>>(),
        partition,
        ignore_unknown: flag("ignoreUnknownValues"),
        skip_invalid: flag("skipInvalidRows"),
    };
    let bad = stream_in(app, &path, &incoming)?;
    let mut errors: Vec<Value> = bad
        .iter()
        .map(|(index, misfit)| {
            json!({
                "index": index,
                "errors": [{
                    "reason": "invalid",
                    "location": misfit.field(),
                    "debugInfo": "",
                    "message": misfit.streaming_text()
                }],
            })
        })
        .collect();
    if !errors.is_empty() && !incoming.skip_invalid {
        // One bad row stops them all: the good ones are named too.
        let bad: HashSet<usize> = bad.iter().map(|(index, _)| *index).collect();
        let stopped = json!([{"reason": "stopped", "location": "", "debugInfo": "", "message": ""}]);
        let good = (0..rows.len()).filter(|index| !bad.contains(index));
        errors.extend(good.map(|index| json!({"index": index, "errors": stopped})));
        errors.sort_by_key(|error| error["index"].as_u64());
    }
    let mut answer = json!({"kind": "bigquery#tableDataInsertAllResponse"});
    if !errors.is_empty() {
        answer["insertErrors"] = Value::Array(errors);
    }
    Ok(answer)
}
