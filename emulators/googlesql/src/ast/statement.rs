//! Statements, and the procedural language around them.

use super::*;

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
