//! FROM: tables, UNNEST, joins, and what may stand behind a table.

use super::Parser;
use super::primary::split_quoted;
use crate::ast::{
    Ident, Join, JoinCondition, JoinKind, Path, Pivot, TableExpr, TableExprKind, TablePostfix, Unpivot, WithOffset,
};
use crate::error::{Pos, Result, SqlError};
use crate::lexer::{Kind, Kw, Sym};

/// A join before it is known what its left side is.
struct PendingJoin {
    kind: JoinKind,
    pos: Pos,
    right: TableExpr,
    /// Several in a row close several joins: `a JOIN b JOIN c ON … ON …`.
    conditions: Vec<JoinCondition>,
}

impl Parser<'_> {
    /// Everything behind FROM: one table, or joins of them from left to right.
    pub(super) fn source_tables(&mut self) -> Result<TableExpr> {
        self.nested(Self::joined_tables)
    }

    fn joined_tables(&mut self) -> Result<TableExpr> {
        let mut first = self.table_expr()?;
        let mut joins = Vec::new();
        while let Some((kind, pos)) = self.join_operator(true)? {
            let right = self.table_expr()?;
            let mut conditions = Vec::new();
            while self.is_kw(Kw::On) || self.is_kw(Kw::Using) {
                conditions.push(self.join_condition()?);
            }
            self.grow()?;
            joins.push(PendingJoin { kind, pos, right, conditions });
        }
        if joins.iter().all(|join| join.conditions.len() <= 1) {
            for mut join in joins {
                let condition = join.conditions.pop().unwrap_or(JoinCondition::None);
                first = joined(first, join.kind, join.pos, join.right, condition);
            }
            return Ok(first);
        }
        self.regroup(first, joins)
    }

    /// Conditions close the joins before them from the inside out.
    fn regroup(&mut self, first: TableExpr, joins: Vec<PendingJoin>) -> Result<TableExpr> {
        let mut open: Vec<(TableExpr, JoinKind, Pos)> = Vec::new();
        let mut current = first;
        for join in joins {
            if matches!(join.kind, JoinKind::Comma | JoinKind::Cross) {
                current = joined(current, join.kind, join.pos, join.right, JoinCondition::None);
                continue;
            }
            open.push((current, join.kind, join.pos));
            current = join.right;
            for condition in join.conditions {
                let Some((left, kind, pos)) = open.pop() else {
                    let text = "Syntax error: The number of join conditions is more than the number of joins that \
                                require a join condition";
                    return Err(SqlError::syntax(text).at(join.pos));
                };
                current = joined(left, kind, pos, current, condition);
            }
        }
        while let Some((left, kind, pos)) = open.pop() {
            current = joined(left, kind, pos, current, JoinCondition::None);
        }
        Ok(current)
    }

    /// `,` or `[CROSS|INNER|LEFT|RIGHT|FULL [OUTER]] JOIN`.
    pub(super) fn join_operator(&mut self, comma: bool) -> Result<Option<(JoinKind, Pos)>> {
        let pos = self.pos();
        let kind = match self.kind() {
            Kind::Sym(Sym::Comma) if comma => {
                self.advance();
                return Ok(Some((JoinKind::Comma, pos)));
            }
            Kind::Word(Kw::Join) => {
                self.advance();
                return Ok(Some((JoinKind::Inner, pos)));
            }
            Kind::Word(Kw::Cross) => JoinKind::Cross,
            Kind::Word(Kw::Inner) => JoinKind::Inner,
            Kind::Word(Kw::Left) => JoinKind::Left,
            Kind::Word(Kw::Right) => JoinKind::Right,
            Kind::Word(Kw::Full) => JoinKind::Full,
            Kind::Word(Kw::Natural) => return Err(self.refuse("Unexpected keyword NATURAL".to_owned())),
            _ => return Ok(None),
        };
        let outer = matches!(kind, JoinKind::Left | JoinKind::Right | JoinKind::Full) && self.is_kw_ahead(1, Kw::Outer);
        // `FULL OUTER UNION ALL` is a set operation.
        if matches!(self.kind_ahead(1 + usize::from(outer)), Kind::Word(Kw::Union | Kw::Intersect | Kw::Except)) {
            return Ok(None);
        }
        self.advance();
        if outer {
            self.advance();
        }
        self.expect_kw(Kw::Join)?;
        Ok(Some((kind, pos)))
    }

    pub(super) fn join_condition(&mut self) -> Result<JoinCondition> {
        if self.eat_kw(Kw::On) {
            return Ok(JoinCondition::On(self.boxed_expr()?));
        }
        if self.eat_kw(Kw::Using) {
            return self.paren_list(Self::identifier).map(JoinCondition::Using);
        }
        Ok(JoinCondition::None)
    }

    /// One table with its alias and what stands behind it.
    pub(super) fn table_expr(&mut self) -> Result<TableExpr> {
        let pos = self.pos();
        match self.kind() {
            Kind::Word(Kw::Unnest) => self.unnest(),
            Kind::Sym(Sym::Open) if self.query_in_parens() => self.table_subquery(false),
            Kind::Word(Kw::Lateral) => {
                self.advance();
                if self.is(Sym::Open) {
                    return self.table_subquery(true);
                }
                self.table_path_expr()
            }
            Kind::Sym(Sym::Open) => {
                self.advance();
                let inner = self.source_tables()?;
                self.expect(Sym::Close)?;
                let alias = self.table_alias()?;
                let mut table =
                    TableExpr { kind: TableExprKind::Parenthesized(Box::new(inner)), alias, postfix: Vec::new(), pos };
                self.table_postfix(&mut table)?;
                Ok(table)
            }
            _ => self.table_path_expr(),
        }
    }

    fn table_subquery(&mut self, lateral: bool) -> Result<TableExpr> {
        let pos = self.pos();
        self.expect(Sym::Open)?;
        let query = Box::new(self.query()?);
        self.expect(Sym::Close)?;
        let alias = self.table_alias()?;
        let mut table = TableExpr { kind: TableExprKind::Subquery { query, lateral }, alias, postfix: Vec::new(), pos };
        self.table_postfix(&mut table)?;
        Ok(table)
    }

    fn table_path_expr(&mut self) -> Result<TableExpr> {
        let pos = self.pos();
        let path = self.table_path()?;
        if self.is(Sym::Open) {
            let call = self.bare_call(path)?;
            let alias = self.table_alias()?;
            let mut table = TableExpr { kind: TableExprKind::Call(Box::new(call)), alias, postfix: Vec::new(), pos };
            self.table_postfix(&mut table)?;
            return Ok(table);
        }
        let mut as_of = self.system_time()?;
        let alias = self.table_alias()?;
        let mut postfix = TableExpr {
            kind: TableExprKind::Path { path: path.clone(), as_of: None, with_offset: None },
            alias,
            postfix: Vec::new(),
            pos,
        };
        self.pivots(&mut postfix)?;
        let with_offset = self.with_offset()?;
        if as_of.is_none() {
            as_of = self.system_time()?;
        }
        postfix.kind = TableExprKind::Path { path, as_of, with_offset };
        self.table_postfix(&mut postfix)?;
        Ok(postfix)
    }

    fn unnest(&mut self) -> Result<TableExpr> {
        let pos = self.pos();
        self.advance();
        self.expect(Sym::Open)?;
        let mut mode = None;
        let mut arrays = Vec::new();
        loop {
            if self.at_identifier() && self.is_ahead(1, Sym::FatArrow) {
                self.advance();
                self.advance();
                mode = Some(self.boxed_expr()?);
            } else {
                let array = self.expr()?;
                let alias = self.alias(true)?;
                arrays.push((array, alias));
            }
            if !self.eat(Sym::Comma) {
                break;
            }
        }
        self.expect_list_end()?;
        let alias = self.table_alias()?;
        let with_offset = self.with_offset()?;
        let mut table =
            TableExpr { kind: TableExprKind::Unnest { arrays, mode, with_offset }, alias, postfix: Vec::new(), pos };
        self.table_postfix(&mut table)?;
        Ok(table)
    }

    pub(super) fn with_offset(&mut self) -> Result<Option<WithOffset>> {
        if !self.is_kw(Kw::With) || !self.is_kw_ahead(1, Kw::Offset) {
            return Ok(None);
        }
        let pos = self.pos();
        self.advance();
        self.advance();
        let alias = self.alias(true)?;
        Ok(Some(WithOffset { alias, pos }))
    }

    /// `FOR SYSTEM_TIME AS OF expr`.
    pub(super) fn system_time(&mut self) -> Result<Option<Box<crate::ast::Expr>>> {
        if !self.is_kw(Kw::For) {
            return Ok(None);
        }
        if self.is_kw_ahead(1, Kw::SystemTime) {
            self.advance();
            self.advance();
        } else if self.is_kw_ahead(1, Kw::System) && self.is_kw_ahead(2, Kw::Time) {
            self.advance();
            self.advance();
            self.advance();
        } else {
            return Ok(None);
        }
        self.expect_kw(Kw::As)?;
        self.expect_kw(Kw::Of)?;
        self.boxed_expr().map(Some)
    }

    // ------------------------------------------------------------ behind a table

    /// An alias, unless the word begins PIVOT or UNPIVOT.
    pub(super) fn table_alias(&mut self) -> Result<Option<Ident>> {
        if self.at_pivot() || self.at_unpivot() {
            return Ok(None);
        }
        self.no_match_recognize()?;
        self.alias(true)
    }

    /// Row patterns are refused by name.
    pub(super) fn no_match_recognize(&self) -> Result<()> {
        if self.is_word("MATCH_RECOGNIZE") && self.is_ahead(1, Sym::Open) {
            return Err(self.unsupported("MATCH_RECOGNIZE"));
        }
        Ok(())
    }

    fn at_pivot(&self) -> bool {
        self.is_kw(Kw::Pivot) && self.is_ahead(1, Sym::Open)
    }

    fn at_unpivot(&self) -> bool {
        self.is_kw(Kw::Unpivot)
            && (self.is_ahead(1, Sym::Open) || self.is_kw_ahead(1, Kw::Include) || self.is_kw_ahead(1, Kw::Exclude))
    }

    fn pivots(&mut self, table: &mut TableExpr) -> Result<()> {
        loop {
            if self.at_pivot() {
                let pivot = self.pivot()?;
                table.postfix.push(TablePostfix::Pivot(Box::new(pivot)));
            } else if self.at_unpivot() {
                let unpivot = self.unpivot()?;
                table.postfix.push(TablePostfix::Unpivot(Box::new(unpivot)));
            } else {
                return Ok(());
            }
            self.grow()?;
        }
    }

    fn table_postfix(&mut self, table: &mut TableExpr) -> Result<()> {
        self.pivots(table)?;
        while self.is_kw(Kw::TableSample) {
            let sample = self.table_sample()?;
            table.postfix.push(sample);
            self.pivots(table)?;
        }
        Ok(())
    }

    /// `TABLESAMPLE SYSTEM (10 PERCENT)`.
    pub(super) fn table_sample(&mut self) -> Result<TablePostfix> {
        let pos = self.pos();
        self.expect_kw(Kw::TableSample)?;
        let method = self.identifier()?;
        self.expect(Sym::Open)?;
        let size = self.boxed_expr()?;
        let percent = self.is_kw(Kw::Percent);
        if !percent && !self.is_kw(Kw::Rows) {
            return Err(self.expected("keyword PERCENT or keyword ROWS"));
        }
        self.advance();
        self.expect(Sym::Close)?;
        if self.eat_kw(Kw::Repeatable) {
            self.paren_list(Self::expr)?;
        }
        Ok(TablePostfix::Sample { method, size, percent, pos })
    }

    /// `PIVOT (aggregates FOR input IN (values)) alias`.
    pub(super) fn pivot(&mut self) -> Result<Pivot> {
        let pos = self.pos();
        self.expect_kw(Kw::Pivot)?;
        self.expect(Sym::Open)?;
        let aggregates = self.comma_list(|parser| {
            let expr = parser.expr()?;
            let alias = parser.alias(true)?;
            Ok((expr, alias))
        })?;
        self.expect_kw(Kw::For)?;
        // IN belongs to PIVOT, so the input stops before comparisons.
        let input = self.nested(|parser| parser.binary(1))?;
        self.expect_kw(Kw::In)?;
        self.expect(Sym::Open)?;
        if self.at_query() {
            return Err(self.refuse("PIVOT values cannot be a subquery".to_owned()));
        }
        let values = self.comma_list(|parser| {
            let expr = parser.expr()?;
            let alias = parser.alias(true)?;
            Ok((expr, alias))
        })?;
        self.expect_list_end()?;
        self.expect(Sym::Close)?;
        let alias = self.table_alias()?;
        Ok(Pivot { aggregates, input, values, alias, pos })
    }

    /// `UNPIVOT [INCLUDE|EXCLUDE NULLS] (values FOR name IN (columns)) alias`.
    pub(super) fn unpivot(&mut self) -> Result<Unpivot> {
        let pos = self.pos();
        self.expect_kw(Kw::Unpivot)?;
        let mut include_nulls = false;
        if self.is_kw(Kw::Include) || self.is_kw(Kw::Exclude) {
            include_nulls = self.advance().kind == Kind::Word(Kw::Include);
            self.expect_kw(Kw::Nulls)?;
        }
        self.expect(Sym::Open)?;
        let values = if self.is(Sym::Open) { self.paren_list(Self::identifier)? } else { vec![self.identifier()?] };
        self.expect_kw(Kw::For)?;
        let name = self.identifier()?;
        self.expect_kw(Kw::In)?;
        let groups = self.paren_list(|parser| {
            let columns =
                if parser.is(Sym::Open) { parser.paren_list(Self::plain_path)? } else { vec![parser.plain_path()?] };
            let label = if parser.eat_kw(Kw::As) || matches!(parser.kind(), Kind::String | Kind::Int) {
                Some(parser.primary()?)
            } else {
                None
            };
            Ok((columns, label))
        })?;
        self.expect(Sym::Close)?;
        let alias = self.table_alias()?;
        Ok(Unpivot { include_nulls, values, name, groups, alias, pos })
    }

    // ------------------------------------------------------------ paths

    /// A table's, routine's or schema's path: dashes in the first part, whole paths in backticks.
    pub(super) fn table_path(&mut self) -> Result<Path> {
        let pos = self.pos();
        let mut parts = match self.dashed_head()? {
            Some(parts) => parts,
            None => split_quoted(self.identifier()?),
        };
        while self.eat(Sym::Dot) {
            // `*` without backticks is a common slip; the plain error is clear enough.
            let part = self.any_word()?;
            parts.extend(split_quoted(part));
        }
        Ok(Path { parts, pos })
    }

    /// `my-project-1`, and the part behind it where the lexer took `1.` for a number.
    fn dashed_head(&mut self) -> Result<Option<Vec<Ident>>> {
        let token = self.token();
        let glued = matches!(token.kind, Kind::Word(_))
            && self.is_ahead(1, Sym::Minus)
            && self.token_at(self.at + 1).start == token.end;
        if !glued {
            return Ok(None);
        }
        if !self.at_identifier() {
            return Err(self.unexpected());
        }
        let word = |from: usize| {
            let bytes = self.text.as_bytes().iter().skip(from);
            bytes.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
        };
        let start = token.start as usize;
        let mut end = token.end as usize;
        while self.text.as_bytes().get(end) == Some(&b'-') && word(end + 1) > 0 {
            end += 1 + word(end + 1);
        }
        if end == token.end as usize {
            return Ok(None);
        }
        let ident = |start: usize, end: usize| Ident {
            name: self.text.get(start..end).unwrap_or_default().to_owned(),
            quoted: false,
            pos: start as Pos,
        };
        let mut parts = vec![ident(start, end)];
        if self.text.as_bytes().get(end) == Some(&b'.') && word(end + 1) > 0 {
            let next = end + 1;
            end = next + word(next);
            parts.push(ident(next, end));
        } else if self.text.as_bytes().get(end..end + 2) == Some(b".`") {
            // The dot stands alone or was taken for a number's; the name in backticks is a token.
            end += 1;
            self.skip_to(end);
            parts.extend(split_quoted(self.any_word()?));
            return Ok(Some(parts));
        }
        self.skip_to(end);
        Ok(Some(parts))
    }

    fn skip_to(&mut self, offset: usize) {
        while self.kind() != Kind::End && (self.pos() as usize) < offset {
            self.advance();
        }
    }
}

