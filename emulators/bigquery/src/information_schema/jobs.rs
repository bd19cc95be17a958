//! JOBS and its sisters, JOBS_TIMELINE, SESSIONS.

use scrimmage_googlesql::{Type, Value};
use serde_json::Value as Json;

use super::{Rows, Scan, at, number, or_null, text, time};
use crate::jobs::{Job, JobKind};

fn table_type() -> Type {
    Type::struct_of([("project_id", Type::String), ("dataset_id", Type::String), ("table_id", Type::String)])
}

fn error_type() -> Type {
    Type::struct_of([
        ("reason", Type::String),
        ("location", Type::String),
        ("debug_info", Type::String),
        ("message", Type::String),
    ])
}

fn string(json: Option<&Json>) -> Value {
    or_null(json.and_then(Json::as_str))
}

fn int(json: Option<&Json>) -> Value {
    let number = json.and_then(|json| json.as_i64().or_else(|| json.as_str()?.parse().ok()));
    number.map_or(Value::Null, Value::Int64)
}

fn table(json: Option<&Json>) -> Value {
    json.map_or(Value::Null, |json| {
        Value::structure(["projectId", "datasetId", "tableId"].map(|part| string(json.get(part))).to_vec())
    })
}

fn error(job: &Job) -> Value {
    job.error.as_ref().map_or(Value::Null, |error| {
        Value::structure(vec![
            Value::string(error.reason),
            or_null(error.location.as_deref()),
            Value::Null,
            Value::string(&error.message),
        ])
    })
}

/// What `make` makes of each of the project's jobs, or of the user's, newest first; one at a time, since there may be many.
fn each<T>(scan: &Scan, of_user: bool, make: impl Fn(&Job) -> T) -> Vec<T> {
    let cells = scan.jobs.map_or_else(Vec::new, |jobs| jobs.list(None));
    let own = |job: &Job| !of_user || scan.user.as_ref().is_none_or(|user| *user == job.user);
    let jobs = cells.into_iter().filter_map(|(_, cell)| {
        let job = cell.lock();
        (job.project == scan.project && own(&job)).then(|| make(&job.opened()))
    });
    jobs.collect()
}

pub fn jobs(scan: &Scan) -> Rows {
    rows_of(each(scan, false, row))
}

pub fn jobs_by_user(scan: &Scan) -> Rows {
    rows_of(each(scan, true, row))
}

fn rows_of(rows: Vec<Vec<Value>>) -> Rows {
    let label = || Type::struct_of([("key", Type::String), ("value", Type::String)]);
    let timeline = Type::struct_of(
        ["elapsed_ms", "total_slot_ms", "pending_units", "completed_units", "active_units", "estimated_runnable_units"]
            .map(|name| (name, Type::Int64)),
    );
    let stage = Type::struct_of([
        ("name", Type::String),
        ("id", Type::Int64),
        ("start_ms", Type::Int64),
        ("end_ms", Type::Int64),
        ("records_read", Type::Int64),
        ("records_written", Type::Int64),
        ("status", Type::String),
    ]);
    let dml = Type::struct_of([
        ("inserted_row_count", Type::Int64),
        ("deleted_row_count", Type::Int64),
        ("updated_row_count", Type::Int64),
    ]);
    Rows {
        columns: vec![
            time("creation_time"),
            text("project_id"),
            number("project_number"),
            text("user_email"),
            text("job_id"),
            text("job_type"),
            text("statement_type"),
            text("priority"),
            time("start_time"),
            time("end_time"),
            text("query"),
            text("state"),
            text("reservation_id"),
            number("total_bytes_processed"),
            number("total_slot_ms"),
            ("error_result", error_type()),
            ("cache_hit", Type::Bool),
            ("destination_table", table_type()),
            ("referenced_tables", Type::array(table_type())),
            ("labels", Type::array(label())),
            ("timeline", Type::array(timeline)),
            ("job_stages", Type::array(stage)),
            number("total_bytes_billed"),
            text("transaction_id"),
            text("parent_job_id"),
            ("session_info", Type::struct_of([("session_id", Type::String)])),
            ("dml_statistics", dml),
            number("total_modified_partitions"),
            ("bi_engine_statistics", bi_engine_type()),
            number("transferred_bytes"),
            ("materialized_view_statistics", materialized_view_type()),
            text("edition"),
            ("job_creation_reason", Type::struct_of([("code", Type::String)])),
            ("query_info", query_info_type()),
            text("query_dialect"),
            text("principal_subject"),
            number("total_services_sku_slot_ms"),
        ],
        rows,
    }
}

