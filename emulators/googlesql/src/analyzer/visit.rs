//! Walks over plans: every expression of a node, every input of a node, mutably or not.

use crate::plan::{AggregateCall, Bound, ColumnId, CteKind, Expr, ExprKind, Rel, SortKey, SubqueryKind, WindowCall};

/// The direct sub-expressions of `expr`; a subquery's plan is not entered, its compared operand is.
pub(crate) fn children_mut<'a>(expr: &'a mut Expr, visit: &mut dyn FnMut(&'a mut Expr)) {
    match &mut expr.kind {
        ExprKind::Literal(_) | ExprKind::Column(_) => {}
        ExprKind::Call { args, .. } | ExprKind::JavaScript { args, .. } => args.iter_mut().for_each(visit),
        ExprKind::And(items)
        | ExprKind::Or(items)
        | ExprKind::Coalesce(items)
        | ExprKind::MakeStruct(items)
        | ExprKind::MakeArray(items) => items.iter_mut().for_each(visit),
        ExprKind::Cast { expr, format, time_zone, .. } => {
            visit(expr);
            if let Some(format) = format {
                visit(format);
            }
            if let Some(time_zone) = time_zone {
                visit(time_zone);
            }
        }
        ExprKind::Case { branches, otherwise } => {
            for (condition, result) in branches {
                visit(condition);
                visit(result);
            }
            if let Some(otherwise) = otherwise {
                visit(otherwise);
            }
        }
        ExprKind::IfError { attempt, fallback } => {
            visit(attempt);
            visit(fallback);
        }
        ExprKind::IsError(inner) => visit(inner),
        ExprKind::Let { bindings, body } => {
            bindings.iter_mut().for_each(|(_, value)| visit(value));
            visit(body);
        }
        ExprKind::StructField { expr, .. } => visit(expr),
        ExprKind::ArrayElement { array, index, .. } => {
            visit(array);
            visit(index);
        }
        ExprKind::Higher { args, body, .. } => {
            args.iter_mut().for_each(&mut *visit);
            visit(body);
        }
        ExprKind::Subquery { kind, .. } => match kind {
            SubqueryKind::In { expr, .. } | SubqueryKind::Quantified { expr, .. } => visit(expr),
            SubqueryKind::Scalar | SubqueryKind::Array | SubqueryKind::Exists => {}
        },
    }
}

/// The direct sub-expressions of `expr`, to read.
pub(crate) fn children<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Column(_) => {}
        ExprKind::Call { args, .. } | ExprKind::JavaScript { args, .. } => args.iter().for_each(visit),
        ExprKind::And(items)
        | ExprKind::Or(items)
        | ExprKind::Coalesce(items)
        | ExprKind::MakeStruct(items)
        | ExprKind::MakeArray(items) => items.iter().for_each(visit),
        ExprKind::Cast { expr, format, time_zone, .. } => {
            visit(expr);
            if let Some(format) = format {
                visit(format);
            }
            if let Some(time_zone) = time_zone {
                visit(time_zone);
            }
        }
        ExprKind::Case { branches, otherwise } => {
            for (condition, result) in branches {
                visit(condition);
                visit(result);
            }
            if let Some(otherwise) = otherwise {
                visit(otherwise);
            }
        }
        ExprKind::IfError { attempt, fallback } => {
            visit(attempt);
            visit(fallback);
        }
        ExprKind::IsError(inner) => visit(inner),
        ExprKind::Let { bindings, body } => {
            bindings.iter().for_each(|(_, value)| visit(value));
            visit(body);
        }
        ExprKind::StructField { expr, .. } => visit(expr),
        ExprKind::ArrayElement { array, index, .. } => {
            visit(array);
            visit(index);
        }
        ExprKind::Higher { args, body, .. } => {
            args.iter().for_each(&mut *visit);
            visit(body);
        }
        ExprKind::Subquery { kind, .. } => match kind {
            SubqueryKind::In { expr, .. } | SubqueryKind::Quantified { expr, .. } => visit(expr),
            SubqueryKind::Scalar | SubqueryKind::Array | SubqueryKind::Exists => {}
        },
    }
}

