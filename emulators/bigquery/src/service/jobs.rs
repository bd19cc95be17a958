//! jobs.insert, get, list, cancel, delete; reading job configurations.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use scrimmage_core::Rng;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::{App, Caller, Params, body, checks, etag, params};
use crate::catalog::NameScope;
use crate::engine::store::DatasetPath;
use crate::jobs::copy::{self, CopySpec};
use crate::jobs::destination::{Destination, Disposition};
use crate::jobs::extract::{self, ExtractSpec};
use crate::jobs::load::{self, LoadSpec};
use crate::jobs::query::{self, QuerySpec};
use crate::jobs::registry::JobCell;
use crate::jobs::sessions;
use crate::jobs::{Job, JobKind, JobState};
use crate::{limits, texts};

/// How long jobs.insert waits for a job that may be done at once; it answers PENDING or RUNNING after that.
///
/// Production answers sooner and lets the caller poll; a caller that polls sees no difference but speed.
const INSERT_WAIT: Duration = Duration::from_millis(500);

/// A shorter `jobTimeoutMs` than this counts as this: production looks rarely, and lets short jobs end.
const JOB_TIMEOUT_AT_LEAST: Duration = Duration::from_secs(60);

/// A job id as the service makes them.
pub fn new_job_id(app: &App) -> String {
    let number = app.job_count.fetch_add(1, Ordering::Relaxed);
    let now = app.ctx.clock.now().as_micros() as u64;
    let mut rng = Rng::seeded(app.ctx.seed ^ now.rotate_left(20) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    format!("job_{}", rng.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", 28))
}

/// Letters, digits, underscores and dashes, at most 1,024.
fn check_job_id(id: &str) -> ApiResult<()> {
    if id.is_empty()
        || id.len() > 1_024
        || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    {
        return Err(ApiError::invalid(format!(
            "Invalid job ID \"{id}\". Job IDs must be alphanumeric (plus underscores and dashes) and must be at most 1024 characters long."
        )));
    }
    Ok(())
}

/// The `query` part of a configuration; shared by jobs.insert and jobs.query.
pub fn query_spec(project: &str, query: &Value, dry_run: bool, caller: &Caller) -> ApiResult<QuerySpec> {
    let sql = query
        .get("query")
        .and_then(Value::as_str)
        .filter(|sql| !sql.is_empty())
        .ok_or_else(|| ApiError::required("query"))?;
    if sql.len() > limits::QUERY_BYTES {
        return Err(ApiError::invalid(
            "The query is too large. The maximum standard SQL query length is 1024.00K characters, including comments and white space characters.",
        ));
    }
    // The first line of the text counts for more than the field.
    let says = |dialect: &str| sql.get(..dialect.len()).is_some_and(|start| start.eq_ignore_ascii_case(dialect));
    let field = query.get("useLegacySql").and_then(Value::as_bool) == Some(true);
    if says("#legacySQL") || (field && !says("#standardSQL")) {
        return Err(ApiError::new(501, "notImplemented", texts::LEGACY_SQL));
    }
    if query.get("tableDefinitions").and_then(Value::as_object).is_some_and(|tables| !tables.is_empty()) {
        return Err(ApiError::not_implemented("tableDefinitions"));
    }
    let dataset = query.get("defaultDataset").and_then(|dataset| {
        let id = dataset.get("datasetId")?.as_str()?;
        Some(DatasetPath::new(dataset.get("projectId").and_then(Value::as_str).unwrap_or(project), id))
    });
    let list = query.get("queryParameters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Ok(QuerySpec {
        sql: sql.to_owned(),
        scope: NameScope { project: project.to_owned(), dataset },
        parameters: params::from_json(list)?,
        destination: Destination::from_json(query, Disposition::Empty)?,
        dry_run,
        identity: caller.identity.clone(),
        session: None,
        time_zone: match property(query, "time_zone") {
            Some(zone) if scrimmage_googlesql::value::civil::time_zone(zone).is_none() => {
                return Err(ApiError::invalid(format!("Invalid time zone: {zone}")));
            }
            zone => zone.map(str::to_owned),
        },
        max_bytes_billed: match query.get("maximumBytesBilled") {
            Some(Value::String(bytes)) => bytes.parse().ok(),
            Some(bytes) => bytes.as_u64(),
            None => None,
        },
    })
}

/// A connection property; an empty one is none.
fn property<'a>(query: &'a Value, key: &str) -> Option<&'a str> {
    let list = query.get("connectionProperties").and_then(Value::as_array)?;
    let found = list.iter().find(|property| property["key"] == key)?.get("value")?.as_str();
    found.filter(|value| !value.is_empty())
}

