//! From a relation to operators: what moves where.
//!
//! A predicate moves below a join or a computation only if it cannot fail: on the rows that it then sees in
//! addition it must not raise an error that the query as written would not have raised.

use std::sync::Arc;

use super::{Join, Node, Op};
use crate::catalog::{HintOp, Table};
use crate::error::{Result, SqlError};
use crate::exec::frame::Layout;
use crate::exec::refs::{self, Ids};
use crate::plan::{AggregateCall, ColumnId, Expr, ExprKind, JoinKind, Rel, SetKind, SortKey, WindowCall, WindowGroup};
use crate::types::Type;

/// The conjuncts of a predicate.
fn split<'p>(predicate: &'p Expr, out: &mut Vec<&'p Expr>) {
    match &predicate.kind {
        ExprKind::And(items) => items.iter().for_each(|item| split(item, out)),
        _ => out.push(predicate),
    }
}

pub(super) fn ids_of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Ids {
    let mut ids = Ids::new();
    for expr in exprs {
        refs::expr_ids(expr, &mut ids);
    }
    ids
}

/// Functions that give a result (or NULL) for any arguments of their types.
fn cannot_fail(name: &str) -> bool {
    matches!(
        name,
        "$equal"
            | "$not_equal"
            | "$less"
            | "$less_or_equal"
            | "$greater"
            | "$greater_or_equal"
            | "$not"
            | "$is_null"
            | "$is_true"
            | "$is_false"
            | "$is_distinct_from"
            | "$is_not_distinct_from"
            | "$in"
            | "$between"
            | "starts_with"
            | "ends_with"
            | "lower"
            | "upper"
    )
}

/// Whether evaluating `expr` on more rows than asked for is harmless.
pub(super) fn infallible(expr: &Expr) -> bool {
    !refs::any(expr, &mut |part| match &part.kind {
        ExprKind::Literal(_)
        | ExprKind::Column(_)
        | ExprKind::And(_)
        | ExprKind::Or(_)
        | ExprKind::Case { .. }
        | ExprKind::Coalesce(_)
        | ExprKind::Let { .. }
        | ExprKind::StructField { .. } => false,
        ExprKind::Call { function, .. } => function.volatile || !cannot_fail(function.name),
        _ => true,
    })
}

/// A filter over `node` that produces what is needed.
fn filtered<'p>(node: Node<'p>, predicates: Vec<&'p Expr>, needed: &Ids) -> Node<'p> {
    if predicates.is_empty() {
        return node;
    }
    let keep = node.keep(needed);
    let layout = Layout::new(keep.iter().filter_map(|at| node.layout.ids.get(*at).copied()).collect());
    Node { layout, op: Op::Filter { input: Box::new(node), predicates, keep } }
}

/// Parts predicates into those that may move below an operator which adds columns to `below` and the others.
fn part_movable<'p>(predicates: Vec<&'p Expr>, added: &Ids) -> (Vec<&'p Expr>, Vec<&'p Expr>) {
    predicates.into_iter().partition(|expr| infallible(expr) && ids_of([*expr]).is_disjoint(added))
}

fn union(a: &Ids, b: Ids) -> Ids {
    let mut all = b;
    all.extend(a);
    all
}

