//! The resolved plan: every name is a column id, every expression has a type, every coercion is a node.
//!
//! Column ids are unique within a statement. An expression may use any id that its input produces; an id
//! that it does not produce belongs to an outer query (the subquery lists it under `correlated`).

use std::sync::Arc;

use crate::catalog::{Catalog, Table};
use crate::error::Pos;
use crate::functions::{AggregateFunction, ScalarFunction};
use crate::types::{Type, TypeParams};
use crate::value::Value;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ColumnId(pub u32);

/// A typed expression with its place in the text.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: Type,
    pub pos: Pos,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Literal(Value),
    Column(ColumnId),
    /// A scalar function of the registry. Its code runs once a row; with `safe` an evaluation error is NULL.
    Call {
        function: &'static ScalarFunction,
        args: Vec<Expr>,
        safe: bool,
    },
    /// Explicit or implicit. `safe` is SAFE_CAST. `format` and `time_zone` are CAST … FORMAT … AT TIME ZONE.
    Cast {
        expr: Box<Expr>,
        params: TypeParams,
        safe: bool,
        format: Option<Box<Expr>>,
        time_zone: Option<Box<Expr>>,
    },
    /// Three-valued; stops at the first FALSE / TRUE.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// Evaluates only the branch taken. Without `otherwise` NULL.
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// First that is not NULL; later ones are not evaluated. IFNULL too.
    Coalesce(Vec<Expr>),
    /// IFERROR(try, catch); NULLIFERROR and ISERROR are built from it.
    IfError {
        attempt: Box<Expr>,
        fallback: Box<Expr>,
    },
    IsError(Box<Expr>),
    /// Binds values once for use in `body`: CASE operands, BETWEEN, NULLIF, WITH(…), SQL functions' arguments.
    Let {
        bindings: Vec<(ColumnId, Expr)>,
        body: Box<Expr>,
    },
    MakeStruct(Vec<Expr>),
    MakeArray(Vec<Expr>),
    /// NULL struct gives NULL.
    StructField {
        expr: Box<Expr>,
        index: usize,
    },
    ArrayElement {
        array: Box<Expr>,
        index: Box<Expr>,
        from: IndexBase,
        safe: bool,
    },
    /// ARRAY_TRANSFORM, ARRAY_FILTER and the like; the lambda's parameters are columns of its body.
    Higher {
        function: HigherFunction,
        args: Vec<Expr>,
        parameters: Vec<ColumnId>,
        body: Box<Expr>,
    },
    Subquery {
        kind: SubqueryKind,
        rel: Box<Rel>,
        column: ColumnId,
        correlated: Vec<ColumnId>,
    },
    /// A JavaScript function.
    JavaScript {
        routine: Arc<crate::catalog::Routine>,
        args: Vec<Expr>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexBase {
    /// From 0.
    Offset,
    /// From 1.
    Ordinal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HigherFunction {
    Transform,
    Filter,
}

#[derive(Clone, Debug)]
pub enum SubqueryKind {
    /// At most one row; `Scalar subquery produced more than one element`.
    Scalar,
    Array,
    Exists,
    /// `expr IN (query)`, three-valued. `negated` is `NOT IN`.
    In {
        expr: Box<Expr>,
        negated: bool,
    },
    /// `expr LIKE ANY|ALL (query)` and `= ANY` where they exist.
    Quantified {
        expr: Box<Expr>,
        function: &'static ScalarFunction,
        all: bool,
    },
}

#[derive(Clone, Debug)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    /// GoogleSQL's default: NULLs first ascending, last descending.
    pub nulls_first: bool,
}

/// A relational node.
#[derive(Clone, Debug)]
pub enum Rel {
    /// Columns by the table's position (schema, then pseudo columns). `row_id` asks for row ids too.
    Scan {
        table: Arc<dyn Table>,
        columns: Vec<(ColumnId, usize)>,
        row_id: Option<ColumnId>,
    },
    /// One row, no columns: SELECT without FROM.
    SingleRow,
    /// Literal rows (INSERT … VALUES, parameters as tables).
    Values {
        columns: Vec<ColumnId>,
        types: Vec<Type>,
        rows: Vec<Vec<Expr>>,
    },
    Filter {
        input: Box<Rel>,
        predicate: Expr,
    },
    /// Keeps all of the input's columns and adds computed ones.
    Compute {
        input: Box<Rel>,
        columns: Vec<(ColumnId, Expr)>,
    },
    /// Narrows and orders columns.
    Project {
        input: Box<Rel>,
        columns: Vec<ColumnId>,
    },
    /// `lateral`: the right side may use columns of the left (UNNEST of a left column, correlated join).
    Join {
        kind: JoinKind,
        left: Box<Rel>,
        right: Box<Rel>,
        on: Option<Expr>,
        lateral: bool,
    },
    /// Rows of one or several arrays side by side (`UNNEST(a, b)` pads with NULL); `offset` counts from 0.
    Unnest {
        arrays: Vec<(ColumnId, Expr)>,
        offset: Option<ColumnId>,
        strict: bool,
    },
    /// `keys` are computed from the input. Without keys one row even for no input. With `sets` (indexes into
    /// `keys`) ROLLUP, CUBE and GROUPING SETS: one pass a set, keys not in it NULL; `grouping` are GROUPING(key) columns.
    Aggregate {
        input: Box<Rel>,
        keys: Vec<(ColumnId, Expr)>,
        sets: Option<Vec<Vec<usize>>>,
        grouping: Vec<(ColumnId, usize)>,
        calls: Vec<(ColumnId, AggregateCall)>,
    },
    /// Adds one column a call; keeps the input's.
    Window {
        input: Box<Rel>,
        groups: Vec<WindowGroup>,
    },
    /// Rows equal in these columns once (grouping equality); produces just them.
    Distinct {
        input: Box<Rel>,
        columns: Vec<ColumnId>,
    },
    Sort {
        input: Box<Rel>,
        keys: Vec<SortKey>,
    },
    /// INT64 constants, not negative.
    Limit {
        input: Box<Rel>,
        limit: Option<Expr>,
        offset: Option<Expr>,
    },
    /// Each input's columns in the order of `columns`; types already coerced.
    SetOperation {
        kind: SetKind,
        all: bool,
        inputs: Vec<(Rel, Vec<ColumnId>)>,
        columns: Vec<ColumnId>,
        types: Vec<Type>,
    },
    /// Each CTE is computed at most once, on first use.
    With {
        ctes: Vec<Cte>,
        body: Box<Rel>,
    },
    /// `columns` are this use's own ids for the CTE's columns, in order.
    CteRef {
        cte: usize,
        columns: Vec<ColumnId>,
        types: Vec<Type>,
    },
    /// BERNOULLI-like sample of whole rows for TABLESAMPLE SYSTEM (p PERCENT).
    Sample {
        input: Box<Rel>,
        percent: Expr,
    },
}

#[derive(Clone, Debug)]
pub struct Cte {
    /// Unique within the statement; what [`Rel::CteRef`] names.
    pub id: usize,
    pub name: String,
    pub kind: CteKind,
    /// The columns that `rel` (or the anchor) produces, in the CTE's own order.
    pub columns: Vec<ColumnId>,
    pub types: Vec<Type>,
}

#[derive(Clone, Debug)]
pub enum CteKind {
    Plain(Rel),
    /// UNION ALL or DISTINCT of `anchor` and `step`; `step` reads the last round's rows through a
    /// [`Rel::CteRef`] to this CTE's id. At most 500 rounds in BigQuery. `step_columns` in the CTE's order.
    Recursive {
        anchor: Rel,
        step: Rel,
        step_columns: Vec<ColumnId>,
        distinct: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetKind {
    Union,
    Intersect,
    Except,
}

#[derive(Clone, Debug)]
pub struct AggregateCall {
    pub function: &'static AggregateFunction,
    pub args: Vec<Expr>,
    pub ty: Type,
    pub distinct: bool,
    /// `Some(true)`: IGNORE NULLS. `Some(false)`: RESPECT NULLS.
    pub ignore_nulls: Option<bool>,
    /// Over the call's input row.
    pub order_by: Vec<SortKey>,
    pub limit: Option<Expr>,
    /// HAVING MAX expr / MIN expr: keep only rows where it is extreme.
    pub having: Option<(Extreme, Box<Expr>)>,
    /// `WHERE` inside the call (pipe and newer syntax) as a filter.
    pub filter: Option<Box<Expr>>,
    pub safe: bool,
    pub pos: Pos,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extreme {
    Max,
    Min,
}

/// Calls that share partitioning and order.
#[derive(Clone, Debug)]
pub struct WindowGroup {
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortKey>,
    pub calls: Vec<(ColumnId, WindowCall)>,
}

#[derive(Clone, Debug)]
pub struct WindowCall {
    pub function: WindowFunction,
    pub args: Vec<Expr>,
    pub ty: Type,
    pub distinct: bool,
    pub ignore_nulls: Option<bool>,
    /// `None` for numbering functions and for the default frame, which depends on ORDER BY.
    pub frame: Option<Frame>,
    pub safe: bool,
    pub pos: Pos,
}

#[derive(Clone, Copy, Debug)]
pub enum WindowFunction {
    Aggregate(&'static AggregateFunction),
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    PercentileCont,
    PercentileDisc,
    TfIdf,
    ClusterDbscan,
}

#[derive(Clone, Debug)]
pub struct Frame {
    pub unit: FrameUnit,
    pub start: Bound,
    pub end: Bound,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameUnit {
    Rows,
    Range,
}

#[derive(Clone, Debug)]
pub enum Bound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// A resolved query: the plan and what it is called on the outside.
#[derive(Clone, Debug)]
pub struct Query {
    pub rel: Rel,
    pub columns: Vec<OutputColumn>,
    /// SELECT AS STRUCT / AS VALUE: one column whose rows are the values themselves.
    pub value_table: bool,
}

#[derive(Clone, Debug)]
pub struct OutputColumn {
    /// `None` where the query gave it no name.
    pub name: Option<String>,
    pub id: ColumnId,
    pub ty: Type,
}

/// A resolved statement. DDL stays in its AST form with what had to be computed beside it.
pub enum Plan {
    Query(Query),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Merge(Merge),
    Truncate { table: Arc<dyn Table> },
    Ddl(Box<Ddl>),
}

pub struct Insert {
    pub table: Arc<dyn Table>,
    pub query: Rel,
    /// For each column of the schema, and `_PARTITIONTIME` where the table has it, where its value comes from: a
    /// column of `query`, or the default.
    pub values: Vec<InsertValue>,
}

#[derive(Clone, Debug)]
pub enum InsertValue {
    Column(ColumnId),
    /// The column's default expression, or NULL.
    Expr(Expr),
}

/// A new value for one column of the schema: an expression over the statement's input row. Nested
/// assignments (`SET a.b = 1`, nested DML) are folded into one expression for the whole column.
#[derive(Clone, Debug)]
pub struct Assignment {
    pub column: usize,
    pub value: Expr,
}

pub struct Update {
    pub table: Arc<dyn Table>,
    /// Target scan (all columns, with row id) joined with FROM and filtered by WHERE.
    pub input: Rel,
    pub row_id: ColumnId,
    /// The target's columns in schema order (and `_PARTITIONTIME` where it has that), as `input` names them.
    pub columns: Vec<ColumnId>,
    pub assignments: Vec<Assignment>,
    /// With FROM a target row that matches twice is an error.
    pub has_from: bool,
}

pub struct Delete {
    pub table: Arc<dyn Table>,
    pub input: Rel,
    pub row_id: ColumnId,
}

pub struct Merge {
    pub table: Arc<dyn Table>,
    /// The target scan: all columns, with row id.
    pub target: Rel,
    pub row_id: ColumnId,
    pub columns: Vec<ColumnId>,
    pub source: Rel,
    pub on: Expr,
    pub clauses: Vec<MergeClause>,
}

pub struct MergeClause {
    pub when: MergeWhen,
    pub condition: Option<Expr>,
    pub action: MergeAction,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MergeWhen {
    Matched,
    NotMatchedByTarget,
    NotMatchedBySource,
}

pub enum MergeAction {
    /// One expression a column of the schema, over the source's columns.
    Insert(Vec<Expr>),
    Update(Vec<Assignment>),
    Delete,
}

pub struct Ddl {
    pub statement: crate::ast::Statement,
    pub target: crate::catalog::TablePath,
    /// CREATE TABLE: the columns as declared or as its query has them.
    pub schema: Option<crate::catalog::Schema>,
    /// CREATE TABLE … AS SELECT, coerced to `schema`.
    pub query: Option<Query>,
    pub options: Vec<(String, Expr)>,
}

/// What the analyzer needs besides the text.
pub struct AnalyzerContext<'a> {
    pub catalog: &'a dyn Catalog,
    pub parameters: &'a crate::catalog::Parameters,
    /// Script variables in scope: names lower case.
    pub variables: &'a std::collections::HashMap<String, (Type, Value)>,
    pub eval: &'a crate::functions::EvalContext,
    /// Set by somebody else to stop a statement that takes long to resolve.
    pub cancel: Option<&'a std::sync::atomic::AtomicBool>,
}
