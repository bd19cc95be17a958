//! One statement from its tree to its effect on the store, with the queue and the retries that DML meets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use scrimmage_googlesql::analyzer;
use scrimmage_googlesql::ast::{ObjectKind, Statement, StatementKind};
use scrimmage_googlesql::catalog::{DdlAction, DmlStats, Outcome, Parameters, QueryResult, Schema, TablePath};
use scrimmage_googlesql::exec::{self, ExecContext};
use scrimmage_googlesql::functions::{Draws, EvalContext};
use scrimmage_googlesql::plan::{AnalyzerContext, Plan};
use scrimmage_googlesql::{ErrorKind, SqlError, Type, Value};
use serde_json::Value as Json;

use super::costs::Costs;
use super::ddl::{self, DdlDone};
use super::ddl_policies;
use super::external;
use super::extract;
use super::gate::DmlGate;
use super::gcs::Objects;
use super::held;
use super::load_data;
use super::option_names;
use super::registry::Jobs;
use super::sessions::Sessions;
use crate::catalog::{NameScope, SharedStore, SharedTransaction, Snapshot, TempObjects, lock_transaction};
use crate::engine::policy::Identity;
use crate::service::App;
use crate::{limits, row_access, texts};

/// What the statements of one job share.
#[derive(Clone)]
pub struct Runner {
    pub store: SharedStore,
    pub gate: Arc<DmlGate>,
    pub ctx: scrimmage_core::Context,
    /// Who runs it: `SESSION_USER()`, and whose row access policies hold.
    pub identity: Arc<Identity>,
    /// For INFORMATION_SCHEMA.JOBS.
    pub jobs: Arc<Jobs>,
    /// For INFORMATION_SCHEMA.SESSIONS.
    pub sessions: Arc<Sessions>,
    /// Where RAND and GENERATE_UUID draw from: one stream for all statements of a suite.
    pub draws: Draws,
    pub scope: NameScope,
    pub parameters: Parameters,
    pub cancel: Arc<AtomicBool>,
    /// Analyze only.
    pub dry_run: bool,
    /// The running script's own objects.
    pub temp: Option<Arc<TempObjects>>,
    /// The script's open transaction.
    pub transaction: Option<SharedTransaction>,
    /// `maximumBytesBilled`: a statement that would cost more is refused.
    pub max_bytes_billed: Option<u64>,
    /// Reads as of this commit, whatever came since.
    pub pinned: Option<u64>,
    /// Bytes that intermediate results may take.
    pub memory_limit: usize,
}

/// What one statement sees besides tables.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// A script's variables, system variables among them.
    pub variables: &'a HashMap<String, (Type, Value)>,
    pub parameters: &'a Parameters,
    pub time_zone: &'a str,
}

/// What a statement came to.
#[derive(Clone, Default)]
pub struct StatementDone {
    pub kind: &'static str,
    pub query: Option<QueryResult>,
    /// Columns of a query that was only analyzed.
    pub columns: Option<Vec<(String, Type)>>,
    pub dml: Option<(DmlStats, TablePath)>,
    pub ddl: Option<DdlDone>,
    /// The columns of a table or view as the statement that creates it gives them.
    pub schema: Option<Schema>,
    /// `loadQueryStatistics` of LOAD DATA, and the table that it filled.
    pub load: Option<(Json, TablePath)>,
    /// Files and rows of EXPORT DATA.
    pub export: Option<(u64, u64)>,
    pub costs: Costs,
    /// The versions that a query read; `None` where its result may not be remembered.
    pub reads: Option<Vec<(TablePath, u64)>>,
}

impl StatementDone {
    /// A script in which no statement ran.
    pub fn script() -> StatementDone {
        StatementDone { kind: "SCRIPT", ..StatementDone::default() }
    }
}

impl Runner {
    /// For statements of `identity` whose names are completed from `scope`.
    pub fn new(app: &App, scope: NameScope, identity: Arc<Identity>) -> Runner {
        Runner {
            store: app.store.clone(),
            gate: app.dml_gate.clone(),
            ctx: app.ctx.clone(),
            identity,
            jobs: app.jobs.clone(),
            sessions: app.sessions.clone(),
            draws: app.draws.clone(),
            scope,
            parameters: Parameters::default(),
            cancel: Arc::default(),
            dry_run: false,
            temp: None,
            transaction: None,
            max_bytes_billed: None,
            pinned: None,
            memory_limit: app.statement_bytes.load(Ordering::Relaxed),
        }
    }

