//! Queries: SELECT, FROM, set operations, pipes.

use super::*;

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
    /// Where the first clause behind FROM begins, or what follows the whole.
    pub behind_from: Pos,
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
