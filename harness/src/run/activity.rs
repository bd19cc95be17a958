//! Signs of life of a run, from wherever they come.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Notes that something has happened, and tells for how long nothing has. Clones share it.
#[derive(Clone, Debug)]
pub struct Activity(Arc<watch::Sender<Instant>>);

impl Default for Activity {
    fn default() -> Self {
        Activity(Arc::new(watch::Sender::new(Instant::now())))
    }
}

impl Activity {
    /// Something has happened just now.
    pub fn note(&self) {
        self.0.send_replace(Instant::now());
    }

    /// When something last has.
    pub fn last(&self) -> Instant {
        *self.0.borrow()
    }

    /// How long nothing has.
    pub fn quiet_for(&self) -> Duration {
        self.0.borrow().elapsed()
    }

    /// Returns when something happens, at the latest after `patience`.
    pub async fn next(&self, patience: Duration) {
        let mut changes = self.0.subscribe();
        let _ = tokio::time::timeout(patience, changes.changed()).await;
    }
}