fn row(job: &Job) -> Vec<Value> {
    let configuration = &job.configuration;
    let own = configuration.get(job.kind.key());
    let statistics = &job.statistics;
    let list = |json: Option<&Json>, each: &dyn Fn(&Json) -> Value| {
        let items = json.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        Value::array(items.iter().map(each).collect())
    };
    let numbers = |json: &Json, keys: &[&str]| -> Vec<Value> { keys.iter().map(|key| int(json.get(key))).collect() };
    let labels = configuration.get("labels").and_then(Json::as_object).into_iter().flatten();
    let labels = labels.map(|(key, value)| Value::structure(vec![Value::string(key), string(Some(value))])).collect();
    let timeline =
        ["elapsedMs", "totalSlotMs", "pendingUnits", "completedUnits", "activeUnits", "estimatedRunnableUnits"];
    let stage = |json: &Json| {
        let mut fields = vec![string(json.get("name"))];
        fields.extend(numbers(json, &["id", "startMs", "endMs", "recordsRead", "recordsWritten"]));
        fields.push(string(json.get("status")));
        Value::structure(fields)
    };
    let is_query = job.kind == JobKind::Query;
    let session = job.extra.get("sessionInfo");
    vec![
        at(job.created),
        Value::string(&job.project),
        Value::Null,
        Value::string(&job.user),
        Value::string(&job.id),
        Value::string(job.kind.type_name()),
        string(statistics.get("statementType")),
        if is_query {
            Value::string(own.and_then(|own| own.get("priority")?.as_str()).unwrap_or("INTERACTIVE"))
        } else {
            Value::Null
        },
        job.started.map_or(Value::Null, at),
        job.ended.map_or(Value::Null, at),
        string(own.and_then(|own| own.get("query"))),
        Value::string(job.state.name()),
        Value::Null,
        int(statistics.get("totalBytesProcessed")),
        match (job.started, job.ended) {
            (Some(started), Some(ended)) => Value::Int64(ended.since(started).as_millis() as i64),
            _ => Value::Null,
        },
        error(job),
        statistics.get("cacheHit").and_then(Json::as_bool).map_or(Value::Null, Value::Bool),
        table(own.and_then(|own| own.get("destinationTable"))),
        list(statistics.get("referencedTables"), &|json| table(Some(json))),
        Value::array(labels),
        list(statistics.get("timeline"), &|json| Value::structure(numbers(json, &timeline))),
        list(statistics.get("queryPlan"), &stage),
        int(statistics.get("totalBytesBilled")),
        Value::Null,
        or_null(job.parent.as_deref()),
        session.map_or(Value::Null, |session| Value::structure(vec![string(session.get("sessionId"))])),
        statistics.get("dmlStats").map_or(Value::Null, |stats| {
            Value::structure(numbers(stats, &["insertedRowCount", "deletedRowCount", "updatedRowCount"]))
        }),
        Value::Null,
        Value::Null,
        int(statistics.get("transferredBytes")),
        Value::Null,
        Value::Null,
        Value::structure(vec![Value::string("REQUESTED")]),
        own.and_then(|own| own.get("query")?.as_str()).map_or(Value::Null, query_info),
        if is_query { Value::string("GOOGLE_SQL") } else { Value::Null },
        Value::string(crate::jobs::principal(&job.user)),
        Value::Null,
    ]
}

fn bi_engine_type() -> Type {
    let reason = Type::struct_of([("code", Type::String), ("message", Type::String)]);
    Type::struct_of([
        ("bi_engine_mode", Type::String),
        ("acceleration_mode", Type::String),
        ("bi_engine_reasons", Type::array(reason)),
    ])
}

fn materialized_view_type() -> Type {
    let names = ["project_id", "dataset_id", "table_id"].map(|name| (name, Type::String));
    let view = Type::struct_of([
        ("table_reference", Type::struct_of(names)),
        ("chosen", Type::Bool),
        ("estimated_bytes_saved", Type::Int64),
        ("rejected_reason", Type::String),
    ]);
    Type::struct_of([("materialized_view", Type::array(view))])
}