/// Prepares `rel` with `predicates` (over its columns) applied, producing at least `needed`.
pub(super) fn build<'p>(rel: &'p Rel, predicates: Vec<&'p Expr>, needed: &Ids) -> Result<Node<'p>> {
    // What must come out below the predicates.
    let wanted = if predicates.is_empty() { needed.clone() } else { union(needed, ids_of(predicates.iter().copied())) };
    Ok(match rel {
        Rel::Filter { input, predicate } => {
            let mut all = Vec::new();
            split(predicate, &mut all);
            all.extend(predicates);
            return build(input, all, needed);
        }
        Rel::Project { input, columns } => {
            let columns: Ids = columns.iter().copied().collect();
            let needed = needed.intersection(&columns).copied().collect();
            return build(input, predicates, &needed);
        }
        Rel::Scan { table, columns, row_id } => {
            filtered(scan(table, columns, *row_id, &predicates, &wanted), predicates, needed)
        }
        Rel::SingleRow => filtered(Node { layout: Layout::default(), op: Op::SingleRow }, predicates, needed),
        Rel::Values { columns, types, rows } => {
            let node = Node { layout: Layout::new(columns.clone()), op: Op::Values { types, rows } };
            filtered(node, predicates, needed)
        }
        Rel::Compute { input, columns } => {
            let added: Ids = columns.iter().map(|(id, _)| *id).collect();
            let (below, above) = part_movable(predicates, &added);
            let wanted = union(needed, ids_of(above.iter().copied()));
            filtered(compute(input, columns, below, &wanted)?, above, needed)
        }
        Rel::Join { kind, left, right, on, lateral } => {
            return join(*kind, left, right, on.as_ref(), *lateral, predicates, needed);
        }
        Rel::Unnest { arrays, offset, strict } => {
            let layout = Layout::new(refs::output(rel));
            let node = Node { layout, op: Op::Unnest { arrays, offset: offset.is_some(), strict: *strict } };
            filtered(node, predicates, needed)
        }
        Rel::Aggregate { input, keys, sets, grouping, calls } => {
            filtered(aggregate(input, keys, sets.as_deref(), grouping, calls, &wanted)?, predicates, needed)
        }
        Rel::Window { input, groups } => filtered(window(input, groups, &wanted)?, predicates, needed),
        Rel::Distinct { input, columns } => {
            let input = build(input, Vec::new(), &columns.iter().copied().collect())?;
            let positions = columns.iter().map(|id| input.layout.require(*id)).collect::<Result<_>>()?;
            let layout = Layout::new(columns.clone());
            filtered(
                Node { layout, op: Op::Distinct { input: Box::new(input), columns: positions } },
                predicates,
                needed,
            )
        }
        Rel::Sort { input, keys } => sort(input, keys, None, predicates, needed)?,
        Rel::Limit { input, limit, offset } => {
            let node = limited(input, limit.as_ref(), offset.as_ref(), &wanted)?;
            filtered(node, predicates, needed)
        }
        Rel::SetOperation { kind, all, inputs, columns, types } => {
            let node = set_operation(*kind, *all, inputs, columns, types, &wanted)?;
            filtered(node, predicates, needed)
        }
        Rel::With { ctes, body } => {
            let body = build(body, predicates, needed)?;
            Node { layout: body.layout.clone(), op: Op::With { ctes, body: Box::new(body) } }
        }
        Rel::CteRef { cte, columns, .. } => {
            let kept = columns.iter().enumerate().filter(|(_, id)| wanted.contains(id));
            let (positions, ids) = kept.map(|(position, id)| (position, *id)).unzip();
            let node = Node { layout: Layout::new(ids), op: Op::CteRef { cte: *cte, columns: positions } };
            filtered(node, predicates, needed)
        }
        Rel::Sample { input, percent } => {
            let input = build(input, Vec::new(), &wanted)?;
            let node = Node { layout: input.layout.clone(), op: Op::Sample { input: Box::new(input), percent } };
            filtered(node, predicates, needed)
        }
    })
}

fn scan<'p>(
    table: &'p Arc<dyn Table>,
    columns: &'p [(ColumnId, usize)],
    row_id: Option<ColumnId>,
    predicates: &[&'p Expr],
    wanted: &Ids,
) -> Node<'p> {
    let row_id = row_id.filter(|id| wanted.contains(id));
    let kept: Vec<(ColumnId, usize)> = columns.iter().filter(|(id, _)| wanted.contains(id)).copied().collect();
    let hints = predicates.iter().filter_map(|predicate| hint(predicate, columns)).collect();
    Node {
        layout: Layout::new(kept.iter().map(|(id, _)| *id).chain(row_id).collect()),
        op: Op::Scan {
            table,
            columns: kept.iter().map(|(_, position)| *position).collect(),
            row_id: row_id.is_some(),
            hints,
        },
    }
}

