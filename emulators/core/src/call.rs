//! One call as the gate, the journal and a service see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who calls what: known before the service runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallInfo {
    /// `firestore`, `pubsub`, `bigquery`, …
    pub service: Arc<str>,
    /// `Commit`, `Publish`, `jobs.insert`, …
    pub method: Arc<str>,
    /// Full resource names, the main one first; a commit has one for each document it writes.
    pub resources: Vec<String>,
    /// The label of the port that the call came in by, else the peer's address.
    pub client: Arc<str>,
}

impl CallInfo {
    pub fn new(service: &str, method: &str, resource: &str, client: &str) -> Self {
        CallInfo {
            service: service.into(),
            method: method.into(),
            resources: if resource.is_empty() { Vec::new() } else { vec![resource.to_owned()] },
            client: client.into(),
        }
    }

    /// The main resource; empty where the call names none.
    pub fn resource(&self) -> &str {
        self.resources.first().map_or("", String::as_str)
    }
}

/// What a service adds to the journal's record of a call while it serves it.
///
/// The gateway puts one into every request's extensions; clones write to the same record:
/// ```
/// # use scrimmage_core::CallNotes;
/// # fn handler<T>(request: tonic::Request<T>) {
/// if let Some(notes) = request.extensions().get::<CallNotes>() {
///     notes.attempt(2);
/// }
/// # }
/// ```
/// Notes written after the answer has been sent are lost.
#[derive(Clone, Debug, Default)]
pub struct CallNotes(Arc<Mutex<Notes>>);

/// The notes themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notes {
    /// How long the call waited for locks, on the suite's clock.
    pub lock_wait: Duration,
    /// Which attempt at the same work this is, from 1; 0 where the service does not know.
    pub attempt: u32,
    /// Resources beyond those that the gateway found in the request.
    pub resources: Vec<String>,
    /// Texts for the user: an index that production would ask for, a limit passed by.
    pub warnings: Vec<String>,
}

impl CallNotes {
    /// Adds to the time that the call waited for locks.
    pub fn lock_wait(&self, waited: Duration) {
        self.with(|notes| notes.lock_wait = notes.lock_wait.saturating_add(waited));
    }

    /// Sets which attempt at the same work this is, from 1.
    pub fn attempt(&self, attempt: u32) {
        self.with(|notes| notes.attempt = attempt);
    }

    /// Adds a resource that the call turned out to touch.
    pub fn resource(&self, name: impl Into<String>) {
        let name = name.into();
        self.with(|notes| notes.resources.push(name));
    }

    /// Adds a text for the user.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        self.with(|notes| notes.warnings.push(text));
    }

    /// Takes what has been noted so far.
    pub fn take(&self) -> Notes {
        self.with(std::mem::take)
    }

    fn with<R>(&self, change: impl FnOnce(&mut Notes) -> R) -> R {
        // A panic elsewhere leaves plain data behind: the notes stay usable.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
