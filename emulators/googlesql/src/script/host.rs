//! What the statement runner asks of whoever owns the data: the only way in which a statement changes anything.
//!
//! The owner (the BigQuery service) implements [`Host`]. The runner calls it from one thread, one call at a
//! time, in the order in which the statements run. Reading happens through the [`Catalog`] that
//! [`Host::catalog`] hands out, changing through the `apply_…` methods.
//!
//! Within one statement the order of calls is:
//! 1. [`Host::statement_started`], once the statement is parsed and about to be analyzed;
//! 2. [`Host::catalog`], which fixes what the statement sees: every table as of now;
//! 3. analysis and execution, which only read;
//! 4. [`Host::apply_dml`] or [`Host::apply_ddl`] for what it changes, or nothing for a query;
//! 5. [`Host::statement_finished`] with the outcome or the error, always, also when cancelled.
//!
//! Script control flow (IF, LOOP, SET, DECLARE …) is no statement in this sense, but its expressions are
//! evaluated as `SELECT`s of their own, and as in production each shows up as a child job of its own:
//! see [`StatementInfo::kind`].

use std::sync::Arc;

use crate::catalog::{Catalog, DdlAction, DmlStats, QueryResult, TableChange, TablePath};
use crate::error::{Pos, Result, SqlError};
use crate::value::Value;

/// `statistics.query.statementType`, as production spells it ([`StatementKind::name`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatementKind {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    TruncateTable,
    CreateTable,
    CreateTableAsSelect,
    CreateView,
    CreateMaterializedView,
    CreateSchema,
    CreateSnapshotTable,
    CreateExternalTable,
    CreateFunction,
    CreateTableFunction,
    CreateProcedure,
    CreateRowAccessPolicy,
    CreateSearchIndex,
    CreateVectorIndex,
    DropTable,
    DropExternalTable,
    DropSnapshotTable,
    DropView,
    DropMaterializedView,
    DropSchema,
    DropFunction,
    DropTableFunction,
    DropProcedure,
    DropRowAccessPolicy,
    DropSearchIndex,
    DropVectorIndex,
    DropModel,
    AlterTable,
    AlterView,
    AlterMaterializedView,
    AlterSchema,
    UndropSchema,
    UndropTable,
    Grant,
    Revoke,
    ExportData,
    LoadData,
    Assert,
    Call,
    BeginTransaction,
    CommitTransaction,
    RollbackTransaction,
    /// The whole of a script: its parent job.
    Script,
}

impl StatementKind {
    pub fn name(self) -> &'static str {
        use StatementKind::*;
        match self {
            Select => "SELECT",
            Insert => "INSERT",
            Update => "UPDATE",
            Delete => "DELETE",
            Merge => "MERGE",
            TruncateTable => "TRUNCATE_TABLE",
            CreateTable => "CREATE_TABLE",
            CreateTableAsSelect => "CREATE_TABLE_AS_SELECT",
            CreateView => "CREATE_VIEW",
            CreateMaterializedView => "CREATE_MATERIALIZED_VIEW",
            CreateSchema => "CREATE_SCHEMA",
            CreateSnapshotTable => "CREATE_SNAPSHOT_TABLE",
            CreateExternalTable => "CREATE_EXTERNAL_TABLE",
            CreateFunction => "CREATE_FUNCTION",
            CreateTableFunction => "CREATE_TABLE_FUNCTION",
            CreateProcedure => "CREATE_PROCEDURE",
            CreateRowAccessPolicy => "CREATE_ROW_ACCESS_POLICY",
            CreateSearchIndex => "CREATE_SEARCH_INDEX",
            CreateVectorIndex => "CREATE_VECTOR_INDEX",
            DropTable => "DROP_TABLE",
            DropExternalTable => "DROP_EXTERNAL_TABLE",
            DropSnapshotTable => "DROP_SNAPSHOT_TABLE",
            DropView => "DROP_VIEW",
            DropMaterializedView => "DROP_MATERIALIZED_VIEW",
            DropSchema => "DROP_SCHEMA",
            DropFunction => "DROP_FUNCTION",
            DropTableFunction => "DROP_TABLE_FUNCTION",
            DropProcedure => "DROP_PROCEDURE",
            DropRowAccessPolicy => "DROP_ROW_ACCESS_POLICY",
            DropSearchIndex => "DROP_SEARCH_INDEX",
            DropVectorIndex => "DROP_VECTOR_INDEX",
            DropModel => "DROP_MODEL",
            AlterTable => "ALTER_TABLE",
            AlterView => "ALTER_VIEW",
            AlterMaterializedView => "ALTER_MATERIALIZED_VIEW",
            AlterSchema => "ALTER_SCHEMA",
            UndropSchema => "UNDROP_SCHEMA",
            UndropTable => "UNDROP_TABLE",
            Grant => "GRANT",
            Revoke => "REVOKE",
            ExportData => "EXPORT_DATA",
            LoadData => "LOAD_DATA",
            Assert => "ASSERT",
            Call => "CALL",
            BeginTransaction => "BEGIN_TRANSACTION",
            CommitTransaction => "COMMIT_TRANSACTION",
            RollbackTransaction => "ROLLBACK_TRANSACTION",
            Script => "SCRIPT",
        }
    }

    pub fn is_dml(self) -> bool {
        use StatementKind::*;
        matches!(self, Insert | Update | Delete | Merge | TruncateTable)
    }
}

/// Where a script is in its text, for `@@error.stack_trace` and child jobs' `evaluationKind` and stack frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The procedure's name, `None` in the script itself.
    pub procedure: Option<String>,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
    /// The statement's (or expression's) own text.
    pub text: String,
}

