//! Pipe syntax: the operators behind `|>`.

use super::Parser;
use crate::ast::{
    GroupBy, GroupItem, JoinKind, OrderItem, PipeJoin, PipeKind, PipeOperator, SelectItem, SetOperator, TablePostfix,
};
use crate::error::{Result, SqlError};
use crate::lexer::{Kind, Kw, Sym};

impl Parser<'_> {
    pub(super) fn pipe_operator(&mut self) -> Result<PipeOperator> {
        self.expect(Sym::Pipe)?;
        let pos = self.pos();
        let kind = self.nested(Self::pipe_kind)?;
        Ok(PipeOperator { kind, pos })
    }

    fn pipe_kind(&mut self) -> Result<PipeKind> {
        let pos = self.pos();
        self.no_match_recognize()?;
        if let Some(operator) = self.set_operator()? {
            return self.pipe_set_operation(operator);
        }
        if let Some((kind, _)) = self.join_operator(false)? {
            return self.pipe_join(kind);
        }
        let Kind::Word(keyword) = self.kind() else {
            return Err(self.unexpected());
        };
        match keyword {
            Kw::Select => {
                self.advance();
                let mut select = self.select_list(pos)?;
                select.windows = self.window_clause()?;
                Ok(PipeKind::Select(Box::new(select)))
            }
            Kw::Extend => {
                self.advance();
                let items = self.select_items()?;
                let windows = self.window_clause()?;
                Ok(PipeKind::Extend { items, windows })
            }
            Kw::Set => {
                self.advance();
                let items = self.pipe_items(|parser| {
                    let name = parser.identifier()?;
                    parser.expect(Sym::Equal)?;
                    Ok((name, parser.expr()?))
                })?;
                Ok(PipeKind::Set(items))
            }
            Kw::Drop => {
                self.advance();
                self.pipe_items(Self::identifier).map(PipeKind::Drop)
            }
            Kw::Rename => {
                self.advance();
                let items = self.pipe_items(|parser| {
                    let from = parser.identifier()?;
                    parser.eat_kw(Kw::As);
                    Ok((from, parser.identifier()?))
                })?;
                Ok(PipeKind::Rename(items))
            }
            Kw::As => {
                self.advance();
                self.identifier().map(PipeKind::As)
            }
            Kw::Where => {
                self.advance();
                self.expr().map(PipeKind::Where)
            }
            Kw::Qualify => {
                self.advance();
                self.expr().map(PipeKind::Qualify)
            }
            Kw::Limit => {
                self.advance();
                let limit = self.expr()?;
                let offset = if self.eat_kw(Kw::Offset) { Some(self.expr()?) } else { None };
                Ok(PipeKind::Limit { limit, offset })
            }
            Kw::Aggregate => {
                self.advance();
                self.pipe_aggregate()
            }
            Kw::Distinct => {
                self.advance();
                Ok(PipeKind::Distinct)
            }
            Kw::Order => {
                self.advance();
                self.expect_kw(Kw::By)?;
                self.pipe_items(Self::order_item).map(PipeKind::OrderBy)
            }
            Kw::Call => {
                self.advance();
                let path = self.table_path()?;
                let call = self.bare_call(path)?;
                let alias = self.table_alias()?;
                Ok(PipeKind::Call { call, alias })
            }
            Kw::Pivot => Ok(PipeKind::Pivot(Box::new(self.pivot()?))),
            Kw::Unpivot => Ok(PipeKind::Unpivot(Box::new(self.unpivot()?))),
            Kw::TableSample => match self.table_sample()? {
                TablePostfix::Sample { method, size, percent, .. } => {
                    Ok(PipeKind::TableSample { method, size: *size, percent })
                }
                _ => Err(SqlError::internal("TABLESAMPLE parsed as something else").at(pos)),
            },
            Kw::Window => {
                self.advance();
                Ok(PipeKind::Window { items: self.select_items()? })
            }
            Kw::With => self.with_clause().map(|(_, tables)| PipeKind::With(tables)),
            Kw::Assert => {
                self.advance();
                let condition = self.expr()?;
                let mut message = Vec::new();
                while self.eat(Sym::Comma) {
                    message.push(self.expr()?);
                }
                Ok(PipeKind::Assert { condition, message })
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A list that may end in a comma.
    fn pipe_items<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(Sym::Comma) {
            if matches!(self.kind(), Kind::Sym(Sym::Pipe | Sym::Close | Sym::Semicolon) | Kind::End) {
                break;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn pipe_set_operation(&mut self, operator: SetOperator) -> Result<PipeKind> {
        let queries = self.comma_list(|parser| {
            parser.expect(Sym::Open)?;
            let query = parser.query()?;
            parser.expect(Sym::Close)?;
            Ok(query)
        })?;
        Ok(PipeKind::SetOperation { operator, queries })
    }

    fn pipe_join(&mut self, kind: JoinKind) -> Result<PipeKind> {
        let right = self.table_expr()?;
        let condition = self.join_condition()?;
        Ok(PipeKind::Join(Box::new(PipeJoin { kind, right, condition })))
    }

    fn pipe_aggregate(&mut self) -> Result<PipeKind> {
        let mut items = Vec::new();
        while !self.is_kw(Kw::Group)
            && !matches!(self.kind(), Kind::End | Kind::Sym(Sym::Pipe | Sym::Close | Sym::Semicolon))
        {
            items.push(self.pipe_aggregate_item()?);
            if !self.eat(Sym::Comma) {
                break;
            }
        }
        let mut group_by = None;
        let mut and_order = false;
        if self.eat_kw(Kw::Group) {
            if self.eat_kw(Kw::And) {
                self.expect_kw(Kw::Order)?;
                and_order = true;
            }
            self.expect_kw(Kw::By)?;
            let pos = self.pos();
            group_by = Some(if self.eat_kw(Kw::All) {
                GroupBy::All(pos)
            } else {
                GroupBy::Items(self.pipe_items(Self::pipe_group_item)?)
            });
        }
        Ok(PipeKind::Aggregate { items, group_by, and_order })
    }

    /// `expr [[AS] alias] [ASC|DESC …]`.
    fn pipe_aggregate_item(&mut self) -> Result<(SelectItem, Option<OrderItem>)> {
        let item = self.select_item()?;
        let order = match &item {
            SelectItem::Expr { expr, .. } if self.at_order_suffix() => Some(self.order_suffix(expr.clone())?),
            _ => None,
        };
        Ok((item, order))
    }

    fn pipe_group_item(&mut self) -> Result<GroupItem> {
        self.group_item(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_query;
    use crate::ast::{PipeKind, QueryBody};

    #[test]
    fn every_operator() {
        let text = "FROM t |> SELECT a, b |> EXTEND 1 AS c |> SET a = 2 |> DROP b |> RENAME a AS d |> AS u |> WHERE TRUE \
                    |> LIMIT 1 OFFSET 2 |> AGGREGATE COUNT(*) AS n GROUP AND ORDER BY d DESC |> DISTINCT |> ORDER BY n \
                    |> LEFT JOIN v USING (d) |> UNION ALL (SELECT 1), (SELECT 2) |> CALL f(1) AS g \
                    |> PIVOT (SUM(x) FOR y IN (1)) |> UNPIVOT (x FOR y IN (z)) |> TABLESAMPLE SYSTEM (1 PERCENT) \
                    |> WITH w AS (SELECT 1) |> ASSERT TRUE, 'message' |> WINDOW SUM(x) OVER () AS s |> QUALIFY TRUE";
        let query = parse_query(text).unwrap_or_else(|error| panic!("{}", error.locate(text)));
        assert!(matches!(query.body, QueryBody::From(_)));
        assert_eq!(query.pipes.len(), 21);
        assert!(query.pipes.iter().any(|pipe| matches!(&pipe.kind, PipeKind::Aggregate { and_order: true, .. })));
        assert!(
            query
                .pipes
                .iter()
                .any(|pipe| matches!(&pipe.kind, PipeKind::SetOperation { queries, .. } if queries.len() == 2))
        );
        assert!(parse_query("FROM t |> FOO x").is_err());
    }
}