    /// Names and time as of now.
    pub fn snapshot(&self) -> Snapshot {
        let snapshot = Snapshot::take(&self.store, self.scope.clone(), self.ctx.clock.now());
        let transaction = self.transaction.clone();
        let seq = transaction.as_ref().map_or(self.pinned.unwrap_or(snapshot.seq), |own| lock_transaction(own).base());
        Snapshot {
            temp: self.temp.clone(),
            transaction,
            seq,
            reader: Some(self.identity.clone()),
            jobs: Some(self.jobs.clone()),
            sessions: Some(self.sessions.clone()),
            gcs: self.ctx.gcs.clone(),
            ..snapshot
        }
    }

    /// What functions see: one moment for the whole statement.
    pub fn eval_context(&self) -> EvalContext {
        EvalContext {
            now: self.ctx.clock.now().as_micros(),
            time_zone: "UTC".into(),
            draws: self.draws.clone(),
            session_user: self.identity.email().into(),
            project: self.scope.project.clone(),
        }
    }

    /// Runs a statement that is no control statement of scripts. Errors are not located yet.
    ///
    /// DML waits for its turn on the table, and is run again on a newer snapshot where another change got in
    /// between, [`limits::DML_ATTEMPTS`] times in all.
    pub fn run(&self, statement: &Statement, around: Surroundings) -> Result<StatementDone, SqlError> {
        let kind = statement_type(statement);
        let mut turn = None;
        let mut attempt = 1;
        let mut was_held = false;
        loop {
            self.check_cancelled()?;
            let mut snapshot = self.snapshot();
            snapshot.creates_temp = creates_temp(statement);
            snapshot.target = dml_target(statement).and_then(|name| snapshot.path(&name).ok());
            let base = snapshot.seq;
            let mut eval = self.eval_context();
            eval.now = snapshot.now.as_micros();
            eval.time_zone = around.time_zone.to_owned();
            let context = AnalyzerContext {
                catalog: &snapshot,
                parameters: around.parameters,
                variables: around.variables,
                eval: &eval,
                cancel: Some(&self.cancel),
            };
            let plan = analyzer::analyze(statement, &context)?;
            option_names::check(&plan)?;
            self.check_target(&snapshot)?;
            let costs = Costs::of(&plan, &eval);
            self.check_costs(&costs)?;
            if self.dry_run {
                let columns = match &plan {
                    Plan::Query(query) => Some(
                        query
                            .columns
                            .iter()
                            .enumerate()
                            .map(|(at, column)| (column.name.clone().unwrap_or(format!("f{at}_")), column.ty.clone()))
                            .collect(),
                    ),
                    _ => None,
                };
                return Ok(StatementDone { kind, columns, schema: declared(&plan), costs, ..StatementDone::default() });
            }
            if turn.is_none()
                && let Some(table) = mutated_table(&plan)
            {
                let (waited, entered) = self.gate.enter(&self.store, table, &self.cancel)?;
                turn = Some(entered);
                if waited {
                    // Rows may have changed while it waited: read them anew.
                    continue;
                }
            }
            if !was_held {
                let resource = || match &snapshot.target {
                    Some(table) => held::table(table),
                    None => format!("projects/{}", self.scope.project),
                };
                held::hold(&self.ctx, resource, &self.cancel)?;
                was_held = true;
            }
            let exec_context =
                ExecContext { memory_limit: self.memory_limit, cancel: self.cancel.clone(), ..ExecContext::new(eval) };
            match exec::execute(&plan, &exec_context)? {
                Outcome::Query(query) => {
                    let reads = snapshot.remembered(costs.tables());
                    return Ok(StatementDone { kind, query: Some(query), costs, reads, ..StatementDone::default() });
                }
                Outcome::Dml(change) => {
                    let path = change.table.path().clone();
                    let now = self.ctx.clock.now();
                    let mut store = self.store.lock();
                    let applied = match &self.transaction {
                        Some(own) => store.apply_within(now, &change, &mut lock_transaction(own)),
                        None => store.apply(now, &change, base),
                    };
                    drop(store);
                    match applied {
                        Ok(stats) => {
                            let dml = Some((stats, path));
                            return Ok(StatementDone { kind, dml, costs, ..StatementDone::default() });
                        }
                        Err(error) => {
                            let error = SqlError::from(error);
                            if error.kind != ErrorKind::Conflict || attempt >= limits::DML_ATTEMPTS {
                                return Err(error);
                            }
                            attempt += 1;
                        }
                    }
                }
                Outcome::Ddl(action) => {
                    if matches!(action.statement.kind, StatementKind::ExportData { .. }) {
                        let export = Some(self.export(&plan, action)?);
                        return Ok(StatementDone { kind, export, costs, ..StatementDone::default() });
                    }
                    if let StatementKind::LoadData(load) = action.statement.kind {
                        let (target, columns) = (action.target, action.schema);
                        let (store, ctx) = (&self.store, &self.ctx);
                        let load = load_data::run(store, ctx, snapshot.now, *load, &target, columns, &action.options)?;
                        let load = Some((load, target));
                        return Ok(StatementDone { kind, load, costs, ..StatementDone::default() });
                    }
                    let schema = declared(&plan);
                    if ddl_policies::is_about(&action.statement) {
                        let done = ddl_policies::apply(&snapshot, &self.identity, action)?;
                        return Ok(StatementDone { kind, ddl: Some(done), costs, ..StatementDone::default() });
                    }
                    if let StatementKind::CreateTable(create) = &action.statement.kind
                        && create.external
                    {
                        let (target, columns, options) = (action.target.clone(), action.schema, &action.options);
                        let (store, ctx) = (&self.store, &self.ctx);
                        let made = external::create(store, ctx, snapshot.now, create, target, columns, options)?;
                        return Ok(StatementDone { kind, ddl: Some(made), schema, costs, ..StatementDone::default() });
                    }
                    let (scope, temp) = (&self.scope, self.temp.as_deref());
                    let done = ddl::apply(&self.store, scope, temp, snapshot.now, &self.identity, action)?;
                    return Ok(StatementDone { kind, ddl: Some(done), schema, costs, ..StatementDone::default() });
                }
            }
        }
    }

