//! CREATE: tables, views, snapshots, schemas, functions, procedures, policies, indexes.

use super::Parser;
use crate::ast::{
    ColumnSpec, CreateFunction, CreateIndex, CreateProcedure, CreateRowAccessPolicy, CreateSnapshot, CreateTable,
    CreateView, Expr, FunctionBody, FunctionParameter, Path, ProcedureMode, StatementKind, TableConstraint, TableCopy,
    TypeName, TypeNameKind,
};
use crate::error::{Result, SqlError};
use crate::lexer::{Kind, Kw, Sym};

/// What stands between CREATE and the kind of object.
#[derive(Clone, Copy)]
struct Scope {
    or_replace: bool,
    temporary: bool,
}

impl Parser<'_> {
    /// Behind CREATE.
    pub(super) fn create(&mut self) -> Result<StatementKind> {
        let or_replace = self.eat_kws(Kw::Or, Kw::Replace);
        let temporary = self.eat_kw(Kw::Temp) || self.eat_kw(Kw::Temporary);
        let scope = Scope { or_replace, temporary };
        let Kind::Word(keyword) = self.kind() else {
            return Err(self.unexpected());
        };
        match keyword {
            Kw::Table if self.is_kw_ahead(1, Kw::Function) => {
                self.advance();
                self.advance();
                self.create_function(scope, false, true)
            }
            Kw::Table => {
                self.advance();
                self.create_table(scope, false)
            }
            Kw::External if self.is_kw_ahead(1, Kw::Table) => {
                self.advance();
                self.advance();
                self.create_table(scope, true)
            }
            Kw::Snapshot => {
                self.advance();
                self.expect_kw(Kw::Table)?;
                self.create_snapshot()
            }
            Kw::Recursive | Kw::View => {
                let recursive = self.eat_kw(Kw::Recursive);
                self.expect_kw(Kw::View)?;
                self.create_view(scope, false, recursive)
            }
            Kw::Materialized => {
                self.advance();
                let recursive = self.eat_kw(Kw::Recursive);
                self.expect_kw(Kw::View)?;
                self.create_view(scope, true, recursive)
            }
            Kw::Schema => {
                self.advance();
                self.create_schema(scope)
            }
            Kw::Aggregate => {
                self.advance();
                self.expect_kw(Kw::Function)?;
                self.create_function(scope, true, false)
            }
            Kw::Function => {
                self.advance();
                self.create_function(scope, false, false)
            }
            Kw::Procedure => {
                self.advance();
                self.create_procedure(scope)
            }
            Kw::Row => {
                self.advance();
                self.expect_word("ACCESS")?;
                self.expect_kw(Kw::Policy)?;
                self.create_policy(scope)
            }
            Kw::Search | Kw::Vector => {
                let kind = self.any_word()?;
                self.expect_kw(Kw::Index)?;
                self.create_index(scope, kind)
            }
            Kw::Model => Err(self.unsupported("CREATE MODEL")),
            _ => {
                for word in ["CAPACITY", "RESERVATION", "ASSIGNMENT", "EXTERNAL", "CONNECTION", "PROPERTY"] {
                    if self.is_word(word) {
                        return Err(self.unsupported(&format!("CREATE {word}")));
                    }
                }
                Err(self.unexpected())
            }
        }
    }

    /// GoogleSQL has it, this engine does not.
    pub(super) fn unsupported(&self, what: &str) -> SqlError {
        SqlError::unsupported(format!("{what} is not supported")).at(self.pos())
    }

    pub(super) fn if_not_exists(&mut self) -> Result<bool> {
        if !self.is_kw(Kw::If) {
            return Ok(false);
        }
        self.advance();
        self.expect_kw(Kw::Not)?;
        self.expect_kw(Kw::Exists)?;
        Ok(true)
    }

    // ------------------------------------------------------------ tables

    fn create_table(&mut self, scope: Scope, external: bool) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists()?;
        let mut table = CreateTable {
            name: self.table_path()?,
            or_replace: scope.or_replace,
            temporary: scope.temporary,
            external,
            if_not_exists,
            columns: Vec::new(),
            constraints: Vec::new(),
            like: None,
            copy: None,
            collate: None,
            partition_by: None,
            cluster_by: Vec::new(),
            options: Vec::new(),
            query: None,
            connection: None,
        };
        if self.eat_kw(Kw::Like) {
            table.like = Some(self.table_path()?);
        } else if self.is_kw(Kw::Clone) || self.is_kw(Kw::Copy) {
            table.copy = Some(self.table_copy()?);
        }
        if self.is(Sym::Open) {
            (table.columns, table.constraints) = self.table_elements()?;
        }
        loop {
            match self.kind() {
                Kind::Word(Kw::Default) => {
                    self.advance();
                    self.expect_kw(Kw::Collate)?;
                    table.collate = Some(self.expr()?);
                }
                Kind::Word(Kw::Partition) => table.partition_by = self.partition_by()?,
                Kind::Word(Kw::Cluster) => table.cluster_by = self.cluster_by()?,
                Kind::Word(Kw::Options) => table.options = self.options()?,
                Kind::Word(Kw::Like) if table.like.is_none() => {
                    self.advance();
                    table.like = Some(self.table_path()?);
                }
                Kind::Word(Kw::With) if self.is_kw_ahead(1, Kw::Connection) => {
                    table.connection = self.with_connection()?;
                }
                Kind::Word(Kw::With) if self.is_kw_ahead(1, Kw::Partition) => {
                    return Err(self.unsupported("WITH PARTITION COLUMNS"));
                }
                _ => break,
            }
        }
        if self.eat_kw(Kw::As) {
            table.query = Some(Box::new(self.query()?));
        }
        Ok(StatementKind::CreateTable(Box::new(table)))
    }

    fn table_copy(&mut self) -> Result<TableCopy> {
        let clone = self.advance().kind == Kind::Word(Kw::Clone);
        let source = self.table_path()?;
        let as_of = self.system_time()?.map(|expr| *expr);
        Ok(TableCopy { clone, source, as_of })
    }

    /// Columns and table constraints in parentheses; a comma may stand behind the last.
    pub(super) fn table_elements(&mut self) -> Result<(Vec<ColumnSpec>, Vec<TableConstraint>)> {
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        self.expect(Sym::Open)?;
        while !self.is(Sym::Close) {
            if matches!(self.kind(), Kind::Word(keyword) if keyword.reserved()) {
                break;
            }
            match self.table_constraint()? {
                Some(constraint) => constraints.push(constraint),
                None => columns.push(self.column_spec()?),
            }
            if !self.eat(Sym::Comma) {
                break;
            }
        }
        self.expect_list_end()?;
        Ok((columns, constraints))
    }

    /// A table constraint, where one begins here and not a column.
    pub(super) fn table_constraint(&mut self) -> Result<Option<TableConstraint>> {
        let mut name = None;
        if self.is_kw(Kw::Constraint)
            && self.identifier_ahead(1)
            && (self.is_kw_ahead(2, Kw::Primary) || self.is_kw_ahead(2, Kw::Foreign))
        {
            self.advance();
            name = Some(self.identifier()?);
        } else if self.is_kw(Kw::Constraint) && self.is_kw_ahead(1, Kw::If) && self.is_kw_ahead(2, Kw::Not) {
            self.advance();
            self.if_not_exists()?;
            name = Some(self.identifier()?);
        }
        if self.is_kw(Kw::Primary) && self.is_kw_ahead(1, Kw::Key) {
            self.advance();
            self.advance();
            let columns = self.paren_list(Self::identifier)?;
            self.not_enforced()?;
            return Ok(Some(TableConstraint::PrimaryKey { name, columns }));
        }
        if self.is_kw(Kw::Foreign) && self.is_kw_ahead(1, Kw::Key) {
            self.advance();
            self.advance();
            let columns = self.paren_list(Self::identifier)?;
            let key = self.references()?;
            return Ok(Some(TableConstraint::ForeignKey { name, columns, key }));
        }
        if name.is_some() {
            return Err(self.unexpected());
        }
        Ok(None)
    }

    pub(super) fn partition_by(&mut self) -> Result<Option<Expr>> {
        if !self.eat_kw(Kw::Partition) {
            return Ok(None);
        }
        self.expect_kw(Kw::By)?;
        self.expr().map(Some)
    }

    pub(super) fn cluster_by(&mut self) -> Result<Vec<Expr>> {
        if !self.eat_kw(Kw::Cluster) {
            return Ok(Vec::new());
        }
        self.expect_kw(Kw::By)?;
        self.comma_list(Self::expr)
    }

    pub(super) fn with_connection(&mut self) -> Result<Option<Path>> {
        if !self.is_kw(Kw::With) || !self.is_kw_ahead(1, Kw::Connection) {
            return Ok(None);
        }
        self.advance();
        self.advance();
        if self.is_kw(Kw::Default) {
            let pos = self.pos();
            return Ok(Some(Path { parts: vec![self.any_word()?], pos }));
        }
        self.table_path().map(Some)
    }

    fn create_snapshot(&mut self) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.table_path()?;
        self.expect_kw(Kw::Clone)?;
        let source = self.table_path()?;
        let as_of = self.system_time()?.map(|expr| *expr);
        let options = self.options()?;
        Ok(StatementKind::CreateSnapshot(Box::new(CreateSnapshot { name, if_not_exists, source, as_of, options })))
    }

    fn create_schema(&mut self, scope: Scope) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.table_path()?;
        let mut collate = None;
        if self.is_kw(Kw::Default) {
            self.advance();
            self.expect_kw(Kw::Collate)?;
            collate = Some(self.expr()?);
        }
        let options = self.options()?;
        Ok(StatementKind::CreateSchema { name, if_not_exists, or_replace: scope.or_replace, collate, options })
    }

    // ------------------------------------------------------------ views

    fn create_view(&mut self, scope: Scope, materialized: bool, recursive: bool) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.table_path()?;
        let mut columns = Vec::new();
        if self.is(Sym::Open) {
            columns = self.paren_list(|parser| Ok((parser.identifier()?, parser.options()?)))?;
        }
        let (mut partition_by, mut cluster_by, mut options) = (None, Vec::new(), Vec::new());
        loop {
            match self.kind() {
                Kind::Word(Kw::Partition) => partition_by = self.partition_by()?,
                Kind::Word(Kw::Cluster) => cluster_by = self.cluster_by()?,
                Kind::Word(Kw::Options) => options = self.options()?,
                _ => break,
            }
        }
        self.expect_kw(Kw::As)?;
        if materialized && self.is_kw(Kw::Replica) {
            return Err(self.unsupported("CREATE MATERIALIZED VIEW AS REPLICA OF"));
        }
        let start = self.pos();
        let query = Box::new(self.query()?);
        let query_text = self.slice(start, self.end()).to_owned();
        Ok(StatementKind::CreateView(Box::new(CreateView {
            name,
            or_replace: scope.or_replace,
            materialized,
            if_not_exists,
            recursive,
            columns,
            partition_by,
            cluster_by,
            options,
            query,
            query_text,
        })))
    }

    // ------------------------------------------------------------ routines

    fn create_function(&mut self, scope: Scope, aggregate: bool, table_function: bool) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.table_path()?;
        let parameters = self.function_parameters()?;
        let mut function = CreateFunction {
            name,
            or_replace: scope.or_replace,
            temporary: scope.temporary,
            aggregate,
            table_function,
            if_not_exists,
            parameters,
            returns: None,
            language: None,
            determinism: None,
            options: Vec::new(),
            body: FunctionBody::None,
        };
        loop {
            match self.kind() {
                Kind::Word(Kw::Returns) => {
                    self.advance();
                    function.returns = Some(self.parameter_type()?);
                }
                Kind::Word(Kw::Language) => {
                    self.advance();
                    function.language = Some(self.identifier()?);
                }
                Kind::Word(Kw::Deterministic) => {
                    self.advance();
                    function.determinism = Some("DETERMINISTIC".to_owned());
                }
                Kind::Word(Kw::Not) => {
                    self.advance();
                    self.expect_kw(Kw::Deterministic)?;
                    function.determinism = Some("NOT DETERMINISTIC".to_owned());
                }
                Kind::Word(Kw::Remote) => return Err(self.unsupported("A remote function")),
                Kind::Word(Kw::With) => {
                    self.with_connection()?;
                    return Err(self.unsupported("A function with a connection"));
                }
                Kind::Word(Kw::Options) => function.options = self.options()?,
                Kind::Word(Kw::As) => {
                    self.advance();
                    function.body = self.function_body(table_function)?;
                }
                _ => break,
            }
        }
        if function.body == FunctionBody::None {
            return Err(self.expected("keyword AS"));
        }
        runnable(&function)?;
        Ok(StatementKind::CreateFunction(Box::new(function)))
    }

    fn function_body(&mut self, table_function: bool) -> Result<FunctionBody> {
        if self.kind() == Kind::String {
            return self.string_literal().map(FunctionBody::Code);
        }
        if table_function {
            let start = self.pos();
            let query = Box::new(self.query()?);
            return Ok(FunctionBody::Query(query, self.slice(start, self.end()).to_owned()));
        }
        self.expect(Sym::Open)?;
        if self.is_kw(Kw::Select) || (self.is_kw(Kw::With) && !self.is_ahead(1, Sym::Open)) {
            return Err(self.refuse(
                "The body of each CREATE FUNCTION statement is an expression, not a query; to use a query as an \
                 expression, the query must be wrapped with additional parentheses to make it a scalar subquery \
                 expression"
                    .to_owned(),
            ));
        }
        let (expr, text) = self.expr_with_text()?;
        self.expect(Sym::Close)?;
        Ok(FunctionBody::Expr(Box::new(expr), text))
    }

    fn function_parameters(&mut self) -> Result<Vec<FunctionParameter>> {
        self.expect(Sym::Open)?;
        let parameters = if self.is(Sym::Close) { Vec::new() } else { self.comma_list(Self::function_parameter)? };
        self.expect_list_end()?;
        Ok(parameters)
    }

    fn function_parameter(&mut self) -> Result<FunctionParameter> {
        let name = self.identifier()?;
        let ty = self.parameter_type()?;
        let default = if self.eat_kw(Kw::Default) { Some(self.expr()?) } else { None };
        let mut not_aggregate = false;
        if self.eat_kw(Kw::Not) {
            self.expect_kw(Kw::Aggregate)?;
            not_aggregate = true;
        }
        Ok(FunctionParameter { name, ty, not_aggregate, default })
    }

    /// A type, `ANY TYPE`, `ANY TABLE` or `TABLE<…>`.
    fn parameter_type(&mut self) -> Result<TypeName> {
        let pos = self.pos();
        let special =
            |kind| TypeName { kind, parameters: Vec::new(), collate: None, not_null: false, options: Vec::new(), pos };
        if self.eat_kw(Kw::Any) {
            return match self.kind() {
                Kind::Word(Kw::Type) => {
                    self.advance();
                    Ok(special(TypeNameKind::Any))
                }
                Kind::Word(Kw::Table) => {
                    self.advance();
                    Ok(special(TypeNameKind::AnyTable))
                }
                _ => Err(self.expected("keyword TABLE or keyword TYPE")),
            };
        }
        if self.is_kw(Kw::Table) && self.is_ahead(1, Sym::Less) {
            self.advance();
            self.advance();
            let columns = self.comma_list(|parser| Ok((parser.identifier()?, parser.type_name()?)))?;
            self.expect(Sym::Greater)?;
            return Ok(special(TypeNameKind::Table(columns)));
        }
        self.type_name()
    }

    fn create_procedure(&mut self, scope: Scope) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.table_path()?;
        self.expect(Sym::Open)?;
        let mut parameters = Vec::new();
        if !self.is(Sym::Close) {
            parameters = self.comma_list(|parser| {
                let mode = parser.procedure_mode();
                Ok((mode, parser.function_parameter()?))
            })?;
        }
        self.expect_list_end()?;
        if self.is_kw(Kw::With) || self.is_kw(Kw::External) {
            return Err(self.unsupported("A procedure for Apache Spark"));
        }
        let options = self.options()?;
        if self.is_kw(Kw::Language) {
            return Err(self.unsupported("A procedure in another language"));
        }
        let start = self.pos();
        self.expect_kw(Kw::Begin)?;
        let block_start = self.at;
        let block = self.block(None)?;
        // With an exception handler the block itself is the body's only statement.
        let body = if block.exception.is_some() {
            self.at = block_start - 1;
            vec![self.statement()?]
        } else {
            block.body
        };
        let body_text = self.slice(start, self.end()).to_owned();
        Ok(StatementKind::CreateProcedure(Box::new(CreateProcedure {
            name,
            or_replace: scope.or_replace,
            if_not_exists,
            parameters,
            options,
            body,
            body_text,
        })))
    }

    /// IN, OUT or INOUT before a parameter; `out INT64` is a parameter named `out`.
    fn procedure_mode(&mut self) -> ProcedureMode {
        let mode = match self.kind() {
            Kind::Word(Kw::In) => ProcedureMode::In,
            Kind::Word(Kw::Out) if self.names_parameter(1) => ProcedureMode::Out,
            Kind::Word(Kw::Inout) if self.names_parameter(1) => ProcedureMode::InOut,
            _ => return ProcedureMode::In,
        };
        self.advance();
        mode
    }

    fn names_parameter(&self, ahead: usize) -> bool {
        self.identifier_ahead(ahead) && matches!(self.kind_ahead(ahead + 1), Kind::Word(_) | Kind::Quoted)
    }

    // ------------------------------------------------------------ policies and indexes

    fn create_policy(&mut self, scope: Scope) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.identifier()?;
        self.expect_kw(Kw::On)?;
        let table = self.table_path()?;
        let mut grantees = Vec::new();
        if self.eat_kw(Kw::Grant) {
            self.expect_kw(Kw::To)?;
            grantees = self.paren_list(Self::expr)?;
        }
        self.expect_kw(Kw::Filter)?;
        self.expect_kw(Kw::Using)?;
        self.expect(Sym::Open)?;
        let (filter, filter_text) = self.expr_with_text()?;
        self.expect(Sym::Close)?;
        Ok(StatementKind::CreateRowAccessPolicy(Box::new(CreateRowAccessPolicy {
            name,
            or_replace: scope.or_replace,
            if_not_exists,
            table,
            grantees,
            filter,
            filter_text,
        })))
    }

    fn create_index(&mut self, scope: Scope, kind: crate::ast::Ident) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.identifier()?;
        self.expect_kw(Kw::On)?;
        let table = self.table_path()?;
        self.expect(Sym::Open)?;
        let mut columns = Vec::new();
        if self.eat_kws(Kw::All, Kw::Columns) {
            if self.eat_kw(Kw::With) {
                self.expect_kw(Kw::Column)?;
                self.expect_kw(Kw::Options)?;
                self.paren_list(|parser| {
                    parser.identifier()?;
                    parser.options()
                })?;
            }
        } else {
            columns = self.comma_list(|parser| {
                let column = parser.identifier()?;
                parser.options()?;
                Ok(column)
            })?;
        }
        self.expect_list_end()?;
        if self.eat_kw(Kw::Storing) {
            self.paren_list(Self::identifier)?;
        }
        self.partition_by()?;
        let options = self.options()?;
        Ok(StatementKind::CreateIndex(Box::new(CreateIndex {
            name,
            kind,
            or_replace: scope.or_replace,
            if_not_exists,
            table,
            columns,
            options,
        })))
    }
}