/// `column op constant`, either way round.
fn hint<'p>(predicate: &'p Expr, columns: &[(ColumnId, usize)]) -> Option<(usize, HintOp, &'p Expr)> {
    let ExprKind::Call { function, args, .. } = &predicate.kind else { return None };
    let [a, b] = args.as_slice() else { return None };
    let op = match function.name {
        "$equal" => HintOp::Equal,
        "$less" => HintOp::Less,
        "$less_or_equal" => HintOp::LessOrEqual,
        "$greater" => HintOp::Greater,
        "$greater_or_equal" => HintOp::GreaterOrEqual,
        _ => return None,
    };
    let mirrored = match op {
        HintOp::Equal => HintOp::Equal,
        HintOp::Less => HintOp::Greater,
        HintOp::LessOrEqual => HintOp::GreaterOrEqual,
        HintOp::Greater => HintOp::Less,
        HintOp::GreaterOrEqual => HintOp::LessOrEqual,
    };
    let position = |id: &ColumnId| columns.iter().find(|(known, _)| known == id).map(|(_, position)| *position);
    let fixed = |expr: &Expr| {
        let mut ids = Ids::new();
        refs::expr_ids(expr, &mut ids);
        let volatile = |part: &Expr| match &part.kind {
            ExprKind::Call { function, .. } => function.volatile,
            ExprKind::Subquery { .. } | ExprKind::JavaScript { .. } => true,
            _ => false,
        };
        ids.is_empty() && !refs::any(expr, &mut |part| volatile(part))
    };
    match (&a.kind, &b.kind) {
        (ExprKind::Column(id), _) if fixed(b) => Some((position(id)?, op, b)),
        (_, ExprKind::Column(id)) if fixed(a) => Some((position(id)?, mirrored, a)),
        _ => None,
    }
}

fn compute<'p>(
    input: &'p Rel,
    columns: &'p [(ColumnId, Expr)],
    below: Vec<&'p Expr>,
    wanted: &Ids,
) -> Result<Node<'p>> {
    // From the last to the first, so that what only serves an unused column is unused too.
    let mut live = wanted.clone();
    let mut used = Vec::new();
    for (id, expr) in columns.iter().rev() {
        if live.contains(id) {
            refs::expr_ids(expr, &mut live);
            used.push((*id, expr));
        }
    }
    used.reverse();
    let input = build(input, below, &live)?;
    if used.is_empty() {
        return Ok(input);
    }
    let keep = input.keep(wanted);
    let produced: Vec<usize> =
        used.iter().enumerate().filter(|(_, (id, _))| wanted.contains(id)).map(|(at, _)| at).collect();
    let ids = keep.iter().filter_map(|at| input.layout.ids.get(*at).copied());
    let ids = ids.chain(produced.iter().filter_map(|at| used.get(*at).map(|(id, _)| *id))).collect();
    Ok(Node { layout: Layout::new(ids), op: Op::Compute { input: Box::new(input), keep, columns: used, produced } })
}

/// `a = b` with `a` over the left side alone and `b` over the right, or the other way round.
pub(super) fn equal_pair<'p>(expr: &'p Expr, left: &Ids, right: &Ids) -> Option<(&'p Expr, &'p Expr)> {
    let ExprKind::Call { function, args, .. } = &expr.kind else { return None };
    let [a, b] = args.as_slice() else { return None };
    let plain = !matches!(a.ty, Type::Struct(_) | Type::Array(_) | Type::Json | Type::Geography);
    if function.name != "$equal" || a.ty != b.ty || !plain {
        return None;
    }
    let (of_a, of_b) = (ids_of([a]), ids_of([b]));
    let only = |ids: &Ids, this: &Ids, other: &Ids| !ids.is_disjoint(this) && ids.is_disjoint(other);
    if only(&of_a, left, right) && only(&of_b, right, left) {
        Some((a, b))
    } else if only(&of_a, right, left) && only(&of_b, left, right) {
        Some((b, a))
    } else {
        None
    }
}

/// A join condition in parts.
pub(in crate::exec) struct On<'p> {
    /// Conditions on the left side alone that cannot fail.
    pub left_only: Vec<&'p Expr>,
    /// Equal pairs: of the left side, of the right.
    pub keys: Vec<(&'p Expr, &'p Expr)>,
    pub residual: Vec<&'p Expr>,
}

/// Parts a condition over two sides.
pub(in crate::exec) fn split_on<'p>(on: &'p Expr, left: &Ids, right: &Ids) -> On<'p> {
    let mut conditions = Vec::new();
    split(on, &mut conditions);
    let mut parts = On { left_only: Vec::new(), keys: Vec::new(), residual: Vec::new() };
    for condition in conditions {
        if infallible(condition) && ids_of([condition]).is_disjoint(right) {
            parts.left_only.push(condition);
        } else if let Some(pair) = equal_pair(condition, left, right) {
            parts.keys.push(pair);
        } else {
            parts.residual.push(condition);
        }
    }
    parts
}

