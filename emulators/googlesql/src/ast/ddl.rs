//! CREATE and ALTER.

use super::*;

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
