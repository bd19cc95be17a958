//! Which columns and CTEs expressions and plans refer to.

use std::collections::HashSet;

use crate::plan::{AggregateCall, Bound, ColumnId, CteKind, Expr, ExprKind, Rel, SubqueryKind, WindowCall};

pub(super) type Ids = HashSet<ColumnId>;

/// The direct sub-expressions; a subquery's plan is not entered, its compared operand is.
pub(super) fn children<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Column(_) => {}
        ExprKind::Call { args: items, .. }
        | ExprKind::JavaScript { args: items, .. }
        | ExprKind::And(items)
        | ExprKind::Or(items)
        | ExprKind::Coalesce(items)
        | ExprKind::MakeStruct(items)
        | ExprKind::MakeArray(items) => items.iter().for_each(visit),
        ExprKind::Cast { expr, format, time_zone, .. } => {
            visit(expr);
            format.iter().chain(time_zone).for_each(|extra| visit(extra));
        }
        ExprKind::Case { branches, otherwise } => {
            for (condition, result) in branches {
                visit(condition);
                visit(result);
            }
            otherwise.iter().for_each(|otherwise| visit(otherwise));
        }
        ExprKind::IfError { attempt, fallback } => {
            visit(attempt);
            visit(fallback);
        }
        ExprKind::IsError(expr) | ExprKind::StructField { expr, .. } => visit(expr),
        ExprKind::Let { bindings, body } => {
            bindings.iter().for_each(|(_, value)| visit(value));
            visit(body);
        }
        ExprKind::ArrayElement { array, index, .. } => {
            visit(array);
            visit(index);
        }
        ExprKind::Higher { args, body, .. } => {
            args.iter().for_each(&mut *visit);
            visit(body);
        }
        ExprKind::Subquery { kind: SubqueryKind::In { expr, .. } | SubqueryKind::Quantified { expr, .. }, .. } => {
            visit(expr);
        }
        ExprKind::Subquery { .. } => {}
    }
}

/// Adds every column that `expr` reads, correlated ones of its subqueries included (and those that it binds itself).
pub(super) fn expr_ids(expr: &Expr, ids: &mut Ids) {
    match &expr.kind {
        ExprKind::Column(id) => {
            ids.insert(*id);
        }
        ExprKind::Subquery { correlated, .. } => ids.extend(correlated),
        _ => {}
    }
    children(expr, &mut |child| expr_ids(child, ids));
}

/// Adds every column that any part of `rel` reads, wherever it comes from.
pub(super) fn rel_ids(rel: &Rel, ids: &mut Ids) {
    rel_exprs(rel, &mut |expr| expr_ids(expr, ids));
    inputs(rel, &mut |input| rel_ids(input, ids));
}

pub(super) fn aggregate_exprs(call: &AggregateCall) -> impl Iterator<Item = &Expr> {
    call.args
        .iter()
        .chain(call.order_by.iter().map(|key| &key.expr))
        .chain(call.having.iter().map(|(_, expr)| &**expr))
        .chain(call.filter.as_deref())
}

pub(super) fn window_exprs(call: &WindowCall) -> impl Iterator<Item = &Expr> {
    let bounds = call.frame.iter().flat_map(|frame| [&frame.start, &frame.end]).filter_map(|bound| match bound {
        Bound::Preceding(expr) | Bound::Following(expr) => Some(&**expr),
        _ => None,
    });
    call.args.iter().chain(bounds)
}

/// Whether `test` holds for `expr` or any part of it; subqueries' plans are not entered.
pub(super) fn any(expr: &Expr, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
    if test(expr) {
        return true;
    }
    let mut found = false;
    children(expr, &mut |child| found = found || any(child, test));
    found
}

/// The expressions that stand directly in `rel`.
pub(super) fn rel_exprs<'a>(rel: &'a Rel, visit: &mut dyn FnMut(&'a Expr)) {
    match rel {
        Rel::Scan { .. }
        | Rel::SingleRow
        | Rel::Project { .. }
        | Rel::Distinct { .. }
        | Rel::SetOperation { .. }
        | Rel::With { .. }
        | Rel::CteRef { .. } => {}
        Rel::Values { rows, .. } => rows.iter().flatten().for_each(visit),
        Rel::Filter { predicate, .. } => visit(predicate),
        Rel::Compute { columns, .. } => columns.iter().for_each(|(_, expr)| visit(expr)),
        Rel::Join { on, .. } => on.iter().for_each(visit),
        Rel::Unnest { arrays, .. } => arrays.iter().for_each(|(_, expr)| visit(expr)),
        Rel::Aggregate { keys, calls, .. } => {
            keys.iter().for_each(|(_, expr)| visit(expr));
            calls.iter().for_each(|(_, call)| aggregate_exprs(call).chain(&call.limit).for_each(&mut *visit));
        }
        Rel::Window { groups, .. } => {
            for group in groups {
                group.partition_by.iter().for_each(&mut *visit);
                group.order_by.iter().for_each(|key| visit(&key.expr));
                group.calls.iter().for_each(|(_, call)| window_exprs(call).for_each(&mut *visit));
            }
        }
        Rel::Sort { keys, .. } => keys.iter().for_each(|key| visit(&key.expr)),
        Rel::Limit { limit, offset, .. } => limit.iter().chain(offset).for_each(visit),
        Rel::Sample { percent, .. } => visit(percent),
    }
}

