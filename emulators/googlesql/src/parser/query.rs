//! Queries: WITH, SELECT and its clauses, set operations, ORDER BY, LIMIT, and where the pipes begin.

use super::Parser;
use crate::ast::{
    CommonTable, GroupBy, GroupItem, Ident, Query, QueryBody, Select, SelectAs, SelectItem, SetOperation, SetOperator,
    SetOperatorKind, SetOuterMode, StarModifiers, WindowSpec,
};
use crate::error::Result;
use crate::lexer::{Kind, Kw, Sym};

impl Parser<'_> {
    /// Whether the `(` here opens a query and not an expression. `((SELECT 1) + 1)` is an expression, and
    /// `((SELECT 1) UNION ALL SELECT 2)` is a query: what follows the inner parentheses decides.
    pub(super) fn query_in_parens(&self) -> bool {
        let mut at = self.at;
        loop {
            if self.token_at(at).kind != Kind::Sym(Sym::Open) {
                return false;
            }
            let next = self.token_at(at + 1);
            match next.kind {
                Kind::Word(Kw::Select | Kw::From) => return self.inner_queries_stay(at),
                Kind::Word(Kw::With) => {
                    return self.token_at(at + 2).kind != Kind::Sym(Sym::Open) && self.inner_queries_stay(at);
                }
                Kind::Sym(Sym::Open) => at += 1,
                _ => return false,
            }
        }
    }

    /// Every parenthesis between the current one and `innermost` closes where a query may go on.
    fn inner_queries_stay(&self, innermost: usize) -> bool {
        (self.at + 1..=innermost).all(|open| {
            let close = self.token_at(open).pair as usize;
            if close == 0 {
                // Never closed: an error either way, best told as a query's.
                return true;
            }
            let set_operation = |kind| matches!(kind, Kind::Word(Kw::Union | Kw::Intersect | Kw::Except));
            match self.token_at(close + 1).kind {
                Kind::Sym(Sym::Close | Sym::Pipe) => true,
                Kind::Word(Kw::Order | Kw::Limit) => true,
                // A join, unless a set operation follows.
                Kind::Word(Kw::Full | Kw::Left | Kw::Inner) => {
                    let outer = self.token_at(close + 2).kind == Kind::Word(Kw::Outer);
                    set_operation(self.token_at(close + 2 + usize::from(outer)).kind)
                }
                kind => set_operation(kind),
            }
        })
    }

    pub(super) fn at_query(&self) -> bool {
        match self.kind() {
            Kind::Word(Kw::Select | Kw::From) => true,
            Kind::Word(Kw::With) => !self.is_ahead(1, Sym::Open),
            Kind::Sym(Sym::Open) => self.query_in_parens(),
            _ => false,
        }
    }

    pub(super) fn query(&mut self) -> Result<Query> {
        self.nested(Self::whole_query)
    }

    fn whole_query(&mut self) -> Result<Query> {
        let pos = self.pos();
        let (recursive, with) = self.with_clause()?;
        let body = self.query_body()?;
        let mut query = Query {
            recursive,
            with,
            body,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            pipes: Vec::new(),
            pos,
            end: pos,
        };
        if self.is_kw(Kw::Order) {
            self.advance();
            self.expect_kw(Kw::By)?;
            query.order_by = self.comma_list(Self::order_item)?;
        }
        if self.eat_kw(Kw::Limit) {
            // LIMIT ALL limits nothing.
            if !self.eat_kw(Kw::All) {
                query.limit = Some(self.expr()?);
            }
            if self.eat_kw(Kw::Offset) {
                query.offset = Some(self.expr()?);
            }
        }
        while self.is(Sym::Pipe) {
            query.pipes.push(self.pipe_operator()?);
            self.grow()?;
        }
        query.end = self.end();
        Ok(query)
    }

    pub(super) fn with_clause(&mut self) -> Result<(bool, Vec<CommonTable>)> {
        if !self.is_kw(Kw::With) {
            return Ok((false, Vec::new()));
        }
        self.advance();
        let recursive = self.eat_kw(Kw::Recursive);
        let mut with = vec![self.common_table()?];
        // A comma may stand behind the last one too.
        while self.eat(Sym::Comma) {
            if self.is_kw(Kw::Select) || self.is_kw(Kw::From) || self.is(Sym::Open) {
                break;
            }
            with.push(self.common_table()?);
        }
        Ok((recursive, with))
    }

    fn common_table(&mut self) -> Result<CommonTable> {
        let pos = self.pos();
        let name = self.identifier()?;
        let columns = if self.is(Sym::Open) { self.paren_list(Self::identifier)? } else { Vec::new() };
        self.expect_kw(Kw::As)?;
        self.expect(Sym::Open)?;
        let query = self.query()?;
        self.expect(Sym::Close)?;
        Ok(CommonTable { name, columns, query, pos })
    }

    fn query_body(&mut self) -> Result<QueryBody> {
        let pos = self.pos();
        let first = self.query_primary()?;
        if matches!(first, QueryBody::From(_)) {
            return Ok(first);
        }
        let mut rest: Vec<(SetOperator, QueryBody)> = Vec::new();
        while let Some(operator) = self.set_operator()? {
            if let Some((earlier, _)) = rest.first()
                && (earlier.kind, earlier.all) != (operator.kind, operator.all)
            {
                let text = "Different set operations cannot be used in the same query without using parentheses \
                            for grouping";
                return Err(crate::error::SqlError::syntax(format!("Syntax error: {text}")).at(operator.pos));
            }
            if self.is_kw(Kw::From) {
                return Err(self.unexpected());
            }
            rest.push((operator, self.query_primary()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(QueryBody::SetOperation(Box::new(SetOperation { first, rest, pos })))
    }

    fn query_primary(&mut self) -> Result<QueryBody> {
        match self.kind() {
            Kind::Word(Kw::Select) => Ok(QueryBody::Select(Box::new(self.select()?))),
            Kind::Word(Kw::From) => {
                self.advance();
                Ok(QueryBody::From(Box::new(self.source_tables()?)))
            }
            Kind::Word(Kw::Table) if self.identifier_ahead(1) => {
                self.advance();
                Ok(QueryBody::Table(self.table_path()?))
            }
            Kind::Sym(Sym::Open) => {
                self.advance();
                let query = self.query()?;
                self.expect(Sym::Close)?;
                Ok(QueryBody::Parenthesized(Box::new(query)))
            }
            Kind::Word(_) | Kind::Quoted | Kind::Int | Kind::Float | Kind::String | Kind::Bytes => {
                Err(self.expected("\"(\" or keyword SELECT or keyword WITH"))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `[FULL|LEFT [OUTER] | INNER] UNION|INTERSECT|EXCEPT ALL|DISTINCT [STRICT] [CORRESPONDING | BY NAME] …`.
    pub(super) fn set_operator(&mut self) -> Result<Option<SetOperator>> {
        let pos = self.pos();
        let operation = |kind: Kind| matches!(kind, Kind::Word(Kw::Union | Kw::Intersect | Kw::Except));
        let mut mode = None;
        if !operation(self.kind()) {
            let outer_mode = match self.kind() {
                Kind::Word(Kw::Full) => SetOuterMode::Full,
                Kind::Word(Kw::Left) => SetOuterMode::Left,
                Kind::Word(Kw::Inner) => SetOuterMode::Inner,
                _ => return Ok(None),
            };
            let outer = usize::from(outer_mode != SetOuterMode::Inner && self.is_kw_ahead(1, Kw::Outer));
            if !operation(self.kind_ahead(1 + outer)) {
                return Ok(None);
            }
            for _ in 0..=outer {
                self.advance();
            }
            mode = Some(outer_mode);
        }
        let kind = match self.kind() {
            Kind::Word(Kw::Union) => SetOperatorKind::Union,
            Kind::Word(Kw::Intersect) => SetOperatorKind::Intersect,
            _ => SetOperatorKind::Except,
        };
        self.advance();
        let all = match self.kind() {
            Kind::Word(Kw::All) => true,
            Kind::Word(Kw::Distinct) => false,
            _ => return Err(self.expected("keyword ALL or keyword DISTINCT")),
        };
        self.advance();
        let mut operator = SetOperator { kind, all, by_name: false, strict: false, mode, columns: Vec::new(), pos };
        if self.is_kw(Kw::Strict) && self.is_kw_ahead(1, Kw::Corresponding) {
            self.advance();
            operator.strict = true;
        }
        if self.eat_kw(Kw::Corresponding) {
            operator.by_name = true;
            if self.eat_kw(Kw::By) {
                operator.columns = self.paren_list(Self::identifier)?;
            }
        } else if self.eat_kw(Kw::By) {
            self.expect_word("NAME")?;
            operator.by_name = true;
            // Plain BY NAME demands the same columns on both sides.
            operator.strict = mode.is_none();
            if self.eat_kw(Kw::On) {
                operator.columns = self.paren_list(Self::identifier)?;
            }
        }
        Ok(Some(operator))
    }

    // ------------------------------------------------------------ SELECT

    pub(super) fn select(&mut self) -> Result<Select> {
        let pos = self.pos();
        self.expect_kw(Kw::Select)?;
        let mut select = self.select_list(pos)?;
        if self.eat_kw(Kw::From) {
            select.from = Some(self.source_tables()?);
        }
        select.behind_from = self.pos();
        if self.eat_kw(Kw::Where) {
            select.filter = Some(self.expr()?);
        }
        if self.is_kw(Kw::Group) {
            self.advance();
            if self.is_kw(Kw::And) {
                return Err(self.unexpected());
            }
            self.expect_kw(Kw::By)?;
            select.group_by = Some(self.group_by()?);
        }
        if self.eat_kw(Kw::Having) {
            select.having = Some(self.expr()?);
        }
        if self.eat_kw(Kw::Qualify) {
            select.qualify = Some(self.expr()?);
        }
        select.windows = self.window_clause()?;
        Ok(select)
    }

    /// Everything between SELECT and FROM.
    pub(super) fn select_list(&mut self, pos: crate::error::Pos) -> Result<Select> {
        let mut select = Select {
            distinct: false,
            as_value: None,
            with_option: None,
            items: Vec::new(),
            from: None,
            filter: None,
            group_by: None,
            having: None,
            qualify: None,
            windows: Vec::new(),
            behind_from: pos,
            pos,
        };
        if self.is_kw(Kw::With) && self.identifier_ahead(1) {
            self.advance();
            select.with_option = Some(self.identifier()?);
            self.options()?;
        }
        select.distinct = self.eat_kw(Kw::Distinct);
        if !select.distinct {
            self.eat_kw(Kw::All);
        }
        if self.eat_kw(Kw::As) {
            select.as_value = Some(match self.kind() {
                Kind::Word(Kw::Struct) => SelectAs::Struct,
                Kind::Word(Kw::Value) => SelectAs::Value,
                _ => return Err(self.unexpected()),
            });
            self.advance();
        }
        if self.is_kw(Kw::From) {
            return Err(self.refuse("SELECT list must not be empty".to_owned()));
        }
        select.items = self.select_items()?;
        Ok(select)
    }

    /// At least one item; a comma may stand behind the last.
    pub(super) fn select_items(&mut self) -> Result<Vec<SelectItem>> {
        let mut items = vec![self.select_item()?];
        while self.eat(Sym::Comma) {
            let done = match self.kind() {
                Kind::Word(keyword) => {
                    matches!(
                        keyword,
                        Kw::From
                            | Kw::Where
                            | Kw::Group
                            | Kw::Having
                            | Kw::Qualify
                            | Kw::Window
                            | Kw::Order
                            | Kw::Limit
                    ) || matches!(keyword, Kw::Union | Kw::Intersect | Kw::Except)
                }
                Kind::Sym(Sym::Close | Sym::Semicolon | Sym::Pipe) | Kind::End => true,
                _ => false,
            };
            if done {
                break;
            }
            items.push(self.select_item()?);
        }
        Ok(items)
    }

    pub(super) fn select_item(&mut self) -> Result<SelectItem> {
        let pos = self.pos();
        if self.eat(Sym::Star) {
            return Ok(SelectItem::Star { modifiers: self.star_modifiers()?, pos });
        }
        let expr = self.expr()?;
        if self.is(Sym::Dot) && self.is_ahead(1, Sym::Star) {
            self.advance();
            self.advance();
            return Ok(SelectItem::DotStar { expr, modifiers: self.star_modifiers()?, pos });
        }
        let alias = self.alias(true)?;
        Ok(SelectItem::Expr { expr, alias })
    }

    fn star_modifiers(&mut self) -> Result<StarModifiers> {
        let mut modifiers = StarModifiers::default();
        if self.is_kw(Kw::Except) && self.is_ahead(1, Sym::Open) {
            self.advance();
            modifiers.except = self.paren_list(Self::identifier)?;
        }
        if self.is_kw(Kw::Replace) && self.is_ahead(1, Sym::Open) {
            self.advance();
            modifiers.replace = self.paren_list(|parser| {
                let expr = parser.expr()?;
                let name = match parser.alias(true)? {
                    Some(name) => name,
                    None => return Err(parser.expected("keyword AS")),
                };
                Ok((expr, name))
            })?;
        }
        Ok(modifiers)
    }

    pub(super) fn window_clause(&mut self) -> Result<Vec<(Ident, WindowSpec)>> {
        if !self.eat_kw(Kw::Window) {
            return Ok(Vec::new());
        }
        self.comma_list(|parser| {
            let name = parser.identifier()?;
            parser.expect_kw(Kw::As)?;
            Ok((name, parser.window_spec()?))
        })
    }

    // ------------------------------------------------------------ GROUP BY

    /// Behind GROUP BY.
    pub(super) fn group_by(&mut self) -> Result<GroupBy> {
        let pos = self.pos();
        if self.eat_kw(Kw::All) {
            return Ok(GroupBy::All(pos));
        }
        self.comma_list(|parser| parser.group_item(false)).map(GroupBy::Items)
    }

    /// With `decorated` an alias and an order may follow, as pipe AGGREGATE allows.
    pub(super) fn group_item(&mut self, decorated: bool) -> Result<GroupItem> {
        let pos = self.pos();
        match self.kind() {
            Kind::Word(Kw::Rollup) => {
                self.advance();
                return Ok(GroupItem::Rollup(self.paren_list(Self::group_unit)?, pos));
            }
            Kind::Word(Kw::Cube) => {
                self.advance();
                return Ok(GroupItem::Cube(self.paren_list(Self::group_unit)?, pos));
            }
            Kind::Word(Kw::Grouping) if self.is_kw_ahead(1, Kw::Sets) => {
                self.advance();
                self.advance();
                return Ok(GroupItem::GroupingSets(self.paren_list(Self::grouping_set)?, pos));
            }
            Kind::Sym(Sym::Open) if self.is_ahead(1, Sym::Close) => {
                self.advance();
                self.advance();
                return Ok(GroupItem::Empty(pos));
            }
            _ => {}
        }
        let expr = self.expr()?;
        let alias = self.alias(decorated)?;
        let order = if decorated && self.at_order_suffix() { Some(self.order_suffix(expr.clone())?) } else { None };
        Ok(GroupItem::Expr { expr, alias, order })
    }

    pub(super) fn at_order_suffix(&self) -> bool {
        matches!(self.kind(), Kind::Word(Kw::Asc | Kw::Desc | Kw::Nulls))
    }

    /// A column, or several in parentheses that count as one.
    fn group_unit(&mut self) -> Result<Vec<crate::ast::Expr>> {
        let expr = self.expr()?;
        Ok(match expr.kind {
            crate::ast::ExprKind::Tuple(items) => items,
            _ => vec![expr],
        })
    }

    fn grouping_set(&mut self) -> Result<GroupItem> {
        let pos = self.pos();
        let item = self.nested(|parser| parser.group_item(false))?;
        Ok(match item {
            GroupItem::Expr { expr, .. } => match expr.kind {
                crate::ast::ExprKind::Tuple(items) => GroupItem::Set(items, pos),
                crate::ast::ExprKind::Parenthesized(inner) => GroupItem::Set(vec![*inner], pos),
                kind => GroupItem::Set(vec![crate::ast::Expr { kind, ..expr }], pos),
            },
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_query;
    use crate::ast::{GroupBy, GroupItem, QueryBody, Select, SelectAs, SelectItem, SetOuterMode};

    fn body(text: &str) -> QueryBody {
        parse_query(text).unwrap_or_else(|error| panic!("{text}: {}", error.locate(text))).body
    }

    fn select(text: &str) -> Select {
        match body(text) {
            QueryBody::Select(select) => *select,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_clause_of_select() {
        let found = select(
            "SELECT DISTINCT AS STRUCT a, t.* EXCEPT (b), * REPLACE (1 AS c), FROM t WHERE a GROUP BY ROLLUP (a, (b, c)), \
             GROUPING SETS (a, (a, b), ()), () HAVING a QUALIFY b WINDOW w AS (PARTITION BY a)",
        );
        assert!(found.distinct && found.as_value == Some(SelectAs::Struct) && found.items.len() == 3);
        assert!(matches!(&found.items[1], SelectItem::DotStar { modifiers, .. } if modifiers.except.len() == 1));
        let Some(GroupBy::Items(items)) = found.group_by else { panic!("items") };
        assert!(
            matches!(&items[..], [GroupItem::Rollup(units, _), GroupItem::GroupingSets(sets, _), GroupItem::Empty(_)]
            if units[1].len() == 2 && sets.len() == 3)
        );
        assert_eq!(found.windows.len(), 1);
        assert!(matches!(select("SELECT a FROM t GROUP BY ALL").group_by, Some(GroupBy::All(_))));
    }

    #[test]
    fn set_operations_with_their_modes() {
        let QueryBody::SetOperation(set) = body("SELECT 1 FULL OUTER UNION ALL BY NAME ON (a) SELECT 2") else {
            panic!("a set operation")
        };
        let operator = &set.rest[0].0;
        assert!(operator.all && operator.by_name && !operator.strict);
        assert_eq!((operator.mode, operator.columns.len()), (Some(SetOuterMode::Full), 1));
        let QueryBody::SetOperation(set) = body("(SELECT 1) EXCEPT DISTINCT CORRESPONDING (SELECT 2)") else {
            panic!("a set operation")
        };
        assert!(!set.rest[0].0.all && set.rest[0].0.by_name);
        assert!(matches!(body("((SELECT 1))"), QueryBody::Parenthesized(_)));
    }

    #[test]
    fn with_and_limits() {
        let query = parse_query(
            "WITH RECURSIVE a AS (SELECT 1), b AS (SELECT 2) SELECT 1 ORDER BY 1 DESC NULLS LAST LIMIT 1 OFFSET 2",
        )
        .expect("a query");
        assert!(query.recursive && query.with.len() == 2 && query.limit.is_some() && query.offset.is_some());
        assert_eq!((query.order_by[0].descending, query.order_by[0].nulls_first), (true, Some(false)));
    }
}
