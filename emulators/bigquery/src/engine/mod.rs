//! Datasets, tables and their versions as a state machine: no I/O, no clock, no waiting.
//!
//! A table is a list of immutable versions. A statement reads every table as of the sequence number
//! at which it started (see `catalog`); a change is computed against a version and [`store::Store`]
//! puts it on top of the newest one, or refuses it where another change got in between.

pub mod dataset;
pub mod dml_queue;
pub mod dropped;
pub mod error;
pub mod partition;
mod past;
pub mod policy;
pub mod restore;
mod segments;
pub mod store;
pub mod stream;
pub mod table;
pub mod transaction;
pub mod wildcard;
pub mod write_stream;

pub use error::EngineError;
pub use store::Store;
