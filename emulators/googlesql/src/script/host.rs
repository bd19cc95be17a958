//! What the script runner asks of whoever owns the data.
//!
//! The runner knows control flow, variables, procedures and exceptions. Every statement that reads or changes
//! data goes to the owner whole ([`Host::run_statement`]): there it gets its snapshot, its place in the queue
//! of mutating statements, its retries, and its job. The runner calls from one thread at a time (not always
//! the same), in the order in which the statements run.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::Statement;
use crate::catalog::{Catalog, Parameters, QueryResult};
use crate::error::{Result, SqlError};
use crate::types::Type;
use crate::value::Value;

/// Variables by lower-case name; system variables are among them as `@@name`. This is what the analyzer wants.
pub type Variables = HashMap<String, (Type, Value)>;

/// Where a script is, for `@@error.stack_trace` and for child jobs' `scriptStatistics.stackFrames`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The procedure's id (`project.dataset.name`), `None` in the script itself.
    pub procedure: Option<String>,
    /// Of the statement or expression; from 1.
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
    pub text: String,
}

/// What surrounds a statement.
#[derive(Clone, Copy, Debug)]
pub struct StatementContext<'a> {
    pub variables: &'a Variables,
    /// The query's parameters, or those of EXECUTE IMMEDIATE … USING; none within a procedure.
    pub parameters: &'a Parameters,
    /// `@@time_zone`.
    pub time_zone: &'a str,
    /// The statement's own text, without its semicolon.
    pub text: &'a str,
    /// Part of a script: production shows it as a child job of its own.
    pub child: bool,
    /// The innermost first; for building [`Frame`]s lazily.
    pub stack: &'a dyn Stack,
}

/// The frames of a running script, computed when asked for.
pub trait Stack: Sync {
    fn frames(&self) -> Vec<Frame>;
}

impl std::fmt::Debug for dyn Stack + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.frames()).finish()
    }
}

/// The owner of the data, as the runner needs it.
///
/// Errors carry their kind, text and position (a byte offset into the text that the statement came from).
/// The runner adds what production adds in scripts. All but `Cancelled` can be caught by the script.
pub trait Host: Send {
    /// What a statement came to; the runner keeps the last one for the script's result.
    type Done: Send;

    /// Analyzes and runs a query, DML, DDL, EXPORT DATA or LOAD DATA, and applies what it changes.
    ///
    /// With `temporary` in CREATE TABLE or CREATE FUNCTION the object is the script's (or session's): the
    /// host keeps it, finds it by its single name before the default dataset, and drops it at the end.
    fn run_statement(&mut self, statement: &Statement, context: StatementContext<'_>) -> Result<Self::Done>;

    /// A query's rows, if that is what it came to.
    fn rows<'d>(&self, done: &'d Self::Done) -> Option<&'d QueryResult>;

    /// Rows that DML changed: `@@row_count`.
    fn affected_rows(&self, done: &Self::Done) -> Option<u64>;

    /// Every table, view and routine as of now, for expressions (IF, SET, …) and procedures.
    fn catalog(&self) -> Arc<dyn Catalog>;

    /// Microseconds since the epoch: `CURRENT_TIMESTAMP()` in an expression.
    fn now(&self) -> i64;

    /// An expression that reads tables was evaluated: production shows a child job with
    /// `evaluationKind: EXPRESSION` for it.
    fn evaluated(&mut self, context: StatementContext<'_>, result: Result<&Value, &SqlError>) {
        let _ = (context, result);
    }

    /// A system procedure (`BQ.ABORT_SESSION`, `BQ.REFRESH_MATERIALIZED_VIEW` …). `None`: there is none of that name.
    ///
    /// # Errors
    /// Whatever the procedure refuses.
    fn system_procedure(&mut self, name: &str, args: &[Value]) -> Option<Result<()>> {
        let _ = (name, args);
        None
    }

    /// Begins a multi-statement transaction. The runner has checked that none is open.
    ///
    /// # Errors
    /// `Unsupported` unless the host can.
    fn begin_transaction(&mut self) -> Result<()> {
        Err(SqlError::unsupported("Transactions are not supported"))
    }

    /// Commits the open one.
    ///
    /// # Errors
    /// `Conflict` where another transaction changed the same tables; it is rolled back then.
    fn commit_transaction(&mut self) -> Result<()> {
        Err(SqlError::unsupported("Transactions are not supported"))
    }

    /// Rolls the open one back; also called at a script's end with one open, unless in a session.
    ///
    /// # Errors
    /// Only if the host is broken.
    fn rollback_transaction(&mut self) -> Result<()> {
        Err(SqlError::unsupported("Transactions are not supported"))
    }

    /// Whether one is open already: a session's earlier query may have begun it.
    fn in_transaction(&self) -> bool {
        false
    }

    /// In a session: the variables that its earlier queries declared.
    fn session_variables(&self) -> Variables {
        Variables::new()
    }

    /// In a session, at the end of each query: what its variables are now.
    fn keep_variables(&mut self, variables: Variables) {
        let _ = variables;
    }

    /// Values that only the owner knows, by lower-case name: `dataset_id`, `session_id`, `current_job_id`,
    /// `last_job_id`, `script.job_id`, `script.creation_time`, `query_label`. `None` is NULL.
    fn system_variable(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// `SET @@dataset_id = …` and the like; `time_zone` is the runner's own, and told here too.
    ///
    /// # Errors
    /// Where the value cannot be.
    fn set_system_variable(&mut self, name: &str, value: &Value) -> Result<()> {
        let _ = (name, value);
        Ok(())
    }
}