/// Code is in JavaScript, and all of it is in the statement.
fn runnable(function: &CreateFunction) -> Result<()> {
    match (&function.language, &function.body) {
        (Some(language), FunctionBody::Code(_)) => match language.name.to_ascii_lowercase().as_str() {
            "js" | "javascript" => {}
            "python" => {
                return Err(SqlError::unsupported("A function with LANGUAGE python is not supported").at(language.pos));
            }
            _ => {
                let text = format!("Unsupported language: {}", language.name.to_ascii_uppercase());
                return Err(SqlError::analysis(text).at(language.pos));
            }
        },
        (Some(language), _) if !language.name.eq_ignore_ascii_case("sql") => {
            let text = format!("Function body for LANGUAGE {} should be a string literal", language.name);
            return Err(SqlError::analysis(text).at(language.pos));
        }
        _ => {}
    }
    let library = function.options.iter().find(|option| option.name.name.eq_ignore_ascii_case("library"));
    if let Some(option) = library
        && !matches!(&option.value.kind, crate::ast::ExprKind::Array { items, .. } if items.is_empty())
    {
        let text = "Function option library is not supported: its files would have to be read from Cloud Storage";
        return Err(SqlError::unsupported(text).at(option.value.pos));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse_statement;
    use crate::ast::{FunctionBody, ProcedureMode, StatementKind, TypeNameKind};

    fn kind(text: &str) -> StatementKind {
        parse_statement(text).unwrap_or_else(|error| panic!("{text}: {}", error.locate(text))).kind
    }

    #[test]
    fn tables() {
        let StatementKind::CreateTable(table) = kind(
            "CREATE OR REPLACE TABLE p.d.t (a INT64 NOT NULL DEFAULT 1 + 1 OPTIONS (description = 'x'), b STRING(3), \
             PRIMARY KEY (a) NOT ENFORCED, FOREIGN KEY (b) REFERENCES u (c) NOT ENFORCED,) PARTITION BY DATE(ts) \
             CLUSTER BY a, b OPTIONS (labels = [('k', 'v')]) AS SELECT 1",
        ) else {
            panic!("a table")
        };
        assert!(table.or_replace && table.query.is_some() && table.partition_by.is_some());
        assert_eq!((table.columns.len(), table.constraints.len(), table.cluster_by.len()), (2, 2, 2));
        assert_eq!(table.columns[0].default_text.as_deref(), Some("1 + 1"));
        assert!(matches!(kind("CREATE TABLE a CLONE b FOR SYSTEM_TIME AS OF x"), StatementKind::CreateTable(table)
            if table.copy.as_ref().is_some_and(|copy| copy.clone && copy.as_of.is_some())));
        assert!(matches!(kind("CREATE TEMP TABLE a LIKE b"), StatementKind::CreateTable(table)
            if table.temporary && table.like.is_some()));
    }

    #[test]
    fn views_keep_their_text() {
        let StatementKind::CreateView(view) = kind("CREATE VIEW IF NOT EXISTS v (a, b) AS SELECT 1,  2 ;") else {
            panic!("a view")
        };
        assert_eq!((view.query_text.as_str(), view.columns.len()), ("SELECT 1,  2", 2));
    }

    #[test]
    fn routines() {
        let StatementKind::CreateFunction(function) = kind("CREATE FUNCTION d.f(x ANY TYPE, y INT64) AS (x + (y))")
        else {
            panic!("a function")
        };
        assert!(matches!(function.parameters[0].ty.kind, TypeNameKind::Any));
        assert!(matches!(&function.body, FunctionBody::Expr(_, text) if text == "x + (y)"));
        assert!(matches!(
            kind("CREATE TEMP FUNCTION f() RETURNS INT64 LANGUAGE js AS r'''return 1;'''"),
            StatementKind::CreateFunction(function) if function.body == FunctionBody::Code("return 1;".into())
        ));
        assert!(matches!(
            kind("CREATE TABLE FUNCTION f(x INT64) RETURNS TABLE<a INT64> AS SELECT x AS a"),
            StatementKind::CreateFunction(function) if function.table_function
        ));
        let StatementKind::CreateProcedure(procedure) = kind(
            "CREATE PROCEDURE d.p(IN a INT64, OUT b STRING, out INT64, c ARRAY<INT64>) BEGIN SELECT 1; SELECT 2; END",
        ) else {
            panic!("a procedure")
        };
        let modes: Vec<ProcedureMode> = procedure.parameters.iter().map(|parameter| parameter.0).collect();
        assert_eq!(modes, [ProcedureMode::In, ProcedureMode::Out, ProcedureMode::In, ProcedureMode::In]);
        assert_eq!((procedure.body.len(), procedure.body_text.as_str()), (2, "BEGIN SELECT 1; SELECT 2; END"));
        assert!(
            parse_statement("CREATE FUNCTION f() AS (SELECT 1)").expect_err("a query").message.contains("not a query")
        );
    }
}