/// The session that a query begins or goes on with.
fn join_session(app: &App, job: &mut Job, spec: &mut QuerySpec) -> ApiResult<()> {
    let query = &job.configuration["query"];
    let session = match property(query, "session_id") {
        Some(id) => sessions::find(app, &job.project, id)?,
        None if query.get("createSession").and_then(Value::as_bool) == Some(true) && !spec.dry_run => {
            sessions::create(app, &job.project, &job.user)
        }
        None => return Ok(()),
    };
    job.extra.insert("sessionInfo".into(), json!({"sessionId": session.id}));
    spec.session = Some(session);
    Ok(())
}

/// Ends a job that runs longer than its configuration allows.
fn limit_time(app: &Arc<App>, cell: &Arc<JobCell>) {
    let timeout = match cell.lock().configuration.get("jobTimeoutMs") {
        Some(Value::String(ms)) => ms.parse().ok(),
        Some(ms) => ms.as_u64(),
        None => None,
    };
    let Some(timeout) = timeout.filter(|ms| *ms > 0) else { return };
    let (clock, cell) = (app.ctx.clock.clone(), cell.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = clock.sleep(Duration::from_millis(timeout).max(JOB_TIMEOUT_AT_LEAST)) => {
                cell.update(|job| {
                    job.timed_out = job.state != JobState::Done;
                    job.cancel.store(true, Ordering::Relaxed);
                });
            }
            () = cell.wait() => {}
        }
    });
}

/// Registers a query job and starts it.
pub fn start_query(app: &Arc<App>, mut job: Job, mut spec: QuerySpec) -> ApiResult<Arc<JobCell>> {
    // A job whose id is taken begins no session that nobody would know of.
    let cell = app.jobs.add(job.clone())?;
    if let Err(error) = join_session(app, &mut job, &mut spec) {
        app.jobs.remove(&job.project, &job.id);
        return Err(error);
    }
    cell.update(|registered| registered.extra = job.extra);
    limit_time(app, &cell);
    let (worker, running) = (app.clone(), cell.clone());
    spawn(app, &cell, move || query::run(&worker, &running, spec));
    Ok(cell)
}

/// Registers a load job and starts it, on the uploaded bytes where there are some.
pub fn start_load(app: &Arc<App>, job: Job, spec: LoadSpec, bytes: Option<Bytes>) -> ApiResult<Arc<JobCell>> {
    let cell = app.jobs.add(job)?;
    let (worker, running) = (app.clone(), cell.clone());
    spawn(app, &cell, move || load::run(&worker, &running, spec, bytes));
    Ok(cell)
}

/// Runs a job's work on a blocking thread with a deep stack; a panic ends the job as an internal error.
fn spawn(app: &Arc<App>, cell: &Arc<JobCell>, work: impl FnOnce() + Send + 'static) {
    let (app, cell) = (app.clone(), cell.clone());
    let task = tokio::task::spawn_blocking(work);
    tokio::spawn(async move {
        if let Err(error) = task.await {
            let now = app.ctx.clock.now();
            tracing::error!(%error, "a job's worker ended early");
            cell.update(|job| {
                job.state = JobState::Done;
                job.ended = Some(now);
                job.error = Some(ApiError::new(500, "internalError", texts::INTERNAL));
            });
        }
    });
}

