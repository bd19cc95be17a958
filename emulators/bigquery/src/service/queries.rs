//! jobs.query and jobs.getQueryResults.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::cells::Timestamps;
use super::error::{ApiError, ApiResult};
use super::schema::{self, Modes};
use super::tabledata::{read_page, timestamps};
use super::{App, Caller, Params, body, etag};
use crate::jobs::registry::JobCell;
use crate::jobs::{Job, JobKind, JobState};
use crate::{limits, texts};

/// How long both calls wait where the caller does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);
/// The longest that they wait.
const MAX_WAIT: Duration = Duration::from_secs(200);

/// The parts of jobs.query's body that belong into the job's configuration.
const CONFIGURATION: [&str; 9] = [
    "query",
    "defaultDataset",
    "useLegacySql",
    "useQueryCache",
    "parameterMode",
    "queryParameters",
    "maximumBytesBilled",
    "createSession",
    "connectionProperties",
];

pub async fn query(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Response> {
    let request = body(&bytes)?;
    let mut query = Map::new();
    for key in CONFIGURATION {
        if let Some(value) = request.get(key) {
            query.insert(key.into(), value.clone());
        }
    }
    let dry_run = request.get("dryRun").and_then(Value::as_bool).unwrap_or(false);
    let mut configuration = json!({"query": query});
    for key in ["labels", "dryRun", "jobTimeoutMs"] {
        if let Some(value) = request.get(key) {
            configuration[key] = value.clone();
        }
    }
    let mut resource = json!({ "configuration": configuration });
    if let Some(location) = request.get("location") {
        resource["jobReference"]["location"] = location.clone();
    }
    let mut repeated = None;
    if let Some(id) = request_job_id(&project, &request).filter(|_| !dry_run) {
        match app.jobs.get(&project, &id) {
            Ok(cell) => {
                let age = app.ctx.clock.now().since(cell.lock().created);
                repeated = (age < limits::REQUEST_ID_MEMORY).then_some(cell);
            }
            Err(_) => resource["jobReference"]["jobId"] = json!(id),
        }
    }
    let cell = match repeated {
        Some(cell) => cell,
        None => {
            let (mut job, configuration) = super::jobs::read_job(&app, &project, &resource)?;
            job.dry_run = dry_run;
            job.user = caller.identity.email().to_owned();
            let spec = super::jobs::query_spec(&project, &configuration["query"], dry_run, &caller)?;
            super::jobs::start_query(&app, job, spec)?
        }
    };
    let wait = match request.get("timeoutMs") {
        Some(Value::Number(ms)) => Duration::from_millis(ms.as_u64().unwrap_or(0)),
        Some(Value::String(ms)) => Duration::from_millis(ms.parse().unwrap_or(0)),
        _ => DEFAULT_WAIT,
    };
    let max = request
        .get("maxResults")
        .and_then(|max| max.as_u64().or_else(|| max.as_str()?.parse().ok()))
        .map(|max| max as usize);
    let int64 = request.pointer("/formatOptions/useInt64Timestamp").and_then(Value::as_bool).unwrap_or(false);
    let format = match request.pointer("/formatOptions/timestampOutputFormat").and_then(Value::as_str) {
        Some("ISO8601_STRING") => Timestamps::Iso8601,
        Some("INT64") => Timestamps::Int64Micros,
        _ if int64 => Timestamps::Int64Micros,
        _ => Timestamps::FloatSeconds,
    };
    let answer = answer(&cell, wait, max, &Params::default(), format, Call::Query).await;
    if dry_run {
        let id = cell.lock().id.clone();
        app.jobs.remove(&project, &id);
    }
    let mut answer = answer?;
    if dry_run && let Some(fields) = answer.as_object_mut() {
        // A dry run has no job that could be asked for.
        fields.shift_remove("queryId");
        fields.shift_remove("jobCreationReason");
        if let Some(reference) = fields.get_mut("jobReference").and_then(Value::as_object_mut) {
            reference.shift_remove("jobId");
        }
    }
    let optional = request.get("jobCreationMode").and_then(Value::as_str) == Some("JOB_CREATION_OPTIONAL");
    if optional && !dry_run && answer["jobComplete"] == true && answer.get("pageToken").is_none() {
        // All is said: no job is left behind that could be asked for.
        if let Some(fields) = answer.as_object_mut() {
            fields.shift_remove("jobReference");
            fields.shift_remove("jobCreationReason");
        }
        if request.get("requestId").is_none() {
            let id = cell.lock().id.clone();
            app.jobs.remove(&project, &id);
        }
    }
    Ok(Json(answer).into_response())
}

/// The job that a `requestId` stands for: a client that missed the answer sends the request again, and it must not
/// run twice.
fn request_job_id(project: &str, request: &Value) -> Option<String> {
    let id = request.get("requestId").and_then(Value::as_str).filter(|id| !id.is_empty())?;
    Some(format!("job_{}", etag(&format!("{project}/{id}")).trim_end_matches('=')))
}

pub async fn results(
    State(app): State<Arc<App>>,
    Path((project, job)): Path<(String, String)>,
    params: Params,
) -> ApiResult<Json<Value>> {
    let cell = super::jobs::find(&app, &params, &project, &job)?;
    if cell.lock().kind != JobKind::Query {
        return Err(ApiError::invalid("Cannot retrieve query results of a job that is not a query"));
    }
    let wait = params.number("timeoutMs")?.map_or(DEFAULT_WAIT, |ms| Duration::from_millis(ms as u64));
    let max = params.number("maxResults")?;
    let format = timestamps(&params);
    answer(&cell, wait, max, &params, format, Call::Results).await.map(Json)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Query,
    Results,
}

async fn answer(
    cell: &JobCell,
    wait: Duration,
    max: Option<usize>,
    params: &Params,
    format: Timestamps,
    call: Call,
) -> ApiResult<Value> {
    let _ = tokio::time::timeout(wait.min(MAX_WAIT), cell.wait()).await;
    let job = cell.lock().opened().into_owned();
    if let Some(error) = &job.error {
        let mut error = error.clone();
        // Within a call that is the query itself the parameter is called `q`.
        if error.location.as_deref() == Some("query") {
            error.location = Some("q".into());
        }
        return Err(error);
    }
    let kind = if call == Call::Query { "bigquery#queryResponse" } else { "bigquery#getQueryResultsResponse" };
    let mut answer = json!({"kind": kind, "jobReference": job.reference(), "jobComplete": job.state == JobState::Done});
    if call == Call::Results {
        answer["etag"] = json!(etag(&format!("{}{}", job.id, job.state.name())));
    } else {
        answer["queryId"] = json!(job.id);
        answer["jobCreationReason"] = json!({"code": "REQUESTED"});
        answer["location"] = json!(job.location);
        if let Some(session) = job.extra.get("sessionInfo") {
            answer["sessionInfo"] = session.clone();
        }
    }
    if job.state != JobState::Done {
        return Ok(answer);
    }
    fill(&job, &mut answer, max, params, format, call)?;
    Ok(answer)
}

fn fill(
    job: &Job,
    answer: &mut Value,
    max: Option<usize>,
    params: &Params,
    format: Timestamps,
    call: Call,
) -> ApiResult<()> {
    answer["totalBytesProcessed"] = json!(job.bytes_processed());
    answer["cacheHit"] = job.statistics.get("cacheHit").cloned().unwrap_or(json!(false));
    if call == Call::Query {
        for key in ["statementType", "totalBytesBilled"] {
            if let Some(value) = job.statistics.get(key) {
                answer[key] = value.clone();
            }
        }
    }
    for key in ["numDmlAffectedRows", "dmlStats"] {
        if let Some(value) = job.statistics.get(key) {
            answer[key] = value.clone();
        }
    }
    match &job.result {
        Some(result) => {
            let version = result.upgrade().ok_or_else(|| {
                let table = &job.configuration["query"]["destinationTable"];
                let gone = super::tables::reference(table).map(|(path, _)| texts::table_gone(&path));
                ApiError::not_found(gone.unwrap_or_else(|_| format!("Not found: results of job {}", job.id)))
            })?;
            let version = &version;
            answer["schema"] = schema::to_json(&version.shape.schema, Modes::Always);
            answer["totalRows"] = json!(version.rows.to_string());
            // `maxResults=0` asks for everything but rows.
            let page = read_page(version, params, max, format)?;
            if call == Call::Query {
                answer["pageRowCount"] = json!(page.rows.len().to_string());
            }
            if !page.rows.is_empty() {
                answer["rows"] = Value::Array(page.rows);
            }
            if let Some(next) = page.next {
                answer["pageToken"] = json!(next);
            }
        }
        None => {
            if let Some(schema) = job.statistics.get("schema") {
                answer["schema"] = schema.clone();
            }
            answer["totalRows"] = json!("0");
        }
    }
    Ok(())
}
