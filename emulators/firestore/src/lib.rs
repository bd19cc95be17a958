//! Cloud Firestore, Native mode: engine and service.
//!
//! The [`engine`] is a pure state machine: documents in versions, shared locks and the order of
//! transactions by age, queries, listeners. `Firestore` puts it behind gRPC; REST comes from the
//! gateway, which transcodes it.

pub mod engine;
pub mod error;
pub mod limits;
pub mod path;
mod pipeline;
mod service;
pub mod texts;
pub mod value;

pub use engine::index::file::{FileError, write as index_file};
pub use service::{Admin, DeclareError, Firestore, IndexEnforcement, IndexSettings};
