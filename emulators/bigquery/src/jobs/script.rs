//! What the engine's script runner asks of BigQuery: statements as child jobs, temporary objects, system variables.

use std::sync::{Arc, Mutex, PoisonError};

use scrimmage_googlesql::ast::Statement;
use scrimmage_googlesql::catalog::{Catalog, QueryResult};
use scrimmage_googlesql::parser::Script;
use scrimmage_googlesql::script::{Environment, Frame, Host, StatementContext, Variables};
use scrimmage_googlesql::{ErrorKind, SqlError, Value};
use serde_json::{Map, Value as Json, json};

use super::costs::Costs;
use super::query::{self, QuerySpec};
use super::registry::JobCell;
use super::sessions;
use super::statement::{Runner, StatementDone, Surroundings, cancelled};
use super::{Job, JobKind, JobState};
use crate::catalog::TempObjects;
use crate::engine::EngineError;
use crate::engine::dataset::TableKind;
use crate::engine::store::DatasetPath;
use crate::engine::transaction::Transaction;
use crate::service::App;
use crate::service::error::ApiError;
use crate::texts;

pub use scrimmage_googlesql::script::is_script;

/// Runs a parsed text, one statement or many; returns the last outcome and the number of child jobs.
pub fn run(
    app: &App,
    cell: &JobCell,
    runner: &Runner,
    spec: &QuerySpec,
    parsed: &Script,
) -> Result<(StatementDone, u64), SqlError> {
    let job = cell.lock().id.clone();
    let session = spec.session.clone();
    // Queries of one session run one after the other.
    let mut state = match &session {
        None => None,
        Some(session) => Some(session.state(&runner.cancel).ok_or_else(cancelled)?),
    };
    let temp = session.as_ref().map_or_else(
        || {
            let dataset = DatasetPath::new(&spec.scope.project, &format!("_script_{}", job.replace('-', "_")));
            Arc::new(TempObjects { dataset, routines: Mutex::default() })
        },
        |session| session.temp.clone(),
    );
    let mut scope = runner.scope.clone();
    if let Some(dataset) = state.as_ref().and_then(|state| state.dataset.clone())
        && scope.dataset.is_none()
    {
        scope.dataset = Some(dataset);
    }
    let mut host = ScriptHost {
        app,
        spec,
        job,
        runner: Runner {
            temp: Some(temp.clone()),
            transaction: state.as_mut().and_then(|state| state.transaction.take()),
            scope,
            ..runner.clone()
        },
        temp,
        has_dataset: state.as_ref().is_some_and(|state| state.has_dataset),
        variables: state.as_mut().map(|state| std::mem::take(&mut state.variables)).unwrap_or_default(),
        children: 0,
        costs: Costs::default(),
        time_zone: None,
    };
    let environment = Environment {
        session_user: spec.identity.email().into(),
        project: spec.scope.project.clone(),
        draws: app.draws.clone(),
        cancel: runner.cancel.clone(),
        memory_limit: runner.memory_limit,
        session: session.is_some(),
        time_zone: match (&spec.time_zone, &state) {
            (Some(asked), _) => asked.clone(),
            (None, Some(state)) => state.time_zone.clone(),
            (None, None) => "UTC".to_owned(),
        },
        ..Environment::default()
    };
    let finished =
        scrimmage_googlesql::script::run_parsed(&spec.sql, parsed, &spec.parameters, &environment, &mut host);
    match (&mut state, &session) {
        (Some(state), Some(session)) => {
            let ended = session.times().ended.is_some();
            state.has_dataset = host.has_dataset && !ended;
            state.transaction = host.runner.transaction.take().filter(|_| !ended);
            state.variables = std::mem::take(&mut host.variables);
            if host.runner.scope.dataset != spec.scope.dataset {
                state.dataset = host.runner.scope.dataset.clone();
            }
            if let Some(zone) = host.time_zone.take() {
                state.time_zone = zone;
            }
            if ended {
                host.clean_up();
            }
        }
        _ => host.clean_up(),
    }
    let finished = finished?;
    let last = finished.last.unwrap_or_else(StatementDone::script);
    Ok((StatementDone { costs: host.costs, ..last }, finished.children))
}

struct ScriptHost<'a> {
    app: &'a App,
    spec: &'a QuerySpec,
    /// The parent job.
    job: String,
    runner: Runner,
    temp: Arc<TempObjects>,
    /// The hidden dataset is made with the first temporary table.
    has_dataset: bool,
    children: u64,
    /// Of all statements so far.
    costs: Costs,
    /// The session's, before and after the runner had them.
    variables: Variables,
    /// `@@time_zone`, where the text set it.
    time_zone: Option<String>,
}

