//! Expressions, calls, windows, types.

use super::*;

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
