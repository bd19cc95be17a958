//! Copy jobs: whole tables or partitions (`T$20260101`), perhaps as of a time (`T@ms`), into one; snapshots, clones
//! and restores.

use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_googlesql::{Type, Value};
use serde_json::{Map, Value as Json, json};

use super::JobState;
use super::destination::{self, Destination, Disposition};
use super::registry::JobCell;
use crate::engine::dataset::TableKind;
use crate::engine::store::NewTable;
use crate::engine::table::TableVersion;
use crate::service::App;
use crate::service::error::{ApiError, ApiResult};
use crate::service::tables;

/// What a copy's configuration asks for.
#[derive(Clone, Debug)]
pub struct CopySpec {
    pub operation: Operation,
    pub sources: Vec<Source>,
    pub destination: Destination,
    /// Of a snapshot or clone.
    pub expires: Option<Timestamp>,
}

/// `operationType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Copy,
    Snapshot,
    Clone,
    /// A snapshot back into a table.
    Restore,
}

#[derive(Clone, Debug)]
pub struct Source {
    pub path: TablePath,
    /// Milliseconds since the epoch; a negative number counts back from now.
    pub at: Option<i64>,
    pub partition: Option<String>,
}

impl CopySpec {
    pub fn from_json(copy: &Json) -> ApiResult<CopySpec> {
        let operation = match copy.get("operationType").and_then(Json::as_str) {
            None | Some("" | "COPY" | "OPERATION_TYPE_UNSPECIFIED") => Operation::Copy,
            Some("SNAPSHOT") => Operation::Snapshot,
            Some("CLONE") => Operation::Clone,
            Some("RESTORE") => Operation::Restore,
            Some(other) => return Err(ApiError::invalid(format!("Invalid value for operationType: {other}"))),
        };
        let list = match (copy.get("sourceTables").and_then(Json::as_array), copy.get("sourceTable")) {
            (Some(list), _) if !list.is_empty() => list.clone(),
            (_, Some(one)) => vec![one.clone()],
            _ => return Err(ApiError::required("configuration.copy.sourceTables")),
        };
        let sources: Vec<Source> = list.iter().map(source).collect::<ApiResult<_>>()?;
        if operation != Operation::Copy && sources.len() != 1 {
            return Err(ApiError::invalid("A snapshot, clone or restore has exactly one source table"));
        }
        let destination = Destination::from_json(copy, Disposition::Empty)?
            .ok_or_else(|| ApiError::required("configuration.copy.destinationTable"))?;
        let expires = match copy.get("destinationExpirationTime").and_then(Json::as_str) {
            None => None,
            Some(text) => match crate::load::coerce::scalar(&Type::Timestamp, text, "destinationExpirationTime") {
                Ok(Value::Timestamp(micros)) => Some(Timestamp::from_micros(micros)),
                _ => return Err(ApiError::invalid(format!("Invalid value for destinationExpirationTime: {text}"))),
            },
        };
        Ok(CopySpec { operation, sources, destination, expires })
    }
}

fn source(reference: &Json) -> ApiResult<Source> {
    let mut reference = reference.clone();
    let id = reference.get("tableId").and_then(Json::as_str).unwrap_or_default().to_owned();
    let Some((table, at)) = id.split_once('@') else {
        let (path, partition) = tables::reference(&reference)?;
        return Ok(Source { path, at: None, partition });
    };
    let at = at.parse().map_err(|_| ApiError::invalid(format!("Invalid snapshot decorator in {id}")))?;
    reference["tableId"] = json!(table);
    let (path, partition) = tables::reference(&reference)?;
    Ok(Source { path, at: Some(at), partition })
}