fn join<'p>(
    kind: JoinKind,
    left: &'p Rel,
    right: &'p Rel,
    on: Option<&'p Expr>,
    lateral: bool,
    predicates: Vec<&'p Expr>,
    needed: &Ids,
) -> Result<Node<'p>> {
    let left_ids: Ids = refs::output(left).into_iter().collect();
    let right_ids: Ids = refs::output(right).into_iter().collect();
    let mut conditions = Vec::new();
    if let Some(on) = on {
        split(on, &mut conditions);
    }
    let inner = matches!(kind, JoinKind::Inner | JoinKind::Cross);
    let mut above = Vec::new();
    let (mut to_left, mut to_right, mut residual, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Predicates from above: for an inner join they are conditions; for the others they move to the side
    // that is kept as it is.
    if inner {
        conditions.extend(predicates);
    } else {
        for predicate in predicates {
            let ids = ids_of([predicate]);
            if kind == JoinKind::Left && infallible(predicate) && ids.is_disjoint(&right_ids) {
                to_left.push(predicate);
            } else if kind == JoinKind::Right && !lateral && infallible(predicate) && ids.is_disjoint(&left_ids) {
                to_right.push(predicate);
            } else {
                above.push(predicate);
            }
        }
    }
    for condition in conditions {
        let ids = ids_of([condition]);
        let safe = infallible(condition);
        if safe && ids.is_disjoint(&right_ids) && (inner || kind == JoinKind::Right) {
            to_left.push(condition);
        } else if safe && ids.is_disjoint(&left_ids) && (inner || kind == JoinKind::Left) {
            to_right.push(condition);
        } else if let (false, Some(pair)) = (lateral, equal_pair(condition, &left_ids, &right_ids)) {
            keys.push(pair);
        } else {
            residual.push(condition);
        }
    }
    let mut wanted = union(needed, ids_of(above.iter().copied()));
    let emitted = wanted.clone();
    for expr in residual.iter().copied().chain(keys.iter().flat_map(|(a, b)| [*a, *b])) {
        refs::expr_ids(expr, &mut wanted);
    }
    let mut right_node = build(right, to_right, &wanted)?;
    if lateral {
        refs::rel_ids(right, &mut wanted);
        // A condition on an array's elements belongs to the pairs, so that all rows' arrays go at once.
        right_node = match right_node.op {
            Op::Filter { input, predicates, .. } if matches!(input.op, Op::Unnest { .. }) => {
                predicates.iter().for_each(|predicate| refs::expr_ids(predicate, &mut wanted));
                residual.extend(predicates);
                *input
            }
            op => Node { layout: right_node.layout, op },
        };
    }
    let left_node = build(left, to_left, &wanted)?;
    let (keep_left, keep_right) = (left_node.keep(&emitted), right_node.keep(&emitted));
    let ids = keep_left.iter().filter_map(|at| left_node.layout.ids.get(*at));
    let ids = ids.chain(keep_right.iter().filter_map(|at| right_node.layout.ids.get(*at))).copied().collect();
    let join = Join { kind, left: left_node, right: right_node, keys, residual, lateral, keep_left, keep_right };
    Ok(filtered(Node { layout: Layout::new(ids), op: Op::Join(Box::new(join)) }, above, needed))
}

fn aggregate<'p>(
    input: &'p Rel,
    keys: &'p [(ColumnId, Expr)],
    sets: Option<&'p [Vec<usize>]>,
    grouping: &'p [(ColumnId, usize)],
    calls: &'p [(ColumnId, AggregateCall)],
    wanted: &Ids,
) -> Result<Node<'p>> {
    let calls: Vec<&(ColumnId, AggregateCall)> = calls.iter().filter(|(id, _)| wanted.contains(id)).collect();
    let mut below = ids_of(keys.iter().map(|(_, expr)| expr));
    for (_, call) in &calls {
        for expr in refs::aggregate_exprs(call) {
            refs::expr_ids(expr, &mut below);
        }
    }
    let input = build(input, Vec::new(), &below)?;
    let ids = keys.iter().map(|(id, _)| *id).chain(grouping.iter().map(|(id, _)| *id));
    let ids = ids.chain(calls.iter().map(|(id, _)| *id)).collect();
    let calls = calls.into_iter().map(|(_, call)| call).collect();
    Ok(Node { layout: Layout::new(ids), op: Op::Aggregate { input: Box::new(input), keys, sets, grouping, calls } })
}