/// Reads a job resource's reference and configuration.
pub fn read_job(app: &App, project: &str, resource: &Value) -> ApiResult<(Job, Value)> {
    let mut configuration = resource
        .get("configuration")
        .cloned()
        .filter(Value::is_object)
        .ok_or_else(|| ApiError::required("configuration"))?;
    let id = match resource.pointer("/jobReference/jobId").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => new_job_id(app),
    };
    check_job_id(&id)?;
    let mut kinds = [JobKind::Query, JobKind::Load, JobKind::Copy, JobKind::Extract]
        .into_iter()
        .filter(|kind| configuration.get(kind.key()).is_some_and(Value::is_object));
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return Err(ApiError::invalid(
            "Job configuration must contain exactly one job-specific configuration object (e.g., query, load, extract, copy).",
        ));
    };
    checks::labels(&configuration)?;
    let own = &configuration[kind.key()];
    checks::choice(own, "createDisposition", &["CREATE_IF_NEEDED", "CREATE_NEVER"])?;
    checks::choice(own, "priority", &["INTERACTIVE", "BATCH"])?;
    checks::choices(own, "schemaUpdateOptions", &["ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION"])?;
    if kind == JobKind::Query {
        let query = &mut configuration["query"];
        if query.get("priority").is_none() {
            query["priority"] = json!("INTERACTIVE");
        }
        if query.get("useLegacySql").is_none() {
            query["useLegacySql"] = json!(false);
        }
        if query.get("writeDisposition").is_none() && query.get("destinationTable").is_none() {
            query["writeDisposition"] = json!("WRITE_TRUNCATE");
        }
    }
    let mut job = Job::new(project, &id, kind, configuration.clone(), app.ctx.clock.now());
    if let Some(location) =
        resource.pointer("/jobReference/location").and_then(Value::as_str).filter(|own| !own.is_empty())
    {
        // Regions are lower case, multi-regions upper.
        let is_region = location.contains('-');
        job.location = if is_region { location.to_ascii_lowercase() } else { location.to_ascii_uppercase() };
    }
    job.dry_run = configuration.get("dryRun").and_then(Value::as_bool).unwrap_or(false);
    Ok((job, configuration))
}

pub async fn insert(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let resource = body(&bytes)?;
    let (mut job, configuration) = read_job(&app, &project, &resource)?;
    job.user = caller.identity.email().to_owned();
    let cell = match job.kind {
        JobKind::Query => {
            let spec = query_spec(&project, &configuration["query"], job.dry_run, &caller)?;
            if job.dry_run {
                return dry_run(&app, job, spec, &caller).await;
            }
            start_query(&app, job, spec)?
        }
        JobKind::Copy => {
            let spec = CopySpec::from_json(&configuration["copy"], caller.identity.clone())?;
            let cell = app.jobs.add(job)?;
            let (worker, running) = (app.clone(), cell.clone());
            spawn(&app, &cell, move || copy::run(&worker, &running, &spec));
            cell
        }
        JobKind::Load => {
            let spec = LoadSpec::from_json(&configuration["load"])?;
            if spec.uris.is_empty() {
                return Err(ApiError::required("configuration.load.sourceUris"));
            }
            start_load(&app, job, spec, None)?
        }
        JobKind::Extract => {
            let spec = ExtractSpec::from_json(&configuration["extract"], caller.identity.clone())?;
            let cell = app.jobs.add(job)?;
            let (worker, running) = (app.clone(), cell.clone());
            spawn(&app, &cell, move || extract::run(&worker, &running, &spec));
            cell
        }
    };
    let _ = tokio::time::timeout(INSERT_WAIT, cell.wait()).await;
    let resource = cell.lock().resource(&caller.base);
    Ok(Json(resource))
}

/// A dry run is no job: it is analyzed, answered and forgotten.
async fn dry_run(app: &Arc<App>, job: Job, spec: QuerySpec, caller: &Caller) -> ApiResult<Json<Value>> {
    let cell = start_query(app, job, spec)?;
    cell.wait().await;
    let job = cell.lock().opened().into_owned();
    app.jobs.remove(&job.project, &job.id);
    match job.error {
        Some(error) => Err(error),
        None => Ok(Json(without_id(job.resource(&caller.base)))),
    }
}

/// A dry run has no job that could be asked for.
fn without_id(mut resource: Value) -> Value {
    let part = |key: &str| resource["jobReference"][key].as_str().unwrap_or_default().to_owned();
    resource["id"] = json!(format!("{}:{}.", part("projectId"), part("location")));
    if let Some(reference) = resource["jobReference"].as_object_mut() {
        reference.shift_remove("jobId");
    }
    resource
}

/// A job is found only in the location that it runs in.
pub(super) fn find(app: &App, params: &Params, project: &str, id: &str) -> ApiResult<Arc<JobCell>> {
    let cell = app.jobs.get(project, id)?;
    match params.text("location").filter(|location| !location.is_empty()) {
        Some(location) if !location.eq_ignore_ascii_case(&cell.lock().location) => {
            Err(ApiError::not_found(format!("Not found: Job {project}:{location}.{id}")))
        }
        _ => Ok(cell),
    }
}