fn joined(left: TableExpr, kind: JoinKind, join_pos: Pos, right: TableExpr, condition: JoinCondition) -> TableExpr {
    let pos = left.pos;
    let join = Join { kind, left, right, condition, pos: join_pos };
    TableExpr { kind: TableExprKind::Join(Box::new(join)), alias: None, postfix: Vec::new(), pos }
}

#[cfg(test)]
mod tests {
    use super::super::parse_query;
    use crate::ast::{JoinCondition, JoinKind, QueryBody, TableExpr, TableExprKind, TablePostfix};

    fn from(text: &str) -> TableExpr {
        let text = format!("SELECT * FROM {text}");
        let query = parse_query(&text).unwrap_or_else(|error| panic!("{text}: {}", error.locate(&text)));
        match query.body {
            QueryBody::Select(select) => select.from.expect("a FROM clause"),
            other => panic!("{other:?}"),
        }
    }

    fn path(text: &str) -> Vec<String> {
        match from(text).kind {
            TableExprKind::Path { path, .. } => path.parts.into_iter().map(|part| part.name).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn shape(table: &TableExpr) -> String {
        match &table.kind {
            TableExprKind::Path { path, .. } => path.parts[0].name.clone(),
            TableExprKind::Parenthesized(inner) => shape(inner),
            TableExprKind::Join(join) => {
                let on = if matches!(join.condition, JoinCondition::None) { "" } else { "!" };
                format!("({} {:?}{on} {})", shape(&join.left), join.kind, shape(&join.right))
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_take_dashes_and_whole_paths_in_backticks() {
        assert_eq!(path("a.b.c"), ["a", "b", "c"]);
        assert_eq!(path("my-project.d.t"), ["my-project", "d", "t"]);
        assert_eq!(path("my-project-123.d.t x"), ["my-project-123", "d", "t"]);
        assert_eq!(path("my-project-123.`d.t`"), ["my-project-123", "d", "t"]);
        assert_eq!(path("`my-project.d.t_*`"), ["my-project", "d", "t_*"]);
        assert_eq!(path("`example.com:p`.d.t"), ["example.com:p", "d", "t"]);
        assert_eq!(path("`region-us`.INFORMATION_SCHEMA.TABLES"), ["region-us", "INFORMATION_SCHEMA", "TABLES"]);
        assert_eq!(path("d.2024_01"), ["d", "2024_01"]);
    }

    #[test]
    fn joins_group_to_the_left_unless_conditions_follow_each_other() {
        assert_eq!(shape(&from("a, b JOIN c ON x")), "((a Comma b) Inner! c)");
        assert_eq!(shape(&from("a JOIN b JOIN c ON x ON y")), "(a Inner! (b Inner! c))");
        assert_eq!(shape(&from("a LEFT JOIN b USING (k) CROSS JOIN c")), "((a Left! b) Cross c)");
        assert_eq!(shape(&from("a FULL OUTER JOIN (b JOIN c ON x) ON y")), "(a Full! (b Inner! c))");
    }

    #[test]
    fn what_stands_behind_a_table() {
        let table = from(
            "t AS x PIVOT (SUM(a) FOR b IN (1, 2)) AS p UNPIVOT (v FOR n IN (c, d)) TABLESAMPLE SYSTEM (10 PERCENT)",
        );
        assert_eq!(table.alias.expect("an alias").name, "x");
        assert!(matches!(
            table.postfix[..],
            [TablePostfix::Pivot(_), TablePostfix::Unpivot(_), TablePostfix::Sample { percent: true, .. }]
        ));
        assert!(matches!(from("t FOR SYSTEM_TIME AS OF x AS y").kind, TableExprKind::Path { as_of: Some(_), .. }));
        assert!(matches!(from("((SELECT 1) UNION ALL SELECT 2)").kind, TableExprKind::Subquery { .. }));
        assert!(matches!(from("((SELECT 1) AS a JOIN b ON c)").kind, TableExprKind::Parenthesized(_)));
        match from("UNNEST([1]) AS u WITH OFFSET AS o").kind {
            TableExprKind::Unnest { with_offset: Some(offset), .. } => {
                assert_eq!(offset.alias.expect("an alias").name, "o");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(from("f(TABLE t, 1, x => 2)").kind, TableExprKind::Call(call) if call.args.len() == 3));
        match from("a RIGHT OUTER JOIN b ON TRUE").kind {
            TableExprKind::Join(join) => assert_eq!(join.kind, JoinKind::Right),
            other => panic!("{other:?}"),
        }
    }
}