fn query_info_type() -> Type {
    let hashes = Type::struct_of([("normalized_literals", Type::String)]);
    let insights = Type::struct_of([("avg_previous_execution_ms", Type::Int64)]);
    Type::struct_of([("resource_warning", Type::String), ("query_hashes", hashes), ("performance_insights", insights)])
}

/// Queries that differ in their literals, comments and white space alone have the same hash.
fn query_info(sql: &str) -> Value {
    let mut normal = String::new();
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' => {
                while let Some(inner) = rest.next() {
                    match inner {
                        '\\' => drop(rest.next()),
                        _ if inner == c => break,
                        _ => {}
                    }
                }
                normal.push('?');
            }
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            '-' if rest.peek() == Some(&'-') => while rest.next_if(|c| *c != '\n').is_some() {},
            _ if c.is_ascii_digit() && !normal.ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                while rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '.').is_some() {}
                normal.push('?');
            }
            _ if c.is_whitespace() => {
                if !normal.ends_with(' ') && !normal.is_empty() {
                    normal.push(' ');
                }
            }
            _ => normal.extend(c.to_lowercase()),
        }
    }
    let hash = crate::service::etag(normal.trim_end());
    Value::structure(vec![Value::Null, Value::structure(vec![Value::string(hash.trim_end_matches('='))]), Value::Null])
}

pub fn jobs_timeline(scan: &Scan) -> Rows {
    timeline_of(each(scan, false, period))
}

pub fn jobs_timeline_by_user(scan: &Scan) -> Rows {
    timeline_of(each(scan, true, period))
}

/// One row a job: production has one for each second in which it ran.
fn period(job: &Job) -> Option<Vec<Value>> {
    let started = job.started?;
    let took = job.ended.map_or(0, |ended| ended.since(started).as_millis() as i64);
    let own = job.configuration.get(job.kind.key());
    Some(vec![
        at(started),
        Value::Int64(took),
        Value::string(&job.project),
        Value::Null,
        Value::string(&job.user),
        Value::string(&job.id),
        Value::string(job.kind.type_name()),
        string(job.statistics.get("statementType")),
        string(own.and_then(|own| own.get("priority"))),
        or_null(job.parent.as_deref()),
        at(job.created),
        at(started),
        job.ended.map_or(Value::Null, at),
        Value::string(job.state.name()),
        Value::Null,
        Value::Null,
        int(job.statistics.get("totalBytesProcessed")),
        error(job),
        job.statistics.get("cacheHit").and_then(Json::as_bool).map_or(Value::Null, Value::Bool),
    ])
}

fn timeline_of(rows: Vec<Option<Vec<Value>>>) -> Rows {
    Rows {
        columns: vec![
            time("period_start"),
            number("period_slot_ms"),
            text("project_id"),
            number("project_number"),
            text("user_email"),
            text("job_id"),
            text("job_type"),
            text("statement_type"),
            text("priority"),
            text("parent_job_id"),
            time("job_creation_time"),
            time("job_start_time"),
            time("job_end_time"),
            text("state"),
            text("reservation_id"),
            text("edition"),
            number("total_bytes_processed"),
            ("error_result", error_type()),
            ("cache_hit", Type::Bool),
        ],
        rows: rows.into_iter().flatten().collect(),
    }
}

pub fn sessions(scan: &Scan) -> Rows {
    sessions_of(scan, false)
}

pub fn sessions_by_user(scan: &Scan) -> Rows {
    sessions_of(scan, true)
}

fn sessions_of(scan: &Scan, of_user: bool) -> Rows {
    let all = scan.sessions.map_or_else(Vec::new, |sessions| sessions.of_project(&scan.project));
    let own = all.iter().filter(|session| !of_user || scan.user.as_ref().is_none_or(|user| *user == session.user));
    let rows = own.map(|session| {
        let times = *session.times();
        vec![
            at(session.created),
            times.ended.map_or(Value::Null, at),
            Value::Bool(times.ended.is_none()),
            at(times.last_used),
            Value::Null,
            Value::string(&session.project),
            Value::Null,
            Value::string(&session.id),
            Value::string(&session.user),
        ]
    });
    Rows {
        columns: vec![
            time("creation_time"),
            time("expiration_time"),
            ("is_active", Type::Bool),
            time("last_modified_time"),
            text("principal_subject"),
            text("project_id"),
            number("project_number"),
            text("session_id"),
            text("user_email"),
        ],
        rows: rows.collect(),
    }
}