pub async fn get(
    State(app): State<Arc<App>>,
    Path((project, job)): Path<(String, String)>,
    params: Params,
    caller: Caller,
) -> ApiResult<Json<Value>> {
    let cell = find(&app, &params, &project, &job)?;
    let resource = cell.lock().resource(&caller.base);
    Ok(Json(resource))
}

pub async fn cancel(
    State(app): State<Arc<App>>,
    Path((project, job)): Path<(String, String)>,
    params: Params,
    caller: Caller,
) -> ApiResult<Json<Value>> {
    let cell = find(&app, &params, &project, &job)?;
    let job = cell.lock();
    job.cancel.store(true, Ordering::Relaxed);
    Ok(Json(json!({"kind": "bigquery#jobCancelResponse", "job": job.resource(&caller.base)})))
}

pub async fn delete(
    State(app): State<Arc<App>>,
    Path((project, job)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    let cell = app.jobs.get(&project, &job)?;
    {
        let job = cell.lock();
        if job.parent.is_some() {
            return Err(ApiError::invalid(format!(
                "Cannot delete child job {project}:{}; delete its parent job",
                job.id
            )));
        }
        if job.state != JobState::Done {
            return Err(ApiError::invalid(format!("Job {project}:{} is still running and cannot be deleted", job.id)));
        }
    }
    app.jobs.remove_children(&project, &job);
    app.jobs.remove(&project, &job);
    Ok(StatusCode::NO_CONTENT)
}

pub async fn list(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    params: Params,
    caller: Caller,
) -> ApiResult<Json<Value>> {
    let count = params.number("maxResults")?.unwrap_or(50).min(1_000);
    let before = match params.text("pageToken").filter(|token| !token.is_empty()) {
        Some(token) => Some(super::read_token(token)? as u64),
        None => None,
    };
    let states: Vec<String> = params
        .text("stateFilter")
        .unwrap_or_default()
        .split(',')
        .filter(|state| !state.is_empty())
        .map(str::to_ascii_uppercase)
        .collect();
    let known = ["done", "pending", "running"];
    if let Some(state) = states.iter().find(|state| !known.iter().any(|own| own.eq_ignore_ascii_case(state))) {
        return Err(ApiError::invalid(format!("Invalid value for stateFilter: {state}")).at("stateFilter"));
    }
    if let Some(other) = params.text("projection")
        && !["", "full", "minimal"].iter().any(|own| own.eq_ignore_ascii_case(other))
    {
        return Err(ApiError::invalid(format!("Invalid value for projection: {other}")).at("projection"));
    }
    let full = params.text("projection").is_some_and(|projection| projection.eq_ignore_ascii_case("full"));
    let parent = params.text("parentJobId");
    let (from, to) = (params.number("minCreationTime")?, params.number("maxCreationTime")?);
    let mut items = Vec::new();
    let mut next = None;
    for (number, cell) in app.jobs.list(before) {
        let job = cell.lock();
        let created = job.created.as_millis() as usize;
        let wanted = job.project == project
            && (params.flag("allUsers") || job.user == caller.identity.email())
            && (states.is_empty() || states.iter().any(|state| state == job.state.name()))
            && job.parent.as_deref() == parent
            && from.is_none_or(|from| created >= from)
            && to.is_none_or(|to| created <= to);
        if !wanted {
            continue;
        }
        if items.len() == count {
            next = Some(super::write_token(number as usize + 1));
            break;
        }
        let mut item = job.resource(&caller.base);
        item["state"] = json!(job.state.name());
        if let Some(error) = &job.error {
            item["errorResult"] = error.proto();
        }
        if let Some(fields) = item.as_object_mut() {
            for key in ["etag", "selfLink", "jobCreationReason"] {
                fields.shift_remove(key);
            }
            if !full {
                fields.shift_remove("configuration");
            }
        }
        items.push(item);
    }
    let mut list = json!({"kind": "bigquery#jobList", "etag": etag(&format!("{project}{}", items.len()))});
    if !items.is_empty() {
        list["jobs"] = Value::Array(items);
    }
    if let Some(next) = next {
        list["nextPageToken"] = json!(next);
    }
    Ok(Json(list))
}
