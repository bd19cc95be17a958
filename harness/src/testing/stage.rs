//! The services, for one test.

use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::faults::FaultPlan;
use scrimmage_core::journal::{Body, Call};
use scrimmage_core::{Clock, Timestamp};
use serde_json::{Map, Value};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::FaultBuilder;
use crate::SetupError;
use crate::clients::Clients;
use crate::observe::{document, run_statement};
use crate::stage::Services;

/// Settings of a stage, all with defaults.
#[derive(Debug, Default)]
pub struct StageBuilder {
    suite: scrimmage_suite::Builder,
    faults: Vec<FaultBuilder>,
}

impl StageBuilder {
    /// The default project; default `scrimmage`.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.suite = self.suite.project(project);
        self
    }

    /// Where random choices of the services start from; default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.suite = self.suite.seed(seed);
        self
    }

    /// A clock that stands until [`Stage::advance`] moves it; default the real one.
    pub fn virtual_clock(mut self) -> Self {
        // A Tuesday, 2026-01-06 12:00:00 UTC: any fixed moment would do.
        self.suite = self.suite.clock(Clock::virtual_at(Timestamp::from_micros(1_767_700_800_000_000)));
        self
    }

    /// A fault that is there from the start.
    pub fn fault(mut self, fault: FaultBuilder) -> Self {
        self.faults.push(fault);
        self
    }

    /// Starts the services on a free port. To be called within a tokio runtime.
    pub async fn start(self) -> Result<Stage, SetupError> {
        let stage = Stage { services: Services::built(self.suite).await?, clients: OnceCell::new() };
        for fault in self.faults {
            stage.try_add(fault)?;
        }
        Ok(stage)
    }
}

/// Firestore, Pub/Sub and BigQuery for one test; dropping it stops them.
pub struct Stage {
    services: Services,
    clients: OnceCell<Clients>,
}

impl Stage {
    /// Starts with the defaults.
    pub fn builder() -> StageBuilder {
        StageBuilder::default()
    }

    /// `http://127.0.0.1:N`: gRPC and REST of all services.
    pub fn url(&self) -> String {
        self.services.url()
    }

    pub fn project(&self) -> &str {
        self.services.project()
    }

    /// The variables that point a program at the services.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.services.environment()
    }

    /// A program with these variables, and a port of its own, by which the journal and the faults tell
    /// its calls from others': `label` is their client.
    pub async fn program(&self, label: &str, program: &str) -> Result<Command, SetupError> {
        let mut command = Command::new(program);
        command.envs(self.services.environment_for(label).await?).kill_on_drop(true);
        Ok(command)
    }

    /// Stock clients, connected. Their calls are not the program's: [`calls`](Self::calls) leaves them out.
    pub async fn clients(&self) -> Result<&Clients, SetupError> {
        let connect = || async { Clients::connect(&self.services.observer_url().await?, self.project()).await };
        self.clients.get_or_try_init(connect).await
    }

    /// Adds a fault at the services' gate.
    ///
    /// # Panics
    /// Where the fault is none: a pattern that is no pattern, or no action.
    pub fn add(&self, fault: FaultBuilder) {
        if let Err(error) = self.try_add(fault) {
            panic!("{error}");
        }
    }

    fn try_add(&self, fault: FaultBuilder) -> Result<(), SetupError> {
        let fault = fault.built().map_err(|problem| SetupError::prepare("a fault at the gate", problem))?;
        self.services.add_faults(FaultPlan { faults: vec![fault] })
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.services.clear_faults();
    }

    /// The finished calls of the programs so far, the oldest first.
    pub fn calls(&self) -> Vec<Call> {
        let entries = self.services.journal_entries();
        let calls = entries.iter().map(Arc::as_ref).filter_map(|entry| match &entry.body {
            Body::Call(call) if !self.services.is_own_call(call) => Some(call.clone()),
            _ => None,
        });
        calls.collect()
    }

    /// Moves the services' clock ahead.
    pub fn advance(&self, by: Duration) {
        self.services.advance(by);
    }

    /// The fields of a document such as `tallies/today`, if there is one.
    pub async fn document(&self, path: &str) -> Result<Option<Map<String, Value>>, SetupError> {
        document(self.clients().await?, path).await
    }

    /// The rows of a GoogleSQL statement, as text.
    pub async fn rows(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>, SetupError> {
        let rows = run_statement(self.clients().await?, statement).await;
        rows.map_err(|error| SetupError::observe("the rows", error))
    }
}