impl ScriptHost<'_> {
    fn clean_up(&mut self) {
        if self.has_dataset {
            // Made here, named after the job: nobody else can have taken it.
            let _ = self.app.store.lock().delete_dataset(self.app.ctx.clock.now(), &self.temp.dataset, true);
        }
    }

    fn make_dataset(&mut self) -> Result<(), SqlError> {
        if !self.has_dataset {
            let now = self.app.ctx.clock.now();
            let mut store = self.app.store.lock();
            store.create_dataset(now, &self.temp.dataset, Map::new())?;
            store.dataset_mut(&self.temp.dataset)?.hidden = true;
            self.has_dataset = true;
        }
        Ok(())
    }

    /// Production lists each statement of a script as a job of its own.
    fn record_child(
        &mut self,
        text: &str,
        started: scrimmage_core::Timestamp,
        done: Result<&StatementDone, &SqlError>,
        frames: &[Frame],
        evaluation: &str,
    ) {
        self.children += 1;
        let id = format!("script_{}_{}", self.job, self.children - 1);
        let now = self.app.ctx.clock.now();
        let mut query = json!({"query": text, "useLegacySql": false, "priority": "INTERACTIVE"});
        let finished = done.map(|done| query::finish(self.app, &without_destination(self.spec), done.clone(), 0));
        let mut job = Job::new(&self.spec.scope.project, &id, JobKind::Query, json!({}), started);
        job.started = Some(started);
        job.ended = Some(now);
        job.state = JobState::Done;
        job.parent = Some(self.job.clone());
        job.user = self.spec.identity.email().to_owned();
        match finished {
            Ok(Ok(finished)) => {
                if let Some(target) = &finished.target {
                    query["destinationTable"] = super::ddl::table_reference(target);
                }
                job.statistics = finished.statistics;
                job.result = finished.result.as_ref().map(Arc::downgrade);
            }
            Ok(Err(error)) => {
                job.errors.push(error.clone());
                job.error = Some(error);
            }
            Err(error) => {
                let error = ApiError::from(error.clone());
                job.errors.push(error.clone());
                job.error = Some(error);
            }
        }
        job.configuration = json!({ "query": query });
        let frames: Vec<Json> = frames.iter().map(frame_json).collect();
        job.extra.insert("scriptStatistics".into(), json!({"evaluationKind": evaluation, "stackFrames": frames}));
        if let Some(session) = &self.spec.session {
            job.extra.insert("sessionInfo".into(), json!({"sessionId": session.id}));
        }
        job.draw_stages();
        // Ids are the script's own and counted, so none is taken.
        let _ = self.app.jobs.add(job);
    }
}

/// A child's rows stay anonymous; only the script's last result goes to the job's destination.
fn without_destination(spec: &QuerySpec) -> QuerySpec {
    QuerySpec { destination: None, ..spec.clone() }
}

