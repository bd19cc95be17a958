//! Query jobs: from configuration to rows, counts and statistics.

use std::collections::HashMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::analyzer;
use scrimmage_googlesql::ast::{Expr, Statement, StatementKind};
use scrimmage_googlesql::catalog::{Catalog, Parameters, QueryResult, Relation, Routine, Schema, Table, TablePath};
use scrimmage_googlesql::exec::{self};
use scrimmage_googlesql::functions::{Draws, EvalContext};
use scrimmage_googlesql::parser;
use scrimmage_googlesql::plan::AnalyzerContext;
use scrimmage_googlesql::{ErrorKind, SqlError, Type, Value};
use serde_json::{Map, Value as Json, json};

use super::ddl::{DdlTarget, table_reference};
use super::destination::{self, Destination};
use super::registry::JobCell;
use super::script;
use super::sessions::Session;
use super::statement::{Runner, StatementDone};
use super::{JobState, cache, results};
use crate::engine::policy::Identity;
use crate::engine::table::{TableVersion, plain_column};
use crate::service::App;
use crate::service::error::{ApiError, ApiResult};
use crate::service::schema::{self, Modes};
use crate::texts;

/// What a query's configuration asks for, read and checked.
#[derive(Clone, Debug)]
pub struct QuerySpec {
    pub sql: String,
    pub scope: crate::catalog::NameScope,
    pub parameters: Parameters,
    pub destination: Option<Destination>,
    pub dry_run: bool,
    pub max_bytes_billed: Option<u64>,
    /// Who asks.
    pub identity: Arc<Identity>,
    /// The session that it is part of.
    pub session: Option<Arc<Session>>,
    /// The time zone that the caller asks for, with connection properties.
    pub time_zone: Option<String>,
}

/// Runs a registered query job to its end, on a blocking thread.
pub fn run(app: &App, cell: &JobCell, spec: QuerySpec) {
    let cancel = {
        let now = app.ctx.clock.now();
        let mut job = cell.lock();
        job.state = JobState::Running;
        job.started = Some(now);
        job.cancel.clone()
    };
    let runner = Runner {
        parameters: spec.parameters.clone(),
        cancel,
        dry_run: spec.dry_run,
        max_bytes_billed: spec.max_bytes_billed,
        ..Runner::new(app, spec.scope.clone(), spec.identity.clone())
    };
    let key = cache::key(&spec, &cell.lock().configuration["query"]);
    let outcome = match key.as_ref().and_then(|key| cached(app, key)) {
        Some(finished) => Ok(finished),
        None => execute(app, cell, &runner, &spec, key),
    };
    let now = app.ctx.clock.now();
    cell.update(|job| {
        job.state = JobState::Done;
        job.ended = Some(now);
        match outcome {
            Ok(finished) => {
                job.result = finished.result.as_ref().map(Arc::downgrade);
                job.children = finished.children;
                if let Some(target) = finished.target {
                    job.configuration["query"]["destinationTable"] = table_reference(&target);
                }
                job.statistics = finished.statistics;
                job.draw_stages();
            }
            Err(mut error) => {
                if job.timed_out && error.reason == "stopped" {
                    error.message = texts::JOB_TIMED_OUT.to_owned();
                }
                job.error = Some(error.clone());
                job.errors.push(error);
            }
        }
    });
}

/// What a job or child job came to.
pub(super) struct Finished {
    pub statistics: Map<String, Json>,
    pub result: Option<Arc<TableVersion>>,
    pub target: Option<TablePath>,
    pub children: u64,
}

/// The remembered outcome of the same query.
fn cached(app: &App, key: &str) -> Option<Finished> {
    let (result, statistics) = app.cache.get(app.ctx.clock.now(), &app.store.lock(), key)?;
    Some(Finished { statistics, target: Some(result.path.clone()), result: Some(result), children: 0 })
}