/// What is about to run.
#[derive(Clone, PartialEq, Debug)]
pub struct StatementInfo {
    pub kind: StatementKind,
    /// Its text, without its semicolon.
    pub text: String,
    /// Part of a script: production shows it as a child job.
    pub child: bool,
    /// `scriptStatistics.evaluationKind`: false is `STATEMENT`, true `EXPRESSION` (a condition, a SET).
    pub expression: bool,
    /// The innermost first.
    pub stack: Vec<Frame>,
}

/// How a statement ended.
#[derive(Debug)]
pub enum StatementResult<'a> {
    /// A query's rows. For a child job these are its result table.
    Query(&'a QueryResult),
    Dml(DmlStats),
    Ddl(&'a DdlApplied),
    /// BEGIN, COMMIT, ROLLBACK, ASSERT, CALL.
    Done,
    Failed(&'a SqlError),
}

/// What a DDL statement did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DdlApplied {
    pub operation: DdlOperation,
    /// `ddlTargetTable`.
    pub table: Option<TablePath>,
    /// `ddlTargetRoutine`, its parts as resolved.
    pub routine: Option<Vec<String>>,
    /// Rows written by CREATE TABLE … AS.
    pub rows: u64,
}

/// `ddlOperationPerformed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DdlOperation {
    #[default]
    Create,
    /// IF NOT EXISTS met an existing object, or IF EXISTS a missing one.
    Skip,
    Replace,
    Drop,
    Alter,
}

impl DdlOperation {
    pub fn name(self) -> &'static str {
        match self {
            DdlOperation::Create => "CREATE",
            DdlOperation::Skip => "SKIP",
            DdlOperation::Replace => "REPLACE",
            DdlOperation::Drop => "DROP",
            DdlOperation::Alter => "ALTER",
        }
    }
}

/// The owner of the data, as the runner needs it.
///
/// Errors carry their kind and GoogleSQL's or BigQuery's text; a position is added by the runner where it is missing
/// and production has one. Every error may be caught by a script's `EXCEPTION WHEN ERROR`.
pub trait Host: Send {
    /// Every table, view and routine as of now. Called once at the start of each statement; within a
    /// multi-statement transaction the snapshot is the transaction's, with its own changes.
    ///
    /// Temporary objects of the running script or session are the host's too (CREATE TEMP TABLE arrives at
    /// [`Host::apply_ddl`] with `temporary` set): it finds `name` among them before the default dataset.
    fn catalog(&self) -> Arc<dyn Catalog>;

    /// Microseconds since the epoch: `CURRENT_TIMESTAMP()` of the statement that starts now.
    fn now(&self) -> i64;

    /// Applies a change that was computed against the version in `change.table`.
    ///
    /// # Errors
    /// `Conflict` where another statement changed the same rows since then. Streaming buffer, read-only tables
    /// and the queue of mutating statements are refused here too.
    fn apply_dml(&mut self, change: TableChange) -> Result<DmlStats>;

    /// Applies DDL; CREATE TABLE … AS brings its rows along.
    ///
    /// CREATE and DROP of temporary tables and functions go through here as well.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound`, or whatever else production refuses.
    fn apply_ddl(&mut self, action: DdlAction) -> Result<DdlApplied>;

    /// EXPORT DATA: writes a query's rows where the options (evaluated, names lower case) say.
    ///
    /// # Errors
    /// `Unsupported` unless the host can.
    fn export(&mut self, options: Vec<(String, Value)>, rows: &QueryResult) -> Result<()> {
        let _ = (options, rows);
        Err(SqlError::unsupported("EXPORT DATA is not supported"))
    }

    /// LOAD DATA: reads the files of the statement into its table. `options` are OPTIONS, `files` are FROM FILES.
    ///
    /// # Errors
    /// `Unsupported` unless the host can.
    fn load(
        &mut self,
        statement: &crate::ast::LoadData,
        options: Vec<(String, Value)>,
        files: Vec<(String, Value)>,
    ) -> Result<DmlStats> {
        let _ = (statement, options, files);
        Err(SqlError::unsupported("LOAD DATA is not supported"))
    }

    /// Begins a multi-statement transaction. The runner has checked that none is open.
    fn begin_transaction(&mut self) -> Result<()>;
    /// Commits the open one.
    ///
    /// # Errors
    /// `Conflict` where another transaction changed the same tables; it is rolled back then.
    fn commit_transaction(&mut self) -> Result<()>;
    /// Rolls the open one back; also called at a script's end or failure with one open, unless in a session.
    fn rollback_transaction(&mut self) -> Result<()>;
    /// Whether one is open already: a session's earlier query may have begun it.
    fn in_transaction(&self) -> bool {
        false
    }

    /// A statement begins. Not called for control flow without expressions.
    fn statement_started(&mut self, info: &StatementInfo) -> Result<()> {
        let _ = info;
        Ok(())
    }

    /// It ended. `at` is the byte offset of its failure in the script, if any.
    fn statement_finished(&mut self, info: &StatementInfo, result: StatementResult<'_>, at: Option<Pos>) {
        let _ = (info, result, at);
    }

    /// `@@name` values that only the owner knows, names lower case: `project_id`, `dataset_id`, `session_id`,
    /// `current_job_id`, `last_job_id`, `script.job_id`, `script.bytes_processed` … `None` for NULL.
    fn system_variable(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// `SET @@dataset_id = …` and the like. `time_zone` is the runner's own, but told here too.
    fn set_system_variable(&mut self, name: &str, value: &Value) -> Result<()> {
        let _ = (name, value);
        Ok(())
    }
}