/// Runs a registered copy job to its end, on a blocking thread.
pub fn run(app: &App, cell: &JobCell, spec: &CopySpec) {
    let now = app.ctx.clock.now();
    {
        let mut job = cell.lock();
        job.state = JobState::Running;
        job.started = Some(now);
    }
    let outcome = copy(app, spec, now);
    let ended = app.ctx.clock.now();
    cell.update(|job| {
        job.state = JobState::Done;
        job.ended = Some(ended);
        match outcome {
            Ok((rows, bytes)) => {
                job.statistics.insert("copiedRows".into(), json!(rows.to_string()));
                job.statistics.insert("copiedLogicalBytes".into(), json!(bytes.to_string()));
            }
            Err(error) => {
                job.error = Some(error.clone());
                job.errors.push(error);
            }
        }
    });
}

/// The source's rows.
fn read(app: &App, source: &Source, now: Timestamp) -> ApiResult<Arc<TableVersion>> {
    let path = &source.path;
    let version = {
        let store = app.store.lock();
        if let Ok(entry) = store.table(path)
            && matches!(entry.kind, TableKind::View { .. } | TableKind::MaterializedView { .. })
        {
            return Err(ApiError::invalid(format!(
                "Cannot copy {}:{}.{}: it is a {} and not a table",
                path.project,
                path.dataset,
                path.table,
                entry.kind.name()
            )));
        }
        match source.at {
            None => store.version_at(path, u64::MAX)?,
            Some(ms) if ms < 0 => store.version_as_of(now, path, now - Duration::from_millis(ms.unsigned_abs()))?,
            Some(ms) => store.version_as_of(now, path, Timestamp::from_micros(ms.saturating_mul(1_000)))?,
        }
    };
    match &source.partition {
        None => Ok(version),
        Some(partition) => version.only(partition).map(Arc::new).ok_or_else(|| {
            ApiError::invalid(format!("Invalid partition decorator ${partition} for table {}", path.table))
        }),
    }
}

/// A snapshot, a clone, or a table again: all of the source, its layout included.
fn keep(app: &App, spec: &CopySpec, version: &TableVersion, now: Timestamp) -> ApiResult<(u64, u64)> {
    let path = &spec.destination.path;
    let mut store = app.store.lock();
    let source = store.table(&version.path).map(|entry| entry.kind.clone());
    let is_snapshot = matches!(source, Ok(TableKind::Snapshot { .. }));
    if (spec.operation == Operation::Restore) != is_snapshot {
        return Err(ApiError::invalid(match spec.operation {
            Operation::Restore => "Only a table snapshot can be restored",
            _ => "A table snapshot cannot be the source of a snapshot or clone",
        }));
    }
    let replaces = spec.operation != Operation::Snapshot && spec.destination.write == Disposition::Truncate;
    let mut shape = (*version.shape).clone();
    shape.read_only = spec.operation == Operation::Snapshot;
    let of = version.path.clone();
    let kind = match spec.operation {
        Operation::Snapshot => TableKind::Snapshot { of, at: version.at },
        Operation::Clone => TableKind::Clone { of, at: version.at },
        Operation::Copy | Operation::Restore => TableKind::Table,
    };
    let new = NewTable { shape, kind, expires: spec.expires, metadata: Map::new() };
    store.create_table(now, path, new, version.batches(), replaces)?;
    Ok((version.rows, version.logical_bytes()))
}

fn copy(app: &App, spec: &CopySpec, now: Timestamp) -> ApiResult<(u64, u64)> {
    let mut destination = spec.destination.clone();
    let (mut rows, mut bytes) = (0, 0);
    for source in &spec.sources {
        let version = read(app, source, now)?;
        if spec.operation != Operation::Copy {
            return keep(app, spec, &version, now);
        }
        rows += version.rows;
        bytes += version.logical_bytes();
        if destination.partitioning.is_none() {
            destination.partitioning = version.shape.partitioning.clone();
            destination.clustering = version.shape.clustering.clone();
        }
        destination::write(app, &destination, &version.shape.schema, version.batches())?;
        // The first source meets the disposition; the others are added to it.
        destination.write = Disposition::Append;
    }
    Ok((rows, bytes))
}
