//! Signs of life of a run, from wherever they come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often it is looked whether the machine has breath.
const BREATH: Duration = Duration::from_millis(20);

/// Notes that something has happened, and tells for how long nothing has. Clones share it.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    last: watch::Sender<Moment>,
    /// How often the machine has found the time for a task that does nothing but count; `None` where nobody counts.
    breaths: watch::Sender<Option<u64>>,
    marks: Mutex<Vec<Mark>>,
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    breaths: Option<u64>,
}

/// Counts the machine's breaths; dropping it ends that.
#[derive(Debug)]
pub struct Breathing(JoinHandle<()>);

impl Drop for Breathing {
    fn drop(&mut self) {
        self.0.abort();
    }
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
        let begun = Moment { at: Instant::now(), breaths: None };
        let (last, breaths) = (watch::Sender::new(begun), watch::Sender::new(None));
        Activity(Arc::new(Shared { last, breaths, marks: Mutex::default() }))
    }
}

impl Activity {
    /// Something has happened just now.
    pub fn note(&self) {
        self.0.last.send_replace(Moment { at: Instant::now(), breaths: *self.0.breaths.borrow() });
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
        self.0.last.borrow().at
    }

    /// Begins to count breaths. On a machine that is short of time, what is silent may only not have had its turn
    /// yet: the counting task does not get its turns either then, and silence grows no faster than it counts.
    pub fn breathe(&self) -> Breathing {
        let shared = Arc::clone(&self.0);
        shared.breaths.send_replace(Some(0));
        Breathing(tokio::spawn(async move {
            loop {
                tokio::time::sleep(BREATH).await;
                shared.breaths.send_modify(|count| *count = count.map(|count| count + 1));
            }
        }))
    }

    /// How long nothing has, as far as the machine had the time for something to happen.
    pub fn quiet_for(&self) -> Duration {
        let last = *self.0.last.borrow();
        let elapsed = last.at.elapsed();
        match (*self.0.breaths.borrow(), last.breaths) {
            (Some(now), then) => {
                let breaths = u32::try_from(now.saturating_sub(then.unwrap_or(0))).unwrap_or(u32::MAX);
                elapsed.min(BREATH.saturating_mul(breaths))
            }
            _ => elapsed,
        }
    }

    /// Returns when something happens, at the latest after `patience`.
    pub async fn next(&self, patience: Duration) {
        let mut changes = self.0.last.subscribe();
        let _ = tokio::time::timeout(patience, changes.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_counted_in_breaths() {
        let activity = Activity::default();
        let breathing = activity.breathe();
        activity.note();
        assert_eq!(activity.quiet_for(), Duration::ZERO);
        std::thread::sleep(BREATH * 2);
        assert_eq!(activity.quiet_for(), Duration::ZERO, "nothing had its turn");
        while activity.quiet_for() < BREATH {
            tokio::time::sleep(BREATH).await;
        }
        activity.note();
        assert_eq!(activity.quiet_for(), Duration::ZERO);
        drop(breathing);
    }
}
