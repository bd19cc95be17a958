//! Scripts: several statements, variables, control flow, procedures and exceptions, run from beginning to end.
//!
//! [`run`] works synchronously against a [`Host`], which runs the statements themselves. Rooms: `runner`
//! (control flow), `routine` (CALL, EXECUTE IMMEDIATE), `variables` (user's and system's), `check` (what is
//! refused before anything runs), `failure` (locations and `@@error`).

mod check;
mod failure;
pub mod host;
mod routine;
mod runner;
#[cfg(test)]
mod tests;
mod variables;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::ast::{Statement, StatementKind};
use crate::catalog::Parameters;
use crate::error::{Result, SqlError};
use crate::parser::{self, Script};
use crate::stack::{SHALLOW, with_room};
pub use host::{Frame, Host, Stack, StatementContext, Variables};

/// Who runs a script and what it may use.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `@@time_zone` until the script sets it.
    pub time_zone: String,
    /// `SESSION_USER()`.
    pub session_user: String,
    pub project: String,
    /// Where `RAND` and `GENERATE_UUID` draw from.
    pub draws: crate::functions::Draws,
    /// Set by somebody else to stop it; ends in an error of kind `Cancelled`.
    pub cancel: Arc<AtomicBool>,
    /// Bytes that one expression may hold.
    pub memory_limit: usize,
    /// Statements, loop rounds included, that the whole script may run; `None` for any number.
    pub step_limit: Option<u64>,
    /// Part of a session: an open transaction outlives the script.
    pub session: bool,
}

impl Default for Environment {
    fn default() -> Environment {
        Environment {
            time_zone: "UTC".to_owned(),
            session_user: String::new(),
            project: String::new(),
            draws: crate::functions::Draws::default(),
            cancel: Arc::default(),
            memory_limit: crate::exec::DEFAULT_MEMORY_LIMIT,
            step_limit: None,
            session: false,
        }
    }
}

/// How a script ended well.
#[derive(Debug)]
pub struct Finished<D> {
    /// The last query, DML or DDL that ran: the parent job's own result. `None` if there was none.
    pub last: Option<D>,
    /// Statements handed to the host, and expressions that read tables: the child jobs.
    pub children: u64,
}

/// Whether the statements make a job of type `SCRIPT`: several of them (unless all but a last query are
/// CREATE TEMP FUNCTION), or one of the procedural language.
pub fn is_script(statements: &[Statement]) -> bool {
    let Some((last, before)) = statements.split_last() else {
        return false;
    };
    if before.is_empty() {
        return is_procedural(last);
    }
    let prelude = |statement: &Statement| match &statement.kind {
        StatementKind::CreateFunction(create) => create.temporary,
        _ => false,
    };
    !(before.iter().all(prelude) && matches!(last.kind, StatementKind::Query(_)))
}

/// Whether a statement needs the runner even alone.
pub fn is_procedural(statement: &Statement) -> bool {
    use StatementKind::*;
    matches!(
        statement.kind,
        Declare { .. }
            | Set { .. }
            | ExecuteImmediate(_)
            | Block(_)
            | If { .. }
            | CaseStatement { .. }
            | Loop { .. }
            | While { .. }
            | Repeat { .. }
            | For { .. }
            | Break(_)
            | Continue(_)
            | Return
            | Raise { .. }
            | Call { .. }
            | Assert { .. }
            | BeginTransaction
            | CommitTransaction
            | RollbackTransaction
    )
}

/// Parses and runs a text of any number of statements.
///
/// # Errors
/// Located within `text`. In a script (see [`is_script`]) the text is production's `Query error: … at [l:c]`.
pub fn run<H: Host>(
    text: &str,
    parameters: &Parameters,
    environment: &Environment,
    host: &mut H,
) -> Result<Finished<H::Done>> {
    let script = parser::parse(text).map_err(|error| error.locate(text))?;
    run_parsed(text, &script, parameters, environment, host)
}

/// [`run`] for a text that is parsed already.
///
/// # Errors
/// As [`run`].
pub fn run_parsed<H: Host>(
    text: &str,
    script: &Script,
    parameters: &Parameters,
    environment: &Environment,
    host: &mut H,
) -> Result<Finished<H::Done>> {
    check::script(&script.statements).map_err(|error| error.locate(text))?;
    if let [statement] = script.statements.as_slice()
        && !environment.session
        && matches!(
            statement.kind,
            StatementKind::BeginTransaction | StatementKind::CommitTransaction | StatementKind::RollbackTransaction
        )
    {
        let refusal = "Transaction control statements are supported only in scripts or sessions";
        return Err(SqlError::analysis(refusal).at(statement.pos).locate(text));
    }
    let child = is_script(&script.statements);
    let runner = runner::Runner::new(text, parameters, environment, host, child);
    if is_flat(&script.statements) {
        return runner.run(&script.statements);
    }
    // Blocks within blocks, and loops within procedures, take stack of their own.
    with_room(script.height.max(SHALLOW + 1), move || runner.run(&script.statements))?
}

/// No statement holds others.
fn is_flat(statements: &[Statement]) -> bool {
    use StatementKind::*;
    !statements.iter().any(|statement| {
        matches!(
            statement.kind,
            Block(_) | If { .. } | CaseStatement { .. } | Loop { .. } | While { .. } | Repeat { .. } | For { .. }
        )
    })
}

/// The script was stopped from outside.
fn cancelled() -> SqlError {
    SqlError::cancelled("Job execution was cancelled: User requested cancellation")
}
