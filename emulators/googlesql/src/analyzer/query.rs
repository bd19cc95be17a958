//! A query as a whole: WITH, body, ORDER BY, LIMIT, pipes.

use crate::ast::{self, QueryBody};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Expr, ExprKind, OutputColumn, Query, Rel, SortKey};
use crate::types::Type;
use crate::value::Value;

use super::scope::{NameList, NamedColumn, Scope, Target};
use super::{Analyzer, Cx, column};

impl Analyzer<'_> {
    /// The statement's own query, with the checks that only make sense on the outside.
    pub(super) fn top_query(&self, query: &ast::Query) -> Result<Query> {
        let resolved = self.query(query, None)?;
        // A value table of structs leaves as its fields.
        let mut resolved = match resolved.columns.as_slice() {
            [crate::plan::OutputColumn { ty: Type::Struct(fields), .. }]
                if resolved.value_table && !fields.fields.is_empty() =>
            {
                self.opened(&resolved, query.pos)?
            }
            _ => resolved,
        };
        number_repeated(&mut resolved.columns);
        Ok(resolved)
    }

    pub(super) fn query(&self, query: &ast::Query, outer: Option<&Scope>) -> Result<Query> {
        let _deeper = self.deeper(query.pos)?;
        let mark = self.ctes.borrow().len();
        let result = self.query_in_scope(query, outer);
        self.ctes.borrow_mut().truncate(mark);
        result
    }

    fn query_in_scope(&self, query: &ast::Query, outer: Option<&Scope>) -> Result<Query> {
        let start = self.column_mark();
        let ctes = self.with_clause(query, outer)?;
        let tail =
            select::Tail { order_by: &query.order_by, limit: query.limit.as_ref(), offset: query.offset.as_ref() };
        let mut resolved = if query.pipes.is_empty() {
            self.body(&query.body, tail, outer)?
        } else {
            self.pipes(query, tail, start, outer)?
        };
        if !ctes.is_empty() {
            resolved.rel = Rel::With { ctes, body: Box::new(resolved.rel) };
        }
        Ok(resolved)
    }

    pub(super) fn body(&self, body: &QueryBody, tail: select::Tail, outer: Option<&Scope>) -> Result<Query> {
        match body {
            QueryBody::Select(select) => self.select(select, tail, outer),
            QueryBody::Parenthesized(inner) => {
                let inner = self.query(inner, outer)?;
                self.tail(inner, tail, outer)
            }
            QueryBody::SetOperation(operation) => {
                let resolved = self.set_operation(operation, outer)?;
                self.tail(resolved, tail, outer)
            }
            QueryBody::Table(path) => {
                let (rel, names) = self.table_path(path, None)?;
                let query = self.query_of(rel, &names);
                self.tail(query, tail, outer)
            }
            QueryBody::From(table) => {
                // `FROM t` without a pipe behind it reads as SELECT *.
                let (rel, names) = self.from(table, outer)?;
                let query = self.query_of(rel, &names);
                self.tail(query, tail, outer)
            }
        }
    }

    /// All visible columns as a query.
    pub(super) fn query_of(&self, rel: Rel, names: &NameList) -> Query {
        let value_table = matches!(names.columns.as_slice(), [only] if only.value);
        let columns = names
            .columns
            .iter()
            .map(|named| OutputColumn {
                name: (!named.name.is_empty()).then(|| named.name.to_string()),
                id: named.id,
                ty: named.ty.clone(),
            })
            .collect();
        Query { rel, columns, value_table }
    }

    /// ORDER BY and LIMIT behind something that is not a SELECT: only its columns are in sight.
    pub(super) fn tail(&self, query: Query, tail: select::Tail, outer: Option<&Scope>) -> Result<Query> {
        let Query { mut rel, columns, value_table } = query;
        if !tail.order_by.is_empty() {
            let names = names_of(&columns, value_table);
            let scope = Scope::new(&names, outer);
            let cx = Cx::plain(&scope, "ORDER BY clause after set operation");
            let mut keys: Vec<SortKey> = Vec::with_capacity(tail.order_by.len());
            for item in tail.order_by {
                let expr = match ordinal(&item.expr) {
                    Some(number) => {
                        let out = ordinal_item(number, &columns, "ORDER BY", item.expr.pos)?;
                        column(out.id, out.ty.clone(), item.expr.pos)
                    }
                    None => {
                        no_literal(&item.expr)?;
                        self.expr(&item.expr, &cx)?
                    }
                };
                keys.push(self.ordering(item, expr)?);
            }
            rel = Rel::Sort { input: Box::new(rel), keys };
        }
        rel = self.limited(rel, tail)?;
        Ok(Query { rel, columns, value_table })
    }

    pub(super) fn limited(&self, rel: Rel, tail: select::Tail) -> Result<Rel> {
        if tail.limit.is_none() && tail.offset.is_none() {
            return Ok(rel);
        }
        let limit = tail.limit.map(|limit| self.constant_int(limit, "LIMIT")).transpose()?;
        let offset = tail.offset.map(|offset| self.constant_int(offset, "OFFSET")).transpose()?;
        Ok(Rel::Limit { input: Box::new(rel), limit, offset })
    }

    /// An INT64 that depends on no row: LIMIT's and OFFSET's count.
    pub(super) fn constant_int(&self, expr: &ast::Expr, clause: &str) -> Result<Expr> {
        let names = NameList::default();
        let scope = Scope::new(&names, None);
        let resolved = self.expr(expr, &Cx::plain(&scope, "LIMIT clause"))?;
        if let ExprKind::Literal(Value::Int64(number)) = resolved.kind
            && number < 0
        {
            let text = if matches!(expr.kind, ast::ExprKind::NamedParameter(_) | ast::ExprKind::PositionalParameter(_))
            {
                "Limit requires non-negative count and offset".to_owned()
            } else {
                format!("{clause} expects a non-negative integer literal or parameter")
            };
            return Err(SqlError::analysis(text).at(expr.pos));
        }
        let found = self.type_name_of(&resolved);
        self.implicit(resolved, &Type::Int64)?.map_err(|_| {
            SqlError::analysis(format!("{clause} expects an integer literal or parameter, but found {found}"))
                .at(expr.pos)
        })
    }
}

