//! Copy jobs: whole tables, perhaps as of a time (`T@ms`), into one.

use std::time::Duration;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::TablePath;
use serde_json::{Value as Json, json};

use super::JobState;
use super::destination::{self, Destination, Disposition};
use super::registry::JobCell;
use crate::service::App;
use crate::service::error::{ApiError, ApiResult};
use crate::service::tables;

/// What a copy's configuration asks for.
#[derive(Clone, Debug)]
pub struct CopySpec {
    pub sources: Vec<(TablePath, Option<i64>)>,
    pub destination: Destination,
}

impl CopySpec {
    pub fn from_json(copy: &Json) -> ApiResult<CopySpec> {
        if let Some(kind @ ("SNAPSHOT" | "CLONE" | "RESTORE")) = copy.get("operationType").and_then(Json::as_str) {
            return Err(ApiError::not_implemented(&format!("A copy job with operationType {kind}")));
        }
        let list = match (copy.get("sourceTables").and_then(Json::as_array), copy.get("sourceTable")) {
            (Some(list), _) if !list.is_empty() => list.clone(),
            (_, Some(one)) => vec![one.clone()],
            _ => return Err(ApiError::required("configuration.copy.sourceTables")),
        };
        let sources = list.iter().map(source).collect::<ApiResult<_>>()?;
        let destination = Destination::from_json(copy, Disposition::Empty)?
            .ok_or_else(|| ApiError::required("configuration.copy.destinationTable"))?;
        Ok(CopySpec { sources, destination })
    }
}

fn source(reference: &Json) -> ApiResult<(TablePath, Option<i64>)> {
    let mut reference = reference.clone();
    let id = reference.get("tableId").and_then(Json::as_str).unwrap_or_default().to_owned();
    let Some((table, at)) = id.split_once('@') else { return Ok((tables::reference(&reference)?.0, None)) };
    let at = at.parse().map_err(|_| ApiError::invalid(format!("Invalid snapshot decorator in {id}")))?;
    reference["tableId"] = json!(table);
    Ok((tables::reference(&reference)?.0, Some(at)))
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

fn copy(app: &App, spec: &CopySpec, now: Timestamp) -> ApiResult<(u64, u64)> {
    let mut destination = spec.destination.clone();
    let (mut rows, mut bytes) = (0, 0);
    for (path, at) in &spec.sources {
        let version = {
            let store = app.store.lock();
            match at {
                None => store.version_at(path, u64::MAX)?,
                // A negative decorator counts back from now.
                Some(ms) if *ms < 0 => {
                    store.version_as_of(now, path, now - Duration::from_millis(ms.unsigned_abs()))?
                }
                Some(ms) => store.version_as_of(now, path, Timestamp::from_micros(ms.saturating_mul(1_000)))?,
            }
        };
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
