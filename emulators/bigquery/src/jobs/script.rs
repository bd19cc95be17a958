//! Scripts: several statements, variables and control flow in one job.

use scrimmage_googlesql::SqlError;
use scrimmage_googlesql::ast::{Statement, StatementKind};

use super::registry::JobCell;
use super::statement::{Runner, StatementDone};
use crate::service::App;

/// Whether a statement makes sense only in a script, even alone.
pub fn is_script_statement(statement: &Statement) -> bool {
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
            | BeginTransaction
            | CommitTransaction
            | RollbackTransaction
            | Assert { .. }
    )
}

/// Runs a script; returns its last statement's outcome and the number of child jobs.
pub fn run(
    _app: &App,
    _cell: &JobCell,
    _runner: &Runner,
    _text: &str,
    _statements: &[Statement],
) -> Result<(StatementDone, u64), SqlError> {
    Err(SqlError::unsupported("A script of several statements is not supported yet"))
}