    /// EXPORT DATA: how many files and rows were written.
    fn export(&self, plan: &Plan, action: DdlAction) -> Result<(u64, u64), SqlError> {
        let failed = |error: crate::service::error::ApiError| match error.code {
            404 => SqlError::not_found(error.message),
            _ => SqlError::evaluation(error.message),
        };
        let (target, overwrites) = extract::Target::from_options(&action.options).map_err(failed)?;
        let objects = Objects::of(&self.ctx);
        if !overwrites && target.is_taken(objects) {
            return Err(SqlError::evaluation(texts::export_taken(target.uri())));
        }
        let columns: Vec<(String, Type)> = match plan {
            Plan::Ddl(ddl) => ddl.query.as_ref().map_or_else(Vec::new, |query| {
                let named = query.columns.iter().enumerate();
                named.map(|(at, own)| (own.name.clone().unwrap_or(format!("f{at}_")), own.ty.clone())).collect()
            }),
            _ => Vec::new(),
        };
        let schema = super::query::result_schema(&columns);
        let batches = action.rows.unwrap_or_default();
        let files = target.write(objects, &schema.columns, &batches).map_err(failed)?;
        Ok((files.iter().sum(), batches.iter().map(|batch| batch.len as u64).sum()))
    }

    /// DML is for those who see every row of its target.
    fn check_target(&self, snapshot: &Snapshot) -> Result<(), SqlError> {
        let Some(path) = &snapshot.target else { return Ok(()) };
        match self.store.lock().table(path) {
            Ok(entry) => Ok(row_access::check_whole(entry, &self.identity)?),
            Err(_) => Ok(()),
        }
    }

    fn check_costs(&self, costs: &Costs) -> Result<(), SqlError> {
        match self.max_bytes_billed {
            Some(limit) if costs.billed() > limit => {
                Err(SqlError::resources(texts::bytes_billed_exceeded(limit, costs.billed())))
            }
            _ => Ok(()),
        }
    }

    fn check_cancelled(&self) -> Result<(), SqlError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(cancelled());
        }
        Ok(())
    }
}

pub(super) fn cancelled() -> SqlError {
    SqlError::cancelled("Job execution was cancelled: User requested cancellation")
}

/// The columns that CREATE TABLE and CREATE VIEW declare or take from their query.
fn declared(plan: &Plan) -> Option<Schema> {
    let Plan::Ddl(ddl) = plan else { return None };
    let creates = matches!(ddl.statement.kind, StatementKind::CreateTable(_) | StatementKind::CreateView(_));
    ddl.schema.clone().filter(|_| creates)
}

/// The name of the table whose rows a statement changes.
fn dml_target(statement: &Statement) -> Option<Vec<String>> {
    let path = match &statement.kind {
        StatementKind::Insert(insert) => &insert.table,
        StatementKind::Update(update) => &update.table,
        StatementKind::Delete(delete) => &delete.table,
        StatementKind::Merge(merge) => &merge.table,
        StatementKind::Truncate { table, .. } => table,
        _ => return None,
    };
    Some(path.parts.iter().map(|part| part.name.clone()).collect())
}

