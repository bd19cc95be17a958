//! Signs of life of a run, from wherever they come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Notes that something has happened, and tells for how long nothing has. Clones share it.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    last: watch::Sender<Instant>,
    marks: Mutex<Vec<Mark>>,
}

/// A moment of a run that a report shows: the batch's start, a fault, a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    pub at: Instant,
    pub text: String,
    /// Whether the harness did it to the run, rather than for it.
    pub is_fault: bool,
}

impl Default for Activity {
    fn default() -> Self {
        Activity(Arc::new(Shared { last: watch::Sender::new(Instant::now()), marks: Mutex::default() }))
    }
}

impl Activity {
    /// Something has happened just now.
    pub fn note(&self) {
        self.0.last.send_replace(Instant::now());
    }

    /// Something has happened just now that a report shows.
    pub fn mark(&self, text: impl Into<String>) {
        self.keep(text.into(), false);
    }

    /// A fault has acted just now.
    pub fn mark_fault(&self, text: impl Into<String>) {
        self.keep(text.into(), true);
    }

    fn keep(&self, text: String, is_fault: bool) {
        let mark = Mark { at: Instant::now(), text, is_fault };
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
        self.note();
    }

    /// The marks so far, in the order in which they were made.
    pub fn marks(&self) -> Vec<Mark> {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When something last has.
    pub fn last(&self) -> Instant {
        *self.0.last.borrow()
    }

    /// How long nothing has.
    pub fn quiet_for(&self) -> Duration {
        self.0.last.borrow().elapsed()
    }

    /// Returns when something happens, at the latest after `patience`.
    pub async fn next(&self, patience: Duration) {
        let mut changes = self.0.last.subscribe();
        let _ = tokio::time::timeout(patience, changes.changed()).await;
    }
}