impl Host for ScriptHost<'_> {
    type Done = StatementDone;

    fn run_statement(
        &mut self,
        statement: &Statement,
        context: StatementContext<'_>,
    ) -> Result<StatementDone, SqlError> {
        let started = self.app.ctx.clock.now();
        if super::statement::creates_temp(statement) {
            self.make_dataset()?;
        }
        let around =
            Surroundings { variables: context.variables, parameters: context.parameters, time_zone: context.time_zone };
        let result = self.runner.run(statement, around);
        if let Ok(done) = &result {
            self.costs.add(&done.costs);
        }
        if context.child {
            self.record_child(context.text, started, result.as_ref(), &context.stack.frames(), "STATEMENT");
        }
        result
    }

    fn rows<'d>(&self, done: &'d StatementDone) -> Option<&'d QueryResult> {
        done.query.as_ref()
    }

    fn affected_rows(&self, done: &StatementDone) -> Option<u64> {
        done.dml.as_ref().map(|(stats, _)| stats.inserted + stats.updated + stats.deleted)
    }

    fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::new(self.runner.snapshot())
    }

    fn now(&self) -> i64 {
        self.app.ctx.clock.now().as_micros()
    }

    fn begin_transaction(&mut self) -> Result<(), SqlError> {
        let transaction = Transaction::begin(&mut self.app.store.lock());
        self.runner.transaction = Some(Arc::new(Mutex::new(transaction)));
        Ok(())
    }

    fn commit_transaction(&mut self) -> Result<(), SqlError> {
        let own = self.runner.transaction.take().and_then(Arc::into_inner);
        let own = own.ok_or_else(|| SqlError::internal("The transaction is in use"))?;
        let own = own.into_inner().unwrap_or_else(PoisonError::into_inner);
        let committed = self.app.store.lock().commit(self.app.ctx.clock.now(), own);
        committed.map_err(|error| match error {
            EngineError::Conflict(path) => SqlError::new(ErrorKind::Conflict, texts::transaction_conflict(&path)),
            other => other.into(),
        })
    }

    fn rollback_transaction(&mut self) -> Result<(), SqlError> {
        self.runner.transaction = None;
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.runner.transaction.is_some()
    }

    fn system_variable(&self, name: &str) -> Option<Value> {
        let dataset = self.runner.scope.dataset.as_ref();
        match name {
            "session_id" => self.spec.session.as_ref().map(|session| Value::string(&session.id)),
            "dataset_id" => dataset.map(|dataset| Value::string(&dataset.dataset)),
            "dataset_project_id" => dataset.map(|dataset| Value::string(&dataset.project)),
            "script.job_id" | "current_job_id" => Some(Value::string(&self.job)),
            "script.num_child_jobs" => Some(Value::Int64(self.children as i64)),
            "location" => Some(Value::string(crate::texts::LOCATION)),
            _ => None,
        }
    }

    fn set_system_variable(&mut self, name: &str, value: &Value) -> Result<(), SqlError> {
        let scope = &mut self.runner.scope;
        match (name, value) {
            ("time_zone", Value::String(zone)) => self.time_zone = Some(zone.to_string()),
            ("dataset_id", Value::String(id)) => {
                let (project, dataset) = match id.split_once('.') {
                    Some((project, dataset)) => (project.to_owned(), dataset),
                    None => (scope.dataset.as_ref().map_or(&scope.project, |own| &own.project).clone(), &**id),
                };
                scope.dataset = Some(DatasetPath { project, dataset: dataset.to_owned() });
            }
            ("dataset_id", Value::Null) => scope.dataset = None,
            ("dataset_project_id", Value::String(project)) => {
                if let Some(dataset) = &mut scope.dataset {
                    dataset.project = project.to_string();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn session_variables(&self) -> Variables {
        self.variables.clone()
    }

    fn keep_variables(&mut self, variables: Variables) {
        self.variables = variables;
    }

    fn evaluated(&mut self, context: StatementContext<'_>, result: Result<&Value, &SqlError>) {
        let started = self.app.ctx.clock.now();
        let done = StatementDone { kind: "SELECT", ..StatementDone::default() };
        let result = result.map(|_| &done);
        self.record_child(context.text, started, result, &context.stack.frames(), "EXPRESSION");
    }

    fn system_procedure(&mut self, name: &str, args: &[Value]) -> Option<Result<(), SqlError>> {
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) => Some(text.to_string()),
            _ => None,
        };
        match name.to_ascii_uppercase().as_str() {
            "BQ.ABORT_SESSION" => {
                let wanted = text(args.first());
                let project = &self.spec.scope.project;
                let session = match (&self.spec.session, wanted) {
                    (Some(own), None) => own.clone(),
                    (None, None) => {
                        return Some(Err(SqlError::analysis("BQ.ABORT_SESSION without an argument needs a session")));
                    }
                    (_, Some(id)) => match sessions::find(self.app, project, &id) {
                        Ok(session) => session,
                        Err(error) => return Some(Err(SqlError::not_found(error.message))),
                    },
                };
                self.runner.transaction = None;
                sessions::end(self.app, &session);
                Some(Ok(()))
            }
            "BQ.JOBS.CANCEL" => {
                let id = text(args.first())?;
                let id = id.rsplit('.').next().unwrap_or(&id).to_owned();
                Some(match self.app.jobs.get(&self.spec.scope.project, &id) {
                    Ok(cell) => {
                        cell.lock().cancel.store(true, std::sync::atomic::Ordering::Relaxed);
                        Ok(())
                    }
                    Err(error) => Err(SqlError::not_found(error.message)),
                })
            }
            // Materialized views are computed when they are read: there is nothing to refresh.
            "BQ.REFRESH_MATERIALIZED_VIEW" => {
                let name = text(args.first())?;
                let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
                let found = self.runner.scope.path(&parts).and_then(|path| {
                    let store = self.app.store.lock();
                    match &store.table(&path)?.kind {
                        TableKind::MaterializedView { .. } => Ok(()),
                        _ => Err(SqlError::analysis(format!("{name} is not a materialized view"))),
                    }
                });
                Some(found)
            }
            _ => None,
        }
    }
}

/// One of `stackFrames`.
fn frame_json(frame: &Frame) -> Json {
    let mut json = json!({
        "startLine": frame.line,
        "startColumn": frame.column,
        "endLine": frame.end_line,
        "endColumn": frame.end_column,
        "text": frame.text,
    });
    if let Some(procedure) = &frame.procedure {
        json["procedureId"] = json!(procedure);
    }
    json
}