fn execute(app: &App, cell: &JobCell, runner: &Runner, spec: &QuerySpec, key: Option<String>) -> ApiResult<Finished> {
    let located = |error: SqlError| {
        let error = error.locate(&spec.sql);
        let wrong_query = !matches!(error.kind, ErrorKind::AlreadyExists | ErrorKind::Internal | ErrorKind::Cancelled);
        let error = ApiError::from(error);
        if wrong_query && error.reason == "invalidQuery" { error.at("query") } else { error }
    };
    let parsed = parser::parse(&spec.sql).map_err(located)?;
    if parsed.statements.is_empty() {
        return Err(ApiError::new(400, "invalidQuery", "Syntax error: Unexpected end of script at [1:1]").at("query"));
    }
    let is_script = script::is_script(&parsed.statements);
    if spec.destination.is_some() {
        check_destination(&parsed.statements, is_script)?;
    }
    let (last, children) = script::run(app, cell, runner, spec, &parsed).map_err(located)?;
    let reads = last.reads.clone();
    let mut finished = finish(app, spec, last, children)?;
    if let (Some(key), Some(reads), Some(result), false) = (key, reads, &finished.result, is_script) {
        let now = app.ctx.clock.now();
        app.cache.put(now, key, reads, result, finished.statistics.clone());
    }
    if is_script {
        finished.statistics.insert("statementType".into(), json!("SCRIPT"));
    }
    Ok(finished)
}

/// Only the rows of a query go to a table that the job names.
fn check_destination(statements: &[Statement], is_script: bool) -> ApiResult<()> {
    if is_script {
        return Err(ApiError::invalid(texts::SCRIPT_DESTINATION));
    }
    let kind = match statements.last().map(|statement| &statement.kind) {
        None | Some(StatementKind::Query(_) | StatementKind::Explain(_)) => return Ok(()),
        Some(
            StatementKind::Insert(_)
            | StatementKind::Update(_)
            | StatementKind::Delete(_)
            | StatementKind::Merge(_)
            | StatementKind::Truncate { .. },
        ) => "DML",
        Some(_) => "DDL",
    };
    Err(ApiError::new(400, "invalidQuery", texts::no_destination(kind)).at("query"))
}

pub(super) fn finish(app: &App, spec: &QuerySpec, done: StatementDone, children: u64) -> ApiResult<Finished> {
    let mut statistics = Map::new();
    let mut put = |key: &str, value: Json| drop(statistics.insert(key.into(), value));
    put("statementType", json!(done.kind));
    for key in ["totalPartitionsProcessed", "totalSlotMs", "transferredBytes"] {
        put(key, json!("0"));
    }
    let bytes = json!(done.costs.bytes().to_string());
    put("estimatedBytesProcessed", bytes.clone());
    put("totalBytesProcessed", bytes);
    put("totalBytesBilled", json!(if spec.dry_run { 0 } else { done.costs.billed() }.to_string()));
    let referenced: Vec<Json> = done.costs.tables().map(table_reference).collect();
    if !referenced.is_empty() {
        put("referencedTables", Json::Array(referenced));
    }
    put("billingTier", json!(0));
    put("cacheHit", json!(false));
    put("queryPlan", json!([]));
    put("timeline", json!([]));
    let mut target = None;
    let mut result = None;
    if let Some(columns) = &done.columns {
        put("schema", schema::to_json(&result_schema(columns), Modes::Always));
    }
    if let Some(schema) = &done.schema {
        put("schema", schema::to_json(schema, Modes::OmitNullable));
    }
    if let Some((stats, path)) = &done.dml {
        put("numDmlAffectedRows", json!((stats.inserted + stats.updated + stats.deleted).to_string()));
        put(
            "dmlStats",
            json!({
                "insertedRowCount": stats.inserted.to_string(),
                "updatedRowCount": stats.updated.to_string(),
                "deletedRowCount": stats.deleted.to_string(),
            }),
        );
        target = Some(path.clone());
    }
    if let Some((load, table)) = done.load {
        put("loadQueryStatistics", load);
        target = Some(table);
    }
    if let Some((files, rows)) = done.export {
        put("exportDataStatistics", json!({"fileCount": files.to_string(), "rowCount": rows.to_string()}));
    }
    if let Some(ddl) = &done.ddl {
        put("ddlOperationPerformed", json!(ddl.operation));
        match &ddl.target {
            DdlTarget::Table(path) => {
                put("ddlTargetTable", table_reference(path));
                target = Some(path.clone());
            }
            DdlTarget::Dataset(path) => {
                put("ddlTargetDataset", json!({"projectId": path.project, "datasetId": path.dataset}))
            }
            DdlTarget::Policies { table, policy, count } => {
                if let Some(policy) = policy {
                    let mut reference = table_reference(table);
                    reference["policyId"] = json!(policy);
                    put("ddlTargetRowAccessPolicy", reference);
                }
                if let Some(count) = count {
                    put("ddlAffectedRowAccessPolicyCount", json!(count.to_string()));
                }
                put("ddlTargetTable", table_reference(table));
            }
            DdlTarget::Routine(path) => {
                put(
                    "ddlTargetRoutine",
                    json!({"projectId": path.project, "datasetId": path.dataset, "routineId": path.table}),
                );
            }
        }
    }
    if let Some(query) = done.query {
        let schema = result_schema(&query.columns);
        reject_null_elements(&query)?;
        let version = match &spec.destination {
            Some(destination) => destination::write(app, destination, &schema, query.batches)?,
            None => results::keep(app, &spec.scope.project, schema, query.batches)?,
        };
        target = Some(version.path.clone());
        result = Some(version);
    }
    Ok(Finished { statistics, result, target, children })
}

