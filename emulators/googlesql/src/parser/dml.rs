//! INSERT, UPDATE, DELETE, MERGE, TRUNCATE, with nested forms.

use super::Parser;
use crate::ast::{
    Delete, Expr, ExprKind, Insert, InsertSource, Merge, MergeAction, MergeClause, MergeInsert, MergeWhen, Statement,
    StatementKind, TableExpr, Update, UpdateItem,
};
use crate::error::Result;
use crate::lexer::{Kind, Kw, Sym};

impl Parser<'_> {
    /// Behind INSERT.
    pub(super) fn insert(&mut self) -> Result<StatementKind> {
        self.eat_kw(Kw::Into);
        let table = self.table_path()?;
        let columns =
            if self.is(Sym::Open) && !self.query_in_parens() { self.paren_list(Self::identifier)? } else { Vec::new() };
        let source = if self.eat_kw(Kw::Values) {
            InsertSource::Values(self.comma_list(Self::value_row)?)
        } else if self.at_query() {
            InsertSource::Query(Box::new(self.query()?))
        } else {
            return Err(match self.kind() {
                Kind::Sym(_) => self.unexpected(),
                _ => self.expected("\"(\" or keyword SELECT or keyword VALUES"),
            });
        };
        let assert_rows = self.assert_rows()?;
        Ok(StatementKind::Insert(Box::new(Insert { table, columns, source, assert_rows })))
    }

    fn value_row(&mut self) -> Result<Vec<Expr>> {
        self.paren_list(Self::value_or_default)
    }

    pub(super) fn value_or_default(&mut self) -> Result<Expr> {
        if self.is_kw(Kw::Default) {
            let token = self.advance();
            return Ok(Expr { kind: ExprKind::Default, pos: token.start, end: token.end });
        }
        self.expr()
    }

    fn assert_rows(&mut self) -> Result<Option<Expr>> {
        if !self.eat_kw(Kw::AssertRowsModified) {
            return Ok(None);
        }
        self.expr().map(Some)
    }

    /// Behind UPDATE.
    pub(super) fn update(&mut self) -> Result<StatementKind> {
        let table = self.table_path()?;
        let alias = self.alias(true)?;
        self.expect_kw(Kw::Set)?;
        let items = self.update_items()?;
        let from = if self.eat_kw(Kw::From) { Some(self.source_tables()?) } else { None };
        let filter = if self.eat_kw(Kw::Where) { Some(self.expr()?) } else { None };
        let assert_rows = self.assert_rows()?;
        Ok(StatementKind::Update(Box::new(Update { table, alias, items, from, filter, assert_rows })))
    }

    fn update_items(&mut self) -> Result<Vec<UpdateItem>> {
        self.comma_list(Self::update_item)
    }

    fn update_item(&mut self) -> Result<UpdateItem> {
        if self.is(Sym::Open) && matches!(self.kind_ahead(1), Kind::Word(Kw::Insert | Kw::Update | Kw::Delete)) {
            self.advance();
            let statement = self.nested(|parser| {
                let pos = parser.pos();
                let keyword = parser.advance().kind;
                let kind = match keyword {
                    Kind::Word(Kw::Insert) => parser.insert()?,
                    Kind::Word(Kw::Update) => parser.update()?,
                    _ => parser.delete()?,
                };
                Ok(Statement { kind, pos, end: parser.end() })
            })?;
            self.expect(Sym::Close)?;
            return Ok(UpdateItem::Nested(Box::new(statement)));
        }
        // The `=` is the assignment's, so the target stops before comparisons.
        let target = self.nested(|parser| parser.binary(1))?;
        self.expect(Sym::Equal)?;
        let value = self.value_or_default()?;
        Ok(UpdateItem::Set { target, value })
    }

    /// Behind DELETE.
    pub(super) fn delete(&mut self) -> Result<StatementKind> {
        self.eat_kw(Kw::From);
        let table = self.table_path()?;
        let alias = self.alias(true)?;
        let with_offset = self.with_offset()?;
        let filter = if self.eat_kw(Kw::Where) { Some(self.expr()?) } else { None };
        let assert_rows = self.assert_rows()?;
        Ok(StatementKind::Delete(Box::new(Delete { table, alias, with_offset, filter, assert_rows })))
    }

    /// Behind TRUNCATE.
    pub(super) fn truncate(&mut self) -> Result<StatementKind> {
        self.expect_kw(Kw::Table)?;
        let table = self.table_path()?;
        let filter = if self.eat_kw(Kw::Where) { Some(self.expr()?) } else { None };
        Ok(StatementKind::Truncate { table, filter })
    }

    /// Behind MERGE.
    pub(super) fn merge(&mut self) -> Result<StatementKind> {
        self.eat_kw(Kw::Into);
        let table = self.table_path()?;
        let alias = self.alias(true)?;
        self.expect_kw(Kw::Using)?;
        let source: TableExpr = self.nested(Self::table_expr)?;
        self.expect_kw(Kw::On)?;
        let on = self.expr()?;
        let mut clauses = vec![self.merge_clause()?];
        while self.is_kw(Kw::When) {
            clauses.push(self.merge_clause()?);
        }
        Ok(StatementKind::Merge(Box::new(Merge { table, alias, source, on, clauses })))
    }

    fn merge_clause(&mut self) -> Result<MergeClause> {
        let pos = self.pos();
        self.expect_kw(Kw::When)?;
        let not = self.eat_kw(Kw::Not);
        self.expect_kw(Kw::Matched)?;
        let mut when = if not { MergeWhen::NotMatchedByTarget } else { MergeWhen::Matched };
        if not && self.eat_kw(Kw::By) {
            when = match self.kind() {
                Kind::Word(Kw::Source) => MergeWhen::NotMatchedBySource,
                Kind::Word(Kw::Target) => MergeWhen::NotMatchedByTarget,
                _ => return Err(self.expected("keyword SOURCE or keyword TARGET")),
            };
            self.advance();
        }
        let condition = if self.eat_kw(Kw::And) { Some(self.expr()?) } else { None };
        self.expect_kw(Kw::Then)?;
        let action = self.merge_action()?;
        Ok(MergeClause { when, condition, action, pos })
    }

    fn merge_action(&mut self) -> Result<MergeAction> {
        let pos = self.pos();
        match self.kind() {
            Kind::Word(Kw::Insert) => {
                self.advance();
                let columns = if self.is(Sym::Open) { self.paren_list(Self::identifier)? } else { Vec::new() };
                let source = if self.eat_kw(Kw::Row) {
                    MergeInsert::Row
                } else if self.eat_kw(Kw::Values) {
                    MergeInsert::Values(self.value_row()?)
                } else {
                    return Err(self.expected("keyword ROW or keyword VALUES"));
                };
                Ok(MergeAction::Insert { columns, source, pos })
            }
            Kind::Word(Kw::Update) => {
                self.advance();
                self.expect_kw(Kw::Set)?;
                self.update_items().map(MergeAction::Update)
            }
            Kind::Word(Kw::Delete) => {
                self.advance();
                Ok(MergeAction::Delete)
            }
            _ => Err(self.unexpected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_statement;
    use crate::ast::{InsertSource, MergeAction, MergeInsert, MergeWhen, StatementKind, UpdateItem};

    fn kind(text: &str) -> StatementKind {
        parse_statement(text).unwrap_or_else(|error| panic!("{text}: {}", error.locate(text))).kind
    }

    #[test]
    fn insert_takes_rows_and_queries() {
        let StatementKind::Insert(insert) = kind("INSERT INTO d.t (a, b) VALUES (1, DEFAULT), (2, 3)") else {
            panic!("an insert")
        };
        assert!(matches!(&insert.source, InsertSource::Values(rows) if rows.len() == 2) && insert.columns.len() == 2);
        let StatementKind::Insert(insert) = kind("INSERT d.t (SELECT 1)") else { panic!("an insert") };
        assert!(matches!(insert.source, InsertSource::Query(_)) && insert.columns.is_empty());
        assert!(matches!(kind("INSERT INTO t WITH a AS (SELECT 1) SELECT * FROM a"), StatementKind::Insert(_)));
    }

    #[test]
    fn update_and_delete() {
        let StatementKind::Update(update) =
            kind("UPDATE t x SET a.b[0] = 1, c = DEFAULT, (INSERT d VALUES (1)) FROM u WHERE x.k = u.k")
        else {
            panic!("an update")
        };
        assert!(matches!(&update.items[..], [UpdateItem::Set { .. }, UpdateItem::Set { .. }, UpdateItem::Nested(_)]));
        assert!(update.alias.is_some() && update.from.is_some() && update.filter.is_some());
        assert!(matches!(kind("DELETE t WHERE TRUE"), StatementKind::Delete(_)));
        assert!(matches!(kind("DELETE FROM t AS x WHERE x.a = 1"), StatementKind::Delete(_)));
    }

    #[test]
    fn merge_in_every_form() {
        let StatementKind::Merge(merge) = kind(
            "MERGE INTO d.t AS t USING d.s ON FALSE WHEN MATCHED AND a THEN DELETE WHEN MATCHED THEN UPDATE SET x = 1, y = 2 \
             WHEN NOT MATCHED BY TARGET THEN INSERT (a) VALUES (1) WHEN NOT MATCHED THEN INSERT ROW \
             WHEN NOT MATCHED BY SOURCE THEN DELETE",
        ) else {
            panic!("a merge")
        };
        let whens: Vec<MergeWhen> = merge.clauses.iter().map(|clause| clause.when).collect();
        assert_eq!(
            whens,
            [
                MergeWhen::Matched,
                MergeWhen::Matched,
                MergeWhen::NotMatchedByTarget,
                MergeWhen::NotMatchedByTarget,
                MergeWhen::NotMatchedBySource
            ]
        );
        assert!(matches!(merge.clauses[3].action, MergeAction::Insert { source: MergeInsert::Row, .. }));
    }
}