fn sort_keys_mut<'a>(keys: &'a mut [SortKey], visit: &mut dyn FnMut(&'a mut Expr)) {
    keys.iter_mut().for_each(|key| visit(&mut key.expr));
}

/// Every expression of an aggregate call.
pub(crate) fn aggregate_exprs_mut<'a>(call: &'a mut AggregateCall, visit: &mut dyn FnMut(&'a mut Expr)) {
    call.args.iter_mut().for_each(&mut *visit);
    sort_keys_mut(&mut call.order_by, visit);
    if let Some(limit) = &mut call.limit {
        visit(limit);
    }
    if let Some((_, expr)) = &mut call.having {
        visit(expr);
    }
    if let Some(filter) = &mut call.filter {
        visit(filter);
    }
}

/// Every expression of a window call but those it shares with its group.
pub(crate) fn window_exprs_mut<'a>(call: &'a mut WindowCall, visit: &mut dyn FnMut(&'a mut Expr)) {
    call.args.iter_mut().for_each(&mut *visit);
    if let Some(frame) = &mut call.frame {
        for bound in [&mut frame.start, &mut frame.end] {
            if let Bound::Preceding(expr) | Bound::Following(expr) = bound {
                visit(expr);
            }
        }
    }
}

/// The expressions that stand directly in `rel`.
pub(crate) fn rel_exprs_mut<'a>(rel: &'a mut Rel, visit: &mut dyn FnMut(&'a mut Expr)) {
    match rel {
        Rel::Scan { .. }
        | Rel::SingleRow
        | Rel::Project { .. }
        | Rel::Distinct { .. }
        | Rel::SetOperation { .. }
        | Rel::With { .. }
        | Rel::CteRef { .. } => {}
        Rel::Values { rows, .. } => rows.iter_mut().flatten().for_each(visit),
        Rel::Filter { predicate, .. } => visit(predicate),
        Rel::Compute { columns, .. } => columns.iter_mut().for_each(|(_, expr)| visit(expr)),
        Rel::Join { on, .. } => on.iter_mut().for_each(visit),
        Rel::Unnest { arrays, .. } => arrays.iter_mut().for_each(|(_, expr)| visit(expr)),
        Rel::Aggregate { keys, calls, .. } => {
            keys.iter_mut().for_each(|(_, expr)| visit(expr));
            calls.iter_mut().for_each(|(_, call)| aggregate_exprs_mut(call, visit));
        }
        Rel::Window { groups, .. } => {
            for group in groups {
                group.partition_by.iter_mut().for_each(&mut *visit);
                sort_keys_mut(&mut group.order_by, visit);
                group.calls.iter_mut().for_each(|(_, call)| window_exprs_mut(call, visit));
            }
        }
        Rel::Sort { keys, .. } => sort_keys_mut(keys, visit),
        Rel::Limit { limit, offset, .. } => limit.iter_mut().chain(offset).for_each(visit),
        Rel::Sample { percent, .. } => visit(percent),
    }
}

