//! Copy jobs: whole tables or partitions (`T$20260101`), perhaps as of a time (`T@ms`), into one; snapshots, clones
//! and restores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_googlesql::{Type, Value};
use serde_json::{Map, Value as Json, json};

use super::destination::{self, Destination, Disposition};
use super::registry::JobCell;
use crate::engine::Store;
use crate::engine::dataset::TableKind;
use crate::engine::policy::{Identity, RowPolicy};
use crate::engine::store::NewTable;
use crate::engine::table::TableVersion;
use crate::row_access;
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
    /// Who has to see all rows of the sources.
    pub reader: Arc<Identity>,
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
    pub fn from_json(copy: &Json, reader: Arc<Identity>) -> ApiResult<CopySpec> {
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
        Ok(CopySpec { operation, sources, destination, expires, reader })
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
    super::perform(
        app,
        cell,
        |now| Ok(copy(app, spec, now)?),
        |job, (rows, bytes)| {
            job.statistics.insert("copiedRows".into(), json!(rows.to_string()));
            job.statistics.insert("copiedLogicalBytes".into(), json!(bytes.to_string()));
        },
    );
}

type Policies = BTreeMap<String, RowPolicy>;

/// A source's rows, and the policies that say who sees them.
fn read(store: &Store, source: &Source, reader: &Identity, now: Timestamp) -> ApiResult<(Arc<TableVersion>, Policies)> {
    let path = &source.path;
    let mut policies = Policies::new();
    if let Ok(entry) = store.table(path) {
        if matches!(
            entry.kind,
            TableKind::View { .. } | TableKind::MaterializedView { .. } | TableKind::External { .. }
        ) {
            return Err(ApiError::invalid(format!(
                "Cannot copy {}:{}.{}: it is a {} and not a table",
                path.project,
                path.dataset,
                path.table,
                entry.kind.name()
            )));
        }
        row_access::check_whole(entry, reader)?;
        policies.clone_from(&entry.policies);
    }
    let version = match source.at {
        None => store.version_at(path, u64::MAX)?,
        Some(ms) if ms < 0 => store.version_as_of(now, path, now - Duration::from_millis(ms.unsigned_abs()))?,
        Some(ms) => store.version_as_of(now, path, Timestamp::from_micros(ms.saturating_mul(1_000)))?,
    };
    let version = match &source.partition {
        None => version,
        Some(partition) => version.partition(partition)?,
    };
    Ok((version, policies))
}

/// A snapshot, a clone, or a table again: all of the source, its layout and its policies included.
fn keep(
    store: &mut Store,
    spec: &CopySpec,
    version: &TableVersion,
    policies: Policies,
    now: Timestamp,
) -> ApiResult<()> {
    let path = &spec.destination.path;
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
    store.create_table(now, path, new, version.batches_in_place(), replaces)?;
    store.entry(path)?.policies = policies;
    Ok(())
}

/// Everything is read at one moment and becomes visible at one: a copy is there whole or not at all.
fn copy(app: &App, spec: &CopySpec, now: Timestamp) -> ApiResult<(u64, u64)> {
    let mut store = app.store.lock();
    let (mut versions, mut policies) = (Vec::with_capacity(spec.sources.len()), Policies::new());
    for source in &spec.sources {
        let (version, own) = read(&store, source, &spec.reader, now)?;
        versions.push(version);
        policies.extend(own);
    }
    let Some(first) = versions.first() else { return Err(ApiError::required("configuration.copy.sourceTables")) };
    let sums = (
        versions.iter().map(|version| version.rows).sum(),
        versions.iter().map(|version| version.logical_bytes()).sum(),
    );
    if spec.operation != Operation::Copy {
        keep(&mut store, spec, first, policies, now)?;
        return Ok(sums);
    }
    let mut destination = spec.destination.clone();
    if destination.partitioning.is_none() {
        destination.partitioning = first.shape.partitioning.clone();
        destination.clustering = first.shape.clustering.clone();
    }
    let replaces = destination.write == Disposition::Truncate && destination.partition.is_none();
    let existing = store.table(&destination.path).ok().filter(|_| !replaces);
    // The first source makes the table; the others, and all where it is there, have to fit.
    let target = existing.map_or(&first.shape, |entry| &entry.current().shape).schema.clone();
    let is_new = existing.is_none();
    let mut batches = Vec::new();
    for version in &versions {
        let own = &version.shape.schema;
        destination::updated_schema(&target, own, &destination)?;
        for batch in version.batches_in_place() {
            batches.push(destination::arrange(&batch, own, &target)?);
        }
    }
    destination::write_into(&mut store, &app.ctx, &destination, &target, batches)?;
    if is_new {
        store.entry(&destination.path)?.policies = policies;
    }
    Ok(sums)
}
