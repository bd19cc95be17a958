//! Jobs: everything that takes time. Queries, loads and copies run on blocking threads and are waited for by id.

pub mod cache;
pub mod copy;
pub mod costs;
pub mod ddl;
mod ddl_alter;
mod ddl_options;
pub mod ddl_policies;
pub mod ddl_routines;
pub mod destination;
pub mod external;
pub mod extract;
pub mod gate;
pub mod gcs;
mod held;
pub mod load;
mod load_data;
mod option_names;
mod packed;
pub mod query;
pub mod registry;
pub mod results;
pub mod script;
pub mod sessions;
mod stages;
pub mod statement;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use scrimmage_core::Timestamp;
use serde_json::{Map, Value as Json, json};

use crate::engine::table::TableVersion;
use crate::service::error::ApiError;
use crate::texts;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobState {
    Pending,
    Running,
    Done,
}

impl JobState {
    pub fn name(self) -> &'static str {
        match self {
            JobState::Pending => "PENDING",
            JobState::Running => "RUNNING",
            JobState::Done => "DONE",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobKind {
    Query,
    Load,
    Copy,
    Extract,
}

impl JobKind {
    /// The key in `configuration` and `statistics`.
    pub fn key(self) -> &'static str {
        match self {
            JobKind::Query => "query",
            JobKind::Load => "load",
            JobKind::Copy => "copy",
            JobKind::Extract => "extract",
        }
    }

    pub fn type_name(self) -> &'static str {
        match self {
            JobKind::Query => "QUERY",
            JobKind::Load => "LOAD",
            JobKind::Copy => "COPY",
            JobKind::Extract => "EXTRACT",
        }
    }
}

/// A job as `jobs.get` shows it.
#[derive(Clone, Debug)]
pub struct Job {
    pub project: String,
    pub id: String,
    pub kind: JobKind,
    pub state: JobState,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// As sent, with what the service fills in.
    pub configuration: Json,
    /// `statistics.query` and so on.
    pub statistics: Map<String, Json>,
    /// What failed it.
    pub error: Option<ApiError>,
    /// Everything that went wrong, also where the job went on.
    pub errors: Vec<ApiError>,
    /// A query's rows, for as long as its table has them: remembered results have a bound of their own.
    pub result: Option<Weak<TableVersion>>,
    pub cancel: Arc<AtomicBool>,
    pub parent: Option<String>,
    pub children: u64,
    pub dry_run: bool,
    /// The address of whoever began it.
    pub user: String,
    /// As the caller named it; all data is in one place.
    pub location: String,
    /// Statistics beside the job's own kind's: `sessionInfo`, `scriptStatistics`, `transactionInfo`.
    pub extra: Map<String, Json>,
    /// `jobTimeoutMs` has passed.
    pub timed_out: bool,
    /// Rows that came out of a query, for its plan.
    rows_out: u64,
    /// `configuration`, `statistics` and `extra` of an older job, which are empty then: see [`packed`].
    packed: Option<packed::Packed>,
}

/// Who all jobs belong to: the default service account of the metadata endpoint.
pub const USER: &str = "scrimmage@scrimmage.iam.gserviceaccount.com";

impl Job {
    pub fn new(project: &str, id: &str, kind: JobKind, configuration: Json, now: Timestamp) -> Job {
        Job {
            project: project.to_owned(),
            id: id.to_owned(),
            kind,
            state: JobState::Pending,
            created: now,
            started: None,
            ended: None,
            configuration,
            statistics: Map::new(),
            error: None,
            errors: Vec::new(),
            result: None,
            cancel: Arc::default(),
            parent: None,
            children: 0,
            dry_run: false,
            user: USER.to_owned(),
            location: texts::LOCATION.to_owned(),
            extra: Map::new(),
            timed_out: false,
            rows_out: 0,
            packed: None,
        }
    }

    pub fn reference(&self) -> Json {
        json!({"projectId": self.project, "jobId": self.id, "location": self.location})
    }

    /// Of a query, as text; 0 until it is done.
    pub fn bytes_processed(&self) -> &str {
        self.statistics.get("totalBytesProcessed").and_then(Json::as_str).unwrap_or("0")
    }

    /// Fills in the plan and the timeline of a query that is done.
    pub(crate) fn draw_stages(&mut self) {
        self.rows_out = self.result.as_ref().and_then(Weak::upgrade).map_or(0, |result| result.rows);
        self.redraw_stages();
    }

    fn has_stages(&self) -> bool {
        let cached = self.statistics.get("cacheHit") == Some(&Json::Bool(true));
        let ran = self.error.is_none() && !self.dry_run && !cached;
        ran && self.kind == JobKind::Query && !self.statistics.contains_key("ddlOperationPerformed")
    }

    fn redraw_stages(&mut self) {
        let (Some(started), Some(ended)) = (self.started, self.ended) else { return };
        if !self.has_stages() {
            return;
        }
        let text = |table: &Json, key: &str| table.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let tables: Vec<_> = self
            .statistics
            .get("referencedTables")
            .and_then(Json::as_array)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .map(|table| scrimmage_googlesql::catalog::TablePath {
                project: text(table, "projectId"),
                dataset: text(table, "datasetId"),
                table: text(table, "tableId"),
            })
            .collect();
        self.statistics.insert("queryPlan".into(), stages::plan(&tables, self.rows_out, started, ended));
        self.statistics.insert("timeline".into(), stages::timeline(tables.len() + 1, started, ended));
        self.statistics.insert("totalSlotMs".into(), json!(ended.since(started).as_millis().to_string()));
    }

    fn status(&self) -> Json {
        let mut status = json!({"state": self.state.name()});
        if let Some(error) = &self.error {
            status["errorResult"] = error.proto();
        }
        if !self.errors.is_empty() {
            status["errors"] = self.errors.iter().map(ApiError::proto).collect();
        }
        status
    }

