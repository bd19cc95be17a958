//! The only door to data: what the engine asks of whoever owns tables, and what it hands back.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast;
use crate::error::Result;
use crate::exec::column::Batch;
use crate::types::{Type, TypeParams};
use crate::value::Value;

/// Whether a column may hold NULL. REPEATED is a type (`ARRAY`), not a mode, in here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    #[default]
    Nullable,
    Required,
}

/// A column of a table. Nested modes and descriptions stand in `fields`, parallel to the struct's fields.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnDef {
    pub name: String,
    pub ty: Type,
    pub params: TypeParams,
    pub mode: Mode,
    pub description: Option<String>,
    /// SQL text of the default value.
    pub default: Option<String>,
    /// `ROUND_HALF_AWAY_FROM_ZERO` or `ROUND_HALF_EVEN`.
    pub rounding_mode: Option<String>,
    /// For STRUCT and ARRAY<STRUCT>: the fields' own definitions, in order; else empty.
    pub fields: Vec<ColumnDef>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Schema {
    pub columns: Vec<ColumnDef>,
}

impl Schema {
    /// Column names are case-insensitive.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// `project.dataset.table` with whatever parts were left out filled in by the catalog.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TablePath {
    pub project: String,
    pub dataset: String,
    pub table: String,
}

/// Identifies a row within one version of one table.
pub type RowId = u64;

/// One immutable version of a table.
pub trait Table: Send + Sync {
    fn path(&self) -> &TablePath;
    fn schema(&self) -> &Schema;
    /// `_PARTITIONTIME`, `_PARTITIONDATE`, `_TABLE_SUFFIX` and the like: readable by name, not by `*`.
    /// Their positions in [`ScanRequest::columns`] follow the schema's.
    fn pseudo_columns(&self) -> &[ColumnDef];
    /// `_PARTITIONTIME`, the first of the pseudo columns of a table partitioned by ingestion time: the one that DML
    /// may write.
    fn ingestion_time(&self) -> Option<&ColumnDef> {
        self.pseudo_columns().first().filter(|column| column.name == "_PARTITIONTIME")
    }
    fn row_count(&self) -> u64;
    /// Reads columns by position. With `row_ids` each batch has one more INT64 column at the end: the [`RowId`]s.
    fn scan(&self, request: &ScanRequest) -> Result<Vec<Batch>>;
    /// The column a filter must be on before the table may be read, if it requires one.
    fn required_partition_filter(&self) -> Option<&str> {
        None
    }
    /// The partitioning column, for pruning and for cost figures.
    fn partition_column(&self) -> Option<&str> {
        None
    }
    /// Logical size of these columns, in the partitions that the hints leave, for cost figures.
    fn logical_bytes(&self, columns: &[usize], hints: &[ScanHint]) -> u64 {
        let _ = (columns, hints);
        0
    }
    /// True where the table may not be changed by DML (an external table, a snapshot).
    fn read_only(&self) -> bool {
        false
    }
}

impl std::fmt::Debug for dyn Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path().fmt(f)
    }
}

#[derive(Clone, Debug, Default)]
pub struct ScanRequest {
    pub columns: Vec<usize>,
    pub row_ids: bool,
    /// Conjuncts on single columns that the table may use to skip partitions; they are applied again by the executor.
    pub hints: Vec<ScanHint>,
}

/// `column op value`, with op one of `=`, `<`, `<=`, `>`, `>=`.
#[derive(Clone, Debug)]
pub struct ScanHint {
    pub column: usize,
    pub op: HintOp,
    pub value: Value,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HintOp {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a name in FROM turns out to be.
#[derive(Clone)]
pub enum Relation {
    Table(Arc<dyn Table>),
    /// A view: its query is analyzed where it is used, in its own dataset's scope.
    View {
        path: TablePath,
        sql: String,
    },
}

pub use crate::exec::JavaScript;

/// A function, table function or procedure that somebody created.
#[derive(Clone, Debug)]
pub struct Routine {
    pub name: Vec<String>,
    pub arguments: Vec<RoutineArgument>,
    pub kind: RoutineKind,
    /// Declared result, where there is one.
    pub returns: Option<Type>,
    /// SQL expression or query, JavaScript, or a procedure's statements.
    pub body: String,
    /// For the kinds that are JavaScript; else as it is by default.
    pub javascript: Arc<JavaScript>,
}

#[derive(Clone, Debug)]
pub struct RoutineArgument {
    pub name: String,
    /// `None` for ANY TYPE.
    pub ty: Option<Type>,
    pub is_table: bool,
    pub is_aggregate: bool,
    pub direction: ArgumentDirection,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ArgumentDirection {
    #[default]
    In,
    Out,
    InOut,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoutineKind {
    Scalar,
    Aggregate,
    JavaScript,
    /// Exports `initialState`, `aggregate`, `merge` and `finalize`.
    JavaScriptAggregate,
    TableFunction,
    Procedure,
}

/// Name lookup, as of one moment: a statement sees every table as of its start.
pub trait Catalog: Send + Sync {
    /// A table or view by its one to three parts; `as_of` is FOR SYSTEM_TIME, microseconds since the epoch.
    /// Errors are BigQuery's own (`Not found: Table P:D.T was not found in location US`).
    fn relation(&self, name: &[String], as_of: Option<i64>) -> Result<Relation>;
    /// All tables whose name begins with what stands before the `*`, as one table with `_TABLE_SUFFIX`.
    fn wildcard(&self, name: &[String], as_of: Option<i64>) -> Result<Arc<dyn Table>>;
    fn routine(&self, name: &[String]) -> Option<Arc<Routine>>;
    /// The full path that a name stands for, for DDL; checks that the dataset exists where `must_exist`.
    fn resolve(&self, name: &[String]) -> Result<TablePath>;
}

/// What a DML statement does to one table; computed against a version, applied by the catalog's owner.
pub struct TableChange {
    pub table: Arc<dyn Table>,
    /// Rows that go (DELETE) or are replaced (UPDATE), by id, ascending.
    pub removed: Vec<RowId>,
    /// Rows that come (INSERT) or replace (UPDATE): full schema order, all columns. Where the table has
    /// `_PARTITIONTIME`, that is one column more, at the end: NULL where the rows belong to the present.
    pub added: Vec<Batch>,
    /// True where every row goes without being looked at (TRUNCATE).
    pub truncate: bool,
    pub stats: DmlStats,
}

/// `dmlStats`: disjoint counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DmlStats {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

/// A statement's result, before anything is applied.
pub enum Outcome {
    Query(QueryResult),
    Dml(TableChange),
    /// The DDL statement with its names resolved, and with the query's rows for CTAS.
    Ddl(DdlAction),
}

#[derive(Clone, Debug)]
pub struct QueryResult {
    /// Anonymous columns are named `f0_`, `f1_` … here.
    pub columns: Vec<(String, Type)>,
    pub batches: Vec<Batch>,
}

/// DDL, ready to be applied. `CreateTable` with `LIKE`, `CLONE`, `COPY` keeps its source's path in the AST node.
pub struct DdlAction {
    pub statement: ast::Statement,
    pub target: TablePath,
    /// For CREATE TABLE (with or without AS) the resulting schema.
    pub schema: Option<Schema>,
    /// For CREATE TABLE … AS and CREATE MATERIALIZED VIEW.
    pub rows: Option<Vec<Batch>>,
    /// OPTIONS(...), evaluated; names lower case.
    pub options: Vec<(String, Value, Type)>,
}

/// Query parameters, typed.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    pub named: HashMap<String, (Type, Value)>,
    pub positional: Vec<(Type, Value)>,
}
