//! Where a pipeline runs: the services, and what is created in them before a batch.

mod embedded;
pub mod provision;
mod tables;

pub use embedded::{Embedded, JournalWatch};
pub use tables::{Column, TableSet};
