//! Whether a query reads a table of a given one-part name, before anything is resolved.

use crate::ast::{self, Expr, ExprKind as A, InList, PipeKind, Query, QueryBody, SelectItem, TableExpr, TableExprKind};

/// True where any FROM in the query, subqueries in expressions included, names the table by that one part.
pub(super) fn query(query_: &Query, name: &str) -> bool {
    query_.with.iter().any(|table| query(&table.query, name))
        || body(&query_.body, name)
        || query_.order_by.iter().any(|item| expr(&item.expr, name))
        || query_.pipes.iter().any(|pipe| pipe_reads(&pipe.kind, name))
}

fn body(body_: &QueryBody, name: &str) -> bool {
    match body_ {
        QueryBody::Select(inner) => select(inner, name),
        QueryBody::Parenthesized(inner) => query(inner, name),
        QueryBody::SetOperation(operation) => {
            body(&operation.first, name) || operation.rest.iter().any(|(_, part)| body(part, name))
        }
        QueryBody::From(inner) => table(inner, name),
        QueryBody::Table(path) => is(path, name),
    }
}

fn is(path: &ast::Path, name: &str) -> bool {
    matches!(path.parts.as_slice(), [only] if only.name.eq_ignore_ascii_case(name))
}

fn select(select: &ast::Select, name: &str) -> bool {
    select.items.iter().any(|item| select_item(item, name))
        || select.from.as_ref().is_some_and(|from| table(from, name))
        || [&select.filter, &select.having, &select.qualify].into_iter().flatten().any(|clause| expr(clause, name))
}

fn select_item(item: &SelectItem, name: &str) -> bool {
    match item {
        SelectItem::Expr { expr: inner, .. } | SelectItem::DotStar { expr: inner, .. } => expr(inner, name),
        SelectItem::Star { modifiers, .. } => modifiers.replace.iter().any(|(inner, _)| expr(inner, name)),
    }
}

fn table(table_: &TableExpr, name: &str) -> bool {
    match &table_.kind {
        TableExprKind::Path { path, .. } => is(path, name),
        TableExprKind::Unnest { arrays, .. } => arrays.iter().any(|(array, _)| expr(array, name)),
        TableExprKind::Subquery { query: inner, .. } => query(inner, name),
        TableExprKind::Call(call) => call.args.iter().any(|arg| expr(arg, name)),
        TableExprKind::Join(join) => table(&join.left, name) || table(&join.right, name),
        TableExprKind::Parenthesized(inner) => table(inner, name),
    }
}

fn pipe_reads(pipe: &PipeKind, name: &str) -> bool {
    match pipe {
        PipeKind::Select(inner) => select(inner, name),
        PipeKind::Where(inner) => expr(inner, name),
        PipeKind::Join(join) => table(&join.right, name),
        PipeKind::SetOperation { queries, .. } => queries.iter().any(|inner| query(inner, name)),
        PipeKind::Extend { items, .. } => items.iter().any(|item| select_item(item, name)),
        _ => false,
    }
}

fn expr(expr_: &Expr, name: &str) -> bool {
    let all = |items: &[Expr]| items.iter().any(|item| expr(item, name));
    match &expr_.kind {
        A::ScalarSubquery(inner) | A::ArraySubquery(inner) | A::Exists(inner) => query(inner, name),
        A::In { expr: operand, list, .. } | A::LikeQuantified { expr: operand, list, .. } => {
            expr(operand, name)
                || match list {
                    InList::Query(inner) => query(inner, name),
                    InList::Unnest(inner) => expr(inner, name),
                    InList::Exprs(items) => all(items),
                }
        }
        A::Unary { expr: inner, .. }
        | A::Field { expr: inner, .. }
        | A::Is { expr: inner, .. }
        | A::Parenthesized(inner)
        | A::Cast { expr: inner, .. } => expr(inner, name),
        A::Binary { left, right, .. } | A::IsDistinctFrom { left, right, .. } => expr(left, name) || expr(right, name),
        A::And(items) | A::Or(items) | A::Tuple(items) | A::Array { items, .. } => all(items),
        A::Between { expr: inner, low, high, .. } => expr(inner, name) || expr(low, name) || expr(high, name),
        A::Case { operand, branches, otherwise } => {
            operand.iter().chain(otherwise).any(|inner| expr(inner, name))
                || branches.iter().any(|(test, result)| expr(test, name) || expr(result, name))
        }
        A::Call(call) => all(&call.args),
        A::Struct { fields, .. } => fields.iter().any(|(field, _)| expr(field, name)),
        A::Subscript { expr: inner, index } => expr(inner, name) || expr(index, name),
        A::TableArgument(path) => is(path, name),
        _ => false,
    }
}