/// CREATE TEMP TABLE.
pub(super) fn creates_temp(statement: &Statement) -> bool {
    matches!(&statement.kind, StatementKind::CreateTable(create) if create.temporary)
}

/// The table of a statement that the DML queue counts. INSERT is not one of them.
fn mutated_table(plan: &Plan) -> Option<&TablePath> {
    match plan {
        Plan::Update(update) => Some(update.table.path()),
        Plan::Delete(delete) => Some(delete.table.path()),
        Plan::Merge(merge) => Some(merge.table.path()),
        Plan::Query(_) | Plan::Insert(_) | Plan::Truncate { .. } | Plan::Ddl(_) => None,
    }
}

/// `statistics.query.statementType`.
pub fn statement_type(statement: &Statement) -> &'static str {
    match &statement.kind {
        StatementKind::Query(_) => "SELECT",
        StatementKind::Explain(_) => "EXPLAIN",
        StatementKind::Insert(_) => "INSERT",
        StatementKind::Update(_) => "UPDATE",
        StatementKind::Delete(_) => "DELETE",
        StatementKind::Merge(_) => "MERGE",
        StatementKind::Truncate { .. } => "TRUNCATE_TABLE",
        StatementKind::CreateTable(create) if create.query.is_some() => "CREATE_TABLE_AS_SELECT",
        StatementKind::CreateTable(create) if create.external => "CREATE_EXTERNAL_TABLE",
        StatementKind::CreateTable(_) => "CREATE_TABLE",
        StatementKind::CreateView(view) if view.materialized => "CREATE_MATERIALIZED_VIEW",
        StatementKind::CreateView(_) => "CREATE_VIEW",
        StatementKind::CreateSchema { .. } => "CREATE_SCHEMA",
        StatementKind::CreateSnapshot(_) => "CREATE_SNAPSHOT_TABLE",
        StatementKind::CreateFunction(function) if function.table_function => "CREATE_TABLE_FUNCTION",
        StatementKind::CreateFunction(_) => "CREATE_FUNCTION",
        StatementKind::CreateProcedure(_) => "CREATE_PROCEDURE",
        StatementKind::CreateRowAccessPolicy(_) => "CREATE_ROW_ACCESS_POLICY",
        StatementKind::DropRowAccessPolicy { .. } => "DROP_ROW_ACCESS_POLICY",
        StatementKind::CreateIndex(_) => "CREATE_SEARCH_INDEX",
        StatementKind::Drop { object, .. } => match object {
            ObjectKind::Table => "DROP_TABLE",
            ObjectKind::ExternalTable => "DROP_EXTERNAL_TABLE",
            ObjectKind::SnapshotTable => "DROP_SNAPSHOT_TABLE",
            ObjectKind::View => "DROP_VIEW",
            ObjectKind::MaterializedView => "DROP_MATERIALIZED_VIEW",
            ObjectKind::Schema => "DROP_SCHEMA",
            ObjectKind::Function => "DROP_FUNCTION",
            ObjectKind::TableFunction => "DROP_TABLE_FUNCTION",
            ObjectKind::Procedure => "DROP_PROCEDURE",
            ObjectKind::SearchIndex => "DROP_SEARCH_INDEX",
            ObjectKind::VectorIndex => "DROP_VECTOR_INDEX",
            ObjectKind::Model => "DROP_MODEL",
            ObjectKind::Column => "ALTER_TABLE",
        },
        StatementKind::AlterTable { .. } => "ALTER_TABLE",
        StatementKind::Alter { object, .. } => match object {
            ObjectKind::Schema => "ALTER_SCHEMA",
            ObjectKind::MaterializedView => "ALTER_MATERIALIZED_VIEW",
            ObjectKind::View => "ALTER_VIEW",
            _ => "ALTER_TABLE",
        },
        StatementKind::Undrop { .. } => "UNDROP_SCHEMA",
        StatementKind::ExportData { .. } => "EXPORT_DATA",
        StatementKind::LoadData(_) => "LOAD_DATA",
        StatementKind::Assert { .. } => "ASSERT",
        StatementKind::Call { .. } => "CALL",
        _ => "SCRIPT",
    }
}

/// How long a statement may wait for its turn before somebody looks whether it was cancelled.
pub(super) const CANCEL_CHECK: Duration = Duration::from_millis(50);
