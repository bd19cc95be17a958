//! Runs statements and scripts: from text to what the caller shows as a job's result.
//!
//! `run` parses the text and runs it from beginning to end, synchronously, against a [`Host`]. One statement
//! (perhaps behind CREATE TEMP FUNCTION statements) is a job of its own type; anything more is a `SCRIPT`
//! whose statements are reported to the host one by one. Positions in errors are those of the whole text.
//!
//! `inspect` says what a text is without running it, for dry runs and for choosing how to queue a job.

pub mod host;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::catalog::{DmlStats, QueryResult, TablePath};
pub use host::{DdlApplied, DdlOperation, Frame, Host, StatementInfo, StatementKind, StatementResult};

/// Who runs a text and what it may use.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `@@time_zone` until the script sets it; "UTC" by default.
    pub time_zone: String,
    /// `SESSION_USER()`.
    pub session_user: String,
    pub project: String,
    /// Seeds `RAND` and `GENERATE_UUID`.
    pub seed: u64,
    /// Set by somebody else to stop it; ends in an error of kind `Cancelled`.
    pub cancel: Arc<AtomicBool>,
    /// Bytes one statement may hold at once.
    pub memory_limit: usize,
    /// Rows that one statement's operators may look at, and statements that a script may run.
    pub step_limit: Option<u64>,
    /// Part of a session: an open transaction outlives the text.
    pub session: bool,
}

/// How a text ended well.
#[derive(Debug)]
pub struct Finished {
    /// Of the one statement, or `Script`.
    pub kind: StatementKind,
    pub result: FinalResult,
    /// The table that DML changed or DDL made.
    pub target: Option<TablePath>,
    /// Child statements that a script ran.
    pub children: u64,
}

/// The result that a job shows: the statement's, or for a script its last query's or DML's.
#[derive(Debug, Default)]
pub enum FinalResult {
    Query(QueryResult),
    Dml(DmlStats),
    Ddl(DdlApplied),
    #[default]
    None,
}
