//! How completion contention scales: many workers that complete at once against one batch, by
//! strategy, under a stated latency profile.
//!
//! [`simulate`] plays the workers against the Firestore engine in virtual time: the engine decides
//! who waits and who is aborted, [`profile`] how long each step takes, [`strategy`] what a worker
//! does. Nothing of it depends on the machine; the same seed gives the same figures. [`sweep`] runs
//! it over numbers of workers and finds the knee, [`report`] shows what came of it.

pub mod arrival;
pub mod profile;
pub mod report;
pub mod simulate;
pub mod strategy;
pub mod sweep;

use thiserror::Error;

/// A mistake in what was asked for; one line that says what would be right.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LoadError {
    #[error("{file}: {problem}")]
    File { file: String, problem: String },
    #[error("{0}")]
    Asked(String),
}