    fn all_statistics(&self) -> Json {
        let mut statistics = Map::new();
        statistics.insert("creationTime".into(), json!(self.created.as_millis().to_string()));
        for (key, at) in [("startTime", self.started), ("endTime", self.ended)] {
            if let Some(at) = at {
                statistics.insert(key.into(), json!(at.as_millis().to_string()));
            }
        }
        if self.kind == JobKind::Query {
            statistics.insert("totalBytesProcessed".into(), json!(self.bytes_processed()));
        }
        if let (Some(start), Some(end)) = (self.started, self.ended) {
            let duration = end.since(start).as_millis().to_string();
            statistics.insert("totalSlotMs".into(), json!(duration));
            statistics.insert("finalExecutionDurationMs".into(), json!(duration));
        }
        if let Some(parent) = &self.parent {
            statistics.insert("parentJobId".into(), json!(parent));
        }
        if self.children > 0 {
            statistics.insert("numChildJobs".into(), json!(self.children.to_string()));
        }
        statistics.extend(self.extra.clone());
        statistics.insert(self.kind.key().into(), Json::Object(self.statistics.clone()));
        Json::Object(statistics)
    }

    /// The REST resource. `base` is the address that `selfLink` begins with.
    pub fn resource(&self, base: &str) -> Json {
        if self.is_packed() {
            return self.opened().resource(base);
        }
        let mut configuration = self.configuration.clone();
        configuration["jobType"] = json!(self.kind.type_name());
        let etag = format!("{}-{}-{}", self.id, self.state.name(), self.ended.unwrap_or(self.created).as_micros());
        json!({
            "kind": "bigquery#job",
            "etag": crate::service::etag(&etag),
            "id": format!("{}:{}.{}", self.project, self.location, self.id),
            "selfLink": format!("{base}/bigquery/v2/projects/{}/jobs/{}?location={}", self.project, self.id, self.location),
            "user_email": self.user,
            "principal_subject": principal(&self.user),
            "configuration": configuration,
            "jobReference": self.reference(),
            "statistics": self.all_statistics(),
            "status": self.status(),
            "jobCreationReason": {"code": "REQUESTED"},
        })
    }
}

/// Why a job failed: its error, and those of single rows.
pub(crate) struct Failed {
    pub error: ApiError,
    pub rows: Vec<ApiError>,
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Failed {
        Failed { error, rows: Vec::new() }
    }
}

/// Runs a registered job that is no query to its end: `work` is told when it began, `note` writes down what came of it.
pub(crate) fn perform<T>(
    app: &crate::service::App,
    cell: &registry::JobCell,
    work: impl FnOnce(Timestamp) -> Result<T, Failed>,
    note: impl FnOnce(&mut Job, T),
) {
    let now = app.ctx.clock.now();
    cell.update(|job| {
        job.state = JobState::Running;
        job.started = Some(now);
    });
    let (target, cancel) = {
        let job = cell.lock();
        (held::target(&job), job.cancel.clone())
    };
    let held = held::hold(&app.ctx, || target, &cancel);
    let outcome = held.map_err(|error| ApiError::from(error).into()).and_then(|()| work(now));
    let ended = app.ctx.clock.now();
    cell.update(|job| {
        job.state = JobState::Done;
        job.ended = Some(ended);
        match outcome {
            Ok(done) => note(job, done),
            Err(Failed { error, rows }) => {
                job.error = Some(error.clone());
                job.errors.push(error);
                job.errors.extend(rows);
            }
        }
    });
}

/// `serviceAccount:…` or `user:…`.
pub(crate) fn principal(email: &str) -> String {
    let kind = if email.ends_with(".gserviceaccount.com") { "serviceAccount" } else { "user" };
    format!("{kind}:{email}")
}

/// Resolves a statement without running it.
fn analyzed(
    app: &crate::service::App,
    dataset: &crate::engine::store::DatasetPath,
    sql: &str,
) -> Result<statement::StatementDone, scrimmage_googlesql::SqlError> {
    let scope = crate::catalog::NameScope { project: dataset.project.clone(), dataset: Some(dataset.clone()) };
    let identity = Arc::new(crate::engine::policy::Identity::new(USER));
    let runner = statement::Runner { dry_run: true, ..statement::Runner::new(app, scope, identity) };
    let parsed = scrimmage_googlesql::parser::parse_statement(sql)?;
    let around = statement::Surroundings {
        variables: &std::collections::HashMap::new(),
        parameters: &runner.parameters,
        time_zone: "UTC",
    };
    runner.run(&parsed, around)
}

/// That a statement made up here can be resolved; what is wrong is told without a place, which would be ours.
pub fn check_statement(
    app: &crate::service::App,
    dataset: &crate::engine::store::DatasetPath,
    sql: &str,
) -> crate::service::error::ApiResult<()> {
    analyzed(app, dataset, sql).map(drop).map_err(|error| ApiError::new(400, "invalidQuery", error.message))
}

/// The columns that a view's query gives, so that a view with a bad query is refused when it is made.
pub fn view_schema(
    app: &crate::service::App,
    path: &scrimmage_googlesql::catalog::TablePath,
    sql: &str,
) -> crate::service::error::ApiResult<scrimmage_googlesql::catalog::Schema> {
    let failed = |error: scrimmage_googlesql::SqlError| ApiError::from(error.locate(sql));
    match analyzed(app, &crate::engine::store::DatasetPath::of(path), sql).map_err(failed)?.columns {
        Some(columns) => Ok(query::result_schema(&columns)),
        None => Err(ApiError::invalid("A view's query must be a SELECT statement")),
    }
}
