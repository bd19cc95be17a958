//! tabledata.list and tabledata.insertAll.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::{Schema, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use serde_json::{Value, json};

use super::cells::{self, Timestamps};
use super::error::{ApiError, ApiResult};
use super::{App, Params, body, etag, partitions_summary, read_token, write_token};
use scrimmage_core::Timestamp;

use crate::engine::Store;
use crate::engine::dataset::TableKind;
use crate::engine::store::NewTable;
use crate::engine::table::TableVersion;
use crate::limits;
use crate::load::{Rows, coerce};
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
) -> ApiResult<Json<Value>> {
    let (table, partition) = match table.split_once('$') {
        Some((table, partition)) => (table.to_owned(), Some(partition.to_owned())),
        None => (table, None),
    };
    let path = TablePath { project, dataset, table };
    let version = {
        let store = app.store.lock();
        match store.table(&path) {
            Ok(entry) if matches!(entry.kind, TableKind::View { .. } | TableKind::MaterializedView { .. }) => {
                return Err(ApiError::invalid(format!("Cannot list a table of type {}.", entry.kind.name())));
            }
            Ok(entry) if partition.as_deref() == Some(partitions_summary::DECORATOR) => {
                partitions_summary::version(entry)?
            }
            Ok(entry) => entry.current().clone(),
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
        Some(fields) if !fields.is_empty() => select_fields(&version, fields),
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

/// The same rows with only the named top-level columns.
fn select_fields(version: &Arc<TableVersion>, fields: &str) -> Arc<TableVersion> {
    let wanted: Vec<&str> = fields.split(',').map(|field| field.trim().split('.').next().unwrap_or(field)).collect();
    let columns = version
        .shape
        .schema
        .columns
        .iter()
        .filter(|column| wanted.iter().any(|name| name.eq_ignore_ascii_case(&column.name)));
    let shape = version.shape.with_schema(Schema { columns: columns.cloned().collect() });
    Arc::new(TableVersion::new(
        version.path.clone(),
        version.seq,
        version.at,
        Arc::new(shape),
        version.segments.clone(),
    ))
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

pub async fn insert_all(
    State(app): State<Arc<App>>,
    Path((project, dataset, table)): Path<(String, String, String)>,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let body = body(&bytes)?;
    let flag = |key: &str| body.get(key).and_then(Value::as_bool).unwrap_or(false);
    let (table, partition) = match table.split_once('$') {
        Some((table, partition)) => (table.to_owned(), Some(partition.to_owned())),
        None => (table, None),
    };
    let mut path = TablePath { project, dataset, table };
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
    let now = app.ctx.clock.now();
    let mut store = app.store.lock();
    if let Some(suffix) = body.get("templateSuffix").and_then(Value::as_str).filter(|suffix| !suffix.is_empty()) {
        path = from_template(&mut store, now, &path, suffix)?;
    }
    let entry = store.entry(&path).map_err(|_| ApiError::not_found(texts::table_gone(&path)))?;
    if !matches!(entry.kind, TableKind::Table | TableKind::Clone { .. }) {
        return Err(ApiError::invalid(format!("Cannot add rows to a table of type {}.", entry.kind.name())));
    }
    let shape = entry.current().shape.clone();
    let partition =
        match &partition {
            None => None,
            Some(id) => Some(shape.partitioning.as_ref().and_then(|own| own.parse(id)).ok_or_else(|| {
                ApiError::invalid(format!("Invalid partition decorator ${id} for table {}", path.table))
            })?),
        };
    let schema = shape.schema.clone();
    let mut read = Rows::new(&schema);
    let mut errors = Vec::new();
    let mut good = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let empty = serde_json::Map::new();
        let object = row.get("json").and_then(Value::as_object).unwrap_or(&empty);
        match coerce::row(&schema.columns, object, flag("ignoreUnknownValues")) {
            Ok(values) => good.push((row.get("insertId").and_then(Value::as_str), values)),
            Err(misfit) => errors.push(json!({
                "index": index,
                "errors": [{"reason": "invalid", "location": misfit.field(), "debugInfo": "", "message": misfit.streaming_text()}],
            })),
        }
    }
    if !errors.is_empty() && !flag("skipInvalidRows") {
        // One bad row stops them all: the good ones are named too.
        let bad: Vec<u64> = errors.iter().filter_map(|error| error["index"].as_u64()).collect();
        for index in (0..rows.len() as u64).filter(|index| !bad.contains(index)) {
            errors.push(json!({"index": index, "errors": [{"reason": "stopped", "location": "", "debugInfo": "", "message": ""}]}));
        }
        errors.sort_by_key(|error| error["index"].as_u64());
        return Ok(Json(json!({"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": errors})));
    }
    for (insert_id, values) in good {
        if entry.stream.is_new(now, insert_id) {
            read.push(values);
        }
    }
    let batch: Batch = read.finish();
    if batch.len > 0 {
        store.write_streaming(now, &path, batch, partition)?;
    }
    let mut answer = json!({"kind": "bigquery#tableDataInsertAllResponse"});
    if !errors.is_empty() {
        answer["insertErrors"] = Value::Array(errors);
    }
    Ok(Json(answer))
}