/// The nodes directly below `rel`, CTE bodies included.
pub(crate) fn inputs_mut<'a>(rel: &'a mut Rel, visit: &mut dyn FnMut(&'a mut Rel)) {
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
        Rel::SetOperation { inputs, .. } => inputs.iter_mut().for_each(|(input, _)| visit(input)),
        Rel::With { ctes, body } => {
            for cte in ctes {
                match &mut cte.kind {
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

/// The nodes directly below `rel`, to read.
pub(crate) fn inputs<'a>(rel: &'a Rel, visit: &mut dyn FnMut(&'a Rel)) {
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

/// `visit` on every expression of a plan, subqueries' plans included; parents come before their children.
/// With `false` the children of that expression are left out.
pub(crate) fn walk_rel_exprs_mut(rel: &mut Rel, visit: &mut dyn FnMut(&mut Expr) -> bool) {
    rel_exprs_mut(rel, &mut |expr| walk_expr_mut(expr, visit));
    inputs_mut(rel, &mut |input| walk_rel_exprs_mut(input, visit));
}

/// As [`walk_rel_exprs_mut`], from one expression.
pub(crate) fn walk_expr_mut(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr) -> bool) {
    if !visit(expr) {
        return;
    }
    children_mut(expr, &mut |child| walk_expr_mut(child, visit));
    if let ExprKind::Subquery { rel, .. } = &mut expr.kind {
        walk_rel_exprs_mut(rel, visit);
    }
}

/// Whether any part of `expr` (subqueries' own plans left out, their correlated columns included) satisfies `test`.
pub(crate) fn any(expr: &Expr, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
    if test(expr) {
        return true;
    }
    let mut found = false;
    children(expr, &mut |child| found = found || any(child, test));
    found
}

/// Whether `expr` reads nothing: no column but those it binds itself, no subquery, nothing volatile.
pub(crate) fn is_constant(expr: &Expr) -> bool {
    fn check(expr: &Expr, bound: &mut Vec<ColumnId>) -> bool {
        match &expr.kind {
            ExprKind::Column(id) => return bound.contains(id),
            ExprKind::Subquery { .. } | ExprKind::JavaScript { .. } => return false,
            ExprKind::Call { function, .. } if function.volatile => return false,
            ExprKind::Let { bindings, .. } => bound.extend(bindings.iter().map(|(id, _)| *id)),
            ExprKind::Higher { parameters, .. } => bound.extend(parameters),
            _ => {}
        }
        let mut constant = true;
        children(expr, &mut |child| constant = constant && check(child, bound));
        constant
    }
    check(expr, &mut Vec::new())
}

/// Whether two expressions give the same value for the same row, as GROUP BY understands it.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    if a.ty != b.ty {
        return false;
    }
    let all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    let maybe = |a: &Option<Box<Expr>>, b: &Option<Box<Expr>>| match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    };
    match (&a.kind, &b.kind) {
        (ExprKind::Column(a), ExprKind::Column(b)) => a == b,
        (ExprKind::Literal(a), ExprKind::Literal(b)) => format!("{a:?}") == format!("{b:?}"),
        (ExprKind::Call { function: f, args: a, safe: s }, ExprKind::Call { function: g, args: b, safe: t }) => {
            f.name == g.name && !f.volatile && s == t && all(a, b)
        }
        (
            ExprKind::Cast { expr: a, params: p, safe: s, format: f, time_zone: z },
            ExprKind::Cast { expr: b, params: q, safe: t, format: g, time_zone: y },
        ) => same(a, b) && p == q && s == t && maybe(f, g) && maybe(z, y),
        (ExprKind::And(a), ExprKind::And(b))
        | (ExprKind::Or(a), ExprKind::Or(b))
        | (ExprKind::Coalesce(a), ExprKind::Coalesce(b))
        | (ExprKind::MakeStruct(a), ExprKind::MakeStruct(b))
        | (ExprKind::MakeArray(a), ExprKind::MakeArray(b)) => all(a, b),
        (ExprKind::Case { branches: a, otherwise: e }, ExprKind::Case { branches: b, otherwise: f }) => {
            a.len() == b.len() && a.iter().zip(b).all(|((c, r), (d, s))| same(c, d) && same(r, s)) && maybe(e, f)
        }
        (ExprKind::IfError { attempt: a, fallback: f }, ExprKind::IfError { attempt: b, fallback: g }) => {
            same(a, b) && same(f, g)
        }
        (ExprKind::IsError(a), ExprKind::IsError(b)) => same(a, b),
        (ExprKind::StructField { expr: a, index: i }, ExprKind::StructField { expr: b, index: j }) => {
            i == j && same(a, b)
        }
        (
            ExprKind::ArrayElement { array: a, index: i, from: f, safe: s },
            ExprKind::ArrayElement { array: b, index: j, from: g, safe: t },
        ) => f == g && s == t && same(a, b) && same(i, j),
        (ExprKind::Let { bindings: p, body: a }, ExprKind::Let { bindings: q, body: b }) => {
            // The bound ids differ between two readings of one text: compare under a renaming.
            if p.len() != q.len() || !p.iter().zip(q).all(|((_, a), (_, b))| same(a, b)) {
                return false;
            }
            let mut body = (**b).clone();
            walk_expr_mut(&mut body, &mut |expr| {
                if let ExprKind::Column(id) = &mut expr.kind
                    && let Some(at) = q.iter().position(|(other, _)| other == id)
                {
                    *id = p[at].0;
                }
                true
            });
            same(a, &body)
        }
        _ => false,
    }
}
