//! Statements: which one it is, and those of the procedural language.

use super::Parser;
use crate::ast::{Block, ExecuteImmediate, Ident, SetTarget, Statement, StatementKind};
use crate::error::{Result, SqlError};
use crate::lexer::{Kind, Kw, Sym};

impl Parser<'_> {
    /// Statements up to the end of the text.
    pub(super) fn script(&mut self) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            statements.push(self.statement()?);
            if !self.eat(Sym::Semicolon) {
                self.expect_end()?;
                return Ok(statements);
            }
            if self.kind() == Kind::End {
                return Ok(statements);
            }
        }
    }

    pub(super) fn statement(&mut self) -> Result<Statement> {
        self.nested(|parser| {
            let pos = parser.pos();
            let kind = parser.statement_kind()?;
            Ok(Statement { kind, pos, end: parser.end() })
        })
    }

    fn statement_kind(&mut self) -> Result<StatementKind> {
        if self.at_query() {
            return self.query_statement();
        }
        if self.at_identifier() && self.is_ahead(1, Sym::Colon) {
            return self.labelled();
        }
        let Kind::Word(keyword) = self.kind() else {
            return Err(self.unexpected());
        };
        if keyword == Kw::Table {
            return self.query_statement();
        }
        let start = self.at;
        self.advance();
        match keyword {
            Kw::Insert => self.insert(),
            Kw::Update => self.update(),
            Kw::Delete => self.delete(),
            Kw::Merge => self.merge(),
            Kw::Truncate => self.truncate(),
            Kw::Create => self.create(),
            Kw::Drop => self.drop_statement(),
            Kw::Alter => self.alter(),
            Kw::Undrop => self.undrop(),
            Kw::Grant => self.grant(false),
            Kw::Revoke => self.grant(true),
            Kw::Export => self.export_data(),
            Kw::Load => self.load_data(),
            Kw::Assert => self.assert(),
            Kw::Explain => Ok(StatementKind::Explain(Box::new(self.statement()?))),
            Kw::Declare => self.declare(),
            Kw::Set => self.set(),
            Kw::Execute => self.execute_immediate(),
            Kw::Begin => self.begin(None),
            Kw::If => self.if_statement(),
            Kw::Case => self.case_statement(),
            Kw::Loop | Kw::While | Kw::Repeat | Kw::For => self.loop_statement(keyword, None),
            Kw::Break | Kw::Leave => self.optional_label().map(StatementKind::Break),
            Kw::Continue | Kw::Iterate => self.optional_label().map(StatementKind::Continue),
            Kw::Return => Ok(StatementKind::Return),
            Kw::Raise => self.raise(),
            Kw::Call => self.call_statement(),
            Kw::Commit => {
                self.eat_kw(Kw::Transaction);
                Ok(StatementKind::CommitTransaction)
            }
            Kw::Rollback => {
                self.eat_kw(Kw::Transaction);
                Ok(StatementKind::RollbackTransaction)
            }
            _ => {
                self.at = start;
                Err(self.unexpected())
            }
        }
    }

    fn query_statement(&mut self) -> Result<StatementKind> {
        Ok(StatementKind::Query(Box::new(self.query()?)))
    }

    /// Statements, each with its semicolon, up to a word that cannot begin one.
    fn statement_list(&mut self) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            if let Kind::Word(Kw::End | Kw::Else | Kw::ElseIf | Kw::When | Kw::Exception | Kw::Until) = self.kind() {
                return Ok(statements);
            }
            let statement = self.statement()?;
            self.expect(Sym::Semicolon)?;
            statements.push(statement);
        }
    }

    // ------------------------------------------------------------ labels and blocks

    fn labelled(&mut self) -> Result<StatementKind> {
        let label = self.identifier()?;
        self.expect(Sym::Colon)?;
        let Kind::Word(keyword) = self.kind() else {
            return Err(self.unexpected());
        };
        match keyword {
            Kw::Begin => {
                self.advance();
                self.begin(Some(label))
            }
            Kw::Loop | Kw::While | Kw::Repeat | Kw::For => {
                self.advance();
                self.loop_statement(keyword, Some(label))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// The label behind END must be the one in front.
    fn end_label(&mut self, label: &Option<Ident>) -> Result<()> {
        if !self.at_identifier() {
            return Ok(());
        }
        let pos = self.pos();
        let found = self.identifier()?;
        match label {
            Some(label) if label.name.eq_ignore_ascii_case(&found.name) => Ok(()),
            Some(label) => {
                let text = format!("Syntax error: Mismatched end label; expected {}, got {}", label.name, found.name);
                Err(SqlError::syntax(text).at(pos))
            }
            None => {
                let text = format!("Syntax error: End-of-block label {} does not match any begin label", found.name);
                Err(SqlError::syntax(text).at(pos))
            }
        }
    }

    fn optional_label(&mut self) -> Result<Option<Ident>> {
        if self.at_identifier() { self.identifier().map(Some) } else { Ok(None) }
    }

    /// Behind BEGIN: a block, or the start of a transaction.
    fn begin(&mut self, label: Option<Ident>) -> Result<StatementKind> {
        let transaction = self.is_kw(Kw::Transaction) || matches!(self.kind(), Kind::End | Kind::Sym(Sym::Semicolon));
        if transaction && label.is_none() {
            self.eat_kw(Kw::Transaction);
            return Ok(StatementKind::BeginTransaction);
        }
        self.block(label).map(|block| StatementKind::Block(Box::new(block)))
    }

    /// From behind BEGIN to END.
    pub(super) fn block(&mut self, label: Option<Ident>) -> Result<Block> {
        let body = self.statement_list()?;
        let mut exception = None;
        if self.eat_kw(Kw::Exception) {
            self.expect_kw(Kw::When)?;
            self.expect_kw(Kw::Error)?;
            self.expect_kw(Kw::Then)?;
            exception = Some(self.statement_list()?);
        }
        self.expect_kw(Kw::End)?;
        self.end_label(&label)?;
        Ok(Block { label, body, exception })
    }

    // ------------------------------------------------------------ control flow

    fn if_statement(&mut self) -> Result<StatementKind> {
        let mut branches = Vec::new();
        loop {
            let condition = self.expr()?;
            self.expect_kw(Kw::Then)?;
            branches.push((condition, self.statement_list()?));
            if !self.eat_kw(Kw::ElseIf) {
                break;
            }
        }
        let otherwise = if self.eat_kw(Kw::Else) { Some(self.statement_list()?) } else { None };
        self.expect_kw(Kw::End)?;
        self.expect_kw(Kw::If)?;
        Ok(StatementKind::If { branches, otherwise })
    }

    fn case_statement(&mut self) -> Result<StatementKind> {
        let operand = if self.is_kw(Kw::When) { None } else { Some(self.expr()?) };
        let mut branches = Vec::new();
        while self.is_kw(Kw::When) || branches.is_empty() {
            self.expect_kw(Kw::When)?;
            let condition = self.expr()?;
            self.expect_kw(Kw::Then)?;
            branches.push((condition, self.statement_list()?));
        }
        let otherwise = if self.eat_kw(Kw::Else) { Some(self.statement_list()?) } else { None };
        self.expect_kw(Kw::End)?;
        self.expect_kw(Kw::Case)?;
        Ok(StatementKind::CaseStatement { operand, branches, otherwise })
    }

    /// Behind LOOP, WHILE, REPEAT or FOR.
    fn loop_statement(&mut self, keyword: Kw, label: Option<Ident>) -> Result<StatementKind> {
        let kind = match keyword {
            Kw::Loop => {
                let body = self.statement_list()?;
                self.end_of(Kw::Loop)?;
                StatementKind::Loop { label: label.clone(), body }
            }
            Kw::While => {
                let condition = self.expr()?;
                self.expect_kw(Kw::Do)?;
                let body = self.statement_list()?;
                self.end_of(Kw::While)?;
                StatementKind::While { label: label.clone(), condition, body }
            }
            Kw::Repeat => {
                let body = self.statement_list()?;
                self.expect_kw(Kw::Until)?;
                let until = self.expr()?;
                self.end_of(Kw::Repeat)?;
                StatementKind::Repeat { label: label.clone(), body, until }
            }
            _ => {
                let variable = self.identifier()?;
                self.expect_kw(Kw::In)?;
                self.expect(Sym::Open)?;
                let query = Box::new(self.query()?);
                self.expect(Sym::Close)?;
                self.expect_kw(Kw::Do)?;
                let body = self.statement_list()?;
                self.end_of(Kw::For)?;
                StatementKind::For { label: label.clone(), variable, query, body }
            }
        };
        self.end_label(&label)?;
        Ok(kind)
    }

    fn end_of(&mut self, keyword: Kw) -> Result<()> {
        self.expect_kw(Kw::End)?;
        self.expect_kw(keyword)?;
        Ok(())
    }

    // ------------------------------------------------------------ variables, calls, errors

    fn declare(&mut self) -> Result<StatementKind> {
        let names = self.comma_list(Self::identifier)?;
        let ty = if self.is_kw(Kw::Default) || matches!(self.kind(), Kind::Sym(Sym::Semicolon) | Kind::End) {
            None
        } else {
            Some(self.type_name()?)
        };
        let default = if self.eat_kw(Kw::Default) { Some(self.expr()?) } else { None };
        if ty.is_none() && default.is_none() {
            return Err(self.unexpected());
        }
        Ok(StatementKind::Declare { names, ty, default })
    }

    fn set(&mut self) -> Result<StatementKind> {
        let targets = if self.is(Sym::Open) { self.paren_list(Self::set_target)? } else { vec![self.set_target()?] };
        self.expect(Sym::Equal)?;
        let value = self.expr()?;
        Ok(StatementKind::Set { targets, value })
    }

    fn set_target(&mut self) -> Result<SetTarget> {
        if self.is(Sym::AtAt) {
            return self.system_variable().map(SetTarget::System);
        }
        self.identifier().map(SetTarget::Variable)
    }

    fn execute_immediate(&mut self) -> Result<StatementKind> {
        self.expect_kw(Kw::Immediate)?;
        let sql = self.expr()?;
        let into = if self.eat_kw(Kw::Into) { self.comma_list(Self::identifier)? } else { Vec::new() };
        let mut using = Vec::new();
        if self.eat_kw(Kw::Using) {
            using = self.comma_list(|parser| {
                let value = parser.expr()?;
                let name = parser.alias(false)?;
                Ok((value, name))
            })?;
        }
        Ok(StatementKind::ExecuteImmediate(Box::new(ExecuteImmediate { sql, into, using })))
    }

    fn raise(&mut self) -> Result<StatementKind> {
        let mut message = None;
        if self.eat_kw(Kw::Using) {
            self.expect_kw(Kw::Message)?;
            self.expect(Sym::Equal)?;
            message = Some(self.expr()?);
        }
        Ok(StatementKind::Raise { message })
    }

    fn call_statement(&mut self) -> Result<StatementKind> {
        let name = self.table_path()?;
        self.expect(Sym::Open)?;
        let args = if self.is(Sym::Close) { Vec::new() } else { self.comma_list(Self::expr)? };
        self.expect_list_end()?;
        Ok(StatementKind::Call { name, args })
    }

    fn assert(&mut self) -> Result<StatementKind> {
        let condition = self.expr()?;
        let message = if self.eat_kw(Kw::As) { Some(self.primary()?) } else { None };
        Ok(StatementKind::Assert { condition, message })
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_script;
    use crate::ast::{SetTarget, StatementKind};

    fn kinds(text: &str) -> Vec<StatementKind> {
        let statements = parse_script(text).unwrap_or_else(|error| panic!("{text}: {}", error.locate(text)));
        statements.into_iter().map(|statement| statement.kind).collect()
    }

    #[test]
    fn control_flow() {
        let text = "DECLARE a, b INT64 DEFAULT 1; SET a = 2; SET (a, b) = (1, 2); SET @@time_zone = 'UTC'; \
                    IF a THEN SELECT 1; ELSEIF b THEN SELECT 2; ELSE SELECT 3; END IF; \
                    CASE a WHEN 1 THEN SELECT 1; ELSE SELECT 2; END CASE; CASE WHEN a THEN SELECT 1; END CASE; \
                    x: LOOP LEAVE x; END LOOP x; WHILE a DO CONTINUE; END WHILE; REPEAT BREAK; UNTIL a END REPEAT; \
                    FOR r IN (SELECT 1) DO ITERATE; END FOR; RETURN; RAISE; RAISE USING MESSAGE = 'x'; CALL d.p(1, a); \
                    EXECUTE IMMEDIATE 'SELECT ?' INTO a, b USING 1, 2 AS c; BEGIN TRANSACTION; COMMIT; ROLLBACK TRANSACTION; \
                    BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END;";
        let kinds = kinds(text);
        assert_eq!(kinds.len(), 20);
        assert!(matches!(&kinds[0], StatementKind::Declare { names, .. } if names.len() == 2));
        assert!(
            matches!(&kinds[3], StatementKind::Set { targets, .. } if matches!(targets[..], [SetTarget::System(_)]))
        );
        assert!(matches!(&kinds[4], StatementKind::If { branches, otherwise: Some(_) } if branches.len() == 2));
        assert!(
            matches!(&kinds[15], StatementKind::ExecuteImmediate(run) if run.into.len() == 2 && run.using.len() == 2)
        );
        assert!(matches!(&kinds[19], StatementKind::Block(block) if block.exception.is_some()));
    }

    #[test]
    fn begin_is_a_block_or_a_transaction() {
        assert!(matches!(
            kinds("BEGIN; SELECT 1; COMMIT")[..],
            [StatementKind::BeginTransaction, StatementKind::Query(_), StatementKind::CommitTransaction]
        ));
        assert!(matches!(kinds("BEGIN END")[..], [StatementKind::Block(_)]));
        assert!(parse_script("a: BEGIN END b").expect_err("labels differ").message.contains("Mismatched"));
    }
}