/// A schema for rows that belong to no table yet.
pub fn result_schema(columns: &[(String, Type)]) -> Schema {
    Schema { columns: columns.iter().map(|(name, ty)| plain_column(name, ty.clone())).collect() }
}

/// Arrays may hold NULLs while a query runs; a result may not.
fn reject_null_elements(query: &QueryResult) -> ApiResult<()> {
    fn bad(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| item.is_null() || bad(item)),
            Value::Struct(fields) => fields.iter().any(bad),
            _ => false,
        }
    }
    for (index, (name, ty)) in query.columns.iter().enumerate() {
        if !matches!(ty, Type::Array(_) | Type::Struct(_)) {
            continue;
        }
        for batch in &query.batches {
            let Some(column) = batch.columns.get(index) else { continue };
            if (0..batch.len).any(|row| bad(&column.get(row))) {
                return Err(ApiError::new(
                    400,
                    "invalidQuery",
                    format!("Array cannot have a null element; error in writing field {name}"),
                )
                .at("query"));
            }
        }
    }
    Ok(())
}

/// The value of an expression that reads no table.
pub fn constant(expr: &Expr, now: Timestamp) -> Result<(Value, Type), SqlError> {
    without_tables(now, Draws::default(), |context, eval| {
        let resolved = analyzer::analyze_expression(expr, context)?;
        Ok((exec::eval_constant(&resolved, eval)?, resolved.ty))
    })
}

/// A column's default for one row, converted to the column's type.
pub fn default_value(expr: &Expr, ty: &Type, now: Timestamp, draws: &Draws) -> Result<Value, SqlError> {
    without_tables(now, draws.clone(), |context, eval| {
        exec::eval_constant(&analyzer::analyze_assignment(expr, ty, context)?, eval)
    })
}

/// Analyzes and evaluates where there are no tables, parameters or variables.
fn without_tables<T>(
    now: Timestamp,
    draws: Draws,
    of: impl FnOnce(&AnalyzerContext<'_>, &EvalContext) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let eval = EvalContext {
        now: now.as_micros(),
        time_zone: "UTC".into(),
        draws,
        session_user: super::USER.into(),
        project: String::new(),
    };
    let (parameters, variables) = (Parameters::default(), HashMap::new());
    let context = AnalyzerContext {
        catalog: &NoCatalog,
        parameters: &parameters,
        variables: &variables,
        eval: &eval,
        cancel: None,
    };
    of(&context, &eval)
}

/// For expressions that may not read anything.
struct NoCatalog;

impl Catalog for NoCatalog {
    fn relation(&self, name: &[String], _as_of: Option<i64>) -> Result<Relation, SqlError> {
        Err(SqlError::analysis(format!("A constant expression cannot read table {}", name.join("."))))
    }

    fn wildcard(&self, name: &[String], _as_of: Option<i64>) -> Result<Arc<dyn Table>, SqlError> {
        Err(SqlError::analysis(format!("A constant expression cannot read table {}", name.join("."))))
    }

    fn routine(&self, _name: &[String]) -> Option<Arc<Routine>> {
        None
    }

    fn resolve(&self, name: &[String]) -> Result<TablePath, SqlError> {
        Err(SqlError::analysis(format!("A constant expression cannot name {}", name.join("."))))
    }
}

/// Whether a query only reads, so that its result may go to a destination table.
pub fn is_query(statement: &Statement) -> bool {
    matches!(statement.kind, StatementKind::Query(_))
}
