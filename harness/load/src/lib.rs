//! How completion contention scales: many workers that complete at once against one batch, by
//! strategy, under a stated latency profile.
//!
//! [`simulate`] plays the workers against the Firestore engine in virtual time: the engine decides
//! who waits and who is aborted, [`profile`] how long each step takes, [`strategy`] what a worker
//! does. Nothing of it depends on the machine; the same seed gives the same figures. [`sweep`] runs
//! it over numbers of workers and finds the knee, [`report`] shows what came of it.
//!
//! [`live`] does the same work in real time, with real clients over sockets: what the figures are then
//! depends on the service and on the machine. [`soak`] loads all services at once for a while, [`growth`]
//! says what a larger batch costs.

pub mod arrival;
mod channels;
pub mod growth;
pub mod latencies;
pub mod live;
pub mod profile;
pub mod pushed;
pub mod report;
pub mod simulate;
pub mod soak;
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
    /// A service did not answer as it must for figures to mean anything.
    #[error("{endpoint}: {problem}")]
    Service { endpoint: String, problem: String },
}
