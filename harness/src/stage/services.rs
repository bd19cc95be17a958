//! The services as a pipeline meets them on any stage: a suite of our own in this process, by itself or in
//! front of what stands behind it.

use scrimmage_core::faults::FaultPlan;
use scrimmage_core::glob::Glob;
use scrimmage_core::journal::{Body, Call, Entry, Query};
use scrimmage_core::{Clock, Timestamp};
use scrimmage_suite::{Builder, Suite, SuiteError};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use std::sync::Arc;

use super::Backing;
use crate::SetupError;
use crate::run::Activity;

/// How the harness's own calls are labelled in the journal.
const OBSERVER: &str = "observer";
/// As wide as the window of a subscription that has long been in use: a new one would start with a
/// few deliveries at a time, and a burst would trickle in.
const WARM_PUSH_WINDOW: u32 = 1_000;

/// They run for as long as this value lives. Two of them share nothing in this process.
pub struct Services {
    suite: Suite,
    /// Where the services are shared: what the names of this run begin with.
    prefix: Option<String>,
}

/// Notes the activity of a suite; dropping it ends that.
pub struct JournalWatch(JoinHandle<()>);

impl Drop for JournalWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Services {
    /// Starts a suite on a port of its own.
    pub async fn start() -> Result<Services, SetupError> {
        Services::built(Suite::builder()).await
    }

    /// Starts a suite with these settings in front of what stands behind it, if anything does.
    pub async fn before(backing: Option<&Backing>, builder: Builder) -> Result<Services, SetupError> {
        let Some(backing) = backing else { return Services::built(builder).await };
        let (builder, prefix) = backing.place(builder)?;
        Ok(Services { prefix, ..Services::built(builder).await? })
    }

    /// What the names of this run begin with, where the services are shared with others.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Starts a suite with these settings.
    pub async fn built(builder: Builder) -> Result<Services, SetupError> {
        Ok(Services { suite: builder.start().await.map_err(not_started)?, prefix: None })
    }

    /// Lets push subscriptions that are created from now on deliver as if they had long been in use.
    pub fn warm_pushes(&self) {
        self.suite.pubsub().set_push_window(WARM_PUSH_WINDOW);
    }

    /// What the start has to say.
    pub fn notes(&self) -> &[String] {
        self.suite.notes()
    }

    /// What everything in it waits on.
    pub fn clock(&self) -> Clock {
        self.suite.clock().clone()
    }

    pub fn project(&self) -> &str {
        self.suite.project()
    }

    /// `http://127.0.0.1:N`.
    pub fn url(&self) -> String {
        self.suite.url()
    }

    /// The variables that point a program at it.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.suite.env()
    }

    /// The same through a port of the program's own, so that its calls can be told from others'.
    pub async fn environment_for(&self, label: &str) -> Result<Vec<(String, String)>, SetupError> {
        self.suite.env_for(label).await.map_err(not_started)
    }

    /// The URL that the harness itself uses: its calls are not the pipeline's.
    pub async fn observer_url(&self) -> Result<String, SetupError> {
        let environment = self.environment_for(OBSERVER).await?;
        let host = environment.into_iter().find(|(name, _)| name == "FIRESTORE_EMULATOR_HOST");
        host.map(|(_, host)| format!("http://{host}")).ok_or_else(|| SetupError::Stage("it has no address".to_owned()))
    }

    /// Notes every call and event that is not the harness's own as a sign of life.
    pub fn watch(&self, activity: Activity) -> JournalWatch {
        let mut entries = self.suite.journal().subscribe();
        JournalWatch(tokio::spawn(async move {
            loop {
                match entries.recv().await {
                    Ok(entry) if is_observers(&entry) => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => activity.note(),
                    Err(RecvError::Closed) => return,
                }
            }
        }))
    }

    /// The time on its clock.
    pub fn now(&self) -> Timestamp {
        self.suite.clock().now()
    }

    /// Every call and event so far.
    pub fn journal_entries(&self) -> Vec<Arc<Entry>> {
        self.suite.journal().read(&Query::default())
    }

    /// Whether a call is the harness's own, not the pipeline's.
    pub fn is_own_call(&self, call: &Call) -> bool {
        &*call.info.client == OBSERVER
    }

    /// Adds faults at the gate.
    pub fn add_faults(&self, plan: FaultPlan) -> Result<(), SetupError> {
        let added = self.suite.faults().add(plan);
        added.map_err(|error| SetupError::prepare("a fault at the gate", error))
    }

    /// How many calls a fault at the gate was for so far.
    pub fn struck(&self, fault: &str) -> u64 {
        self.suite.faults().counts().iter().filter(|(name, _)| &**name == fault).map(|(_, count)| count).sum()
    }

    /// Takes one fault at the gate away; what its barrier holds goes on.
    pub fn lift(&self, fault: &str) {
        self.suite.faults().lift(fault);
    }

    /// Moves the services' clock ahead.
    pub fn advance(&self, by: std::time::Duration) {
        self.suite.clock().advance(by);
    }

    /// Takes all faults at the gate away.
    pub fn clear_faults(&self) {
        self.suite.faults().clear();
    }

    /// Delivers every message of the subscriptions that match twice.
    pub fn duplicate_deliveries(&self, subscriptions: &str) -> Result<(), SetupError> {
        let glob = Glob::new(subscriptions).map_err(|error| SetupError::prepare("a duplicate delivery", error))?;
        self.suite.pubsub().duplicate_next(glob, u64::MAX);
        Ok(())
    }

    /// The `firestore.indexes.json` that all Firestore queries so far needed.
    pub fn needed_firestore_indexes(&self) -> serde_json::Value {
        scrimmage_suite::index_file(&self.suite.firestore().indexes().needed())
    }

    /// Stops it and waits until its port is free.
    pub async fn stop(self) {
        self.suite.shutdown().await;
    }
}

fn not_started(error: SuiteError) -> SetupError {
    match error {
        SuiteError::Declarations(error) => {
            SetupError::File { file: error.file.into(), line: error.line, problem: error.problem }
        }
        error => SetupError::Stage(error.to_string()),
    }
}

fn is_observers(entry: &Entry) -> bool {
    matches!(&entry.body, Body::Call(call) if &*call.info.client == OBSERVER)
}
