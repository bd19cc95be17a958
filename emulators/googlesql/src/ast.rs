//! The syntax tree: what was written, with positions, before anything has a meaning.
//!
//! Every node's `pos` is the byte offset of its first character. Identifiers keep their case.

use crate::error::Pos;

#[derive(Clone, PartialEq, Debug)]
pub struct Ident {
    pub name: String,
    /// Written in backticks: never a keyword, and `a.b` within one pair is split by the parser of paths.
    pub quoted: bool,
    pub pos: Pos,
}

/// `a.b.c`; table paths may have dashes in the first part (`my-project.ds.t`) and a trailing `*`.
#[derive(Clone, PartialEq, Debug)]
pub struct Path {
    pub parts: Vec<Ident>,
    pub pos: Pos,
}

// ---------------------------------------------------------------- expressions

#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub pos: Pos,
    /// Offset just behind the expression.
    pub end: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    Null,
    Bool(bool),
    /// Decimal or hexadecimal as written; range is the analyzer's affair.
    Int(String),
    Float(String),
    /// Already unescaped.
    String(String),
    Bytes(Vec<u8>),
    /// `DATE '…'`, `TIMESTAMP '…'`, `NUMERIC '…'`, `JSON '…'`, `RANGE<DATE> '…'` and the like.
    TypedLiteral {
        ty: TypeName,
        text: String,
    },
    /// `INTERVAL 5 DAY`, `INTERVAL '1-2' YEAR TO MONTH`.
    Interval {
        value: Box<Expr>,
        from: Ident,
        to: Option<Ident>,
    },
    /// A single name. `a.b` is `Field { expr: Name(a), field: b }`; the analyzer finds out what is what.
    Name(Ident),
    Field {
        expr: Box<Expr>,
        field: Ident,
    },
    /// `a[…]`; `OFFSET(0)` and its kin are calls in `index`.
    Subscript {
        expr: Box<Expr>,
        index: Box<Expr>,
    },
    /// `@name`.
    NamedParameter(String),
    /// `?`; counted from 0.
    PositionalParameter(usize),
    /// `@@name.part`.
    SystemVariable(Path),
    Unary {
        op: UnaryOp,
        expr: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
        op_pos: Pos,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Is {
        expr: Box<Expr>,
        what: IsTest,
        negated: bool,
    },
    IsDistinctFrom {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    Between {
        expr: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    In {
        expr: Box<Expr>,
        list: InList,
        negated: bool,
    },
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        negated: bool,
    },
    /// `LIKE ANY|SOME|ALL (…)`, over a list, an UNNEST or a query.
    LikeQuantified {
        expr: Box<Expr>,
        quantifier: Quantifier,
        list: InList,
        negated: bool,
    },
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        expr: Box<Expr>,
        ty: TypeName,
        safe: bool,
        format: Option<Box<Expr>>,
        time_zone: Option<Box<Expr>>,
    },
    Extract {
        part: Box<Expr>,
        from: Box<Expr>,
        time_zone: Option<Box<Expr>>,
    },
    Call(Box<Call>),
    /// `[1, 2]`, `ARRAY<INT64>[…]`.
    Array {
        element: Option<TypeName>,
        items: Vec<Expr>,
    },
    /// `(1, 2)`: a struct without names.
    Tuple(Vec<Expr>),
    /// `STRUCT(1 AS a)`, `STRUCT<a INT64>(1)`.
    Struct {
        ty: Option<TypeName>,
        fields: Vec<(Expr, Option<Ident>)>,
    },
    /// A query in parentheses as a value.
    ScalarSubquery(Box<Query>),
    ArraySubquery(Box<Query>),
    Exists(Box<Query>),
    /// `WITH(a AS 1, b AS a + 1, a + b)`.
    With {
        bindings: Vec<(Ident, Expr)>,
        body: Box<Expr>,
    },
    /// `x -> expr`, `(x, i) -> expr`; only as an argument.
    Lambda {
        parameters: Vec<Ident>,
        body: Box<Expr>,
    },
    /// `name => expr`; only as an argument.
    NamedArgument {
        name: Ident,
        value: Box<Expr>,
    },
    /// `TABLE t` or `MODEL m` as an argument of a table function.
    TableArgument(Path),
    /// `DEFAULT` as a value in INSERT, UPDATE and MERGE.
    Default,
    /// Parentheses matter to a few rules (`(a).b`, comparison chaining).
    Parenthesized(Box<Expr>),
    /// The `*` of `COUNT(*)`; only as an argument.
    Star,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    Plus,
    Minus,
    BitNot,
    Not,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Concat,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IsTest {
    Null,
    True,
    False,
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantifier {
    Any,
    Some,
    All,
}

#[derive(Clone, PartialEq, Debug)]
pub enum InList {
    Exprs(Vec<Expr>),
    Unnest(Box<Expr>),
    Query(Box<Query>),
}

/// A function call with everything that may stand in and behind its parentheses.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// `SAFE.`, `NET.`, `KEYS.`, a dataset's, …: as written.
    pub name: Path,
    /// `expr.f(x)`: `expr` is the first of `args`.
    pub chained: bool,
    pub args: Vec<Expr>,
    pub distinct: bool,
    /// `COUNT(*)` has one `Star` argument.
    pub nulls: Option<NullsModifier>,
    /// `f(x WHERE condition)`.
    pub filter: Option<Expr>,
    /// `f(x GROUP BY y)`: aggregation in two levels.
    pub group_by: Vec<Expr>,
    pub having: Option<HavingModifier>,
    pub order_by: Vec<OrderItem>,
    pub limit: Option<Expr>,
    pub over: Option<WindowSpec>,
    pub pos: Pos,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NullsModifier {
    Ignore,
    Respect,
}

#[derive(Clone, PartialEq, Debug)]
pub struct HavingModifier {
    pub max: bool,
    pub expr: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct OrderItem {
    pub expr: Expr,
    pub descending: bool,
    /// `NULLS FIRST` / `NULLS LAST` if written.
    pub nulls_first: Option<bool>,
    pub collate: Option<String>,
    pub pos: Pos,
}

/// `OVER name` has only `base`; `OVER (…)` may have one too.
#[derive(Clone, PartialEq, Debug)]
pub struct WindowSpec {
    pub base: Option<Ident>,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<OrderItem>,
    pub frame: Option<Frame>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    pub rows: bool,
    pub start: Bound,
    /// `None` where only the start was written: up to the current row.
    pub end: Option<Bound>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Bound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// A type as written: `STRUCT<a INT64 NOT NULL, ARRAY<STRING(10)>>`.
#[derive(Clone, PartialEq, Debug)]
pub struct TypeName {
    pub kind: TypeNameKind,
    /// `(10)`, `(5, 1)`, `(MAX)` is not BigQuery's.
    pub parameters: Vec<Expr>,
    pub collate: Option<String>,
    /// Only fields of a struct in a table's schema: `STRUCT<a INT64 NOT NULL OPTIONS(…)>`.
    pub not_null: bool,
    pub options: Vec<OptionEntry>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TypeNameKind {
    /// `INT64`, `INTEGER`, … as written; resolved by the analyzer.
    Simple(String),
    Array(Box<TypeName>),
    Range(Box<TypeName>),
    Struct(Vec<(Option<Ident>, TypeName)>),
    /// `ANY TYPE` in CREATE FUNCTION.
    Any,
    /// `TABLE<a INT64>` in table functions.
    Table(Vec<(Ident, TypeName)>),
    AnyTable,
}

// ---------------------------------------------------------------- queries

#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    pub recursive: bool,
    pub with: Vec<CommonTable>,
    pub body: QueryBody,
    pub order_by: Vec<OrderItem>,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    /// `|> …`, in order.
    pub pipes: Vec<PipeOperator>,
    pub pos: Pos,
    /// Offset just behind the query.
    pub end: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CommonTable {
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub query: Query,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum QueryBody {
    Select(Box<Select>),
    Parenthesized(Box<Query>),
    /// Operators of one kind in a row; different kinds need parentheses.
    SetOperation(Box<SetOperation>),
    /// `FROM t |> …`.
    From(Box<TableExpr>),
    /// `TABLE t` as a query.
    Table(Path),
}

#[derive(Clone, PartialEq, Debug)]
pub struct SetOperation {
    pub first: QueryBody,
    pub rest: Vec<(SetOperator, QueryBody)>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub struct SetOperator {
    pub kind: SetOperatorKind,
    pub all: bool,
    /// `CORRESPONDING` or `BY NAME`; without either by position.
    pub by_name: bool,
    /// `STRICT CORRESPONDING`; `BY NAME` alone is strict too.
    pub strict: bool,
    /// `FULL [OUTER]`, `LEFT [OUTER]`, `INNER`.
    pub mode: Option<SetOuterMode>,
    /// `CORRESPONDING BY (a, b)`, `BY NAME ON (a, b)`.
    pub columns: Vec<Ident>,
    pub pos: Pos,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetOperatorKind {
    Union,
    Intersect,
    Except,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetOuterMode {
    Full,
    Left,
    Inner,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Select {
    pub distinct: bool,
    /// `SELECT AS STRUCT`, `SELECT AS VALUE`.
    pub as_value: Option<SelectAs>,
    /// `WITH DIFFERENTIAL_PRIVACY OPTIONS(…)` and the like, refused later by name.
    pub with_option: Option<Ident>,
    pub items: Vec<SelectItem>,
    pub from: Option<TableExpr>,
    pub filter: Option<Expr>,
    pub group_by: Option<GroupBy>,
    pub having: Option<Expr>,
    pub qualify: Option<Expr>,
    pub windows: Vec<(Ident, WindowSpec)>,
    pub pos: Pos,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SelectAs {
    Struct,
    Value,
}

#[derive(Clone, PartialEq, Debug)]
pub enum SelectItem {
    Expr {
        expr: Expr,
        alias: Option<Ident>,
    },
    /// `*`
    Star {
        modifiers: StarModifiers,
        pos: Pos,
    },
    /// `expr.*`
    DotStar {
        expr: Expr,
        modifiers: StarModifiers,
        pos: Pos,
    },
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct StarModifiers {
    pub except: Vec<Ident>,
    pub replace: Vec<(Expr, Ident)>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum GroupBy {
    /// `GROUP BY ALL`.
    All(Pos),
    Items(Vec<GroupItem>),
}

#[derive(Clone, PartialEq, Debug)]
pub enum GroupItem {
    Expr {
        expr: Expr,
        alias: Option<Ident>,
        order: Option<OrderItem>,
    },
    /// `()`
    Empty(Pos),
    Rollup(Vec<Vec<Expr>>, Pos),
    Cube(Vec<Vec<Expr>>, Pos),
    GroupingSets(Vec<GroupItem>, Pos),
    /// `(a, b)` within GROUPING SETS.
    Set(Vec<Expr>, Pos),
}

#[derive(Clone, PartialEq, Debug)]
pub struct TableExpr {
    pub kind: TableExprKind,
    pub alias: Option<Ident>,
    /// Behind the alias: PIVOT, UNPIVOT, TABLESAMPLE, in order, each with its own alias.
    pub postfix: Vec<TablePostfix>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TableExprKind {
    /// A table, CTE, or a path into an array of an earlier FROM item.
    Path {
        path: Path,
        as_of: Option<Box<Expr>>,
        with_offset: Option<WithOffset>,
    },
    Unnest {
        arrays: Vec<(Expr, Option<Ident>)>,
        mode: Option<Box<Expr>>,
        with_offset: Option<WithOffset>,
    },
    Subquery {
        query: Box<Query>,
        lateral: bool,
    },
    /// A table function.
    Call(Box<Call>),
    Join(Box<Join>),
    /// A join in parentheses.
    Parenthesized(Box<TableExpr>),
}

#[derive(Clone, PartialEq, Debug)]
pub struct WithOffset {
    pub alias: Option<Ident>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Join {
    pub kind: JoinKind,
    pub left: TableExpr,
    pub right: TableExpr,
    pub condition: JoinCondition,
    pub pos: Pos,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    /// `a, b`
    Comma,
    Cross,
    Inner,
    Left,
    Right,
    Full,
}

#[derive(Clone, PartialEq, Debug)]
pub enum JoinCondition {
    None,
    On(Box<Expr>),
    Using(Vec<Ident>),
}

#[derive(Clone, PartialEq, Debug)]
pub enum TablePostfix {
    Pivot(Box<Pivot>),
    Unpivot(Box<Unpivot>),
    /// `TABLESAMPLE SYSTEM (10 PERCENT)`.
    Sample {
        method: Ident,
        size: Box<Expr>,
        percent: bool,
        pos: Pos,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub struct Pivot {
    pub aggregates: Vec<(Expr, Option<Ident>)>,
    pub input: Expr,
    pub values: Vec<(Expr, Option<Ident>)>,
    pub alias: Option<Ident>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Unpivot {
    /// `INCLUDE NULLS`.
    pub include_nulls: bool,
    /// One, or several in parentheses.
    pub values: Vec<Ident>,
    pub name: Ident,
    /// Groups of columns with the optional row value (a string or integer literal).
    pub groups: Vec<(Vec<Path>, Option<Expr>)>,
    pub alias: Option<Ident>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PipeOperator {
    pub kind: PipeKind,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum PipeKind {
    Select(Box<Select>),
    Extend {
        items: Vec<SelectItem>,
        windows: Vec<(Ident, WindowSpec)>,
    },
    Set(Vec<(Ident, Expr)>),
    Drop(Vec<Ident>),
    Rename(Vec<(Ident, Ident)>),
    As(Ident),
    Where(Expr),
    Limit {
        limit: Expr,
        offset: Option<Expr>,
    },
    /// GROUP BY's items may carry an order; `GROUP AND ORDER BY` sets `and_order`.
    Aggregate {
        items: Vec<(SelectItem, Option<OrderItem>)>,
        group_by: Option<GroupBy>,
        and_order: bool,
    },
    Distinct,
    OrderBy(Vec<OrderItem>),
    Qualify(Expr),
    Join(Box<PipeJoin>),
    SetOperation {
        operator: SetOperator,
        queries: Vec<Query>,
    },
    Call {
        call: Call,
        alias: Option<Ident>,
    },
    Pivot(Box<Pivot>),
    Unpivot(Box<Unpivot>),
    TableSample {
        method: Ident,
        size: Expr,
        percent: bool,
    },
    Window {
        items: Vec<SelectItem>,
    },
    With(Vec<CommonTable>),
    Assert {
        condition: Expr,
        message: Vec<Expr>,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub struct PipeJoin {
    pub kind: JoinKind,
    pub right: TableExpr,
    pub condition: JoinCondition,
}

// ---------------------------------------------------------------- statements

#[derive(Clone, PartialEq, Debug)]
pub struct Statement {
    pub kind: StatementKind,
    pub pos: Pos,
    /// Offset just behind the statement, without its semicolon.
    pub end: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum StatementKind {
    Query(Box<Query>),
    Explain(Box<Statement>),

    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Merge(Box<Merge>),
    Truncate {
        table: Path,
        filter: Option<Expr>,
    },

    CreateTable(Box<CreateTable>),
    CreateView(Box<CreateView>),
    CreateSchema {
        name: Path,
        if_not_exists: bool,
        or_replace: bool,
        collate: Option<Expr>,
        options: Vec<OptionEntry>,
    },
    CreateSnapshot(Box<CreateSnapshot>),
    CreateFunction(Box<CreateFunction>),
    CreateProcedure(Box<CreateProcedure>),
    CreateRowAccessPolicy(Box<CreateRowAccessPolicy>),
    DropRowAccessPolicy {
        name: Option<Ident>,
        all: bool,
        table: Path,
        if_exists: bool,
    },
    CreateIndex(Box<CreateIndex>),
    Drop {
        object: ObjectKind,
        name: Path,
        if_exists: bool,
        cascade: bool,
        on: Option<Path>,
    },
    AlterTable {
        name: Path,
        if_exists: bool,
        actions: Vec<AlterAction>,
    },
    /// ALTER SCHEMA | VIEW | MATERIALIZED VIEW … SET OPTIONS and the like.
    Alter {
        object: ObjectKind,
        name: Path,
        if_exists: bool,
        actions: Vec<AlterAction>,
    },
    Undrop {
        object: ObjectKind,
        name: Path,
        if_not_exists: bool,
        options: Vec<OptionEntry>,
    },
    Grant {
        revoke: bool,
        privileges: Vec<Expr>,
        object: Ident,
        name: Path,
        grantees: Vec<Expr>,
    },
    ExportData {
        options: Vec<OptionEntry>,
        connection: Option<Path>,
        query: Box<Query>,
    },
    LoadData(Box<LoadData>),
    Assert {
        condition: Expr,
        message: Option<Expr>,
    },

    Declare {
        names: Vec<Ident>,
        ty: Option<TypeName>,
        default: Option<Expr>,
    },
    /// `SET x = …`, `SET (x, y) = (…)`, `SET @@var = …`.
    Set {
        targets: Vec<SetTarget>,
        value: Expr,
    },
    ExecuteImmediate(Box<ExecuteImmediate>),
    /// BEGIN … EXCEPTION WHEN ERROR THEN … END.
    Block(Box<Block>),
    If {
        branches: Vec<(Expr, Vec<Statement>)>,
        otherwise: Option<Vec<Statement>>,
    },
    CaseStatement {
        operand: Option<Expr>,
        branches: Vec<(Expr, Vec<Statement>)>,
        otherwise: Option<Vec<Statement>>,
    },
    Loop {
        label: Option<Ident>,
        body: Vec<Statement>,
    },
    While {
        label: Option<Ident>,
        condition: Expr,
        body: Vec<Statement>,
    },
    Repeat {
        label: Option<Ident>,
        body: Vec<Statement>,
        until: Expr,
    },
    For {
        label: Option<Ident>,
        variable: Ident,
        query: Box<Query>,
        body: Vec<Statement>,
    },
    /// LEAVE too.
    Break(Option<Ident>),
    /// ITERATE too.
    Continue(Option<Ident>),
    Return,
    Raise {
        message: Option<Expr>,
    },
    Call {
        name: Path,
        args: Vec<Expr>,
    },
    BeginTransaction,
    CommitTransaction,
    RollbackTransaction,
}

#[derive(Clone, PartialEq, Debug)]
pub enum SetTarget {
    Variable(Ident),
    System(Path),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    pub label: Option<Ident>,
    pub body: Vec<Statement>,
    pub exception: Option<Vec<Statement>>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ExecuteImmediate {
    pub sql: Expr,
    pub into: Vec<Ident>,
    pub using: Vec<(Expr, Option<Ident>)>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Insert {
    pub table: Path,
    pub columns: Vec<Ident>,
    pub source: InsertSource,
    pub assert_rows: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum InsertSource {
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
    /// `INSERT ROW`, only in MERGE.
    Row,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Update {
    pub table: Path,
    pub alias: Option<Ident>,
    pub items: Vec<UpdateItem>,
    pub from: Option<TableExpr>,
    pub filter: Option<Expr>,
    pub assert_rows: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum UpdateItem {
    /// The target is a path of names, fields and subscripts.
    Set { target: Expr, value: Expr },
    /// Nested DML on an array column: `SET (INSERT a VALUES (1))`.
    Nested(Box<Statement>),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Delete {
    pub table: Path,
    pub alias: Option<Ident>,
    pub with_offset: Option<WithOffset>,
    pub filter: Option<Expr>,
    pub assert_rows: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Merge {
    pub table: Path,
    pub alias: Option<Ident>,
    pub source: TableExpr,
    pub on: Expr,
    pub clauses: Vec<MergeClause>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct MergeClause {
    pub when: MergeWhen,
    pub condition: Option<Expr>,
    pub action: MergeAction,
    pub pos: Pos,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MergeWhen {
    Matched,
    NotMatchedByTarget,
    NotMatchedBySource,
}

#[derive(Clone, PartialEq, Debug)]
pub enum MergeAction {
    Insert { columns: Vec<Ident>, source: MergeInsert, pos: Pos },
    Update(Vec<UpdateItem>),
    Delete,
}

#[derive(Clone, PartialEq, Debug)]
pub enum MergeInsert {
    Values(Vec<Expr>),
    Row,
}

// ---------------------------------------------------------------- DDL

#[derive(Clone, PartialEq, Debug)]
pub struct OptionEntry {
    pub name: Ident,
    pub value: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ColumnSpec {
    pub name: Ident,
    pub ty: TypeName,
    pub not_null: bool,
    pub default: Option<Expr>,
    /// The default's text as written.
    pub default_text: Option<String>,
    pub primary_key: bool,
    pub references: Option<ForeignKey>,
    pub options: Vec<OptionEntry>,
    pub pos: Pos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TableConstraint {
    PrimaryKey { name: Option<Ident>, columns: Vec<Ident> },
    ForeignKey { name: Option<Ident>, columns: Vec<Ident>, key: ForeignKey },
}

#[derive(Clone, PartialEq, Debug)]
pub struct ForeignKey {
    pub table: Path,
    pub columns: Vec<Ident>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CreateTable {
    pub name: Path,
    pub or_replace: bool,
    pub temporary: bool,
    pub external: bool,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnSpec>,
    pub constraints: Vec<TableConstraint>,
    pub like: Option<Path>,
    /// COPY or CLONE of a table, perhaps as of a time.
    pub copy: Option<TableCopy>,
    pub collate: Option<Expr>,
    pub partition_by: Option<Expr>,
    pub cluster_by: Vec<Expr>,
    pub options: Vec<OptionEntry>,
    pub query: Option<Box<Query>>,
    /// External tables only.
    pub connection: Option<Path>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TableCopy {
    pub clone: bool,
    pub source: Path,
    pub as_of: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CreateView {
    pub name: Path,
    pub or_replace: bool,
    pub materialized: bool,
    pub if_not_exists: bool,
    pub recursive: bool,
    pub columns: Vec<(Ident, Vec<OptionEntry>)>,
    pub partition_by: Option<Expr>,
    pub cluster_by: Vec<Expr>,
    pub options: Vec<OptionEntry>,
    pub query: Box<Query>,
    /// The query's text as written.
    pub query_text: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CreateSnapshot {
    pub name: Path,
    pub if_not_exists: bool,
    pub source: Path,
    pub as_of: Option<Expr>,
    pub options: Vec<OptionEntry>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CreateFunction {
    pub name: Path,
    pub or_replace: bool,
    pub temporary: bool,
    pub aggregate: bool,
    pub table_function: bool,
    pub if_not_exists: bool,
    pub parameters: Vec<FunctionParameter>,
    pub returns: Option<TypeName>,
    pub language: Option<Ident>,
    pub determinism: Option<String>,
    pub options: Vec<OptionEntry>,
    pub body: FunctionBody,
}

#[derive(Clone, PartialEq, Debug)]
pub struct FunctionParameter {
    pub name: Ident,
    pub ty: TypeName,
    pub not_aggregate: bool,
    pub default: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum FunctionBody {
    /// With the text as written.
    Expr(Box<Expr>, String),
    Query(Box<Query>, String),
    /// Code in another language.
    Code(String),
    /// Remote functions.
    None,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CreateProcedure {
    pub name: Path,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub parameters: Vec<(ProcedureMode, FunctionParameter)>,
    pub options: Vec<OptionEntry>,
    pub body: Vec<Statement>,
    /// BEGIN … END as written.
    pub body_text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcedureMode {
    In,
    Out,
    InOut,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CreateRowAccessPolicy {
    pub name: Ident,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub table: Path,
    pub grantees: Vec<Expr>,
    pub filter: Expr,
    pub filter_text: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CreateIndex {
    pub name: Ident,
    /// `SEARCH`, `VECTOR`.
    pub kind: Ident,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub table: Path,
    /// Empty for ALL COLUMNS.
    pub columns: Vec<Ident>,
    pub options: Vec<OptionEntry>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct LoadData {
    pub overwrite: bool,
    pub table: Path,
    pub columns: Vec<ColumnSpec>,
    pub partition_by: Option<Expr>,
    pub cluster_by: Vec<Expr>,
    pub options: Vec<OptionEntry>,
    pub files: Vec<OptionEntry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    Table,
    ExternalTable,
    SnapshotTable,
    View,
    MaterializedView,
    Schema,
    Function,
    TableFunction,
    Procedure,
    SearchIndex,
    VectorIndex,
    Model,
    Column,
}

#[derive(Clone, PartialEq, Debug)]
pub enum AlterAction {
    AddColumn { column: ColumnSpec, if_not_exists: bool },
    DropColumn { name: Ident, if_exists: bool },
    RenameColumn { from: Ident, to: Ident, if_exists: bool },
    RenameTo(Path),
    SetOptions(Vec<OptionEntry>),
    SetDefaultCollate(Expr),
    AlterColumn { name: Path, if_exists: bool, action: AlterColumnAction },
    AddConstraint { constraint: TableConstraint, if_not_exists: bool },
    DropConstraint { name: Ident, if_exists: bool },
    DropPrimaryKey { if_exists: bool },
}

#[derive(Clone, PartialEq, Debug)]
pub enum AlterColumnAction {
    SetDataType(TypeName),
    SetDefault { expr: Expr, text: String },
    DropDefault,
    DropNotNull,
    SetOptions(Vec<OptionEntry>),
}
