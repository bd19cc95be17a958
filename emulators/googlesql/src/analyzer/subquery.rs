//! Queries inside expressions. Their correlated columns are found once the whole statement is resolved.

use crate::ast;
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Expr, ExprKind, Query, SubqueryKind};
use crate::types::Type;

use super::{Analyzer, Cx};

impl Analyzer<'_> {
    /// A query that may use the names around it.
    pub(super) fn subquery(&self, query: &ast::Query, cx: &Cx) -> Result<Query> {
        self.query(query, Some(cx.scope))
    }

    fn one_column(&self, query: &Query, what: &str, pos: Pos) -> Result<()> {
        match query.columns.len() {
            1 => Ok(()),
            _ => {
                let text = format!(
                    "{what} subquery cannot have more than one column unless using SELECT AS STRUCT to build STRUCT \
                     values"
                );
                Err(SqlError::analysis(text).at(pos))
            }
        }
    }

    fn subquery_expr(&self, query: Query, kind: SubqueryKind, ty: Type, pos: Pos) -> Result<Expr> {
        let id = match query.columns.first() {
            Some(out) => out.id,
            None => self.new_column(),
        };
        let rel = Box::new(query.rel);
        Ok(Expr { kind: ExprKind::Subquery { kind, rel, column: id, correlated: Vec::new() }, ty, pos })
    }

    pub(super) fn scalar_subquery(&self, query: &ast::Query, cx: &Cx, pos: Pos) -> Result<Expr> {
        let query = self.subquery(query, cx)?;
        self.one_column(&query, "Scalar", pos)?;
        let ty = query.columns[0].ty.clone();
        self.subquery_expr(query, SubqueryKind::Scalar, ty, pos)
    }

    pub(super) fn array_subquery(&self, query: &ast::Query, cx: &Cx, pos: Pos) -> Result<Expr> {
        let query = self.subquery(query, cx)?;
        self.one_column(&query, "ARRAY", pos)?;
        let element = query.columns[0].ty.clone();
        if matches!(element, Type::Array(_)) {
            let text = format!(
                "Cannot use array subquery with column of type {element} because nested arrays are not supported"
            );
            return Err(SqlError::analysis(text).at(pos));
        }
        self.subquery_expr(query, SubqueryKind::Array, Type::array(element), pos)
    }

    pub(super) fn exists(&self, query: &ast::Query, cx: &Cx, pos: Pos) -> Result<Expr> {
        let query = self.subquery(query, cx)?;
        self.subquery_expr(query, SubqueryKind::Exists, Type::Bool, pos)
    }
}
