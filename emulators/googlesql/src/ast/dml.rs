//! INSERT, UPDATE, DELETE, MERGE.

use super::*;

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
