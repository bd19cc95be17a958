//! What the engine's script runner asks of BigQuery: statements as child jobs, temporary objects, system variables.

use std::sync::{Arc, Mutex, PoisonError};

use scrimmage_googlesql::ast::Statement;
use scrimmage_googlesql::catalog::{Catalog, QueryResult};
use scrimmage_googlesql::parser::Script;
use scrimmage_googlesql::script::{Environment, Host, StatementContext};
use scrimmage_googlesql::{SqlError, Value};
use serde_json::{Map, json};

use super::costs::Costs;
use super::query::{self, QuerySpec};
use super::registry::JobCell;
use super::statement::{Runner, StatementDone, Surroundings};
use super::{Job, JobKind, JobState};
use crate::catalog::TempObjects;
use crate::engine::store::DatasetPath;
use crate::engine::transaction::Transaction;
use crate::limits;
use crate::service::App;
use crate::service::error::ApiError;

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
    let temp = Arc::new(TempObjects {
        dataset: DatasetPath::new(&spec.scope.project, &format!("_script_{}", job.replace('-', "_"))),
        routines: Mutex::default(),
    });
    let mut host = ScriptHost {
        app,
        spec,
        job,
        runner: Runner { temp: Some(temp.clone()), ..runner.clone() },
        temp,
        has_dataset: false,
        children: 0,
        costs: Costs::default(),
    };
    let environment = Environment {
        session_user: spec.identity.email().into(),
        project: spec.scope.project.clone(),
        draws: app.draws.clone(),
        cancel: runner.cancel.clone(),
        memory_limit: limits::STATEMENT_BYTES,
        ..Environment::default()
    };
    let finished =
        scrimmage_googlesql::script::run_parsed(&spec.sql, parsed, &spec.parameters, &environment, &mut host);
    host.clean_up();
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
                job.result = finished.result;
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
            self.record_child(context.text, started, result.as_ref());
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
        let transaction = Transaction::begin(&self.app.store.lock());
        self.runner.transaction = Some(Arc::new(Mutex::new(transaction)));
        Ok(())
    }

    fn commit_transaction(&mut self) -> Result<(), SqlError> {
        let own = self.runner.transaction.take().and_then(Arc::into_inner);
        let own = own.ok_or_else(|| SqlError::internal("The transaction is in use"))?;
        let own = own.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(self.app.store.lock().commit(self.app.ctx.clock.now(), own)?)
    }

    fn rollback_transaction(&mut self) -> Result<(), SqlError> {
        self.runner.transaction = None;
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.runner.transaction.is_some()
    }

    fn system_variable(&self, name: &str) -> Option<Value> {
        let dataset = self.spec.scope.dataset.as_ref();
        match name {
            "dataset_id" => dataset.map(|dataset| Value::string(&dataset.dataset)),
            "dataset_project_id" => dataset.map(|dataset| Value::string(&dataset.project)),
            "script.job_id" | "current_job_id" => Some(Value::string(&self.job)),
            "script.num_child_jobs" => Some(Value::Int64(self.children as i64)),
            "location" => Some(Value::string(crate::texts::LOCATION)),
            _ => None,
        }
    }
}