use super::select;

/// A name that a result has twice is `name_1` the second time, `name_2` the third.
fn number_repeated(columns: &mut [OutputColumn]) {
    let mut known: std::collections::HashSet<String> =
        columns.iter().filter_map(|out| out.name.as_ref()).map(|name| name.to_lowercase()).collect();
    if known.len() == columns.iter().filter(|out| out.name.is_some()).count() {
        return;
    }
    let mut seen: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for out in columns {
        let Some(name) = &mut out.name else { continue };
        let times = seen.entry(name.to_lowercase()).or_insert(0);
        if *times > 0 {
            let mut numbered = format!("{name}_{times}");
            while !known.insert(numbered.to_lowercase()) {
                *times += 1;
                numbered = format!("{name}_{times}");
            }
            *name = numbered;
        }
        *times += 1;
    }
}

/// The names that a finished query offers to what stands around it.
pub(super) fn names_of(columns: &[OutputColumn], value_table: bool) -> NameList {
    let columns = columns
        .iter()
        .map(|out| {
            let mut named = NamedColumn::new(out.name.as_deref().unwrap_or(""), out.id, out.ty.clone());
            named.value = value_table;
            named
        })
        .collect();
    NameList::of_columns(columns)
}

/// An integer literal in GROUP BY or ORDER BY counts select items.
pub(super) fn ordinal(expr: &ast::Expr) -> Option<i64> {
    match &expr.kind {
        ast::ExprKind::Int(text) => match text.get(..2) {
            Some("0x" | "0X") => i64::from_str_radix(&text[2..], 16).ok(),
            _ => text.parse().ok(),
        },
        ast::ExprKind::Unary { op: ast::UnaryOp::Minus, expr } => ordinal(expr).map(|number| -number),
        _ => None,
    }
}

/// Only integers, which count select items, may stand in ORDER BY as they are.
pub(super) fn no_literal(expr: &ast::Expr) -> Result<()> {
    use ast::ExprKind as A;
    match &expr.kind {
        A::Null | A::Bool(_) | A::Float(_) | A::String(_) | A::Bytes(_) | A::TypedLiteral { .. } => {
            Err(SqlError::analysis("Cannot ORDER BY literal values").at(expr.pos))
        }
        _ => Ok(()),
    }
}

pub(super) fn ordinal_item<'c, T>(number: i64, items: &'c [T], clause: &str, pos: Pos) -> Result<&'c T> {
    number
        .checked_sub(1)
        .and_then(|index| usize::try_from(index).ok())
        .and_then(|index| items.get(index))
        .ok_or_else(|| {
            let text = if number < 1 {
                format!("{clause} column number item is out of range. Column numbers must be greater than or equal to one. Found : {number}")
            } else {
                format!("{clause} is out of SELECT column number range: {number}")
            };
            SqlError::analysis(text).at(pos)
        })
}

/// An alias for each output column, for ORDER BY and its like. Names that stand for two things are ambiguous.
pub(super) fn alias_names<'n>(targets: impl Iterator<Item = (&'n str, Target)>) -> NameList {
    let mut extra: Vec<(std::rc::Rc<str>, Target)> = Vec::new();
    let mut known: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for (name, target) in targets {
        if name.is_empty() {
            continue;
        }
        match known.entry(name.to_lowercase()) {
            std::collections::hash_map::Entry::Occupied(there) => {
                let earlier = &mut extra[*there.get()].1;
                if !same_target(earlier, &target) {
                    *earlier = Target::Ambiguous;
                }
            }
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(extra.len());
                extra.push((name.into(), target));
            }
        }
    }
    NameList::of_targets(extra)
}

fn same_target(a: &Target, b: &Target) -> bool {
    match (a, b) {
        (Target::Column { id: a, .. }, Target::Column { id: b, .. }) => a == b,
        (Target::Expr(a), Target::Expr(b)) => super::visit::same(a, b),
        _ => false,
    }
}