/// The nodes directly below `rel`, CTE bodies included.
pub(super) fn inputs<'a>(rel: &'a Rel, visit: &mut dyn FnMut(&'a Rel)) {
    match rel {
        Rel::Scan { .. } | Rel::SingleRow | Rel::Values { .. } | Rel::Unnest { .. } | Rel::CteRef { .. } => {}
        Rel::Filter { input, .. }
        | Rel::Compute { input, .. }
        | Rel::Project { input, .. }
        | Rel::Aggregate { input, .. }
        | Rel::Window { input, .. }
        | Rel::Distinct { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Sample { input, .. } => visit(input),
        Rel::Join { left, right, .. } => {
            visit(left);
            visit(right);
        }
        Rel::SetOperation { inputs, .. } => inputs.iter().for_each(|(input, _)| visit(input)),
        Rel::With { ctes, body } => {
            for cte in ctes {
                match &cte.kind {
                    CteKind::Plain(rel) => visit(rel),
                    CteKind::Recursive { anchor, step, .. } => {
                        visit(anchor);
                        visit(step);
                    }
                }
            }
            visit(body);
        }
    }
}

/// Adds the ids of all CTEs that `rel` reads, within subqueries too, also those it defines itself.
pub(super) fn cte_reads(rel: &Rel, reads: &mut Vec<usize>) {
    if let Rel::CteRef { cte, .. } = rel {
        reads.push(*cte);
    }
    rel_exprs(rel, &mut |expr| expr_cte_reads(expr, reads));
    inputs(rel, &mut |input| cte_reads(input, reads));
}

pub(super) fn expr_cte_reads(expr: &Expr, reads: &mut Vec<usize>) {
    if let ExprKind::Subquery { rel, .. } = &expr.kind {
        cte_reads(rel, reads);
    }
    children(expr, &mut |child| expr_cte_reads(child, reads));
}

/// How deeply plan and expressions nest, as far as the executor recurses over them.
pub(super) fn rel_depth(rel: &Rel) -> usize {
    let mut below = 0;
    rel_exprs(rel, &mut |expr| below = below.max(expr_depth(expr)));
    inputs(rel, &mut |input| below = below.max(rel_depth(input)));
    below + 1
}

pub(super) fn expr_depth(expr: &Expr) -> usize {
    let mut below = match &expr.kind {
        ExprKind::Subquery { rel, .. } => rel_depth(rel),
        _ => 0,
    };
    children(expr, &mut |child| below = below.max(expr_depth(child)));
    below + 1
}

/// The columns that `rel` produces, in order.
pub(super) fn output(rel: &Rel) -> Vec<ColumnId> {
    match rel {
        Rel::Scan { columns, row_id, .. } => columns.iter().map(|(id, _)| *id).chain(*row_id).collect(),
        Rel::SingleRow => Vec::new(),
        Rel::Values { columns, .. }
        | Rel::Project { columns, .. }
        | Rel::Distinct { columns, .. }
        | Rel::SetOperation { columns, .. }
        | Rel::CteRef { columns, .. } => columns.clone(),
        Rel::Filter { input, .. } | Rel::Sort { input, .. } | Rel::Limit { input, .. } | Rel::Sample { input, .. } => {
            output(input)
        }
        Rel::Compute { input, columns } => {
            let mut ids = output(input);
            ids.extend(columns.iter().map(|(id, _)| *id));
            ids
        }
        Rel::Join { left, right, .. } => {
            let mut ids = output(left);
            ids.extend(output(right));
            ids
        }
        Rel::Unnest { arrays, offset, .. } => arrays.iter().map(|(id, _)| *id).chain(*offset).collect(),
        Rel::Aggregate { keys, grouping, calls, .. } => keys
            .iter()
            .map(|(id, _)| *id)
            .chain(grouping.iter().map(|(id, _)| *id))
            .chain(calls.iter().map(|(id, _)| *id))
            .collect(),
        Rel::Window { input, groups } => {
            let mut ids = output(input);
            ids.extend(groups.iter().flat_map(|group| &group.calls).map(|(id, _)| *id));
            ids
        }
        Rel::With { body, .. } => output(body),
    }
}