fn window<'p>(input: &'p Rel, groups: &'p [WindowGroup], wanted: &Ids) -> Result<Node<'p>> {
    let mut below = wanted.clone();
    let mut used = Vec::new();
    let mut added = Vec::new();
    for group in groups {
        let calls: Vec<&(ColumnId, WindowCall)> = group.calls.iter().filter(|(id, _)| wanted.contains(id)).collect();
        if calls.is_empty() {
            continue;
        }
        let shared = group.partition_by.iter().chain(group.order_by.iter().map(|key| &key.expr));
        for expr in shared.chain(calls.iter().flat_map(|(_, call)| refs::window_exprs(call))) {
            refs::expr_ids(expr, &mut below);
        }
        added.extend(calls.iter().map(|(id, _)| *id));
        used.push((group, calls.into_iter().map(|(_, call)| call).collect()));
    }
    let input = build(input, Vec::new(), &below)?;
    if used.is_empty() {
        return Ok(input);
    }
    let keep = input.keep(wanted);
    let ids = keep.iter().filter_map(|at| input.layout.ids.get(*at).copied()).chain(added).collect();
    Ok(Node { layout: Layout::new(ids), op: Op::Window { input: Box::new(input), keep, groups: used } })
}

fn sort<'p>(
    input: &'p Rel,
    keys: &'p [SortKey],
    limit: Option<(&'p Expr, Option<&'p Expr>)>,
    predicates: Vec<&'p Expr>,
    needed: &Ids,
) -> Result<Node<'p>> {
    let below = union(needed, ids_of(keys.iter().map(|key| &key.expr)));
    let input = build(input, predicates, &below)?;
    let keep = input.keep(needed);
    let layout = Layout::new(keep.iter().filter_map(|at| input.layout.ids.get(*at).copied()).collect());
    Ok(Node { layout, op: Op::Sort { input: Box::new(input), keys, keep, limit } })
}

/// LIMIT, with a sort below it told how many rows are wanted.
fn limited<'p>(input: &'p Rel, limit: Option<&'p Expr>, offset: Option<&'p Expr>, wanted: &Ids) -> Result<Node<'p>> {
    let mut below = input;
    while let Rel::Project { input, .. } = below {
        below = input;
    }
    let input = match (below, limit) {
        (Rel::Sort { input, keys }, Some(limit)) => sort(input, keys, Some((limit, offset)), Vec::new(), wanted)?,
        _ => build(input, Vec::new(), wanted)?,
    };
    Ok(Node { layout: input.layout.clone(), op: Op::Limit { input: Box::new(input), limit, offset } })
}

fn set_operation<'p>(
    kind: SetKind,
    all: bool,
    inputs: &'p [(Rel, Vec<ColumnId>)],
    columns: &'p [ColumnId],
    types: &'p [Type],
    wanted: &Ids,
) -> Result<Node<'p>> {
    // Only UNION ALL may drop columns: the others compare whole rows.
    let kept: Vec<usize> = (0..columns.len())
        .filter(|at| !(kind == SetKind::Union && all) || columns.get(*at).is_some_and(|id| wanted.contains(id)))
        .collect();
    let mut nodes = Vec::with_capacity(inputs.len());
    for (rel, theirs) in inputs {
        let ids: Vec<ColumnId> = kept
            .iter()
            .map(|at| {
                theirs.get(*at).copied().ok_or_else(|| SqlError::internal("a set operation's input lacks a column"))
            })
            .collect::<Result<_>>()?;
        let node = build(rel, Vec::new(), &ids.iter().copied().collect())?;
        let positions = ids.iter().map(|id| node.layout.require(*id)).collect::<Result<_>>()?;
        nodes.push((node, positions));
    }
    let ids = kept.iter().filter_map(|at| columns.get(*at).copied()).collect();
    let types = kept.iter().filter_map(|at| types.get(*at)).collect();
    Ok(Node { layout: Layout::new(ids), op: Op::SetOperation { kind, all, inputs: nodes, types } })
}
